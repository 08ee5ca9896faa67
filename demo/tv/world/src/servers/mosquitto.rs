//! Mosquitto: an MQTT broker that forgets nothing.

use super::{Server, environment, program};
use crate::files;
use crate::layout::{Layout, MQTT_CLIENT_ID, MQTT_FILTER};
use crate::mqtt;
use crate::process::{Process, Spec};
use anyhow::{Context, Result};
use rustix::process::Signal;
use std::path::PathBuf;

/// A private Mosquitto.
#[derive(Debug)]
pub struct Mosquitto {
    layout: Layout,
    port: u16,
}

impl Mosquitto {
    /// Of that world, on that port.
    pub fn new(layout: Layout, port: u16) -> Self {
        Self { layout, port }
    }

    /// There once bd's session was made.
    fn session_made(&self) -> PathBuf {
        self.layout.mosquitto().join("session-made")
    }
}

impl Server for Mosquitto {
    fn name(&self) -> &'static str {
        "mosquitto"
    }

    fn port(&self) -> u16 {
        self.port
    }

    fn first(&self) -> Option<Spec> {
        None
    }

    fn prepare(&self) -> Result<Spec> {
        let folder = self.layout.mosquitto();
        std::fs::create_dir_all(folder.join("db"))
            .with_context(|| format!("cannot make {}", folder.display()))?;
        // As root it would become the user `mosquitto`, who may not write here.
        let user = super::mariadb::user_name()?;
        let configuration = folder.join("mosquitto.conf");
        // max_queued_messages and max_inflight_messages 0: no limit. By default it drops messages beyond 1000 while a client is away,
        // and sends at most 20 at once, which may come in another order after a reconnect.
        let text = format!(
            "listener {} 127.0.0.1\nuser {user}\nallow_anonymous true\npersistence true\n\
             persistence_location {}/db/\nautosave_interval 10\nmax_queued_messages 0\nmax_inflight_messages 0\n\
             sys_interval 5\nlog_dest stderr\nlog_type error\nlog_type warning\nlog_type notice\n\
             log_timestamp_format %Y-%m-%dT%H:%M:%S\n",
            self.port,
            folder.display()
        );
        files::write(&configuration, text.as_bytes())?;
        Ok(Spec {
            name: self.name(),
            command: vec![
                program("mosquitto", "mosquitto")?,
                "-c".into(),
                configuration.display().to_string(),
            ],
            environment: environment(&self.layout),
            folder,
        })
    }

    fn ready(&self) -> Result<()> {
        let made = self.session_made();
        if made.exists() {
            return mqtt::ping(self.port);
        }
        mqtt::make_session(self.port, MQTT_CLIENT_ID, MQTT_FILTER)?;
        if let Some(mut process) = Process::running(self.name(), &self.layout.run())? {
            // It writes its sessions down at once, not only with the next autosave.
            process.signal(Signal::USR1);
        }
        files::write(&made, b"")
    }
}
