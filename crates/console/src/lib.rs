//! The console: a JSON API, live event streams and the browser UI over all roles.
//!
//! It reads the other roles by their public protocols (Elasticsearch's `_search`, Kafka Connect's and ksqlDB's REST, the
//! trait [`bd_cluster::Cluster`]), so each may as well be the real system. It holds no data of its own.
//!
//! ```text
//!  browser ◀── /api/stream: one event stream a page ── feeds: one evaluator for all who look at the same ◀── search, cluster,
//!     └─────── /api/...: JSON; /: the UI                                                                    connect, ksqlDB
//! ```
//!
//! | endpoint | what |
//! |---|---|
//! | `GET /api/info` | which roles are there |
//! | `GET /api/dashboards`, `/api/dashboards/{name}` | the dashboards, and one's definition |
//! | `GET /api/topics`, `/api/topics/{name}/messages` | topics, and their newest messages decoded |
//! | `GET /api/connectors`, `POST /api/connectors/{name}/restart` | connectors and their tasks |
//! | `GET /api/queries`, `/api/queries/{id}` | streaming queries, and one's plan |
//! | `GET /api/stream?page=dashboard&name=...` | Server-Sent Events of one page |
//! | `GET /health`, `/metrics` | for orchestrators and Prometheus |
//!
//! Dashboards are YAML; [`dashboard`] documents the format.
//!
//! Calls of roles block, so they run on threads of their own. All is bounded: streams, feeds, answers read, messages decoded. A
//! client that does not read its stream is let go.

mod api;
mod assets;
mod config;
mod console;
pub mod dashboard;
mod decode;
mod error;
mod feed;
mod http;
mod panel;
mod roles;
mod topics;

pub use api::router;
pub use config::{Auth, ConsoleConfig, Endpoint};
pub use console::Console;
pub use error::ConsoleError;
