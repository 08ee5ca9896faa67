#!/usr/bin/env bash
# demo.sh BD CASES [DATA]: the digital-TV case from its recorded events to tables. The first time a Kafka client loads the events
# and bd processes them; after that it shows what is in DATA.
set -euo pipefail
bd=$1 cases=$2 data=${3:-data/demo}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

if [ ! -d "$data" ]; then
  echo "Loading the recorded events with a Kafka client, then processing them with the SQL of demo/tv/sql ..."
  if ! "$here/replay.sh" "$bd" "$cases" "$here/fixture" "$data"; then
    rm -rf "$data"
    exit 1
  fi
fi

out=$(mktemp)
"$bd" up "$here/tv.yaml" --data "$data" --set listeners=127.0.0.1:0 --set engine.listener=127.0.0.1:0 >"$out" 2>&1 &
pid=$!
finish() {
  kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null || true
  rm -f "$out"
}
trap finish EXIT
for _ in $(seq 600); do
  if grep -q '^ready' "$out"; then break; fi
  kill -0 "$pid" 2>/dev/null || { cat "$out" >&2; exit 1; }
  sleep 0.05
done
server=$(sed -n 's/^engine *\(http[^ ]*\).*/\1/p' "$out")

show() { # TITLE STATEMENT
  printf '\n%s\n' "$1"
  "$bd" sql --server "$server" --from-beginning -e "$2"
}
show "Sessions: what was watched on which device" \
  "SELECT user_id, device_id, channel_id, start_ts, end_ts FROM sessions EMIT CHANGES LIMIT 5;"
show "Views: which show, by whom, where" \
  "SELECT program, channel, name, age, device_id, lon, lat, start_ts, end_ts FROM show_views EMIT CHANGES LIMIT 12;"
show "Ad views" \
  "SELECT ad_id, channel_id, name, device_id, start_ts, end_ts FROM ad_views EMIT CHANGES LIMIT 3;"
show "Minutes watched" \
  "SELECT program, channel, age_band, gender, views, minutes FROM minutes_watched ORDER BY minutes DESC;"
show "Ad reach and frequency" "SELECT ad_id, reach, views, frequency FROM ad_reach ORDER BY ad_id;"
echo
echo "The topics stay in $data. To ask more of them:"
echo "  $bd up demo/tv/tv.yaml --data $data      and, in another terminal,      $bd sql"
