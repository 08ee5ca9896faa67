//! Records whose columns are not known beforehand: the writer's schema says them.

use super::derive::rows_of_avro;
use super::parse::AvroError;
use super::plan::Plan;
use super::{parse, rows};
use crate::connect::RecordShape;
use crate::failure::Fallible;
use crate::writers::{Writers, framed};
use crate::{RecordError, Row, SchemaRegistry};
use std::sync::Arc;

/// Reads records in Confluent's framing to the columns of their writers' schemas: what converters and consoles need.
pub struct AvroReader {
    writers: Writers<Writer>,
}

struct Writer {
    shape: Arc<RecordShape>,
    plan: Plan,
}

impl AvroReader {
    /// A reader of the schemas of this registry.
    pub fn new(registry: Arc<dyn SchemaRegistry>) -> Self {
        Self { writers: Writers::new(registry) }
    }

    /// Reads one record: its writer's shape (the same `Arc` for equal ids while it is kept) and its values. A record is its
    /// columns; any other datum is one column named `value`. A record may hold itself, so often as
    /// [`MAX_RECURSION`](super::MAX_RECURSION) says.
    ///
    /// # Errors
    /// With index 0: the framing or the datum is broken, the id is unknown, its schema cannot be used; or, `retriable`, the registry
    /// cannot be asked.
    pub fn decode(&self, bytes: &[u8]) -> Result<(Arc<RecordShape>, Row), RecordError> {
        self.read(bytes).map_err(|e| e.of_record(0))
    }

    fn read(&self, bytes: &[u8]) -> Fallible<(Arc<RecordShape>, Row)> {
        let (id, datum) = framed(bytes, "Avro")?;
        let writer = self.writer(id)?;
        let row = rows::datum(datum, &writer.plan, &writer.shape.schema.fields)?;
        Ok((writer.shape.clone(), row))
    }

    /// The shape of the schema of that id.
    ///
    /// # Errors
    /// As [`AvroReader::decode`]'s of a record of that schema.
    pub fn shape(&self, id: u32) -> Result<Arc<RecordShape>, RecordError> {
        self.writer(id).map(|w| w.shape.clone()).map_err(|e| e.of_record(0))
    }

    fn writer(&self, id: u32) -> Fallible<Arc<Writer>> {
        self.writers.plan(id, |text| -> Result<Writer, AvroError> {
            let text = text.whole();
            let shape = rows_of_avro(&text)?;
            let avro = parse::schema(&parse::json(&text)?, false)?;
            let plan = Plan::whole(&avro, &shape.schema)?;
            Ok(Writer { shape: Arc::new(shape), plan })
        })
    }
}
