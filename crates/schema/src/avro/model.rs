//! An Avro schema with all that its text says, as Java's Avro holds it: what a registry writes back, compares and fingerprints.
//!
//! Plans of the codec are compiled from the crate `apache-avro`'s parsed form instead, which knows the logical types; this one
//! drops nothing (documentation, defaults, aliases, properties, in their order), and accepts and refuses what Java's does.

use serde_json::{Map, Value as Json};

/// The place of a type in [`Model::nodes`]. Types refer to one another by it, also in circles.
pub(super) type Id = usize;

/// The type of a node, by Avro's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Type {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Array,
    Map,
    Union,
    Record,
    Enum,
    Fixed,
}

impl Type {
    /// The name in a schema's text.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Int => "int",
            Self::Long => "long",
            Self::Float => "float",
            Self::Double => "double",
            Self::Bytes => "bytes",
            Self::String => "string",
            Self::Array => "array",
            Self::Map => "map",
            Self::Union => "union",
            Self::Record => "record",
            Self::Enum => "enum",
            Self::Fixed => "fixed",
        }
    }

    /// The primitive type of that name.
    pub(super) fn primitive(name: &str) -> Option<Self> {
        Some(match name {
            "null" => Self::Null,
            "boolean" => Self::Boolean,
            "int" => Self::Int,
            "long" => Self::Long,
            "float" => Self::Float,
            "double" => Self::Double,
            "bytes" => Self::Bytes,
            "string" => Self::String,
            _ => return None,
        })
    }
}

/// The name of a type, a namespace apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Name {
    pub(super) simple: String,
    pub(super) space: Option<String>,
}

impl Name {
    /// A name as it is written where `space` is the namespace.
    pub(super) fn new(written: &str, space: Option<&str>) -> Self {
        let (space, simple) = match written.rsplit_once('.') {
            Some((space, simple)) => (Some(space), simple),
            None => (space, written),
        };
        let space = space.filter(|s| !s.is_empty()).map(str::to_owned);
        Self { simple: simple.to_owned(), space }
    }

    pub(super) fn full(&self) -> String {
        match &self.space {
            Some(space) => format!("{space}.{}", self.simple),
            None => self.simple.clone(),
        }
    }

    /// As it is written where `within` is the namespace: in full unless that is its own.
    pub(super) fn qualified(&self, within: Option<&str>) -> String {
        let is_type = Type::primitive(&self.simple).is_some()
            || ["array", "map", "union", "record", "enum", "fixed"].contains(&self.simple.as_str());
        match &self.space {
            Some(space) if Some(space.as_str()) == within && !is_type => self.simple.clone(),
            _ => self.full(),
        }
    }
}

/// What named types have.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub(super) name: Name,
    pub(super) doc: Option<String>,
    pub(super) aliases: Vec<Name>,
}

/// How a field counts when records are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Ascending,
    Descending,
    Ignore,
}

/// A field of a record.
#[derive(Debug, Clone)]
pub(super) struct FieldModel {
    pub(super) name: String,
    pub(super) doc: Option<String>,
    pub(super) schema: Id,
    pub(super) default: Option<Json>,
    pub(super) order: Order,
    pub(super) aliases: Vec<String>,
    pub(super) props: Map<String, Json>,
}

/// What a node is.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    Primitive(Type),
    Array(Id),
    Map(Id),
    Union(Vec<Id>),
    Record {
        named: Named,
        error: bool,
        fields: Vec<FieldModel>,
    },
    Enum {
        named: Named,
        symbols: Vec<String>,
        default: Option<String>,
    },
    Fixed {
        named: Named,
        size: u32,
    },
    /// A name whose type is not declared (yet).
    Undefined(Name),
}

/// A type.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) props: Map<String, Json>,
}

impl Node {
    pub(super) fn data_type(&self) -> Type {
        match &self.kind {
            Kind::Primitive(primitive) => *primitive,
            Kind::Array(_) => Type::Array,
            Kind::Map(_) => Type::Map,
            Kind::Union(_) => Type::Union,
            Kind::Record { .. } | Kind::Undefined(_) => Type::Record,
            Kind::Enum { .. } => Type::Enum,
            Kind::Fixed { .. } => Type::Fixed,
        }
    }

    pub(super) fn named(&self) -> Option<&Named> {
        match &self.kind {
            Kind::Record { named, .. } | Kind::Enum { named, .. } | Kind::Fixed { named, .. } => Some(named),
            _ => None,
        }
    }

    /// The logical type's name, if it is one that Avro knows and that may stand on this type.
    pub(super) fn logical(&self) -> Option<&str> {
        let name = self.props.get("logicalType")?.as_str()?;
        let of = self.data_type();
        let size = if let Kind::Fixed { size, .. } = self.kind { Some(size) } else { None };
        let fits = match name {
            "date" | "time-millis" => of == Type::Int,
            "time-micros"
            | "timestamp-millis"
            | "timestamp-micros"
            | "timestamp-nanos"
            | "local-timestamp-millis"
            | "local-timestamp-micros"
            | "local-timestamp-nanos" => of == Type::Long,
            "uuid" => of == Type::String || size == Some(16),
            "duration" => size == Some(12),
            "big-decimal" => of == Type::Bytes,
            "decimal" => self.decimal().is_some(),
            _ => false,
        };
        fits.then_some(name)
    }

    /// Precision and scale of a valid decimal.
    pub(super) fn decimal(&self) -> Option<(i64, i64)> {
        let int = |key: &str| {
            self.props
                .get(key)
                .map_or(Some(None), |v| v.as_i64().map(Some).filter(|_| v.is_i64() || v.is_u64()))
        };
        let precision = int("precision")??;
        let scale = int("scale")?.unwrap_or(0);
        let most = match &self.kind {
            Kind::Primitive(Type::Bytes) => i64::from(i32::MAX),
            Kind::Fixed { size, .. } => {
                (std::f64::consts::LOG10_2 * (8.0 * f64::from(*size) - 1.0)).floor() as i64
            }
            _ => return None,
        };
        ((1..=most).contains(&precision) && (0..=precision).contains(&scale)).then_some((precision, scale))
    }
}

/// A schema: the node `root` and all that it refers to.
#[derive(Debug, Clone)]
pub(super) struct Model {
    pub(super) nodes: Vec<Node>,
    pub(super) root: Id,
    /// The full names of what the texts that it refers to declare (their outermost types).
    pub(super) referenced: Vec<String>,
}

impl Model {
    pub(super) fn node(&self, id: Id) -> &Node {
        &self.nodes[id]
    }
}
