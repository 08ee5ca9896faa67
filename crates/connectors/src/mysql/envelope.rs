//! Debezium's records: keys, envelopes, tombstones, and their schemas.

use super::catalog::Table;
use super::config::Settings;
use super::plan::{self, ColumnPlan};
use super::{Flavor, image};
use bd_connect::sdk::{ConnectField, ConnectSchema, Shape, TaskError};
use bd_schema::{DataType, Field, Row, Schema, Value};
use std::sync::Arc;

/// A captured table: how its rows become records.
#[derive(Debug)]
pub(super) struct Captured {
    pub(super) database: String,
    pub(super) table: String,
    pub(super) topic: Arc<str>,
    /// All columns, those left out of the records too.
    pub(super) columns: Vec<ColumnPlan>,
    /// The key's places among the values of the columns in the records; empty: no key.
    key: Vec<usize>,
    pub(super) key_schema: Option<Arc<ConnectSchema>>,
    pub(super) value_schema: Arc<ConnectSchema>,
    tombstones: bool,
    flavor: Flavor,
    prefix: String,
}

/// Where a change comes from.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    /// Milliseconds since epoch.
    pub(super) ts_ms: i64,
    /// `true`, `last`, `false`.
    pub(super) snapshot: &'static str,
    pub(super) server_id: i64,
    pub(super) gtid: Option<Arc<str>>,
    pub(super) file: Arc<str>,
    pub(super) pos: u64,
    pub(super) row: i32,
    pub(super) thread: Option<i64>,
}

/// A change of a row.
pub(super) enum Change {
    Read(Row),
    Create(Row),
    Update(Row, Row),
    Delete(Row),
}

/// A record to be.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) key: Option<Row>,
    /// `None`: a tombstone.
    pub(super) value: Option<Row>,
}

const SOURCE_SNAPSHOT: usize = 4;
const ENVELOPE_SOURCE: usize = 2;

impl Captured {
    /// Of a table's definition.
    ///
    /// # Errors
    /// Fatal: a column's type is not built, or a column of the key is left out.
    pub(super) fn new(
        settings: &Settings,
        database: &str,
        table: &str,
        definition: &Table,
    ) -> Result<Self, TaskError> {
        let columns = plan::columns(settings, database, table, definition)?;
        let full = topic_name(&format!("{}.{database}.{table}", settings.prefix));
        let included: Vec<&ColumnPlan> = columns.iter().filter(|c| c.included).collect();
        let place = |name: &String| {
            let found = included.iter().position(|c| c.name.to_lowercase() == name.to_lowercase());
            found.ok_or_else(|| TaskError::Fatal(format!("Column {name} of the key of {database}.{table} cannot be left out: change column.include.list or column.exclude.list")))
        };
        let key: Vec<usize> = definition.primary_key.iter().map(place).collect::<Result<_, _>>()?;
        let field = |c: &ColumnPlan| Field::new(c.name.clone(), c.data_type.clone());
        let row_type = DataType::Struct(included.iter().map(|c| field(c)).collect());
        let key_columns = || key.iter().filter_map(|&i| included.get(i));
        let known = |c: &ColumnPlan| c.known.clone();
        let key_schema = (!key.is_empty()).then(|| {
            let schema = Schema::new(key_columns().map(|c| field(c)).collect());
            let fields = key_columns().map(|c| ConnectField { required: true, ..known(c) }).collect();
            let shape = Shape::Struct { schema, fields };
            Arc::new(ConnectSchema::new(Some(format!("{full}.Key")), shape))
        });
        let row_fields: Vec<ConnectField> = included.iter().map(|c| known(c)).collect();
        let value_schema = Arc::new(envelope_schema(&full, &row_type, &row_fields, settings.flavor));
        Ok(Self {
            database: database.to_owned(),
            table: table.to_owned(),
            topic: full.into(),
            key,
            key_schema,
            value_schema,
            columns,
            tombstones: settings.tombstones,
            flavor: settings.flavor,
            prefix: settings.prefix.clone(),
        })
    }

    /// Adds the records of a change.
    pub(super) fn push(&self, change: Change, origin: &Origin, now_ms: i64, out: &mut Vec<Record>) {
        let source = self.source(origin);
        let envelope = |before: Option<Row>, after: Option<Row>, op: &str, source: Value| {
            let of = |row: Option<Row>| row.map_or(Value::Null, Value::Struct);
            let op = Value::Varchar(op.to_owned());
            Some(vec![of(before), of(after), source, op, Value::BigInt(now_ms), Value::Null])
        };
        match change {
            Change::Read(row) => {
                out.push(Record { key: self.key(&row), value: envelope(None, Some(row), "r", source) })
            }
            Change::Create(row) => {
                out.push(Record { key: self.key(&row), value: envelope(None, Some(row), "c", source) })
            }
            Change::Update(before, after) => {
                let (old, new) = (self.key(&before), self.key(&after));
                if old == new {
                    out.push(Record { key: new, value: envelope(Some(before), Some(after), "u", source) });
                    return;
                }
                let deleted = envelope(Some(before), None, "d", source.clone());
                out.push(Record { key: old.clone(), value: deleted });
                self.tombstone(old, out);
                out.push(Record { key: new, value: envelope(None, Some(after), "c", source) });
            }
            Change::Delete(row) => {
                let key = self.key(&row);
                out.push(Record { key: key.clone(), value: envelope(Some(row), None, "d", source) });
                self.tombstone(key, out);
            }
        }
    }

    fn tombstone(&self, key: Option<Row>, out: &mut Vec<Record>) {
        if self.tombstones && key.is_some() {
            out.push(Record { key, value: None });
        }
    }

    fn key(&self, row: &Row) -> Option<Row> {
        (!self.key.is_empty()).then(|| image::key(row, &self.key))
    }

    /// In the order of [`SOURCE`].
    fn source(&self, origin: &Origin) -> Value {
        let text = |text: &str| Value::Varchar(text.to_owned());
        Value::Struct(vec![
            text(env!("CARGO_PKG_VERSION")),
            text(self.flavor.name()),
            text(&self.prefix),
            Value::BigInt(origin.ts_ms),
            text(origin.snapshot),
            text(&self.database),
            Value::Null,
            text(&self.table),
            Value::BigInt(origin.server_id),
            origin.gtid.as_deref().map_or(Value::Null, text),
            text(&origin.file),
            Value::BigInt(i64::try_from(origin.pos).unwrap_or(i64::MAX)),
            Value::Integer(origin.row),
            origin.thread.map_or(Value::Null, Value::BigInt),
            Value::Null,
        ])
    }
}

/// Says of a snapshot's record that it is the last one.
pub(super) fn mark_last(record: &mut Record) {
    let Some(Value::Struct(source)) = record.value.as_mut().and_then(|v| v.get_mut(ENVELOPE_SOURCE)) else {
        return;
    };
    if let Some(snapshot) = source.get_mut(SOURCE_SNAPSHOT) {
        *snapshot = Value::Varchar("last".to_owned());
    }
}

/// Characters that a topic's name cannot have become `_`.
fn topic_name(name: &str) -> String {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    name.chars().map(|c| if legal(c) { c } else { '_' }).collect()
}

/// The fields of `source`, and whether they are never null.
const SOURCE: [(&str, DataType, bool); 15] = [
    ("version", DataType::Varchar, true),
    ("connector", DataType::Varchar, true),
    ("name", DataType::Varchar, true),
    ("ts_ms", DataType::BigInt, true),
    ("snapshot", DataType::Varchar, false),
    ("db", DataType::Varchar, true),
    ("sequence", DataType::Varchar, false),
    ("table", DataType::Varchar, false),
    ("server_id", DataType::BigInt, true),
    ("gtid", DataType::Varchar, false),
    ("file", DataType::Varchar, true),
    ("pos", DataType::BigInt, true),
    ("row", DataType::Integer, true),
    ("thread", DataType::BigInt, false),
    ("query", DataType::Varchar, false),
];

/// The values of `snapshot` of any of Debezium's connectors.
const SNAPSHOTS: &str = "true,first,first_in_data_collection,last_in_data_collection,last,false,incremental";

fn source_type() -> DataType {
    DataType::Struct(SOURCE.iter().map(|(name, data_type, _)| Field::new(*name, data_type.clone())).collect())
}

fn source_fields() -> Vec<ConnectField> {
    let field = |&(name, _, required): &(&str, DataType, bool)| match name {
        "snapshot" => ConnectField::default()
            .named("io.debezium.data.Enum")
            .versioned(1)
            .with_parameter("allowed", SNAPSHOTS)
            .or(Value::Varchar("false".to_owned())),
        _ => ConnectField { required, ..ConnectField::default() },
    };
    SOURCE.iter().map(field).collect()
}

fn envelope_schema(
    full: &str,
    row_type: &DataType,
    row_fields: &[ConnectField],
    flavor: Flavor,
) -> ConnectSchema {
    let transaction = DataType::Struct(Arc::new([
        Field::new("id", DataType::Varchar),
        Field::new("total_order", DataType::BigInt),
        Field::new("data_collection_order", DataType::BigInt),
    ]));
    let row = || ConnectField::default().named(format!("{full}.Value")).of(row_fields.to_vec());
    let source = format!("io.debezium.connector.{}.Source", flavor.name());
    let parts = [
        ("before", row_type.clone(), row()),
        ("after", row_type.clone(), row()),
        ("source", source_type(), ConnectField::required().named(source).versioned(1).of(source_fields())),
        ("op", DataType::Varchar, ConnectField::required()),
        ("ts_ms", DataType::BigInt, ConnectField::default()),
        (
            "transaction",
            transaction,
            ConnectField::default().named("event.block").versioned(1).of(vec![ConnectField::required(); 3]),
        ),
    ];
    let (columns, fields) = parts.into_iter().map(|(name, t, known)| (Field::new(name, t), known)).unzip();
    let shape = Shape::Struct { schema: Schema::new(columns), fields };
    let mut schema = ConnectSchema::new(Some(format!("{full}.Envelope")), shape);
    schema.meta.version = Some(2);
    schema
}
