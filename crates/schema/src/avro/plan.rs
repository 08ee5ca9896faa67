//! How a datum of one writer's schema becomes values of one target: compiled once (`compile`), then followed for every record.

use super::compile::Compiler;
use super::parse::{AvroError, Names};
use crate::{Role, Schema, Value};
use apache_avro::Schema as Avro;

/// How a whole number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// As it is; a time of day or an instant in milliseconds.
    Plain,
    Millis,
    Micros,
    Nanos,
}

/// How a value is read into a target whose type is known where it is read.
pub(super) enum Read {
    /// No bytes: NULL.
    Null,
    /// A union of null (at that branch) and one type.
    Nullable(usize, Box<Read>),
    /// Any other union.
    Union(Vec<Read>),
    /// A union into a struct of a field for each branch: the field of each branch and how it is read.
    Branches(Vec<Option<(usize, Read)>>),
    /// One type into such a struct: its field.
    Branch(usize, Box<Read>),
    Boolean,
    /// `int` or `long`.
    Whole(Unit),
    Float,
    Double,
    Text,
    Binary,
    Fixed(usize),
    /// 16 bytes as the text of a UUID.
    Uuid,
    /// An enum: what each of the writer's symbols is; `Err` of one that the reader does not have.
    Symbols(Vec<Result<String, String>>),
    /// A two's complement number, big endian, of `fixed` bytes or with its length before it, times 10^-scale.
    Decimal {
        fixed: Option<usize>,
        scale: i32,
    },
    /// Items; `free` if they may take no bytes.
    Array {
        item: Box<Read>,
        free: bool,
    },
    Map(Box<Read>),
    /// Connect's array of entries.
    Entries {
        key: Box<Read>,
        value: Box<Read>,
    },
    Record(RecordPlan),
    /// The target cannot be read from it; why.
    Refused(String),
}

/// A step through a record, in the writer's order.
pub(super) enum Step {
    Read { field: usize, read: Read },
    Skip(Skip),
}

/// How a record is read.
pub(super) struct RecordPlan {
    pub(super) steps: Vec<Step>,
    /// The target's fields that the writer does not have.
    pub(super) absent: Vec<usize>,
    /// Those of them that have a default.
    pub(super) defaults: Vec<(usize, Value)>,
}

/// How a value that nobody wants is passed over.
#[derive(Debug, Clone)]
pub(super) enum Skip {
    Nothing,
    Varint,
    Fixed(usize),
    Bytes,
    Array(Box<Skip>, bool),
    Map(Box<Skip>),
    Union(Vec<Skip>),
    Record(Vec<Skip>),
    /// A named type, by its place in [`Plan::named`].
    Named(usize),
    /// Nothing but an empty array or map.
    Empty,
    /// A value that rows do not hold: a record too often within itself.
    Deep,
}

/// What a datum is to its columns.
pub(super) enum Root {
    /// A record of them.
    Record(RecordPlan),
    /// The value of the only one.
    Bare(Read),
    /// One of several, as of records of several types, or of a record that may be null.
    Union(Vec<Root>),
    /// They cannot be read from it; why.
    Refused(String),
}

/// How the datums of one writer's schema are read.
pub(super) struct Plan {
    pub(super) root: Root,
    pub(super) named: Vec<Skip>,
}

impl Plan {
    /// For datums of `avro`, keys or values, into columns of `schema`; by the schema `reader` where there is one, which the columns
    /// are of.
    pub(super) fn compile(
        avro: &Avro,
        reader: Option<&Avro>,
        schema: &Schema,
        role: Role,
    ) -> Result<Self, AvroError> {
        let names = Names::of(avro)?;
        let of_reader = reader.map(Names::of).transpose()?;
        let mut compiler = Compiler::new(&names, of_reader.as_ref());
        let root = compiler.root(avro, reader, &schema.fields, role)?;
        Ok(Self { root, named: compiler.skips() })
    }

    /// For datums of `avro` into the rows that it tells, of which a record that it holds within itself may lack fields: values of
    /// those are refused.
    pub(super) fn whole(avro: &Avro, schema: &Schema) -> Result<Self, AvroError> {
        let names = Names::of(avro)?;
        let mut compiler = Compiler::new(&names, None);
        compiler.whole = true;
        let root = compiler.root(avro, None, &schema.fields, Role::Value)?;
        Ok(Self { root, named: compiler.skips() })
    }
}
