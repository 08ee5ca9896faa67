//! Transforms that change the types of fields.

use super::chain::Keys;
use super::flow::{abridged, struct_like, with_known, with_rows};
use super::time::Format;
use super::{Flow, Step, Transform};
use crate::convert::{Memo, text_of};
use crate::sdk::{Cells, ConfigError, ConnectField, ConnectMeta, ConnectSchema, Narrow, Shape};
use bd_schema::{DataType, Field, Role, Row, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How one value becomes another, of another type.
trait Change: Send {
    fn data_type(&self) -> DataType;
    fn change(&self, value: Value, from: &DataType) -> Result<Value, String>;
    /// What is known of the changed values.
    fn known(&self, before: ConnectField, from: &DataType) -> ConnectField;
}

/// Changes fields, or the whole of a single value.
struct ChangeFields {
    role: Role,
    fields: BTreeMap<String, Box<dyn Change>>,
    whole: Option<Box<dyn Change>>,
    memo: Memo<Arc<ConnectSchema>>,
}

impl ChangeFields {
    fn change_of(&self, schema: &ConnectSchema, field: &str) -> Option<&dyn Change> {
        match schema.shape {
            Shape::Single(_) => self.whole.as_deref(),
            Shape::Struct { .. } => self.fields.get(field).map(Box::as_ref),
        }
    }

    fn changed(&self, schema: &ConnectSchema) -> Arc<ConnectSchema> {
        match &schema.shape {
            Shape::Single(of) => {
                let Some(change) = &self.whole else {
                    return Arc::new(ConnectSchema { avro: None, ..schema.clone() });
                };
                let (_, known) = schema.as_field();
                Arc::new(ConnectSchema::alone(&change.data_type(), change.known(known, of)))
            }
            Shape::Struct { schema: of, fields } => {
                let column = |(field, known): (Field, ConnectField)| match self.change_of(schema, &field.name)
                {
                    Some(change) => {
                        let known = change.known(known, &field.data_type);
                        (Field::new(field.name, change.data_type()), known)
                    }
                    None => (field, known),
                };
                let columns = with_known(&of.fields, fields).into_iter().map(column).collect();
                struct_like(schema, columns)
            }
        }
    }

    fn change_row(&self, schema: &ConnectSchema, fields: &[Field], row: Row) -> Result<Row, String> {
        let change = |(value, field): (Value, &Field)| match self.change_of(schema, &field.name) {
            Some(change) if value != Value::Null => {
                change.change(value, &field.data_type).map_err(|e| format!("field {}: {e}", field.name))
            }
            _ => Ok(value),
        };
        row.into_iter().zip(fields).map(change).collect()
    }
}

impl Transform for ChangeFields {
    fn apply(&mut self, flow: Flow, out: &mut Step) {
        let mut memo = std::mem::take(&mut self.memo);
        with_rows(flow, self.role, out, |mut flow, schema, rows, out| {
            let to = memo.get(&schema, |schema| Ok::<_, std::convert::Infallible>(self.changed(schema)));
            let Ok(to) = to;
            let fields = schema.columns();
            let (mut kept, mut changed) = (Vec::new(), Vec::new());
            for (i, row) in rows.into_iter().enumerate() {
                match row.map(|row| self.change_row(&schema, &fields.fields, row)).transpose() {
                    Ok(row) => {
                        kept.push(i);
                        changed.push(row);
                    }
                    Err(reason) => out.failed.push((flow.origins[i], reason)),
                }
            }
            if kept.len() < flow.len() {
                flow = flow.select(&kept);
            }
            flow.set(self.role, Cells::Rows { schema: Arc::clone(to), rows: changed });
            out.flows.push(flow);
        });
        self.memo = memo;
    }
}

/// `Cast`: key `spec`, `field:type,...` or one type for a record that is no struct.
pub(super) fn open_cast(keys: &Keys, role: Role) -> Result<Box<dyn Transform>, ConfigError> {
    keys.text("spec")?;
    let mut fields: BTreeMap<String, Box<dyn Change>> = BTreeMap::new();
    let mut whole: Option<Box<dyn Change>> = None;
    for part in keys.list("spec") {
        let (field, name) = match part.rsplit_once(':') {
            Some((field, name)) => (Some(field.trim()), name.trim()),
            None => (None, part),
        };
        let cast = cast_of(name).ok_or_else(|| {
            let types = "int8, int16, int32, int64, float32, float64, boolean, string";
            keys.error("spec", format!("Invalid value {name}: the types are {types}"))
        })?;
        match field {
            Some(field) => drop(fields.insert(field.to_owned(), Box::new(cast))),
            None => whole = Some(Box::new(cast)),
        }
    }
    Ok(Box::new(ChangeFields { role, fields, whole, memo: Memo::default() }))
}

struct Cast {
    data_type: DataType,
    narrow: Option<Narrow>,
    range: (i64, i64),
}

fn cast_of(name: &str) -> Option<Cast> {
    let (data_type, range) = match name {
        "int8" => (DataType::Integer, (-128, 127)),
        "int16" => (DataType::Integer, (-32_768, 32_767)),
        "int32" => (DataType::Integer, (i64::from(i32::MIN), i64::from(i32::MAX))),
        "int64" => (DataType::BigInt, (i64::MIN, i64::MAX)),
        "float32" | "float64" => (DataType::Double, (0, 0)),
        "boolean" => (DataType::Boolean, (0, 0)),
        "string" => (DataType::Varchar, (0, 0)),
        _ => return None,
    };
    Some(Cast { data_type, narrow: Narrow::of(name), range })
}

impl Change for Cast {
    fn data_type(&self) -> DataType {
        self.data_type.clone()
    }

    /// As Kafka's: the default is cast with the values, and nothing else is said of another type.
    fn known(&self, before: ConnectField, from: &DataType) -> ConnectField {
        let default = before.meta.default.and_then(|v| self.change(v, from).ok());
        let meta = ConnectMeta { default, narrow: self.narrow, ..ConnectMeta::default() };
        ConnectField { required: before.required, meta, ..ConnectField::default() }
    }

    fn change(&self, value: Value, from: &DataType) -> Result<Value, String> {
        if self.data_type == DataType::Varchar {
            return Ok(Value::Varchar(match value {
                Value::Bytes(bytes) => {
                    return Err(format!("{} bytes cannot be cast to a string", bytes.len()));
                }
                other => text_of(&other, from),
            }));
        }
        let wrong = |value: &Value| {
            format!("{} cannot be cast to {}", abridged(&text_of(value, from)), self.data_type)
        };
        let number = |value: &Value| -> Option<f64> {
            Some(match value {
                Value::Boolean(v) => f64::from(u8::from(*v)),
                Value::Integer(v) | Value::Date(v) | Value::Time(v) => f64::from(*v),
                Value::BigInt(v) | Value::Timestamp(v) => *v as f64,
                Value::Double(v) => *v,
                Value::Decimal(_) | Value::Varchar(_) => text_of(value, from).trim().parse().ok()?,
                _ => return None,
            })
        };
        match self.data_type {
            DataType::Double => number(&value).map(Value::Double).ok_or_else(|| wrong(&value)),
            DataType::Boolean => match &value {
                Value::Varchar(text) => Ok(Value::Boolean(text.eq_ignore_ascii_case("true"))),
                other => number(other).map(|n| Value::Boolean(n != 0.0)).ok_or_else(|| wrong(other)),
            },
            _ => {
                let whole = match &value {
                    Value::BigInt(v) | Value::Timestamp(v) => Some(*v),
                    Value::Varchar(text) => text.trim().parse().ok(),
                    other => number(other).filter(|n| n.is_finite()).map(|n| n.trunc() as i64),
                };
                let (least, most) = self.range;
                let whole = whole.filter(|n| (least..=most).contains(n)).ok_or_else(|| wrong(&value))?;
                match self.data_type {
                    DataType::Integer => i32::try_from(whole).map(Value::Integer).map_err(|_| wrong(&value)),
                    _ => Ok(Value::BigInt(whole)),
                }
            }
        }
    }
}

/// `TimestampConverter`: keys `target.type` (`string`, `unix`, `Date`, `Time`, `Timestamp`), `field`, `format`, `unix.precision`.
pub(super) fn open_timestamp_converter(keys: &Keys, role: Role) -> Result<Box<dyn Transform>, ConfigError> {
    let data_type = match keys.text("target.type")? {
        "string" => DataType::Varchar,
        "unix" => DataType::BigInt,
        "Date" => DataType::Date,
        "Time" => DataType::Time,
        "Timestamp" => DataType::Timestamp,
        other => {
            let reason = format!("Invalid value {other}: the types are string, unix, Date, Time, Timestamp");
            return Err(keys.error("target.type", reason));
        }
    };
    let format = keys.get("format").map(Format::new).transpose().map_err(|e| keys.error("format", e))?;
    if data_type == DataType::Varchar && format.is_none() {
        return Err(keys.error(
            "format",
            "TimestampConverter requires format option to be specified when using string timestamps",
        ));
    }
    let per_ms = match keys.get("unix.precision").unwrap_or("milliseconds") {
        "seconds" => Precision::Seconds,
        "milliseconds" => Precision::Times(1),
        "microseconds" => Precision::Times(1000),
        "nanoseconds" => Precision::Times(1_000_000),
        other => return Err(keys.error("unix.precision", format!("Invalid value {other}"))),
    };
    let change = Box::new(ConvertTime { data_type, format, precision: per_ms });
    let mut fields: BTreeMap<String, Box<dyn Change>> = BTreeMap::new();
    let mut whole: Option<Box<dyn Change>> = None;
    match keys.get("field") {
        Some(field) => drop(fields.insert(field.to_owned(), change)),
        None => whole = Some(change),
    }
    Ok(Box::new(ChangeFields { role, fields, whole, memo: Memo::default() }))
}

enum Precision {
    Seconds,
    /// So many to a ms.
    Times(i64),
}

struct ConvertTime {
    data_type: DataType,
    format: Option<Format>,
    precision: Precision,
}

impl Change for ConvertTime {
    fn data_type(&self) -> DataType {
        self.data_type.clone()
    }

    fn known(&self, before: ConnectField, _: &DataType) -> ConnectField {
        ConnectField { required: before.required, ..ConnectField::default() }
    }

    fn change(&self, value: Value, from: &DataType) -> Result<Value, String> {
        const DAY_MS: i64 = 86_400_000;
        let wrong = || format!("{} is not a time of the given format", abridged(&text_of(&value, from)));
        let ms = match &value {
            Value::Timestamp(ms) => *ms,
            Value::Date(days) => i64::from(*days) * DAY_MS,
            Value::Time(ms) => i64::from(*ms),
            Value::BigInt(unix) => match self.precision {
                Precision::Seconds => unix.checked_mul(1000).ok_or_else(wrong)?,
                Precision::Times(n) => unix.div_euclid(n),
            },
            Value::Varchar(text) => self.format.as_ref().and_then(|f| f.read(text)).ok_or_else(wrong)?,
            _ => return Err(wrong()),
        };
        let in_range = |v: i64| i32::try_from(v).map_err(|_| wrong());
        Ok(match (&self.data_type, &self.format) {
            (DataType::Varchar, Some(format)) => Value::Varchar(format.write(ms)),
            (DataType::BigInt, _) => Value::BigInt(match self.precision {
                Precision::Seconds => ms.div_euclid(1000),
                Precision::Times(n) => ms.checked_mul(n).ok_or_else(wrong)?,
            }),
            (DataType::Date, _) => Value::Date(in_range(ms.div_euclid(DAY_MS))?),
            (DataType::Time, _) => Value::Time(in_range(ms.rem_euclid(DAY_MS))?),
            _ => Value::Timestamp(ms),
        })
    }
}
