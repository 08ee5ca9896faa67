//! Records whose columns are not known beforehand: the writer's schema says them.

use super::codec::messages_of;
use super::derive;
use super::messages::{Messages, indexed};
use super::plan::MessagePlan;
use super::rows;
use crate::connect::RecordShape;
use crate::definition::InvalidSchema;
use crate::failure::Fallible;
use crate::writers::{Writers, framed};
use crate::{RecordError, Row, SchemaRegistry};
use std::sync::Arc;

/// Reads records in Confluent's framing to the columns of their writers' messages: what converters and consoles need.
pub struct ProtobufReader {
    writers: Writers<Messages<Writer>>,
}

struct Writer {
    shape: Arc<RecordShape>,
    plan: MessagePlan,
}

impl ProtobufReader {
    /// A reader of the schemas of this registry.
    pub fn new(registry: Arc<dyn SchemaRegistry>) -> Self {
        Self { writers: Writers::new(registry) }
    }

    /// Reads one record: its message's shape (the same `Arc` for equal ids and messages while it is kept) and its values. A message may
    /// hold itself, so often as [`MAX_RECURSION`](super::MAX_RECURSION) says.
    ///
    /// # Errors
    /// With index 0: the framing or the message is broken, the id is unknown, its schema cannot be used; or, `retriable`, the registry
    /// cannot be asked.
    pub fn decode(&self, bytes: &[u8]) -> Result<(Arc<RecordShape>, Row), RecordError> {
        self.read(bytes).map_err(|e| e.of_record(0))
    }

    fn read(&self, bytes: &[u8]) -> Fallible<(Arc<RecordShape>, Row)> {
        let (id, rest) = framed(bytes, "Protobuf")?;
        let (indexes, message) = indexed(rest)?;
        let writer = self.writers.plan(id, messages_of)?.at(indexes, compile)?;
        Ok((writer.shape.clone(), rows::message(message, &writer.plan)?))
    }
}

fn compile(messages: &Messages<Writer>, name: &str) -> Result<Writer, InvalidSchema> {
    let types = &messages.definition.types;
    let shape = derive::rows_shape(types, name, messages.text.clone())?;
    let plan = MessagePlan::whole(types, name, &shape.schema.fields)?;
    Ok(Writer { shape: Arc::new(shape), plan })
}
