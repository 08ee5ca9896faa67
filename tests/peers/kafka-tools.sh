#!/usr/bin/env bash
# kafka-tools.sh BD: runs Apache Kafka's command-line tools against Apache Kafka and against bd and compares what they print,
# with ids, times, rates and addresses masked. PEERS is the folder of kafka.sh. A step whose output differs fails, unless
# kafka-tools.differences names it with the reason; one that is named there and does not differ fails too. Outputs stay in
# $RESULTS (a temporary folder). REUSE=1 takes Kafka's side from there instead of running it again.
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

# mask FILE: what differs between any two servers or any two runs.
mask() {
  sed -E \
    -e 's/[[:space:]]+$//' -e 's/[[:space:]]+/ /g' \
    -e "s/(127\.0\.0\.1|localhost)[: ][0-9]+/SERVER/g" -e 's/localhost\/127/127/g' \
    -e 's/[A-Za-z0-9_-]{8}-[a-f0-9-]{27}/UUID/g' -e 's/[a-f0-9]{8}(-[a-f0-9]{4}){3}-[a-f0-9]{12}/UUID/g' \
    -e 's/TopicId: [A-Za-z0-9_-]{22}/TopicId: ID/g' -e 's/Cluster ID: .*/Cluster ID: ID/' \
    -e 's/"(timestamp|time_ms|currentTransactionStartOffset|size|avg_throughput|totalProcessed|consumed)":-?[0-9.E]+/"\1":N/g' \
    -e 's/(CreateTime|LogAppendTime):[0-9]+/\1:N/g' -e 's/"logDir":"[^"]*"/"logDir":"DIR"/g' \
    -e 's/\b1[0-9]{12}\b/MILLIS/g' -e 's/20[0-9]{2}-[0-9]{2}-[0-9]{2}[T ][0-9:.,]+/TIME/g' \
    -e 's/[0-9.]+ (records\/sec|MB\/sec|ms (avg|max|50th|95th|99th|99.9th))/N \1/g' \
    -e 's/(perf-consumer|console-consumer)-[0-9]+/\1-N/g' -e 's/"time":"[^"]*"/"time":"TIME"/g' \
    -e 's/ [0-9]+ [0-9]{3,} [0-9]+ - - -$/ N - - -/' \
    -e 's/\(N? ?[0-9.]+ MB\/sec\)/(N MB\/sec)/g' \
    -e 's/^\[TIME\] ?//' \
    -e 's/^TIME TIME ([0-9.]+), [0-9.]+, ([0-9]+), .*/TIME TIME \1, N, \2, N/' \
    -e 's/MILLIS [0-9]+$/MILLIS N/' -e 's/^([0-9]+ [0-9]+ -?[0-9]+) [0-9]+ MILLIS/\1 N MILLIS/' \
    -e 's/^(Avg latency:|Percentiles:) .*/\1 N/' -e 's/^[0-9]+ [0-9]+\.[0-9]+$/N N/' \
    -e 's/(only supports operations) \[.*\]/\1 [OPERATIONS]/' "$1" | # a set of Java, in another order in each run
    { grep -vE '^(SLF4J|WARNING: sun|Picked up)|^ ?at (java|org|kafka|jdk|scala)|^ \.\.\. [0-9]+ more|max latency\.$|^$' || true; }
}

# run NAME TOOL ARGS...: one step on the present server; input from the file $input if set. @ stands for the server.
run() {
  local name=$1 tool=$2 code=0
  shift 2
  local out="$results/$server/$name" args=()
  for a in "$@"; do args+=("${a//@/$at}"); done
  timeout 240 "$PEERS/kafka.sh" tool "$tool" "${args[@]}" <"${input:-/dev/null}" >"$out.out" 2>"$out.err" || code=$?
  echo "-- exit $code" >"$out.code"
  echo "  $name" >&2
}

# printed SERVER NAME: the step's output, masked.
printed() {
  local out="$results/$1/$2" order=cat
  case $2 in # what is told in no order, or as partitions come
    groups-list* | consumer-groups-list* | consumer-groups-all | consumer-groups-reset* | acls-* | transactions-list | \
      console-consumer-group | console-consumer-848 | topics-list*) order=sort ;;
  esac
  mask "$out.out" | $order
  echo "-- errors"
  mask "$out.err" | $order
  cat "$out.code"
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
    run topics-create-if-absent topics $b --create --topic one --if-not-exists
    run topics-list topics $b --list --exclude-internal
    run topics-list-pattern topics $b --list --topic 'as.*'
    run topics-describe-under topics $b --describe --under-replicated-partitions
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
    run configs-broker-alter configs $b --alter --entity-type brokers --entity-name 1 --add-config message.max.bytes=2000000
    run configs-broker-dynamic configs $b --describe --entity-type brokers --entity-name 1
    run configs-broker-unknown configs $b --alter --entity-type brokers --entity-default --add-config no.such=1
    run configs-broker-read-only configs $b --alter --entity-type brokers --entity-name 1 --add-config log.dirs=/tmp
    run configs-broker-delete configs $b --alter --entity-type brokers --entity-name 1 --delete-config message.max.bytes
    run configs-group-bad configs $b --alter --entity-type groups --entity-name g-one --add-config consumer.session.timeout.ms=1
    run configs-group configs $b --alter --entity-type groups --entity-name g-one --add-config consumer.session.timeout.ms=50000
    run configs-group-describe configs $b --describe --entity-type groups --entity-name g-one
    run topics-plain topics $b --create --topic plain --partitions 2
    input=$work/lines run console-producer console-producer $b --topic plain --property parse.key=true --property key.separator=:
    run console-consumer console-consumer $b --topic plain --from-beginning --max-messages 4 --partition 0 --timeout-ms 60000 --property print.key=true --property print.partition=true --property print.offset=true
    run console-consumer-group console-consumer $b --topic plain --from-beginning --max-messages 8 --group readers --timeout-ms 60000
    run console-consumer-848 console-consumer $b --topic plain --from-beginning --max-messages 8 --group modern --timeout-ms 60000 --consumer-property group.protocol=consumer
    run get-offsets get-offsets $b --topic plain
    run get-offsets-earliest get-offsets $b --topic plain --time -2
    input=$work/line run console-producer-one console-producer $b --topic one --reader-property parse.key=true --reader-property key.separator=:
    run get-offsets-max-timestamp get-offsets $b --topic one --time -3
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
    run topics-perf topics $b --create --topic perf
    run producer-perf producer-perf --topic perf --num-records 2000 --record-size 100 --throughput -1 --command-property bootstrap.servers=@ acks=all compression.type=lz4
    run producer-perf-transactional producer-perf --topic perf --num-records 500 --record-size 100 --throughput -1 --transactional-id perf --transaction-duration-ms 200000 --command-property bootstrap.servers=@
    run consumer-perf consumer-perf --bootstrap-server @ --topic perf --num-records 2500 --timeout 60000 --hide-header
    run topics-verified topics $b --create --topic verified
    run verifiable-producer verifiable-producer $b --topic verified --max-messages 20 --throughput 1000 --value-prefix 7
    run verifiable-consumer verifiable-consumer $b --topic verified --group-id verify --max-messages 20 --reset-policy earliest
    run verifiable-consumer-848 verifiable-consumer $b --topic verified --group-id verify-modern --group-protocol consumer --max-messages 20 --reset-policy earliest
    run consumer-groups-members consumer-groups $b --describe --group verify --members --verbose
    run consumer-groups-all consumer-groups $b --describe --all-groups
    run consumer-groups-reset-file consumer-groups $b --reset-offsets --group verify --topic verified --to-datetime 2020-01-01T00:00:00.000 --execute
    run consumer-groups-reset-new consumer-groups $b --reset-offsets --group fresh --topic assigned --to-latest --execute
    run topics-copied topics $b --create --topic copied
    run transactional-copier transactional-copier --broker-list @ --input-topic verified --input-partition 0 --output-topic copied --transactional-id copier --consumer-group copier --transaction-size 7 --max-messages 20
    run console-consumer-committed console-consumer $b --topic copied --from-beginning --isolation-level read_committed --max-messages 20 --timeout-ms 60000 --formatter-property print.offset=true
    run e2e-latency e2e-latency $b --topic copied --num-records 20 --producer-acks all --record-size 100
    run transactions-list transactions $b list
    run transactions-describe transactions $b describe --transactional-id perf
    run transactions-describe-absent transactions $b describe --transactional-id absent
    run transactions-producers transactions $b describe-producers --topic perf --partition 0
    run transactions-hanging transactions $b find-hanging --broker-id 1
    run cluster-id cluster cluster-id $b
    run broker-api-versions broker-api-versions $b
    run features features $b describe
    run leader-election leader-election $b --election-type PREFERRED --topic plain --partition 0
    run reassign-list reassign-partitions $b --list
    run client-metrics client-metrics $b --list
    run groups-list-consumer groups $b --list --consumer
    run cluster-endpoints cluster list-endpoints $b
    run acls-disabled acls $b --list
    run quotas configs $b --describe --entity-type users --entity-name someone
    run topics-delete topics $b --delete --topic one
    run topics-delete-absent topics $b --delete --topic one
    run topics-list-after topics $b --list --exclude-internal
  }
}

# With an authorizer; the tools are a super user.
guarded_steps() {
  local b="--bootstrap-server @"
  # shellcheck disable=SC2086
  {
    run acls-add acls $b --add --allow-principal User:alice --operation Read --operation Write --topic one
    run acls-add-prefixed acls $b --add --deny-principal User:bob --deny-host 10.0.0.1 --operation All --topic tw --resource-pattern-type prefixed
    run acls-add-group acls $b --add --allow-principal User:alice --consumer --topic one --group readers
    run acls-add-cluster acls $b --add --allow-principal User:alice --operation ClusterAction --cluster
    run acls-add-transactional acls $b --add --allow-principal User:alice --producer --topic two --transactional-id t-one
    run acls-add-wrong acls $b --add --allow-principal User:alice --operation Commit --topic one
    run acls-list acls $b --list
    run acls-list-topic acls $b --list --topic one
    run acls-list-match acls $b --list --topic two --resource-pattern-type match
    run acls-remove acls $b --remove --force --allow-principal User:alice --operation Read --topic one
    run acls-remove-all acls $b --remove --force --group readers
    run acls-list-after acls $b --list
    run acls-topics topics $b --create --topic one
    run acls-describe topics $b --describe --topic one
    input=$work/lines run acls-produce console-producer $b --topic one --reader-property parse.key=true --reader-property key.separator=: --command-property max.block.ms=60000
    run acls-consume console-consumer $b --topic one --from-beginning --max-messages 8 --timeout-ms 60000
    run acls-delete topics $b --delete --topic one
    run users-add configs $b --alter --entity-type users --entity-name alice --add-config 'SCRAM-SHA-256=[iterations=4096,password=secret],SCRAM-SHA-512=[password=secret]'
    run users-add-few configs $b --alter --entity-type users --entity-name alice --add-config 'SCRAM-SHA-256=[iterations=10,password=secret]'
    run users-describe configs $b --describe --entity-type users --entity-name alice
    run users-describe-all configs $b --describe --entity-type users
    run users-delete configs $b --alter --entity-type users --entity-name alice --delete-config SCRAM-SHA-512
    run users-delete-absent configs $b --alter --entity-type users --entity-name bob --delete-config SCRAM-SHA-512
    run users-describe-after configs $b --describe --entity-type users --entity-name alice
  }
}

# How often groups without members and offsets are forgotten: not during a run, however long it takes.
keep_groups=offsets.retention.check.interval.ms

on_kafka() { # STEPS PROPS...
  local steps=$1
  shift
  "$PEERS/kafka.sh" start --port "$kafka_port" --data "$work/kafka" --prop "$keep_groups=86400000" "$@" >/dev/null
  server=kafka at=127.0.0.1:$kafka_port
  "$steps"
  "$PEERS/kafka.sh" wipe --port "$kafka_port" --data "$work/kafka" >/dev/null 2>&1
}

on_bd() { # STEPS ARGS...
  local steps=$1
  shift
  start_bd "$results/bd-$steps.log" "$bd" up --data "$work/$steps" --roles cluster \
    --set "broker={$keep_groups: 86400000}" "$@"
  server=bd at=$(bd_at "$results/bd-$steps.log" cluster)
  "$steps"
  stop_bd
}

printf '%s\n' k1:a k2:b k3:c k4:d k5:e k6:f k7:g k8:h >"$work/lines"
printf '%s\n' only:one >"$work/line"
echo '{"version":1,"partitions":[{"topic":"plain","partition":0,"offset":1}]}' >"$work/delete.json"
mkdir -p "$results/kafka" "$results/bd"
if [ "${REUSE:-}" != 1 ]; then
  echo kafka >&2
  on_kafka steps
  on_kafka guarded_steps --prop authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer \
    --prop super.users=User:ANONYMOUS
fi
echo bd >&2
on_bd steps
on_bd guarded_steps --set authorizer=on --set super.users=User:ANONYMOUS

same=0 known=0 different=0
for file in "$results"/bd/*.code; do
  name=$(basename "$file" .code)
  reason=$(sed -n "s/^$name: //p" "$here/kafka-tools.differences")
  if diff -u <(printed kafka "$name") <(printed bd "$name") >"$results/$name.diff"; then
    rm "$results/$name.diff"
    if [ -n "$reason" ]; then
      different=$((different + 1))
      echo "$name is the same, but kafka-tools.differences tells otherwise: $reason"
    else
      same=$((same + 1))
    fi
  elif [ -n "$reason" ]; then
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
