//! Records whose columns are not known beforehand: the writer's schema says them.

use super::definition::JsonDefinition;
use super::derive::{Plan, derive};
use super::read;
use crate::connect::RecordShape;
use crate::failure::{Failure, Fallible};
use crate::json::JsonCodec;
use crate::writers::{Writers, framed};
use crate::{DataType, RecordError, Row, SchemaRegistry, SchemaText, SchemaType};
use std::sync::Arc;

/// Reads records in Confluent's framing to the columns of their writers' JSON Schemas: what converters and consoles need.
pub struct JsonSchemaReader {
    writers: Writers<Writer>,
    optional_unless_required: bool,
}

struct Writer {
    shape: Arc<RecordShape>,
    plan: Plan,
    /// Reads what stands as the format `JSON` has it: decimals to their last digit.
    plain: Option<JsonCodec>,
}

impl Writer {
    fn new((shape, plan): (RecordShape, Plan)) -> Self {
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
        Self { writers: Writers::new(registry), optional_unless_required: false }
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
    pub fn decode(&self, bytes: &[u8]) -> Result<(Arc<RecordShape>, Row), RecordError> {
        self.read(bytes).map_err(|e| e.of_record(0))
    }

    fn read(&self, bytes: &[u8]) -> Fallible<(Arc<RecordShape>, Row)> {
        let (id, text) = framed(bytes, "JSON")?;
        let writer = self.writers.plan(id, |text| self.compile(text))?;
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

    fn compile(&self, schema: &SchemaText) -> Result<Writer, String> {
        if schema.schema_type != SchemaType::Json {
            return Err(format!("it is of type {}", schema.schema_type));
        }
        let definition = JsonDefinition::parse(schema).map_err(|e| e.0)?;
        derive(&definition.model, &schema.text, self.optional_unless_required).map(Writer::new)
    }
}
