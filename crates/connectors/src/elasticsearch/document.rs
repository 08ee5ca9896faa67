//! Records as operations of a bulk request: keys as ids, values as documents.
//!
//! # Ids
//! A string or number is its text. Text that is one JSON string (a JSON key of a single column) is that string. A struct, or text
//! that is a JSON object, is its fields' texts in order, joined with `|`; within them `\` is written `\\`, `|` is `\|` and null is
//! `\N`, so that different keys have different ids. Ids are 1 to 512 bytes long, as Elasticsearch wants.
//!
//! # Documents
//! JSON objects. Dates and timestamps are ms since epoch, times ms of the day, decimals numbers, bytes base64. Text and bytes
//! without a schema pass if they are one JSON object.

use super::config::{OnNull, Settings};
use bd_connect::sdk::{Cells, ConnectSchema, Shape, SinkBatch};
use bd_schema::{Codec, DataType, Encoded, Field, JsonCodec, Row, Schema, Value};
use serde::de::IgnoredAny;
use std::borrow::Cow;
use std::ops::Range;

const MAX_ID_BYTES: usize = 512;
const DAY_MS: i64 = 86_400_000;

/// What is done with a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Create,
    Index,
    Delete,
    Upsert,
}

/// One operation.
#[derive(Debug)]
pub(super) struct Operation {
    /// The record's place in its batch.
    pub(super) record: usize,
    pub(super) action: Action,
    pub(super) id: String,
    /// Its lines in [`Operations::arena`].
    pub(super) lines: Range<usize>,
}

/// The operations of a batch, in order, as NDJSON.
#[derive(Debug, Default)]
pub(super) struct Operations {
    pub(super) arena: Vec<u8>,
    pub(super) items: Vec<Operation>,
    /// Records that are no operation: their place and why.
    pub(super) invalid: Vec<(usize, String)>,
}

/// The operations of that batch on that index.
pub(super) fn operations(settings: &Settings, index: &str, batch: &SinkBatch) -> Operations {
    let topic: &str = &batch.batch.topic;
    let ignores_key = settings.ignores_key(topic);
    let keys = if ignores_key { Cells::Null(batch.len()) } else { batch.batch.keys.clone() };
    let keys = keys.into_rows().map_err(|e| e.to_string());
    let documents = documents(batch.values());
    let mut out = Operations::default();
    let index = serde_json::Value::from(index).to_string();
    for (record, offset) in batch.offsets.iter().enumerate() {
        let value = match documents.cells.get(record) {
            Some(Document::Null) | None => None,
            Some(Document::Text(range)) => documents.arena.get(range.clone()),
            Some(Document::Bad(reason)) => {
                out.invalid.push((record, reason.clone()));
                continue;
            }
        };
        let action = match (value, settings.on_null) {
            (Some(_), _) if ignores_key && !settings.upsert => Action::Create,
            (Some(_), _) if settings.upsert => Action::Upsert,
            (Some(_), _) => Action::Index,
            (None, OnNull::Ignore) => continue,
            // Without a key no document can be meant.
            (None, OnNull::Delete) if ignores_key || keyless(&keys, record) => continue,
            (None, OnNull::Delete) => Action::Delete,
            (None, OnNull::Fail) => {
                let hint = "to ignore such records set behavior.on.null.values to ignore, to delete their documents to delete";
                out.invalid.push((record, format!("the record has a null value ({hint})")));
                continue;
            }
        };
        let id = match &keys {
            _ if ignores_key => Ok(format!("{topic}+{}+{offset}", batch.batch.partition.unwrap_or_default())),
            Ok(keys) => id(keys, record),
            Err(e) => Err(e.clone()),
        };
        let version = version(settings, batch, record, *offset);
        match id.and_then(|id| version.map(|version| (id, version))) {
            Ok((id, version)) => out.push(record, action, &index, id, version, value),
            Err(reason) => out.invalid.push((record, reason)),
        }
    }
    out
}

impl Operations {
    fn push(
        &mut self,
        record: usize,
        action: Action,
        index: &str,
        id: String,
        version: i64,
        doc: Option<&[u8]>,
    ) {
        let start = self.arena.len();
        let name = match action {
            Action::Create => "create",
            Action::Index => "index",
            Action::Delete => "delete",
            Action::Upsert => "update",
        };
        let mut line =
            format!("{{\"{name}\":{{\"_index\":{index},\"_id\":{}", serde_json::Value::from(id.as_str()));
        match action {
            Action::Create => {}
            Action::Upsert => line.push_str(",\"retry_on_conflict\":5"),
            Action::Index | Action::Delete => {
                line.push_str(&format!(",\"version\":{version},\"version_type\":\"external\""));
            }
        }
        line.push_str("}}\n");
        self.arena.extend_from_slice(line.as_bytes());
        if let Some(doc) = doc {
            if action == Action::Upsert {
                self.arena.extend_from_slice(b"{\"doc\":");
                self.arena.extend_from_slice(doc);
                self.arena.extend_from_slice(b",\"doc_as_upsert\":true}\n");
            } else {
                self.arena.extend_from_slice(doc);
                self.arena.push(b'\n');
            }
        }
        let lines = start..self.arena.len();
        self.items.push(Operation { record, action, id, lines });
    }
}

/// The document's version: the record's offset, or what its header says.
fn version(settings: &Settings, batch: &SinkBatch, record: usize, offset: i64) -> Result<i64, String> {
    let Some(name) = &settings.version_header else { return Ok(offset) };
    let headers = batch.batch.headers.get(record).map(Vec::as_slice).unwrap_or_default();
    let value = headers.iter().rev().find(|(n, _)| n == name).and_then(|(_, v)| v.as_deref());
    let text = value.and_then(|v| std::str::from_utf8(v).ok());
    text.and_then(|t| t.trim().parse().ok()).filter(|v| *v >= 0).ok_or_else(|| {
        format!("the header {name} (external.version.header) holds no version: a number from 0 wanted")
    })
}

fn keyless(keys: &Result<Cells, String>, record: usize) -> bool {
    match keys {
        Ok(Cells::Null(_)) => true,
        Ok(Cells::Bytes(cells)) => cells.get(record).is_none_or(Option::is_none),
        Ok(Cells::Rows { rows, .. }) => rows.get(record).is_none_or(Option::is_none),
        _ => false,
    }
}

/// The id that a key stands for.
fn id(keys: &Cells, record: usize) -> Result<String, String> {
    let text = match keys {
        Cells::Bytes(cells) => cells.get(record).and_then(Option::as_deref).map(id_of_text).transpose()?,
        Cells::Rows { schema, rows } => match rows.get(record).and_then(Option::as_ref) {
            Some(row) => id_of_row(schema, row)?,
            None => None,
        },
        Cells::Null(_) | Cells::Arrow { .. } => None,
    };
    match text {
        None => Err("the key is used as document id and cannot be null".to_owned()),
        Some(id) if id.is_empty() => Err("the key is used as document id and cannot be empty".to_owned()),
        Some(id) if id.len() > MAX_ID_BYTES => Err(format!(
            "the key is used as document id, which has at most {MAX_ID_BYTES} bytes; it has {}",
            id.len()
        )),
        Some(id) => Ok(id),
    }
}

fn id_of_text(text: &[u8]) -> Result<String, String> {
    let text = std::str::from_utf8(text)
        .map_err(|_| "the key is used as document id and is no text (UTF-8)".to_owned())?;
    match text.trim_start().as_bytes().first() {
        Some(b'"') => Ok(serde_json::from_str(text).unwrap_or_else(|_| text.to_owned())),
        Some(b'{') => match serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text) {
            Ok(fields) => Ok(id_of_json(&fields)),
            Err(_) => Ok(text.to_owned()),
        },
        _ => Ok(text.to_owned()),
    }
}

fn id_of_json(fields: &serde_json::Map<String, serde_json::Value>) -> String {
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    match fields.values().next() {
        Some(only) if fields.len() == 1 => text(only).unwrap_or_default(),
        _ => joined(fields.values().map(text)),
    }
}

fn joined(parts: impl Iterator<Item = Option<String>>) -> String {
    let mut id = String::new();
    for (i, part) in parts.enumerate() {
        if i > 0 {
            id.push('|');
        }
        match part {
            Some(text) => id.push_str(&text.replace('\\', "\\\\").replace('|', "\\|")),
            None => id.push_str("\\N"),
        }
    }
    id
}

/// `None`: null.
fn id_of_row(schema: &ConnectSchema, row: &Row) -> Result<Option<String>, String> {
    let columns = schema.columns();
    let texts = columns
        .fields
        .iter()
        .zip(row)
        .map(|(field, value)| id_of_value(&field.data_type, value))
        .collect::<Result<Vec<_>, _>>()?;
    match (&schema.shape, texts.as_slice()) {
        // Text may hold JSON: a key that came through a string converter.
        (Shape::Single(DataType::Varchar), [Some(text)]) => id_of_text(text.as_bytes()).map(Some),
        (_, [only]) => Ok(only.clone()),
        _ => Ok(Some(joined(texts.into_iter()))),
    }
}

fn id_of_value(data_type: &DataType, value: &Value) -> Result<Option<String>, String> {
    Ok(Some(match (data_type, value) {
        (_, Value::Null) => return Ok(None),
        (_, Value::Boolean(v)) => v.to_string(),
        (_, Value::Integer(v) | Value::Date(v) | Value::Time(v)) => v.to_string(),
        (_, Value::BigInt(v) | Value::Timestamp(v)) => v.to_string(),
        (_, Value::Double(v)) => v.to_string(),
        (_, Value::Varchar(v)) => v.clone(),
        (DataType::Decimal(precision, scale), value @ Value::Decimal(_)) => {
            let schema = Schema::new(vec![Field::new("id", DataType::Decimal(*precision, *scale))]);
            let mut text = Vec::new();
            JsonCodec::key(schema)
                .encode_row(&vec![value.clone()], &mut text)
                .map_err(|e| format!("the key is used as document id: {}", e.reason))?;
            String::from_utf8_lossy(&text).into_owned()
        }
        (_, other) => return Err(format!("{} is not supported as the document id", other.type_name())),
    }))
}

/// A value as a document.
enum Document {
    Null,
    Text(Range<usize>),
    Bad(String),
}

/// The values of a batch as documents.
#[derive(Default)]
struct Documents {
    arena: Vec<u8>,
    cells: Vec<Document>,
}

fn documents(values: &Cells) -> Documents {
    let mut out = Documents::default();
    match values {
        Cells::Null(count) => out.cells.extend((0..*count).map(|_| Document::Null)),
        Cells::Bytes(cells) => cells.iter().for_each(|cell| out.text(cell.as_deref())),
        Cells::Arrow { schema, batch } => {
            match (&schema.shape, with_dates_as_timestamps(&schema.columns())) {
                (Shape::Struct { schema, .. }, None) => out.columns(schema, batch),
                _ => match values.clone().into_rows() {
                    Ok(Cells::Rows { schema, rows }) => out.rows(&schema, &rows),
                    Ok(_) => {}
                    Err(e) => out.cells.extend((0..batch.num_rows()).map(|_| Document::Bad(e.to_string()))),
                },
            }
        }
        Cells::Rows { schema, rows } => out.rows(schema, rows),
    }
    out
}

impl Documents {
    /// Text that should be a JSON object.
    fn text(&mut self, text: Option<&[u8]>) {
        // Connect's JSON converter reads `null` as null.
        let Some(text) = text.filter(|t| t.trim_ascii() != b"null") else {
            return self.cells.push(Document::Null);
        };
        if let Err(e) = serde_json::from_slice::<IgnoredAny>(text) {
            return self.cells.push(Document::Bad(format!("the value is not valid JSON: {e}")));
        }
        let text = text.trim_ascii();
        if text.first() != Some(&b'{') {
            let reason = "the value is JSON and no object; a document is an object with fields";
            return self.cells.push(Document::Bad(reason.to_owned()));
        }
        let start = self.arena.len();
        // In valid JSON line breaks stand between tokens only; in a bulk request they end a document.
        self.arena.extend(text.iter().map(|b| if matches!(b, b'\n' | b'\r') { b' ' } else { *b }));
        self.cells.push(Document::Text(start..self.arena.len()));
    }

    /// Columns, straight to JSON. A row that JSON cannot hold (NaN) costs only itself.
    fn columns(&mut self, schema: &Schema, batch: &arrow_array::RecordBatch) {
        let codec = JsonCodec::new(schema.clone());
        let mut next = 0;
        while next < batch.num_rows() {
            let mut encoded = Encoded::default();
            let rest = batch.slice(next, batch.num_rows() - next);
            let Err(error) = codec.encode_arrow(&rest, &mut encoded) else {
                self.take(&encoded);
                return;
            };
            let good = error.index.min(rest.num_rows() - 1);
            encoded.clear();
            if codec.encode_arrow(&rest.slice(0, good), &mut encoded).is_ok() {
                self.take(&encoded);
            } else {
                let bad = (0..good).map(|_| Document::Bad(unwritable(&error)));
                self.cells.extend(bad);
            }
            self.cells.push(Document::Bad(unwritable(&error)));
            next += good + 1;
        }
    }

    fn take(&mut self, encoded: &Encoded) {
        let base = self.arena.len();
        self.arena.extend_from_slice(&encoded.arena);
        let mut start = base;
        for end in &encoded.ends {
            let end = base + *end as usize;
            self.cells.push(Document::Text(start..end));
            start = end;
        }
    }

    fn rows(&mut self, schema: &ConnectSchema, rows: &[Option<Row>]) {
        let columns = schema.columns();
        let changed = with_dates_as_timestamps(&columns);
        let dates = changed.is_some();
        let single = matches!(schema.shape, Shape::Single(_));
        let columns = changed.map_or(columns, Cow::Owned).into_owned();
        let codec = if single { JsonCodec::key(columns) } else { JsonCodec::new(columns) };
        for row in rows {
            let Some(row) = row else {
                self.cells.push(Document::Null);
                continue;
            };
            match row.as_slice() {
                [Value::Null] if single => self.cells.push(Document::Null),
                [Value::Varchar(text)] if single => self.text(Some(text.as_bytes())),
                [Value::Bytes(text)] if single => self.text(Some(text)),
                _ if dates => self.row(&codec, &row.iter().cloned().map(millis).collect()),
                _ => self.row(&codec, row),
            }
        }
    }

    fn row(&mut self, codec: &JsonCodec, row: &Row) {
        let start = self.arena.len();
        match codec.encode_row(row, &mut self.arena) {
            Ok(()) if self.arena.get(start) == Some(&b'{') => {
                self.cells.push(Document::Text(start..self.arena.len()));
            }
            Ok(()) => {
                self.arena.truncate(start);
                let reason = "the value is a single value; a document is an object with fields";
                self.cells.push(Document::Bad(reason.to_owned()));
            }
            Err(e) => self.cells.push(Document::Bad(unwritable(&e))),
        }
    }
}

fn unwritable(error: &bd_schema::RecordError) -> String {
    let at = if error.path.is_empty() { String::new() } else { format!(" (field {})", error.path) };
    format!("the value cannot be written as JSON{at}: {}", error.reason)
}

/// The same with `DATE` as `TIMESTAMP`, `None` where there is no `DATE`: JSON holds days for a date, Elasticsearch reads ms.
fn with_dates_as_timestamps(schema: &Schema) -> Option<Schema> {
    let mut changed = false;
    let fields =
        schema.fields.iter().map(|f| Field::new(&f.name, undated(&f.data_type, &mut changed))).collect();
    changed.then(|| Schema::new(fields))
}

fn undated(data_type: &DataType, changed: &mut bool) -> DataType {
    match data_type {
        DataType::Date => {
            *changed = true;
            DataType::Timestamp
        }
        DataType::Array(element) => DataType::Array(undated(element, changed).into()),
        DataType::Map(value) => DataType::Map(undated(value, changed).into()),
        DataType::Struct(fields) => DataType::Struct(
            fields.iter().map(|f| Field::new(&f.name, undated(&f.data_type, changed))).collect(),
        ),
        other => other.clone(),
    }
}

fn millis(value: Value) -> Value {
    match value {
        Value::Date(days) => Value::Timestamp(i64::from(days) * DAY_MS),
        Value::Array(items) => Value::Array(items.into_iter().map(millis).collect()),
        Value::Map(entries) => Value::Map(entries.into_iter().map(|(k, v)| (k, millis(v))).collect()),
        Value::Struct(values) => Value::Struct(values.into_iter().map(millis).collect()),
        other => other,
    }
}
