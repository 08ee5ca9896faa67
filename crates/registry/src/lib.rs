//! The schema registry: Confluent's REST interface over a `_schemas` topic in Confluent's record format.
//!
//! ```text
//!  REST (router) ─▶ Registry ─ register ─▶ _schemas (the only store; a record is durable before its id is told)
//!                      ▲  └──── catch up ◀── _schemas
//!  codecs in process ──┘ (trait SchemaRegistry)
//! ```
//! What stands in the topic is all there is. Several registries on one topic agree, because the
//! log's order decides who was first.
//!
//! Not here yet: JSON Schema and Protobuf, references, modes other than READWRITE, contexts, paging, security.

mod compatibility;
mod error;
mod record;
mod registry;
mod rest;
mod state;

pub use compatibility::Level;
pub use error::Error;
pub use registry::{Registry, RegistryConfig};
pub use rest::router;
