#!/usr/bin/env bash
# librdkafka.sh SOURCE BD [TEST...]: runs librdkafka's own test suite against bd.
# SOURCE is a checkout of the public repository confluentinc/librdkafka; it is built there (a C++ compiler, libssl-dev and
# zlib1g-dev). Without TEST (such as 0004 0011) all run that need a broker, each in a process of its own with a time limit
# (TEST_SECONDS, 300). Prints a line a test, then the counts; logs go to $RESULTS (a temporary folder). BROKER=host:port takes
# a server that runs, PROTOCOL=consumer the new consumer groups (KIP-848).
set -euo pipefail
source_dir=$(cd "$1" && pwd) bd=$2
shift 2
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=scripts/bd.sh
. scripts/bd.sh
results=${RESULTS:-$(mktemp -d)}
mkdir -p "$results"
work=$(mktemp -d)
trap 'stop_bd; rm -rf "$work"' EXIT

if [ ! -x "$source_dir/tests/test-runner" ]; then
  echo "building librdkafka's tests in $source_dir" >&2
  (cd "$source_dir" && ./configure --disable-gssapi && make -j"$(nproc)" libs && make -C tests -j"$(nproc)" build) >"$results/build.log" 2>&1 ||
    { tail -20 "$results/build.log" >&2; exit 1; }
fi

if [ -z "${BROKER:-}" ]; then
  start_bd "$results/bd.log" "$bd" up --data "$work/data" --roles cluster --set num.partitions=4 \
    --set authorizer=on --set allow.everyone.if.no.acl.found=true \
    --set 'broker={group.initial.rebalance.delay.ms: 500}' # 0118 wants two members in the first generation
  BROKER=$(bd_at "$results/bd.log" cluster)
fi
printf 'bootstrap.servers=%s\ntest.topic.random=true\n' "$BROKER" >"$work/test.conf"

# Some tests call scripts of a Kafka distribution.
mkdir -p "$work/kafka/bin"
for tool in topics acls configs; do
  printf '#!/bin/sh\nexec "%s/kafka.sh" tool %s "$@"\n' "$(cd "${PEERS:-../shared/peers}" && pwd)" $tool >"$work/kafka/bin/kafka-$tool.sh"
done
chmod +x "$work"/kafka/bin/*

tests=("$@")
if [ ${#tests[@]} = 0 ]; then
  mapfile -t tests < <(cd "$source_dir/tests" && printf '%s\n' 0[0-9][0-9][0-9]-*.c* | cut -c1-4 | sort -u)
fi
declare -A count=([pass]=0 [fail]=0 [skip]=0)
for test in "${tests[@]}"; do
  log=$results/$test.log
  started=$SECONDS
  (cd "$source_dir/tests" &&
    RDKAFKA_TEST_CONF="$work/test.conf" KAFKA_PATH="$work/kafka" BROKERS="$BROKER" TESTS=$test TEST_KAFKA_VERSION=4.1.0 \
      TEST_CONSUMER_GROUP_PROTOCOL="${PROTOCOL:-classic}" LD_LIBRARY_PATH=../src:../src-cpp \
      timeout "${TEST_SECONDS:-300}" ./test-runner -p1 -Q -E -L) >"$log" 2>&1 && code=0 || code=$?
  if grep -qE "\\b$test[_0-9a-z]* .*SKIPPED" "$log" && ! grep -qE "\\b$test[_0-9a-z]* .*(PASSED|FAILED) \\|" "$log"; then
    verdict=skip
  elif [ $code = 0 ]; then
    verdict=pass
  else
    verdict=fail
  fi
  count[$verdict]=$((count[$verdict] + 1))
  echo "$test $verdict ($((SECONDS - started)) s)"
done
echo "librdkafka: ${count[pass]} passed, ${count[fail]} failed, ${count[skip]} skipped; logs in $results"
[ "${count[fail]}" = 0 ]
