//! An engine over a log of its own, for tests of a few rows: statements in, records in and out, restarts between.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "what fails here fails the test that calls it"
)]

use crate::{PATIENCE, open_cluster};
use arrow_array::{RecordBatch, RecordBatchOptions};
use bd_cluster::{
    Ack, Cluster, NewTopic, OffsetSpec, ReaderConfig, RecordsBuilder, TopicPartition, WriterConfig,
};
use bd_engine::error::EngineError;
use bd_engine::runtime::engine::{Engine, Outcome, Query};
use bd_engine::runtime::push::Push;
use bd_engine::runtime::query::QueryConfig;
use bd_engine::runtime::status::QueryState;
use bd_schema::{Row, Schema};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A record to be written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rec {
    /// The partition.
    pub partition: i32,
    /// The key.
    pub key: Option<Vec<u8>>,
    /// The value; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// ms since epoch.
    pub timestamp: i64,
    /// Names and values, in order.
    pub headers: Vec<(String, String)>,
}

/// A record without key, at time 0, in partition 0.
pub fn rec(value: &str) -> Rec {
    Rec { value: Some(value.as_bytes().to_vec()), ..Rec::default() }
}

impl Rec {
    /// The same in another partition.
    pub fn to(self, partition: i32) -> Self {
        Self { partition, ..self }
    }

    /// The same with a key.
    pub fn key(self, key: &str) -> Self {
        Self { key: Some(key.as_bytes().to_vec()), ..self }
    }

    /// The same with a timestamp.
    pub fn at(self, timestamp: i64) -> Self {
        Self { timestamp, ..self }
    }

    /// The same without a value.
    pub fn tombstone(self) -> Self {
        Self { value: None, ..self }
    }

    /// The value of its (last) header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().rev().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The value as JSON.
    ///
    /// # Panics
    /// A value that is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(self.value.as_deref().unwrap_or_default()).unwrap()
    }
}

/// See the module's documentation. Everything panics where something fails: it is for tests only.
pub struct Small {
    /// The log.
    pub cluster: Arc<dyn Cluster>,
    /// The engine that runs now.
    pub engine: Engine,
    config: QueryConfig,
    _data: tempfile::TempDir,
}

impl Default for Small {
    fn default() -> Self {
        Self::new()
    }
}

impl Small {
    /// With barriers every 5 ms.
    pub fn new() -> Self {
        Self::with(QueryConfig { commit_interval: Duration::from_millis(5), ..QueryConfig::default() })
    }

    /// With queries that run so.
    pub fn with(config: QueryConfig) -> Self {
        let data = tempfile::tempdir().unwrap();
        let cluster = open_cluster(data.path()).unwrap();
        let engine = Engine::open(cluster.clone(), config.clone()).unwrap();
        Self { cluster, engine, config, _data: data }
    }

    /// Closes the engine and opens another over the same log.
    pub fn reopen(&mut self) {
        self.engine.close();
        self.engine = Engine::open(self.cluster.clone(), self.config.clone()).unwrap();
    }

    /// Another engine over the same log, while this one is at work.
    pub fn second_engine(&self) -> Engine {
        Engine::open(self.cluster.clone(), self.config.clone()).unwrap()
    }

    /// Carries out statements.
    pub fn sql(&self, text: &str) -> Vec<Outcome> {
        self.engine.execute(text, true).unwrap_or_else(|e| panic!("{text}\n{e}"))
    }

    /// What a statement that must fail says.
    pub fn fails(&self, text: &str) -> String {
        match self.engine.execute(text, true) {
            Ok(_) => panic!("{text}\nmust fail"),
            Err(EngineError::Sql(e) | EngineError::Statement(e)) => e,
            Err(e) => panic!("{text}\nfails by {e}"),
        }
    }

    /// The message of the last statement.
    pub fn done(&self, text: &str) -> String {
        match self.sql(text).pop() {
            Some(Outcome::Done { message, .. }) => message,
            _ => panic!("{text}\ngives something else"),
        }
    }

    /// The rows of a SHOW or DESCRIBE.
    pub fn listing(&self, text: &str) -> Vec<Vec<String>> {
        match self.sql(text).pop() {
            Some(Outcome::Listing { rows, .. }) => rows,
            _ => panic!("{text}\ngives no list"),
        }
    }

    /// The text of an EXPLAIN or DESCRIBE .. EXTENDED.
    pub fn text(&self, text: &str) -> String {
        match self.sql(text).pop() {
            Some(Outcome::Text(text)) => text,
            _ => panic!("{text}\ngives no text"),
        }
    }

    /// The rows of a pull query.
    pub fn pull(&self, text: &str) -> Vec<Row> {
        match self.sql(text).pop() {
            Some(Outcome::Rows { rows, .. }) => rows,
            _ => panic!("{text}\ngives no rows"),
        }
    }

    /// A push query, without the event time that its plan carries along.
    pub fn push(&self, text: &str, from_beginning: bool) -> Push {
        match self.engine.execute(text, from_beginning).unwrap().pop() {
            Some(Outcome::Push(mut push)) => {
                push.columns.pop_if(|last| last.name == "ROWTIME");
                push
            }
            _ => panic!("{text}\nis no push query"),
        }
    }

    /// Writes records and waits until they are durable.
    pub fn put(&self, topic: &str, records: &[Rec]) {
        let mut writer = self.cluster.open_writer(WriterConfig::default()).unwrap();
        let mut acks: Vec<Ack> = Vec::new();
        for record in records {
            let mut builder = RecordsBuilder::new();
            let headers: Vec<(&str, Option<&[u8]>)> =
                record.headers.iter().map(|(n, v)| (n.as_str(), Some(v.as_bytes()))).collect();
            builder.push(record.key.as_deref(), record.value.as_deref(), record.timestamp, &headers);
            acks.push(writer.append(&TopicPartition::new(topic, record.partition), builder).unwrap());
        }
        for ack in acks {
            ack.wait(PATIENCE).unwrap();
        }
    }

    /// Creates a topic.
    pub fn topic(&self, name: &str, partitions: i32) {
        self.cluster.create_topic(&NewTopic::new(name, partitions)).unwrap();
    }

    /// Waits until a topic holds at least `rows` committed records, and gives all that are there then.
    pub fn wait_rows(&self, topic: &str, rows: usize) -> Vec<Rec> {
        let deadline = Instant::now() + PATIENCE;
        let info = loop {
            match self.cluster.topic(topic).unwrap() {
                Some(info) => break info,
                None if rows == 0 => return Vec::new(),
                None => std::thread::park_timeout(Duration::from_millis(5)),
            }
            assert!(Instant::now() < deadline, "no topic {topic}");
        };
        let mut reader = self.cluster.open_reader(ReaderConfig::default()).unwrap();
        for p in 0..info.partitions {
            let tp = TopicPartition::new(topic, p);
            reader.assign(&tp, self.cluster.offset(&tp, OffsetSpec::Earliest).unwrap()).unwrap();
        }
        let mut got = Vec::new();
        loop {
            let behind = (0..info.partitions).any(|p| {
                let tp = TopicPartition::new(topic, p);
                reader.position(&tp).unwrap() < self.cluster.offset(&tp, OffsetSpec::Stable).unwrap()
            });
            if got.len() >= rows && !behind {
                return got;
            }
            assert!(Instant::now() < deadline, "{topic} has {} records, not {rows}: {got:?}", got.len());
            let Some(records) = reader.poll(1 << 20, Duration::from_millis(50)).unwrap() else { continue };
            for (i, record) in records.iter().enumerate() {
                let text = |b: &[u8]| String::from_utf8(b.to_vec()).unwrap();
                got.push(Rec {
                    partition: records.partition.partition,
                    key: record.key.map(<[u8]>::to_vec),
                    value: record.value.map(<[u8]>::to_vec),
                    timestamp: record.timestamp,
                    headers: records.headers(i).map(|h| (text(h.name), text(h.value.unwrap()))).collect(),
                });
            }
        }
    }

    /// The values of a stream's topic, sorted by their text; waits until there are so many.
    pub fn values(&self, topic: &str, rows: usize) -> Vec<String> {
        let rows = self.wait_rows(topic, rows);
        let mut values: Vec<String> =
            rows.iter().map(|r| String::from_utf8(r.value.clone().unwrap_or_default()).unwrap()).collect();
        values.sort();
        values
    }

    /// A table's topic as it is now: value by key.
    pub fn table(&self, topic: &str) -> BTreeMap<String, Value> {
        let mut rows = BTreeMap::new();
        for record in self.wait_rows(topic, 0) {
            let key = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into_owned();
            match record.value {
                Some(_) => rows.insert(key, record.json()),
                None => rows.remove(&key),
            };
        }
        rows
    }

    /// The query that fills `sink`.
    pub fn query(&self, sink: &str) -> Query {
        let queries = self.engine.queries();
        queries
            .into_iter()
            .find(|q| q.sink.name.eq_ignore_ascii_case(sink))
            .unwrap_or_else(|| panic!("no query fills {sink}"))
    }

    /// Waits until the query that fills `sink` meets a condition.
    pub fn wait_query(&self, sink: &str, what: &str, met: impl Fn(&Query) -> bool) {
        let query = self.query(sink);
        let deadline = Instant::now() + PATIENCE;
        while !met(&query) {
            assert!(Instant::now() < deadline, "{sink}: {what}; it is {:?}", query.status.state());
            query.status.wait_change(Duration::from_millis(20));
        }
    }

    /// Waits until the query that fills `sink` is completed.
    pub fn wait_completed(&self, sink: &str) {
        self.wait_query(sink, "is completed", |q| {
            let state = q.status.state();
            assert!(!matches!(state, QueryState::Error(_)), "{sink}: {state:?}");
            state == QueryState::Completed
        });
    }

    /// Drains all queries and waits until they are completed.
    pub fn drain(&self) {
        self.engine.drain().unwrap();
        crate::wait_completed(&self.engine).unwrap();
    }
}

/// Rows of a push query until there are `rows`.
pub fn pushed(push: &Push, rows: usize) -> Vec<Row> {
    let schema = Schema::new(push.columns.clone());
    let deadline = Instant::now() + PATIENCE;
    let mut got = Vec::new();
    while got.len() < rows {
        assert!(Instant::now() < deadline, "{} of {rows} rows: {got:?}", got.len());
        let Some(chunk) = push.next(Duration::from_millis(50)).unwrap() else { continue };
        let columns = chunk.columns[..push.columns.len()].to_vec();
        let options = RecordBatchOptions::new().with_row_count(Some(chunk.len));
        let batch = RecordBatch::try_new_with_options(schema.to_arrow(), columns, &options).unwrap();
        got.extend(bd_schema::arrow_to_rows(&schema, &batch).unwrap());
    }
    got
}
