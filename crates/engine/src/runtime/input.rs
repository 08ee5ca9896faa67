//! What a query reads: records of a topic to chunks, with event times, checks, lateness and dead letters.

use super::inference::check_given;
use crate::chunk::Chunk;
use crate::error::EngineError;
use crate::expr::Compiled;
use arrow_array::{Array, ArrayRef, BooleanArray, Int64Array, RecordBatch, UInt32Array, new_null_array};
use bd_cluster::Records;
use bd_schema::{Codec, Codecs, DataType, Decoded, RegistryError, Role, Schema, UnknownFormat, Value};
use bd_sql::catalog::{ColumnPlace, SourceDef, SourceKind, TimeFormat};
use bd_sql::expr::{BinaryOp, Expr, ExprKind, Function};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A record that does not become a row, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// The record's place among the [`Records`].
    pub index: u32,
    /// What is wrong with it.
    pub reason: String,
}

/// Rows of a stream.
#[derive(Debug)]
pub struct StreamRows {
    /// All columns that the query needs, then the event time (ms).
    pub chunk: Chunk,
    /// Dead letters.
    pub dead: Vec<Rejected>,
    /// Rows behind the stream's bound.
    pub late: Vec<Rejected>,
}

/// Records of a table, in order.
#[derive(Debug)]
pub struct TableRows {
    /// All columns that the query needs, then the record's timestamp.
    pub chunk: Chunk,
    /// Which rows remove their key (value columns are NULL there).
    pub tombstones: BooleanArray,
    /// Dead letters.
    pub dead: Vec<Rejected>,
}

/// Decodes the columns of a source that a query needs.
pub struct Input {
    /// The source.
    pub source: Arc<SourceDef>,
    /// Which of its columns, by place; chunks hold these in this order, then the time.
    pub columns: Vec<usize>,
    key: Option<Arc<dyn Codec>>,
    value: Arc<dyn Codec>,
    /// Where each needed column comes from.
    slots: Vec<Slot>,
    time: Option<Compiled>,
    checks: Vec<(Compiled, String)>,
    /// Places in `columns` of those declared NOT NULL.
    not_null: Vec<usize>,
}

#[derive(Debug, Clone, Copy)]
enum Slot {
    Key(usize),
    Value(usize),
}

impl Input {
    /// For a source of which the query's scans use `columns`; what the source's own rules need is added.
    ///
    /// # Errors
    /// A format that is not known, a rule that cannot be compiled.
    pub fn new(
        source: Arc<SourceDef>,
        columns: impl IntoIterator<Item = usize>,
        codecs: &Codecs,
    ) -> Result<Self, EngineError> {
        let mut needed: Vec<usize> = columns.into_iter().collect();
        needed.extend(source.timestamp.iter().map(|t| t.column));
        needed.extend((0..source.columns.len()).filter(|i| source.columns[*i].not_null));
        source.checks.iter().for_each(|c| columns_of(&c.condition, &mut needed));
        if source.kind == SourceKind::Table {
            needed.extend(source.key_columns());
        }
        needed.sort_unstable();
        needed.dedup();

        let mut key_used = false;
        let (mut value_fields, mut slots) = (Vec::new(), Vec::new());
        let key_columns = source.key_columns();
        // A format that tells columns by their places needs all of them.
        let by_name = source.value_options.by_name(&source.value_format, Role::Value);
        for place in &needed {
            let column = &source.columns[*place];
            if column.place == ColumnPlace::Value && !by_name {
                let before = source.columns.iter().take(*place);
                slots.push(Slot::Value(before.filter(|c| c.place != ColumnPlace::Key).count()));
            } else if column.place == ColumnPlace::Value {
                slots.push(Slot::Value(value_fields.len()));
                value_fields.push(bd_schema::Field::new(&column.name, column.data_type.clone()));
            } else {
                key_used = true;
                slots.push(Slot::Key(key_columns.iter().position(|k| k == place).unwrap_or_default()));
            }
        }
        let key = if key_used { Some(key_codec(&source, codecs)?) } else { None };
        let value_schema = if by_name { Schema::new(value_fields) } else { source.value_schema() };
        let value = value_codec(&source, &value_schema, codecs)?;

        let local = |place: usize| needed.iter().position(|n| *n == place).unwrap_or_default();
        let time = match &source.timestamp {
            Some(spec) => {
                let data_type = source.columns[spec.column].data_type.clone();
                let column = Expr::column(local(spec.column), data_type);
                Some(Compiled::new(&time_in_ms(column, &spec.format))?)
            }
            None => None,
        };
        let checks = source
            .checks
            .iter()
            .map(|check| {
                let mut condition = check.condition.clone();
                remap(&mut condition, &local);
                Ok((Compiled::new(&condition)?, check.text.clone()))
            })
            .collect::<Result<_, EngineError>>()?;
        let not_null = (0..needed.len()).filter(|i| source.columns[needed[*i]].not_null).collect();
        Ok(Self { source, columns: needed, key, value, slots, time, checks, not_null })
    }

    /// Where a scan's columns stand in this input's chunks; the time is the last one.
    pub fn places_of(&self, columns: &[usize]) -> Vec<usize> {
        columns.iter().filter_map(|c| self.columns.iter().position(|n| n == c)).collect()
    }

    /// The place of the time in this input's chunks.
    pub fn time_place(&self) -> usize {
        self.columns.len()
    }

    /// Decodes records of a stream. `max_time` is the greatest event time of the partition so far (`i64::MIN` before the first
    /// row) and moves on.
    ///
    /// # Errors
    /// [`EngineError::Later`], with `max_time` as it was; else only flaws of the plan.
    pub fn stream_rows(&self, records: &Records, max_time: &mut i64) -> Result<StreamRows, EngineError> {
        let mut aligned = self.align(records, false)?;
        let times = self.times(&aligned, records)?;
        let mut broken = self.broken(&aligned, &times)?;
        let mut keep: Vec<u32> = Vec::with_capacity(aligned.rows.len());
        let mut late = Vec::new();
        let bound = self.source.query.is_none().then_some(self.source.lateness_ms);
        for i in 0..aligned.rows.len() {
            if let Some(reason) = broken.remove(&i) {
                aligned.dead.push(Rejected { index: aligned.rows[i], reason });
                continue;
            }
            let time = times.value(i);
            let oldest = bound.filter(|_| *max_time != i64::MIN).map(|bound| max_time.saturating_sub(bound));
            if let Some(oldest) = oldest.filter(|oldest| time < *oldest) {
                let reason = format!("late: event time {time} is {} ms behind the bound", oldest - time);
                late.push(Rejected { index: aligned.rows[i], reason });
                continue;
            }
            *max_time = (*max_time).max(time);
            keep.push(i as u32);
        }
        aligned.dead.sort_by_key(|r| r.index);

        let len = aligned.rows.len();
        aligned.columns.push(Arc::new(times));
        let mut chunk = Chunk::inserts(aligned.columns, len);
        if keep.len() < len {
            chunk = chunk.take(&UInt32Array::from(keep))?;
        }
        Ok(StreamRows { chunk, dead: aligned.dead, late })
    }

    /// Decodes records of a table.
    ///
    /// # Errors
    /// [`EngineError::Later`]; else only flaws of the plan.
    pub fn table_rows(&self, records: &Records) -> Result<TableRows, EngineError> {
        let mut aligned = self.align(records, true)?;
        let tombstones: BooleanArray =
            aligned.rows.iter().map(|i| Some(records.values[*i as usize].is_null())).collect();
        let times: Int64Array =
            aligned.rows.iter().map(|i| records.timestamps[*i as usize]).collect::<Vec<_>>().into();
        let len = aligned.rows.len();
        aligned.columns.push(Arc::new(times));
        Ok(TableRows { chunk: Chunk::inserts(aligned.columns, len), tombstones, dead: aligned.dead })
    }

    /// The rows that break a rule of the source, each with the first rule it breaks.
    fn broken(&self, aligned: &Aligned, times: &Int64Array) -> Result<BTreeMap<usize, String>, EngineError> {
        let mut broken = BTreeMap::new();
        if times.null_count() > 0 {
            let reason = self.no_time_reason();
            (0..times.len()).filter(|i| times.is_null(*i)).for_each(|i| {
                broken.insert(i, reason.clone());
            });
        }
        for place in &self.not_null {
            let column = &aligned.columns[*place];
            let name = &self.source.columns[self.columns[*place]].name;
            for i in (0..column.len()).filter(|i| column.is_null(*i)) {
                broken.entry(i).or_insert_with(|| format!("column {name} is NULL and declared NOT NULL"));
            }
        }
        for (check, text) in &self.checks {
            let met = check.eval(&aligned.columns, aligned.rows.len(), &mut 0)?;
            let Some(met) = met.as_any().downcast_ref::<BooleanArray>() else { continue };
            // As in SQL: a check that is NULL is not violated.
            for i in (0..met.len()).filter(|i| met.is_valid(*i) && !met.value(*i)) {
                broken.entry(i).or_insert_with(|| format!("CHECK ({text}) is not met"));
            }
        }
        Ok(broken)
    }

    fn no_time_reason(&self) -> String {
        match &self.source.timestamp {
            Some(spec) => {
                format!("no event time: column {} is NULL or no time", self.source.columns[spec.column].name)
            }
            None => "no event time: the record has no timestamp".into(),
        }
    }

    fn times(&self, aligned: &Aligned, records: &Records) -> Result<Int64Array, EngineError> {
        let Some(time) = &self.time else {
            let of_record = |i: &u32| Some(records.timestamps[*i as usize]).filter(|t| *t >= 0);
            return Ok(aligned.rows.iter().map(of_record).collect());
        };
        let times = time.eval(&aligned.columns, aligned.rows.len(), &mut 0)?;
        times
            .as_any()
            .downcast_ref::<Int64Array>()
            .cloned()
            .ok_or_else(|| EngineError::Unsupported("an event time that is not BIGINT".into()))
    }

    /// Decodes keys and values and keeps the records for which both could be.
    fn align(&self, records: &Records, is_table: bool) -> Result<Aligned, EngineError> {
        let values: Vec<Option<&[u8]>> = (0..records.len()).map(|i| records.value(i)).collect();
        let decoded = self.value.decode_arrow(&values);
        all_could_be_read(&decoded)?;
        let mut dead: Vec<Rejected> = decoded.errors.iter().map(|e| reject(e, "value")).collect();
        if !is_table {
            let null = |i: &u32| Rejected { index: *i, reason: "the value is null".into() };
            dead.extend(decoded.nulls.iter().map(null));
        }
        let Some(key) = &self.key else {
            let columns = self.pick(None, &decoded.batch);
            return Ok(Aligned { columns, rows: decoded.rows, dead });
        };
        let keys: Vec<Option<&[u8]>> = (0..records.len()).map(|i| records.key(i)).collect();
        let mut decoded_keys = key.decode_arrow(&keys);
        all_could_be_read(&decoded_keys)?;
        dead.extend(decoded_keys.errors.iter().map(|e| reject(e, "key")));
        if is_table {
            let null =
                |i: &u32| Rejected { index: *i, reason: "the key is null: a table's row needs one".into() };
            dead.extend(decoded_keys.nulls.iter().map(null));
            decoded_keys.nulls.clear();
        }
        // A record may be bad in key and value: one dead letter.
        dead.sort_by_key(|r| r.index);
        dead.dedup_by_key(|r| r.index);

        let place = |decoded: &Decoded| {
            let mut places = vec![None; records.len()];
            for (at, row) in decoded.rows.iter().enumerate() {
                places[*row as usize] = Some(at as u32);
            }
            places
        };
        let (key_at, value_at) = (place(&decoded_keys), place(&decoded));
        let mut is_dead = vec![false; records.len()];
        dead.iter().for_each(|r| is_dead[r.index as usize] = true);
        let rows: Vec<u32> = (0..records.len() as u32).filter(|i| !is_dead[*i as usize]).collect();
        let gather = |batch: &RecordBatch, at: &[Option<u32>]| -> Result<Vec<ArrayRef>, EngineError> {
            let indices: UInt32Array = rows.iter().map(|r| at[*r as usize]).collect();
            batch
                .columns()
                .iter()
                .map(|c| {
                    if c.is_empty() {
                        return Ok(new_null_array(c.data_type(), indices.len()));
                    }
                    Ok(arrow_select::take::take(c, &indices, None)?)
                })
                .collect()
        };
        let keys = gather(&decoded_keys.batch, &key_at)?;
        let values = gather(&decoded.batch, &value_at)?;
        let columns = self
            .slots
            .iter()
            .map(|slot| match slot {
                Slot::Key(i) => keys[*i].clone(),
                Slot::Value(i) => values[*i].clone(),
            })
            .collect();
        Ok(Aligned { columns, rows, dead })
    }

    fn pick(&self, keys: Option<&RecordBatch>, values: &RecordBatch) -> Vec<ArrayRef> {
        let slots = self.slots.iter();
        slots
            .filter_map(|slot| match slot {
                Slot::Key(i) => keys.map(|k| k.column(*i).clone()),
                Slot::Value(i) => Some(values.column(*i).clone()),
            })
            .collect()
    }
}

struct Aligned {
    columns: Vec<ArrayRef>,
    /// The record of each row.
    rows: Vec<u32>,
    dead: Vec<Rejected>,
}

fn reject(error: &bd_schema::RecordError, part: &str) -> Rejected {
    let at = if error.path.is_empty() { String::new() } else { format!(", field {}", error.path) };
    Rejected { index: error.index as u32, reason: format!("{part}{at}: {}", error.reason) }
}

/// The codec of a source's key.
///
/// # Errors
/// A format that is not known or does not fit the columns.
pub fn key_codec(source: &SourceDef, codecs: &Codecs) -> Result<Arc<dyn Codec>, EngineError> {
    codecs
        .codec_with(&source.key_format, &source.key_options, &source.key_schema(), Role::Key, &source.topic)
        .map_err(no_codec)
}

/// The codec of these columns of a source's value.
///
/// # Errors
/// A format that is not known or does not fit the columns.
pub fn value_codec(
    source: &SourceDef,
    columns: &Schema,
    codecs: &Codecs,
) -> Result<Arc<dyn Codec>, EngineError> {
    codecs
        .codec_with(&source.value_format, &source.value_options, columns, Role::Value, &source.topic)
        .map_err(no_codec)
}

fn no_codec(error: UnknownFormat) -> EngineError {
    match error {
        UnknownFormat::Registry { error: RegistryError::Unavailable { .. }, .. } => {
            EngineError::Later(error.to_string())
        }
        other => EngineError::Statement(other.to_string()),
    }
}

/// Refuses a source whose formats cannot hold its columns, or are not there.
///
/// # Errors
/// What is missing.
pub fn check_formats(source: &SourceDef, codecs: &Codecs) -> Result<(), EngineError> {
    check_given(source, codecs)?;
    if !source.key_columns().is_empty() {
        key_codec(source, codecs)?;
    }
    value_codec(source, &source.value_schema(), codecs).map(drop)
}

/// # Errors
/// [`EngineError::Later`] if what is needed to read a record is away: it must not be taken for a bad one.
fn all_could_be_read(decoded: &Decoded) -> Result<(), EngineError> {
    match decoded.errors.iter().find(|e| e.retriable) {
        Some(error) => Err(EngineError::Later(error.reason.clone())),
        None => Ok(()),
    }
}

/// An expression that gives the time in `column` as BIGINT ms; NULL where it is no time.
pub fn time_in_ms(column: Expr, format: &TimeFormat) -> Expr {
    let cast = |e: Expr| {
        if e.data_type == DataType::BigInt {
            return e;
        }
        Expr { kind: ExprKind::Cast(Box::new(e)), data_type: DataType::BigInt }
    };
    match format {
        TimeFormat::EpochMillis => cast(column),
        TimeFormat::EpochSeconds => {
            let thousand = Expr::literal(Value::BigInt(1000), DataType::BigInt);
            Expr::binary(BinaryOp::Multiply, cast(column), thousand, DataType::BigInt)
        }
        TimeFormat::Pattern(pattern) => {
            let pattern = Expr::literal(Value::Varchar(pattern.clone()), DataType::Varchar);
            cast(Expr {
                kind: ExprKind::Call { function: Function::ParseTimestamp, args: vec![column, pattern] },
                data_type: DataType::Timestamp,
            })
        }
    }
}

fn children_mut(expr: &mut Expr) -> Vec<&mut Expr> {
    match &mut expr.kind {
        ExprKind::Column(_) | ExprKind::Literal(_) => Vec::new(),
        ExprKind::Binary { left, right, .. } => vec![left, right],
        ExprKind::Not(e) | ExprKind::Negate(e) | ExprKind::IsNull(e) | ExprKind::Cast(e) => vec![e],
        ExprKind::InList { value, list } => std::iter::once(&mut **value).chain(list).collect(),
        ExprKind::Like { value, pattern, .. } => vec![value, pattern],
        ExprKind::Case { branches, otherwise } => {
            let pairs = branches.iter_mut().flat_map(|(c, v)| [c, v]);
            pairs.chain(otherwise.as_deref_mut()).collect()
        }
        ExprKind::Call { args, .. } => args.iter_mut().collect(),
        ExprKind::Field { value, .. } => vec![value],
        ExprKind::Index { value, index } => vec![value, index],
    }
}

fn remap(expr: &mut Expr, to: &impl Fn(usize) -> usize) {
    if let ExprKind::Column(place) = &mut expr.kind {
        *place = to(*place);
    }
    children_mut(expr).into_iter().for_each(|child| remap(child, to));
}

fn columns_of(expr: &Expr, into: &mut Vec<usize>) {
    let mut copy = expr.clone();
    collect(&mut copy, into);
    fn collect(expr: &mut Expr, into: &mut Vec<usize>) {
        if let ExprKind::Column(place) = expr.kind {
            into.push(place);
        }
        children_mut(expr).into_iter().for_each(|child| collect(child, into));
    }
}
