//! Bad input: what `errors.*` say is done with it.

use super::{Failure, TaskSpec};
use crate::sdk::{Config, ConfigError, Header};
use crate::store::now_ms;
use bd_cluster::{RecordsBuilder, TopicPartition, Writer, partition_of_key};

/// At which step a record was refused, by Connect's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    TaskPoll,
    Transformation,
    KeyConverter,
    ValueConverter,
    TaskPut,
}

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Self::TaskPoll => "TASK_POLL",
            Self::Transformation => "TRANSFORMATION",
            Self::KeyConverter => "KEY_CONVERTER",
            Self::ValueConverter => "VALUE_CONVERTER",
            Self::TaskPut => "TASK_PUT",
        }
    }
}

/// A record that cannot be used.
#[derive(Debug, Clone)]
pub(super) struct Bad<'a> {
    pub(super) stage: Stage,
    /// The class that refused it.
    pub(super) class: &'a str,
    pub(super) reason: &'a str,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
    pub(super) headers: &'a [Header],
    /// Sinks: where it stands. Sources: where it was to go, as far as that is known.
    pub(super) topic: Option<&'a str>,
    pub(super) place: Option<(i32, i64)>,
    pub(super) timestamp: Option<i64>,
}

/// What is done with bad input, and the dead letters of the open transaction.
pub(super) struct BadInput<'a> {
    spec: &'a TaskSpec,
    tolerate: bool,
    log: bool,
    log_messages: bool,
    topic: Option<String>,
    context: bool,
    replication_factor: i16,
    letters: Vec<RecordsBuilder>,
    count: usize,
}

impl<'a> BadInput<'a> {
    pub(super) fn new(spec: &'a TaskSpec) -> Result<Self, ConfigError> {
        let config: &Config = &spec.config;
        let tolerate = match config.get("errors.tolerance").unwrap_or("none") {
            "none" => false,
            "all" => true,
            other => {
                return Err(ConfigError::new(
                    "errors.tolerance",
                    format!("invalid value {other}: none or all"),
                ));
            }
        };
        let replication = "errors.deadletterqueue.topic.replication.factor";
        let replication_factor = match config.get(replication) {
            None => spec.worker.replication_factor,
            Some(_) => config.number(replication)?,
        };
        Ok(Self {
            spec,
            tolerate,
            log: config.boolean("errors.log.enable")?,
            log_messages: config.boolean("errors.log.include.messages")?,
            topic: config.get("errors.deadletterqueue.topic.name").map(str::to_owned),
            context: config.boolean("errors.deadletterqueue.context.headers.enable")?,
            replication_factor,
            letters: Vec::new(),
            count: 0,
        })
    }

    /// Counts it, and keeps it for the dead-letter topic.
    ///
    /// # Errors
    /// `errors.tolerance` is `none`.
    pub(super) fn add(&mut self, bad: &Bad<'_>) -> Result<(), Failure> {
        let metrics = &self.spec.shared.metrics;
        metrics.bad();
        let at = match (bad.topic, bad.place) {
            (Some(topic), Some((partition, offset))) => format!(" of {topic}-{partition} at offset {offset}"),
            (Some(topic), None) => format!(" for topic {topic}"),
            _ => String::new(),
        };
        let (stage, class, reason) = (bad.stage.name(), bad.class, bad.reason);
        if self.log {
            let message = match self.log_messages {
                true => bad.value.map(|v| crate::transform::abridged(&String::from_utf8_lossy(v))),
                false => None,
            };
            let (connector, task) = (&self.spec.connector, self.spec.id);
            tracing::error!(connector, task, stage, class, message, "bad record{at}: {reason}");
        }
        if !self.tolerate {
            return Err(Failure::Fatal(format!(
                "Tolerance exceeded in error handler: {stage} ({class}) refused a record{at}: {reason}. Correct the input, or set \
                 errors.tolerance=all, with errors.deadletterqueue.topic.name to keep what is refused"
            )));
        }
        metrics.skipped();
        if self.topic.is_some() {
            self.letter(bad);
        }
        Ok(())
    }

    fn letter(&mut self, bad: &Bad<'_>) {
        let mut own: Vec<(&str, String)> = Vec::new();
        if self.context {
            if let Some(topic) = bad.topic {
                own.push(("__connect.errors.topic", topic.to_owned()));
            }
            if let Some((partition, offset)) = bad.place {
                own.push(("__connect.errors.partition", partition.to_string()));
                own.push(("__connect.errors.offset", offset.to_string()));
            }
            own.push(("__connect.errors.connector.name", self.spec.connector.clone()));
            own.push(("__connect.errors.task.id", self.spec.id.to_string()));
            own.push(("__connect.errors.stage", bad.stage.name().to_owned()));
            own.push(("__connect.errors.class.name", bad.class.to_owned()));
            own.push((
                "__connect.errors.exception.class.name",
                "org.apache.kafka.connect.errors.DataException".into(),
            ));
            own.push(("__connect.errors.exception.message", bad.reason.to_owned()));
            own.push(("__connect.errors.exception.stacktrace", bad.reason.to_owned()));
        }
        let given = bad.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref()));
        let own = own.iter().map(|(name, value)| (*name, Some(value.as_bytes())));
        let headers: Vec<_> = given.chain(own).collect();
        let timestamp = bad.timestamp.unwrap_or_else(now_ms);
        let mut letter = RecordsBuilder::new();
        letter.push(bad.key, bad.value, timestamp, &headers);
        self.letters.push(letter);
        self.count += 1;
    }

    /// Whether what is refused is written to a dead-letter topic.
    pub(super) fn keeps_records(&self) -> bool {
        self.tolerate && self.topic.is_some()
    }

    /// Whether there are dead letters to write.
    pub(super) fn is_empty(&self) -> bool {
        self.letters.is_empty()
    }

    /// Adds the dead letters to the writer's transaction.
    pub(super) fn append(&mut self, writer: &mut dyn Writer) -> Result<(), Failure> {
        let Some(topic) = self.topic.as_deref().filter(|_| !self.letters.is_empty()) else { return Ok(()) };
        let mut new = bd_cluster::NewTopic::new(topic, 1);
        new.replication_factor = self.replication_factor;
        let partitions = crate::store::ensure_topic(self.spec.cluster.as_ref(), &new)?;
        let partitions = usize::try_from(partitions).unwrap_or(1).max(1);
        for letter in self.letters.drain(..) {
            let key = letter.iter().next().and_then(|(record, _)| record.key.map(<[u8]>::to_vec));
            let place = key.map_or(0, |key| partition_of_key(&key, partitions));
            writer.append(&TopicPartition::new(topic, i32::try_from(place).unwrap_or(0)), letter)?;
        }
        Ok(())
    }

    /// The transaction that held them is committed.
    pub(super) fn committed(&mut self) {
        self.spec.shared.metrics.dead_letters(std::mem::take(&mut self.count));
    }
}
