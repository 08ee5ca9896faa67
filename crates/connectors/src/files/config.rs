//! The configuration.

use super::columns;
use crate::avro;
use bd_connect::sdk::{Config, ConfigDef, ConfigError, ConfigKey, ConfigType as T, ConnectSchema};
use std::sync::Arc;
use std::time::Duration;

/// A file's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Parquet,
    JsonLines,
    Csv,
    /// Each line is a string.
    Text,
}

/// How CSV is written.
#[derive(Debug, Clone)]
pub(super) struct CsvSettings {
    pub(super) delimiter: u8,
    pub(super) quote: u8,
    /// What an unquoted field holds that is NULL.
    pub(super) null: String,
    /// Whether the first record names the columns.
    pub(super) header: bool,
}

/// The configuration, checked.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// Paths and patterns.
    pub(super) files: Vec<String>,
    pub(super) topic: Arc<str>,
    /// `None`: by each file's extension.
    pub(super) format: Option<Format>,
    /// Of values in JSON lines and CSV; `None`: not known.
    pub(super) schema: Option<Arc<ConnectSchema>>,
    pub(super) schema_name: Option<String>,
    pub(super) key_fields: Vec<String>,
    pub(super) tail: bool,
    pub(super) poll_interval: Duration,
    /// Records a poll.
    pub(super) batch_size: usize,
    pub(super) max_line_bytes: usize,
    pub(super) csv: CsvSettings,
}

/// The keys.
pub(super) fn definition() -> ConfigDef {
    let mut keys = vec![
        ConfigKey::required(
            "file",
            T::List,
            "Paths of files; * and ? stand for any text and any character within a name: data/ads-*.jsonl.",
        ),
        ConfigKey::required("topic", T::String, "The topic to write to."),
        ConfigKey::optional(
            "format",
            T::String,
            "auto",
            "The files' format; auto goes by the extension: .parquet, .jsonl .ndjson .json, .csv .tsv, others are text.",
        )
        .one_of(&["auto", "parquet", "jsonl", "csv", "text"]),
        ConfigKey::optional(
            "schema",
            T::String,
            "",
            "The columns of JSON lines and CSV, as in a statement: ad_id BIGINT, tags ARRAY<VARCHAR>. Without it lines pass as \
             they are.",
        ),
        ConfigKey::optional("schema.avro", T::String, "", "The columns as an Avro record (JSON), instead of schema."),
        ConfigKey::optional("schema.file", T::String, "", "A file that holds the Avro record of schema.avro."),
        ConfigKey::optional("schema.name", T::String, "", "The name of the values' schema."),
        ConfigKey::optional(
            "key.fields",
            T::List,
            "",
            "The fields that are the record's key: one is the bare value, several are a struct.",
        ),
        ConfigKey::optional(
            "tail",
            T::Boolean,
            "true",
            "Whether text files may grow: whole lines are taken as they come. If false a file is complete when it appears.",
        ),
        ConfigKey::optional("poll.interval.ms", T::Int, "500", "How often new files and new lines are looked for."),
        ConfigKey::optional("batch.size", T::Int, "2000", "The most records of one poll."),
        ConfigKey::optional(
            "max.line.bytes",
            T::Int,
            "1048576",
            "The most bytes of a line or a CSV record; longer ones are rejected.",
        ),
    ];
    keys.extend([
        ConfigKey::optional(
            "csv.delimiter",
            T::String,
            "",
            "One character, or \\t; a comma, for .tsv a tab.",
        ),
        ConfigKey::optional("csv.quote", T::String, "\"", "One character."),
        ConfigKey::optional(
            "csv.null",
            T::String,
            "",
            "What an unquoted field holds that is NULL; empty by default.",
        ),
        ConfigKey::optional("csv.header", T::Boolean, "true", "Whether the first record names the columns."),
    ]);
    ConfigDef { keys, prefixes: Vec::new() }
}

impl Settings {
    /// Reads and checks a configuration.
    pub(super) fn new(config: &Config) -> Result<Self, ConfigError> {
        let streams = config.get("connector.class").is_some_and(|class| class.contains("FileStream"));
        let config = config.clone().with_defaults(&definition());
        config.text("file")?;
        let format = match config.text("format")? {
            // Kafka's own connector knows lines only.
            "auto" if streams => Some(Format::Text),
            "auto" => None,
            "parquet" => Some(Format::Parquet),
            "jsonl" => Some(Format::JsonLines),
            "csv" => Some(Format::Csv),
            "text" => Some(Format::Text),
            other => {
                let reason = format!("invalid value {other}: must be one of auto, parquet, jsonl, csv, text");
                return Err(ConfigError::new("format", reason));
            }
        };
        let schema = schema(&config)?.map(Arc::new);
        let settings = Self {
            files: config.list("file").into_iter().map(str::to_owned).collect(),
            topic: config.text("topic")?.into(),
            format,
            schema,
            schema_name: config.get("schema.name").map(str::to_owned),
            key_fields: config.list("key.fields").into_iter().map(str::to_owned).collect(),
            tail: config.boolean("tail")?,
            poll_interval: Duration::from_millis(positive(&config, "poll.interval.ms")?),
            batch_size: positive(&config, "batch.size")?.min(1_000_000) as usize,
            max_line_bytes: positive(&config, "max.line.bytes")? as usize,
            csv: csv(&config)?,
        };
        if let Some(schema) = &settings.schema {
            let columns = schema.columns();
            if let Some(missing) = settings.key_fields.iter().find(|f| columns.index_of(f).is_none()) {
                return Err(ConfigError::new("key.fields", format!("{missing} is no column of the schema")));
            }
        }
        Ok(settings)
    }

    /// The format of a file.
    pub(super) fn format_of(&self, path: &str) -> Format {
        if let Some(format) = self.format {
            return format;
        }
        match path.rsplit('.').next().map(str::to_ascii_lowercase).as_deref() {
            Some("parquet" | "pq") => Format::Parquet,
            Some("jsonl" | "ndjson" | "json") => Format::JsonLines,
            Some("csv" | "tsv") => Format::Csv,
            _ => Format::Text,
        }
    }

    /// The delimiter of a CSV file.
    pub(super) fn csv_of(&self, path: &str) -> CsvSettings {
        let delimiter = match self.csv.delimiter {
            0 if path.to_ascii_lowercase().ends_with(".tsv") => b'\t',
            0 => b',',
            set => set,
        };
        CsvSettings { delimiter, ..self.csv.clone() }
    }
}

/// The columns that the configuration declares.
fn schema(config: &Config) -> Result<Option<ConnectSchema>, ConfigError> {
    let set: Vec<&str> =
        ["schema", "schema.avro", "schema.file"].into_iter().filter(|k| config.get(k).is_some()).collect();
    let key = match set.as_slice() {
        [] => return Ok(None),
        [key] => *key,
        [key, other, ..] => {
            return Err(ConfigError::new(*other, format!("{key} is set too: only one of them can be")));
        }
    };
    let text = config.text(key)?;
    let wrong = |reason: String| ConfigError::new(key, reason);
    let mut schema = match key {
        "schema" => ConnectSchema::of(None, columns::parse(text).map_err(wrong)?),
        "schema.avro" => avro::schema_of_record(text).map_err(wrong)?,
        _ => {
            let declaration = std::fs::read_to_string(text).map_err(|e| {
                wrong(format!("{text} cannot be read: {e}; a file with an Avro record wanted"))
            })?;
            avro::schema_of_record(&declaration).map_err(|e| wrong(format!("{text}: {e}")))?
        }
    };
    if let Some(name) = config.get("schema.name") {
        schema.name = Some(name.to_owned());
    }
    Ok(Some(schema))
}

fn csv(config: &Config) -> Result<CsvSettings, ConfigError> {
    // Not by `get`, which takes a tab for nothing.
    let character = |key: &str, unset: u8| match config.values().get(key).map(String::as_str) {
        None | Some("") => Ok(unset),
        Some("\\t") => Ok(b'\t'),
        Some(text) => match text.as_bytes() {
            [one] if *one != b'\n' && *one != b'\r' => Ok(*one),
            _ => Err(ConfigError::new(key, format!("invalid value {text:?}: one ASCII character wanted"))),
        },
    };
    let csv = CsvSettings {
        delimiter: character("csv.delimiter", 0)?,
        quote: character("csv.quote", b'"')?,
        null: config.values().get("csv.null").cloned().unwrap_or_default(),
        header: config.boolean("csv.header")?,
    };
    if csv.delimiter == csv.quote {
        return Err(ConfigError::new("csv.quote", "must differ from csv.delimiter"));
    }
    Ok(csv)
}

fn positive(config: &Config, key: &str) -> Result<u64, ConfigError> {
    match config.number::<i32>(key)? {
        number @ 1.. => Ok(number as u64),
        number => Err(ConfigError::new(key, format!("invalid value {number}: must be at least 1"))),
    }
}
