//! What a registry takes with many schemas: the time to load them, the memory they need, how long a get by id and a registration
//! take. `cargo run --release -p bd-registry --example capacity [SCHEMAS]`; 100 000 by default, a few fields each.
#![allow(clippy::print_stdout, reason = "prints what it measures")]

use bd_broker::{Broker, BrokerConfig};
use bd_cluster::{Cluster, NewTopic, RecordsBuilder, TopicPartition, WriterConfig};
use bd_cluster_embedded::EmbeddedCluster;
use bd_registry::{Registry, RegistryConfig};
use bd_schema::{NewSchema, SchemaRegistry};
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn schema(i: usize) -> String {
    let fields: Vec<String> = (0..8)
        .map(|f| format!(r#"{{"name":"field_{f}_{i}","type":["null","string"],"default":null}}"#))
        .collect();
    format!(
        r#"{{"type":"record","name":"Record{i}","namespace":"org.example","fields":[{}]}}"#,
        fields.join(",")
    )
}

/// Records as a registry would have written them, without a registration each.
fn fill(cluster: &dyn Cluster, count: usize) -> Result<(), Box<dyn Error>> {
    cluster.create_topic(&NewTopic::new("_schemas", 1).with("cleanup.policy", "compact"))?;
    let mut writer = cluster.open_writer(WriterConfig::default())?;
    let partition = TopicPartition::new("_schemas", 0);
    let mut batch = RecordsBuilder::new();
    for i in 1..=count {
        let key = format!(r#"{{"keytype":"SCHEMA","subject":"topic-{i}-value","version":1,"magic":1}}"#);
        let value = serde_json::json!({
            "subject": format!("topic-{i}-value"), "version": 1, "id": i, "schemaType": "AVRO",
            "schema": schema(i), "deleted": false,
        });
        batch.push(Some(key.as_bytes()), Some(value.to_string().as_bytes()), 1, &[]);
        if batch.bytes() > 500_000 || i == count {
            writer.append(&partition, std::mem::take(&mut batch))?.wait(Duration::from_secs(30))?;
        }
    }
    Ok(())
}

/// Resident memory in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|l| l.trim().trim_end_matches(" kB").parse::<usize>().ok()).unwrap_or(0) * 1024
}

fn percentiles(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    println!("{what}: p50 {:?}, p99 {:?}, of {}", at(50), at(99), times.len());
}

fn main() -> Result<(), Box<dyn Error>> {
    let count = std::env::args().nth(1).map_or(Ok(100_000), |n| n.parse())?;
    let dir = tempfile::tempdir()?;
    let cluster: Arc<dyn Cluster> =
        Arc::new(EmbeddedCluster::new(Broker::open(BrokerConfig::new(dir.path()))?));
    fill(cluster.as_ref(), count)?;
    let before = resident();
    let start = Instant::now();
    let registry = Registry::open(cluster, &RegistryConfig::default())?;
    println!("{count} schemas: loaded in {:?}", start.elapsed());
    println!("resident: {} MB more than before", resident().saturating_sub(before) >> 20);
    let time = |f: &dyn Fn(usize) -> bool, n: usize| {
        (0..n)
            .map(|i| {
                let start = Instant::now();
                assert!(f(i), "call {i} failed");
                start.elapsed()
            })
            .collect::<Vec<_>>()
    };
    let get = |i: usize| registry.schema((i * 7919 % count + 1) as u32).is_ok();
    percentiles("schema by id", time(&get, 20_000));
    let again = |i: usize| {
        let i = i * 7919 % count + 1;
        registry.register(&format!("topic-{i}-value"), &NewSchema::avro(schema(i))).is_ok()
    };
    percentiles("register, there already", time(&again, 5_000));
    let new =
        |i: usize| registry.register(&format!("new-{i}"), &NewSchema::avro(schema(count + 1 + i))).is_ok();
    percentiles("register, new", time(&new, 500));
    Ok(())
}
