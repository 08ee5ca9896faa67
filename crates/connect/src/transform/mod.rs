//! Single message transforms by Kafka Connect's class names and keys, applied to whole batches.
//!
//! A transform gets a [`Flow`] and gives flows in the same order, fewer records where it filters; a record that it cannot take
//! is given back with the reason and counts as bad input (`errors.tolerance`).

mod cast;
mod chain;
mod fields;
mod flow;
mod insert;
mod leave;
mod predicate;
mod route;
#[cfg(test)]
mod tests;
mod time;
mod unwrap;

pub(crate) use chain::{Chain, PREDICATES, TRANSFORMS, validate};
pub(crate) use flow::{Flow, Step, abridged, infer};

/// A transform of one connector.
pub(crate) trait Transform: Send {
    /// Adds what becomes of the flow to `out`.
    fn apply(&mut self, flow: Flow, out: &mut Step);
}
