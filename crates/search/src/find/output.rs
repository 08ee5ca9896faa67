//! JSON of answers, in which a document's source stands as it was sent.

use bytes::Bytes;
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::Value;
use serde_json::value::RawValue;

/// A JSON value that may hold raw text.
#[derive(Debug, Clone)]
pub(crate) enum Out {
    Value(Value),
    /// Bytes that are JSON.
    Raw(Bytes),
    Array(Vec<Out>),
    Object(Vec<(String, Out)>),
}

impl<T: Into<Value>> From<T> for Out {
    fn from(value: T) -> Out {
        Out::Value(value.into())
    }
}

impl Serialize for Out {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Out::Value(value) => value.serialize(serializer),
            Out::Array(items) => items.serialize(serializer),
            Out::Object(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (key, value) in members {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
            Out::Raw(bytes) => {
                let text = std::str::from_utf8(bytes).map_err(serde::ser::Error::custom)?;
                let raw: &RawValue = serde_json::from_str(text).map_err(serde::ser::Error::custom)?;
                raw.serialize(serializer)
            }
        }
    }
}

/// A float as JSON; none for what JSON has no number for.
pub(crate) fn float(number: f64) -> Value {
    serde_json::Number::from_f64(number).map_or(Value::Null, Value::Number)
}

/// A float of single precision, with the digits it needs.
pub(crate) fn single(number: f64) -> Value {
    let shortest: Option<f64> = (number as f32).to_string().parse().ok();
    float(shortest.unwrap_or(number))
}
