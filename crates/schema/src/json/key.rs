//! A key of a single column: the bare value, or an object that holds it.
//!
//! ksqlDB writes `45`, Debezium and Connect write `{"user_id":45}`; both are read. Where an object could also be the value itself:
//!
//! | column    | an object is the wrapping one if                                                              |
//! |-----------|-----------------------------------------------------------------------------------------------|
//! | `VARCHAR` | its only key is the column's name; else the value is its JSON text                             |
//! | `STRUCT`  | its only key is the column's name, and no field has that name unless the codec writes wrapped  |
//! | `MAP`     | the codec writes wrapped, and its only key is the column's name                                |
//! | others    | always; one without the column's name is an error                                              |

use super::scan::Scanner;
use super::shape::{ObjectShape, Shape};
use crate::DataType;
use crate::failure::{Failure, Fallible};

/// Whether the key at hand is wrapped in an object; `writes` is whether the codec writes it so. Nothing is consumed.
pub(super) fn is_wrapped(s: &Scanner<'_>, shape: &ObjectShape, writes: bool) -> Fallible<bool> {
    let (Some(column), Some(name)) = (shape.fields.first(), shape.names.first()) else { return Ok(true) };
    if s.peek() != Some(b'{') {
        return Ok(false);
    }
    match column {
        Shape::Map(_) if !writes => Ok(false),
        Shape::Struct(inner) if !writes && inner.knows(name) => Ok(false),
        Shape::Map(_) | Shape::Struct(_) | Shape::Leaf(DataType::Varchar) => Ok(keys(s, shape)? == (1, 1)),
        _ if keys(s, shape)?.0 > 0 => Ok(true),
        _ => Err(Failure::new(format!("the key is an object without the field {name}"))),
    }
}

/// How many keys of the object name the column, and how many there are.
fn keys(s: &Scanner<'_>, shape: &ObjectShape) -> Fallible<(usize, usize)> {
    let mut s = s.clone();
    let (mut named, mut all) = (0, 0);
    s.enter(b'{')?;
    while s.more(b'}', all == 0)? {
        named += usize::from(shape.knows(&s.key()?));
        all += 1;
        s.skip_value()?;
    }
    Ok((named, all))
}
