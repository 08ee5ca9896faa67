//! A JSON Schema as the rules of compatibility see it: each place of the text as one kind of schema.
//!
//! A schema object whose keywords are of several kinds is `allOf` of one schema for each kind, as the library behind Confluent's
//! registry has it: `{"type":"string","enum":["a"]}` is `allOf[enum, string]`.

use serde_json::Value as Json;

/// A node's place in [`Model::nodes`].
pub(super) type NodeId = usize;

/// A schema with all that it refers to.
#[derive(Debug, Clone)]
pub(super) struct Model {
    pub(super) nodes: Vec<Node>,
    pub(super) root: NodeId,
}

impl Model {
    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id]
    }

    /// The schema that a reference names, through references to references; those that go in circles end anywhere in them.
    pub(super) fn resolved(&self, mut id: NodeId) -> NodeId {
        for _ in 0..self.nodes.len() {
            match self.nodes[id].kind {
                Kind::Reference(to) => id = to,
                _ => break,
            }
        }
        id
    }
}

/// One schema.
#[derive(Debug, Clone, Default)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) id: Option<String>,
    pub(super) title: Option<String>,
    pub(super) description: Option<String>,
    pub(super) default: Option<Json>,
    /// `connect.type`.
    pub(super) connect_type: Option<String>,
    /// `connect.index`.
    pub(super) connect_index: Option<i64>,
    /// `connect.parameters`.
    pub(super) parameters: Option<Json>,
    /// The part of the text that it was made from: equal parts are equal schemas.
    pub(super) source: Json,
}

/// What a schema asks for.
#[derive(Debug, Clone, Default)]
pub(super) enum Kind {
    /// `{}`, or only annotations.
    #[default]
    Empty,
    /// `true`.
    True,
    /// `false`.
    False,
    Null,
    Boolean,
    String(Strings),
    Number(Numbers),
    Const(Json),
    Enum(Vec<Json>),
    Combined(Criterion, Vec<NodeId>),
    Not(NodeId),
    Object(Box<Objects>),
    Array(Box<Arrays>),
    /// `if`, `then`, `else`.
    Conditional,
    Reference(NodeId),
}

/// Which of a combined schema's parts must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Criterion {
    All,
    Any,
    One,
}

impl Criterion {
    pub(super) fn keyword(self) -> &'static str {
        match self {
            Self::All => "allOf",
            Self::Any => "anyOf",
            Self::One => "oneOf",
        }
    }
}

/// Rules for strings.
#[derive(Debug, Clone, Default)]
pub(super) struct Strings {
    pub(super) max_length: Option<f64>,
    pub(super) min_length: Option<f64>,
    pub(super) pattern: Option<String>,
}

/// Rules for numbers.
#[derive(Debug, Clone, Default)]
pub(super) struct Numbers {
    pub(super) integer: bool,
    pub(super) maximum: Option<f64>,
    pub(super) minimum: Option<f64>,
    pub(super) exclusive_maximum: Option<f64>,
    pub(super) exclusive_minimum: Option<f64>,
    /// As written.
    pub(super) multiple_of: Option<String>,
}

/// What is allowed beyond what is named.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Additional {
    /// Anything.
    #[default]
    Any,
    /// Nothing.
    None,
    /// What fits this.
    Schema(NodeId),
}

impl Additional {
    pub(super) fn schema(self) -> Option<NodeId> {
        match self {
            Self::Schema(id) => Some(id),
            _ => None,
        }
    }
}

/// Rules for objects.
#[derive(Debug, Clone, Default)]
pub(super) struct Objects {
    /// In the text's order.
    pub(super) properties: Vec<(String, NodeId)>,
    pub(super) required: Vec<String>,
    pub(super) patterns: Vec<(String, NodeId)>,
    pub(super) additional: Additional,
    pub(super) unevaluated: Option<NodeId>,
    pub(super) max_properties: Option<f64>,
    pub(super) min_properties: Option<f64>,
    pub(super) property_dependencies: Vec<(String, Vec<String>)>,
    pub(super) schema_dependencies: Vec<(String, NodeId)>,
}

impl Objects {
    pub(super) fn property(&self, name: &str) -> Option<NodeId> {
        self.properties.iter().find(|(n, _)| n == name).map(|(_, id)| *id)
    }

    pub(super) fn requires(&self, name: &str) -> bool {
        self.required.iter().any(|r| r == name)
    }
}

/// Rules for arrays.
#[derive(Debug, Clone, Default)]
pub(super) struct Arrays {
    /// Of every item.
    pub(super) all: Option<NodeId>,
    /// Of the first items, each its own.
    pub(super) items: Vec<NodeId>,
    pub(super) additional: Additional,
    pub(super) unevaluated: Option<NodeId>,
    pub(super) max_items: Option<f64>,
    pub(super) min_items: Option<f64>,
    pub(super) max_contains: Option<f64>,
    pub(super) min_contains: Option<f64>,
    pub(super) unique: bool,
}
