//! Where everything of one world lies, which ports it takes, and which world it is.

use crate::files;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The client id of bd's MQTT connector: its session at the broker is made before anything is published, so that nothing is lost
/// while bd is not there yet.
pub const MQTT_CLIENT_ID: &str = "bd-tv-actions";
/// What bd's MQTT connector subscribes to.
pub const MQTT_FILTER: &str = "tv/+/actions";
/// The key that the weather service's clients are to show; any other that is not empty does as well.
pub const WEATHER_KEY: &str = "demo";

/// The ports of the world's servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
pub struct Ports {
    /// MariaDB's port (or TV_MARIADB_PORT)
    #[arg(long, default_value_t = port("TV_MARIADB_PORT", 3307), value_name = "PORT")]
    pub mariadb_port: u16,
    /// Mosquitto's port (or TV_MOSQUITTO_PORT)
    #[arg(long, default_value_t = port("TV_MOSQUITTO_PORT", 1884), value_name = "PORT")]
    pub mosquitto_port: u16,
    /// The port of the weather service, REST (or TV_WEATHER_PORT)
    #[arg(long, default_value_t = port("TV_WEATHER_PORT", 8090), value_name = "PORT")]
    pub weather_port: u16,
}

/// A port by its environment variable.
fn port(variable: &str, default: u16) -> u16 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// The files of a world, all under its DATA folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// DATA, absolute.
    pub data: PathBuf,
}

impl Layout {
    /// The layout of `data`, which is made where it does not exist.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn new(data: &Path) -> Result<Self> {
        std::fs::create_dir_all(data)
            .with_context(|| format!("cannot make the folder {}", data.display()))?;
        let data = data.canonicalize().with_context(|| format!("cannot find {}", data.display()))?;
        if data.to_str().is_none_or(|path| path.contains(['\n', '"', '\\'])) {
            bail!(
                "{}: the servers' configuration files cannot name this folder: choose another DATA",
                data.display()
            );
        }
        let layout = Self { data };
        for folder in ["run", "logs", "world", "feed/channels", "feed/ads"].map(|name| layout.join(name)) {
            std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        Ok(layout)
    }

    fn join(&self, name: &str) -> PathBuf {
        self.data.join(name)
    }

    /// Which processes run.
    pub fn run(&self) -> PathBuf {
        self.join("run")
    }

    /// The logs of all processes, each of bounded size.
    pub fn logs(&self) -> PathBuf {
        self.join("logs")
    }

    /// The simulator's own files.
    pub fn world(&self) -> PathBuf {
        self.join("world")
    }

    /// bd's data.
    pub fn bd(&self) -> PathBuf {
        self.join("bd")
    }

    /// MariaDB's files.
    pub fn mariadb(&self) -> PathBuf {
        self.join("mariadb")
    }

    /// Mosquitto's files.
    pub fn mosquitto(&self) -> PathBuf {
        self.join("mosquitto")
    }

    /// The folder of the files that bd's files connectors read: `channels/*.parquet` and, in a replay, `ads/ads.jsonl`.
    pub fn feed(&self) -> PathBuf {
        self.join("feed")
    }

    /// The schedule's folder. It has one file; a new schedule has a new name, since a files connector reads a file once.
    pub fn channels(&self) -> PathBuf {
        self.join("feed/channels")
    }

    /// The ads of a replay.
    pub fn ads_file(&self) -> PathBuf {
        self.join("feed/ads/ads.jsonl")
    }

    /// One line that says what the simulator is doing.
    pub fn status(&self) -> PathBuf {
        self.join("world/status")
    }

    /// Written when a replay is complete: its line of counts.
    pub fn complete(&self) -> PathBuf {
        self.join("world/complete")
    }

    /// Held by the supervisor.
    pub fn lock(&self) -> PathBuf {
        self.join("supervisor.lock")
    }

    fn marker(&self) -> PathBuf {
        self.join("world.json")
    }
}

/// Which world a DATA folder holds; it never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "world", rename_all = "lowercase")]
pub enum Identity {
    /// A simulated one.
    Live {
        /// Its seed.
        seed: u64,
        /// How many users it began with.
        users: usize,
    },
    /// A recorded case.
    Replay {
        /// The case's folder when it was first played.
        case: PathBuf,
        /// Of the contents of the case's input files.
        fingerprint: String,
    },
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Live { seed, users } => write!(f, "a simulated world (seed {seed}, {users} users)"),
            Self::Replay { case, fingerprint } => {
                write!(f, "the replay of {} (contents {fingerprint})", case.display())
            }
        }
    }
}

impl Identity {
    /// The world in that folder; `None` where none was started yet.
    ///
    /// # Errors
    /// The marker cannot be read.
    pub fn read(layout: &Layout) -> Result<Option<Self>> {
        files::read_json(&layout.marker())
    }

    /// Makes the folder this world's.
    ///
    /// # Errors
    /// The folder holds another world, or the marker cannot be written.
    pub fn claim(&self, layout: &Layout) -> Result<()> {
        match Self::read(layout)? {
            None => files::write_json(&layout.marker(), self),
            Some(there) if there.is_same(self) => Ok(()),
            Some(there) => bail!(
                "{} holds another world: {there}, not {self}. Choose another folder (make demo DATA=DIR), or delete this one",
                layout.data.display()
            ),
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            // A case may have moved.
            (Self::Replay { fingerprint: a, .. }, Self::Replay { fingerprint: b, .. }) => a == b,
            _ => self == other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_takes_one_world_and_refuses_another_with_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(&dir.path().join("d")).unwrap();
        let live = Identity::Live { seed: 1, users: 5 };
        live.claim(&layout).unwrap();
        live.claim(&layout).unwrap();
        let replay = Identity::Replay { case: "/case".into(), fingerprint: "ab".into() };
        let error = replay.claim(&layout).unwrap_err().to_string();
        assert!(error.contains("holds another world: a simulated world (seed 1, 5 users)"), "{error}");
        assert!(Identity::Live { seed: 2, users: 5 }.claim(&layout).is_err());
    }

    #[test]
    fn a_case_that_moved_is_the_same_world() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path()).unwrap();
        let at = |case: &str| Identity::Replay { case: case.into(), fingerprint: "ab".into() };
        at("/a").claim(&layout).unwrap();
        at("/b").claim(&layout).unwrap();
    }
}
