# Sourced by scripts that start bd on free ports.
# shellcheck shell=bash

# start_bd OUT BD ARGS...: starts `BD ARGS --free-ports` in the background and waits until it is ready. What it prints goes into OUT,
# its process id into $bd_pid. Returns 1, with the output on stderr, where it does not come up.
start_bd() {
  local out=$1
  shift
  "$@" --free-ports >"$out" 2>&1 &
  bd_pid=$!
  for _ in $(seq 600); do
    if grep -q '^ready' "$out"; then return; fi
    kill -0 "$bd_pid" 2>/dev/null || break
    sleep 0.05
  done
  cat "$out" >&2
  return 1
}

# bd_at OUT ROLE: where a role is: host:port of the cluster, URLs of the others.
bd_at() {
  sed -n "s/^$2 *\\([^ ]*\\)\$/\\1/p" "$1" | head -n 1
}

# stop_bd: ends it and waits for it.
stop_bd() {
  if [ -n "${bd_pid:-}" ]; then
    kill -TERM "$bd_pid" 2>/dev/null || true
    wait "$bd_pid" || true
    bd_pid=
  fi
}
