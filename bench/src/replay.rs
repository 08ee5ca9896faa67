//! A recorded case through the whole path, from the sources to the indices: when it began, what it waited for, when it was done.

use crate::live::wait_for_bd;
use crate::process;
use crate::results::{self, Entry, Replay};
use anyhow::{Context, Result, bail};
use clap::Args;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

const LOOK: Duration = Duration::from_millis(20);

#[derive(Args)]
pub(crate) struct Options {
    /// The demo's DATA folder
    #[arg(long)]
    data: PathBuf,
    /// The case's folder
    #[arg(long)]
    case: PathBuf,
    /// Give up after so many seconds
    #[arg(long, default_value_t = 1800)]
    timeout: u64,
    #[arg(long)]
    results: PathBuf,
}

/// Waits for a replay that is being started.
pub(crate) fn run(options: &Options) -> Result<()> {
    let (pid, began) = wait_for_bd(&options.data, None)?;
    let deadline = Instant::now() + Duration::from_secs(options.timeout);
    let (status, complete) = (options.data.join("world/status"), options.data.join("world/complete"));
    let mut phases: Vec<(String, Instant)> = Vec::new();
    let done = loop {
        if let Ok(at) = fs::metadata(&complete).and_then(|about| about.modified()) {
            break at;
        }
        let text = fs::read_to_string(&status).unwrap_or_default();
        if let Some(phase) = phase(&text)
            && phases.last().is_none_or(|(last, _)| last != phase)
        {
            phases.push((phase.to_owned(), Instant::now()));
        }
        if Instant::now() > deadline {
            bail!("not complete after {} s: {text}", options.timeout);
        }
        thread::sleep(LOOK);
    };
    let cpu = process::cpu(pid).context("bd was started again meanwhile")?;
    let (_, peak_rss_bytes) = process::rss(pid)?;
    let lines = |file: &str| lines_of(&options.case.join(file));
    let actions = lines("actions.jsonl")?;
    let others = lines("ads.jsonl")? + lines("device_locations.jsonl")? + lines("users.jsonl")?;
    // The tables had no lag: from now on actions were sent.
    let opened = fs::metadata(options.data.join("world/replay/gate-open"))?.modified()?;
    let end = instant(done);
    let replay = Replay {
        inputs: actions + others,
        actions,
        seconds: end.saturating_duration_since(began).as_secs_f64(),
        actions_seconds: done.duration_since(opened).unwrap_or_default().as_secs_f64(),
        cpu_seconds: cpu.as_secs_f64(),
        peak_rss_bytes,
        phases: lengths(&phases, end),
        complete: fs::read_to_string(&complete)?.trim().to_owned(),
    };
    println!("{}, {:.1} s after bd's start", replay.complete, replay.seconds);
    results::append(&options.results, &Entry::Replay(replay))
}

/// What a status line says that is waited for.
fn phase(status: &str) -> Option<&str> {
    let (phase, _) = status.strip_prefix("replay: waiting for ")?.split_once(':')?;
    Some(phase)
}

/// How long each phase was.
fn lengths(phases: &[(String, Instant)], end: Instant) -> Vec<(String, f64)> {
    let ends = phases.iter().skip(1).map(|(_, at)| *at).chain([end]);
    let length = |((name, at), end): (&(String, Instant), Instant)| {
        (name.clone(), end.saturating_duration_since(*at).as_secs_f64())
    };
    phases.iter().zip(ends).map(length).collect()
}

fn instant(time: SystemTime) -> Instant {
    Instant::now().checked_sub(time.elapsed().unwrap_or_default()).unwrap_or_else(Instant::now)
}

fn lines_of(path: &Path) -> Result<u64> {
    let file = fs::File::open(path).with_context(|| path.display().to_string())?;
    let mut count = 0;
    for line in BufReader::new(file).split(b'\n') {
        line?;
        count += 1;
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_are_told_by_the_status() {
        let status = "replay: waiting for the drain: draining";
        assert_eq!(phase(status), Some("the drain"));
        assert_eq!(phase("replay complete: sessions=3"), None);
        let now = Instant::now();
        let after = |s: u64| now + Duration::from_secs(s);
        let phases = [("a".to_owned(), now), ("b".to_owned(), after(2))];
        assert_eq!(lengths(&phases, after(5)), [("a".to_owned(), 2.0), ("b".to_owned(), 3.0)]);
    }
}
