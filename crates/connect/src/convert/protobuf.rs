//! `io.confluent.connect.protobuf.ProtobufConverter`: Protobuf in Confluent's framing.
//!
//! Keys are those of every converter with a registry. A record that is a bare value is a message of one field `value`, as Confluent's
//! converter writes it, and is read as a struct. A `oneof` is read as a field for each of its fields (`flatten.unions`).

use super::registered::{Registered, RowWriter, Shapes, Writers, encode};
use super::{ConvertError, Converter, ConverterConfig, Payloads, Runs};
use crate::sdk::{Cells, ConfigError, ConnectSchema, Shape};
use bd_schema::protobuf::{ProtobufCodec, ProtobufReader, protobuf_of_schema};
use bd_schema::{Codec, SchemaRegistry};
use std::sync::Arc;

/// Confluent's name for a record without one.
const DEFAULT_NAME: &str = "ConnectDefault1";

struct ProtobufConverter {
    registered: Registered,
    reader: ProtobufReader,
    writers: Writers,
    shapes: Shapes,
}

pub(super) fn open(
    config: &ConverterConfig,
    registry: Option<&Arc<dyn SchemaRegistry>>,
) -> Result<Box<dyn Converter>, ConfigError> {
    let registered = Registered::open(config, registry)?;
    let reader = ProtobufReader::new(Arc::clone(&registered.registry));
    let (writers, shapes) = (Writers::default(), Shapes::default());
    Ok(Box::new(ProtobufConverter { registered, reader, writers, shapes }))
}

fn writer(registered: &Registered, topic: &str, schema: &ConnectSchema) -> Result<RowWriter, String> {
    let columns = schema.columns().into_owned();
    let (name, known) = match &schema.shape {
        Shape::Single(_) => (None, vec![schema.as_field().1]),
        Shape::Struct { fields, .. } => (schema.name.as_deref(), fields.clone()),
    };
    let declaration = protobuf_of_schema(name, &columns, &known).map_err(|e| e.to_string())?;
    let subject = registered.subject(topic, schema.name.as_deref().unwrap_or(DEFAULT_NAME));
    let registry = Arc::clone(&registered.registry);
    let codec = ProtobufCodec::with_declaration(registry, subject, columns, declaration, &[0]);
    let codec = codec.map_err(|e| e.to_string())?;
    Ok(Box::new(move |row, out| codec.encode_row(row, out)))
}

impl Converter for ProtobufConverter {
    fn class(&self) -> &'static str {
        "io.confluent.connect.protobuf.ProtobufConverter"
    }

    fn encode(&mut self, topic: &str, cells: &Cells) -> Result<Payloads, ConvertError> {
        let (class, registered) = (self.class(), &self.registered);
        encode(&mut self.writers, class, topic, cells, |schema| writer(registered, topic, schema))
    }

    fn decode(&mut self, _topic: &str, payloads: &[Option<&[u8]>]) -> Result<Runs, ConvertError> {
        self.shapes.decode(payloads, |payload| self.reader.decode(payload), ConnectSchema::read)
    }
}
