//! A process of bd that a measurement starts itself, on free ports.

use crate::process;
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What comes to rest does so in less than this.
const REST: Duration = Duration::from_secs(3);

/// bd at work; ended when it is dropped.
pub(crate) struct Bd {
    child: Child,
    /// Of each role, as bd tells it: host:port of the cluster, URLs of the others.
    addresses: Vec<(String, String)>,
    /// When it was started.
    pub(crate) began: Instant,
    /// From its exec until it said that it is ready.
    pub(crate) ready: Duration,
}

impl Bd {
    /// Starts these roles (by comma) over a folder.
    pub(crate) fn start(bd: &Path, roles: &str, data: &Path, settings: &[&str]) -> Result<Self> {
        let began = Instant::now();
        let mut child = Command::new(bd)
            .args(["up", "--roles", roles, "--free-ports", "--data"])
            .arg(data)
            .args(settings.iter().flat_map(|setting| ["--set", setting]))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| bd.display().to_string())?;
        let errors = child.stderr.take().context("its stderr")?;
        let mut lines = BufReader::new(errors).lines().map_while(std::io::Result::ok);
        let mut said = Vec::new();
        while said.last().is_none_or(|line: &String| !line.starts_with("ready")) {
            match lines.next() {
                Some(line) => said.push(line),
                None => bail!("bd did not start: {}", said.join("\n")),
            }
        }
        let ready = began.elapsed();
        std::thread::spawn(move || lines.for_each(|line| eprintln!("bd: {line}")));
        let told = BufReader::new(child.stdout.take().context("its stdout")?).lines();
        let told = told.map_while(std::io::Result::ok).filter_map(|line| {
            let (role, address) = line.split_once(' ')?;
            roles.split(',').any(|r| r == role).then(|| (role.to_owned(), address.trim().to_owned()))
        });
        let addresses = told.take(roles.split(',').count()).collect();
        Ok(Self { child, addresses, began, ready })
    }

    /// Where a role is.
    pub(crate) fn at(&self, role: &str) -> Result<&str> {
        let found = self.addresses.iter().find(|(name, _)| name == role);
        Ok(&found.with_context(|| format!("bd told no address of {role}"))?.1)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// RSS in bytes once it does not change any more.
    pub(crate) fn settled_rss(&self) -> Result<f64> {
        std::thread::sleep(REST);
        Ok(process::rss(self.pid())?.0 as f64)
    }

    pub(crate) fn stop(mut self) -> Result<()> {
        process::terminate(self.pid())?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Bd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
