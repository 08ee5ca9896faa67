#!/usr/bin/env bash
# registry-kafka.sh BD: bd's schema registry with its topic on real Apache Kafka, which is installed, started on a free port with its data in
# a temporary folder, and stopped at the end: tests/clients/registry_topic.py.
# PEERS: the folder with kafka.sh (default ../shared/peers beside this repository).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
BD=$(realpath "${1:?registry-kafka.sh BD}")
KAFKA_SH=${PEERS:-../shared/peers}/kafka.sh

free_port() { # two in a row: the broker's and the controller's
  local port
  for port in $(shuf -i 20000-30000 -n 50); do
    if ! (: <"/dev/tcp/127.0.0.1/$port" || : <"/dev/tcp/127.0.0.1/$((port + 1))") 2>/dev/null; then
      echo "$port"
      return
    fi
  done
  echo "no free port" >&2
  return 1
}

PORT=$(free_port)
DATA=$(mktemp -d)
trap '"$KAFKA_SH" wipe --port "$PORT" --data "$DATA" >&2 || true; rm -rf "$DATA"' EXIT
"$KAFKA_SH" install
"$KAFKA_SH" start --port "$PORT" --data "$DATA" --heap 512m
"${BD_CACHE:-$HOME/.cache/bd}/venv/bin/python" tests/clients/registry_topic.py "$BD" "127.0.0.1:$PORT"
