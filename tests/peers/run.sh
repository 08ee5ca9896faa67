#!/usr/bin/env bash
# run.sh PEERS: all tests that need real servers on the JVM. Called by `make test-peers`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export PEERS=${1:-../shared/peers}
if [ ! -d "$PEERS" ]; then
  echo "test-peers: no folder $PEERS: give the one that holds kafka.sh and the other scripts as PEERS=DIR" >&2
  exit 1
fi
command -v java >/dev/null || { echo "test-peers: java is missing: install Java 17" >&2; exit 1; }
tests/peers/cluster-kafka.sh
tests/peers/connectors-elasticsearch.sh
cargo build --package bd
for script in java-registry registry-kafka debezium; do tests/peers/$script.sh "${CARGO_TARGET_DIR:-target}/debug/bd"; done
tests/peers/kafka-tools.sh "${CARGO_TARGET_DIR:-target}/debug/bd"
# librdkafka's own suite, where a checkout of it is given.
if [ -n "${LIBRDKAFKA:-}" ]; then tests/peers/librdkafka.sh "$LIBRDKAFKA" "${CARGO_TARGET_DIR:-target}/debug/bd"; fi
