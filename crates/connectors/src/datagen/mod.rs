//! The generator of made-up records: Confluent's `DatagenConnector`, by an Avro schema with the annotations of the Avro Random
//! Generator (`arg.properties`).
//!
//! ```text
//!  schema ── compile ──▶ node: a tree of what to draw ── (seed, row number, now) ──▶ rows at the pace of `max.interval`
//!     └── annotations taken out ──▶ the declaration that converters register
//! ```
//! Row N is a function of the seed and N (and of the clock where `now` is used), so that a restart goes on as if nothing had
//! happened. The offset of `{"task.id": T}` is `{"task.generation", "current.iteration", "random.seed", "started"}`.
//!
//! | annotation | of | meaning |
//! |---|---|---|
//! | `options` | all | one of these values, or of those in `{"file": path, "encoding": "json"}` |
//! | `range` | numbers | `min` up to but not `max` |
//! | `iteration` | numbers | `start`, then `step` more each row, at `restart` back to `start`; `initial` is the first |
//! | `iteration` | string | the number as text |
//! | `iteration` | boolean | `start`, then changing |
//! | `odds` | boolean | how likely `true` is |
//! | `length` | string, bytes, array, map | a number, or `min` up to but not `max`; 8 to 15 without it |
//! | `regex`, `prefix`, `suffix` | string | a text that the expression matches, what stands before and after it |
//! | `kind` | string | `uuid` |
//! | `keys` | map | the annotations of its keys |
//! | `position`, `distribution` | union (at the field) | its branch, or how likely each is |
//! | `unit` | numbers | `seconds`, `millis`, `micros`, `nanos`: what `now` counts; by the logical type, else `millis` |
//!
//! Bounds of `range` and `start` of `iteration` may be `"now"`, `"now-60s"`, `"now+5m"` (ms, s, m, h, d): of a range the moment of
//! generation, of an iteration the connector's first start. Other annotations are refused by name.

mod compile;
mod config;
mod constants;
mod node;
mod numbers;
mod pattern;
mod task;

use bd_connect::sdk::{
    Config, ConfigDef, ConfigError, Plugin, PluginKind, SourceTask, TaskContext, TaskError,
};
use config::Settings;
use std::sync::Arc;

/// The connectors of this module.
pub fn plugins() -> Vec<Arc<dyn Plugin>> {
    vec![Arc::new(Datagen)]
}

/// The plugin.
struct Datagen;

impl Plugin for Datagen {
    fn class(&self) -> &'static str {
        "io.confluent.kafka.connect.datagen.DatagenConnector"
    }

    fn kind(&self) -> PluginKind {
        PluginKind::Source
    }

    fn config_def(&self) -> ConfigDef {
        config::definition()
    }

    fn validate(&self, config: &Config) -> Vec<ConfigError> {
        Settings::new(config).err().into_iter().collect()
    }

    /// As many as there may be; each generates rows of its own.
    fn tasks(&self, config: &Config, max: usize) -> Result<Vec<Config>, TaskError> {
        Ok(vec![config.clone(); max.max(1)])
    }

    fn open_source(&self, context: TaskContext) -> Result<Box<dyn SourceTask>, TaskError> {
        let settings = Settings::new(&context.config)?;
        Ok(Box::new(task::Task::new(settings, &context)))
    }
}
