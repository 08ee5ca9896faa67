//! The servers that the world lives in: Debian's MariaDB and Mosquitto, private instances with their files under DATA, on loopback.
//!
//! They run as whoever starts them, root or not. Starting what runs already changes nothing.

mod mariadb;
mod mosquitto;

pub use mariadb::MariaDb;
pub use mosquitto::Mosquitto;

use crate::layout::{Layout, Ports};
use crate::process::{Adopted, DATA_VARIABLE, Process, Spec};
use anyhow::{Result, bail};
use std::time::{Duration, Instant};

/// How long a server may take to answer, its first start included.
const READY_WITHIN: Duration = Duration::from_secs(90);

/// A server.
pub trait Server: Send {
    /// Its name: `mariadb` or `mosquitto`.
    fn name(&self) -> &'static str;

    /// The port on which it listens.
    fn port(&self) -> u16;

    /// What must run to its end before the first start, such as making the data folder; `None` where that is done.
    fn first(&self) -> Option<Spec>;

    /// Writes its configuration; what to run.
    ///
    /// # Errors
    /// The file system's; the program is not installed.
    fn prepare(&self) -> Result<Spec>;

    /// Once after `first` has ended well.
    ///
    /// # Errors
    /// The file system's.
    fn first_done(&self) -> Result<()> {
        Ok(())
    }

    /// Whether it serves; does what is to be done once when it does. Quick.
    ///
    /// # Errors
    /// Why it does not (yet).
    fn ready(&self) -> Result<()>;
}

/// Both servers.
pub fn all(layout: &Layout, ports: &Ports) -> Vec<Box<dyn Server>> {
    vec![
        Box::new(Mosquitto::new(layout.clone(), ports.mosquitto_port)),
        Box::new(MariaDb::new(layout.clone(), ports.mariadb_port)),
    ]
}

/// Starts a server, or finds it running, and waits until it serves.
///
/// # Errors
/// It does not start; the message holds the last lines of its log.
pub fn start(server: &dyn Server, layout: &Layout) -> Result<Process> {
    if let Some(first) = server.first() {
        let mut process = Process::start(&first, &layout.run(), &layout.logs())?;
        process.wait(READY_WITHIN);
        if process.ended() != Some("exit status: 0") {
            bail!("{} did not make its data:{}", server.name(), log_of(layout, first.name));
        }
        server.first_done()?;
    }
    let spec = server.prepare()?;
    let mut process = match Process::adopt(&spec, &layout.run())? {
        Adopted::Same(process) => process,
        Adopted::Other(mut other) => {
            other.stop(Duration::from_secs(10));
            Process::start(&spec, &layout.run(), &layout.logs())?
        }
        Adopted::Gone => {
            if let Some(other) = crate::process::listener(server.port()) {
                bail!("{}: port {} is taken by {other}", server.name(), server.port());
            }
            Process::start(&spec, &layout.run(), &layout.logs())?
        }
    };
    let end = Instant::now() + READY_WITHIN;
    loop {
        let Err(error) = server.ready() else { return Ok(process) };
        if let Some(how) = process.ended() {
            bail!("{} ended ({how}):{}", server.name(), log_of(layout, server.name()));
        }
        if Instant::now() >= end {
            process.stop(Duration::from_secs(5));
            bail!("{} does not answer: {error:#}:{}", server.name(), log_of(layout, server.name()));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Ends a server, whoever started it; whether it ran.
///
/// # Errors
/// Its record cannot be read.
pub fn stop(name: &'static str, layout: &Layout) -> Result<bool> {
    let Some(mut process) = Process::running(name, &layout.run())? else { return Ok(false) };
    process.stop(Duration::from_secs(10));
    Ok(true)
}

/// What the log of a server says of a failure: its errors, else its last lines.
pub(crate) fn log_of(layout: &Layout, name: &str) -> String {
    let lines = crate::files::tail(&layout.logs().join(format!("{name}.log")), 0, 60);
    let errors: Vec<&String> =
        lines.iter().filter(|line| line.contains("ERROR") || line.contains("Error")).collect();
    let last = || lines.iter().skip(lines.len().saturating_sub(12)).collect();
    let shown: Vec<&String> = if errors.is_empty() { last() } else { errors };
    shown.iter().map(|line| format!("\n  {line}")).collect()
}

/// The variables that all processes of a world get.
pub(crate) fn environment(layout: &Layout) -> Vec<(String, String)> {
    vec![(DATA_VARIABLE.to_owned(), layout.data.display().to_string())]
}

/// The path of a program: in PATH, or where Debian puts servers, which is not in every user's PATH.
fn program(name: &str, package: &str) -> Result<String> {
    let path = std::env::var("PATH").unwrap_or_default();
    let folders = path.split(':').chain(["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin"]);
    for folder in folders.filter(|folder| !folder.is_empty()) {
        let path = std::path::Path::new(folder).join(name);
        if path.is_file() {
            return Ok(path.display().to_string());
        }
    }
    bail!("{name} is not installed: it is in the Debian package {package}, which `make setup` installs")
}
