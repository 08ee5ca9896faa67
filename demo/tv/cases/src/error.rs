use std::{io, path::PathBuf};

use thiserror::Error;

/// Why a case cannot be written, read, loaded or compared.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CaseError {
    /// A file or folder of the case.
    #[error("cannot {what} {}: {source}", path.display())]
    File {
        /// What was tried: `read`, `write`, ...
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A line that must be JSON and is not. (Lines of the inputs need not be: they become dead letters.)
    #[error("{}, line {line}: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Counted from 1, empty lines left out.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A schedule with a day that is not dd-MM-yyyy or a start that is not HH:mm:ss.
    #[error("channels.json: channel {channel_id} has the {what} {text:?}; it must be {form}")]
    Schedule {
        /// The channel.
        channel_id: i64,
        /// `day` or `start`.
        what: &'static str,
        /// As it stands in the file.
        text: String,
        /// As it must be.
        form: &'static str,
    },
    /// Options that contradict each other.
    #[error("{0}")]
    Options(String),
    /// A row cannot be written as JSON, for its time lies outside of the calendar.
    #[error("cannot write a row: {0}")]
    Row(#[source] serde_json::Error),
    /// The cluster refused something, or did not answer.
    #[error("{what}: {source}")]
    Kafka {
        /// What was tried.
        what: String,
        /// librdkafka's reason.
        source: rdkafka::error::KafkaError,
    },
    /// The registry refused a schema, or did not answer.
    #[error("cannot register a schema at {url}: {reason}")]
    Registry {
        /// What was asked.
        url: String,
        /// Its answer, or why there is none.
        reason: String,
    },
    /// Not every record was acknowledged.
    #[error("{failed} records of {topic} were not acknowledged; the first because: {reason}")]
    NotDelivered {
        /// The topic.
        topic: String,
        /// How many.
        failed: u64,
        /// The first one's reason.
        reason: String,
    },
    /// A topic has another number of partitions than the caller says.
    #[error(
        "the topic {topic} has {has} partitions, not {asked}; load with --partitions {has}, or delete it"
    )]
    Partitions {
        /// The topic.
        topic: String,
        /// How many it has.
        has: usize,
        /// How many it should have.
        asked: usize,
    },
    /// A topic that should be read is not there.
    #[error("there is no topic {topic} at {bootstrap}")]
    NoTopic {
        /// The topic.
        topic: String,
        /// The cluster.
        bootstrap: String,
    },
    /// The end of a topic did not come.
    #[error("{topic}: no record and no end of partition for {seconds} s, after {read} records")]
    Stuck {
        /// The topic.
        topic: String,
        /// Seconds of silence.
        seconds: u64,
        /// Records read before.
        read: u64,
    },
    /// A record of an output that is not a JSON object.
    #[error("{topic}, partition {partition}, offset {offset}: not JSON: {source}")]
    Output {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The offset.
        offset: i64,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}
