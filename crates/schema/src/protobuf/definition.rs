//! A Protobuf schema as a registry keeps it.

use super::ast::{ProtoFile, messages};
use super::derive;
use super::link::{self, Types};
use super::{diff, normal, print, serialize};
use crate::SchemaText;
use crate::connect::RecordShape;
use crate::definition::{Incompatibility, InvalidSchema};
use std::sync::Arc;

/// A parsed Protobuf schema with all that it imports.
#[derive(Debug, Clone)]
pub struct ProtobufDefinition {
    pub(super) file: Arc<ProtoFile>,
    pub(super) types: Arc<Types>,
}

impl ProtobufDefinition {
    /// Parses a `.proto` text, or a `FileDescriptorProto` in base64. What it imports is among the references (by the import's path)
    /// or well known.
    ///
    /// # Errors
    /// It is none, a type does not resolve, or a number or name is used twice.
    pub fn parse(schema: &SchemaText) -> Result<Self, InvalidSchema> {
        let (file, types) = link::linked(schema)?;
        Ok(Self { file, types })
    }

    /// The text as Confluent's registry keeps it, without comments.
    pub fn canonical(&self) -> String {
        print::file(&self.file)
    }

    /// The canonical text of the normal form: absolute names, sorted fields, imports and options.
    pub fn normalized(&self) -> String {
        print::file(&normal::file(&self.types))
    }

    /// The schema as a `FileDescriptorProto` in base64: what REST's `format=serialized` asks for.
    pub fn serialized(&self) -> String {
        serialize::base64_of(&self.types)
    }

    /// The full name of the first message.
    pub fn name(&self) -> Option<String> {
        let first = messages(&self.file.types).next()?;
        Some(self.file.full_name(&first.name))
    }

    /// The full name of the message at those message indexes of Confluent's framing.
    pub fn message_at(&self, indexes: &[i32]) -> Option<String> {
        link::message_at(&self.file, indexes)
    }

    /// The columns of the message of that full name.
    ///
    /// # Errors
    /// There is no such message, it refers to itself or unfolds to too many types.
    pub fn shape(&self, full_name: &str) -> Result<RecordShape, InvalidSchema> {
        derive::shape(&self.types, full_name, self.canonical().into())
    }

    /// What keeps a reader with this schema from reading what was written with `writer`.
    pub fn incompatibilities(&self, writer: &Self) -> Vec<Incompatibility> {
        let differences = diff::differences(&writer.types, &self.types);
        differences.into_iter().filter(|d| !d.kind.is_compatible()).map(Into::into).collect()
    }
}
