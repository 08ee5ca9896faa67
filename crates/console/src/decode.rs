//! Keys and values of messages as people read them.

use bd_schema::{
    AvroReader, DataType, Field, JsonSchemaReader, ProtobufReader, RecordError, Row, Schema, SchemaRegistry,
    SchemaType, Value as Cell,
};
use chrono::DateTime;
use serde_json::{Value, json};
use std::fmt::Write;
use std::sync::Arc;

/// A longer key or value is shown cut.
const MAX_SHOWN: usize = 16 << 10;
/// A longer one is not decoded.
const MAX_DECODED: usize = 1 << 20;

/// Decodes by looking at the bytes: Confluent's framing (by the registry), JSON, text, anything.
pub(crate) struct Decoder {
    registered: Option<Registered>,
}

/// Readers of what has a schema in the registry.
struct Registered {
    registry: Arc<dyn SchemaRegistry>,
    avro: AvroReader,
    json: JsonSchemaReader,
    protobuf: ProtobufReader,
}

impl Registered {
    fn new(registry: Arc<dyn SchemaRegistry>) -> Self {
        let avro = AvroReader::new(Arc::clone(&registry));
        let json = JsonSchemaReader::new(Arc::clone(&registry));
        let protobuf = ProtobufReader::new(Arc::clone(&registry));
        Self { registry, avro, json, protobuf }
    }

    /// The name of the format and the data.
    fn decode(&self, id: u32, bytes: &[u8]) -> (&'static str, Result<Value, RecordError>) {
        // What the registry does not know is Avro as likely as anything; its reader says why it cannot be read.
        let schema_type = self.registry.schema(id).map_or(SchemaType::Avro, |s| s.schema_type);
        match schema_type {
            SchemaType::Json => {
                ("JSON", self.json.decode(bytes).map(|(s, row)| shown(&s.schema, s.single, &row)))
            }
            SchemaType::Protobuf => {
                ("Protobuf", self.protobuf.decode(bytes).map(|(s, row)| shown(&s.schema, false, &row)))
            }
            SchemaType::Avro => {
                ("Avro", self.avro.decode(bytes).map(|(s, row)| shown(&s.schema, s.single, &row)))
            }
        }
    }
}

/// A row as JSON; `single` is a bare value.
fn shown(schema: &Schema, single: bool, row: &Row) -> Value {
    match (single, schema.fields.first(), row.first()) {
        (true, Some(field), Some(value)) => json_of_value(&field.data_type, value),
        _ => json_of_fields(&schema.fields, row),
    }
}

impl Decoder {
    pub(crate) fn new(registry: Option<Arc<dyn SchemaRegistry>>) -> Self {
        Self { registered: registry.map(Registered::new) }
    }

    /// `{"format", "data" or "text", "bytes", "cut"}`; null where there are no bytes.
    pub(crate) fn decoded(&self, bytes: Option<&[u8]>) -> Value {
        let Some(bytes) = bytes else { return Value::Null };
        if let Some(framed) = self.framed(bytes) {
            return framed;
        }
        if bytes.len() <= MAX_SHOWN
            && let Some(data) = json_of(bytes)
        {
            return json!({"format": "json", "data": data, "bytes": bytes.len()});
        }
        self.plain(Some(bytes))
    }

    /// The bytes as text where they are one, else in hexadecimal.
    pub(crate) fn plain(&self, bytes: Option<&[u8]>) -> Value {
        let Some(bytes) = bytes else { return Value::Null };
        let cut = bytes.len() > MAX_SHOWN;
        let shown = bytes.get(..MAX_SHOWN).unwrap_or(bytes);
        let (format, text) = match text_of(shown) {
            Some(text) => ("text", text),
            None => ("hex", hex(shown.get(..1024).unwrap_or(shown))),
        };
        let cut = cut || (format == "hex" && bytes.len() > 1024);
        json!({"format": format, "text": text, "bytes": bytes.len(), "cut": cut})
    }

    /// Confluent's framing: a zero byte, the schema's id in four bytes, the message. What cannot be read as such is shown as bytes,
    /// with the reason.
    fn framed(&self, bytes: &[u8]) -> Option<Value> {
        let registered = self.registered.as_ref()?;
        let [0, a, b, c, d, ..] = bytes else { return None };
        if bytes.len() > MAX_DECODED {
            return None;
        }
        let id = u32::from_be_bytes([*a, *b, *c, *d]);
        let (format, data) = registered.decode(id, bytes);
        Some(match data {
            Ok(data) => {
                let format = format.to_ascii_lowercase();
                json!({"format": format, "data": data, "bytes": bytes.len(), "schema_id": id})
            }
            Err(error) => {
                let mut shown = self.plain(Some(bytes));
                shown["problem"] = json!(format!("It looks like Confluent's {format}, but {error}"));
                shown
            }
        })
    }
}

fn json_of_fields(fields: &[Field], row: &[Cell]) -> Value {
    let pairs = fields.iter().zip(row);
    Value::Object(pairs.map(|(f, v)| (f.name.clone(), json_of_value(&f.data_type, v))).collect())
}

fn json_of_value(data_type: &DataType, value: &Cell) -> Value {
    match (value, data_type) {
        (Cell::Null, _) => Value::Null,
        (Cell::Boolean(b), _) => json!(b),
        (Cell::Integer(n), _) => json!(n),
        (Cell::BigInt(n), _) => json!(n),
        (Cell::Double(n), _) if n.is_finite() => json!(n),
        (Cell::Double(n), _) => json!(n.to_string()),
        (Cell::Decimal(n), DataType::Decimal(_, scale)) => json!(decimal(*n, *scale)),
        (Cell::Decimal(n), _) => json!(n.to_string()),
        (Cell::Varchar(text), _) => json!(text),
        (Cell::Bytes(bytes), _) => json!(hex(bytes.get(..1024).unwrap_or(bytes))),
        (Cell::Date(days), _) => {
            let ms = i64::from(*days) * 86_400_000;
            json!(
                DateTime::from_timestamp_millis(ms)
                    .map_or(days.to_string(), |t| t.format("%Y-%m-%d").to_string())
            )
        }
        (Cell::Time(ms), _) => {
            let time = DateTime::from_timestamp_millis(i64::from(*ms));
            json!(time.map_or(ms.to_string(), |t| t.format("%H:%M:%S%.3f").to_string()))
        }
        (Cell::Timestamp(ms), _) => {
            let time = DateTime::from_timestamp_millis(*ms);
            json!(time.map_or(ms.to_string(), |t| t.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()))
        }
        (Cell::Array(items), DataType::Array(of)) => items.iter().map(|v| json_of_value(of, v)).collect(),
        (Cell::Map(entries), DataType::Map(of)) => {
            Value::Object(entries.iter().map(|(k, v)| (k.clone(), json_of_value(of, v))).collect())
        }
        (Cell::Struct(values), DataType::Struct(fields)) => json_of_fields(fields, values),
        (other, _) => json!(format!("{other:?}")),
    }
}

/// An unscaled number with its point.
fn decimal(unscaled: i128, scale: i8) -> String {
    let Some(scale) = usize::try_from(scale).ok().filter(|s| *s > 0) else {
        return format!("{unscaled}{}", "0".repeat(usize::from(scale.unsigned_abs())));
    };
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    format!("{}{whole}.{fraction}", if unscaled < 0 { "-" } else { "" })
}

/// An object, list, number, text or truth value; not a bare word.
fn json_of(bytes: &[u8]) -> Option<Value> {
    serde_json::from_slice(bytes).ok()
}

/// A text without control characters; one that is cut in the middle of a character loses that one.
fn text_of(bytes: &[u8]) -> Option<String> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(e) if e.error_len().is_none() && bytes.len() == MAX_SHOWN => {
            std::str::from_utf8(bytes.get(..e.valid_up_to())?).ok()?
        }
        Err(_) => return None,
    };
    let readable = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    text.chars().all(readable).then(|| text.to_owned())
}

fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 3);
    for (i, byte) in bytes.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = write!(out, "{}{byte:02x}", if i > 0 { " " } else { "" });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use bd_schema::{NewSchema, RegisteredSchema, RegistryError, SchemaText};

    #[test]
    fn bytes_are_shown_as_what_they_are() {
        let decoder = Decoder::new(None);
        for (bytes, expected) in [
            (&b"{\"a\":1}"[..], json!({"format": "json", "data": {"a": 1}, "bytes": 7})),
            (b"16", json!({"format": "json", "data": 16, "bytes": 2})),
            (b"{broken", json!({"format": "text", "text": "{broken", "bytes": 7, "cut": false})),
            (b"\x00\x10", json!({"format": "hex", "text": "00 10", "bytes": 2, "cut": false})),
            (b"", json!({"format": "text", "text": "", "bytes": 0, "cut": false})),
        ] {
            assert_eq!(decoder.decoded(Some(bytes)), expected);
        }
        assert_eq!(decoder.decoded(None), Value::Null);
    }

    #[test]
    fn long_ones_are_cut_between_characters() {
        let long = "é".repeat(MAX_SHOWN);
        let shown = Decoder::new(None).decoded(Some(&long.as_bytes()[1..]));
        assert_eq!(shown["format"], "hex");
        let shown = Decoder::new(None).decoded(Some(format!("a{long}").as_bytes()));
        assert_eq!((shown["format"].as_str(), shown["cut"].as_bool()), (Some("text"), Some(true)));
    }

    /// One schema.
    struct One;

    impl SchemaRegistry for One {
        fn schema(&self, id: u32) -> Result<Arc<SchemaText>, RegistryError> {
            let schema = r#"{"type":"record","name":"ad","fields":[{"name":"ad_id","type":"long"},{"name":"channel","type":["null","string"]}]}"#;
            let json = r#"{"type":"object","properties":{"ad_id":{"type":"integer"}}}"#;
            match id {
                7 => Ok(Arc::new(SchemaText::avro(schema))),
                6 => {
                    let text =
                        "message A { optional int32 x = 1; } message B { optional string channel = 1; }";
                    Ok(Arc::new(SchemaText::new(SchemaType::Protobuf, text)))
                }
                9 => Ok(Arc::new(SchemaText::new(SchemaType::Json, json))),
                _ => Err(RegistryError::UnknownId(id)),
            }
        }

        fn register(&self, _: &str, _: &NewSchema) -> Result<u32, RegistryError> {
            Ok(7)
        }

        fn latest(&self, _: &str) -> Result<Option<RegisteredSchema>, RegistryError> {
            Ok(None)
        }
    }

    #[test]
    fn avro_is_decoded_by_the_registry_and_says_why_where_it_cannot_be() {
        let decoder = Decoder::new(Some(Arc::new(One)));
        let shown = decoder.decoded(Some(b"\0\0\0\0\x07\x54\x02\x06BBC"));
        assert_eq!(
            shown,
            json!({"format": "avro", "data": {"ad_id": 42, "channel": "BBC"}, "bytes": 11, "schema_id": 7})
        );
        for broken in [&b"\0\0\0\0\x08\x54"[..], b"\0\0\0\0\x07", b"\0\0\0\0\x07\x54\x02\xff"] {
            let shown = decoder.decoded(Some(broken));
            assert_eq!(shown["format"], "hex");
            assert!(
                shown["problem"].as_str().unwrap().starts_with("It looks like Confluent's Avro, but"),
                "{shown}"
            );
        }
        assert_eq!(decoder.decoded(Some(b"\0\0"))["format"], "hex");
        assert_eq!(decoder.decoded(Some(b"{}"))["format"], "json");
    }

    #[test]
    fn protobuf_is_decoded_by_its_schema_and_its_message() {
        let decoder = Decoder::new(Some(Arc::new(One)));
        let shown = decoder.decoded(Some(b"\0\0\0\0\x06\x02\x02\x0a\x03BBC"));
        let wanted = json!({"format": "protobuf", "data": {"channel": "BBC"}, "bytes": 12, "schema_id": 6});
        assert_eq!(shown, wanted);
        let shown = decoder.decoded(Some(b"\0\0\0\0\x06\x02\x02\x0a\x7f"));
        assert!(shown["problem"].as_str().unwrap().starts_with("It looks like Confluent's Protobuf, but"));
    }

    #[test]
    fn json_in_the_framing_is_decoded_by_its_schema() {
        let decoder = Decoder::new(Some(Arc::new(One)));
        let shown = decoder.decoded(Some(b"\0\0\0\0\x09{\"ad_id\":42}"));
        assert_eq!(shown, json!({"format": "json", "data": {"ad_id": 42}, "bytes": 17, "schema_id": 9}));
        let shown = decoder.decoded(Some(b"\0\0\0\0\x09{"));
        assert!(shown["problem"].as_str().unwrap().starts_with("It looks like Confluent's JSON, but"));
    }

    #[test]
    fn decimals_have_their_point() {
        for (unscaled, scale, text) in [(-7, 2, "-0.07"), (1234, 2, "12.34"), (5, 0, "5"), (5, -2, "500")] {
            assert_eq!(decimal(unscaled, scale), text);
        }
    }
}
