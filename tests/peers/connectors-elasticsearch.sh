#!/usr/bin/env bash
# The Elasticsearch sink of crates/connectors against real Elasticsearch and OpenSearch, which are installed and started one after
# the other on a free port with their data in a temporary folder, and stopped at the end. `BD_PEER_ELASTICSEARCH=http://host:port`
# uses a running one instead (bd's search role too).
#   tests/peers/connectors-elasticsearch.sh [ARGUMENTS OF cargo test]...
# PEERS: the folder with elasticsearch.sh and opensearch.sh (default ../shared/peers beside this repository).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=tests/peers/ports.sh
. tests/peers/ports.sh

run() { cargo test --package bd-connectors --features peers --test elasticsearch_peers "$@"; }

if [ -n "${BD_PEER_ELASTICSEARCH:-}" ]; then
  run "$@"
  exit
fi

PEERS=${PEERS:-../shared/peers}
DATA=$(mktemp -d)
SCRIPT=
trap '[ -z "$SCRIPT" ] || "$SCRIPT" wipe --port "$PORT" --data "$DATA/node" >&2 || true; rm -rf "$DATA"' EXIT
for name in elasticsearch opensearch; do
  if [ ! -x "$PEERS/$name.sh" ]; then
    echo "no $PEERS/$name.sh: set PEERS to the folder that has it, or BD_PEER_ELASTICSEARCH to a running one" >&2
    exit 1
  fi
  PORT=$(free_port 100) # and the one 100 above, for the transport
  SCRIPT=$PEERS/$name.sh
  "$SCRIPT" install
  "$SCRIPT" start --port "$PORT" --data "$DATA/node"
  BD_PEER_ELASTICSEARCH=http://127.0.0.1:$PORT run "$@"
  "$SCRIPT" wipe --port "$PORT" --data "$DATA/node" >&2
  SCRIPT=
done
