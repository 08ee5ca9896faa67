//! What to draw for a type.

use super::numbers::{Context, Source, Unit};
use super::pattern::Pattern;
use bd_schema::Value;
use rand::{Rng, RngExt};
use std::ops::Range;

/// Tries to meet a length with an expression.
const TRIES: usize = 200;

/// The type of a whole number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whole {
    Int,
    Long,
    Date,
    /// In the unit.
    Time,
    /// In the unit.
    Timestamp,
}

impl Whole {
    fn limits(self) -> (i128, i128) {
        match self {
            Self::Int | Self::Date => (i32::MIN.into(), i32::MAX.into()),
            Self::Long | Self::Time | Self::Timestamp => (i64::MIN.into(), i64::MAX.into()),
        }
    }

    /// A number of this type, which is within its limits.
    pub(super) fn value(self, unit: Unit, number: i128) -> Value {
        let ms = match unit {
            Unit::Micros => number.div_euclid(1000),
            Unit::Nanos => number.div_euclid(1_000_000),
            _ => number,
        };
        match self {
            Self::Int => Value::Integer(number as i32),
            Self::Long => Value::BigInt(number as i64),
            Self::Date => Value::Date(number as i32),
            Self::Time => Value::Time(ms.clamp(0, 86_399_999) as i32),
            Self::Timestamp => Value::Timestamp(ms as i64),
        }
    }
}

/// Where a text comes from.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Text {
    Length(Range<usize>),
    Pattern(Pattern, Range<usize>),
    /// Numbers of an iteration.
    Count(Source),
    Uuid,
}

/// What to draw for a type.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Null,
    /// One of these.
    Options(Vec<Value>),
    /// How likely `true` is.
    Boolean(f64),
    /// The first of values that change.
    Alternating(bool),
    Whole {
        data_type: Whole,
        unit: Unit,
        source: Source,
    },
    Double {
        unit: Unit,
        source: Source,
    },
    /// Of so many digits after the point, with less than that unscaled value.
    Decimal {
        source: Source,
        unit: Unit,
        scale: u32,
        limit: i128,
    },
    Text {
        text: Text,
        prefix: String,
        suffix: String,
    },
    Bytes(Range<usize>),
    Array(Box<Node>, Range<usize>),
    Map {
        keys: Box<Node>,
        values: Box<Node>,
        length: Range<usize>,
    },
    Record(Vec<Node>),
    /// Branches, and the sums of their likelihoods up to each.
    Union(Vec<Node>, Vec<f64>),
}

impl Node {
    /// Draws a value.
    pub(super) fn draw(&self, context: &mut Context<'_>) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Options(values) => {
                let at = context.random.random_range(0..values.len().max(1));
                values.get(at).cloned().unwrap_or(Value::Null)
            }
            Self::Boolean(odds) => Value::Boolean(context.random.random::<f64>() < *odds),
            Self::Alternating(start) => Value::Boolean(*start ^ (context.row % 2 == 1)),
            Self::Whole { data_type, unit, source } => {
                data_type.value(*unit, source.whole(context, *unit, data_type.limits()))
            }
            Self::Double { unit, source } => Value::Double(source.real(context, *unit)),
            Self::Decimal { source, unit, scale, limit } => {
                let scaled = source.real(context, *unit) * 10_f64.powi(*scale as i32);
                Value::Decimal((scaled.round() as i128).clamp(1 - limit, limit - 1))
            }
            Self::Text { text, prefix, suffix } => {
                Value::Varchar(format!("{prefix}{}{suffix}", text.draw(context)))
            }
            Self::Bytes(length) => {
                let mut bytes = vec![0; size(length, context)];
                context.random.fill_bytes(&mut bytes);
                Value::Bytes(bytes)
            }
            Self::Array(item, length) => {
                Value::Array((0..size(length, context)).map(|_| item.draw(context)).collect())
            }
            Self::Map { keys, values, length } => map(keys, values, length, context),
            Self::Record(fields) => Value::Struct(fields.iter().map(|f| f.draw(context)).collect()),
            Self::Union(branches, sums) => {
                let part = context.random.random::<f64>() * sums.last().copied().unwrap_or(1.0);
                let at = sums.iter().position(|sum| part < *sum).unwrap_or(0);
                branches.get(at).map_or(Value::Null, |b| b.draw(context))
            }
        }
    }
}

fn size(length: &Range<usize>, context: &mut Context<'_>) -> usize {
    if length.is_empty() { length.start } else { context.random.random_range(length.clone()) }
}

/// Entries with different keys; fewer where too few keys differ.
fn map(keys: &Node, values: &Node, length: &Range<usize>, context: &mut Context<'_>) -> Value {
    let wanted = size(length, context);
    let mut entries: Vec<(String, Value)> = Vec::new();
    for _ in 0..wanted.saturating_mul(4) + 32 {
        if entries.len() == wanted {
            break;
        }
        if let Value::Varchar(key) = keys.draw(context)
            && entries.iter().all(|(known, _)| *known != key)
        {
            entries.push((key, values.draw(context)));
        }
    }
    Value::Map(entries)
}

impl Text {
    fn draw(&self, context: &mut Context<'_>) -> String {
        const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        match self {
            Self::Length(length) => (0..size(length, context))
                .map(|_| char::from(LETTERS[context.random.random_range(0..LETTERS.len())]))
                .collect(),
            Self::Pattern(pattern, length) => {
                let mut text = String::new();
                for _ in 0..TRIES {
                    text.clear();
                    pattern.draw(context.random, &mut text);
                    if length.contains(&text.chars().count()) {
                        break;
                    }
                }
                text
            }
            Self::Count(source) => source.whole(context, Unit::Millis, Whole::Long.limits()).to_string(),
            Self::Uuid => {
                let bits: u128 = context.random.random();
                // RFC 9562: version 4, variant 10.
                let bits = bits & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
                let hex = format!("{bits:032x}");
                format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
            }
        }
    }

    /// Whether it can meet its length.
    pub(super) fn can_meet_length(&self, context: &mut Context<'_>) -> bool {
        match self {
            Self::Pattern(_, length) => length.contains(&self.draw(context).chars().count()),
            _ => true,
        }
    }
}
