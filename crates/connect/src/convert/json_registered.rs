//! `io.confluent.connect.json.JsonSchemaConverter`: JSON in Confluent's framing, with JSON Schemas.
//!
//! Keys beside those of every converter with a registry: `decimal.format` (`BASE64` by default, `NUMERIC`),
//! `use.optional.for.nonrequired`.

use super::json::numeric_decimals;
use super::registered::{Registered, RowWriter, Shapes, Writers, encode};
use super::{ConvertError, Converter, ConverterConfig, Payloads, Runs};
use crate::sdk::{Cells, ConfigError, ConnectSchema, Shape};
use bd_schema::json_schema::{
    Decimals, JsonSchemaCodec, JsonSchemaReader, json_schema_of_record, json_schema_of_value,
};
use bd_schema::{Codec, JsonCodec, SchemaRegistry};
use std::sync::Arc;

struct JsonSchemaConverter {
    registered: Registered,
    numeric: bool,
    reader: JsonSchemaReader,
    writers: Writers,
    shapes: Shapes,
}

pub(super) fn open(
    config: &ConverterConfig,
    registry: Option<&Arc<dyn SchemaRegistry>>,
) -> Result<Box<dyn Converter>, ConfigError> {
    let registered = Registered::open(config, registry)?;
    let numeric = numeric_decimals(&config.keys)?;
    let key = "use.optional.for.nonrequired";
    let optional = config.keys.get(key).is_some() && config.keys.boolean(key)?;
    let reader =
        JsonSchemaReader::new(Arc::clone(&registered.registry)).with_optional_unless_required(optional);
    let (writers, shapes) = (Writers::default(), Shapes::default());
    Ok(Box::new(JsonSchemaConverter { registered, numeric, reader, writers, shapes }))
}

fn writer(registered: &Registered, numeric: bool, topic: &str, schema: &ConnectSchema) -> RowWriter {
    let decimals = if numeric { Decimals::Numeric } else { Decimals::Base64 };
    let declaration = match &schema.shape {
        Shape::Single(data_type) => json_schema_of_value(data_type, &schema.as_field().1, decimals),
        Shape::Struct { schema: columns, fields } => {
            json_schema_of_record(schema.name.as_deref(), columns, fields, &schema.meta, decimals)
        }
    };
    let subject = registered.subject(topic, schema.name.as_deref().unwrap_or_default());
    let columns = schema.columns().into_owned();
    let json = match &schema.shape {
        Shape::Single(_) => JsonCodec::key(columns),
        Shape::Struct { .. } => JsonCodec::new(columns),
    };
    let json = json.decimals_unscaled(!numeric);
    let registry = Arc::clone(&registered.registry);
    let codec = JsonSchemaCodec::with_declaration(registry, subject, json, declaration);
    Box::new(move |row, out| codec.encode_row(row, out))
}

impl Converter for JsonSchemaConverter {
    fn class(&self) -> &'static str {
        "io.confluent.connect.json.JsonSchemaConverter"
    }

    fn encode(&mut self, topic: &str, cells: &Cells) -> Result<Payloads, ConvertError> {
        let class = self.class();
        let (registered, numeric) = (&self.registered, self.numeric);
        encode(&mut self.writers, class, topic, cells, |schema| {
            Ok(writer(registered, numeric, topic, schema))
        })
    }

    fn decode(&mut self, _topic: &str, payloads: &[Option<&[u8]>]) -> Result<Runs, ConvertError> {
        self.shapes.decode(payloads, |payload| self.reader.decode(payload), ConnectSchema::read)
    }
}
