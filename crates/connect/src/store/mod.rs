//! The worker's three topics, in Kafka Connect's own record formats.
//!
//! | topic | key | value |
//! |---|---|---|
//! | configs | `connector-NAME` | `{"properties":{...}}`; null: deleted |
//! | | `task-NAME-0` | `{"properties":{...}}` |
//! | | `commit-NAME` | `{"tasks":1}` |
//! | | `target-state-NAME` | `{"state":"STARTED","state.v2":"STARTED"}` |
//! | offsets | `["NAME",{partition}]` | `{offset}`; null: removed |
//! | status | `status-connector-NAME`, `status-task-NAME-0` | `{"state":..,"trace":..,"worker_id":..,"generation":..}` |
//! | | `status-topic-TOPIC:connector-NAME` | `{"topic":{...}}` |

mod configs;
mod log;
mod offsets;
mod status;

pub(crate) use configs::{ConfigStore, Stored, TargetState};
pub(crate) use log::{ensure_topic, now_ms};
pub(crate) use offsets::{ConnectorOffsets, OffsetStore};
pub(crate) use status::{State, StatusStore};
