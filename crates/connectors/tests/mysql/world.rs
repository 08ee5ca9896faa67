//! A worker in small: polls a task, commits its offsets with its records, opens it again.

use crate::server::Server;
use bd_connect::sdk::{
    Cells, Config, ConnectField, Plugin, Shape, SourceOffset, SourcePartition, SourceTask, StopFlag,
    TaskContext, TaskError,
};
use bd_schema::{DataType, Field, Value};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A record, as JSON.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record {
    pub(crate) topic: String,
    pub(crate) key: Json,
    pub(crate) value: Json,
}

impl Record {
    /// `op key before -> after`, short.
    pub(crate) fn line(&self) -> String {
        if self.value.is_null() {
            return format!("tombstone {}", self.key);
        }
        let (op, before, after) = (&self.value["op"], &self.value["before"], &self.value["after"]);
        format!("{} {} {before} {after}", op.as_str().unwrap(), self.key)
    }

    /// The row after the change.
    pub(crate) fn after(&self) -> &Json {
        &self.value["after"]
    }
}

pub(crate) struct World {
    pub(crate) config: Config,
    pub(crate) offsets: BTreeMap<String, SourceOffset>,
    pub(crate) records: Vec<Record>,
    task: Option<Box<dyn SourceTask>>,
    stop: StopFlag,
}

pub(crate) fn plugin(class: &str) -> Arc<dyn Plugin> {
    bd_connectors::mysql::plugins().into_iter().find(|p| p.class() == class).unwrap()
}

impl World {
    /// Of all tables of the database `tv`.
    pub(crate) fn new(server: &Server) -> Self {
        let config = Config::default()
            .with("topic.prefix", "p")
            .with("database.hostname", "127.0.0.1")
            .with("database.port", server.port.to_string())
            .with("database.user", "bd")
            .with("database.password", "bd")
            .with("database.include.list", "tv");
        Self { config, offsets: BTreeMap::new(), records: Vec::new(), task: None, stop: StopFlag::default() }
    }

    pub(crate) fn with(mut self, key: &str, value: &str) -> Self {
        self.config = self.config.with(key, value);
        self
    }

    /// Opens the task from the committed offsets.
    pub(crate) fn open(&mut self) {
        self.close();
        let plugin = plugin("io.debezium.connector.mariadb.MariaDbConnector");
        self.stop = StopFlag::default();
        let context = TaskContext {
            connector: "c".to_owned(),
            task: 0,
            config: self.config.clone().with_defaults(&plugin.config_def()),
            offsets: self.offsets.clone(),
            stop: self.stop.clone(),
            registry: None,
        };
        self.task = Some(plugin.open_source(context).unwrap());
    }

    pub(crate) fn close(&mut self) {
        self.stop.set();
        self.task = None;
    }

    /// One poll, committed; how many records it gave.
    pub(crate) fn poll(&mut self, wait: Duration) -> Result<usize, TaskError> {
        let Some(polled) = self.task.as_mut().unwrap().poll(wait)? else { return Ok(0) };
        let before = self.records.len();
        for batch in &polled.batches {
            assert_eq!(batch.keys.len(), batch.values.len());
            let (keys, values) = (cells(&batch.keys), cells(&batch.values));
            let topic = batch.topic.to_string();
            self.records.extend(keys.into_iter().zip(values).map(|(key, value)| Record {
                topic: topic.clone(),
                key,
                value,
            }));
        }
        for (partition, offset) in polled.offsets {
            let partition = partition_text(&partition);
            match offset {
                Some(offset) => self.offsets.insert(partition, offset),
                None => self.offsets.remove(&partition),
            };
        }
        self.task.as_mut().unwrap().committed()?;
        Ok(self.records.len() - before)
    }

    /// Polls until the records are as wanted.
    pub(crate) fn until(&mut self, wanted: impl Fn(&[Record]) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !wanted(&self.records) {
            self.poll(Duration::from_millis(500)).unwrap();
            assert!(Instant::now() < deadline, "what was wanted did not come; there is: {:#?}", self.lines());
        }
    }

    /// Polls until there are so many records, and makes sure that there are not more.
    pub(crate) fn until_count(&mut self, count: usize) {
        self.until(|records| records.len() >= count);
        assert_eq!(self.records.len(), count, "{:#?}", self.lines());
    }

    /// Polls until the snapshot is done and committed.
    pub(crate) fn until_streaming(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while self.offsets.get(r#"{"server":"p"}"#).is_none_or(|place| place.contains_key("snapshot")) {
            self.poll(Duration::from_millis(500)).unwrap();
            assert!(Instant::now() < deadline, "the snapshot does not end");
        }
    }

    /// Polls until a row with that key was created in the table, which comes after all that is to be looked at.
    pub(crate) fn until_marker(&mut self, server: &Server, marker: i64) {
        self.until_streaming();
        server.sql(&format!(
            "CREATE TABLE IF NOT EXISTS marker (id INT PRIMARY KEY);\nINSERT INTO marker VALUES ({marker})"
        ));
        let key = json!({"id": marker});
        self.until(|records| records.iter().any(|r| r.topic == "p.tv.marker" && r.key == key));
        self.records.retain(|r| r.topic != "p.tv.marker");
    }

    /// Polls until the task fails.
    pub(crate) fn until_error(&mut self) -> TaskError {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Err(error) = self.poll(Duration::from_millis(500)) {
                return error;
            }
            assert!(Instant::now() < deadline, "the task does not fail");
        }
    }

    /// Polls, and opens the task again when it fails for now, until the records are as wanted.
    pub(crate) fn until_through_failures(&mut self, wanted: impl Fn(&[Record]) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !wanted(&self.records) {
            match self.poll(Duration::from_millis(100)) {
                Ok(_) => {}
                Err(TaskError::Retriable(_)) => self.open(),
                Err(error) => panic!("{error}"),
            }
            assert!(Instant::now() < deadline, "what was wanted did not come; there is: {:#?}", self.lines());
        }
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.records.iter().map(Record::line).collect()
    }

    /// The committed place.
    pub(crate) fn place(&self) -> &SourceOffset {
        &self.offsets[r#"{"server":"p"}"#]
    }

    /// The table that the records make: the last value of each key.
    pub(crate) fn table(&self, topic: &str) -> BTreeMap<String, Json> {
        let mut table = BTreeMap::new();
        for record in self.records.iter().filter(|r| r.topic == topic) {
            let after = record.after();
            match after.is_null() {
                true => table.remove(&record.key.to_string()),
                false => table.insert(record.key.to_string(), after.clone()),
            };
        }
        table
    }
}

fn partition_text(partition: &SourcePartition) -> String {
    serde_json::to_string(partition).unwrap()
}

fn cells(cells: &Cells) -> Vec<Json> {
    match cells {
        Cells::Null(count) => vec![Json::Null; *count],
        Cells::Rows { schema, rows } => {
            let Shape::Struct { schema: columns, fields } = &schema.shape else { panic!("{schema:?}") };
            let one = |row: &Option<Vec<Value>>| {
                row.as_ref().map_or(Json::Null, |row| object(&columns.fields, fields, row))
            };
            rows.iter().map(one).collect()
        }
        other => panic!("{other:?}"),
    }
}

/// Checks on the way that values have their fields' types, and that required ones are there.
fn object(columns: &[Field], fields: &[ConnectField], row: &[Value]) -> Json {
    assert_eq!(columns.len(), row.len());
    assert_eq!(columns.len(), fields.len());
    let cell = |((column, field), value): ((&Field, &ConnectField), &Value)| {
        assert!(!(field.required && *value == Value::Null), "{} is null", column.name);
        (column.name.clone(), json_of(column, field, value))
    };
    Json::Object(columns.iter().zip(fields).zip(row).map(cell).collect::<Map<_, _>>())
}

fn json_of(column: &Field, field: &ConnectField, value: &Value) -> Json {
    match (&column.data_type, value) {
        (_, Value::Null) => Json::Null,
        (DataType::Boolean, Value::Boolean(b)) => json!(b),
        (DataType::Integer, Value::Integer(n)) => json!(n),
        (DataType::BigInt, Value::BigInt(n)) => json!(n),
        (DataType::Double, Value::Double(d)) => json!(d),
        (DataType::Varchar, Value::Varchar(text)) => json!(text),
        (DataType::Decimal(_, scale), Value::Decimal(unscaled)) => json!(format!("{unscaled}e-{scale}")),
        (DataType::Bytes, Value::Bytes(bytes)) => {
            json!(bytes.iter().map(|b| format!("{b:02x}")).collect::<String>())
        }
        (DataType::Date, Value::Date(days)) => json!(format!("{days} days")),
        (DataType::Time, Value::Time(ms)) => json!(format!("{ms} ms of day")),
        (DataType::Timestamp, Value::Timestamp(ms)) => json!(format!("{ms} ms")),
        (DataType::Struct(columns), Value::Struct(row)) => object(columns, &field.fields, row),
        other => panic!("{}: {other:?}", column.name),
    }
}
