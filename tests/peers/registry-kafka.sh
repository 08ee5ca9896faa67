#!/usr/bin/env bash
# registry-kafka.sh BD: bd's schema registry with its topic on real Apache Kafka, which is installed, started on a free port with its data in
# a temporary folder, and stopped at the end: tests/clients/registry_topic.py.
# PEERS: the folder with kafka.sh (default ../shared/peers beside this repository).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=tests/peers/ports.sh
. tests/peers/ports.sh
BD=$(realpath "${1:?registry-kafka.sh BD}")
KAFKA_SH=${PEERS:-../shared/peers}/kafka.sh

PORT=$(free_port 1) # the broker's, and above it the controller's
DATA=$(mktemp -d)
trap '"$KAFKA_SH" wipe --port "$PORT" --data "$DATA" >&2 || true; rm -rf "$DATA"' EXIT
"$KAFKA_SH" install
"$KAFKA_SH" start --port "$PORT" --data "$DATA" --heap 512m
"${BD_CACHE:-$HOME/.cache/bd}/venv/bin/python" tests/clients/registry_topic.py "$BD" "127.0.0.1:$PORT"
