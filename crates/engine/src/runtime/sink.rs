//! What a query writes: chunks to records of its topic.
//!
//! A stream's row is a record. A table's changes are gathered until the barrier, and each key that changed gives one record: its
//! last row, or a tombstone. A record's partition is Kafka's murmur2 of its key; rows without a key go by their value, so that the
//! place of a row is a function of the row.

use super::input::{key_codec, value_codec};
use crate::chunk::{Chunk, Op};
use crate::error::EngineError;
use arrow_array::{Array, Int64Array, RecordBatch, UInt32Array};
use arrow_schema::SchemaRef;
use bd_cluster::{RecordsBuilder, TopicPartition, partition_of_key};
use bd_schema::{Codec, Codecs, Encoded, Role};
use bd_sql::catalog::{ColumnPlace, SourceDef};
use bd_sql::plan::{ChangelogMode, Plan};
use hashbrown::HashMap;
use std::sync::Arc;

/// Encodes the output of a query.
pub struct Sink {
    partitions: Vec<TopicPartition>,
    key: Option<Half>,
    value: Half,
    /// A value without columns that are not NULL is a null one.
    null_is_null: bool,
    time: Option<usize>,
    upsert: bool,
    built: Vec<RecordsBuilder>,
    changed: Changed,
    keys: Encoded,
    values: Encoded,
    rows: u64,
}

/// The codec of a record's key or value, with the plan's columns that it takes.
struct Half {
    codec: Arc<dyn Codec>,
    schema: SchemaRef,
    columns: Vec<usize>,
}

/// The last state of each key since the barrier, in the order in which keys first changed.
#[derive(Default)]
struct Changed {
    by_key: HashMap<Vec<u8>, usize>,
    rows: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Sink {
    /// For the topic of `def` with `partitions` partitions, filled by `plan`.
    ///
    /// # Errors
    /// A format that is not known or does not fit the columns; a table without a key.
    pub fn new(def: &SourceDef, plan: &Plan, partitions: i32, codecs: &Codecs) -> Result<Self, EngineError> {
        let upsert = plan.mode != ChangelogMode::Append;
        let key_columns = def.key_columns();
        if upsert && key_columns.is_empty() {
            return Err(EngineError::Statement(format!("table {} has no key column", def.name)));
        }
        let key = if key_columns.is_empty() {
            None
        } else {
            let schema = def.key_schema().to_arrow();
            Some(Half { codec: key_codec(def, codecs)?, schema, columns: key_columns })
        };
        let value_schema = def.value_schema();
        let codec = value_codec(def, &value_schema, codecs)?;
        let value_columns =
            (0..def.columns.len()).filter(|i| def.columns[*i].place != ColumnPlace::Key).collect();
        let value = Half { codec, schema: value_schema.to_arrow(), columns: value_columns };
        Ok(Self {
            partitions: (0..partitions).map(|p| TopicPartition::new(def.topic.as_str(), p)).collect(),
            key,
            value,
            null_is_null: null_is_null(def),
            time: plan.time,
            upsert,
            built: (0..partitions).map(|_| RecordsBuilder::new()).collect(),
            changed: Changed::default(),
            keys: Encoded::default(),
            values: Encoded::default(),
            rows: 0,
        })
    }

    /// The output's partitions.
    pub fn partitions(&self) -> &[TopicPartition] {
        &self.partitions
    }

    /// Records built since the start.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Takes rows of the plan's root. `now` (ms, event time) goes on records of tables that have no time.
    ///
    /// A key of one column that is NULL is a null key in a stream; in a table, as in ksqlDB, it is no row.
    ///
    /// # Errors
    /// A row that the format cannot hold; [`EngineError::Later`].
    pub fn add(&mut self, chunk: &Chunk, now: i64) -> Result<(), EngineError> {
        let present = self.key.as_ref().and_then(|key| key.present(chunk));
        let keyed = match &present {
            Some(present) => &chunk.take(present)?,
            None => chunk,
        };
        self.keys.clear();
        self.values.clear();
        if let Some(key) = &self.key {
            key.encode(keyed, &mut self.keys)?;
        }
        let of_values = if self.upsert { keyed } else { chunk };
        let with_value = self.null_is_null.then(|| self.value.present(of_values)).flatten();
        match &with_value {
            Some(present) => self.value.encode(&of_values.take(present)?, &mut self.values)?,
            None => self.value.encode(of_values, &mut self.values)?,
        }
        let mut value_at = Places::new(with_value);
        if self.upsert {
            for i in 0..keyed.len {
                let value = value_at.of(i).filter(|_| keyed.op(i) == Op::Insert);
                self.changed.set(self.keys.get(i), value.map(|at| self.values.get(at).to_vec()));
            }
            return Ok(());
        }
        let times = self.time.and_then(|t| chunk.times(t));
        let mut key_at = Places::new(present);
        for i in 0..chunk.len {
            let key = key_at.of(i).filter(|_| self.key.is_some()).map(|at| self.keys.get(at));
            let value = value_at.of(i).map(|at| self.values.get(at));
            let partition = partition_of_key(key.or(value).unwrap_or_default(), self.built.len());
            let time = times.filter(|t| t.is_valid(i)).map_or(now, |t: &Int64Array| t.value(i));
            self.built[partition].push(key, value, time, &[]);
        }
        self.rows += chunk.len as u64;
        Ok(())
    }

    /// About how many bytes wait to be written.
    pub fn pending_bytes(&self) -> usize {
        self.built.iter().map(RecordsBuilder::bytes).sum()
    }

    /// Ends a barrier's changes and gives the records of each partition that has any.
    pub fn take(&mut self, now: i64) -> Vec<(TopicPartition, RecordsBuilder)> {
        self.changed.by_key.clear();
        for (key, value) in self.changed.rows.drain(..) {
            let partition = partition_of_key(&key, self.built.len());
            self.built[partition].push(Some(&key), value.as_deref(), now, &[]);
            self.rows += 1;
        }
        let parts = self.partitions.iter().zip(&mut self.built);
        parts.filter(|(_, b)| !b.is_empty()).map(|(p, b)| (p.clone(), b.take())).collect()
    }
}

/// Whether NULL in a source's only value column is written as a null value, as ksqlDB does: where the value is the column itself, or
/// there is none.
pub(super) fn null_is_null(def: &SourceDef) -> bool {
    match def.value_format.as_str() {
        "KAFKA" | "RAW" | "NONE" => true,
        // An empty field is its NULL.
        "DELIMITED" => false,
        _ => def.value_options.bare(Role::Value),
    }
}

/// Where each row stands among those that were encoded, asked for in order.
struct Places {
    present: Option<UInt32Array>,
    next: usize,
}

impl Places {
    fn new(present: Option<UInt32Array>) -> Self {
        Self { present, next: 0 }
    }

    fn of(&mut self, row: usize) -> Option<usize> {
        let Some(present) = &self.present else { return Some(row) };
        let at = self.next;
        let is_present = present.values().get(at) == Some(&(row as u32));
        self.next += usize::from(is_present);
        is_present.then_some(at)
    }
}

impl Half {
    /// The rows whose only column is not NULL, where others are.
    fn present(&self, chunk: &Chunk) -> Option<UInt32Array> {
        if self.columns.is_empty() {
            return Some(UInt32Array::from_iter_values([]));
        }
        let [only] = self.columns[..] else { return None };
        let column = &chunk.columns[only];
        let rows = || (0..chunk.len as u32).filter(|i| column.is_valid(*i as usize));
        (column.null_count() > 0).then(|| UInt32Array::from_iter_values(rows()))
    }

    fn encode(&self, chunk: &Chunk, out: &mut Encoded) -> Result<(), EngineError> {
        let columns = self.columns.iter().map(|c| chunk.columns[*c].clone()).collect();
        let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(chunk.len));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?;
        self.codec.encode_arrow(&batch, out).map_err(|e| match e.retriable {
            true => EngineError::Later(e.reason),
            false => {
                EngineError::Statement(format!("a row cannot be written as {}: {e}", self.codec.format()))
            }
        })
    }
}

impl Changed {
    fn set(&mut self, key: &[u8], value: Option<Vec<u8>>) {
        if let Some(at) = self.by_key.get(key) {
            self.rows[*at].1 = value;
            return;
        }
        self.by_key.insert(key.to_vec(), self.rows.len());
        self.rows.push((key.to_vec(), value));
    }
}
