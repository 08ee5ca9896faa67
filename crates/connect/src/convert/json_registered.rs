//! `io.confluent.connect.json.JsonSchemaConverter`: JSON in Confluent's framing, with JSON Schemas.
//!
//! Keys beside those of every converter with a registry: `decimal.format` (`BASE64` by default, `NUMERIC`),
//! `use.optional.for.nonrequired`.

use super::json::numeric_decimals;
use super::registered::{Registered, RowWriter, Shapes, Writers, encode};
use super::{ConvertError, Converter, ConverterConfig, Payloads, Runs};
use crate::sdk::{Cells, ConfigError, ConnectField, ConnectSchema, Shape};
use bd_schema::json_schema::{
    Decimals, JsonField, JsonSchemaCodec, JsonSchemaReader, JsonShape, json_schema_of, json_schema_of_value,
};
use bd_schema::{Codec, JsonCodec, SchemaRegistry};
use std::sync::Arc;

struct JsonSchemaConverter {
    registered: Registered,
    numeric: bool,
    reader: JsonSchemaReader,
    writers: Writers,
    shapes: Shapes<JsonShape>,
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

fn to_json(field: &ConnectField) -> JsonField {
    JsonField {
        required: field.required,
        semantic: field.semantic.clone(),
        fields: field.fields.iter().map(to_json).collect(),
    }
}

fn of_json(field: &JsonField) -> ConnectField {
    ConnectField {
        required: field.required,
        semantic: field.semantic.clone(),
        fields: field.fields.iter().map(of_json).collect(),
    }
}

fn writer(registered: &Registered, numeric: bool, topic: &str, schema: &ConnectSchema) -> RowWriter {
    let decimals = if numeric { Decimals::Numeric } else { Decimals::Base64 };
    let declaration = match &schema.shape {
        Shape::Single(data_type) => json_schema_of_value(data_type, decimals),
        Shape::Struct { schema: columns, .. } => {
            json_schema_of(schema.name.as_deref(), columns, &known_of(schema), decimals)
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

/// What is known of a struct's fields; empty for a single value.
pub(super) fn known_of(schema: &ConnectSchema) -> Vec<JsonField> {
    match &schema.shape {
        Shape::Single(_) => Vec::new(),
        Shape::Struct { fields, .. } => fields.iter().map(to_json).collect(),
    }
}

/// The schema of a shape.
pub(super) fn schema_of(shape: &JsonShape) -> ConnectSchema {
    let columns = shape.schema.fields.first().map(|f| f.data_type.clone());
    let of = match (shape.single, columns) {
        (true, Some(data_type)) => Shape::Single(data_type),
        _ => {
            Shape::Struct { schema: shape.schema.clone(), fields: shape.fields.iter().map(of_json).collect() }
        }
    };
    ConnectSchema { name: shape.name.clone(), shape: of, avro: None }
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
        self.shapes.decode(payloads, |payload| self.reader.decode(payload), schema_of)
    }
}
