//! Files as a source: Parquet, JSON lines, CSV, lines of text.
//!
//! ```text
//!  paths ─▶ files in the order of their names ─ task ─▶ one at a time, from where it stood
//!           ┌ parquet ─ arrow ─▶ columns, a row group after another          │
//!           └ text ─ lines / csv ─▶ columns by `schema`, or the lines' bytes │
//!  Polled: records, rejected lines, {"file": path} ─▶ {"rows", "position", "size", "modified", "done"}
//! ```
//! * Each file is read once. The place in it is committed with its records: after a failure it goes on with the next row.
//! * `tail=true`: text files may grow. Only whole lines are taken, new ones as they come; a file that shrinks is read from its
//!   start again, as `tail -F` does.
//! * `tail=false`: a text file is complete when it appears (move it there). Its last line counts without a line break too.
//! * A Parquet file is complete when its footer can be read. One that cannot be read and does not change between two looks is
//!   rejected, and tried again when its size or its time of modification changes. A row group that cannot be read is rejected
//!   and the next one is read.
//! * A line that cannot be used is rejected with `file` and `line` in its headers; a Parquet file with `file` and `row.group`.
//!
//! # CSV
//! RFC 4180, with any delimiter and quote; quoted fields may hold line breaks. With a header its names decide which column a field
//! is; without one the order does. Without `schema` all columns of the header are `VARCHAR`. The null text (empty by default) in
//! no quotes is NULL. Nested columns hold JSON.

mod arrow;
mod columns;
mod config;
mod csv;
mod lines;
mod parquet;
mod paths;
mod progress;
mod sample;
mod task;
mod text;
mod values;

use bd_connect::sdk::{
    Config, ConfigDef, ConfigError, Plugin, PluginKind, SourceTask, TaskContext, TaskError,
};
use config::Settings;
pub use sample::{SampleFormat, Sampled, sample_parquet, sample_text};
use std::sync::Arc;

/// The connectors of this module.
pub fn plugins() -> Vec<Arc<dyn Plugin>> {
    vec![Arc::new(FileSource)]
}

/// The plugin.
struct FileSource;

impl Plugin for FileSource {
    fn class(&self) -> &'static str {
        "bd.FileSourceConnector"
    }

    fn aliases(&self) -> &'static [&'static str] {
        &["org.apache.kafka.connect.file.FileStreamSourceConnector"]
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

    fn open_source(&self, context: TaskContext) -> Result<Box<dyn SourceTask>, TaskError> {
        let settings = Settings::new(&context.config)?;
        Ok(Box::new(task::Task::new(settings, &context)))
    }
}
