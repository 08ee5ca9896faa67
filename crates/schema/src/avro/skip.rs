//! Passing over what nobody wants.

use super::plan::Skip;
use super::wire::Wire;
use crate::failure::Fallible;

/// Passes over a value.
pub(super) fn skip(w: &mut Wire<'_>, skip: &Skip, named: &[Skip]) -> Fallible<()> {
    match skip {
        Skip::Nothing => {}
        Skip::Varint => drop(w.long()?),
        Skip::Fixed(size) => drop(w.take(*size)?),
        Skip::Bytes => drop(w.bytes()?),
        Skip::Array(item, free) => w.skip_blocks(*free, |w| self::skip(w, item, named))?,
        Skip::Map(value) => w.skip_blocks(false, |w| {
            w.bytes()?;
            self::skip(w, value, named)
        })?,
        Skip::Union(branches) => {
            let branch = w.index(branches.len(), "branch")?;
            self::skip(w, &branches[branch], named)?;
        }
        Skip::Record(fields) => {
            for field in fields {
                self::skip(w, field, named)?;
            }
        }
        // Only these lead back to themselves.
        Skip::Named(place) => w.nested(|w| self::skip(w, &named[*place], named))?,
    }
    Ok(())
}
