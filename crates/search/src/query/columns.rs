//! Columns of a segment by field of the mapping.

use std::ops::Bound;

use tantivy::SegmentReader;
use tantivy::columnar::{Column, DynamicColumn, StrColumn};

use crate::error::{EsError, EsResult};
use crate::mapping::{ColumnKind, Field, Kind};

/// The values of one field in one segment.
#[derive(Clone)]
pub(crate) enum Values {
    /// No document of the segment has the field.
    None,
    Ints(Column<i64>),
    Floats(Column<f64>),
    Strings(Strings),
}

/// Exact strings: ordinals in a sorted dictionary.
#[derive(Clone)]
pub(crate) struct Strings {
    column: StrColumn,
    pub(crate) ords: Column<u64>,
}

impl Strings {
    /// The string of an ordinal.
    pub(crate) fn get(&self, ord: u64) -> EsResult<String> {
        let mut text = String::new();
        self.column.ord_to_str(ord, &mut text)?;
        Ok(text)
    }

    /// How many strings there are.
    pub(crate) fn len(&self) -> u64 {
        self.column.dictionary().num_terms() as u64
    }

    /// The first ordinal whose string is not less.
    pub(crate) fn lower(&self, text: &str) -> EsResult<u64> {
        let bounds = self.column.dictionary().term_bounds_to_ord(Bound::Included(text), Bound::Unbounded)?;
        Ok(match bounds.0 {
            Bound::Included(ord) => ord,
            Bound::Excluded(ord) => ord + 1,
            Bound::Unbounded => 0,
        }
        .min(self.len()))
    }

    /// The ordinal of a string.
    pub(crate) fn find(&self, text: &str) -> EsResult<Option<u64>> {
        Ok(self.column.dictionary().term_ord(text)?)
    }

    /// Calls `each` for all strings in order.
    pub(crate) fn all(&self, mut each: impl FnMut(u64, &str)) -> EsResult<()> {
        let mut stream = self.column.dictionary().stream()?;
        while stream.advance() {
            if let Ok(text) = std::str::from_utf8(stream.key()) {
                each(stream.term_ord(), text);
            }
        }
        Ok(())
    }
}

/// Opens the column of a field.
pub(crate) fn open(segment: &SegmentReader, field: &Field) -> EsResult<Values> {
    let name = match field.kind.column() {
        ColumnKind::Strings => format!("s.{}", field.id),
        ColumnKind::None => return Ok(Values::None),
        _ => format!("n.{}", field.id),
    };
    let Some(handle) = segment.fast_fields().dynamic_column_handles(&name)?.into_iter().next() else {
        return Ok(Values::None);
    };
    match (handle.open()?, field.kind.column()) {
        (DynamicColumn::I64(column), ColumnKind::Integers) => Ok(Values::Ints(column)),
        (DynamicColumn::F64(column), ColumnKind::Floats) => Ok(Values::Floats(column)),
        (DynamicColumn::Str(column), ColumnKind::Strings) => {
            let (_, ords) = column.clone().into_parts();
            Ok(Values::Strings(Strings { column, ords }))
        }
        (other, _) => Err(EsError::internal(format!("column {name} has the type {}", other.column_type()))),
    }
}

/// The error of asking a text field for what only columns have.
pub(crate) fn no_fielddata(name: &str, index: &str) -> EsError {
    EsError::illegal(format!(
        "Fielddata is disabled on [{name}] in [{index}]. Text fields are not optimised for operations that require per-document \
         field data like aggregations and sorting, so these operations are disabled by default. Please use a keyword field \
         instead. Alternatively, set fielddata=true on [{name}] in order to load field data by uninverting the inverted index. \
         Note that this can use significant memory."
    ))
    .on_shard()
}

/// Checks that a field has a column.
pub(crate) fn require_column(name: &str, field: &Field, index: &str) -> EsResult<()> {
    match field.kind {
        Kind::Text => Err(no_fielddata(name, index)),
        Kind::GeoPoint => {
            Err(EsError::illegal(format!("field [{name}] of type [geo_point] is not supported here"))
                .on_shard())
        }
        _ => Ok(()),
    }
}
