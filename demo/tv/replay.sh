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
pid=
finish() {
  if [ -n "$pid" ]; then kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null || true; fi
  rm -rf "$work" ${temporary:+"$temporary"}
}
trap finish EXIT

# Starts the log alone on a free port; its address goes into $address.
start_log() {
  "$bd" up --roles cluster --data "$data" --set listeners=127.0.0.1:0 >"$work/bd.out" 2>&1 &
  pid=$!
  for _ in $(seq 600); do
    address=$(sed -n 's/^cluster *\([0-9.]*:[0-9]*\).*/\1/p' "$work/bd.out" | head -n 1)
    if [ -n "$address" ] && grep -q '^ready' "$work/bd.out"; then return; fi
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.05
  done
  cat "$work/bd.out" >&2
  exit 1
}
stop_log() {
  kill -TERM "$pid"
  wait "$pid"
  pid=
}

start_log
"$cases" load --case "$case" --bootstrap "$address" --create
stop_log
"$bd" run "$here/tv.yaml" --drain --data "$data" --set listeners=127.0.0.1:0 --set engine.listener=127.0.0.1:0
start_log
status=0
"$cases" compare --case "$case" --bootstrap "$address" || status=$?
stop_log
exit "$status"
