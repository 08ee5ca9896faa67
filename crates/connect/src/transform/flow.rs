//! Records on their way through transforms: a batch, and where each of its records came from.

use crate::sdk::{Batch, Cells, ConnectField, ConnectMeta, ConnectSchema, Header, Shape};
use bd_schema::{DataType, Field, Role, Row, Schema, Value};
use serde_json::Value as Json;
use std::sync::Arc;

/// A batch within a chain of transforms.
#[derive(Debug, Clone)]
pub(crate) struct Flow {
    pub(crate) batch: Batch,
    /// The place of each record in the batch that entered the chain.
    pub(crate) origins: Vec<u32>,
    /// The offset of each record; empty for sources.
    pub(crate) offsets: Vec<i64>,
    /// Which of keys and values had no schema: their structs leave the chain without one.
    pub(super) schemaless: Schemaless,
}

/// See [`Flow::schemaless`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Schemaless {
    pub(super) keys: bool,
    pub(super) values: bool,
}

/// What a transform made of a flow.
#[derive(Debug, Default)]
pub(crate) struct Step {
    pub(crate) flows: Vec<Flow>,
    /// The records that could not be transformed, by origin, and why.
    pub(crate) failed: Vec<(u32, String)>,
}

impl Step {
    /// All records of the flow failed for the same reason.
    pub(crate) fn fail_all(&mut self, flow: &Flow, reason: &str) {
        self.failed.extend(flow.origins.iter().map(|o| (*o, reason.to_owned())));
    }
}

impl Flow {
    /// What enters a chain.
    pub(crate) fn new(batch: Batch, offsets: Vec<i64>) -> Self {
        let origins = (0..batch.len() as u32).collect();
        Self { batch, origins, offsets, schemaless: Schemaless::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.origins.len()
    }

    pub(crate) fn set(&mut self, role: Role, cells: Cells) {
        match role {
            Role::Key => self.batch.keys = cells,
            Role::Value => self.batch.values = cells,
        }
    }

    /// The records at these places, ascending.
    pub(crate) fn select(&self, places: &[usize]) -> Self {
        if places.len() == self.len() {
            return self.clone();
        }
        let batch = &self.batch;
        Self {
            batch: Batch {
                topic: Arc::clone(&batch.topic),
                partition: batch.partition,
                keys: select(&batch.keys, places),
                values: select(&batch.values, places),
                timestamps: pick(&batch.timestamps, places),
                headers: pick(&batch.headers, places),
            },
            origins: pick(&self.origins, places),
            offsets: pick(&self.offsets, places),
            schemaless: self.schemaless,
        }
    }

    /// Splits where `key` changes from one record to the next.
    pub(crate) fn split_by<K: PartialEq>(self, key: impl Fn(usize) -> K) -> Vec<(K, Flow)> {
        let mut parts: Vec<(K, Vec<usize>)> = Vec::new();
        for i in 0..self.len() {
            let of = key(i);
            match parts.last_mut() {
                Some((last, places)) if *last == of => places.push(i),
                _ => parts.push((of, vec![i])),
            }
        }
        if parts.len() == 1 {
            return parts.into_iter().map(|(k, _)| k).zip([self]).collect();
        }
        parts.into_iter().map(|(k, places)| (k, self.select(&places))).collect()
    }

    /// The same with keys or values as rows (or all null). Bytes are JSON without a schema: each gets the schema that it shows, so
    /// there may be several flows.
    pub(crate) fn structured(mut self, role: Role, out: &mut Step) -> Vec<Flow> {
        let cells = match role {
            Role::Key => std::mem::replace(&mut self.batch.keys, Cells::Null(0)),
            Role::Value => std::mem::replace(&mut self.batch.values, Cells::Null(0)),
        };
        match cells {
            Cells::Bytes(cells) => self.inferred(role, &cells, out),
            other => match other.into_rows() {
                Ok(cells) => {
                    self.set(role, cells);
                    vec![self]
                }
                Err(error) => {
                    out.fail_all(&self, &error.to_string());
                    Vec::new()
                }
            },
        }
    }

    fn inferred(mut self, role: Role, cells: &[Option<Vec<u8>>], out: &mut Step) -> Vec<Flow> {
        let mut flows = Vec::new();
        let mut open = Inferred::default();
        self.set(role, Cells::Null(self.len()));
        match role {
            Role::Key => self.schemaless.keys = true,
            Role::Value => self.schemaless.values = true,
        }
        for (i, cell) in cells.iter().enumerate() {
            let (schema, row) = match cell.as_ref().map(|c| serde_json::from_slice::<Json>(c)) {
                Some(Err(error)) => {
                    let reason = format!("the {role} has no schema and is not JSON: {error}");
                    out.failed.push((self.origins[i], reason));
                    continue;
                }
                None | Some(Ok(Json::Null)) => (None, None),
                Some(Ok(json)) => {
                    let (schema, row) = infer(&json);
                    (Some(Arc::new(schema)), Some(row))
                }
            };
            if open.schema.is_some() && schema.is_some() && open.schema != schema {
                flows.push(std::mem::take(&mut open).into_flow(&self, role));
            }
            open.schema = open.schema.take().or(schema);
            open.rows.push(row);
            open.places.push(i);
        }
        if !open.places.is_empty() {
            flows.push(open.into_flow(&self, role));
        }
        flows
    }

    /// Adds a header to record `i`.
    pub(crate) fn add_header(&mut self, i: usize, header: Header) {
        let count = self.len();
        self.batch.headers.resize(count, Vec::new());
        self.batch.headers[i].push(header);
    }
}

/// Consecutive records without a schema that show the same one.
#[derive(Default)]
struct Inferred {
    schema: Option<Arc<ConnectSchema>>,
    rows: Vec<Option<Row>>,
    places: Vec<usize>,
}

impl Inferred {
    fn into_flow(self, whole: &Flow, role: Role) -> Flow {
        let mut flow = whole.select(&self.places);
        flow.set(
            role,
            match self.schema {
                Some(schema) => Cells::Rows { schema, rows: self.rows },
                None => Cells::Null(self.rows.len()),
            },
        );
        flow
    }
}

fn pick<T: Clone>(all: &[T], places: &[usize]) -> Vec<T> {
    places.iter().filter_map(|i| all.get(*i).cloned()).collect()
}

fn select(cells: &Cells, places: &[usize]) -> Cells {
    match cells {
        Cells::Null(_) => Cells::Null(places.len()),
        Cells::Bytes(cells) => Cells::Bytes(pick(cells, places)),
        Cells::Rows { schema, rows } => Cells::Rows { schema: Arc::clone(schema), rows: pick(rows, places) },
        Cells::Arrow { schema, batch } => {
            if let (Some(first), Some(last)) = (places.first(), places.last())
                && last - first + 1 == places.len()
            {
                let batch = batch.slice(*first, places.len());
                return Cells::Arrow { schema: Arc::clone(schema), batch };
            }
            match cells.clone().into_rows() {
                Ok(rows @ Cells::Rows { .. }) => select(&rows, places),
                // Columns that do not have their schema's type; the converter says so.
                _ => cells.clone(),
            }
        }
    }
}

/// The start of a text, for messages.
pub(crate) fn abridged(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}

/// The schema that a JSON value shows, and the value as a row of it: whole numbers are `BIGINT`, others `DOUBLE`, what differs within
/// an array is JSON text.
pub(crate) fn infer(json: &Json) -> (ConnectSchema, Row) {
    let data_type = bd_schema::type_of_json(json);
    let value = of_json(json, &data_type);
    match (data_type, value) {
        (DataType::Struct(fields), Value::Struct(row)) => {
            (ConnectSchema::of(None, Schema::new(fields.to_vec())), row)
        }
        (other, value) => (ConnectSchema::single(other), vec![value]),
    }
}

fn of_json(json: &Json, data_type: &DataType) -> Value {
    match (json, data_type) {
        (Json::Null, _) => Value::Null,
        (Json::Bool(v), DataType::Boolean) => Value::Boolean(*v),
        (Json::Number(v), DataType::BigInt) => v.as_i64().map_or(Value::Null, Value::BigInt),
        (Json::Number(v), DataType::Double) => v.as_f64().map_or(Value::Null, Value::Double),
        (Json::Array(items), DataType::Array(of)) => {
            Value::Array(items.iter().map(|v| of_json(v, of)).collect())
        }
        (Json::Object(members), DataType::Struct(fields)) => Value::Struct(
            fields
                .iter()
                .map(|f| members.get(&f.name).map_or(Value::Null, |v| of_json(v, &f.data_type)))
                .collect(),
        ),
        (Json::String(text), _) => Value::Varchar(text.clone()),
        (other, _) => Value::Varchar(other.to_string()),
    }
}

/// The columns of a struct with what is known of each; `None` for a single value.
pub(super) fn columns(schema: &ConnectSchema) -> Option<Vec<(Field, ConnectField)>> {
    let Shape::Struct { schema, fields } = &schema.shape else { return None };
    Some(with_known(&schema.fields, fields))
}

/// Fields beside what is known of them.
pub(super) fn with_known(fields: &[Field], known: &[ConnectField]) -> Vec<(Field, ConnectField)> {
    let known = |i: usize| known.get(i).cloned().unwrap_or_default();
    fields.iter().enumerate().map(|(i, f)| (f.clone(), known(i))).collect()
}

/// A struct of these columns of which nothing else is known.
pub(super) fn struct_of(columns: Vec<(Field, ConnectField)>) -> Arc<ConnectSchema> {
    let (schema, fields) = columns.into_iter().unzip();
    Arc::new(ConnectSchema::new(None, Shape::Struct { schema: Schema { fields: schema }, fields }))
}

/// A struct of other columns than `like`'s, with its name, version, doc and parameters: Kafka's `SchemaUtil.copySchemaBasics`.
pub(super) fn struct_like(like: &ConnectSchema, columns: Vec<(Field, ConnectField)>) -> Arc<ConnectSchema> {
    let (schema, fields) = columns.into_iter().unzip();
    let shape = Shape::Struct { schema: Schema { fields: schema }, fields };
    let meta = ConnectMeta { default: None, ..like.meta.clone() };
    Arc::new(ConnectSchema { name: like.name.clone(), shape, meta, avro: None })
}

/// The schema of a column's values standing alone.
pub(super) fn alone(field: &Field, known: &ConnectField) -> Arc<ConnectSchema> {
    Arc::new(ConnectSchema::alone(&field.data_type, known.clone()))
}

/// A value standing alone as a row of [`alone`]'s schema; a null struct is null as a whole.
pub(super) fn alone_row(value: Value, schema: &ConnectSchema) -> Option<Row> {
    match (value, &schema.shape) {
        (Value::Null, _) => None,
        (Value::Struct(row), Shape::Struct { .. }) => Some(row),
        (value, _) => Some(vec![value]),
    }
}

/// Hands the rows of each flow with a schema to `with`; flows of nulls pass.
pub(super) fn with_rows(
    flow: Flow,
    role: Role,
    out: &mut Step,
    mut with: impl FnMut(Flow, Arc<ConnectSchema>, Vec<Option<Row>>, &mut Step),
) {
    for mut flow in flow.structured(role, out) {
        let empty = Cells::Null(flow.len());
        let cells = match role {
            Role::Key => std::mem::replace(&mut flow.batch.keys, empty),
            Role::Value => std::mem::replace(&mut flow.batch.values, empty),
        };
        match cells {
            Cells::Rows { schema, rows } => with(flow, schema, rows, out),
            // All null, which is what stands there now.
            _ => out.flows.push(flow),
        }
    }
}
