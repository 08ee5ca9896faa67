//! Plays a recorded case through the same servers that a simulated world uses.
//!
//! ```text
//!  users.jsonl            ─▶ MariaDB ─┐
//!  channels.json          ─▶ Parquet ─┴─ tables without lag ─▶ actions.jsonl ─▶ Mosquitto, one connection, in file order
//!  ads.jsonl              ─▶ a file for bd's files connector
//!  device_locations.jsonl ─▶ REST, /data/2.5/history
//!  ─▶ all sources in their topics ─▶ drain ─▶ all outputs in their indices ─▶ "replay complete: ..."
//! ```
//! Each step can be interrupted at any time and goes on at the next start: which lines the broker has is in the publisher's cursor,
//! the rest is asked from bd again. A completed replay only serves.

mod case;
mod gate;
mod outputs;

pub use case::{Case, CaseOutbox};

use crate::bd::{Bd, Urls};
use crate::files;
use crate::layout::{Identity, Layout, Ports};
use crate::mqtt::{Progress, Publisher};
use crate::rest;
use crate::run::rest_listener;
use crate::schedule;
use crate::users::Users;
use anyhow::{Context, Result, bail};
use gate::Gate;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// So many actions may be at the broker that bd has not committed: it holds them in memory.
const AHEAD: u64 = 50_000;
const LOOK: Duration = Duration::from_millis(200);

/// What to play, and with which bd.
#[derive(Debug, Clone)]
pub struct Options {
    /// The case's folder.
    pub case: PathBuf,
    /// Where bd's roles are.
    pub urls: Urls,
    /// The program `bd`, to count the rows of topics.
    pub bd: PathBuf,
}

/// Plays, then serves, until a signal says to end.
///
/// # Errors
/// DATA holds another world; the case cannot be read; a server refuses.
pub async fn run(layout: Layout, ports: Ports, options: Options) -> Result<()> {
    let case = match Case::open(&options.case) {
        Ok(case) => case,
        // Nothing is left to be played.
        Err(_) if layout.complete().exists() => return serve_only(&layout, ports).await,
        Err(error) => return Err(error),
    };
    let identity = Identity::Replay { case: case.folder.clone(), fingerprint: case.fingerprint.clone() };
    identity.claim(&layout)?;
    let listener = rest_listener(ports.weather_port).await?;
    let feed = Arc::new(rest::Feed::open(&case.folder.join("device_locations.jsonl"))?);
    let service = rest::Service { recorded: feed.clone(), ..rest::Service::default() };
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let play_and_serve = async {
        play(&layout, ports, &options, &case, feed.len()).await?;
        std::future::pending().await
    };
    tokio::select! {
        _ = term.recv() => Ok(()),
        _ = int.recv() => Ok(()),
        result = rest::serve(listener, service) => result.context("the weather service failed"),
        result = play_and_serve => result,
    }
}

/// A completed replay whose case is gone.
async fn serve_only(layout: &Layout, ports: Ports) -> Result<()> {
    let listener = rest_listener(ports.weather_port).await?;
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Status::new(layout).say(std::fs::read_to_string(layout.complete()).unwrap_or_default().trim());
    tokio::select! {
        _ = term.recv() => Ok(()),
        _ = int.recv() => Ok(()),
        result = rest::serve(listener, rest::Service::default()) => result.context("the weather service failed"),
    }
}

async fn play(layout: &Layout, ports: Ports, options: &Options, case: &Case, places: usize) -> Result<()> {
    let status = Status::new(layout);
    if let Ok(line) = std::fs::read_to_string(layout.complete()) {
        status.say(line.trim());
        return Ok(());
    }
    let channels = layout.channels().join("channels.parquet");
    if !channels.exists() {
        schedule::write(&channels, &case.channels()?)?;
    }
    copy(&case.folder.join("ads.jsonl"), &layout.ads_file())?;
    let users = put_users(ports, case, &status).await?;

    let limit = Arc::new(AtomicU64::new(0));
    let progress = Arc::new(Progress::default());
    let folder = layout.world().join("replay");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let opened = folder.join("gate-open");
    if opened.exists() {
        // What was sent before may have to be sent again at once.
        limit.store(u64::MAX, Ordering::Release);
    }
    let outbox = CaseOutbox::new(&case.folder.join("actions.jsonl"), limit.clone());
    let publisher =
        Publisher::open(outbox, &folder.join("cursor"), "tv-world", ports.mosquitto_port, progress.clone())?;
    limit.store(0, Ordering::Release);

    let gate = Gate {
        bd: Bd::new(options.urls.clone()),
        users,
        shows: case.shows()?,
        actions: case.actions,
        ads: case.ads,
        ads_bytes: layout.ads_file().metadata().context("no ads")?.len(),
        places,
    };
    let driver = Driver {
        gate,
        limit,
        progress,
        status,
        program: options.bd.clone(),
        opened,
        complete: layout.complete(),
    };
    let driven = tokio::task::spawn_blocking(move || driver.drive());
    tokio::select! {
        result = publisher.run() => result,
        result = driven => result.context("the replay ended by a panic")?,
    }
}

async fn put_users(ports: Ports, case: &Case, status: &Status) -> Result<Vec<crate::users::Row>> {
    let rows = case.users()?;
    loop {
        let put = async {
            let mut users = Users::connect(ports.mariadb_port).await?;
            users.put(&rows).await?;
            users.all().await
        };
        match put.await {
            Ok(all) => return Ok(all),
            Err(error) => status.say(&format!("replay: waiting for MariaDB: {error}")),
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The file appears under its name when it is whole. Its last line gets an end: without one it might still grow.
fn copy(from: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        return Ok(());
    }
    let temporary = files::temporary(to);
    let copied = (|| {
        // Not fs::copy: a recorded case may be read-only, and so would be its copy.
        std::io::copy(&mut File::open(from)?, &mut File::create(&temporary)?)?;
        let mut file = OpenOptions::new().read(true).write(true).open(&temporary)?;
        let mut last = [b'\n'];
        if file.metadata()?.len() > 0 {
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
        }
        if last != [b'\n'] {
            file.write_all(b"\n")?;
        }
        std::fs::rename(&temporary, to)
    })();
    copied.with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
}

/// One line for people that says where the replay stands: in a file, which the supervisor shows, and in the log.
#[derive(Debug)]
struct Status {
    path: PathBuf,
    last: std::sync::Mutex<String>,
}

impl Status {
    fn new(layout: &Layout) -> Self {
        Self { path: layout.status(), last: std::sync::Mutex::new(String::new()) }
    }

    fn say(&self, line: &str) {
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if *last != line {
            eprintln!("{line}");
            line.clone_into(&mut last);
            // Only for people; the log has it too.
            let _ = files::write(&self.path, line.as_bytes());
        }
    }
}

/// What goes on while the publisher sends.
struct Driver {
    gate: Gate,
    limit: Arc<AtomicU64>,
    progress: Arc<Progress>,
    status: Status,
    program: PathBuf,
    /// There once the tables had no lag.
    opened: PathBuf,
    complete: PathBuf,
}

impl Driver {
    fn drive(self) -> Result<()> {
        if !self.opened.exists() {
            self.until("users and schedule", || self.gate.tables());
            files::write(&self.opened, b"")?;
        }
        self.until("all sources", || {
            let committed = self.gate.messages();
            if let Ok(committed) = committed {
                self.limit.store(committed + AHEAD, Ordering::Release);
            }
            let sent = self.progress.completed.load(Ordering::Acquire);
            self.gate.sources(sent)
        });
        self.until("the drain", || {
            let (state, errors) = self.gate.bd.drain()?;
            match state.as_str() {
                "completed" => Ok(()),
                "error" => bail!("a query failed: {}", errors.join("; ")),
                other => bail!("{other}"),
            }
        });
        let mut counts = Vec::new();
        self.until("the counts of the outputs", || {
            counts = outputs::topics(&self.program, &self.gate.bd.urls().bootstrap)?;
            Ok(())
        });
        self.until("the indices", || outputs::indices(&self.gate.bd, &counts));
        let counts: Vec<String> = counts.iter().map(|(name, count)| format!("{name}={count}")).collect();
        let line = format!("replay complete: {}", counts.join(" "));
        files::write(&self.complete, line.as_bytes())?;
        self.status.say(&line);
        Ok(())
    }

    /// Asks again and again until it is so; says meanwhile what is missing. bd may be away at any time.
    fn until(&self, what: &str, mut ask: impl FnMut() -> Result<()>) {
        while let Err(error) = ask() {
            self.status.say(&format!("replay: waiting for {what}: {error:#}"));
            std::thread::sleep(LOOK);
        }
    }
}
