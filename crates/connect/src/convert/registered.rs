//! What the converters with a schema registry share: their keys, and their writers by schema and topic.
//!
//! Keys: `schema.registry.url` (`embedded` or absent: the worker's registry), with it those of
//! [`RegistryClient::with_properties`]; `<role>.subject.name.strategy` (`TopicNameStrategy`, `RecordNameStrategy`,
//! `TopicRecordNameStrategy`).

use super::primitive::each;
use super::runs::RunsBuilder;
use super::{ConvertError, ConverterConfig, Memo, Payloads, Runs};
use crate::sdk::{Cells, ConfigError, ConnectSchema};
use bd_schema::{RecordError, RecordShape, RegistryClient, Role, Row, SchemaRegistry};
use std::sync::Arc;

/// More topics of a schema than this are opened anew each time round.
const TOPICS: usize = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strategy {
    Topic,
    Record,
    TopicRecord,
}

/// Where schemas are registered.
pub(super) struct Registered {
    pub(super) registry: Arc<dyn SchemaRegistry>,
    pub(super) role: Role,
    strategy: Strategy,
}

impl Registered {
    /// By the keys of the configuration; `registry` is the worker's.
    pub(super) fn open(
        config: &ConverterConfig,
        registry: Option<&Arc<dyn SchemaRegistry>>,
    ) -> Result<Self, ConfigError> {
        let role = config.role;
        let key = |name: &str| format!("{role}.converter.{name}");
        let registry: Arc<dyn SchemaRegistry> = match config.keys.get("schema.registry.url") {
            None | Some("embedded") => Arc::clone(registry.ok_or_else(|| {
                let reason = "must be set: the worker has no schema registry of its own";
                ConfigError::new(key("schema.registry.url"), reason)
            })?),
            Some(url) => {
                let all = config.keys.values().iter().filter(|(name, _)| RegistryClient::is_property(name));
                let properties = all.map(|(name, value)| (name.clone(), value.clone())).collect();
                let client = RegistryClient::new(url).with_properties(&properties);
                Arc::new(client.map_err(|e| ConfigError::new(key(&e.key), e.reason))?)
            }
        };
        let strategy_key = format!("{role}.subject.name.strategy");
        let name = config.keys.get(&strategy_key).unwrap_or("TopicNameStrategy");
        let strategy = match name.rsplit('.').next() {
            Some("TopicNameStrategy") => Strategy::Topic,
            Some("RecordNameStrategy") => Strategy::Record,
            Some("TopicRecordNameStrategy") => Strategy::TopicRecord,
            _ => {
                let all = "TopicNameStrategy, RecordNameStrategy, TopicRecordNameStrategy";
                let reason = format!("Invalid value {name}: there are {all}");
                return Err(ConfigError::new(key(&strategy_key), reason));
            }
        };
        Ok(Self { registry, role, strategy })
    }

    /// The subject of a record's schema.
    pub(super) fn subject(&self, topic: &str, record: &str) -> String {
        match self.strategy {
            Strategy::Topic => format!("{topic}-{}", self.role),
            Strategy::Record => record.to_owned(),
            Strategy::TopicRecord => format!("{topic}-{record}"),
        }
    }
}

/// Writes a row of one schema to one topic.
pub(super) type RowWriter = Box<dyn Fn(&Row, &mut Vec<u8>) -> Result<(), RecordError> + Send>;
/// By schema, then topic.
pub(super) type Writers = Memo<Vec<(String, RowWriter)>>;

/// Encodes with the writer of the schema and topic, which `open` opens at first. `class` is the converter's.
pub(super) fn encode(
    writers: &mut Writers,
    class: &str,
    topic: &str,
    cells: &Cells,
    open: impl FnOnce(&ConnectSchema) -> Result<RowWriter, String>,
) -> Result<Payloads, ConvertError> {
    let Some(schema) = cells.schema() else { return Ok(without_schema(class, cells)) };
    let of_schema = writers.get(schema, |_| Ok::<_, ConvertError>(Vec::new()))?;
    let at = match of_schema.iter().position(|(t, _)| t == topic) {
        Some(at) => at,
        None => {
            let writer = open(schema).map_err(ConvertError::Fatal)?;
            if of_schema.len() >= TOPICS {
                drop(of_schema.remove(0));
            }
            of_schema.push((topic.to_owned(), writer));
            of_schema.len() - 1
        }
    };
    let Some((_, write)) = of_schema.get(at) else { return Ok(Payloads::default()) };
    let mut away = None;
    let out = each(cells, |row, _, arena| {
        write(row, arena).map_err(|error| {
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

fn without_schema(class: &str, cells: &Cells) -> Payloads {
    let mut out = Payloads::default();
    let Cells::Bytes(cells) = cells else {
        out.nulls(cells.len());
        return out;
    };
    let class = class.rsplit('.').next().unwrap_or(class);
    for cell in cells {
        match cell {
            None => out.push(None),
            Some(_) => out.write(|_| {
                Err(format!(
                    "{class} needs a schema, the record is bytes without one: use ByteArrayConverter"
                ))
            }),
        }
    }
    out
}

/// The Connect schemas of the shapes that were read last; shapes are compared as pointers.
#[derive(Default)]
pub(super) struct Shapes(Vec<(Arc<RecordShape>, Arc<ConnectSchema>)>);

impl Shapes {
    /// What `derive` made, or makes now, of the shape.
    pub(super) fn get(
        &mut self,
        shape: &Arc<RecordShape>,
        derive: impl FnOnce(&RecordShape) -> ConnectSchema,
    ) -> Arc<ConnectSchema> {
        if let Some((_, known)) = self.0.iter().find(|(s, _)| Arc::ptr_eq(s, shape)) {
            return Arc::clone(known);
        }
        let schema = Arc::new(derive(shape));
        if self.0.len() >= TOPICS {
            self.0.remove(0);
        }
        self.0.push((Arc::clone(shape), Arc::clone(&schema)));
        schema
    }

    /// Decodes payloads with `read`, which gives the shape and the values of one; `derive` makes the schemas of shapes.
    pub(super) fn decode(
        &mut self,
        payloads: &[Option<&[u8]>],
        read: impl Fn(&[u8]) -> Result<(Arc<RecordShape>, Row), RecordError>,
        derive: impl Fn(&RecordShape) -> ConnectSchema,
    ) -> Result<Runs, ConvertError> {
        let mut runs = RunsBuilder::default();
        for payload in payloads {
            match payload.map(&read) {
                None => runs.null(),
                Some(Ok((shape, row))) => {
                    let schema = self.get(&shape, &derive);
                    runs.row(&schema, row);
                }
                Some(Err(error)) if error.retriable => return Err(ConvertError::Retriable(error.reason)),
                Some(Err(error)) => runs.fail(error.reason),
            }
        }
        Ok(runs.finish())
    }
}
