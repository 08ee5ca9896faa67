//! The simulator: lets a world live and tells the servers of it.
//!
//! ```text
//!  clock ─▶ World ─┬─ actions ─▶ spool ─▶ publisher ─▶ Mosquitto
//!                  ├─ changes ─▶ MariaDB
//!                  ├─ places  ─▶ REST
//!                  └─ each day ─▶ Parquet
//! ```
//! Kills: an action counts from when it is in the spool; from there it reaches the broker once. The world itself is written every few
//! seconds and before each change of the database, so that ids go on and changes are made; a kill may make it forget who switched to
//! what within the last seconds.

use crate::clock::WorldClock;
use crate::files;
use crate::layout::{Identity, Layout, Ports};
use crate::mqtt::{Message, Progress, Publisher, Spool};
use crate::rest;
use crate::schedule;
use crate::users::{Row, Users};
use crate::world::{Action, Change, Person, World, lineup, random};
use anyhow::{Context, Result, bail};
use rand::RngExt;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};

/// The spool takes no more while it holds so many bytes: then nobody acts until the broker is back.
const SPOOL_BYTES: u64 = 64 << 20;
const TICK: Duration = Duration::from_millis(20);
/// So many changes of the database are made before the next look at what is due.
const AT_ONCE: usize = 500;
/// After such a pause (ms of world time) people have gone to bed meanwhile.
const ASLEEP: i64 = 10 * 60 * 1000;
/// How far back the pre-seeded viewers may have begun (s).
const WOKEN: i64 = 2 * 3600;

/// What a simulated world is like.
#[derive(Debug, Clone, PartialEq, clap::Args)]
#[group(id = "world")]
pub struct Options {
    /// Another seed, another world [default: 1, or that of DATA]
    #[arg(long)]
    pub seed: Option<u64>,
    /// How many people it begins with [default: 1000, or that of DATA]
    #[arg(long)]
    pub users: Option<usize>,
    /// Actions per second of real time
    #[arg(long, default_value_t = 20.0)]
    pub rate: f64,
    /// World seconds per real second; at 1, the world's clock is the wall clock
    #[arg(long, default_value_t = 1.0)]
    pub speed: f64,
    /// People who join, move, have a birthday or leave, per minute of real time
    #[arg(long, default_value_t = 12.0)]
    pub changes: f64,
    /// Where devices are is measured every so many seconds of world time
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    pub place_interval: i64,
    /// This part of the messages is broken, from 0 to 1
    #[arg(long, default_value_t = 0.0, value_name = "PART")]
    pub broken: f64,
    /// This part of the messages is sent 10 to 60 seconds late, from 0 to 1
    #[arg(long, default_value_t = 0.0, value_name = "PART")]
    pub late: f64,
    /// This part of the messages is sent twice, from 0 to 1
    #[arg(long, default_value_t = 0.0, value_name = "PART")]
    pub duplicates: f64,
}

impl Options {
    /// The world that these options are of, in that folder.
    ///
    /// # Errors
    /// The folder holds another one; a value that makes no sense.
    pub fn identity(&self, layout: &Layout) -> Result<Identity> {
        let parts = [self.broken, self.late, self.duplicates];
        if parts.iter().any(|part| !(0.0..=1.0).contains(part)) {
            bail!("--broken, --late and --duplicates are parts from 0 to 1");
        }
        let speeds = 0.0..=1e4;
        if !(0.0..=1e6).contains(&self.rate)
            || !speeds.contains(&self.speed)
            || self.speed == 0.0
            || self.changes < 0.0
        {
            bail!("--rate is from 0 to 1000000, --speed above 0 and at most 10000, --changes not negative");
        }
        if self.users == Some(0) || self.users.is_some_and(|n| n > 1_000_000) {
            bail!("--users is from 1 to 1000000");
        }
        let (seed, users) = match Identity::read(layout)? {
            Some(Identity::Live { seed, users }) => (seed, users),
            _ => (1, 1000),
        };
        Ok(Identity::Live { seed: self.seed.unwrap_or(seed), users: self.users.unwrap_or(users) })
    }
}

/// What the tasks share.
struct Shared {
    layout: Layout,
    ports: Ports,
    options: Options,
    world: Arc<Mutex<World>>,
    /// World time, epoch seconds.
    now: Arc<AtomicI64>,
}

impl Shared {
    fn world(&self) -> MutexGuard<'_, World> {
        // The world is whole between two steps; a step does not panic.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> PathBuf {
        self.layout.world().join("state.json")
    }

    fn save(&self, world: &World) -> Result<()> {
        files::write_json(&self.state(), world)
    }
}

/// Lives until a signal says to end.
///
/// # Errors
/// DATA holds another world; a port is taken; the disk fails.
pub async fn run(layout: Layout, ports: Ports, options: Options) -> Result<()> {
    let identity = options.identity(&layout)?;
    identity.claim(&layout)?;
    let Identity::Live { seed, users } = identity else { bail!("no simulated world") };
    let listener = rest_listener(ports.weather_port).await?;
    let mut clock = WorldClock::open(&layout.world().join("clock.json"), options.speed)?;
    let state = layout.world().join("state.json");
    let (world, is_new) = match files::read_json::<World>(&state)? {
        Some(mut world) => {
            world.restore();
            (world, false)
        }
        None => (World::new(seed, users), true),
    };
    let now = clock.now_ms()? / 1000;
    schedule::publish(&layout.channels(), &world, now)?;
    let spool = Spool::open(&layout.world().join("spool"), SPOOL_BYTES)?;
    let progress = Arc::new(Progress::default());
    let cursor = layout.world().join("spool/cursor");
    let publisher = Publisher::open(spool.reader(), &cursor, "tv-world", ports.mosquitto_port, progress)?;

    let now = Arc::new(AtomicI64::new(now));
    let shared =
        Arc::new(Shared { layout, ports, options, world: Arc::new(Mutex::new(world)), now: now.clone() });
    let service = rest::Service {
        live: Some(rest::Live { world: shared.world.clone(), now }),
        interval: shared.options.place_interval,
        ..rest::Service::default()
    };
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut simulation = Simulation::begin(shared.clone(), spool, clock, is_new)?;
    let result = tokio::select! {
        _ = term.recv() => Ok(()),
        _ = int.recv() => Ok(()),
        result = simulation.go() => result,
        result = publisher.run() => result,
        result = rest::serve(listener, service) => result.context("the weather service failed"),
        result = keep_users(shared.clone()) => result,
    };
    let ended = simulation.end();
    result.and(ended)
}

pub(crate) async fn rest_listener(port: u16) -> Result<tokio::net::TcpListener> {
    match tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
        Ok(listener) => Ok(listener),
        Err(error) => {
            let holder = crate::process::listener(port).map_or_else(String::new, |l| format!(" by {l}"));
            Err(error).with_context(|| {
                format!("port {port} of the weather service is taken{holder}; another one: --weather-port")
            })
        }
    }
}

/// The world as it goes on.
struct Simulation {
    shared: Arc<Shared>,
    spool: Spool,
    clock: WorldClock,
    /// Messages that are sent late: when (epoch seconds) and what.
    late: BTreeMap<(i64, u64), Message>,
    sent: u64,
    /// The day of the schedule that was written.
    day: i64,
}

impl Simulation {
    /// The first messages: who is watching right now.
    fn begin(shared: Arc<Shared>, spool: Spool, mut clock: WorldClock, is_new: bool) -> Result<Self> {
        let now_ms = clock.now_ms()?;
        let now = now_ms / 1000;
        let mut first = Vec::new();
        {
            let mut world = shared.world();
            let last = world.last_action();
            let slept = is_new || now - last > ASLEEP / 1000;
            if slept && !is_new && last > i64::MIN {
                first.extend(world.sleep(last + 1));
            }
            if slept {
                first.extend(world.wake((now - WOKEN).max(last.saturating_add(2)), now));
            }
            if is_new {
                // Everybody is to be written to the database; see `keep_users`.
                let people: Vec<Change> = world.people.iter().cloned().map(Change::Insert).collect();
                world.pending.extend(people);
            }
        }
        let simulation =
            Self { shared, spool, clock, late: BTreeMap::new(), sent: 0, day: lineup::day_of(now) };
        for action in &first {
            simulation.spool.append(&message(action))?;
        }
        // After the messages: a kill between the two makes them again, which starts the same devices at other times.
        let shared = simulation.shared.clone();
        shared.save(&shared.world())?;
        Ok(simulation)
    }

    /// Goes on for ever.
    async fn go(&mut self) -> Result<()> {
        let options = self.shared.options.clone();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut before, mut actions, mut changes) = (Instant::now(), 0.0, 0.0);
        let (mut saved, mut pause) = (Instant::now(), Duration::from_secs(5));
        loop {
            tick.tick().await;
            let passed = before.elapsed().as_secs_f64();
            before = Instant::now();
            let now = self.clock.now_ms()? / 1000;
            self.shared.now.store(now, Ordering::Release);
            if !self.spool.has_room() {
                continue;
            }
            // After a stall (a laptop that slept), what was missed is not made up for.
            actions = (actions + passed * options.rate).min(options.rate.max(1.0));
            changes = (changes + passed * options.changes / 60.0).min(1.0);
            self.step(now, &mut actions, &mut changes)?;
            if saved.elapsed() > pause {
                let begin = Instant::now();
                self.shared.save(&self.shared.world())?;
                saved = Instant::now();
                pause = Duration::from_secs(5).max(begin.elapsed() * 20);
            }
        }
    }

    /// What happens in a moment.
    fn step(&mut self, now: i64, actions: &mut f64, changes: &mut f64) -> Result<()> {
        let shared = self.shared.clone();
        let mut done = Vec::new();
        {
            let mut world = shared.world();
            if !seeded(&world) {
                // Views of people whom the database does not know yet would be lost.
                (*actions, *changes) = (0.0, 0.0);
            }
            while *actions >= 1.0 {
                *actions -= 1.0;
                done.extend(world.act(now));
            }
            if *changes >= 1.0 {
                *changes -= 1.0;
                done.extend(world.live(now));
                shared.save(&world)?;
            }
        }
        for action in done {
            self.send(&action, now)?;
        }
        while self.late.first_key_value().is_some_and(|((due, _), _)| *due <= now) {
            if let Some((_, message)) = self.late.pop_first() {
                self.spool.append(&message)?;
            }
        }
        let day = lineup::day_of(now);
        if day != self.day {
            schedule::publish(&shared.layout.channels(), &shared.world(), now)?;
            self.day = day;
        }
        Ok(())
    }

    /// Sends an action, as well as the options let it.
    fn send(&mut self, action: &Action, now: i64) -> Result<()> {
        let options = &self.shared.options;
        self.sent += 1;
        let mut message = message(action);
        if options.broken + options.late + options.duplicates > 0.0 {
            let mut random =
                random::of(options.seed.unwrap_or(1), "faults", self.sent.wrapping_add(now as u64));
            if random::chance(&mut random, options.broken) {
                let length = random.random_range(0..message.payload.len());
                message.payload.truncate(length.max(1));
            }
            if random::chance(&mut random, options.duplicates) {
                self.spool.append(&message)?;
            }
            if random::chance(&mut random, options.late) && self.late.len() < 100_000 {
                let due = now + random::between(&mut random, 10, 60);
                self.late.insert((due, self.sent), message);
                return Ok(());
            }
        }
        self.spool.append(&message)
    }

    fn end(self) -> Result<()> {
        for message in self.late.values() {
            self.spool.append(message)?;
        }
        self.shared.save(&self.shared.world())?;
        self.clock.close()
    }
}

/// Whether the first people are in the database.
fn seeded(world: &World) -> bool {
    world.pending.iter().filter(|change| matches!(change, Change::Insert(_))).count() < 100
}

fn message(action: &Action) -> Message {
    Message { topic: action.topic(), payload: action.json().into_bytes() }
}

/// Makes the world's changes in the database, in order, for ever; while it is away, they wait.
async fn keep_users(shared: Arc<Shared>) -> Result<()> {
    let (mut told, mut accepted) = (false, false);
    loop {
        let failed = match Users::connect(shared.ports.mariadb_port).await {
            Ok(users) => {
                told = false;
                write_users(&shared, users, &mut accepted).await
            }
            Err(error) => error,
        };
        if !told {
            eprintln!("mariadb: {failed:#}; trying again");
            told = true;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Until the database fails; why.
async fn write_users(shared: &Shared, mut users: Users, accepted: &mut bool) -> anyhow::Error {
    loop {
        if let Err(error) = write_pending(shared, &mut users, accepted).await {
            return error;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn write_pending(shared: &Shared, users: &mut Users, accepted: &mut bool) -> Result<()> {
    loop {
        let now = shared.now.load(Ordering::Acquire);
        // A row that is to go later holds nothing up: nothing follows it for the same person.
        let due = |change: &Change| !matches!(change, Change::Delete(_, from) if *from > now);
        let changes: Vec<(usize, Change)> = {
            let world = shared.world();
            let all = world.pending.iter().enumerate().filter(|(_, change)| due(change));
            all.take(AT_ONCE).map(|(place, change)| (place, change.clone())).collect()
        };
        if changes.is_empty() {
            break;
        }
        let mut inserts: Vec<Row> = Vec::new();
        for (_, change) in &changes {
            match change {
                Change::Insert(person) => inserts.push(person.into()),
                change => {
                    users.put(&std::mem::take(&mut inserts)).await?;
                    users.apply(change).await?;
                }
            }
        }
        users.put(&inserts).await?;
        // Meanwhile others were only added behind them.
        let mut world = shared.world();
        for (place, _) in changes.iter().rev() {
            world.pending.remove(*place);
        }
    }
    if !*accepted {
        let rows = users.all().await?;
        let of = |row: &Row| Person {
            id: row.id,
            household: 0,
            name: row.name.clone().unwrap_or_default(),
            age: row.age.unwrap_or(40),
            gender: row.gender.clone().unwrap_or_default(),
        };
        let rows: Vec<Person> = rows.iter().map(of).collect();
        shared.world().accept(&rows);
        *accepted = true;
    }
    Ok(())
}
