//! Compaction: keeps the last record of each key (as Apache Kafka's log cleaner).

mod state;

pub(crate) use state::{Checkpoint, Cleaner};
