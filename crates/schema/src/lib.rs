//! The schema model of bd and its codecs: bytes of a record to rows or Arrow, and back.
//!
//! ```text
//!  bytes ──▶ decode_arrow ──▶ RecordBatch        rows: Row/Value with a Schema (the Connect data model)
//!        ◀── encode_arrow ◀──                    Arrow: what the engine and pull queries speak
//!        ──▶ decode_row   ──▶ Row                bytes ──▶ Arrow never goes through rows
//!        ◀── encode_row   ◀──
//!  Row   ──▶ rows_to_arrow ─▶ RecordBatch ──▶ arrow_to_rows ──▶ Row
//! ```
//! A [`Codec`] is one format bound to one [`Schema`]; [`Codecs`] finds it by the format's name. A record that cannot be decoded costs
//! that record only: it comes back as a [`RecordError`] with its place and reason, and the rest of the batch is decoded.
//!
//! A new format is a new implementation of [`Codec`], tested by `conformance` (feature of that name), and a name in [`FORMATS`].
//!
//! Not here: where bytes come from (`bd-cluster`), what is done with bad records (the engine, the connect worker).

mod administration;
pub mod avro;
mod batch;
mod cells;
mod client;
mod codec;
mod column;
mod columns;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod connect;
mod definition;
mod delimited;
mod failure;
mod formats;
mod infer;
mod json;
pub mod json_schema;
mod kafka;
mod ksql_columns;
mod none;
mod numeric;
mod options;
mod percent;
pub mod protobuf;
mod references;
mod registry;
mod temporal;
mod types;
mod value;
mod writers;

pub use administration::{Checked, RegistryCallError, SchemaVersion};
pub use avro::{AvroCodec, AvroDatumCodec, AvroDefinition, AvroFraming, AvroReader};
pub use batch::rows_to_arrow;
pub use cells::arrow_to_rows;
pub use client::{PropertyError, RegistryClient};
pub use codec::{Codec, Decoded, Encoded, RecordError};
pub use columns::Columns;
pub use connect::{ConnectField, ConnectMeta, Narrow, RecordShape};
pub use definition::{Definition, Incompatibility, InvalidSchema};
pub use delimited::{DelimitedCodec, Delimiter, InvalidDelimiter};
pub use formats::{Codecs, FORMATS, Role, UnknownFormat};
pub use infer::{InferNote, InferOptions, Inference, Inferred, type_of_json};
pub use json::JsonCodec;
pub use json::envelope::declare::envelope_schema_of;
pub use json::envelope::{Enveloped, JsonEnvelopeCodec, JsonEnvelopeReader};
pub use json_schema::{CompatibilityPolicy, JsonDefinition, JsonSchemaCodec, JsonSchemaReader};
pub use kafka::{KafkaCodec, KafkaPrimitive};
pub use ksql_columns::columns_of_schema;
pub use none::NoneCodec;
pub use options::FormatOptions;
pub use percent::{percent_decoded, percent_encoded};
pub use protobuf::{ProtobufCodec, ProtobufDefinition, ProtobufReader};
pub use registry::{
    NewSchema, Referenced, RegisteredSchema, RegistryError, SchemaReference, SchemaRegistry, SchemaText,
    SchemaType,
};
pub use types::{DataType, Field, Schema};
pub use value::{Row, Value};
