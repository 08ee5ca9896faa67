#!/usr/bin/env bash
# The Elasticsearch sink of crates/connectors against real Elasticsearch and OpenSearch, which are installed and started one after
# the other on a free port with their data in a temporary folder, and stopped at the end. `BD_PEER_ELASTICSEARCH=http://host:port`
# uses a running one instead (bd's search role too).
#   tests/peers/connectors-elasticsearch.sh [ARGUMENTS OF cargo test]...
# PEERS: the folder with elasticsearch.sh and opensearch.sh (default ../shared/peers beside this repository).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

run() { cargo test --package bd-connectors --features peers --test elasticsearch_peers "$@"; }

if [ -n "${BD_PEER_ELASTICSEARCH:-}" ]; then
  run "$@"
  exit
fi

PEERS=${PEERS:-../shared/peers}
free_port() { # and the one 100 above, for the transport
  local port
  for port in $(shuf -i 20000-30000 -n 50); do
    if ! (: <"/dev/tcp/127.0.0.1/$port" || : <"/dev/tcp/127.0.0.1/$((port + 100))") 2>/dev/null; then
      echo "$port"
      return
    fi
  done
  echo "no free port" >&2
  return 1
}

DATA=$(mktemp -d)
SCRIPT=
trap '[ -z "$SCRIPT" ] || "$SCRIPT" wipe --port "$PORT" --data "$DATA/node" >&2 || true; rm -rf "$DATA"' EXIT
for name in elasticsearch opensearch; do
  if [ ! -x "$PEERS/$name.sh" ]; then
    echo "no $PEERS/$name.sh: set PEERS to the folder that has it, or BD_PEER_ELASTICSEARCH to a running one" >&2
    exit 1
  fi
  PORT=$(free_port)
  SCRIPT=$PEERS/$name.sh
  "$SCRIPT" install
  "$SCRIPT" start --port "$PORT" --data "$DATA/node"
  BD_PEER_ELASTICSEARCH=http://127.0.0.1:$PORT run "$@"
  "$SCRIPT" wipe --port "$PORT" --data "$DATA/node" >&2
  SCRIPT=
done
