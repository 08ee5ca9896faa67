//! Passing over what nobody wants.

use super::derive::MAX_RECURSION;
use super::plan::Skip;
use super::wire::Wire;
use crate::failure::{Failure, Fallible};

/// Passes over a value.
pub(super) fn skip(w: &mut Wire<'_>, skip: &Skip, named: &[Skip]) -> Fallible<()> {
    match skip {
        Skip::Nothing => {}
        Skip::Varint => drop(w.long()?),
        Skip::Fixed(size) => drop(w.take(*size)?),
        Skip::Bytes => drop(w.bytes()?),
        Skip::Empty if w.long()? == 0 => {}
        Skip::Empty | Skip::Deep => {
            let reason = format!("a record is more than {MAX_RECURSION} times within itself");
            return Err(Failure::new(reason));
        }
        Skip::Union(branches) => {
            let branch = w.index(branches.len(), "branch")?;
            match &branches[branch] {
                Skip::Nothing => {}
                other => w.nested(|w| self::skip(w, other, named))?,
            }
        }
        parts => w.nested(|w| within(w, parts, named))?,
    }
    Ok(())
}

fn within(w: &mut Wire<'_>, parts: &Skip, named: &[Skip]) -> Fallible<()> {
    match parts {
        Skip::Array(item, free) => w.skip_blocks(*free, |w| skip(w, item, named)),
        Skip::Map(value) => w.skip_blocks(false, |w| {
            w.bytes()?;
            skip(w, value, named)
        }),
        Skip::Record(fields) => fields.iter().try_for_each(|field| skip(w, field, named)),
        Skip::Named(place) => skip(w, &named[*place], named),
        other => skip(w, other, named),
    }
}
