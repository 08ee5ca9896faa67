#!/usr/bin/env bash
# kafka-tools.sh BD: runs Apache Kafka's command-line tools against Apache Kafka and against bd and compares what they print,
# with ids, times, rates and addresses masked. PEERS is the folder of kafka.sh. A step whose output differs fails, unless
# kafka-tools.differences names it with the reason. Outputs stay in $RESULTS (a temporary folder).
set -euo pipefail
bd=$1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.."
# shellcheck source=scripts/bd.sh
. scripts/bd.sh
PEERS=${PEERS:-../shared/peers}
results=${RESULTS:-$(mktemp -d)}
mkdir -p "$results"
work=$(mktemp -d)
kafka_port=${KAFKA_PORT:-29392}
end() {
  stop_bd
  "$PEERS/kafka.sh" wipe --port "$kafka_port" --data "$work/kafka" >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap end EXIT

# What differs between any two servers or any two runs.
mask() {
  sed -E \
    -e "s/(127\.0\.0\.1|localhost):$1/SERVER/g" -e 's/localhost\/127/127/g' \
    -e 's/[A-Za-z0-9_-]{8}-[a-f0-9-]{27}/UUID/g' -e 's/[a-f0-9]{8}(-[a-f0-9]{4}){3}-[a-f0-9]{12}/UUID/g' \
    -e 's/TopicId: [A-Za-z0-9_-]{22}/TopicId: ID/g' -e 's/Cluster ID: .*/Cluster ID: ID/' \
    -e 's/"(timestamp|currentTransactionStartOffset|size)":-?[0-9]+/"\1":N/g' \
    -e 's/(CreateTime|LogAppendTime):[0-9]+/\1:N/g' -e 's/"logDir":"[^"]*"/"logDir":"DIR"/g' \
    -e 's/\b1[0-9]{12}\b/MILLIS/g' -e 's/20[0-9]{2}-[0-9]{2}-[0-9]{2}[T ][0-9:.,]+/TIME/g' \
    -e 's/[0-9.]+ (records\/sec|MB\/sec|ms (avg|max|50th|95th|99th|99.9th))/N \1/g' \
    -e 's/\(N? ?[0-9.]+ MB\/sec\)/(N MB\/sec)/g' -e 's/[[:space:]]+$//' -e 's/[[:space:]]+/ /g' |
    { grep -vE '^(SLF4J|WARNING: sun|Picked up)|^$' || true; }
}

# run NAME TOOL ARGS...: one step on the present server; input from the file $input if set.
run() {
  local name=$1 tool=$2
  shift 2
  local out="$results/$server/$name.txt"
  local args=()
  for a in "$@"; do args+=("${a//@/$at}"); done
  timeout 60 "$PEERS/kafka.sh" tool "$tool" "${args[@]}" <"${input:-/dev/null}" >"$work/out" 2>"$work/err" && code=0 || code=$?
  { mask "${at##*:}" <"$work/out"; echo "-- errors"; mask "${at##*:}" <"$work/err" | sed -E 's/^\[TIME\] //; /^\s+at /d'; echo "-- exit $code"; } >"$out"
  echo "  $name" >&2
}

steps() {
  local b="--bootstrap-server @"
  # shellcheck disable=SC2086
  {
    run topics-create topics $b --create --topic one --partitions 3 --config retention.ms=3600000 --config cleanup.policy=compact,delete
    run topics-create-again topics $b --create --topic one
    run topics-create-bad-name topics $b --create --topic 'a b'
    run topics-create-bad-config topics $b --create --topic two --config no.such=1
    run topics-create-bad-value topics $b --create --topic two --config retention.ms=-2
    run topics-create-replicas topics $b --create --topic two --replication-factor 2
    run topics-create-zero topics $b --create --topic two --partitions 0
    run topics-create-assigned topics $b --create --topic assigned --replica-assignment 1,1
    run topics-list topics $b --list --exclude-internal
    run topics-describe topics $b --describe --topic one
    run topics-describe-absent topics $b --describe --topic absent
    run topics-alter topics $b --alter --topic one --partitions 4
    run topics-alter-fewer topics $b --alter --topic one --partitions 2
    run configs-topic configs $b --describe --entity-type topics --entity-name one
    run configs-topic-all configs $b --describe --all --entity-type topics --entity-name one
    run configs-alter configs $b --alter --entity-type topics --entity-name one --add-config max.message.bytes=2000000,min.insync.replicas=1
    run configs-alter-bad configs $b --alter --entity-type topics --entity-name one --add-config max.message.bytes=-1
    run configs-delete configs $b --alter --entity-type topics --entity-name one --delete-config retention.ms
    run configs-after configs $b --describe --entity-type topics --entity-name one
    run configs-broker-alter configs $b --alter --entity-type brokers --entity-name 1 --add-config log.cleaner.threads=2
    run configs-broker-dynamic configs $b --describe --entity-type brokers --entity-name 1
    run configs-group configs $b --alter --entity-type groups --entity-name g-one --add-config consumer.session.timeout.ms=50000
    run configs-group-describe configs $b --describe --entity-type groups --entity-name g-one
    run topics-plain topics $b --create --topic plain --partitions 2
    input=$work/lines run console-producer console-producer $b --topic plain --property parse.key=true --property key.separator=:
    run console-consumer console-consumer $b --topic plain --from-beginning --max-messages 4 --partition 0 --timeout-ms 4000 --property print.key=true --property print.partition=true --property print.offset=true
    run console-consumer-group console-consumer $b --topic plain --from-beginning --max-messages 8 --group readers --timeout-ms 10000
    run console-consumer-848 console-consumer $b --topic plain --from-beginning --max-messages 8 --group modern --timeout-ms 10000 --consumer-property group.protocol=consumer
    run get-offsets get-offsets $b --topic plain
    run get-offsets-earliest get-offsets $b --topic plain --time -2
    run get-offsets-max-timestamp get-offsets $b --topic plain --time -3
    run get-offsets-by-time get-offsets $b --topic plain --time 1
    run groups-list groups $b --list
    run consumer-groups-list consumer-groups $b --list --state
    run consumer-groups-type consumer-groups $b --list --type
    run consumer-groups-describe consumer-groups $b --describe --group readers
    run consumer-groups-describe-modern consumer-groups $b --describe --group modern
    run consumer-groups-state consumer-groups $b --describe --group readers --state
    run consumer-groups-absent consumer-groups $b --describe --group absent
    run consumer-groups-reset-dry consumer-groups $b --reset-offsets --group readers --topic plain --to-earliest --dry-run
    run consumer-groups-reset consumer-groups $b --reset-offsets --group readers --topic plain:0 --to-offset 1 --execute
    run consumer-groups-shift consumer-groups $b --reset-offsets --group modern --topic plain --shift-by -1 --execute
    run consumer-groups-delete-offsets consumer-groups $b --delete-offsets --group readers --topic plain
    run consumer-groups-delete consumer-groups $b --delete --group readers
    run consumer-groups-delete-absent consumer-groups $b --delete --group absent
    run delete-records delete-records $b --offset-json-file "$work/delete.json"
    run get-offsets-after get-offsets $b --topic plain --time -2
    run log-dirs log-dirs $b --describe --topic-list plain
    run producer-perf producer-perf --topic plain --num-records 2000 --record-size 100 --throughput -1 --command-property bootstrap.servers=@ acks=all compression.type=lz4
    run producer-perf-transactional producer-perf --topic plain --num-records 500 --record-size 100 --throughput -1 --transactional-id perf --transaction-duration-ms 50 --command-property bootstrap.servers=@
    run consumer-perf consumer-perf --bootstrap-server @ --topic plain --num-records 2000 --hide-header
    run verifiable-producer verifiable-producer $b --topic assigned --max-messages 20 --throughput 1000 --value-prefix 7
    run transactions-list transactions $b list
    run transactions-describe transactions $b describe --transactional-id perf
    run transactions-describe-absent transactions $b describe --transactional-id absent
    run transactions-producers transactions $b describe-producers --topic plain --partition 0
    run transactions-hanging transactions $b find-hanging --broker-id 1
    run cluster-id cluster cluster-id $b
    run broker-api-versions broker-api-versions $b
    run features features $b describe
    run leader-election leader-election $b --election-type PREFERRED --topic plain --partition 0
    run reassign-list reassign-partitions $b --list
    run acls-disabled acls $b --list
    run quotas configs $b --describe --entity-type users --entity-name someone
    run topics-delete topics $b --delete --topic one
    run topics-delete-absent topics $b --delete --topic one
    run topics-list-after topics $b --list --exclude-internal
  }
}

printf '%s\n' k1:a k2:b k3:c k4:d k5:e k6:f k7:g k8:h >"$work/lines"
echo '{"version":1,"partitions":[{"topic":"plain","partition":0,"offset":1}]}' >"$work/delete.json"
mkdir -p "$results/kafka" "$results/bd"
"$PEERS/kafka.sh" start --port "$kafka_port" --data "$work/kafka" >/dev/null
server=kafka at=127.0.0.1:$kafka_port
echo kafka >&2
steps
start_bd "$results/bd.log" "$bd" up --data "$work/data" --roles cluster
server=bd at=$(bd_at "$results/bd.log" cluster)
echo bd >&2
steps

same=0 known=0 different=0
for file in "$results"/kafka/*.txt; do
  name=$(basename "$file" .txt)
  if diff -u "$file" "$results/bd/$name.txt" >"$results/$name.diff"; then
    same=$((same + 1))
    rm "$results/$name.diff"
  elif reason=$(sed -n "s/^$name: //p" "$here/kafka-tools.differences" 2>/dev/null) && [ -n "$reason" ]; then
    known=$((known + 1))
    echo "$name differs: $reason"
  else
    different=$((different + 1))
    echo "$name DIFFERS:"
    tail -n +3 "$results/$name.diff" | sed -n 1,40p
  fi
done
echo "kafka tools: $same the same, $known differ as documented, $different differ; outputs in $results"
[ $different = 0 ]
