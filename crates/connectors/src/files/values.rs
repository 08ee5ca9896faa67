//! Lines as values and keys.

use super::config::Settings;
use arrow_array::RecordBatch;
use bd_connect::sdk::{Cells, ConnectSchema, Rejected, Shape};
use bd_schema::{Codec, DataType, JsonCodec, Schema, Value, arrow_to_rows, rows_to_arrow};
use std::sync::Arc;

/// A line, or a record of several, as it stands in its file.
#[derive(Debug, Clone)]
pub(super) struct Numbered {
    /// From 1; the first one.
    pub(super) line: u64,
    pub(super) raw: Vec<u8>,
    /// As a JSON object, where that is not what it is.
    pub(super) json: Option<Vec<u8>>,
}

/// What lines became.
#[derive(Debug, Default)]
pub(super) struct Made {
    /// Values and keys, one a record; `None` where there is no record.
    pub(super) cells: Option<(Cells, Cells)>,
    pub(super) rejected: Vec<Rejected>,
}

/// A rejected line of a file.
pub(super) fn reject(path: &str, line: u64, raw: &[u8], reason: impl Into<String>) -> Rejected {
    let header = |name: &str, text: String| (name.to_owned(), Some(text.into_bytes()));
    Rejected {
        index: 0,
        key: None,
        value: Some(raw.to_vec()),
        headers: vec![header("file", path.to_owned()), header("line", line.to_string())],
        reason: format!("{path}, line {line}: {}", reason.into()),
    }
}

/// JSON objects as columns of the schema. `with_keys` says which columns are the key.
pub(super) fn columns(
    path: &str,
    schema: &Arc<ConnectSchema>,
    keys: &KeyColumns,
    lines: &[Numbered],
) -> Made {
    let mut made = Made::default();
    let codec = JsonCodec::new(schema.columns().into_owned());
    let texts: Vec<Option<&[u8]>> = lines.iter().map(|l| Some(l.json.as_deref().unwrap_or(&l.raw))).collect();
    let decoded = codec.decode_arrow(&texts);
    for error in decoded.errors {
        let Some(line) = lines.get(error.index) else { continue };
        let field = if error.path.is_empty() { String::new() } else { format!("field {}: ", error.path) };
        made.rejected.push(reject(path, line.line, &line.raw, format!("{field}{}", error.reason)));
    }
    let origin = |row: usize| decoded.rows.get(row).and_then(|i| lines.get(*i as usize));
    let batch = without_missing(path, schema, decoded.batch, origin, &mut made.rejected);
    made.rejected
        .sort_by_key(|r| r.headers.get(1).and_then(|(_, v)| v.as_ref().map(|v| (v.len(), v.clone()))));
    if batch.num_rows() > 0 {
        let keys = keys.of(&batch);
        made.cells = Some((Cells::Arrow { schema: Arc::clone(schema), batch }, keys));
    }
    made
}

/// The rows in which no required field is null; the others are rejected.
fn without_missing<'l>(
    path: &str,
    schema: &ConnectSchema,
    batch: RecordBatch,
    origin: impl Fn(usize) -> Option<&'l Numbered>,
    rejected: &mut Vec<Rejected>,
) -> RecordBatch {
    let Shape::Struct { schema: columns, fields } = &schema.shape else { return batch };
    let required: Vec<usize> =
        (0..columns.fields.len()).filter(|i| fields.get(*i).is_some_and(|f| f.required)).collect();
    if required.iter().all(|i| batch.column(*i).null_count() == 0) {
        return batch;
    }
    let Ok(rows) = arrow_to_rows(columns, &batch) else { return batch };
    let mut kept = Vec::with_capacity(rows.len());
    for (i, row) in rows.into_iter().enumerate() {
        match required.iter().find(|c| row.get(**c) == Some(&Value::Null)) {
            None => kept.push(row),
            Some(column) => {
                let name = &columns.fields[*column].name;
                if let Some(line) = origin(i) {
                    let reason = format!("field {name}: null, and the schema says it never is");
                    rejected.push(reject(path, line.line, &line.raw, reason));
                }
            }
        }
    }
    rows_to_arrow(columns, &kept).unwrap_or(batch)
}

/// Lines as bytes that pass as they are, with keys from their fields.
pub(super) fn bytes(path: &str, settings: &Settings, lines: Vec<Numbered>) -> Made {
    let mut made = Made::default();
    let (mut values, mut keys) = (Vec::new(), Vec::new());
    for line in lines {
        if !settings.key_fields.is_empty() {
            match key_of_json(&line.raw, &settings.key_fields) {
                Ok(key) => keys.push(Some(key)),
                Err(reason) => {
                    made.rejected.push(reject(path, line.line, &line.raw, reason));
                    continue;
                }
            }
        }
        values.push(Some(line.raw));
    }
    if !values.is_empty() {
        let keys = if keys.is_empty() { Cells::Null(values.len()) } else { Cells::Bytes(keys) };
        made.cells = Some((Cells::Bytes(values), keys));
    }
    made
}

/// The text of one field, or a JSON object of several.
fn key_of_json(text: &[u8], fields: &[String]) -> Result<Vec<u8>, String> {
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(text)
        .map_err(|e| format!("no JSON object, so that it has no key.fields: {e}"))?;
    let find = |name: &String| {
        let inexact = || object.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v);
        object.get(name).or_else(inexact).ok_or_else(|| format!("it has no field {name} (key.fields)"))
    };
    match fields {
        [one] => Ok(match find(one)? {
            serde_json::Value::String(text) => text.clone().into_bytes(),
            other => other.to_string().into_bytes(),
        }),
        several => {
            let key = several.iter().map(|name| Ok((name.clone(), find(name)?.clone())));
            let key = key.collect::<Result<serde_json::Map<_, _>, String>>()?;
            Ok(serde_json::Value::Object(key).to_string().into_bytes())
        }
    }
}

/// Lines as strings.
pub(super) fn strings(path: &str, lines: &[Numbered]) -> Made {
    let mut made = Made::default();
    let mut rows = Vec::with_capacity(lines.len());
    for line in lines {
        match String::from_utf8(line.raw.clone()) {
            Ok(text) => rows.push(Some(vec![Value::Varchar(text)])),
            Err(_) => made.rejected.push(reject(path, line.line, &line.raw, "no text (UTF-8)")),
        }
    }
    if !rows.is_empty() {
        let keys = Cells::Null(rows.len());
        let schema = Arc::new(ConnectSchema::single(DataType::Varchar));
        made.cells = Some((Cells::Rows { schema, rows }, keys));
    }
    made
}

/// The columns that are the key.
#[derive(Debug, Clone)]
pub(super) struct KeyColumns {
    places: Vec<usize>,
    schema: Option<Arc<ConnectSchema>>,
}

impl KeyColumns {
    /// Those columns of a schema.
    ///
    /// # Errors
    /// There is no such column.
    pub(super) fn new(columns: &Schema, fields: &[String]) -> Result<Self, String> {
        let places = fields
            .iter()
            .map(|f| columns.index_of(f).ok_or_else(|| format!("there is no column {f} (key.fields)")))
            .collect::<Result<Vec<_>, _>>()?;
        let schema = match places.as_slice() {
            [] => None,
            [one] => Some(ConnectSchema::single(columns.fields[*one].data_type.clone())),
            several => {
                let fields = several.iter().map(|i| columns.fields[*i].clone()).collect();
                Some(ConnectSchema::of(None, Schema::new(fields)))
            }
        };
        Ok(Self { places, schema: schema.map(Arc::new) })
    }

    /// The keys of those rows.
    pub(super) fn of(&self, batch: &RecordBatch) -> Cells {
        let Some(schema) = &self.schema else { return Cells::Null(batch.num_rows()) };
        let columns = self.places.iter().map(|i| Arc::clone(batch.column(*i))).collect();
        match RecordBatch::try_new(schema.columns().to_arrow(), columns) {
            Ok(batch) => Cells::Arrow { schema: Arc::clone(schema), batch },
            // The columns are those of the schema, which made the batch.
            Err(_) => Cells::Null(batch.num_rows()),
        }
    }
}
