#!/usr/bin/env bash
# demo.sh TV-WORLD BD [DATA] [REPLAY] [OPTION]...: the whole demo until Ctrl-C: MariaDB and Mosquitto, the simulated world or the
# recorded case in the folder REPLAY, and bd with tv.yaml. All is kept in DATA, from which the next start goes on. OPTION is any of
# `tv-world demo --help`, such as --users 5000 or --rate 200.
set -euo pipefail
world=$1 bd=$2 data=${3:-data/demo} replay=${4:-}
shift $(($# < 4 ? $# : 4))
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
exec "$world" demo --bd "$bd" --data "$data" ${replay:+--replay "$replay"} \
  --pipeline "$here/tv.yaml" --replay-pipeline "$here/replay.yaml" "$@"
