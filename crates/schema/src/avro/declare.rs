//! From a [`Schema`] to an Avro declaration, with the names and attributes that Kafka Connect's converter writes.
//!
//! | type | Avro |
//! |---|---|
//! | `BOOLEAN`, `INTEGER`, `BIGINT`, `DOUBLE`, `VARCHAR`, `BYTES` | `boolean`, `int`, `long`, `double`, `string`, `bytes` |
//! | `DECIMAL(p, s)` | `bytes` with logical type `decimal` |
//! | `DATE`, `TIME`, `TIMESTAMP` | `int` `date`, `int` `time-millis`, `long` `timestamp-millis` |
//! | `ARRAY`, `MAP`, `STRUCT` | `array`, `map`, `record` named after the record and the field |
//!
//! Everything but a required field is `["null", T]` with default null. A character of a column's name that Avro does not have is
//! written as Connect scrubs it (`Größe` becomes `Gr_C3_B6_C3_9Fe`).

use super::AvroField;
use super::parse::{AvroError, legal};
use crate::{DataType, Field, Schema};
use serde_json::{Map, Value as Json, json};
use std::collections::{HashMap, HashSet};

/// The name of the records that ksqlDB's statements write.
pub const KSQL_RECORD: &str = "io.confluent.ksql.avro_schemas.KsqlDataSourceSchema";

/// The Avro declaration (JSON) of a record of that full name (`namespace.name`) with these columns; `fields` says more of each, in
/// their order, and may be shorter.
///
/// # Errors
/// Two columns of a record have the same name in Avro.
pub fn avro_of_schema(name: &str, schema: &Schema, fields: &[AvroField]) -> Result<String, AvroError> {
    let full = legal(name);
    let mut declared = Declaring::new(&full);
    let mut record = declared.record(&full, &schema.fields, fields, "")?;
    record.insert("connect.name".into(), name.into());
    Ok(Json::Object(record).to_string())
}

/// The Avro declaration (JSON) of a bare value that is never null, as of a key of one column: `"long"`.
///
/// # Errors
/// As [`avro_of_schema`]'s.
pub fn avro_of_value(data_type: &DataType) -> Result<String, AvroError> {
    avro_of_named_value(KSQL_RECORD, data_type)
}

/// The same; a record in it is of that full name.
///
/// # Errors
/// As [`avro_of_schema`]'s.
pub fn avro_of_named_value(full: &str, data_type: &DataType) -> Result<String, AvroError> {
    let mut declared = Declaring::new(full);
    declared.taken.clear();
    let mut avro = declared.data_type(data_type, "", None)?;
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
        more: &[AvroField],
        path: &str,
    ) -> Result<Map<String, Json>, AvroError> {
        let mut names = HashSet::new();
        let mut fields = Vec::with_capacity(columns.len());
        for (i, column) in columns.iter().enumerate() {
            let name = field_name(&column.name);
            if !names.insert(name.clone()) {
                let reason = format!("two columns are named {name} in Avro, one of them is {}", column.name);
                return Err(AvroError::new(reason));
            }
            let more = more.get(i);
            let data_type = self.data_type(&column.data_type, &format!("{path}_{name}"), more)?;
            fields.push(match more {
                Some(more) if more.required => json!({"name": name, "type": data_type}),
                _ => json!({"name": name, "type": ["null", data_type], "default": null}),
            });
        }
        let mut record = Map::new();
        record.insert("type".into(), "record".into());
        record.insert("name".into(), simple(full).into());
        if !namespace(full).is_empty() {
            record.insert("namespace".into(), namespace(full).into());
        }
        record.insert("fields".into(), fields.into());
        Ok(record)
    }

    fn data_type(
        &mut self,
        data_type: &DataType,
        path: &str,
        more: Option<&AvroField>,
    ) -> Result<Json, AvroError> {
        let optional = |avro: Json| json!(["null", avro]);
        let mut avro = match data_type {
            DataType::Boolean => json!("boolean"),
            DataType::Integer => json!("int"),
            DataType::BigInt => json!("long"),
            DataType::Double => json!("double"),
            DataType::Varchar => json!("string"),
            DataType::Bytes => json!("bytes"),
            DataType::Decimal(precision, scale) => json!({
                "type": "bytes", "scale": scale, "precision": precision, "connect.version": 1,
                "connect.parameters": {"scale": scale.to_string(), "connect.decimal.precision": precision.to_string()},
                "connect.name": "org.apache.kafka.connect.data.Decimal", "logicalType": "decimal"
            }),
            DataType::Date => logical("int", "Date", "date"),
            DataType::Time => logical("int", "Time", "time-millis"),
            DataType::Timestamp => logical("long", "Timestamp", "timestamp-millis"),
            DataType::Array(element) => {
                let items = self.data_type(element, path, None)?;
                json!({"type": "array", "items": optional(items)})
            }
            DataType::Map(value) => {
                let values = self.data_type(value, &format!("{path}_MapValue"), None)?;
                json!({"type": "map", "values": optional(values)})
            }
            DataType::Struct(fields) => {
                return self.structure(fields, path, more);
            }
        };
        if let Some(semantic) = more.and_then(|m| m.semantic.as_deref()) {
            if let Json::String(name) = &avro {
                avro = json!({"type": name});
            }
            if let Some(object) = avro.as_object_mut() {
                object.entry("connect.version").or_insert_with(|| 1.into());
                object.insert("connect.name".into(), semantic.into());
            }
        }
        Ok(avro)
    }

    /// A record by the name that it is known by; the same record again is a reference to it.
    fn structure(
        &mut self,
        fields: &[Field],
        path: &str,
        more: Option<&AvroField>,
    ) -> Result<Json, AvroError> {
        let of_fields = more.map_or(&[][..], |m| &m.fields);
        let Some(semantic) = more.and_then(|m| m.semantic.as_deref()) else {
            let name = self.fresh(path);
            return Ok(Json::Object(self.record(&name, fields, of_fields, path)?));
        };
        let full = legal(semantic);
        let known = self.named.get(&full).cloned();
        let free = full.contains('.') && (known.is_some() || self.taken.insert(simple(&full).to_owned()));
        let name = if free { full } else { self.fresh(path) };
        let mut record = self.record(&name, fields, of_fields, path)?;
        record.insert("connect.name".into(), semantic.into());
        match known {
            Some(known) if known == Json::Object(record.clone()) => return Ok(name.into()),
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
