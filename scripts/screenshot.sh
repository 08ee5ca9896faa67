#!/usr/bin/env bash
# screenshot.sh TV-WORLD BD OUT: the picture in README: a live demo of its own, some minutes old, in a folder that is thrown away.
# Ports are the demo's, so `make demo` must not run meanwhile.
set -euo pipefail
world=$1 bd=$2 out=$3 minutes=${MINUTES:-5}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$(mktemp -d)
"$here/demo/tv/demo.sh" "$world" "$bd" "$work/d" '' --rate 60 >"$work/log" 2>&1 &
pid=$!
finish() {
  kill -INT "$pid" 2>/dev/null && wait "$pid" || true
  rm -rf "$work"
}
trap finish EXIT
for _ in $(seq 1200); do
  if grep -q 'shows data' "$work/log"; then break; fi
  kill -0 "$pid" 2>/dev/null || { cat "$work/log" >&2; exit 1; }
  sleep 0.1
done
echo "The demo runs; the picture is taken in $minutes minutes ..."
sleep $((minutes * 60))
node "$here/scripts/screenshot.mjs" 'http://127.0.0.1:8080/?range=5m' "$out"
echo "$out"
