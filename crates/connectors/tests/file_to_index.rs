//! Files to a topic to an index: the connectors in a worker on a cluster, which is stopped and started again in between.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

#[path = "elasticsearch/server.rs"]
mod server;

use bd_broker::{Broker, BrokerConfig};
use bd_cluster::{Cluster, OffsetSpec, TopicPartition};
use bd_cluster_embedded::EmbeddedCluster;
use bd_connect::{Worker, WorkerConfig};
use serde_json::Value as Json;
use server::{Act, Server};
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn worker(cluster: &Arc<dyn Cluster>) -> Worker {
    let plugins = [bd_connectors::files::plugins(), bd_connectors::elasticsearch::plugins()].concat();
    let config = WorkerConfig {
        min_backoff: Duration::from_millis(5),
        offset_flush_interval: Duration::from_millis(20),
        ..WorkerConfig::default()
    };
    Worker::open(Arc::clone(cluster), plugins, None, config).unwrap()
}

fn config(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

/// Lines `n` of that range, one of them broken.
fn append(path: &Path, range: std::ops::Range<usize>) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    for n in range.clone() {
        writeln!(file, "{{\"id\":{n},\"name\":\"row {n}\"}}").unwrap();
        if n == range.start {
            writeln!(file, "{{\"id\":\"none\"}}").unwrap();
        }
    }
}

/// The documents that the server got, by id; the same id never with another document.
fn documents(server: &Server) -> BTreeMap<String, Json> {
    let mut documents = BTreeMap::new();
    for bulk in server.requests("POST") {
        let lines = bulk.lines();
        for pair in lines.chunks(2) {
            let id = pair[0].pointer("/create/_id").unwrap().as_str().unwrap().to_owned();
            let known = documents.insert(id, pair[1].clone());
            assert!(known.is_none_or(|known| known == pair[1]));
        }
    }
    documents
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn each_line_is_one_record_and_one_document_over_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::open(BrokerConfig::new(dir.path().join("data"))).unwrap();
    let cluster: Arc<dyn Cluster> = Arc::new(EmbeddedCluster::new(broker));
    let file = dir.path().join("rows.jsonl");
    append(&file, 0..3000);
    // The first requests fail, so that documents are sent again.
    let server = Server::start(vec![Act::Items(vec![201, 429, 201]), Act::Whole(503, "", "{}"), Act::Close]);
    let source = config(&[
        ("connector.class", "bd.FileSourceConnector"),
        ("file", file.to_str().unwrap()),
        ("topic", "rows"),
        ("schema", "id BIGINT, name VARCHAR"),
        ("key.fields", "id"),
        ("batch.size", "100"),
        ("poll.interval.ms", "5"),
        ("errors.tolerance", "all"),
        ("errors.deadletterqueue.topic.name", "dead"),
        ("errors.deadletterqueue.context.headers.enable", "true"),
    ]);
    let sink = config(&[
        ("connector.class", "ElasticsearchSink"),
        ("connection.url", &server.url),
        ("topics", "rows"),
        ("key.ignore", "true"),
        ("schema.ignore", "true"),
        ("retry.backoff.ms", "1"),
    ]);
    let first = worker(&cluster);
    first.ensure("source", source).unwrap();
    first.ensure("sink", sink).unwrap();
    until("some documents", || documents(&server).len() > 300);
    first.close();
    let second = worker(&cluster);
    until("the first documents", || documents(&server).len() >= 3000);
    append(&file, 3000..3100);
    until("all documents", || documents(&server).len() >= 3100);
    second.close();
    let mut ids: Vec<u64> = documents(&server).values().map(|d| d["id"].as_u64().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..3100).collect::<Vec<u64>>(), "no line is lost or there twice");
    let dead = cluster.offset(&TopicPartition::new("dead", 0), OffsetSpec::Latest).unwrap();
    assert!(dead >= 2, "both broken lines are dead letters");
}
