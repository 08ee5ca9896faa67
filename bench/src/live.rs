//! The live demo: bd's starts, commits in the database, and what bd takes, all as the dashboard's event stream shows it.

use crate::dashboard::Dashboard;
use crate::process;
use crate::results::{self, Commits, Entry, Start, Watched};
use anyhow::{Context, Result, bail};
use clap::Args;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

const DASHBOARD: &str = "viewing";
const BY_CHANNEL: &str = "Current viewers by channel";
const VIEWERS: &str = "Watching now";
const USERS: &str = "Subscribers";
/// The first id of the users that are inserted: far above the world's own.
const FIRST_USER: u64 = 900_000_000;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(2);

/// Where a demo is.
#[derive(Args)]
pub(crate) struct Place {
    /// The console's URL
    #[arg(long)]
    console: String,
    /// The demo's DATA folder
    #[arg(long)]
    data: PathBuf,
    #[arg(long)]
    results: PathBuf,
}

#[derive(Args)]
pub(crate) struct StartOptions {
    #[command(flatten)]
    place: Place,
    /// Which start
    #[arg(long)]
    name: String,
    /// End bd first; its supervisor starts it again
    #[arg(long)]
    restart: bool,
}

#[derive(Args)]
pub(crate) struct CommitOptions {
    #[command(flatten)]
    place: Place,
    #[arg(long)]
    mariadb_port: u16,
    #[arg(long, default_value_t = 100)]
    count: u64,
}

#[derive(Args)]
pub(crate) struct WatchOptions {
    #[command(flatten)]
    place: Place,
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

/// The process id of bd in a demo.
pub(crate) fn bd_of(data: &Path) -> Result<u32> {
    let path = data.join("run/bd.json");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let record: Value = serde_json::from_str(&text)?;
    let pid = record["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
    pid.with_context(|| format!("{} names no process", path.display()))
}

/// Waits for a bd that is not the process `before`.
pub(crate) fn wait_for_bd(data: &Path, before: Option<u32>) -> Result<(u32, Instant)> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Ok(pid) = bd_of(data)
            && Some(pid) != before
            && let Ok(began) = process::began(pid)
        {
            return Ok((pid, began));
        }
        if Instant::now() > deadline {
            bail!("bd was not started");
        }
        thread::sleep(LOOK);
    }
}

/// From bd's start to the first values.
pub(crate) fn start(options: &StartOptions) -> Result<()> {
    let Place { console, data, results } = &options.place;
    let before = if options.restart { Some(bd_of(data)?) } else { None };
    if let Some(pid) = before {
        process::terminate(pid)?;
    }
    let (_, began) = wait_for_bd(data, before)?;
    let deadline = Instant::now() + PATIENCE;
    let stream = Dashboard::open(console, DASHBOARD, deadline)?;
    let shown = |data: &Value| data["state"] == "ok";
    // The two are parts of one stream: the first value of all viewers is looked for beside, in a stream of its own.
    let all = Dashboard::open(console, DASHBOARD, deadline)?;
    let first_value = loop {
        let (at, data) = stream.next_of(BY_CHANNEL, deadline)?;
        if shown(&data) {
            break at;
        }
    };
    let mut first = None;
    let first_change = loop {
        let (at, data) = all.next_of(VIEWERS, deadline)?;
        if shown(&data) {
            match &first {
                None => first = Some(data["value"].clone()),
                Some(before) if *before != data["value"] => break at,
                Some(_) => {}
            }
        }
    };
    let since = |at: Instant| at.saturating_duration_since(began).as_secs_f64();
    let start = Start {
        name: options.name.clone(),
        first_value_seconds: since(first_value),
        first_change_seconds: since(first_change),
    };
    println!(
        "{}: first value after {:.2} s, first change after {:.2} s",
        start.name, start.first_value_seconds, start.first_change_seconds
    );
    results::append(results, &Entry::Start(start))
}

/// Commits a row again and again, and waits until the dashboard counts it. Nobody else may change the table meanwhile.
pub(crate) fn commits(options: &CommitOptions) -> Result<()> {
    let Place { console, results, .. } = &options.place;
    let stream = Dashboard::open(console, DASHBOARD, Instant::now() + PATIENCE)?;
    let mut users = None;
    while users.is_none() {
        let (_, data) = stream.next_of(USERS, Instant::now() + PATIENCE)?;
        users = data["value"].as_u64();
    }
    let mut users = users.unwrap_or_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let at = OptsBuilder::default().ip_or_hostname("127.0.0.1").tcp_port(options.mariadb_port);
    let at = at.user(Some("bd")).pass(Some("bd")).db_name(Some("tv")).prefer_socket(false);
    let mut database = runtime.block_on(Conn::new(at)).context("MariaDB")?;
    let mut found = Commits { ms: Vec::new(), insert_ms: Vec::new() };
    let mut pauses = Random(1);
    for n in 0..options.count {
        // Nobody's period is met again and again.
        thread::sleep(Duration::from_millis(200 + pauses.below(500)));
        users = stream.newest_of(USERS)?.and_then(|data| data["value"].as_u64()).unwrap_or(users);
        let id = FIRST_USER + n;
        let sql = format!("INSERT INTO users (user_id, name, age, gender) VALUES ({id}, 'Bench', 30, 'F')");
        let sent = Instant::now();
        runtime.block_on(database.query_drop(sql))?;
        found.insert_ms.push(sent.elapsed().as_secs_f64() * 1e3);
        loop {
            let (at, data) = stream.next_of(USERS, Instant::now() + PATIENCE)?;
            if data["value"].as_u64().is_some_and(|now| now > users) {
                found.ms.push(at.saturating_duration_since(sent).as_secs_f64() * 1e3);
                break;
            }
        }
    }
    runtime.block_on(database.query_drop(format!("DELETE FROM users WHERE user_id >= {FIRST_USER}")))?;
    runtime.block_on(database.disconnect())?;
    println!("{} commits were seen", found.ms.len());
    results::append(results, &Entry::Commits(found))
}

/// What bd takes while its dashboard is watched.
pub(crate) fn watch(options: &WatchOptions) -> Result<()> {
    let Place { console, data, results } = &options.place;
    let pid = bd_of(data)?;
    let stream = Dashboard::open(console, DASHBOARD, Instant::now() + PATIENCE)?;
    let (began, before) = (Instant::now(), process::cpu(pid)?);
    let end = began + Duration::from_secs(options.seconds);
    while Instant::now() < end {
        thread::sleep(Duration::from_millis(100));
        let _ = stream.newest_of(VIEWERS)?;
    }
    let cpu = process::cpu(pid)?.saturating_sub(before);
    let (rss_bytes, peak_rss_bytes) = process::rss(pid)?;
    let watched = Watched {
        seconds: began.elapsed().as_secs_f64(),
        cpu_seconds: cpu.as_secs_f64(),
        rss_bytes,
        peak_rss_bytes,
    };
    println!("bd: {:.0} MB, {:.1} CPU s", rss_bytes as f64 / 1e6, watched.cpu_seconds);
    results::append(results, &Entry::Watched(watched))
}

/// A small generator of numbers that are the same in every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number from 0 up to, not including, `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        // Knuth's MMIX.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound.max(1)
    }
}
