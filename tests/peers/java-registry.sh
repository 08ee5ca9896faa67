#!/usr/bin/env bash
# java-registry.sh BD: Confluent's Java client of schema registries, as Apache Flink ships it on Maven Central, against bd's registry.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
BD=$(realpath "${1:?java-registry.sh BD}")
command -v mvn >/dev/null || { echo "java-registry: mvn is missing: install Maven" >&2; exit 1; }
LIBS=${BD_CACHE:-$HOME/.cache/bd}/java-registry
for artifact in org.apache.flink:flink-sql-avro-confluent-registry:1.20.0 org.slf4j:slf4j-api:1.7.36; do
  name=${artifact#*:}
  [ -f "$LIBS/${name/:/-}.jar" ] || mvn -B -q dependency:copy -Dartifact="$artifact" -DoutputDirectory="$LIBS"
done
DATA=$(mktemp -d)
"$BD" up --roles cluster,registry --free-ports --data "$DATA/bd" >"$DATA/out" &
BD_PID=$!
trap 'kill $BD_PID; wait $BD_PID || true; rm -rf "$DATA"' EXIT
for _ in $(seq 100); do
  if grep -q '^metrics' "$DATA/out"; then break; fi
  sleep 0.1
done
java -cp "$LIBS/*" tests/peers/ConfluentJavaClient.java "$(awk '$1 == "registry" { print $2 }' "$DATA/out")" 2> >(grep -v SLF4J >&2)
