//! From a [`Schema`] to an Avro declaration, with the names and attributes that Kafka Connect's converter writes.
//!
//! | type | Avro |
//! |---|---|
//! | `BOOLEAN`, `INTEGER`, `BIGINT`, `DOUBLE`, `VARCHAR`, `BYTES` | `boolean`, `int`, `long`, `double`, `string`, `bytes` |
//! | `DECIMAL(p, s)` | `bytes` with logical type `decimal` |
//! | `DATE`, `TIME`, `TIMESTAMP` | `int` `date`, `int` `time-millis`, `long` `timestamp-millis` |
//! | `ARRAY`, `MAP`, `STRUCT` | `array`, `map`, `record` named after the record and the field |
//!
//! Everything but a required field is `["null", T]` with default null, or `[T, "null"]` with a default of its own. A character of a
//! column's name that Avro does not have is written as Connect scrubs it (`Größe` becomes `Gr_C3_B6_C3_9Fe`).

use super::known::{FIELD_DEFAULT, FIELD_DOC, FIXED_SIZE, PRECISION, RECORD_DOC, UNION};
use super::parse::{AvroError, legal};
use crate::connect::{ConnectField, ConnectMeta, Narrow};
use crate::numeric::big_integer;
use crate::{DataType, Field, Schema, Value};
use serde_json::{Map, Value as Json, json};
use std::collections::{HashMap, HashSet};

/// The name of the records that ksqlDB's statements write.
pub const KSQL_RECORD: &str = "io.confluent.ksql.avro_schemas.KsqlDataSourceSchema";

/// The Avro declaration (JSON) of a record of that full name (`namespace.name`) with these columns; `fields` says more of each, in
/// their order, and may be shorter.
///
/// # Errors
/// Two columns of a record have the same name in Avro.
pub fn avro_of_schema(name: &str, schema: &Schema, fields: &[ConnectField]) -> Result<String, AvroError> {
    avro_of_record(name, schema, fields, &ConnectMeta::default())
}

/// The same with the metadata of the record itself.
///
/// # Errors
/// As [`avro_of_schema`]'s.
pub fn avro_of_record(
    name: &str,
    schema: &Schema,
    fields: &[ConnectField],
    meta: &ConnectMeta,
) -> Result<String, AvroError> {
    let full = legal(name);
    let mut declared = Declaring::new(&full);
    let mut record = declared.record(&full, &schema.fields, fields, meta, "")?;
    record.insert("connect.name".into(), name.into());
    Ok(Json::Object(record).to_string())
}

/// The Avro declaration (JSON) of a bare value that is never null, as of a key of one column: `"long"`.
///
/// # Errors
/// As [`avro_of_schema`]'s.
pub fn avro_of_value(data_type: &DataType, known: &ConnectField) -> Result<String, AvroError> {
    avro_of_named_value(KSQL_RECORD, data_type, known)
}

/// The same; a record in it is of that full name.
///
/// # Errors
/// As [`avro_of_schema`]'s.
pub fn avro_of_named_value(
    full: &str,
    data_type: &DataType,
    known: &ConnectField,
) -> Result<String, AvroError> {
    let mut declared = Declaring::new(full);
    declared.taken.clear();
    let mut avro = declared.data_type(data_type, "", known)?;
    if let (DataType::Struct(_), Some(record)) = (data_type, avro.as_object_mut()) {
        record.insert("namespace".into(), namespace(full).into());
    }
    Ok(avro.to_string())
}

fn simple(full: &str) -> &str {
    full.rsplit_once('.').map_or(full, |(_, name)| name)
}

fn namespace(full: &str) -> &str {
    full.rsplit_once('.').map_or("", |(namespace, _)| namespace)
}

/// A field's name in Avro, as Connect's converter scrubs it: what a URL escapes is `_XX`.
pub(crate) fn field_name(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => out.push(char::from(byte)),
            b' ' | b'.' | b'-' | b'*' => out.push('_'),
            other => out.push_str(&format!("_{other:02X}")),
        }
    }
    if !out.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        || out.starts_with('_') && !name.starts_with('_')
    {
        out.insert(0, 'x');
    }
    out
}

/// One declaration at work: every record in it needs a name of its own.
struct Declaring {
    root: String,
    /// Names without their namespaces.
    taken: HashSet<String>,
    /// Records that were given their names.
    named: HashMap<String, Json>,
}

impl Declaring {
    fn new(full: &str) -> Self {
        let root = simple(full).to_owned();
        Self { taken: HashSet::from([root.clone()]), root, named: HashMap::new() }
    }

    fn record(
        &mut self,
        full: &str,
        columns: &[Field],
        known: &[ConnectField],
        meta: &ConnectMeta,
        path: &str,
    ) -> Result<Map<String, Json>, AvroError> {
        let mut names = HashSet::new();
        let mut fields = Vec::with_capacity(columns.len());
        let plain = ConnectField::default();
        for (i, column) in columns.iter().enumerate() {
            let name = field_name(&column.name);
            if !names.insert(name.clone()) {
                let reason = format!("two columns are named {name} in Avro, one of them is {}", column.name);
                return Err(AvroError::new(reason));
            }
            let known = known.get(i).unwrap_or(&plain);
            let avro = self.data_type(&column.data_type, &format!("{path}_{name}"), known)?;
            let default = known.meta.default.as_ref().and_then(|v| default_json(v, &column.data_type));
            let mut field = Map::new();
            field.insert("name".into(), name.into());
            field.insert("type".into(), optional_unless(known.required, avro, default.is_some()));
            if let Some(doc) = meta.parameter(&format!("{FIELD_DOC}{}", column.name)) {
                field.insert("doc".into(), doc.into());
            }
            match default {
                Some(default) => drop(field.insert("default".into(), default)),
                None if !known.required => drop(field.insert("default".into(), Json::Null)),
                None => {}
            }
            fields.push(Json::Object(field));
        }
        let mut record = Map::new();
        record.insert("type".into(), "record".into());
        record.insert("name".into(), simple(full).into());
        if !namespace(full).is_empty() {
            record.insert("namespace".into(), namespace(full).into());
        }
        if let Some(doc) = meta.parameter(RECORD_DOC) {
            record.insert("doc".into(), doc.into());
        }
        record.insert("fields".into(), fields.into());
        connect(&mut record, meta, None);
        Ok(record)
    }

    fn data_type(
        &mut self,
        data_type: &DataType,
        path: &str,
        known: &ConnectField,
    ) -> Result<Json, AvroError> {
        let plain = ConnectField::default();
        let within = known.fields.first().unwrap_or(&plain);
        let narrow = known.meta.narrow.filter(|n| n.fits(data_type));
        let avro = match data_type {
            DataType::Boolean => json!("boolean"),
            DataType::Integer => json!("int"),
            DataType::BigInt => json!("long"),
            DataType::Double if narrow == Some(Narrow::Float32) => json!("float"),
            DataType::Double => json!("double"),
            DataType::Varchar => json!("string"),
            DataType::Bytes => match (&known.semantic, known.meta.parameter(FIXED_SIZE)) {
                (Some(name), Some(size)) => self.fixed(name, size),
                _ => json!("bytes"),
            },
            DataType::Decimal(precision, scale) => {
                let declared = known.meta.parameter(PRECISION).and_then(|p| p.parse::<u32>().ok());
                json!({
                    "type": "bytes", "scale": scale, "precision": declared.unwrap_or((*precision).into()),
                    "connect.version": 1,
                    "connect.parameters": {"scale": scale.to_string(), PRECISION: precision.to_string()},
                    "connect.name": "org.apache.kafka.connect.data.Decimal", "logicalType": "decimal"
                })
            }
            DataType::Date => logical("int", "Date", "date"),
            DataType::Time => logical("int", "Time", "time-millis"),
            DataType::Timestamp => logical("long", "Timestamp", "timestamp-millis"),
            DataType::Array(element) => {
                let items = self.data_type(element, path, within)?;
                json!({"type": "array", "items": optional_unless(within.required, items, false)})
            }
            DataType::Map(value) => {
                let values = self.data_type(value, &format!("{path}_MapValue"), within)?;
                json!({"type": "map", "values": optional_unless(within.required, values, false)})
            }
            DataType::Struct(fields) if known.semantic.as_deref() == Some(UNION) => {
                return self.union(fields, path, known);
            }
            DataType::Struct(fields) => return self.structure(fields, path, known),
        };
        let mut annotated = match avro {
            Json::Object(object) => object,
            name => Map::from_iter([("type".to_owned(), name)]),
        };
        if let Some(narrow @ (Narrow::Int8 | Narrow::Int16)) = narrow {
            annotated.insert("connect.type".into(), narrow.name().into());
        }
        let default = known.meta.default.as_ref().and_then(|v| default_json(v, data_type));
        connect(&mut annotated, &known.meta, default);
        if let Some(semantic) = &known.semantic {
            annotated.insert("connect.name".into(), semantic.as_str().into());
        }
        Ok(match annotated.get("type") {
            Some(name) if annotated.len() == 1 => name.clone(),
            _ => Json::Object(annotated),
        })
    }

    fn fixed(&mut self, name: &str, size: &str) -> Json {
        let full = legal(name);
        let Ok(size) = size.parse::<u32>() else { return json!("bytes") };
        if !self.taken.insert(simple(&full).to_owned()) {
            return json!("bytes");
        }
        match namespace(&full) {
            "" => json!({"type": "fixed", "name": full, "size": size}),
            namespace => {
                json!({"type": "fixed", "name": simple(&full), "namespace": namespace, "size": size})
            }
        }
    }

    /// The branches beside null: one a field.
    fn union(&mut self, fields: &[Field], path: &str, known: &ConnectField) -> Result<Json, AvroError> {
        let plain = ConnectField::default();
        let mut branches = Vec::with_capacity(fields.len());
        for (i, field) in fields.iter().enumerate() {
            let known = known.fields.get(i).unwrap_or(&plain);
            branches.push(self.data_type(
                &field.data_type,
                &format!("{path}_{}", field_name(&field.name)),
                known,
            )?);
        }
        Ok(Json::Array(branches))
    }

    /// A record by the name that it is known by; the same record again is a reference to it.
    fn structure(&mut self, fields: &[Field], path: &str, known: &ConnectField) -> Result<Json, AvroError> {
        let (of_fields, meta) = (&known.fields, &known.meta);
        let Some(semantic) = known.semantic.as_deref() else {
            let name = self.fresh(path);
            return Ok(Json::Object(self.record(&name, fields, of_fields, meta, path)?));
        };
        let full = legal(semantic);
        let before = self.named.get(&full).cloned();
        let free = full.contains('.') && (before.is_some() || self.taken.insert(simple(&full).to_owned()));
        let name = if free { full } else { self.fresh(path) };
        let mut record = self.record(&name, fields, of_fields, meta, path)?;
        record.insert("connect.name".into(), semantic.into());
        match before {
            Some(before) if before == Json::Object(record.clone()) => return Ok(name.into()),
            // Another one of that name.
            Some(_) => record.insert("name".into(), self.fresh(path).into()),
            None if free => self.named.insert(name, Json::Object(record.clone())),
            None => None,
        };
        Ok(Json::Object(record))
    }

    fn fresh(&mut self, path: &str) -> String {
        let name = format!("{}{path}", self.root);
        let mut unique = name.clone();
        let mut number = 2;
        while !self.taken.insert(unique.clone()) {
            unique = format!("{name}{number}");
            number += 1;
        }
        unique
    }
}

fn logical(avro: &str, connect: &str, logical: &str) -> Json {
    json!({
        "type": avro, "connect.version": 1,
        "connect.name": format!("org.apache.kafka.connect.data.{connect}"), "logicalType": logical
    })
}

/// What Connect says of a type: version, doc, parameters, default.
fn connect(of: &mut Map<String, Json>, meta: &ConnectMeta, default: Option<Json>) {
    if let Some(doc) = &meta.doc {
        of.insert("connect.doc".into(), doc.as_str().into());
    }
    if let Some(version) = meta.version {
        of.insert("connect.version".into(), version.into());
    }
    let mut said = meta.parameters.iter().filter(|(name, _)| name != FIELD_DEFAULT).peekable();
    if said.peek().is_some()
        && let Some(parameters) =
            of.entry("connect.parameters").or_insert_with(|| Json::Object(Map::new())).as_object_mut()
    {
        parameters.extend(said.map(|(name, value)| (name.clone(), value.as_str().into())));
    }
    if let Some(default) = default.filter(|_| meta.parameter(FIELD_DEFAULT).is_none()) {
        of.insert("connect.default".into(), default);
    }
}

/// With null beside it unless it is required; a default is of the first branch.
fn optional_unless(required: bool, avro: Json, default: bool) -> Json {
    let mut branches = match avro {
        _ if required => return avro,
        Json::Array(branches) => branches,
        one => vec![one],
    };
    let null = if default { branches.len() } else { 0 };
    branches.insert(null, "null".into());
    Json::Array(branches)
}

/// A default as Avro writes it in JSON; `None` where it has no form, such as a number that is none.
fn default_json(value: &Value, data_type: &DataType) -> Option<Json> {
    let latin = |bytes: &[u8]| Json::String(bytes.iter().map(|b| char::from(*b)).collect());
    Some(match (value, data_type) {
        (Value::Null, _) => Json::Null,
        (Value::Boolean(v), _) => (*v).into(),
        (Value::Integer(v) | Value::Date(v) | Value::Time(v), _) => (*v).into(),
        (Value::BigInt(v) | Value::Timestamp(v), _) => (*v).into(),
        (Value::Double(v), _) => Json::Number(serde_json::Number::from_f64(*v)?),
        (Value::Decimal(v), _) => latin(&big_integer(*v)),
        (Value::Varchar(v), _) => v.as_str().into(),
        (Value::Bytes(v), _) => latin(v),
        (Value::Array(items), DataType::Array(of)) => {
            Json::Array(items.iter().map(|v| default_json(v, of)).collect::<Option<_>>()?)
        }
        (Value::Map(entries), DataType::Map(of)) => {
            let entry = |(key, v): &(String, Value)| Some((key.clone(), default_json(v, of)?));
            Json::Object(entries.iter().map(entry).collect::<Option<_>>()?)
        }
        (Value::Struct(values), DataType::Struct(fields)) => {
            let field =
                |(v, f): (&Value, &Field)| Some((field_name(&f.name), default_json(v, &f.data_type)?));
            Json::Object(values.iter().zip(fields.iter()).map(field).collect::<Option<_>>()?)
        }
        _ => return None,
    })
}
