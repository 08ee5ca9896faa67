//! How many rows came out.

use crate::bd::Bd;
use anyhow::{Context, Result, bail};
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

/// The outputs: topics, and the indices of the same names.
const OUTPUTS: [&str; 3] = ["sessions", "show_views", "ad_views"];

/// The rows of each output in its topic.
///
/// # Errors
/// bd does not answer.
pub(super) fn topics(program: &Path, bootstrap: &str) -> Result<Vec<(&'static str, u64)>> {
    OUTPUTS.into_iter().map(|name| Ok((name, topic(program, name, bootstrap)?))).collect()
}

/// As many documents are in the indices, if there is a sink that writes to them.
///
/// # Errors
/// Not yet; bd does not answer.
pub(super) fn indices(bd: &Bd, counts: &[(&'static str, u64)]) -> Result<()> {
    let connectors = bd.connectors()?;
    let mut sinks = connectors.iter().filter(|c| c.is("elasticsearch")).peekable();
    if sinks.peek().is_none() {
        return Ok(());
    }
    let failed = sinks.find(|c| c.state == "FAILED");
    let why = failed.map_or_else(String::new, |c| format!("; connector {} FAILED", c.name));
    for (name, rows) in counts {
        // An index is made with its first document.
        let documents = bd.count(name)?.unwrap_or(0);
        if documents != *rows {
            bail!("{documents} of {rows} {name} are in their index{why}");
        }
    }
    Ok(())
}

/// How many committed records a topic has: counted, because offsets also number transaction markers.
fn topic(program: &Path, topic: &str, bootstrap: &str) -> Result<u64> {
    let mut child = Command::new(program)
        .args(["consume", topic, "--bootstrap", bootstrap, "--from-beginning", "--no-follow"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let mut lines = 0;
    if let Some(mut output) = child.stdout.take() {
        let mut buffer = vec![0; 1 << 20];
        loop {
            let read = output.read(&mut buffer).with_context(|| format!("cannot read the topic {topic}"))?;
            if read == 0 {
                break;
            }
            lines += buffer[..read].iter().filter(|byte| **byte == b'\n').count() as u64;
        }
    }
    let status = child.wait().with_context(|| format!("cannot read the topic {topic}"))?;
    if !status.success() {
        bail!("cannot count the rows of the topic {topic}: bd consume ended with {status}");
    }
    Ok(lines)
}
