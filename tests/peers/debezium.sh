#!/usr/bin/env bash
# debezium.sh BD: Debezium's change events in Avro. MariaDB's rows go through Kafka Connect with Debezium and Apicurio's Avro converter, which
# writes Confluent's framing, into bd's broker. The converter registers at Apicurio's registry, as it does not speak Confluent's REST; its
# schemas are then moved to bd's registry with their ids. bd decodes the events by its own: on the command line, in SQL, and to rows that
# are encoded to the same bytes, under schemas that are as Connect's metadata was.
# PEERS: the folder with mariadb.sh, connect.sh and apicurio.sh (default ../shared/peers beside this repository).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=tests/peers/ports.sh
. tests/peers/ports.sh
BD=$(realpath "${1:?debezium.sh BD}")
PEERS=${PEERS:-../shared/peers}
DATA=$(mktemp -d)
BD_PID=

finish() {
  if [ -n "$BD_PID" ]; then
    kill "$BD_PID" 2>/dev/null || true
    wait "$BD_PID" || true
  fi
  local name
  for name in connect apicurio mariadb; do
    if [ -n "${PORTS[$name]:-}" ]; then
      "$PEERS/$name.sh" wipe --port "${PORTS[$name]}" --data "$DATA/$name" >&2 || true
    fi
  done
  rm -rf "$DATA"
}
declare -A PORTS=()
trap finish EXIT

start() { # NAME [OPTION...]
  local name=$1
  shift
  PORTS[$name]=$(free_port)
  "$PEERS/$name.sh" start --port "${PORTS[$name]}" --data "$DATA/$name" "$@" >&2
}

sql() { "$PEERS/mariadb.sh" sql --port "${PORTS[mariadb]}" bd -e "$1"; }

# Decoded records of the table's topic, each a line of JSON, once there are so many.
events() { # COUNT [OPTION...]
  timeout 90 "$BD" consume demo.bd.customers --bootstrap "$CLUSTER" --from-beginning --max "$1" "${@:2}"
}

"$BD" up --roles cluster,registry,engine --free-ports --data "$DATA/bd" >"$DATA/bd.out" &
BD_PID=$!
for _ in $(seq 100); do
  if grep -q '^metrics' "$DATA/bd.out"; then break; fi
  sleep 0.1
done
role() { awk -v role="$1" '$1 == role { print $2 }' "$DATA/bd.out"; }
CLUSTER=$(role cluster) REGISTRY=$(role registry) ENGINE=$(role engine)
"$BD" topics create demo.bd.customers --bootstrap "$CLUSTER" >/dev/null
start mariadb --server-id 100 --full-metadata
start apicurio
start connect --bootstrap "$CLUSTER" --heap 512m

sql "CREATE TABLE customers (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(40) NOT NULL DEFAULT 'nobody',
       balance DECIMAL(10,2) DEFAULT 1.50, born DATE, seen TIMESTAMP(3) NULL, kind ENUM('a','b') DEFAULT 'a');
     INSERT INTO customers VALUES (1, 'Ada', 10.50, '1815-12-10', '2026-01-02 03:04:05.678', 'b')"
converter() { # key|value
  cat <<EOF
  "$1.converter": "io.apicurio.registry.utils.converter.AvroConverter",
  "$1.converter.apicurio.registry.url": "http://127.0.0.1:${PORTS[apicurio]}/apis/registry/v2",
  "$1.converter.apicurio.registry.auto-register": "true",
  "$1.converter.apicurio.registry.find-latest": "true",
  "$1.converter.apicurio.registry.as-confluent": "true",
  "$1.converter.apicurio.registry.use-id": "contentId",
  "$1.converter.apicurio.registry.headers.enabled": "false",
EOF
}
"$PEERS/connect.sh" put demo - --port "${PORTS[connect]}" >&2 <<EOF
{
$(converter key)
$(converter value)
  "connector.class": "io.debezium.connector.mariadb.MariaDbConnector",
  "database.hostname": "127.0.0.1",
  "database.port": "${PORTS[mariadb]}",
  "database.user": "bd",
  "database.password": "bd",
  "database.server.id": "4711",
  "topic.prefix": "demo",
  "table.include.list": "bd.customers",
  "column.propagate.source.type": ".*",
  "schema.history.internal.kafka.bootstrap.servers": "$CLUSTER",
  "schema.history.internal.kafka.topic": "demo-history"
}
EOF
events 1 >/dev/null # the snapshot's; after it the binlog is followed
sql "INSERT INTO customers (name) VALUES ('Blaise'); UPDATE customers SET balance = -1.25 WHERE id = 1;
     ALTER TABLE customers ADD COLUMN city VARCHAR(20) DEFAULT 'Paris';
     INSERT INTO customers (name) VALUES ('Blaise'); DELETE FROM customers WHERE id = 2"
events 6 --format hex >"$DATA/records.jsonl"

BD_URL=$REGISTRY APICURIO=http://127.0.0.1:${PORTS[apicurio]}/apis/ccompat/v7 python3 - <<'EOF'
"""Moves all schemas with their ids: import mode, as Confluent's documents say."""
import json, os, urllib.parse, urllib.request


def ask(url, method="GET", body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    return json.load(urllib.request.urlopen(request, timeout=30))


bd, apicurio = os.environ["BD_URL"], os.environ["APICURIO"]
ask(f"{bd}/mode", "PUT", {"mode": "IMPORT"})
moved = set()


def move(subject, version):
    if (subject, version) in moved:
        return
    moved.add((subject, version))
    path = f"/subjects/{urllib.parse.quote(subject, safe='')}/versions"
    found = ask(f"{apicurio}{path}/{version}")
    references = found.get("references") or []
    for to in references:
        move(to["subject"], to["version"])
    wanted = {"id": found["id"], "version": version, "schema": found["schema"], "references": references}
    assert ask(f"{bd}{path}", "POST", wanted)["id"] == found["id"]


for subject in ask(f"{apicurio}/subjects"):
    for version in ask(f"{apicurio}/subjects/{urllib.parse.quote(subject, safe='')}/versions"):
        move(subject, version)
ask(f"{bd}/mode", "PUT", {"mode": "READWRITE"})
print(f"{len(moved)} schemas moved with their ids")
EOF

events 6 --registry "$REGISTRY" --format json >"$DATA/decoded.jsonl"
python3 - "$DATA/decoded.jsonl" <<'EOF'
import json, sys

events = [json.loads(line) for line in open(sys.argv[1])]
of = lambda event: event["value"] and (event["value"]["op"], event["key"]["id"])
assert [of(e) for e in events] == [("r", 1), ("c", 2), ("u", 1), ("c", 3), ("d", 2), None], events
names = [(e["value"]["after"] or e["value"]["before"])["name"] for e in events[:5]]
assert names == ["Ada", "Blaise", "Ada", "Blaise", "Blaise"], names
first, third = events[0]["value"]["after"], events[3]["value"]["after"]
assert str(first["balance"]) in ("10.5", "10.50") and first["kind"] == "b", first
assert "city" not in first and third["city"] == "Paris", (first, third)
print("bd consume: 6 events decoded, of two schemas")
EOF

ask_sql() { # PATH STATEMENT
  local body="{\"ksql\": \"$2\", \"streamsProperties\": {\"auto.offset.reset\": \"earliest\"}}"
  curl -sS --fail-with-body --max-time 60 -H 'Content-Type: application/json' --data-binary "$body" "$ENGINE/$1"
}
columns="op VARCHAR, after STRUCT<id INT, name VARCHAR, balance DECIMAL(10, 2)>"
ask_sql ksql "CREATE STREAM changes ($columns) WITH (KAFKA_TOPIC='demo.bd.customers', VALUE_FORMAT='AVRO');" >/dev/null
rows=$(ask_sql query "SELECT op, after->name, after->balance FROM changes EMIT CHANGES LIMIT 4;")
for wanted in '"r","Ada",10.50' '"c","Blaise",1.50' '"u","Ada",-1.25'; do
  if [[ ${rows// /} != *"$wanted"* ]]; then
    echo "debezium: SQL does not give $wanted: $rows" >&2
    exit 1
  fi
done
echo "SQL: rows decoded by the registry's schemas"

BD_PEER_REGISTRY=$REGISTRY BD_PEER_RECORDS=$DATA/records.jsonl \
  cargo test --package bd-schema --features peers --test debezium
