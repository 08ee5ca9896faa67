//! Confluent's framing of Protobuf: which message of the schema it is stands before it.

use super::definition::ProtobufDefinition;
use super::wire::{Wire, put_varint, unzigzag, zigzag};
use crate::SchemaText;
use crate::definition::InvalidSchema;
use crate::failure::{Failure, Fallible};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Messages are not nested deeper.
const MAX_INDEXES: usize = 64;

/// Splits what follows the schema's id into the message indexes, as they are encoded, and the message.
#[inline]
pub(super) fn indexed(bytes: &[u8]) -> Fallible<(&[u8], &[u8])> {
    if let [0, message @ ..] = bytes {
        return Ok((&bytes[..1], message));
    }
    let mut wire = Wire::new(bytes);
    let count = usize::try_from(unzigzag(wire.varint().map_err(broken)?)).unwrap_or(usize::MAX);
    if count > MAX_INDEXES {
        return Err(Failure::new("the list of message indexes is broken"));
    }
    for _ in 0..count {
        wire.varint().map_err(broken)?;
    }
    let message = wire.rest();
    Ok((&bytes[..bytes.len() - message.len()], message))
}

#[cold]
fn broken(_: Box<Failure>) -> Box<Failure> {
    Failure::new("the list of message indexes is broken")
}

/// The indexes of what [`indexed`] split off.
fn indexes(encoded: &[u8]) -> Vec<i32> {
    let mut wire = Wire::new(encoded);
    let mut next = || wire.varint().ok().and_then(|v| i32::try_from(unzigzag(v)).ok()).unwrap_or(-1);
    match next() {
        0 => vec![0],
        count => (0..count).map(|_| next()).collect(),
    }
}

/// Message indexes as they are encoded.
pub(super) fn encoded(indexes: &[i32]) -> Vec<u8> {
    if indexes == [0] {
        return vec![0];
    }
    let mut out = Vec::new();
    put_varint(&mut out, zigzag(indexes.len() as i64));
    indexes.iter().for_each(|index| put_varint(&mut out, zigzag(i64::from(*index))));
    out
}

/// What is kept; the reason where a message can never be used.
type Compiled<P> = Result<Arc<P>, Arc<str>>;

/// A writer's schema with what was compiled for each of its messages.
pub(super) struct Messages<P> {
    pub(super) definition: ProtobufDefinition,
    pub(super) text: Arc<str>,
    /// By full name: as many as the schema has messages, at most.
    compiled: Mutex<HashMap<String, Compiled<P>>>,
}

impl<P> Messages<P> {
    pub(super) fn of(text: &SchemaText) -> Result<Self, InvalidSchema> {
        let definition = ProtobufDefinition::parse(text)?;
        Ok(Self { definition, text: text.text.clone(), compiled: Mutex::new(HashMap::new()) })
    }

    /// What is compiled for the message at those indexes, as they are encoded.
    pub(super) fn at(
        &self,
        encoded: &[u8],
        compile: impl FnOnce(&Self, &str) -> Result<P, InvalidSchema>,
    ) -> Fallible<Arc<P>> {
        let indexes = indexes(encoded);
        let name = self.definition.message_at(&indexes);
        let name = name
            .ok_or_else(|| Failure::new(format!("the schema has no message at the indexes {indexes:?}")))?;
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        let known = compiled
            .entry(name.clone())
            .or_insert_with(|| compile(self, &name).map(Arc::new).map_err(|e| e.to_string().into()));
        known.clone().map_err(|reason| Failure::new(&*reason))
    }
}
