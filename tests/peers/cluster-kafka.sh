#!/usr/bin/env bash
# The conformance suite of crates/cluster over librdkafka, and bd's commands, against real Apache Kafka, which is installed, started on a free
# port with its data in a temporary folder, and stopped at the end. `BD_TEST_BOOTSTRAP=host:port` uses a running one instead.
#   tests/peers/cluster-kafka.sh [ARGUMENTS OF cargo test]...
# PEERS: the folder with kafka.sh (default ../shared/peers beside this repository).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=tests/peers/ports.sh
. tests/peers/ports.sh

run() {
  cargo test --package bd-cluster-kafka --features peers --test real_kafka --test compression "$@"
  cargo test --package bd --test tools --test tools_groups "$@"
}

if [ -n "${BD_TEST_BOOTSTRAP:-}" ]; then
  run "$@"
  exit
fi

KAFKA_SH=${PEERS:-../shared/peers}/kafka.sh
if [ ! -x "$KAFKA_SH" ]; then
  echo "no $KAFKA_SH: set PEERS to the folder that has it, or BD_TEST_BOOTSTRAP to a running Kafka" >&2
  exit 1
fi

PORT=$(free_port 1) # the broker's, and above it the controller's
DATA=$(mktemp -d)
trap '"$KAFKA_SH" wipe --port "$PORT" --data "$DATA" >&2 || true; rm -rf "$DATA"' EXIT
"$KAFKA_SH" install
# Groups rebalance at once instead of waiting 3 s for more members.
"$KAFKA_SH" start --port "$PORT" --data "$DATA" --prop group.initial.rebalance.delay.ms=0
BD_TEST_BOOTSTRAP=127.0.0.1:$PORT run "$@"
