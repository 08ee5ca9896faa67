//! Types as ksqlDB names them in answers.

use bd_schema::{DataType, Field};
use serde_json::{Value, json};

/// As in `columnTypes` and `schema`: `STRING`, `DECIMAL(4, 2)`, ``STRUCT<`A` BIGINT>``.
pub(super) fn name(data_type: &DataType) -> String {
    match data_type {
        DataType::Varchar => "STRING".into(),
        DataType::Array(element) => format!("ARRAY<{}>", name(element)),
        DataType::Map(value) => format!("MAP<STRING, {}>", name(value)),
        DataType::Struct(fields) => format!("STRUCT<{}>", columns(fields)),
        other => other.to_string(),
    }
}

/// As in the header of `/query`: `` `A` BIGINT, `B` STRING ``.
pub(super) fn columns(fields: &[Field]) -> String {
    let each = fields.iter().map(|f| format!("`{}` {}", f.name, name(&f.data_type)));
    each.collect::<Vec<_>>().join(", ")
}

/// As in `sourceDescription`: `{"type": "ARRAY", "fields": null, "memberSchema": {..}}`.
pub(super) fn schema(data_type: &DataType) -> Value {
    let of = |kind: &str, fields: Value, member: Value| json!({"type": kind, "fields": fields, "memberSchema": member});
    match data_type {
        DataType::Array(element) => of("ARRAY", Value::Null, schema(element)),
        DataType::Map(value) => of("MAP", Value::Null, schema(value)),
        DataType::Struct(fields) => {
            let fields: Vec<Value> = fields.iter().map(|f| field(&f.name, &f.data_type, None)).collect();
            of("STRUCT", Value::Array(fields), Value::Null)
        }
        DataType::Decimal(precision, scale) => {
            let mut value = of("DECIMAL", Value::Null, Value::Null);
            value["parameters"] = json!({"precision": precision, "scale": scale});
            value
        }
        scalar => of(&name(scalar), Value::Null, Value::Null),
    }
}

/// A column or a struct's field; `place` is `KEY` for key columns.
pub(super) fn field(name: &str, data_type: &DataType, place: Option<&str>) -> Value {
    let mut value = json!({"name": name, "schema": schema(data_type)});
    if let Some(place) = place {
        value["type"] = json!(place);
    }
    value
}
