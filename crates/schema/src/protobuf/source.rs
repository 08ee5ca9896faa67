//! What is written, from rows and from Arrow alike.

use super::scalar::Leaf;
use crate::cells::{Cells, span};
use crate::{DataType, Value};

/// A value to write.
pub(super) trait Source<'a>: Copy {
    fn is_null(self) -> bool;
    /// Without parts; `None` if it has parts, is NULL or is not of that type.
    fn leaf(self, data_type: &DataType) -> Option<Leaf<'a>>;
    /// How many elements or entries it has; `None` if it is no array or map.
    fn len(self) -> Option<usize>;
    fn item(self, i: usize) -> Self;
    fn entry(self, i: usize) -> (&'a str, Self);
    /// The field of a struct of so many.
    fn part(self, i: usize, count: usize) -> Option<Self>;
    fn describe(self) -> &'static str;
}

impl<'a> Source<'a> for &'a Value {
    fn is_null(self) -> bool {
        matches!(self, Value::Null)
    }

    fn leaf(self, data_type: &DataType) -> Option<Leaf<'a>> {
        Some(match (data_type, self) {
            (DataType::Boolean, Value::Boolean(v)) => Leaf::Boolean(*v),
            (DataType::Integer, Value::Integer(v)) => Leaf::Integer(*v),
            (DataType::BigInt, Value::BigInt(v)) => Leaf::BigInt(*v),
            (DataType::Double, Value::Double(v)) => Leaf::Double(*v),
            (DataType::Decimal(..), Value::Decimal(v)) => Leaf::Decimal(*v),
            (DataType::Varchar, Value::Varchar(v)) => Leaf::Text(v.into()),
            (DataType::Bytes, Value::Bytes(v)) => Leaf::Bytes(v),
            (DataType::Date, Value::Date(v)) => Leaf::Date(*v),
            (DataType::Time, Value::Time(v)) => Leaf::Time(*v),
            (DataType::Timestamp, Value::Timestamp(v)) => Leaf::Timestamp(*v),
            _ => return None,
        })
    }

    fn len(self) -> Option<usize> {
        match self {
            Value::Array(items) => Some(items.len()),
            Value::Map(entries) => Some(entries.len()),
            _ => None,
        }
    }

    fn item(self, i: usize) -> Self {
        match self {
            Value::Array(items) => &items[i],
            _ => &Value::Null,
        }
    }

    fn entry(self, i: usize) -> (&'a str, Self) {
        match self {
            Value::Map(entries) => (&entries[i].0, &entries[i].1),
            _ => ("", &Value::Null),
        }
    }

    fn part(self, i: usize, count: usize) -> Option<Self> {
        match self {
            Value::Struct(values) if values.len() == count => values.get(i),
            _ => None,
        }
    }

    fn describe(self) -> &'static str {
        self.type_name()
    }
}

/// A cell of a column.
#[derive(Clone, Copy)]
pub(super) struct Cell<'a> {
    pub(super) cells: &'a Cells<'a>,
    pub(super) at: usize,
}

impl<'a> Source<'a> for Cell<'a> {
    #[inline]
    fn is_null(self) -> bool {
        self.cells.is_null(self.at)
    }

    #[inline]
    fn leaf(self, _: &DataType) -> Option<Leaf<'a>> {
        let i = self.at;
        Some(match self.cells {
            Cells::Boolean(a) => Leaf::Boolean(a.value(i)),
            Cells::Integer(a) => Leaf::Integer(a.value(i)),
            Cells::BigInt(a) => Leaf::BigInt(a.value(i)),
            Cells::Double(a) => Leaf::Double(a.value(i)),
            Cells::Decimal(a, _) => Leaf::Decimal(a.value(i)),
            Cells::Varchar(a) => Leaf::Text(a.value(i).into()),
            Cells::Bytes(a) => Leaf::Bytes(a.value(i)),
            Cells::Date(a) => Leaf::Date(a.value(i)),
            Cells::Time(a) => Leaf::Time(a.value(i)),
            Cells::Timestamp(a) => Leaf::Timestamp(a.value(i)),
            Cells::Array(..) | Cells::Map(..) | Cells::Struct(..) => return None,
        })
    }

    fn len(self) -> Option<usize> {
        match self.cells {
            Cells::Array(a, _) => Some(span(a.value_offsets(), self.at).len()),
            Cells::Map(a, ..) => Some(span(a.value_offsets(), self.at).len()),
            _ => None,
        }
    }

    fn item(self, i: usize) -> Self {
        match self.cells {
            Cells::Array(a, items) => Cell { cells: items, at: span(a.value_offsets(), self.at).start + i },
            _ => self,
        }
    }

    fn entry(self, i: usize) -> (&'a str, Self) {
        match self.cells {
            Cells::Map(a, keys, values) => {
                let at = span(a.value_offsets(), self.at).start + i;
                (keys.value(at), Cell { cells: values, at })
            }
            _ => ("", self),
        }
    }

    fn part(self, i: usize, _: usize) -> Option<Self> {
        match self.cells {
            Cells::Struct(_, fields) => Some(Cell { cells: fields.get(i)?, at: self.at }),
            _ => None,
        }
    }

    fn describe(self) -> &'static str {
        "of another type"
    }
}
