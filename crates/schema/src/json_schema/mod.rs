//! JSON Schema (drafts 4, 6, 7, 2019-09 and 2020-12), and JSON in Confluent's framing with schemas from a schema registry.
//!
//! ```text
//!  text ─▶ documents (`$id`, `$ref`) ─▶ load, keywords ─▶ model ─┬─▶ diff: what changed, and whether it is compatible
//!                                                                └─▶ derive: columns, and how they stand in JSON
//!  Schema ─▶ declare ─▶ text                                              │
//!                                                                         ▼
//!  magic 0 │ id of the writer's schema, 4 bytes big endian │ JSON ─▶ reader: rows by the writer's schema
//!                                                             └────▶ codec (`JSON_SR`): rows or Arrow by its own columns
//! ```

mod codec;
#[cfg(test)]
mod codec_tests;
mod declare;
mod definition;
mod derive;
mod diff;
mod documents;
mod keywords;
mod load;
mod model;
#[cfg(test)]
mod nested_properties;
#[cfg(test)]
mod properties;
mod read;
mod reader;
#[cfg(test)]
mod tests;

pub use codec::JsonSchemaCodec;
pub use declare::{Decimals, json_schema_of, json_schema_of_record, json_schema_of_value};
pub use definition::JsonDefinition;
pub use diff::CompatibilityPolicy;
pub use reader::JsonSchemaReader;
