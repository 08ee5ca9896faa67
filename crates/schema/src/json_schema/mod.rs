//! JSON Schema: drafts 4, 6, 7, 2019-09 and 2020-12.
//!
//! ```text
//!  text ─▶ documents (`$id`, `$ref`) ─▶ load, keywords ─▶ model ─┬─▶ diff: what changed, and whether it is compatible
//!                                                                └─▶ derive: columns
//! ```

mod definition;
mod diff;
mod documents;
mod keywords;
mod load;
mod model;
#[cfg(test)]
mod tests;

pub use definition::JsonDefinition;
pub use diff::CompatibilityPolicy;
