# Sourced by run.sh: the whole path from the sources to the dashboard, the search role, and schema registries.
# shellcheck shell=bash disable=SC2154

demo_data="" search_port="" apicurio_port=""

# Ten free ports, all at once, so that none is given twice; they stay a demo's own over its restarts.
choose_ports() {
  local kind found
  read -ra found < <(python3 -c '
import socket
sockets = [socket.socket() for _ in range(10)]
for s in sockets: s.bind(("127.0.0.1", 0))
print(*[s.getsockname()[1] for s in sockets])')
  demo_options=(--bootstrap "127.0.0.1:${found[0]}" --set "listeners=127.0.0.1:${found[0]}"
    --set "registry.listener=127.0.0.1:${found[1]}" --set "metrics.listener=127.0.0.1:${found[2]}")
  for kind in engine=3 connect=4 search=5 console=6; do
    demo_options+=(--set "${kind%=*}.listener=127.0.0.1:${found[${kind#*=}]}"
      "--${kind%=*}-url" "http://127.0.0.1:${found[${kind#*=}]}")
  done
  console=http://127.0.0.1:${found[6]}
  mariadb_port=${found[7]}
  server_ports=(--mariadb-port "${found[7]}" --mosquitto-port "${found[8]}" --weather-port "${found[9]}")
}

# Starts the demo in a folder in the background, on ports that were chosen.
start_demo() { # DATA OPTION...
  demo_data=$1
  shift
  mkdir -p "$demo_data"
  "$world" demo --bd "$bd" --data "$demo_data" --pipeline "$here/../demo/tv/tv.yaml" \
    --replay-pipeline "$here/../demo/tv/replay.yaml" "${demo_options[@]}" "${server_ports[@]}" "$@" \
    >>"$demo_data/demo.log" 2>&1 &
  demo_pid=$!
}
stop_demo() {
  [ -n "$demo_data" ] || return 0
  if [ -n "${demo_pid:-}" ]; then
    kill -TERM "$demo_pid" 2>/dev/null || true
    wait "$demo_pid" || true
    demo_pid=''
  fi
  "$world" servers stop --data "$demo_data" >/dev/null 2>&1 || true
  demo_data=''
}
demo_log() {
  tail -n 20 "$demo_data/demo.log" "$demo_data/logs/bd.log" >&2 || true
}

# The live demo: a first start and two more, a minute at its own rate while its dashboard is watched, then commits. Nobody but the
# benchmark changes the table of users (--changes 0).
bench_live() {
  local start
  say "the live demo"
  choose_ports
  demo_data=$work/live
  mkdir -p "$demo_data"
  run "$world" servers start --data "$demo_data" "${server_ports[@]}" >&2
  start_demo "$work/live" --changes 0
  measure_live start --name "first start" || return
  sleep 5
  for start in "second start" "third start"; do
    measure_live start --name "$start" --restart || return
    sleep 5
  done
  measure_live watch --seconds "${BENCH_WATCH:-60}" || return
  measure_live commits --mariadb-port "$mariadb_port" --count "${BENCH_COMMITS:-100}" || return
  stop_demo
  rm -rf "$work/live"
}
measure_live() {
  local command=$1
  shift
  if ! run "$bench" "$command" --console "$console" --data "$demo_data" --results "$results" "$@"; then
    demo_log
    note "The live demo failed: $command $*"
    stop_demo
    failed=1
    return 1
  fi
}

# A case through MQTT, REST, MariaDB and files into topics and indices.
bench_replay() {
  local case=$work/replay-case
  say "a recorded case through the whole path: $replay_actions actions"
  make_case "$case" "$replay_actions"
  choose_ports
  demo_data=$work/replay
  mkdir -p "$demo_data"
  run "$world" servers start --data "$demo_data" "${server_ports[@]}" >&2
  start_demo "$work/replay" --replay "$case"
  if ! run "$bench" replay --data "$demo_data" --case "$case" --timeout "$limit" --results "$results"; then
    demo_log
    note "The replay failed"
    failed=1
  fi
  stop_demo
  rm -rf "$work/replay" "$case"
}

stop_elasticsearch() {
  [ -n "$search_port" ] || return 0
  "$peers/elasticsearch.sh" wipe --port "$search_port" --data "$work/elasticsearch" >&2 || true
  search_port=''
}

# Search (bd with its log, which idles): both servers run side by side, the client takes turns.
bench_search() {
  local servers=() lacks
  say "search: $documents documents"
  lacks=$(peer_lacks elasticsearch.sh)
  start_bd "$work/bd.out" "$bd" up --roles cluster,search --data "$work/search" || exit 1
  servers=(--server "bd=$(bd_at "$work/bd.out" search)=$bd_pid")
  if [ -n "$lacks" ]; then
    note "Elasticsearch is left out: $lacks"
  else
    # Its transport port is the next one but 99.
    search_port=$(free_port)
    while [ "$search_port" -gt 65000 ]; do search_port=$(free_port); done
    run "$peers/elasticsearch.sh" start --port "$search_port" --data "$work/elasticsearch" >&2
    servers+=(--server "Elasticsearch=http://127.0.0.1:$search_port=$(<"$work/elasticsearch/pid")")
  fi
  run "$bench" search "${servers[@]}" --documents "$documents" --rounds "$search_rounds" --results "$results"
  stop_elasticsearch
  stop_bd
  rm -rf "$work/search"
}

stop_apicurio() {
  [ -n "$apicurio_port" ] || return 0
  "$peers/apicurio.sh" wipe --port "$apicurio_port" --data "$work/apicurio" >&2 || true
  apicurio_port=''
}

# Schema registries, one after the other; bd's also with many schemas.
bench_registry() {
  local servers=() lacks
  say "schema registry: $schemas schemas"
  lacks=$(peer_lacks apicurio.sh)
  if [ -n "$lacks" ]; then
    note "Apicurio is left out: $lacks"
  else
    apicurio_port=$(free_port)
    run "$peers/apicurio.sh" start --port "$apicurio_port" --data "$work/apicurio" >&2
    servers=(--server "Apicurio=http://127.0.0.1:$apicurio_port/apis/ccompat/v7=$(<"$work/apicurio/pid")")
  fi
  run "$bench" registry --bd "$bd" --work "$work/registry" ${servers[@]+"${servers[@]}"} --schemas "$schemas" --results "$results"
  stop_apicurio
  rm -rf "$work/registry"
}
