#!/usr/bin/env bash
# replay.sh BD CASES CASE [DATA]: loads a folder of recorded events with a Kafka client, lets bd process it to the ends of its
# topics, and compares the outputs with the folder's expected_*.jsonl. Exit 1 on any difference. The topics stay in DATA:
# `bd up demo/tv/tv.yaml --data DATA` serves them afterwards.
set -euo pipefail
bd=$1 cases=$2 case=${3:-} data=${4:-}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ -z "$case" ] || [ ! -d "$case" ]; then
  echo "usage: make replay CASE=DIR [DATA=DIR]   CASE holds actions.jsonl, users.jsonl, ads.jsonl, device_locations.jsonl, channels.json" >&2
  exit 2
fi
temporary=
if [ -z "$data" ]; then
  temporary=$(mktemp -d) data=$temporary/data
elif [ -d "$data" ] && [ -n "$(ls -A "$data")" ]; then
  echo "replay: $data is not empty: give an empty or new folder as DATA" >&2
  exit 2
fi
work=$(mktemp -d)
# shellcheck source=../../scripts/bd.sh
source "$here/../../scripts/bd.sh"
finish() {
  stop_bd
  rm -rf "$work" ${temporary:+"$temporary"}
}
trap finish EXIT

# The log and the registry alone, for clients that write and read topics.
start_log() {
  start_bd "$work/bd.out" "$bd" up --roles cluster,registry --data "$data"
  address=$(bd_at "$work/bd.out" cluster)
}

start_log
"$cases" load --case "$case" --bootstrap "$address" --registry "$(bd_at "$work/bd.out" registry)" --create
stop_bd
"$bd" run "$here/tv.yaml" --drain --roles cluster,registry,engine --data "$data" --free-ports
start_log
status=0
"$cases" compare --case "$case" --bootstrap "$address" || status=$?
stop_bd
exit "$status"
