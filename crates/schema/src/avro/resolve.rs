//! What of a reader's schema belongs to what of a writer's: names, aliases, branches of unions, promotions.

use super::parse::{AvroError, Names, aliases_of, aliases_of_field};
use apache_avro::Schema as Avro;
use apache_avro::schema::{InnerDecimalSchema, Name, RecordField, RecordSchema, UnionSchema, UuidSchema};
use std::mem::discriminant;

/// The branch of a reader's union for a writer's type: the same type of the same name, then the same type, then one that it may be
/// promoted to.
pub(super) fn branch<'a>(
    names: &Names<'a>,
    union: &'a UnionSchema,
    writer: &Avro,
) -> Result<Option<&'a Avro>, AvroError> {
    let mut all = Vec::with_capacity(union.variants().len());
    for branch in union.variants() {
        all.push(names.resolve(branch)?);
    }
    let same = |branch: &&&Avro| kind(branch) == kind(writer);
    let named = |branch: &&&Avro| same(branch) && same_name(branch, writer);
    let promoted = |branch: &&&Avro| promotes(kind(writer), kind(branch));
    let found = all.iter().find(named).or_else(|| all.iter().find(same));
    Ok(found.or_else(|| all.iter().find(promoted)).copied())
}

/// The place of the writer's field that a reader's field is read from: of its name, or of an alias.
pub(super) fn source(writer: &RecordSchema, reader: &RecordField) -> Option<usize> {
    let place = |name: &str| writer.fields.iter().position(|f| f.name == name);
    place(&reader.name).or_else(|| aliases_of_field(reader).find_map(place))
}

/// A type without its logical one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Base {
    Int,
    Long,
    Float,
    Double,
    Text,
    Binary,
    Fixed,
    Other(std::mem::Discriminant<Avro>),
}

fn kind(avro: &Avro) -> Base {
    match avro {
        Avro::Int | Avro::Date | Avro::TimeMillis => Base::Int,
        Avro::Long
        | Avro::TimeMicros
        | Avro::TimestampMillis
        | Avro::TimestampMicros
        | Avro::TimestampNanos
        | Avro::LocalTimestampMillis
        | Avro::LocalTimestampMicros
        | Avro::LocalTimestampNanos => Base::Long,
        Avro::Float => Base::Float,
        Avro::Double => Base::Double,
        Avro::String | Avro::Uuid(UuidSchema::String) => Base::Text,
        Avro::Bytes | Avro::BigDecimal | Avro::Uuid(UuidSchema::Bytes) => Base::Binary,
        Avro::Decimal(decimal) => match decimal.inner {
            InnerDecimalSchema::Bytes => Base::Binary,
            InnerDecimalSchema::Fixed(_) => Base::Fixed,
        },
        Avro::Fixed(_) | Avro::Duration(_) | Avro::Uuid(UuidSchema::Fixed(_)) => Base::Fixed,
        other => Base::Other(discriminant(other)),
    }
}

fn promotes(writer: Base, reader: Base) -> bool {
    matches!(
        (writer, reader),
        (Base::Int, Base::Long | Base::Float | Base::Double)
            | (Base::Long, Base::Float | Base::Double)
            | (Base::Float, Base::Double)
            | (Base::Text, Base::Binary)
            | (Base::Binary, Base::Text)
    )
}

fn name(avro: &Avro) -> Option<&Name> {
    match avro {
        Avro::Record(of) => Some(&of.name),
        Avro::Enum(of) => Some(&of.name),
        Avro::Fixed(of) | Avro::Duration(of) | Avro::Uuid(UuidSchema::Fixed(of)) => Some(&of.name),
        Avro::Decimal(of) => match &of.inner {
            InnerDecimalSchema::Fixed(of) => Some(&of.name),
            InnerDecimalSchema::Bytes => None,
        },
        _ => None,
    }
}

fn same_name(reader: &Avro, writer: &Avro) -> bool {
    match (name(reader), name(writer)) {
        (Some(a), Some(b)) => {
            let full = b.fullname(None);
            let space = a.namespace().map(|s| format!("{s}."));
            let is_full = |alias: &str| match (&space, alias.contains('.')) {
                (Some(space), false) => format!("{space}{alias}") == full,
                _ => alias == full,
            };
            a.name() == b.name() || aliases_of(reader).any(is_full)
        }
        _ => true,
    }
}
