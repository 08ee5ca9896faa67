//! `io.confluent.connect.avro.AvroConverter`: Avro in Confluent's framing. A schema that brings its Avro declaration is registered
//! as it is.

use super::registered::{Registered, RowWriter, Shapes, Writers, encode};
use super::{ConvertError, Converter, ConverterConfig, Payloads, Runs};
use crate::sdk::{Cells, ConfigError, ConnectSchema, Shape};
use bd_schema::avro::{AvroCodec, AvroReader, avro_of_record, avro_of_value};
use bd_schema::{Codec, RecordShape, SchemaRegistry};
use std::sync::Arc;

/// Confluent's name for a record without one.
const DEFAULT_NAME: &str = "io.confluent.connect.avro.ConnectDefault";

struct AvroConverter {
    registered: Registered,
    reader: AvroReader,
    writers: Writers,
    shapes: Shapes,
}

pub(super) fn open(
    config: &ConverterConfig,
    registry: Option<&Arc<dyn SchemaRegistry>>,
) -> Result<Box<dyn Converter>, ConfigError> {
    let registered = Registered::open(config, registry)?;
    let reader = AvroReader::new(Arc::clone(&registered.registry));
    let (writers, shapes) = (Writers::default(), Shapes::default());
    Ok(Box::new(AvroConverter { registered, reader, writers, shapes }))
}

fn writer(registered: &Registered, topic: &str, schema: &ConnectSchema) -> Result<RowWriter, String> {
    let name = schema.name.as_deref().unwrap_or(DEFAULT_NAME);
    let declaration = match (&schema.avro, &schema.shape) {
        (Some(avro), _) => avro.to_string(),
        (None, Shape::Single(data_type)) => {
            avro_of_value(data_type, &schema.as_field().1).map_err(|e| e.to_string())?
        }
        (None, Shape::Struct { schema: columns, fields }) => {
            avro_of_record(name, columns, fields, &schema.meta).map_err(|e| e.to_string())?
        }
    };
    let subject = registered.subject(topic, name);
    let columns = schema.columns().into_owned();
    let registry = Arc::clone(&registered.registry);
    let codec = AvroCodec::with_declaration(registry, subject, columns, registered.role, declaration)
        .map_err(|e| e.to_string())?;
    Ok(Box::new(move |row, out| codec.encode_row(row, out)))
}

/// With its declaration: what is passed on unchanged is registered unchanged.
fn schema(shape: &RecordShape) -> ConnectSchema {
    ConnectSchema { avro: Some(Arc::clone(&shape.text)), ..ConnectSchema::read(shape) }
}

impl Converter for AvroConverter {
    fn class(&self) -> &'static str {
        "io.confluent.connect.avro.AvroConverter"
    }

    fn encode(&mut self, topic: &str, cells: &Cells) -> Result<Payloads, ConvertError> {
        let class = self.class();
        let registered = &self.registered;
        encode(&mut self.writers, class, topic, cells, |schema| writer(registered, topic, schema))
    }

    fn decode(&mut self, _topic: &str, payloads: &[Option<&[u8]>]) -> Result<Runs, ConvertError> {
        self.shapes.decode(payloads, |payload| self.reader.decode(payload), schema)
    }
}
