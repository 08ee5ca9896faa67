//! The ports of the demo, and who has them.

use super::{Options, holder, say, stop};
use crate::layout::Layout;
use crate::process::{self, Listener};
use anyhow::{Result, bail};
use std::fs::{OpenOptions, TryLockError};
use std::path::Path;

/// Makes sure that no port is taken by anybody but this world. What is left of another world, whose supervisor was killed, is ended.
pub(super) fn free(layout: &Layout, options: &Options) -> Result<()> {
    for (port, what, change) in ports(options) {
        let Some(taken) = process::listener(port) else { continue };
        match &taken.data {
            Some(data) if *data == layout.data => {}
            Some(data) => other_world(data, port, &taken)?,
            None => bail!(
                "port {port} ({what}) is taken by {taken}: end it, or choose another port with {change}"
            ),
        }
    }
    Ok(())
}

fn other_world(data: &Path, port: u16, taken: &Listener) -> Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(data.join("supervisor.lock"));
    if let Ok(mut file) = file {
        if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
            bail!(
                "the demo in {} runs (process {}) and has port {port}: end it there with Ctrl-C first",
                data.display(),
                holder(&mut file)
            );
        }
        say(&format!("ending what was left running of the demo in {} ...", data.display()));
        stop::leftovers(&Layout::new(data)?);
    }
    match process::listener(port) {
        None => Ok(()),
        Some(_) => {
            bail!("port {port} is taken by {taken}, which is left of the demo in {}: end it", data.display())
        }
    }
}

/// All ports: what for, and how to choose another one.
fn ports(options: &Options) -> Vec<(u16, &'static str, String)> {
    let p = &options.ports;
    let mut all = vec![
        (p.mariadb_port, "MariaDB", "--mariadb-port or TV_MARIADB_PORT".to_owned()),
        (p.mosquitto_port, "Mosquitto", "--mosquitto-port or TV_MOSQUITTO_PORT".to_owned()),
        (p.weather_port, "the weather service", "--weather-port or TV_WEATHER_PORT".to_owned()),
    ];
    let u = &options.urls;
    let of_bd = [
        (&u.bootstrap, "the log", "bootstrap"),
        (&u.engine_url, "streaming SQL", "engine-url"),
        (&u.connect_url, "connectors", "connect-url"),
        (&u.search_url, "search", "search-url"),
        (&u.console_url, "the console", "console-url"),
    ];
    for (url, what, option) in of_bd {
        let place = url.strip_prefix("http://").unwrap_or(url);
        let port =
            place.split('/').next().and_then(|place| place.rsplit(':').next()).and_then(|p| p.parse().ok());
        let change = format!("the listener of that role (--set) and --{option}");
        all.extend(port.map(|port| (port, what, change)));
    }
    all
}
