//! A schema as the codec uses it: names to look up when reading, keys ready to copy when writing.

use super::write;
use crate::{DataType, Field};
use std::collections::HashMap;

/// A type, with the names of its structs prepared.
pub(super) enum Shape {
    Leaf(DataType),
    Array(Box<Shape>),
    Map(Box<Shape>),
    Struct(ObjectShape),
}

impl Shape {
    fn new(data_type: &DataType) -> Self {
        match data_type {
            DataType::Array(element) => Self::Array(Box::new(Self::new(element))),
            DataType::Map(value) => Self::Map(Box::new(Self::new(value))),
            DataType::Struct(fields) => Self::Struct(ObjectShape::new(fields)),
            leaf => Self::Leaf(leaf.clone()),
        }
    }
}

/// The fields of an object.
pub(super) struct ObjectShape {
    pub(super) names: Vec<String>,
    pub(super) fields: Vec<Shape>,
    /// What stands before each field's value: `{"a":`, then `,"b":`.
    pub(super) prefixes: Vec<Vec<u8>>,
    exact: HashMap<String, usize>,
    folded: HashMap<String, usize>,
}

/// Which field a key names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) field: usize,
    /// Spelled as in the schema; such a key wins over one that differs in case.
    pub(super) exact: bool,
}

impl ObjectShape {
    pub(super) fn new(fields: &[Field]) -> Self {
        let mut shape = Self {
            names: fields.iter().map(|f| f.name.clone()).collect(),
            fields: fields.iter().map(|f| Shape::new(&f.data_type)).collect(),
            prefixes: Vec::with_capacity(fields.len()),
            exact: HashMap::new(),
            folded: HashMap::new(),
        };
        for (i, field) in fields.iter().enumerate() {
            let mut prefix = vec![if i == 0 { b'{' } else { b',' }];
            write::string(&mut prefix, &field.name);
            prefix.push(b':');
            shape.prefixes.push(prefix);
            shape.exact.entry(field.name.clone()).or_insert(i);
            shape.folded.entry(field.name.to_ascii_lowercase()).or_insert(i);
        }
        shape
    }

    pub(super) fn find(&self, key: &str) -> Option<Target> {
        match self.exact.get(key) {
            Some(field) => Some(Target { field: *field, exact: true }),
            None => {
                let field = *self.folded.get(&key.to_ascii_lowercase())?;
                Some(Target { field, exact: false })
            }
        }
    }
}
