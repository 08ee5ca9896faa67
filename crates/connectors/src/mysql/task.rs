//! The task: gathers what the reader sent into one transaction a poll.

use super::catalog::Catalog;
use super::config::Settings;
use super::envelope::Captured;
use super::offset::Offset;
use super::reader::{self, Message, Output, Queued};
use super::snapshot::now_ms;
use bd_connect::sdk::{
    Batch, Cells, ConnectField, ConnectSchema, Polled, Shape, SourceOffset, SourcePartition, SourceTask,
    StopFlag, TaskContext, TaskError,
};
use bd_schema::{DataType, Field, Row, Schema, Value};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinHandle;

/// Bytes of records at which a poll ends.
const POLL_BYTES: usize = 8 << 20;
/// How long a poll waits for more of a transaction that it has a part of.
const REST_OF_TRANSACTION: Duration = Duration::from_millis(2);
/// How often a waiting poll looks whether it is to end.
const LOOK: Duration = Duration::from_millis(100);
/// How often an offset is committed when no records come with it.
const PROGRESS: Duration = Duration::from_secs(5);

/// A task of the connector.
pub(super) struct Task {
    settings: Arc<Settings>,
    partition: SourcePartition,
    stop: StopFlag,
    runtime: Option<Runtime>,
    input: Receiver<Queued>,
    reader: JoinHandle<()>,
    /// Why the reader ended.
    failed: Option<TaskError>,
    /// Progress that no poll has given yet, and whether it must be given soon.
    progress: Option<Offset>,
    committed_at: Instant,
    heartbeat_at: Instant,
    schemas: Vec<(SourcePartition, Option<SourceOffset>)>,
}

/// Records of one table: their keys and values.
struct TableRows {
    table: Arc<Captured>,
    keys: Vec<Option<Row>>,
    values: Vec<Option<Row>>,
}

/// What a poll gathers.
#[derive(Default)]
struct Gathered {
    batches: Vec<TableRows>,
    changes: usize,
    bytes: usize,
    urgent: bool,
    in_transaction: bool,
}

impl Task {
    /// Starts reading from the offsets of the context.
    ///
    /// # Errors
    /// Retriable: no thread.
    pub(super) fn open(settings: Settings, context: &TaskContext) -> Result<Self, TaskError> {
        let settings = Arc::new(settings);
        let partition = Offset::partition(&settings.prefix);
        let offset = context.offset(&partition).and_then(Offset::of_map);
        let catalog = Catalog::load(context, &settings.prefix);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("mysql-cdc")
            .enable_all()
            .build();
        let runtime = runtime.map_err(|e| {
            TaskError::Retriable(format!("No thread to read {} with: {e}", settings.address()))
        })?;
        let (output, input) = Output::new();
        let reader = runtime.spawn(reader::run(settings.clone(), catalog, offset, output));
        Ok(Self {
            partition,
            stop: context.stop.clone(),
            runtime: Some(runtime),
            input,
            reader,
            failed: None,
            progress: None,
            committed_at: Instant::now(),
            heartbeat_at: Instant::now(),
            schemas: Vec::new(),
            settings,
        })
    }

    /// The next message within that time; `None`: there is none, or the reader failed.
    fn receive(&mut self, wait: Duration) -> Option<Message> {
        if self.failed.is_some() {
            return None;
        }
        let runtime = self.runtime.as_ref()?;
        let received = match self.input.try_recv() {
            Ok(received) => Some(received),
            Err(_) if wait.is_zero() => match self.input.is_closed() && self.input.is_empty() {
                true => None,
                false => return None,
            },
            Err(_) => match runtime.block_on(async { tokio::time::timeout(wait, self.input.recv()).await }) {
                Ok(received) => received,
                Err(_) => return None,
            },
        };
        match received {
            Some((Ok(message), _)) => return Some(message),
            Some((Err(error), _)) => self.failed = Some(error),
            None => {
                let ended = runtime.block_on(&mut self.reader);
                let reason = ended.err().map_or("it stopped".to_owned(), |e| e.to_string());
                let text = format!("Reading the binlog of {} ended: {reason}", self.settings.address());
                self.failed = Some(TaskError::Fatal(text));
            }
        }
        None
    }

    fn first(&mut self, wait: Duration) -> Option<Message> {
        let until = Instant::now() + wait;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if let Some(message) = self.receive(left.min(LOOK)) {
                return Some(message);
            }
            if self.failed.is_some() || self.stop.is_set() || left.is_zero() || self.heartbeat_due() {
                return None;
            }
        }
    }

    fn heartbeat_due(&self) -> bool {
        !self.settings.heartbeat.is_zero() && self.heartbeat_at.elapsed() >= self.settings.heartbeat
    }

    fn take(&mut self, message: Message, gathered: &mut Gathered) {
        gathered.changes += message.changes;
        gathered.bytes += message.bytes;
        gathered.urgent |= message.urgent;
        gathered.in_transaction = message.in_transaction;
        self.progress = Some(message.offset);
        // A definition that changed twice is given once.
        for (partition, offset) in message.schemas {
            match self.schemas.iter_mut().find(|(p, _)| *p == partition) {
                Some(known) => known.1 = offset,
                None => self.schemas.push((partition, offset)),
            }
        }
        let Some(table) = message.table else { return };
        // Behind records of another definition of the same table, a new batch begins.
        let last = gathered.batches.iter().rposition(|b| b.table.topic == table.topic);
        let batch = match last.and_then(|i| gathered.batches.get_mut(i)) {
            Some(batch) if Arc::ptr_eq(&batch.table, &table) => batch,
            _ => {
                gathered.batches.push(TableRows { table, keys: Vec::new(), values: Vec::new() });
                match gathered.batches.last_mut() {
                    Some(batch) => batch,
                    None => return,
                }
            }
        };
        for record in message.records {
            batch.keys.push(record.key);
            batch.values.push(record.value);
        }
    }

    fn heartbeat(&mut self) -> Batch {
        self.heartbeat_at = Instant::now();
        let of = |name: &str, field: &str, data_type: DataType, value: Value| Cells::Rows {
            schema: Arc::new(ConnectSchema::new(
                Some(format!("io.debezium.connector.common.{name}")),
                Shape::Struct {
                    schema: Schema::new(vec![Field::new(field, data_type)]),
                    fields: vec![ConnectField::required()],
                },
            )),
            rows: vec![Some(vec![value])],
        };
        let prefix = Value::Varchar(self.settings.prefix.clone());
        let values = of("Heartbeat", "ts_ms", DataType::BigInt, Value::BigInt(now_ms()));
        let keys = of("ServerNameKey", "serverName", DataType::Varchar, prefix);
        Batch::new(self.settings.heartbeat_topic.clone(), values).with_keys(keys)
    }
}

fn batch(TableRows { table, keys, values }: TableRows) -> Batch {
    let keys = match &table.key_schema {
        Some(schema) => Cells::Rows { schema: schema.clone(), rows: keys },
        None => Cells::Null(keys.len()),
    };
    let values = Cells::Rows { schema: table.value_schema.clone(), rows: values };
    Batch::new(table.topic.clone(), values).with_keys(keys)
}

impl SourceTask for Task {
    fn poll(&mut self, wait: Duration) -> Result<Option<Polled>, TaskError> {
        let mut gathered = Gathered::default();
        let mut next = self.first(wait);
        while let Some(message) = next {
            self.take(message, &mut gathered);
            if gathered.changes >= self.settings.max_batch || gathered.bytes >= POLL_BYTES {
                break;
            }
            next = self.receive(if gathered.in_transaction { REST_OF_TRANSACTION } else { Duration::ZERO });
        }
        let heartbeat = self.heartbeat_due();
        let late = self.progress.is_some() && self.committed_at.elapsed() > PROGRESS;
        let anything = !gathered.batches.is_empty() || gathered.urgent || heartbeat || late;
        if !anything {
            return self.failed.clone().map_or(Ok(None), Err);
        }
        let mut batches: Vec<Batch> = gathered.batches.into_iter().map(batch).collect();
        if heartbeat {
            batches.push(self.heartbeat());
        }
        let mut offsets = std::mem::take(&mut self.schemas);
        if let Some(offset) = self.progress.take() {
            offsets.push((self.partition.clone(), Some(offset.to_map())));
        }
        self.committed_at = Instant::now();
        Ok(Some(Polled { batches, rejected: Vec::new(), offsets }))
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.reader.abort();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
