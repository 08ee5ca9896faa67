//! The MQTT source: messages of a broker (MQTT 3.1.1) as records, with the configuration of Confluent's connector.
//!
//! The value is the payload, byte for byte. The key is the MQTT topic, or a level of it (`mqtt.key.pattern`). Messages stay in
//! the order in which they come. There is one task.
//!
//! # Delivery
//! With `mqtt.qos=2`, `mqtt.clean.session.enabled=false` and a broker that keeps its sessions, each message is written exactly
//! once, whatever dies when: the packet ids of messages on their way are part of the source's offset, which is committed with the
//! records, and the broker hears nothing before its commit (see `exchanges`).
//!
//! ```text
//!  broker                connector                       transaction
//!    │── PUBLISH 7 ─────────▶│── record, open = [7] ───────────▶│
//!    │◀──────────── PUBREC 7 │◀────────────────────── committed │
//!    │── PUBREL 7 ──────────▶│── open = [] ────────────────────▶│
//!    │◀─────────── PUBCOMP 7 │◀────────────────────── committed │
//! ```
//! QoS 1 is acknowledged after its commit: nothing is lost, a message may come twice. QoS 0 is taken as it comes. The QoS of a
//! message is the lesser of its publisher's and the subscription's.
//!
//! A broker that loses a session (`session present` is 0) cannot finish what was open: a warning says so, and work goes on.
//! Mosquitto needs `persistence true` and `max_queued_messages 0`, or it drops messages while the connector is away.
//!
//! # Offset
//! Of the partition `{"client": CLIENT_ID}`: `messages`, the number of messages taken from the broker so far, bad input included;
//! `open`, the ids of exchanges that are not finished; `filters`, what the session is subscribed to with which QoS (so that a
//! restart does not subscribe again, which would bring all retained messages once more).

mod connection;
mod exchanges;
mod packet;
mod pattern;
mod session;
mod settings;
mod task;

use bd_connect::sdk::{
    Config, ConfigDef, ConfigError, Plugin, PluginKind, SourceTask, TaskContext, TaskError,
};
use std::sync::Arc;

/// The connectors of this module.
pub fn plugins() -> Vec<Arc<dyn Plugin>> {
    vec![Arc::new(MqttSource)]
}

/// `io.confluent.connect.mqtt.MqttSourceConnector`.
#[derive(Debug, Clone, Copy, Default)]
pub struct MqttSource;

impl Plugin for MqttSource {
    fn class(&self) -> &'static str {
        "io.confluent.connect.mqtt.MqttSourceConnector"
    }

    fn kind(&self) -> PluginKind {
        PluginKind::Source
    }

    fn config_def(&self) -> ConfigDef {
        settings::config_def()
    }

    fn validate(&self, config: &Config) -> Vec<ConfigError> {
        let config = config.clone().with_defaults(&settings::config_def());
        settings::Settings::read(&config, "connector", 0).err().into_iter().collect()
    }

    fn open_source(&self, context: TaskContext) -> Result<Box<dyn SourceTask>, TaskError> {
        Ok(Box::new(task::MqttTask::open(&context)?))
    }
}
