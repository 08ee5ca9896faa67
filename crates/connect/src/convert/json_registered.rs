//! `io.confluent.connect.json.JsonSchemaConverter`: JSON in Confluent's framing, with JSON Schemas.
//!
//! Keys beside those of every converter with a registry: `decimal.format` (`BASE64` by default, `NUMERIC`),
//! `use.optional.for.nonrequired`.

use super::json::{bytes_for, decimals_as_bytes, numeric_decimals};
use super::registered::{Registered, RowWriter, Shapes, Writers, encode};
use super::{ConvertError, Converter, ConverterConfig, Payloads, Runs};
use crate::sdk::{Cells, ConfigError, ConnectField, ConnectSchema, Shape};
use bd_schema::json_schema::{
    Decimals, JsonField, JsonSchemaCodec, JsonSchemaReader, JsonShape, json_schema_of, json_schema_of_value,
};
use bd_schema::{Codec, Field, JsonCodec, Schema, SchemaRegistry};
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
        Shape::Struct { schema: columns, fields } => {
            let fields: Vec<JsonField> = fields.iter().map(to_json).collect();
            json_schema_of(schema.name.as_deref(), columns, &fields, decimals)
        }
    };
    let subject = registered.subject(topic, schema.name.as_deref().unwrap_or_default());
    let columns = schema.columns().into_owned();
    let of_bytes = (!numeric).then(|| bytes_for_columns(&columns)).filter(|b| *b != columns);
    let written = of_bytes.clone().unwrap_or_else(|| columns.clone());
    let json = match &schema.shape {
        Shape::Single(_) => JsonCodec::key(written),
        Shape::Struct { .. } => JsonCodec::new(written),
    };
    let registry = Arc::clone(&registered.registry);
    let codec = JsonSchemaCodec::with_declaration(registry, subject, json, declaration);
    if of_bytes.is_none() {
        return Box::new(move |row, out| codec.encode_row(row, out));
    }
    Box::new(move |row, out| {
        let cells = row.iter().zip(&columns.fields);
        codec.encode_row(&cells.map(|(v, f)| decimals_as_bytes(v, &f.data_type)).collect(), out)
    })
}

fn bytes_for_columns(columns: &Schema) -> Schema {
    Schema::new(columns.fields.iter().map(|f| Field::new(&f.name, bytes_for(&f.data_type))).collect())
}

fn schema(shape: &JsonShape) -> ConnectSchema {
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
        self.shapes.decode(payloads, |payload| self.reader.decode(payload), schema)
    }
}
