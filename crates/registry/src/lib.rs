//! The schema registry: Confluent's REST interface over a `_schemas` topic in Confluent's record format.
//!
//! ```text
//!  REST (router) ─▶ Registry ─ decide ─▶ Store ─ append ─▶ _schemas (all there is; durable before it is told)
//!                      ▲                   │ State ◀─ catch up ─┘
//!  codecs in process ──┘ (trait SchemaRegistry)
//! ```
//! What stands in the topic is all there is. Several registries on one topic agree, because the
//! log's order decides. What depends on a schema's language is asked of [`bd_schema::Definition`].
//!
//! Not here: Confluent's enterprise parts (exporters, encryption keys, associations, the application of rules). Rules are kept and
//! given to clients, which apply them.

mod compatibility;
mod config;
mod definitions;
mod draft;
mod entity;
mod error;
mod flights;
mod manage;
mod md5;
mod record;
mod register;
mod registry;
mod rest;
mod security;
mod state;
mod store;
mod subject;
mod tags;

pub use config::{Level, Mode};
pub use error::Error;
pub use registry::{Registry, RegistryConfig};
pub use rest::{router, secured};
pub use security::{ANONYMOUS, Access, Role};
