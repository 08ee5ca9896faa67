//! Keys and values in Avro, with the schemas in the registry that keeps them on the same log.

use bd_e2e::small::{Rec, Small, pushed};
use bd_engine::runtime::query::QueryConfig;
use bd_engine::runtime::status::QueryState;
use bd_schema::RecordShape;
use bd_schema::{
    AvroCodec, AvroReader, Codec, Codecs, DataType, Field, NewSchema, RegisteredSchema, RegistryError, Role,
    Row, Schema, SchemaRegistry, SchemaText, Value,
};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The registry on the log, which can be made unreachable.
#[derive(Default)]
struct Line {
    registry: OnceLock<Arc<dyn SchemaRegistry>>,
    cut: AtomicBool,
    refused: AtomicU32,
}

impl Line {
    fn through(&self) -> Result<&Arc<dyn SchemaRegistry>, RegistryError> {
        let away = || RegistryError::Unavailable { at: "http://there".into(), reason: "refused".into() };
        if self.cut.load(Ordering::SeqCst) {
            self.refused.fetch_add(1, Ordering::SeqCst);
            return Err(away());
        }
        self.registry.get().ok_or_else(away)
    }
}

impl SchemaRegistry for Line {
    fn schema(&self, id: u32) -> Result<Arc<SchemaText>, RegistryError> {
        self.through()?.schema(id)
    }

    fn register(&self, subject: &str, schema: &NewSchema) -> Result<u32, RegistryError> {
        self.through()?.register(subject, schema)
    }

    fn latest(&self, subject: &str) -> Result<Option<RegisteredSchema>, RegistryError> {
        self.through()?.latest(subject)
    }
}

struct World {
    small: Small,
    line: Arc<Line>,
}

impl World {
    fn new() -> Self {
        let line = Arc::new(Line::default());
        let small = Small::with(QueryConfig {
            commit_interval: Duration::from_millis(5),
            codecs: Codecs::new(Some(line.clone())),
            ..QueryConfig::default()
        });
        let registry: Arc<dyn SchemaRegistry> = bd_e2e::registry(&small.cluster).unwrap();
        line.registry.set(registry).ok().unwrap();
        Self { small, line }
    }

    /// What a producer with this schema writes.
    fn bytes(&self, subject: &str, avro: &str, fields: &[(&str, DataType)], row: Row) -> Vec<u8> {
        let schema = Schema::new(fields.iter().map(|(n, t)| Field::new(*n, t.clone())).collect());
        let role = if subject.ends_with("-key") { Role::Key } else { Role::Value };
        let codec = AvroCodec::with_declaration(self.line.clone(), subject, schema, role, avro).unwrap();
        let mut out = Vec::new();
        codec.encode_row(&row, &mut out).unwrap();
        out
    }

    fn read(&self, bytes: &[u8]) -> (Arc<RecordShape>, Row) {
        AvroReader::new(self.line.clone()).decode(bytes).unwrap()
    }

    fn values(&self, topic: &str, rows: usize) -> Vec<Row> {
        let records = self.small.wait_rows(topic, rows);
        records.iter().map(|r| self.read(r.value.as_deref().unwrap()).1).collect()
    }

    /// Waits until the engine has tried and failed to reach the registry.
    fn wait_refused(&self, query: &str, more: u32) {
        let wanted = self.line.refused.load(Ordering::SeqCst) + more;
        self.small
            .wait_query(query, "asks the registry", |_| self.line.refused.load(Ordering::SeqCst) >= wanted);
    }
}

const USERS: &str = "CREATE TABLE users (user_id BIGINT PRIMARY KEY, name VARCHAR, age INTEGER) \
    WITH (kafka_topic = 'tv.tv.users', format = 'AVRO', partitions = 1);";
const USER_KEY: &str =
    r#"{"type":"record","name":"Key","namespace":"tv.tv.users","fields":[{"name":"user_id","type":"int"}]}"#;
const USER: &str = r#"{"type":"record","name":"Value","namespace":"tv.tv.users","fields":[
    {"name":"user_id","type":"int"},{"name":"name","type":"string"},{"name":"mail","type":["null","string"],"default":null},
    {"name":"age","type":["null",{"type":"int","connect.type":"int16"}],"default":null}]}"#;

fn text(s: &str) -> Value {
    Value::Varchar(s.into())
}

/// A row of a users table, as a change-capturing connector writes it.
fn user(world: &World, id: i32, name: &str, age: i32) -> Rec {
    let key = [("user_id", DataType::Integer)];
    let value = [("user_id", DataType::Integer), ("name", DataType::Varchar), ("age", DataType::Integer)];
    let row = vec![Value::Integer(id), text(name), Value::Integer(age)];
    Rec {
        key: Some(world.bytes("tv.tv.users-key", USER_KEY, &key, vec![Value::Integer(id)])),
        value: Some(world.bytes("tv.tv.users-value", USER, &value, row)),
        ..Rec::default()
    }
}

#[test]
fn a_table_of_avro_keys_and_values_is_pulled_looked_up_and_derived_from_tombstones_included() {
    let mut world = World::new();
    let small = &world.small;
    small.sql(USERS);
    small.sql(
        "CREATE STREAM s (user_id BIGINT, n BIGINT) WITH (kafka_topic = 's', value_format = 'AVRO', partitions = 1);
         CREATE TABLE adults WITH (value_format = 'AVRO') AS SELECT user_id, name FROM users WHERE age >= 18 EMIT CHANGES;
         CREATE STREAM j WITH (value_format = 'AVRO') AS SELECT s.n AS n, u.name AS name FROM s JOIN users u ON s.user_id = u.user_id EMIT CHANGES;",
    );
    let (ann, bob, cy) = (user(&world, 1, "Ann", 34), user(&world, 2, "Bob", 17), user(&world, 3, "Cy", 50));
    small.put("tv.tv.users", &[ann.clone(), bob, cy]);
    let all = "SELECT user_id, name FROM users ORDER BY user_id;";
    let row = |id: i64, name: &str| vec![Value::BigInt(id), text(name)];
    assert_eq!(small.pull(all), [row(1, "Ann"), row(2, "Bob"), row(3, "Cy")]);
    small.put("tv.tv.users", &[ann.tombstone(), user(&world, 3, "Cyril", 50)]);
    assert_eq!(small.pull(all), [row(2, "Bob"), row(3, "Cyril")]);

    // The derived table's key is Avro as its source's, and bare; its tombstone removes the row.
    let records = small.wait_rows("adults", 2);
    let (shape, key) = world.read(records[0].key.as_deref().unwrap());
    assert!(shape.single && matches!(key[0], Value::BigInt(_)), "{shape:?} {key:?}");
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while small.pull("SELECT user_id, name FROM adults;") != [row(3, "Cyril")] {
        assert!(std::time::Instant::now() < deadline);
    }
    let latest = world.line.latest("adults-value").unwrap().unwrap();
    assert!(latest.schema.text.contains("KsqlDataSourceSchema"), "{latest:?}");

    small.sql("INSERT INTO s (user_id, n) VALUES (3, 7); INSERT INTO s (user_id, n) VALUES (1, 8);");
    small.sql("INSERT INTO s (user_id, n) VALUES (2, 9);");
    assert_eq!(world.values("j", 2), [[Value::BigInt(7), text("Cyril")], [Value::BigInt(9), text("Bob")]]);
    assert_eq!(small.wait_rows("tv.tv.users-dlq", 0).len(), 0);

    world.small.reopen();
    assert_eq!(world.small.pull(all), [row(2, "Bob"), row(3, "Cyril")]);
}

#[test]
fn rows_are_inserted_in_avro_and_streams_go_on_in_it() {
    let world = World::new();
    world.small.sql(
        "CREATE STREAM s (k VARCHAR KEY, id BIGINT, at TIMESTAMP, price DECIMAL(10, 2), tags ARRAY<VARCHAR>) \
            WITH (kafka_topic = 's', format = 'AVRO', partitions = 1);
         CREATE STREAM a WITH (value_format = 'AVRO') AS SELECT k, id + 1 AS id, at, price, tags FROM s EMIT CHANGES;
         INSERT INTO s (k, id, at, price, tags) VALUES ('x', 1, '2021-02-01T23:55:47', 12.50, ARRAY['a', NULL]);
         INSERT INTO s (k, id) VALUES ('y', 2);",
    );
    let tags = Value::Array(vec![text("a"), Value::Null]);
    let at = Value::Timestamp(1_612_223_747_000);
    assert_eq!(
        world.values("a", 2),
        [
            vec![Value::BigInt(2), at, Value::Decimal(1250), tags],
            vec![Value::BigInt(3), Value::Null, Value::Null, Value::Null],
        ]
    );
    let key = world.small.wait_rows("a", 2)[0].key.clone().unwrap();
    assert_eq!(world.read(&key).1, [text("x")]);
}

#[test]
fn records_that_are_no_avro_are_dead_letters_with_their_reasons() {
    let world = World::new();
    let small = &world.small;
    small.sql(
        "CREATE STREAM s (id BIGINT) WITH (kafka_topic = 's', value_format = 'AVRO', partitions = 1);
         CREATE STREAM a WITH (value_format = 'JSON') AS SELECT id FROM s EMIT CHANGES;
         INSERT INTO s (id) VALUES (1);",
    );
    let first = small.wait_rows("s", 1)[0].clone();
    let good = first.value.clone().unwrap();
    let of = |bytes: &[u8]| Rec { value: Some(bytes.to_vec()), ..first.clone() };
    let other = r#"{"type":"record","name":"Other","fields":[{"name":"ID","type":"string"}]}"#;
    let text_id = world.bytes("x-value", other, &[("ID", DataType::Varchar)], vec![text("one")]);
    small.put(
        "s",
        &[
            of(br#"{"id":1}"#),
            of(&[0, 0, 0, 0x27, 0x0f, 2]),
            of(&good[..good.len() - 1]),
            of(&text_id),
            of(&good),
        ],
    );
    assert_eq!(small.values("a", 2), [r#"{"id":1}"#; 2]);
    let dead = small.wait_rows("s-dlq", 4);
    let reasons: Vec<&str> =
        dead.iter().map(|r| r.header("__connect.errors.exception.message").unwrap()).collect();
    assert_eq!(
        reasons,
        [
            "value: no Avro record in Confluent's framing: magic byte 0 wanted, found 0x7b",
            "value: schema 9999 is not in the registry",
            "value, field id: the datum is cut short: 1 bytes wanted, 0 are left",
            "value, field id: BIGINT wanted, the writer's type is string",
        ]
    );
}

#[test]
fn while_the_registry_is_away_queries_wait_and_then_go_on_without_a_dead_letter() {
    let world = World::new();
    let small = &world.small;
    small.sql(
        "CREATE STREAM s (id BIGINT) WITH (kafka_topic = 's', value_format = 'AVRO', partitions = 1);
         CREATE STREAM j (id BIGINT) WITH (kafka_topic = 'j', value_format = 'JSON', partitions = 1);
         CREATE STREAM reads WITH (value_format = 'JSON') AS SELECT id FROM s EMIT CHANGES;
         CREATE STREAM writes WITH (value_format = 'AVRO') AS SELECT id FROM j EMIT CHANGES;",
    );
    let push = small.push("SELECT id FROM s EMIT CHANGES;", true);
    let value = |v| {
        let avro = r#"{"type":"record","name":"V","fields":[{"name":"id","type":"long"}]}"#;
        Rec {
            value: Some(world.bytes("s-value", avro, &[("id", DataType::BigInt)], vec![Value::BigInt(v)])),
            ..Rec::default()
        }
    };
    let (one, two) = (value(1), value(2));
    world.line.cut.store(true, Ordering::SeqCst);
    small.put("s", &[one]);
    small.put("j", &[bd_e2e::small::rec(r#"{"id":5}"#)]);
    world.wait_refused("reads", 10);
    for sink in ["reads", "writes"] {
        assert!(!matches!(small.query(sink).status.state(), QueryState::Error(_)), "{sink}");
    }
    let said = small.fails("INSERT INTO s (id) VALUES (9);");
    assert!(said.contains("the schema registry at http://there cannot be asked: refused"), "{said}");
    small.put("s", &[two]);

    world.line.cut.store(false, Ordering::SeqCst);
    assert_eq!(small.values("reads", 2), [r#"{"id":1}"#, r#"{"id":2}"#]);
    assert_eq!(world.values("writes", 1), [[Value::BigInt(5)]]);
    assert_eq!(pushed(&push, 2), [[Value::BigInt(1)], [Value::BigInt(2)]]);
    assert_eq!(small.wait_rows("s-dlq", 0).len(), 0);
}

#[test]
fn without_a_registry_avro_is_refused_by_name() {
    let small = Small::new();
    let said = small.fails(
        "CREATE STREAM s (id BIGINT) WITH (kafka_topic = 's', value_format = 'AVRO', partitions = 1);",
    );
    assert_eq!(said, "the value format AVRO needs a schema registry, and none is configured");
    assert_eq!(small.cluster.topic("s").unwrap(), None);
}

#[test]
fn a_null_key_is_null_in_a_stream_and_no_row_of_a_table_whatever_the_format() {
    for format in ["KAFKA", "AVRO", "JSON"] {
        let world = World::new();
        let small = &world.small;
        small.sql(&format!(
            "CREATE STREAM s (k BIGINT KEY, id BIGINT) WITH (kafka_topic = 's', key_format = '{format}', value_format = 'JSON', partitions = 1);
             CREATE STREAM p WITH (key_format = '{format}') AS SELECT id, k FROM s PARTITION BY k EMIT CHANGES;
             CREATE TABLE n WITH (key_format = '{format}') AS SELECT k, COUNT(*) AS c FROM s GROUP BY k EMIT CHANGES;
             INSERT INTO s (id) VALUES (1); INSERT INTO s (k, id) VALUES (7, 2); INSERT INTO s (id) VALUES (3);",
        ));
        small.drain();
        let keys = |topic, rows| {
            let records = small.wait_rows(topic, rows);
            records.iter().map(|r| r.key.clone()).collect::<Vec<_>>()
        };
        let seven = keys("s", 3)[1].clone();
        assert!(seven.is_some());
        assert_eq!(keys("s", 3), [None, seven.clone(), None], "{format}");
        assert_eq!(keys("p", 3), [None, seven.clone(), None], "{format}");
        assert_eq!(keys("n", 1), [seven], "{format}");
        assert_eq!(small.values("p", 3), [r#"{"id":1}"#, r#"{"id":2}"#, r#"{"id":3}"#], "{format}");
    }
}
