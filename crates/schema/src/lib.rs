//! The schema model of bd and its codecs: bytes of a record to rows or Arrow, and back.
//!
//! ```text
//!  bytes ──▶ decode_arrow ──▶ RecordBatch        rows: Row/Value with a Schema (the Connect data model)
//!        ◀── encode_arrow ◀──                    Arrow: what the engine and pull queries speak
//!        ──▶ decode_rows  ──▶ Row                bytes ──▶ Arrow never goes through rows
//!        ◀── encode_rows  ◀──
//! ```
//! A [`Codec`] is one format (JSON now) bound to one [`Schema`]. A record that cannot be decoded costs that record only: it comes
//! back as a [`RecordError`] with its place and reason, and the rest of the batch is decoded.
//!
//! Not here: where bytes come from (`bd-cluster`), what is done with bad records (the engine, the connect worker).

mod codec;
mod types;
mod value;

pub use codec::{Codec, Decoded, Encoded, RecordError};
pub use types::{DataType, Field, Schema};
pub use value::{Row, Value};
