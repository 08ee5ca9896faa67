//! Transforms that add what is known of a record to it, as fields or headers.

use super::chain::Keys;
use super::flow::{columns, struct_like, with_rows};
use super::{Flow, Step, Transform};
use crate::convert::Memo;
use crate::sdk::{Cells, ConfigError, ConnectField, ConnectSchema};
use crate::store::now_ms;
use bd_schema::{DataType, Field, Role, Value};
use std::sync::Arc;

#[derive(Debug, Clone)]
enum Source {
    Topic,
    Partition,
    Offset,
    Timestamp,
    Static(String),
}

/// `InsertField`: keys `topic.field`, `partition.field`, `offset.field`, `timestamp.field`, `static.field` with `static.value`; a
/// name ends with `!` to be required, with `?` to be optional (the default).
struct InsertField {
    role: Role,
    inserted: Vec<(Field, ConnectField, Source)>,
    memo: Memo<Arc<ConnectSchema>>,
}

pub(super) fn open_field(keys: &Keys, role: Role) -> Result<Box<dyn Transform>, ConfigError> {
    let mut inserted = Vec::new();
    let all = [
        ("topic.field", DataType::Varchar, Source::Topic),
        ("partition.field", DataType::Integer, Source::Partition),
        ("offset.field", DataType::BigInt, Source::Offset),
        ("timestamp.field", DataType::Timestamp, Source::Timestamp),
        (
            "static.field",
            DataType::Varchar,
            Source::Static(keys.get("static.value").unwrap_or_default().into()),
        ),
    ];
    for (key, data_type, source) in all {
        let Some(name) = keys.get(key) else { continue };
        if key == "static.field" {
            keys.text("static.value")?;
        }
        let required = name.ends_with('!');
        let name = name.trim_end_matches(['!', '?']);
        inserted.push((Field::new(name, data_type), ConnectField { required, ..Default::default() }, source));
    }
    if inserted.is_empty() {
        return Err(keys.error("static.field", "No field insertion configured"));
    }
    Ok(Box::new(InsertField { role, inserted, memo: Memo::default() }))
}

impl InsertField {
    fn value(source: &Source, flow: &Flow, i: usize, now: i64) -> Value {
        match source {
            Source::Topic => Value::Varchar(flow.batch.topic.to_string()),
            Source::Partition => flow.batch.partition.map_or(Value::Null, Value::Integer),
            Source::Offset => flow.offsets.get(i).map_or(Value::Null, |o| Value::BigInt(*o)),
            Source::Timestamp => Value::Timestamp(flow.batch.timestamps.get(i).copied().unwrap_or(now)),
            Source::Static(text) => Value::Varchar(text.clone()),
        }
    }
}

impl Transform for InsertField {
    fn apply(&mut self, flow: Flow, out: &mut Step) {
        let now = now_ms();
        let (role, inserted, memo) = (self.role, &self.inserted, &mut self.memo);
        with_rows(flow, role, out, |mut flow, schema, mut rows, out| {
            let wider = memo.get(&schema, |schema| {
                let mut all = columns(schema).ok_or("the record is no struct")?;
                all.extend(inserted.iter().map(|(f, k, _)| (f.clone(), k.clone())));
                Ok::<_, &str>(struct_like(schema, all))
            });
            match wider {
                Err(reason) => out.fail_all(&flow, reason),
                Ok(wider) => {
                    for (i, row) in rows.iter_mut().enumerate() {
                        let Some(row) = row else { continue };
                        row.extend(inserted.iter().map(|(_, _, s)| Self::value(s, &flow, i, now)));
                    }
                    flow.set(role, Cells::Rows { schema: Arc::clone(wider), rows });
                    out.flows.push(flow);
                }
            }
        });
    }
}

/// `InsertHeader`: keys `header`, `value.literal`.
struct InsertHeader {
    name: String,
    value: Vec<u8>,
}

pub(super) fn open_header(keys: &Keys) -> Result<Box<dyn Transform>, ConfigError> {
    let value = keys.text("value.literal")?.as_bytes().to_vec();
    Ok(Box::new(InsertHeader { name: keys.text("header")?.to_owned(), value }))
}

impl Transform for InsertHeader {
    fn apply(&mut self, mut flow: Flow, out: &mut Step) {
        for i in 0..flow.len() {
            flow.add_header(i, (self.name.clone(), Some(self.value.clone())));
        }
        out.flows.push(flow);
    }
}

/// `DropHeaders`: key `headers`.
struct DropHeaders(Vec<String>);

pub(super) fn open_drop_headers(keys: &Keys) -> Box<dyn Transform> {
    Box::new(DropHeaders(keys.list("headers").into_iter().map(str::to_owned).collect()))
}

impl Transform for DropHeaders {
    fn apply(&mut self, mut flow: Flow, out: &mut Step) {
        for headers in &mut flow.batch.headers {
            headers.retain(|(name, _)| !self.0.contains(name));
        }
        out.flows.push(flow);
    }
}
