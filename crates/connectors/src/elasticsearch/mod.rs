//! The Elasticsearch sink: Confluent's `ElasticsearchSinkConnector`, for Elasticsearch, OpenSearch and bd's search role.
//!
//! ```text
//!  SinkBatch ─ document ─▶ operations ─ bulk ─▶ NDJSON ─ client ─▶ POST /_bulk
//!              (keys to `_id`,          (chunks by count and bytes)      │
//!               values to JSON)                                          ▼
//!  Rejected ◀──────────────────────────── an outcome an item: done, retry, malformed
//! ```
//! Writing the same records twice changes nothing:
//!
//! | `key.ignore` | `_id` | operation | done also when |
//! |---|---|---|---|
//! | `true` | `topic+partition+offset` | `create` | 409: it is there |
//! | `false` | the key | `index` / `delete`, external version = offset | 409: a newer one is there; 404: nothing to delete |
//! | `false`, `write.method=upsert` | the key | `update` with `doc_as_upsert`, in order | |
//!
//! Keys as `_id`: strings and numbers as their text. A struct of several fields, which Confluent refuses, is its fields' texts
//! joined with `|` (see [`document`]), so that tables keyed by several columns have documents of their own.
//!
//! HTTP 200 says nothing of the items: each has its own status. Items that answer 429 or 5xx are sent again, only they, after a
//! growing pause. After `max.retries` the task fails as retriable.

mod bulk;
mod client;
mod config;
mod document;
mod index;
mod sending;
mod task;

use bd_connect::sdk::{Config, ConfigDef, ConfigError, Plugin, PluginKind, SinkTask, TaskContext, TaskError};
use config::Settings;
use std::sync::Arc;

/// The connectors of this module.
pub fn plugins() -> Vec<Arc<dyn Plugin>> {
    vec![Arc::new(ElasticsearchSink)]
}

/// The plugin.
struct ElasticsearchSink;

impl Plugin for ElasticsearchSink {
    fn class(&self) -> &'static str {
        "io.confluent.connect.elasticsearch.ElasticsearchSinkConnector"
    }

    fn aliases(&self) -> &'static [&'static str] {
        &[
            "io.confluent.connect.opensearch.OpenSearchSinkConnector",
            "io.aiven.connect.elasticsearch.ElasticsearchSinkConnector",
            "io.aiven.kafka.connect.opensearch.OpensearchSinkConnector",
        ]
    }

    fn kind(&self) -> PluginKind {
        PluginKind::Sink
    }

    fn config_def(&self) -> ConfigDef {
        config::definition()
    }

    fn validate(&self, config: &Config) -> Vec<ConfigError> {
        config::validate(config)
    }

    /// As many alike as there may be: their consumer group divides the partitions.
    fn tasks(&self, config: &Config, max: usize) -> Result<Vec<Config>, TaskError> {
        Settings::new(config)?;
        Ok(vec![config.clone(); max.max(1)])
    }

    fn open_sink(&self, context: TaskContext) -> Result<Box<dyn SinkTask>, TaskError> {
        let settings = Settings::new(&context.config)?;
        Ok(Box::new(task::Task::new(settings, context.stop)?))
    }
}
