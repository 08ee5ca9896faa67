//! What `make demo` runs: starts the servers, the simulator or a replay, and bd; keeps them running; ends them in good order.
//!
//! ```text
//!  lock DATA ─▶ which world ─▶ ports ─▶ ┌ Mosquitto ─▶ simulator, bd ┐ ─▶ data on the dashboard: one URL ─▶ ... ─▶ signal ─▶ end
//!                                       └ MariaDB (both retry)       ┘
//! ```
//! What an earlier supervisor has left running is adopted. Only bd's end is answered by a restart of bd alone; the servers and the
//! simulator go on meanwhile.

mod keeper;
mod ports;
mod stop;
mod watch;

use crate::bd::Urls;
use crate::layout::{Identity, Layout, MQTT_CLIENT_ID, MQTT_FILTER, Ports, WEATHER_KEY};
use crate::process::{Adopted, Process, Spec};
use crate::replay::Case;
use crate::servers::{self, Server};
use crate::world::World;
use crate::{files, run};
use anyhow::{Context, Result, bail};
use keeper::Keeper;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// All processes of a world, in the order in which they end.
pub(crate) const NAMES: [&str; 5] = ["world", "bd", "mosquitto", "mariadb", "mariadb-init"];
const TICK: Duration = Duration::from_millis(25);
/// At most so many devices are looked for by the weather connector.
const PLACES: usize = 1000;

/// What to run.
#[derive(Debug, Clone, clap::Args)]
#[group(id = "demo")]
pub struct Options {
    /// The program bd
    #[arg(long, value_name = "PATH")]
    pub bd: PathBuf,
    /// The pipeline file that bd runs; several are laid one over the other
    #[arg(long, value_name = "FILE", required = true)]
    pub pipeline: Vec<PathBuf>,
    /// The same, only in a replay, over the others
    #[arg(long, value_name = "FILE")]
    pub replay_pipeline: Vec<PathBuf>,
    /// Where everything is kept
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Play this recorded case in place of a simulated world
    #[arg(long, value_name = "DIR")]
    pub replay: Option<PathBuf>,
    /// Set a key of the pipeline file, as bd's own --set
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "documented where it is declared")]
    pub ports: Ports,
    #[command(flatten)]
    #[allow(missing_docs, reason = "documented where it is declared")]
    pub urls: Urls,
    #[command(flatten)]
    #[allow(missing_docs, reason = "documented where it is declared")]
    pub world: run::Options,
}

/// Prints a line for people.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // Nobody may be there to read it.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Runs until a signal has ended everything.
///
/// # Errors
/// DATA is used by another supervisor or holds another world; a port is taken; a program is missing.
pub fn run(options: &Options) -> Result<ExitCode> {
    let layout = Layout::new(&options.data)?;
    let _lock = lock(&layout)?;
    let identity = identity(&layout, options)?;
    identity.claim(&layout)?;
    let specs = Specs::new(&layout, options, &identity)?;
    let signals = signals(&layout)?;
    ports::free(&layout, options)?;
    say(&format!("{identity}, in {}", layout.data.display()));
    let watch = watch::Watch::start(options.urls.clone());
    let mut demo = Demo::new(layout, options, specs)?;
    let mut last = String::new();
    while signals.load(Ordering::Acquire) == 0 {
        if let Err(error) = demo.tick() {
            say(&format!("error: {error:#}"));
            demo.stop();
            return Ok(ExitCode::FAILURE);
        }
        watch.tick(&demo.keepers.bd, demo.begun);
        if let Ok(status) = std::fs::read_to_string(demo.layout.status())
            && status != last
        {
            say(&status);
            last = status;
        }
        std::thread::sleep(TICK);
    }
    say("ending ...");
    demo.stop();
    Ok(ExitCode::from(130))
}

/// One supervisor a folder; the system lets go of the lock when it ends, however it ends.
fn lock(layout: &Layout) -> Result<File> {
    let path = layout.lock();
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let mut file = options.open(&path).with_context(|| format!("cannot open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0).and_then(|()| file.rewind())?;
            writeln!(file, "{}", std::process::id())?;
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => bail!(
            "the demo in {} runs already (process {}). Ctrl-C ends it there; make demo DATA=DIR is for another world",
            layout.data.display(),
            holder(&mut file)
        ),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

/// The process that holds a lock, as it has written.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let _ = file.read_to_string(&mut text);
    text.trim().to_owned()
}

/// Which world it is to be: that of the options, else that of the folder.
fn identity(layout: &Layout, options: &Options) -> Result<Identity> {
    let there = Identity::read(layout)?;
    match (&options.replay, there) {
        (Some(folder), Some(there @ Identity::Replay { .. }))
            if !folder.exists() && layout.complete().exists() =>
        {
            Ok(there)
        }
        (Some(folder), _) => {
            let case = Case::open(folder)?;
            Ok(Identity::Replay { case: case.folder, fingerprint: case.fingerprint })
        }
        (None, Some(there @ Identity::Replay { .. }))
            if options.world.seed.is_none() && options.world.users.is_none() =>
        {
            Ok(there)
        }
        (None, _) => options.world.identity(layout),
    }
}

/// Counts signals to end. The second one ends everything at once.
fn signals(layout: &Layout) -> Result<Arc<AtomicU32>> {
    use tokio::signal::unix::{SignalKind, signal};
    let count = Arc::new(AtomicU32::new(0));
    let (counted, layout) = (count.clone(), layout.clone());
    let (ready, is_ready) = std::sync::mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let Ok(runtime) = runtime else { return };
        runtime.block_on(async move {
            let of = |kind| signal(kind).ok();
            let all = (of(SignalKind::interrupt()), of(SignalKind::terminate()), of(SignalKind::hangup()));
            let (Some(mut int), Some(mut term), Some(mut hup)) = all else { return };
            let _ = ready.send(());
            loop {
                tokio::select! {
                    _ = int.recv() => {}
                    _ = term.recv() => {}
                    _ = hup.recv() => {}
                }
                if counted.fetch_add(1, Ordering::AcqRel) > 0 {
                    stop::kill_all(&layout);
                    std::process::exit(130);
                }
            }
        });
    });
    is_ready.recv().context("cannot wait for signals")?;
    Ok(count)
}

/// What the processes are.
struct Specs {
    /// What the world is called in messages.
    title: &'static str,
    world: Spec,
    bd: Spec,
}

impl Specs {
    fn new(layout: &Layout, options: &Options, identity: &Identity) -> Result<Self> {
        let absolute =
            |path: &Path| path.canonicalize().with_context(|| format!("no such file: {}", path.display()));
        let bd = absolute(&options.bd)?;
        let only_replay =
            if let Identity::Replay { .. } = identity { options.replay_pipeline.as_slice() } else { &[] };
        let pipeline = options.pipeline.iter().chain(only_replay);
        let pipeline: Vec<PathBuf> = pipeline.map(|file| absolute(file)).collect::<Result<_>>()?;
        let own = std::env::current_exe().context("cannot find this program")?;
        let text = |path: &Path| path.display().to_string();
        let folder = std::env::current_dir().context("no current folder")?;

        let mut command = vec![text(&own)];
        let mut environment = servers::environment(layout);
        match identity {
            Identity::Live { seed, users } => {
                let w = &options.world;
                let values =
                    [w.rate, w.speed, w.changes, w.place_interval as f64, w.broken, w.late, w.duplicates];
                let names = ["rate", "speed", "changes", "place-interval", "broken", "late", "duplicates"];
                command.extend(["run".into(), format!("--seed={seed}"), format!("--users={users}")]);
                command.extend(names.iter().zip(values).map(|(name, value)| format!("--{name}={value}")));
            }
            Identity::Replay { case, .. } => {
                let case =
                    options.replay.as_deref().and_then(|c| c.canonicalize().ok()).unwrap_or(case.clone());
                let u = &options.urls;
                command.extend([
                    "replay".into(),
                    format!("--case={}", text(&case)),
                    format!("--bd={}", text(&bd)),
                ]);
                let urls = [
                    ("engine", &u.engine_url),
                    ("connect", &u.connect_url),
                    ("search", &u.search_url),
                    ("console", &u.console_url),
                ];
                command.extend(urls.iter().map(|(role, url)| format!("--{role}-url={url}")));
                command.push(format!("--bootstrap={}", u.bootstrap));
            }
        }
        let p = &options.ports;
        command.push(format!("--data={}", text(&layout.data)));
        command.push(format!("--mariadb-port={}", p.mariadb_port));
        command.push(format!("--mosquitto-port={}", p.mosquitto_port));
        command.push(format!("--weather-port={}", p.weather_port));
        let title = if let Identity::Replay { .. } = identity { "the replay" } else { "the simulator" };
        let world = Spec { name: "world", command, environment: environment.clone(), folder: folder.clone() };

        environment.extend(bd_environment(layout, p, identity));
        let mut command = vec![text(&bd), "up".into()];
        command.extend(pipeline.iter().map(|file| text(file)));
        command.extend(["--data".into(), text(&layout.bd())]);
        command.extend(options.set.iter().flat_map(|set| ["--set".to_owned(), set.clone()]));
        Ok(Self { title, world, bd: Spec { name: "bd", command, environment, folder } })
    }
}

/// What the pipeline file can refer to. Where the weather is asked for may be set from outside: for the real service, its URL, a key of
/// one's own, and ids of cities.
fn bd_environment(layout: &Layout, ports: &Ports, identity: &Identity) -> Vec<(String, String)> {
    let mut variables = vec![
        ("TV_MARIADB_PORT", ports.mariadb_port.to_string()),
        ("TV_MOSQUITTO_PORT", ports.mosquitto_port.to_string()),
        ("TV_MQTT_CLIENT_ID", MQTT_CLIENT_ID.to_owned()),
        ("TV_MQTT_FILTER", MQTT_FILTER.to_owned()),
        ("TV_WEATHER_URL", format!("http://127.0.0.1:{}", ports.weather_port)),
        ("TV_WEATHER_KEY", WEATHER_KEY.to_owned()),
        ("TV_FEED", layout.feed().display().to_string()),
    ];
    match identity {
        Identity::Live { seed, users } => {
            let devices = World::new(*seed, *users).devices;
            let ids: Vec<String> = devices.iter().take(PLACES).map(|d| d.id.to_string()).collect();
            variables.extend([("TV_MODE", "live".to_owned()), ("TV_DEVICE_IDS", ids.join(","))]);
        }
        Identity::Replay { .. } => variables.push(("TV_MODE", "replay".to_owned())),
    }
    let from_outside = |name: &str| {
        let may = ["TV_WEATHER_URL", "TV_WEATHER_KEY", "TV_DEVICE_IDS"].contains(&name);
        std::env::var(name).ok().filter(|value| may && !value.is_empty())
    };
    let value = |(name, value): (&str, String)| (name.to_owned(), from_outside(name).unwrap_or(value));
    variables.into_iter().map(value).collect()
}

struct Keepers {
    mosquitto: Keeper,
    mariadb: Keeper,
    init: Option<Process>,
    world: Keeper,
    bd: Keeper,
}

struct Demo {
    layout: Layout,
    servers: Vec<Box<dyn Server>>,
    keepers: Keepers,
    begun: Instant,
    bounded: Instant,
}

impl Demo {
    fn new(layout: Layout, options: &Options, specs: Specs) -> Result<Self> {
        let servers = servers::all(&layout, &options.ports);
        let keeper = |name, title| Keeper::new(name, title, &layout);
        let mut keepers = Keepers {
            mosquitto: keeper("mosquitto", "Mosquitto"),
            mariadb: keeper("mariadb", "MariaDB"),
            init: None,
            world: keeper("world", specs.title),
            bd: keeper("bd", "bd"),
        };
        for server in &servers {
            let keeper =
                if server.name() == "mosquitto" { &mut keepers.mosquitto } else { &mut keepers.mariadb };
            if server.first().is_none() {
                keeper.adopt(server.prepare()?)?;
            } else {
                // What is missing is said now.
                server.prepare()?;
            }
        }
        keepers.world.adopt(specs.world)?;
        if keepers.world.process.is_none() {
            // What it said last time is no news.
            let _ = std::fs::remove_file(layout.status());
        }
        keepers.bd.adopt(specs.bd)?;
        Ok(Self { layout, servers, keepers, begun: Instant::now(), bounded: Instant::now() })
    }

    /// Looks after every process once.
    fn tick(&mut self) -> Result<()> {
        for server in &self.servers {
            if server.name() == "mosquitto" {
                self.keepers.mosquitto.tick(|| server.ready())?;
            } else {
                self.keepers.mariadb(server.as_ref(), &self.layout)?;
            }
        }
        // Before bd's session is there, what is published would be lost.
        if self.keepers.mosquitto.has_been_ready() {
            self.keepers.world.tick(|| Ok(()))?;
            self.keepers.bd.tick(|| Ok(()))?;
        }
        if self.bounded.elapsed() > Duration::from_secs(5) {
            self.bounded = Instant::now();
            for name in NAMES {
                // A log that is not there yet has no size.
                let _ = files::bound_log(&self.layout.logs().join(format!("{name}.log")));
            }
        }
        Ok(())
    }

    fn stop(&mut self) {
        let Keepers { mosquitto, mariadb, init, world, bd } = &mut self.keepers;
        if let Some(init) = init {
            // With what it has started; the next start makes the folder anew.
            init.kill();
        }
        let take = |keeper: &mut Keeper| keeper.process.take();
        stop::in_order(
            take(world).into_iter().collect(),
            take(bd).into_iter().collect(),
            [take(mosquitto), take(mariadb), init.take()].into_iter().flatten().collect(),
        );
    }
}

impl Keepers {
    /// MariaDB has a folder to be made before its first start.
    fn mariadb(&mut self, server: &dyn Server, layout: &Layout) -> Result<()> {
        if self.mariadb.has_spec() {
            return self.mariadb.tick(|| server.ready());
        }
        match &mut self.init {
            None => match server.first() {
                Some(first) => {
                    say("making MariaDB's data folder ...");
                    self.init = Some(Process::start(&first, &layout.run(), &layout.logs())?);
                    Ok(())
                }
                None => self.mariadb.adopt(server.prepare()?),
            },
            Some(init) => match init.ended() {
                None => Ok(()),
                Some("exit status: 0") => {
                    self.init = None;
                    server.first_done()?;
                    self.mariadb.adopt(server.prepare()?)
                }
                Some(how) => {
                    let log = servers::log_of(layout, "mariadb-init");
                    bail!("MariaDB's data folder could not be made ({how}):{log}")
                }
            },
        }
    }
}

/// Finds what an earlier supervisor left; ends what would be started otherwise now.
fn adopt(spec: &Spec, layout: &Layout) -> Result<Option<Process>> {
    match Process::adopt(spec, &layout.run())? {
        Adopted::Same(process) => Ok(Some(process)),
        Adopted::Other(mut other) => {
            other.stop(Duration::from_secs(8));
            Ok(None)
        }
        Adopted::Gone => Ok(None),
    }
}
