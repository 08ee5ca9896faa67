//! Through the worker into topics: flattened, with tombstones, as JSON and as Confluent Avro.

use crate::server::Server;
use crate::world::PATIENCE;
use bd_broker::{Broker, BrokerConfig};
use bd_cluster::{Cluster, Isolation, OffsetSpec, ReaderConfig, TopicPartition};
use bd_cluster_embedded::EmbeddedCluster;
use bd_connect::{Worker, WorkerConfig};
use bd_schema::{NewSchema, RegisteredSchema, RegistryError, SchemaRegistry, SchemaText};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Schemas in memory, by subject and id.
#[derive(Default)]
struct Registry(Mutex<Vec<(String, String)>>);

impl SchemaRegistry for Registry {
    fn schema(&self, id: u32) -> Result<Arc<SchemaText>, RegistryError> {
        let all = self.0.lock().unwrap();
        all.get(id as usize)
            .map(|(_, s)| Arc::new(SchemaText::avro(s.as_str())))
            .ok_or(RegistryError::UnknownId(id))
    }

    fn register(&self, subject: &str, schema: &NewSchema) -> Result<u32, RegistryError> {
        let mut all = self.0.lock().unwrap();
        let entry = (subject.to_owned(), schema.text.to_string());
        let known = all.iter().position(|e| *e == entry).unwrap_or_else(|| {
            all.push(entry);
            all.len() - 1
        });
        Ok(u32::try_from(known).unwrap())
    }

    fn latest(&self, subject: &str) -> Result<Option<RegisteredSchema>, RegistryError> {
        let all = self.0.lock().unwrap();
        let found = all.iter().enumerate().rfind(|(_, (s, _))| s == subject);
        Ok(found.map(|(i, (_, s))| RegisteredSchema {
            id: u32::try_from(i).unwrap(),
            version: 1,
            schema: Arc::new(SchemaText::avro(s.as_str())),
        }))
    }
}

/// Key and value of each record of a topic's partition 0.
fn read(cluster: &dyn Cluster, topic: &str) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    let at = TopicPartition::new(topic, 0);
    let Ok(end) = cluster.offset(&at, OffsetSpec::Stable) else { return Vec::new() };
    let config = ReaderConfig { isolation: Isolation::ReadCommitted, client_id: "test".into() };
    let mut reader = cluster.open_reader(config).unwrap();
    reader.assign(&at, cluster.offset(&at, OffsetSpec::Earliest).unwrap()).unwrap();
    let mut all = Vec::new();
    while reader.position(&at).unwrap() < end {
        let Some(records) = reader.poll(1 << 20, Duration::from_secs(5)).unwrap() else { break };
        all.extend(records.iter().map(|r| (r.key.unwrap_or_default().to_vec(), r.value.map(<[u8]>::to_vec))));
    }
    all
}

/// What the tasks say.
fn statuses(cluster: &dyn Cluster) -> Vec<String> {
    let text = |(_, value): (Vec<u8>, Option<Vec<u8>>)| String::from_utf8(value.unwrap_or_default()).unwrap();
    read(cluster, "connect-status").into_iter().map(text).collect()
}

fn until_count(cluster: &dyn Cluster, topic: &str, count: usize) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let records = read(cluster, topic);
        if records.len() >= count {
            assert_eq!(records.len(), count);
            return records;
        }
        let late = Instant::now() > deadline;
        assert!(!late, "{topic} has {} of {count} records; {:#?}", records.len(), statuses(cluster));
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

fn config(server: &Server, prefix: &str, more: &[(&str, &str)]) -> BTreeMap<String, String> {
    let port = server.port.to_string();
    let base = [
        ("connector.class", "io.debezium.connector.mysql.MySqlConnector"),
        ("database.hostname", "127.0.0.1"),
        ("database.port", &port),
        ("database.user", "bd"),
        ("database.password", "bd"),
        ("topic.prefix", prefix),
        ("table.include.list", r"tv\.users"),
        ("schema.history.internal.kafka.topic", "not needed"),
        ("transforms", "unwrap"),
        ("transforms.unwrap.type", "io.debezium.transforms.ExtractNewRecordState"),
        ("transforms.unwrap.delete.tombstone.handling.mode", "tombstone"),
    ];
    base.iter().chain(more).map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

#[test]
fn rows_reach_topics_flat_with_tombstones_as_json_and_as_avro() {
    let server = Server::start();
    server.sql(
        "CREATE TABLE users (user_id INT PRIMARY KEY, name VARCHAR(50), age INT, gender CHAR(1), at TIMESTAMP(3) NOT NULL);
SET time_zone = '+00:00';
INSERT INTO users VALUES (45, 'ketan', 55, 'M', '2018-06-20 06:37:03.5'), (46, 'vihaan', 18, 'M', '2018-06-20 06:37:03')",
    );
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::open(BrokerConfig::new(dir.path())).unwrap();
    let cluster: Arc<dyn Cluster> = Arc::new(EmbeddedCluster::new(broker));
    let registry = Arc::new(Registry::default());
    let open = || {
        let registry: Arc<dyn SchemaRegistry> = registry.clone();
        let plugins = bd_connectors::mysql::plugins();
        Worker::open(cluster.clone(), plugins, Some(registry), WorkerConfig::default()).unwrap()
    };
    let worker = open();
    let json_converter = "org.apache.kafka.connect.json.JsonConverter";
    let json_keys = [
        ("key.converter", json_converter),
        ("key.converter.schemas.enable", "false"),
        ("value.converter", json_converter),
        ("value.converter.schemas.enable", "false"),
    ];
    let avro = "io.confluent.connect.avro.AvroConverter";
    let avro_keys = [("key.converter", avro), ("value.converter", avro)];
    worker.ensure("json", config(&server, "json", &json_keys)).unwrap();
    worker.ensure("avro", config(&server, "avro", &avro_keys)).unwrap();
    until_count(&*cluster, "json.tv.users", 2);
    until_count(&*cluster, "avro.tv.users", 2);
    server
        .sql("UPDATE users SET age = 56, at = at WHERE user_id = 45;\nDELETE FROM users WHERE user_id = 46");
    until_count(&*cluster, "json.tv.users", 4);
    // The connectors go on from their offsets.
    worker.close();
    drop(worker);
    server.sql("UPDATE users SET user_id = 47, at = at WHERE user_id = 45");
    let worker = open();
    let records = until_count(&*cluster, "json.tv.users", 6);
    let text = |bytes: &[u8]| serde_json::from_slice::<Json>(bytes).unwrap();
    let rows: Vec<(Json, Json)> =
        records.iter().map(|(k, v)| (text(k), v.as_deref().map_or(Json::Null, text))).collect();
    let row = |id: i32, name: &str, age: i32, at: &str| {
        let row = json!({"user_id": id, "name": name, "age": age, "gender": "M", "at": at});
        (json!({"user_id": id}), row)
    };
    let expected = [
        row(45, "ketan", 55, "2018-06-20T06:37:03.500Z"),
        row(46, "vihaan", 18, "2018-06-20T06:37:03.000Z"),
        row(45, "ketan", 56, "2018-06-20T06:37:03.500Z"),
        (json!({"user_id": 46}), Json::Null),
        (json!({"user_id": 45}), Json::Null),
        row(47, "ketan", 56, "2018-06-20T06:37:03.500Z"),
    ];
    assert_eq!(rows, expected);

    let avro = until_count(&*cluster, "avro.tv.users", 6);
    assert!(avro.iter().all(|(key, value)| key[0] == 0 && value.as_ref().is_none_or(|v| v[0] == 0)));
    assert_eq!(avro.iter().filter(|(_, value)| value.is_none()).count(), 2);
    let latest = |subject: &str| text(registry.latest(subject).unwrap().unwrap().schema.text.as_bytes());
    let value = latest("avro.tv.users-value");
    assert_eq!((&value["name"], &value["namespace"]), (&json!("Value"), &json!("avro.tv.users")));
    assert_eq!(latest("avro.tv.users-key")["name"], json!("Key"));
    let at = value["fields"].as_array().unwrap().iter().find(|f| f["name"] == "at").unwrap();
    assert_eq!(at["type"]["connect.name"], json!("io.debezium.time.ZonedTimestamp"), "{at}");
    worker.close();
}
