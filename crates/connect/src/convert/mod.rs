//! Converters: between the bytes of a topic and records with schemas, chosen by `key.converter` and `value.converter`.
//!
//! | class (`org.apache.kafka.connect...`) | bytes | records |
//! |---|---|---|
//! | `json.JsonConverter`, `schemas.enable=true` | `{"schema":..,"payload":..}` | rows by the schema in the record |
//! | the same, `false` | JSON | written from rows or Arrow; read as [`Cells::Bytes`] of valid JSON |
//! | `storage.StringConverter` | UTF-8 | a string |
//! | `converters.ByteArrayConverter` | anything | [`Cells::Bytes`] |
//! | `converters.{Long,Integer,Double}Converter` | big endian | a number |
//! | `io.confluent.connect.avro.AvroConverter` | Confluent Avro | rows by the schema in the registry |
//! | `io.confluent.connect.json.JsonSchemaConverter` | JSON in Confluent's framing | rows by the schema in the registry |
//! | `io.confluent.connect.protobuf.ProtobufConverter` | Protobuf in Confluent's framing | rows by the schema in the registry |

mod avro;
mod factory;
mod json;
mod json_registered;
mod memo;
mod primitive;
mod protobuf;
mod registered;
mod runs;
#[cfg(test)]
mod tests;

pub(crate) use factory::{CONVERTERS, ConverterConfig};
pub(crate) use memo::Memo;
pub(crate) use primitive::text_of;
pub(crate) use runs::Runs;

use crate::sdk::Cells;
use std::ops::Range;

/// A converter cannot work at all, whatever the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ConvertError {
    /// It may when tried again: the registry is away.
    Retriable(String),
    /// It will not: the registry refuses the schema.
    Fatal(String),
}

/// Encoded keys or values: one range of the arena a record.
#[derive(Debug, Default)]
pub(crate) struct Payloads {
    pub(crate) arena: Vec<u8>,
    pub(crate) spans: Vec<Option<Range<usize>>>,
    /// The records that could not be encoded, by their place, and why; their spans are null.
    pub(crate) failed: Vec<(usize, String)>,
}

impl Payloads {
    /// The bytes of record `i`.
    pub(crate) fn get(&self, i: usize) -> Option<&[u8]> {
        self.arena.get(self.spans.get(i)?.clone()?)
    }

    fn push(&mut self, bytes: Option<&[u8]>) {
        let span = bytes.map(|bytes| {
            let start = self.arena.len();
            self.arena.extend_from_slice(bytes);
            start..self.arena.len()
        });
        self.spans.push(span);
    }

    /// Adds what `write` writes, or its failure.
    fn write(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), String>) {
        let start = self.arena.len();
        match write(&mut self.arena) {
            Ok(()) => self.spans.push(Some(start..self.arena.len())),
            Err(reason) => {
                self.arena.truncate(start);
                self.failed.push((self.spans.len(), reason));
                self.spans.push(None);
            }
        }
    }

    fn nulls(&mut self, count: usize) {
        self.spans.resize(self.spans.len() + count, None);
    }
}

/// A converter of keys or of values.
pub(crate) trait Converter: Send {
    /// Its class.
    fn class(&self) -> &'static str;

    /// Encodes one cell a record. [`Cells::Bytes`] are the topic's bytes already.
    fn encode(&mut self, topic: &str, cells: &Cells) -> Result<Payloads, ConvertError>;

    /// Decodes the payloads of a topic.
    fn decode(&mut self, topic: &str, payloads: &[Option<&[u8]>]) -> Result<Runs, ConvertError>;
}
