//! Writes cases from a seed: believable ones, and nasty ones that meet every rule at its edge.
//!
//! Lines are written in the order of their arrival while they are made up, so ten million actions need no more memory
//! than a thousand devices do. The same options give the same bytes for ever.

mod actions;
mod ads;
mod arrivals;
mod cast;
mod places;
mod scenes;
mod schedule;

use std::{fs, io, path::Path};

use arrivals::Arrivals;
use cast::Cast;
use scenes::Scenes;

use crate::{CaseError, OUTPUTS, case::Case, expect, text::DAY};

/// The largest case that is nasty unless it is asked to be plain.
const HARD_BY_DEFAULT: usize = 100_000;

/// 1 February 2021, the day of the fixture.
const FIRST_DAY: i64 = 1_612_137_600;

/// What the times of a nasty case like to fall on, so that they touch: multiples of five minutes.
const GRID: i64 = 300;

/// What case to write. `None` leaves a choice to the number of actions.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Options {
    /// Another seed, another case.
    pub seed: u64,
    /// Lines of `actions.jsonl`.
    pub actions: usize,
    /// Users, known and unknown ones.
    pub users: Option<usize>,
    /// Devices.
    pub devices: Option<usize>,
    /// Channels with a schedule.
    pub channels: Option<usize>,
    /// Days from the first action to the last.
    pub days: Option<usize>,
    /// How many percent of the rows of each stream arrive too late; 0 for a case without late rows.
    pub late: Option<f64>,
    /// Whether to look for the edges of every rule.
    pub hard: Option<bool>,
    /// Leaves out the expected rows, which take more time and memory than the case itself.
    pub inputs_only: bool,
}

/// How many lines a case has.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the files of the case")]
pub struct Written {
    pub actions: usize,
    pub ads: usize,
    pub device_locations: usize,
    pub users: usize,
    pub channels: usize,
    /// Lines of the expected outputs: sessions, show views, ad views; unless only inputs were asked for.
    pub expected: Option<(usize, usize, usize)>,
}

/// The options with every choice made.
#[derive(Debug, Clone)]
struct Plan {
    seed: u64,
    actions: usize,
    users: usize,
    devices: usize,
    channels: usize,
    /// Seconds from the first action to about the last one.
    span: i64,
    /// Epoch seconds of the first midnight.
    start: i64,
    late: f64,
    hard: bool,
}

impl Plan {
    fn new(options: &Options) -> Result<Self, CaseError> {
        let hard = options.hard.unwrap_or(options.actions <= HARD_BY_DEFAULT);
        let devices = options.devices.unwrap_or((options.actions / 50).clamp(4, 100_000));
        let late = options.late.unwrap_or(if hard { 1.0 } else { 0.0 });
        let days = options.days.unwrap_or(3);
        let plan = Self {
            seed: options.seed,
            actions: options.actions,
            users: options.users.unwrap_or(devices),
            devices,
            channels: options.channels.unwrap_or((devices / 10).clamp(3, 200)),
            span: days as i64 * DAY,
            // Some years have a 29th of February, and every one an end.
            start: if hard { FIRST_DAY + (options.seed % 1461) as i64 * DAY } else { FIRST_DAY },
            late,
            hard,
        };
        if plan.users == 0 || plan.devices == 0 || plan.channels == 0 || plan.actions == 0 || days == 0 {
            return Err(CaseError::Options(
                "a case needs at least one action, user, device, channel and day".to_owned(),
            ));
        }
        if !(0.0..=100.0).contains(&late) {
            return Err(CaseError::Options(format!("{late} is no percentage; it must be from 0 to 100")));
        }
        Ok(plan)
    }

    /// Percent in a nasty case, else none.
    fn if_hard(&self, percent: f64) -> f64 {
        if self.hard { percent } else { 0.0 }
    }

    /// Whether rows may be late.
    fn has_late(&self) -> bool {
        self.late > 0.0
    }

    /// The next multiple of five minutes after midnight.
    fn snap(&self, time: i64) -> i64 {
        time + (GRID - (time - self.start).rem_euclid(GRID)) % GRID
    }
}

/// Writes a case into `folder`, which is created if there is none; files of an earlier case there are replaced.
///
/// # Errors
/// If a file cannot be written, or the options ask for nothing at all.
///
/// ```
/// let folder = std::env::temp_dir().join(format!("tv-cases-doc-{}", std::process::id()));
/// let options = tv_cases::Options { seed: 7, actions: 50, ..Default::default() };
/// let written = tv_cases::generate(&options, &folder)?;
/// assert_eq!(written.actions, 50);
/// # std::fs::remove_dir_all(folder).unwrap();
/// # Ok::<(), tv_cases::CaseError>(())
/// ```
pub fn generate(options: &Options, folder: &Path) -> Result<Written, CaseError> {
    let plan = Plan::new(options)?;
    fs::create_dir_all(folder).map_err(|source| CaseError::File {
        what: "create",
        path: folder.to_owned(),
        source,
    })?;
    remove_expected(folder)?;
    let cast = Cast::new(&plan);
    let (users, users_text) = cast.users_file(&plan)?;
    write(folder, "users.jsonl", &users_text)?;
    let schedule = schedule::Schedule::new(&plan, &cast)?;
    write(folder, "channels.json", &schedule.file)?;

    let scenes = Scenes::new(&plan, &cast, &schedule);
    let mut arrivals = Arrivals::new(&folder.join("actions.jsonl"))?;
    let last = actions::write(&plan, &cast, &scenes, &mut arrivals)?;
    let actions = arrivals.finish()?;
    let mut arrivals = Arrivals::new(&folder.join("ads.jsonl"))?;
    ads::write(&plan, &cast, &scenes, last, &mut arrivals)?;
    let ads = arrivals.finish()?;
    let mut arrivals = Arrivals::new(&folder.join("device_locations.jsonl"))?;
    places::write(&plan, &cast, &scenes, last, &mut arrivals)?;
    let device_locations = arrivals.finish()?;

    let expected = if options.inputs_only {
        None
    } else {
        let case = Case::read(folder)?;
        let expected = expect::expect(&case)?;
        expected.write(folder)?;
        Some((expected.sessions.len(), expected.show_views.len(), expected.ad_views.len()))
    };
    Ok(Written { actions, ads, device_locations, users, channels: schedule.records, expected })
}

/// Removes the expected rows of an earlier case: they would be those of other inputs.
fn remove_expected(folder: &Path) -> Result<(), CaseError> {
    for name in OUTPUTS.map(|output| output.file).into_iter().chain([expect::COUNTS_FILE]) {
        let path = folder.join(name);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(CaseError::File { what: "remove", path, source });
            }
            _ => {}
        }
    }
    Ok(())
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), CaseError> {
    let path = folder.join(name);
    fs::write(&path, bytes).map_err(|source| CaseError::File { what: "write", path, source })
}
