//! Protobuf in Confluent's framing, with schemas from a schema registry, and bare.
//!
//! ```text
//!  magic 0 │ id of the writer's schema, 4 bytes big endian │ message indexes, zig-zag varints; one 0 for the first │ message
//!
//!  .proto text or descriptor ─ lexer, parser, descriptor ─▶ ast ─ link ─▶ types ─▶ print (canonical), normal, diff (compatibility)
//!  id ─ registry ─▶ types ─ plan ─▶ (message to target columns, compiled once an id) ─┐
//!  bytes ──▶ wire, scan, scalar ──────────────────────────────────────────────────────┼─▶ arrow ─▶ columns
//!                                                                                     └─▶ rows  ─▶ rows
//!  columns or rows ─ source ─▶ write ──▶ bytes      declare: Schema to .proto      derive: message to Schema
//! ```
//! A record costs itself only when its framing or its message is broken, when the registry does not know its id, or when its writer's
//! types do not fit the columns. When the registry cannot be asked, the error is [`retriable`](crate::RecordError::retriable).
//! Unknown fields are skipped; a group has no columns, and what has one is read by columns that are named, not by those it tells.
//! Of several entries of a map with one key the last counts; a number that an enum has no name for is that number's text.
//! A field that is absent is NULL if its declaration tells absent from its default (messages,
//! `optional`, `oneof`, proto2), else its default.
//!
//! | column | is read from Protobuf's |
//! |---|---|
//! | `BOOLEAN` | `bool`, whole numbers that are not zig-zag or fixed, enums |
//! | `INTEGER`, `BIGINT` | whole numbers, `bool`, enums, `Timestamp` (`BIGINT`: ms) |
//! | `DOUBLE` | `float`, `double`, whole numbers, `confluent.type.Decimal` |
//! | `DECIMAL` | `confluent.type.Decimal`, `google.type.Decimal`, whole numbers; no digit is dropped |
//! | `VARCHAR` | `string`, enums by name, `bytes` of UTF-8; numbers and booleans as text |
//! | `BYTES` | `bytes`, `string`, a message as it is encoded |
//! | `DATE`, `TIME`, `TIMESTAMP` | `google.type.Date`, `google.type.TimeOfDay`, `google.protobuf.Timestamp`; numbers of days or milliseconds, ISO 8601 strings |
//! | `ARRAY`, `MAP`, `STRUCT` | `repeated`, `map`, a message; an array or map also from a message whose only field it is |
//!
//! Messages of `google/protobuf/wrappers.proto` are as what they wrap.

mod arrow;
mod ast;
mod change;
mod codec;
#[cfg(test)]
mod codec_tests;
mod cursor;
mod declare;
mod definition;
#[cfg(test)]
mod definition_tests;
mod derive;
mod descriptor;
mod diff;
mod known;
mod lexer;
mod link;
mod messages;
mod normal;
mod options;
#[cfg(test)]
mod others_tests;
mod parser;
mod plan;
mod print;
#[cfg(test)]
mod properties;
mod put;
mod reader;
mod rows;
mod scalar;
mod scan;
mod serialize;
mod source;
mod wire;
mod write;

pub use codec::ProtobufCodec;
pub use declare::protobuf_of_schema;
pub use definition::ProtobufDefinition;
pub use derive::MAX_RECURSION;
pub use reader::ProtobufReader;
