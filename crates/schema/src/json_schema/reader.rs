//! Records whose columns are not known beforehand: the writer's schema says them.

use super::definition::JsonDefinition;
use super::derive::{JsonShape, Plan, derive};
use super::framing::framed;
use super::read;
use crate::failure::{Failure, Fallible};
use crate::json::JsonCodec;
use crate::{DataType, RecordError, RegistryError, Row, SchemaRegistry, SchemaType};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// So many schemas are kept; a topic has few.
const KEPT: usize = 1000;

/// Reads records in Confluent's framing to the columns of their writers' JSON Schemas: what converters and consoles need.
pub struct JsonSchemaReader {
    registry: Arc<dyn SchemaRegistry>,
    optional_unless_required: bool,
    kept: Mutex<HashMap<u32, Kept>>,
}

/// The reason where a schema can never be used.
type Kept = Result<Arc<Writer>, Arc<str>>;

struct Writer {
    shape: Arc<JsonShape>,
    plan: Plan,
    /// Reads what stands as the format `JSON` has it: decimals to their last digit.
    plain: Option<JsonCodec>,
}

impl Writer {
    fn new((shape, plan): (JsonShape, Plan)) -> Self {
        let schema = || shape.schema.clone();
        let plain = match &plan {
            Plan::Struct(_) if plan.is_plain() => Some(JsonCodec::new(schema()).case_sensitive(true)),
            Plan::Leaf(DataType::Decimal(..)) => Some(JsonCodec::key(schema())),
            _ => None,
        };
        Self { shape: Arc::new(shape), plan, plain }
    }
}

impl JsonSchemaReader {
    /// A reader of the schemas of this registry.
    pub fn new(registry: Arc<dyn SchemaRegistry>) -> Self {
        Self { registry, optional_unless_required: false, kept: Mutex::new(HashMap::new()) }
    }

    /// The same, which takes properties that are not `required` as optional: Confluent's `use.optional.for.nonrequired`.
    #[must_use]
    pub fn with_optional_unless_required(mut self, yes: bool) -> Self {
        self.optional_unless_required = yes;
        self
    }

    /// Reads one record: its writer's shape (the same `Arc` for equal ids while it is kept) and its values. An object is its
    /// columns; any other value is one column named `value`.
    ///
    /// # Errors
    /// With index 0: the framing or the JSON is broken, the id is unknown, its schema cannot be used or does not fit; or,
    /// `retriable`, the registry cannot be asked.
    pub fn decode(&self, bytes: &[u8]) -> Result<(Arc<JsonShape>, Row), RecordError> {
        self.read(bytes).map_err(|e| e.of_record(0))
    }

    fn read(&self, bytes: &[u8]) -> Fallible<(Arc<JsonShape>, Row)> {
        let (id, text) = framed(bytes)?;
        let writer = self.writer(id)?;
        if let Some(codec) = &writer.plain {
            return Ok((writer.shape.clone(), codec.read_row(text)?));
        }
        let json = serde_json::from_slice(text).map_err(|e| Failure::new(format!("not JSON: {e}")))?;
        let row = match &writer.plan {
            Plan::Struct(fields) => read::fields_of(fields, &json)?,
            plan => vec![read::value(plan, &json).map_err(|e| e.in_field("value"))?],
        };
        Ok((writer.shape.clone(), row))
    }

    fn writer(&self, id: u32) -> Fallible<Arc<Writer>> {
        let known = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        let writer = match known {
            Some(known) => known,
            None => {
                // The registry is asked without the lock: it may take its time.
                let schema = self.registry.schema(id).map_err(of_registry)?;
                let made = if schema.schema_type == SchemaType::Json {
                    let definition = JsonDefinition::parse(&schema).map_err(|e| e.0);
                    definition.and_then(|d| derive(&d.model, &schema.text, self.optional_unless_required))
                } else {
                    Err(format!("it is of type {}", schema.schema_type))
                };
                let made = made
                    .map(|made| Arc::new(Writer::new(made)))
                    .map_err(|e| Arc::from(format!("schema {id}: {e}")));
                let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.len() >= KEPT {
                    kept.clear();
                }
                kept.insert(id, made.clone());
                made
            }
        };
        writer.map_err(|reason| Failure::new(&*reason))
    }
}

/// What a failed call on the registry means for a record.
pub(super) fn of_registry(error: RegistryError) -> Box<Failure> {
    match error {
        RegistryError::Unavailable { .. } => Failure::passing(error.to_string()),
        other => Failure::new(other.to_string()),
    }
}
