//! A schema as the codec uses it: names to look up when reading, keys ready to copy when writing.

use super::write;
use crate::failure::{Failure, Fallible};
use crate::{DataType, Field};
use std::collections::HashMap;

/// A type, with the names of its structs prepared.
pub(super) enum Shape {
    Leaf(DataType),
    /// A DECIMAL that is written as Base64 of its unscaled value.
    Unscaled(DataType),
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

    fn set_rules(&mut self, change: impl Fn(&mut Rules) + Copy) {
        match self {
            Self::Leaf(_) | Self::Unscaled(_) => {}
            Self::Array(inner) | Self::Map(inner) => inner.set_rules(change),
            Self::Struct(object) => object.set_rules(change),
        }
    }

    fn set_unscaled(&mut self, yes: bool) {
        match self {
            Self::Leaf(data_type @ DataType::Decimal(..)) if yes => *self = Self::Unscaled(data_type.clone()),
            Self::Unscaled(data_type) if !yes => *self = Self::Leaf(data_type.clone()),
            Self::Leaf(_) | Self::Unscaled(_) => {}
            Self::Array(inner) | Self::Map(inner) => inner.set_unscaled(yes),
            Self::Struct(object) => object.set_unscaled(yes),
        }
    }
}

/// The fields of an object.
pub(super) struct ObjectShape {
    pub(super) names: Vec<String>,
    pub(super) fields: Vec<Shape>,
    /// What stands before each field's value: `{"a":`, then `,"b":`.
    pub(super) prefixes: Vec<Vec<u8>>,
    rules: Rules,
    exact: HashMap<String, usize>,
    folded: HashMap<String, usize>,
}

/// Which keys are taken.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rules {
    /// Only those spelled as in the schema.
    pub(super) exact: bool,
    /// A key that the schema does not name is an error.
    pub(super) known_only: bool,
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
            rules: Rules::default(),
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

    /// The field that a key names.
    ///
    /// # Errors
    /// None, where only those of the schema may be there.
    pub(super) fn find(&self, key: &str) -> Fallible<Option<Target>> {
        if let Some(field) = self.exact.get(key) {
            return Ok(Some(Target { field: *field, exact: true }));
        }
        let folded = if self.rules.exact { None } else { self.folded.get(&key.to_ascii_lowercase()) };
        match folded {
            Some(field) => Ok(Some(Target { field: *field, exact: false })),
            None if self.rules.known_only => {
                Err(Failure::new("the schema does not name this field").in_entry(key))
            }
            None => Ok(None),
        }
    }

    /// Whether a key names a field.
    pub(super) fn knows(&self, key: &str) -> bool {
        self.find(key).is_ok_and(|target| target.is_some())
    }

    /// How decimals are written, also in the objects within.
    pub(super) fn set_unscaled(&mut self, yes: bool) {
        self.fields.iter_mut().for_each(|shape| shape.set_unscaled(yes));
    }

    /// Changes the rules, also of the objects within.
    pub(super) fn set_rules(&mut self, change: impl Fn(&mut Rules) + Copy) {
        change(&mut self.rules);
        self.fields.iter_mut().for_each(|shape| shape.set_rules(change));
    }
}
