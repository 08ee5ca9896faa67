#!/usr/bin/env bash
# run.sh BD CASES WORLD PEERS: measures bd beside Apache Kafka, Apache Spark and Elasticsearch (README.md). Everything on loopback,
# on free ports, in one folder that is deleted at the end.
set -euo pipefail
bd=$1 cases=$2 world=$3 peers=${4:-}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ ! -d "$peers" ] || peers=$(cd "$peers" && pwd)

actions=${BENCH_ACTIONS:-10000000}             # of the case for bd alone
spark_actions=${BENCH_SPARK_ACTIONS:-2000000}  # of the case for bd and Spark
rounds=${BENCH_ROUNDS:-5}                      # of the log
megabytes=${BENCH_MB:-500}                     # in a round of it
latency=${BENCH_LATENCY:-15}                   # seconds at a steady rate
replay_actions=${BENCH_REPLAY_ACTIONS:-200000} # of the case through the whole path
documents=${BENCH_DOCUMENTS:-300000}           # into the search role
search_rounds=${BENCH_SEARCH_ROUNDS:-3}
schemas=${BENCH_SCHEMAS:-100000}               # in the registry
parts=" ${BENCH_PARTS:-log flush case spark live replay search registry codecs} "
[ "${BENCH_SPARK:-1}" = 1 ] || parts=${parts/ spark / }
limit=${BENCH_TIMEOUT:-1800}                   # seconds for one job

for program in "$bd" "$cases" "$world"; do
  [ -x "$program" ] || { echo "bench: no program at $program: run make build" >&2; exit 2; }
done
cargo build --release -q --manifest-path "$here/Cargo.toml"
cargo build --release -q --manifest-path "$here/codecs/Cargo.toml"
bench=$(cd "${CARGO_TARGET_DIR:-$here/../target}" && pwd)/release/bd-bench

mkdir -p "$here/results"
name=$here/results/$(date +%Y-%m-%dT%H-%M-%S)
results=$name.jsonl
work=$(mktemp -d "${BENCH_DIR:-${TMPDIR:-/tmp}}/bd-bench.XXXXXX")
bd_pid='' kafka_port='' failed=0

# The processes below this one, deepest last.
descendants() {
  local child
  for child in $(ps -o pid= --ppid "$1"); do
    echo "$child"
    descendants "$child"
  done
}
finish() {
  local status=$?
  trap - EXIT
  stop_kafka
  stop_elasticsearch
  stop_apicurio
  stop_demo
  local left
  left=$(descendants $$)
  # shellcheck disable=SC2086  # one word a process
  if [ -n "$left" ]; then kill $left 2>/dev/null || true; fi
  wait || true
  rm -rf "$work"
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

# Runs a program so that a signal to this script is heard while it runs.
run() { "$@" & wait $!; }
say() { echo "== $*" >&2; }
note() { "$bench" note "$results" "$*" >&2; }
wants() { [[ $parts == *" $1 "* ]]; }
lines() { cat "$@" | wc -l; }

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# shellcheck source=../scripts/bd.sh
source "$here/../scripts/bd.sh"
# shellcheck source=demo.sh
source "$here/demo.sh"

# Starts bd's log and registry on free ports, with their data in $1; the log's address goes into $address.
start_log() { # DATA ARG...
  start_bd "$work/bd.out" "$bd" up --roles cluster,registry --data "$@" || exit 1
  address=$(bd_at "$work/bd.out" cluster)
}
stop_log() {
  stop_bd
}

start_kafka() { # ARG...
  kafka_port=$(free_port)
  run "$peers/kafka.sh" start --port "$kafka_port" --controller-port "$(free_port)" --data "$work/kafka" "$@" >&2
}
stop_kafka() {
  [ -n "$kafka_port" ] || return 0
  "$peers/kafka.sh" wipe --port "$kafka_port" --data "$work/kafka" >&2 || true
  kafka_port=''
}

# Why the peer of that script cannot run here; nothing if it can.
peer_lacks() { # SCRIPT
  if [ -z "$peers" ] || [ ! -x "$peers/$1" ]; then
    echo "there is no ${peers:-PEERS}/$1 (make bench PEERS=DIR)"
  elif ! command -v java >/dev/null; then
    echo "there is no Java"
  fi
}
spark_lacks() {
  peer_lacks kafka.sh
  if [ -n "$peers" ] && [ ! -x "$peers/spark.sh" ]; then
    echo "there is no $peers/spark.sh"
  elif ! command -v javac >/dev/null; then
    echo "there is no javac"
  fi
}

# Log: bd and Kafka run side by side, the client takes turns.
bench_log() {
  local servers=() lacks
  say "the machine's limits"
  run "$bench" limits --work "$work/limits" --results "$results"
  rm -rf "$work/limits"
  say "log: $rounds rounds of $megabytes MB"
  start_log "$work/log"
  servers=(--server "bd=$address=$bd_pid=$work/log")
  lacks=$(peer_lacks kafka.sh)
  if [ -n "$lacks" ]; then
    note "Apache Kafka is left out: $lacks"
  else
    start_kafka
    servers+=(--server "Kafka=127.0.0.1:$kafka_port=$(<"$work/kafka/pid")=$work/kafka/kafka-logs")
  fi
  run "$bench" log --bd "$bd" "${servers[@]}" --rounds "$rounds" --megabytes "$megabytes" \
    --latency-seconds "$latency" --results "$results"
  stop_kafka
  stop_log
  rm -rf "$work/log"
  say "log: many partitions, many connections"
  run "$bench" scale --bd "$bd" --work "$work/scale" --results "$results"
  rm -rf "$work/scale"
}

# Producing where both servers promise the same: that records are durable, or that they are in the page cache.
bench_flush() {
  local lacks
  lacks=$(peer_lacks kafka.sh)
  if [ -n "$lacks" ]; then
    note "Both with and without fsync is left out: $lacks"
    return
  fi
  same_promise "fsynced before it is acknowledged (Kafka with log.flush.interval.messages=1)" group \
    --prop log.flush.interval.messages=1
  same_promise "acknowledged from the page cache (bd with flush: os)" os
}
same_promise() { # PROMISE FLUSH KAFKA_ARG...
  local promise=$1 flush=$2
  shift 2
  say "log: $promise"
  start_log "$work/log" --set "flush=$flush"
  start_kafka "$@"
  run "$bench" log --bd "$bd" --server "bd=$address=$bd_pid=$work/log" \
    --server "Kafka=127.0.0.1:$kafka_port=$(<"$work/kafka/pid")=$work/kafka/kafka-logs" \
    --rounds "$rounds" --megabytes $((megabytes / 3)) --latency-seconds 0 --promise "$promise" --results "$results"
  stop_kafka
  stop_log
  rm -rf "$work/log"
}

# A case without late rows and dead letters. 250 actions a device: sessions of 17 minutes on average, none near Spark's bound.
make_case() { # FOLDER ACTIONS
  run "$cases" generate --seed 1 --actions "$2" --devices $(($2 / 250 + 4)) --plain --no-expected --out "$1"
}

# Runs bd over the case in a data folder (which is used up) to the ends of its topics, and fingerprints the topics named.
bd_job() { # DATA PIPELINE NAME EVENTS TOPIC...
  local data=$1 pipeline=$2 name=$3 events=$4
  shift 4
  sync # what was written before is not this job's work
  if run "$bench" job --system bd --job "$name" --events "$events" --timeout "$limit" --results "$results" -- \
    "$bd" run "$here/$pipeline" --drain --roles cluster,registry,engine --data "$data" --free-ports; then
    if [ $# -gt 0 ]; then
      start_log "$data"
      run "$bench" rows --bootstrap "$address" --system bd --job "$name" --results "$results" "$@"
      stop_log
    fi
  fi
  rm -rf "$data"
}

# Both jobs over the case in a data folder, which is used up; with their outputs fingerprinted if $4 is yes.
bd_jobs() { # DATA ACTIONS INPUTS COMPARE
  local outputs=(sessions show_views ad_views)
  [ "$4" = yes ] || outputs=()
  cp -r "$1" "$1-copy"
  bd_job "$1-copy" sessions.yaml "sessions alone" "$2" "${outputs[@]:0:1}"
  bd_job "$1" views.yaml "three outputs" "$3" "${outputs[@]}"
}

# A case in bd's log: FOLDER holds it, FOLDER-data is bd's data with the topics loaded.
load_case() { # FOLDER
  start_log "$1-data"
  run "$cases" load --case "$1" --bootstrap "$address" --registry "$(bd_at "$work/bd.out" registry)" --create
  stop_log
}

bench_case() {
  local case=$work/case inputs
  say "the case: $actions actions"
  make_case "$case" "$actions"
  load_case "$case"
  inputs=$(lines "$case/actions.jsonl" "$case/ads.jsonl" "$case/device_locations.jsonl")
  rm -rf "$case"
  bd_jobs "$case-data" "$actions" "$inputs" no
}

# Spark's job over the case, from Kafka to Kafka; the topics of each run are its own.
spark_job() { # HEAP CASE NAME EVENTS OUTPUT...
  local heap=${SPARK_MEMORY:-$1} case=$2 name=$3 events=$4 cluster
  shift 4
  start_kafka
  cluster=127.0.0.1:$kafka_port
  run "$bench" lines --bootstrap "$cluster" --topic actions --file "$case/actions.jsonl"
  run "$bench" lines --bootstrap "$cluster" --topic ads --file "$case/ads.jsonl"
  run "$bench" lines --bootstrap "$cluster" --topic device_locations --file "$case/device_locations.jsonl"
  if run "$bench" job --system Spark --job "$name" --events "$events" --timeout "$limit" --results "$results" -- \
    env -C "$work" "SPARK_MEMORY=$heap" "SPARK_LOCAL_DIRS=$work" \
    "$peers/spark.sh" submit --driver-class-path "$work/classes" \
    "$peers/spark/tv.py" --jvm --end --bootstrap "$cluster" --checkpoint "$work/checkpoint" \
    --users "$case/users.jsonl" --channels "$case/channels.json" --batch "${BENCH_SPARK_BATCH:-500000}" "$@" \
    2>"$work/spark.log"; then
    run "$bench" rows --bootstrap "$cluster" --system Spark --job "$name" --results "$results" "$@"
  else
    tail -n 30 "$work/spark.log" >&2
  fi
  rm -rf "$work/checkpoint"
  stop_kafka
}

bench_spark() {
  local case=$work/case lacks inputs jars
  say "the case beside Spark: $spark_actions actions"
  lacks=$(spark_lacks)
  make_case "$case" "$spark_actions"
  inputs=$(lines "$case/actions.jsonl" "$case/ads.jsonl" "$case/device_locations.jsonl")
  load_case "$case"
  bd_jobs "$case-data" "$spark_actions" "$inputs" yes
  if [ -n "$lacks" ]; then
    note "Apache Spark is left out: $lacks"
  else
    run "$peers/spark.sh" install
    jars=$("$peers/spark.sh" python -c 'import pyspark; print(pyspark.__path__[0] + "/jars")')
    mkdir -p "$work/classes"
    javac --release 17 -cp "$jars/*" -d "$work/classes" "$peers/spark/TvSessions.java"
    make_case "$work/tiny" 10
    spark_job 1g "$work/tiny" "start" 10 sessions
    spark_job 1g "$case" "sessions alone" "$spark_actions" sessions
    spark_job 5g "$case" "three outputs" "$inputs" sessions show_views ad_views
  fi
  rm -rf "$case"
}

bench_codecs() {
  say "codecs: Nexmark's bids, beside arrow-json, simd-json, fastavro, prost-reflect and arrow-csv"
  local line
  "$(dirname "$bench")/bd-codec-bench" | while IFS= read -r line; do note "$line"; done
}

note "$(date -u +'%Y-%m-%d %H:%M UTC'), $("$bd" version | head -n 1), $(nproc) cores" \
  "($(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)), $(awk '/^MemTotal/{printf "%.0f", $2 / 1e6}' /proc/meminfo) GB," \
  "Linux $(uname -r), load $(cut -d' ' -f1 /proc/loadavg) before"
if wants log; then bench_log; fi
if wants flush; then bench_flush; fi
if wants case; then bench_case; fi
if wants spark; then bench_spark; else note "Apache Spark is left out: not asked for"; fi
if wants live; then bench_live || true; fi
if wants replay; then bench_replay; fi
if wants search; then bench_search; fi
if wants registry; then bench_registry; fi
if wants codecs; then bench_codecs; fi
status=$failed
"$bench" report "$results" | tee "$name.txt" || status=$?
echo
echo "in $name.txt (rounds in $results)"
exit "$status"
