//! Pull queries: the rows of tables as they are now.
//!
//! A table that was asked for is kept in memory and read on from where it stood at the next question. At most [`KEPT`] tables are
//! kept, those asked for last.

use super::chain::Chain;
use super::input::Input;
use crate::chunk::{Chunk, Op};
use crate::error::EngineError;
use crate::operators::UpsertMap;
use arrow_array::{RecordBatch, RecordBatchOptions};
use bd_cluster::{Cluster, OffsetSpec, Reader, ReaderConfig, TopicPartition};
use bd_schema::{Codecs, Row, Schema, Value};
use bd_sql::catalog::SourceDef;
use bd_sql::plan::{Node, Plan};
use parking_lot::Mutex;
use std::cmp::Ordering;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many tables are kept.
const KEPT: usize = 64;
const PATIENCE: Duration = Duration::from_secs(30);

/// The tables that pull queries have asked for.
pub struct Tables {
    cluster: Arc<dyn Cluster>,
    codecs: Codecs,
    /// Least recently used first.
    kept: Mutex<Vec<Kept>>,
}

struct Kept {
    input: Input,
    rows: UpsertMap,
    reader: Box<dyn Reader>,
    partitions: Vec<TopicPartition>,
}

impl Tables {
    /// None yet.
    pub fn new(cluster: Arc<dyn Cluster>, codecs: Codecs) -> Self {
        Self { cluster, codecs, kept: Mutex::new(Vec::new()) }
    }

    /// Drops a table that is gone.
    pub fn forget(&self, name: &str) {
        self.kept.lock().retain(|k| !k.input.source.name.eq_ignore_ascii_case(name));
    }

    /// Runs a plan over the tables as they are now.
    ///
    /// # Errors
    /// The cluster's; a plan that reads a stream.
    pub fn pull(
        &self,
        plan: &Plan,
        order: &[(usize, bool)],
        limit: Option<usize>,
    ) -> Result<Vec<Row>, EngineError> {
        let mut chain = Chain::new(plan)?;
        let mut out = Vec::new();
        for leaf in 0..chain.leaves().len() {
            let Node::TableScan { source, columns, rowtime } = chain.leaves()[leaf].plan.node.clone() else {
                return Err(EngineError::Statement(
                    "a pull query reads tables; add EMIT CHANGES for a stream".into(),
                ));
            };
            for chunk in self.rows_of(&source)? {
                let mut places = columns.clone();
                if rowtime {
                    places.push(source.columns.len());
                }
                let columns = places.iter().map(|c| chunk.columns[*c].clone()).collect();
                chain.push(leaf, chunk.with_columns(columns), &mut out)?;
            }
        }
        chain.flush(&mut out)?;
        let mut rows = rows_of_chunks(plan, &out)?;
        rows.sort_by(|a, b| {
            order.iter().fold(Ordering::Equal, |so_far, (place, descending)| {
                let by = compare(&a[*place], &b[*place]);
                so_far.then(if *descending { by.reverse() } else { by })
            })
        });
        rows.truncate(limit.unwrap_or(usize::MAX));
        Ok(rows)
    }

    /// All rows of a table, all its columns and then the record's timestamp.
    fn rows_of(&self, source: &Arc<SourceDef>) -> Result<Vec<Chunk>, EngineError> {
        let mut all = self.kept.lock();
        let at = all.iter().position(|k| *k.input.source == **source);
        let mut kept = match at {
            Some(at) => all.remove(at),
            None => Kept::open(self.cluster.as_ref(), &self.codecs, source)?,
        };
        // What was read before an error stays read; the table itself is dropped with it.
        kept.catch_up(self.cluster.as_ref())?;
        let rows = kept.rows.rows()?;
        if all.len() >= KEPT {
            all.remove(0);
        }
        all.push(kept);
        Ok(rows)
    }
}

impl Kept {
    fn open(cluster: &dyn Cluster, codecs: &Codecs, source: &Arc<SourceDef>) -> Result<Self, EngineError> {
        let input = Input::new(source.clone(), 0..source.columns.len(), codecs)?;
        let info = cluster
            .topic(&source.topic)?
            .ok_or_else(|| bd_cluster::ClusterError::UnknownTopic(source.topic.clone()))?;
        let mut types: Vec<_> = source.columns.iter().map(|c| c.data_type.to_arrow()).collect();
        types.push(bd_schema::DataType::BigInt.to_arrow());
        let rows = UpsertMap::new(source.key_columns(), types)?;
        let mut reader =
            cluster.open_reader(ReaderConfig { client_id: "bd-pull".into(), ..ReaderConfig::default() })?;
        let partitions: Vec<_> =
            (0..info.partitions).map(|p| TopicPartition::new(source.topic.as_str(), p)).collect();
        for tp in &partitions {
            reader.assign(tp, cluster.offset(tp, OffsetSpec::Earliest)?)?;
        }
        Ok(Self { input, rows, reader, partitions })
    }

    fn catch_up(&mut self, cluster: &dyn Cluster) -> Result<(), EngineError> {
        let mut ends = Vec::new();
        for tp in &self.partitions {
            ends.push((tp.clone(), cluster.offset(tp, OffsetSpec::Stable)?));
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            let behind = |(tp, end): &(TopicPartition, i64)| self.reader.position(tp).unwrap_or(0) < *end;
            if !ends.iter().any(behind) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(EngineError::Statement(format!(
                    "table {} could not be read to its end within {PATIENCE:?}",
                    self.input.source.name
                )));
            }
            if let Some(records) = self.reader.poll(4 << 20, Duration::from_millis(100))? {
                let rows = self.input.table_rows(&records)?;
                self.rows.apply(&rows.chunk, Some(&rows.tombstones))?;
            }
        }
    }
}

/// The rows of chunks, with the plan's columns.
///
/// # Errors
/// Columns that are not of the plan's types.
pub fn rows_of_chunks(plan: &Plan, chunks: &[Chunk]) -> Result<Vec<Row>, EngineError> {
    let schema = Schema::new(plan.columns.clone());
    let arrow = schema.to_arrow();
    let mut rows = Vec::new();
    for chunk in chunks {
        let columns = chunk.columns[..plan.columns.len()].to_vec();
        let options = RecordBatchOptions::new().with_row_count(Some(chunk.len));
        let batch = RecordBatch::try_new_with_options(arrow.clone(), columns, &options)?;
        let of_chunk = bd_schema::arrow_to_rows(&schema, &batch)
            .map_err(|e| EngineError::Statement(format!("a row cannot be shown: {e}")))?;
        rows.extend(
            of_chunk.into_iter().enumerate().filter(|(i, _)| chunk.op(*i) == Op::Insert).map(|(_, r)| r),
        );
    }
    Ok(rows)
}

/// Ascending, NULL last.
fn compare(a: &Value, b: &Value) -> Ordering {
    use Value::{BigInt, Boolean, Date, Decimal, Double, Integer, Null, Time, Timestamp, Varchar};
    match (a, b) {
        (Null, Null) => Ordering::Equal,
        (Null, _) => Ordering::Greater,
        (_, Null) => Ordering::Less,
        (Boolean(a), Boolean(b)) => a.cmp(b),
        (Integer(a), Integer(b)) | (Date(a), Date(b)) | (Time(a), Time(b)) => a.cmp(b),
        (BigInt(a), BigInt(b)) | (Timestamp(a), Timestamp(b)) => a.cmp(b),
        (Double(a), Double(b)) => a.total_cmp(b),
        (Decimal(a), Decimal(b)) => a.cmp(b),
        (Varchar(a), Varchar(b)) => a.cmp(b),
        _ => Ordering::Equal,
    }
}
