//! `io.confluent.connect.avro.AvroConverter`: Avro in Confluent's framing.
//!
//! Keys: `schema.registry.url` (`embedded` or absent: the worker's registry), `basic.auth.user.info`, `<role>.subject.name.strategy`
//! (`TopicNameStrategy`, `RecordNameStrategy`, `TopicRecordNameStrategy`). A schema that brings its Avro declaration is registered as
//! it is.

use super::primitive::each;
use super::runs::RunsBuilder;
use super::{ConvertError, Converter, ConverterConfig, Memo, Payloads, Runs};
use crate::sdk::{Cells, ConfigError, ConnectField, ConnectSchema, Shape};
use bd_schema::avro::{AvroCodec, AvroField, AvroReader, AvroShape, avro_of_schema, avro_of_value};
use bd_schema::{Codec, RegistryClient, Role, SchemaRegistry};
use std::sync::Arc;

/// Confluent's name for a record without one.
const DEFAULT_NAME: &str = "io.confluent.connect.avro.ConnectDefault";
/// More shapes than this are translated anew each time round.
const SHAPES: usize = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    Topic,
    Record,
    TopicRecord,
}

struct AvroConverter {
    role: Role,
    subject: Subject,
    registry: Arc<dyn SchemaRegistry>,
    reader: AvroReader,
    /// By schema, then topic.
    writers: Memo<Vec<(String, AvroCodec)>>,
    shapes: Vec<(Arc<AvroShape>, Arc<ConnectSchema>)>,
}

pub(super) fn open(
    config: &ConverterConfig,
    registry: Option<&Arc<dyn SchemaRegistry>>,
) -> Result<Box<dyn Converter>, ConfigError> {
    let role = config.role;
    let key = |name: &str| format!("{role}.converter.{name}");
    let registry: Arc<dyn SchemaRegistry> = match config.keys.get("schema.registry.url") {
        None | Some("embedded") => Arc::clone(registry.ok_or_else(|| {
            let reason = "must be set: the worker has no schema registry of its own";
            ConfigError::new(key("schema.registry.url"), reason)
        })?),
        Some(url) => {
            let client = RegistryClient::new(url);
            Arc::new(match config.keys.get("basic.auth.user.info") {
                Some(user) => client.with_basic_auth(user),
                None => client,
            })
        }
    };
    let strategy_key = format!("{role}.subject.name.strategy");
    let strategy = config.keys.get(&strategy_key).unwrap_or("TopicNameStrategy");
    let subject = match strategy.rsplit('.').next() {
        Some("TopicNameStrategy") => Subject::Topic,
        Some("RecordNameStrategy") => Subject::Record,
        Some("TopicRecordNameStrategy") => Subject::TopicRecord,
        _ => {
            let all = "TopicNameStrategy, RecordNameStrategy, TopicRecordNameStrategy";
            return Err(ConfigError::new(
                key(&strategy_key),
                format!("Invalid value {strategy}: there are {all}"),
            ));
        }
    };
    let reader = AvroReader::new(Arc::clone(&registry));
    Ok(Box::new(AvroConverter {
        role,
        subject,
        registry,
        reader,
        writers: Memo::default(),
        shapes: Vec::new(),
    }))
}

fn to_avro(field: &ConnectField) -> AvroField {
    AvroField {
        required: field.required,
        semantic: field.semantic.clone(),
        fields: field.fields.iter().map(to_avro).collect(),
    }
}

fn of_avro(field: &AvroField) -> ConnectField {
    ConnectField {
        required: field.required,
        semantic: field.semantic.clone(),
        fields: field.fields.iter().map(of_avro).collect(),
    }
}

impl AvroConverter {
    fn writer(&self, topic: &str, schema: &ConnectSchema) -> Result<AvroCodec, String> {
        let name = schema.name.as_deref().unwrap_or(DEFAULT_NAME);
        let declaration = match (&schema.avro, &schema.shape) {
            (Some(avro), _) => avro.to_string(),
            (None, Shape::Single(data_type)) => avro_of_value(data_type).map_err(|e| e.to_string())?,
            (None, Shape::Struct { schema, fields }) => {
                let fields: Vec<AvroField> = fields.iter().map(to_avro).collect();
                avro_of_schema(name, schema, &fields).map_err(|e| e.to_string())?
            }
        };
        let subject = match self.subject {
            Subject::Topic => format!("{topic}-{}", self.role),
            Subject::Record => name.to_owned(),
            Subject::TopicRecord => format!("{topic}-{name}"),
        };
        let columns = schema.columns().into_owned();
        AvroCodec::with_declaration(Arc::clone(&self.registry), subject, columns, self.role, declaration)
            .map_err(|e| e.to_string())
    }

    fn schema(&mut self, shape: &Arc<AvroShape>) -> Arc<ConnectSchema> {
        if let Some((_, known)) = self.shapes.iter().find(|(s, _)| Arc::ptr_eq(s, shape)) {
            return Arc::clone(known);
        }
        let columns = shape.schema.fields.first().map(|f| f.data_type.clone());
        let of = match (shape.single, columns) {
            (true, Some(data_type)) => Shape::Single(data_type),
            _ => Shape::Struct {
                schema: shape.schema.clone(),
                fields: shape.fields.iter().map(of_avro).collect(),
            },
        };
        let schema =
            ConnectSchema { name: shape.name.clone(), shape: of, avro: Some(Arc::clone(&shape.avro)) };
        let schema = Arc::new(schema);
        if self.shapes.len() >= SHAPES {
            self.shapes.remove(0);
        }
        self.shapes.push((Arc::clone(shape), Arc::clone(&schema)));
        schema
    }
}

impl Converter for AvroConverter {
    fn class(&self) -> &'static str {
        "io.confluent.connect.avro.AvroConverter"
    }

    fn encode(&mut self, topic: &str, cells: &Cells) -> Result<Payloads, ConvertError> {
        let Some(schema) = cells.schema() else {
            let mut out = Payloads::default();
            let Cells::Bytes(cells) = cells else {
                out.nulls(cells.len());
                return Ok(out);
            };
            for cell in cells {
                match cell {
                    None => out.push(None),
                    Some(_) => out.write(|_| {
                        Err("AvroConverter needs a schema, the record is bytes without one: use ByteArrayConverter".into())
                    }),
                }
            }
            return Ok(out);
        };
        let mut writers = std::mem::take(&mut self.writers);
        let result = self.encode_rows(topic, schema, cells, &mut writers);
        self.writers = writers;
        result
    }

    fn decode(&mut self, _topic: &str, payloads: &[Option<&[u8]>]) -> Result<Runs, ConvertError> {
        let mut runs = RunsBuilder::default();
        for payload in payloads {
            match payload.map(|p| self.reader.decode(p)) {
                None => runs.null(),
                Some(Ok((shape, row))) => {
                    let schema = self.schema(&shape);
                    runs.row(&schema, row);
                }
                Some(Err(error)) if error.retriable => return Err(ConvertError::Retriable(error.reason)),
                Some(Err(error)) => runs.fail(error.reason),
            }
        }
        Ok(runs.finish())
    }
}

impl AvroConverter {
    fn encode_rows(
        &self,
        topic: &str,
        schema: &Arc<ConnectSchema>,
        cells: &Cells,
        writers: &mut Memo<Vec<(String, AvroCodec)>>,
    ) -> Result<Payloads, ConvertError> {
        let of_schema = writers.get(schema, |_| Ok::<_, ConvertError>(Vec::new()))?;
        let at = match of_schema.iter().position(|(t, _)| t == topic) {
            Some(at) => at,
            None => {
                let writer = self.writer(topic, schema).map_err(ConvertError::Fatal)?;
                if of_schema.len() >= SHAPES {
                    of_schema.remove(0);
                }
                of_schema.push((topic.to_owned(), writer));
                of_schema.len() - 1
            }
        };
        let Some((_, codec)) = of_schema.get(at) else { return Ok(Payloads::default()) };
        let mut away = None;
        let out = each(cells, |row, _, arena| {
            codec.encode_row(row, arena).map_err(|error| {
                if error.retriable {
                    away = Some(error.reason.clone());
                }
                error.to_string()
            })
        })?;
        match away {
            Some(reason) => Err(ConvertError::Retriable(reason)),
            None => Ok(out),
        }
    }
}
