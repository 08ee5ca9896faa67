//! The type that samples have in common.

use super::InferNote;
use crate::avro::field_name;
use crate::{DataType, Field, Schema, SchemaType};
use std::sync::Arc;

/// A type, and whether a value may lack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) kind: Kind,
    /// It may be null.
    pub(super) nullable: bool,
    /// Its object may lack it.
    pub(super) absent: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// A value without parts that the samples show.
    Leaf(DataType),
    /// `TIMESTAMP` from strings: whether some have parts of a millisecond, and all are as RFC 3339 has them.
    Timestamp {
        fine: bool,
        rfc3339: bool,
    },
    /// A type that a file declares.
    Declared(DataType),
    Array(Box<Node>),
    Map(Box<Node>),
    Struct(Vec<(String, Node)>),
    /// Values of several kinds, by JSON Schema's names of these.
    Any(Vec<&'static str>),
    /// No value was seen.
    Nothing,
}

impl Node {
    pub(super) fn of(kind: Kind) -> Self {
        let nullable = kind == Kind::Nothing;
        Self { kind, nullable, absent: false }
    }

    pub(super) fn leaf(data_type: DataType) -> Self {
        Self::of(Kind::Leaf(data_type))
    }

    pub(super) fn declared(data_type: &DataType) -> Self {
        Self::of(match data_type {
            DataType::Struct(fields) => {
                let of =
                    |f: &Field| (f.name.clone(), Self { nullable: true, ..Self::declared(&f.data_type) });
                Kind::Struct(fields.iter().map(of).collect())
            }
            DataType::Array(items) => Kind::Array(Box::new(Self { nullable: true, ..Self::declared(items) })),
            DataType::Map(values) => Kind::Map(Box::new(Self { nullable: true, ..Self::declared(values) })),
            other => Kind::Declared(other.clone()),
        })
    }

    /// Whether a field of this type may lack its value.
    pub(super) fn is_optional(&self) -> bool {
        self.nullable || self.absent
    }

    pub(super) fn all_optional(&mut self) {
        match &mut self.kind {
            Kind::Struct(members) => members.iter_mut().for_each(|(_, node)| {
                node.absent = true;
                node.all_optional();
            }),
            Kind::Array(inner) | Kind::Map(inner) => inner.all_optional(),
            _ => {}
        }
    }

    pub(super) fn data_type(&self) -> DataType {
        match &self.kind {
            Kind::Leaf(data_type) | Kind::Declared(data_type) => data_type.clone(),
            Kind::Timestamp { .. } => DataType::Timestamp,
            Kind::Array(items) => DataType::Array(Arc::new(items.data_type())),
            Kind::Map(values) => DataType::Map(Arc::new(values.data_type())),
            Kind::Struct(members) => DataType::Struct(
                members.iter().map(|(name, node)| Field::new(name, node.data_type())).collect(),
            ),
            Kind::Any(_) | Kind::Nothing => DataType::Varchar,
        }
    }

    /// The columns of records of this type.
    pub(super) fn columns(&self) -> Schema {
        match self.data_type() {
            DataType::Struct(fields) => Schema::new(fields.to_vec()),
            other => Schema::new(vec![Field::new("value", other)]),
        }
    }

    /// Goes through all types below, each with its path.
    pub(super) fn each(&self, path: &str, visit: &mut dyn FnMut(&str, &Self)) {
        visit(path, self);
        match &self.kind {
            Kind::Struct(members) => {
                for (name, node) in members {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    node.each(&path, visit);
                }
            }
            Kind::Array(items) => items.each(&format!("{path}[]"), visit),
            Kind::Map(values) => values.each(&format!("{path}{{}}"), visit),
            _ => {}
        }
    }
}

/// Notes the members whose names a language has not.
pub(super) fn note_on_names(schema_type: SchemaType, path: &str, node: &Node, notes: &mut Vec<InferNote>) {
    let Kind::Struct(members) = &node.kind else { return };
    for (name, _) in members {
        let written = field_name(name);
        if written != *name {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let language = match schema_type {
                SchemaType::Protobuf => "Protobuf",
                _ => "Avro",
            };
            notes.push(InferNote { path, text: format!("named {written} in {language}") });
        }
    }
}
