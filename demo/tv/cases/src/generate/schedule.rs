//! What runs when: `channels.json`.

use serde::Serialize;
use serde_json::{Map, Serializer, Value, json, ser::PrettyFormatter};

use crate::{
    CaseError,
    rng::Rng,
    text::{self, DAY},
};

use super::{
    GRID, Plan,
    cast::{self, Cast},
};

/// Most programs of a nasty case's day: mostly few, sometimes many.
const PROGRAMS: [u64; 4] = [4, 9, 9, 60];

pub(super) struct Schedule {
    /// The bytes of `channels.json`.
    pub(super) file: Vec<u8>,
    /// How many objects it has.
    pub(super) records: usize,
    /// Channel and start of some shows, in epoch seconds; never empty.
    pub(super) starts: Vec<(i64, i64)>,
}

impl Schedule {
    pub(super) fn new(plan: &Plan, cast: &Cast) -> Result<Self, CaseError> {
        let mut rng = Rng::fork(plan.seed, "schedule");
        let (mut objects, mut starts) = (Vec::new(), Vec::new());
        for (i, &channel_id) in cast.channels.iter().enumerate() {
            let name = match cast::name(&mut rng, plan.hard, i) {
                name if name.is_empty() => "BBC".to_owned(),
                name => format!("{name} TV"),
            };
            if rng.chance(plan.if_hard(15.0)) {
                // An earlier schedule of the same channel, which the one below replaces as a whole.
                objects.push(channel(plan, &mut rng, channel_id, "before", &mut Vec::new()));
            }
            objects.push(channel(plan, &mut rng, channel_id, &name, &mut starts));
        }
        if starts.is_empty() {
            starts.push((cast.channels[0], plan.start));
        }
        let mut file = Vec::new();
        objects
            .serialize(&mut Serializer::with_formatter(&mut file, PrettyFormatter::with_indent(b" ")))
            .map_err(CaseError::Row)?;
        file.push(b'\n');
        Ok(Self { file, records: objects.len(), starts })
    }
}

fn channel(plan: &Plan, rng: &mut Rng, channel_id: i64, name: &str, starts: &mut Vec<(i64, i64)>) -> Value {
    let mut schedule = Map::new();
    let mut program_id = 12;
    // The day before, too: its last show may touch the first midnight.
    for day in -1..=plan.span / DAY {
        let midnight = plan.start + day * DAY;
        let Some(date) = text::day(midnight).filter(|_| !rng.chance(plan.if_hard(10.0))) else { continue };
        let mut programs = Vec::new();
        for start in day_starts(plan, rng) {
            programs.push(json!({
                "program": format!("{} {program_id}", cast::name(rng, plan.hard, program_id as usize)),
                "program_id": program_id,
                "start": text::clock(start),
            }));
            program_id += 1;
            if starts.len() < 10_000 {
                starts.push((channel_id, midnight + start));
            }
        }
        if plan.hard && rng.chance(50.0) {
            for i in (1..programs.len()).rev() {
                programs.swap(i, rng.below(i as u64 + 1) as usize);
            }
        }
        schedule.insert(date, Value::Array(programs));
    }
    json!({"channel": name, "channel_id": channel_id, "schedule": schedule})
}

/// Seconds after midnight at which a day's programs start: no two of them at once, in order.
fn day_starts(plan: &Plan, rng: &mut Rng) -> Vec<i64> {
    if !plan.hard {
        return (0..DAY).step_by(1800).collect();
    }
    // A nasty day may be empty, begin long after midnight, or have a program of a second at either end.
    let most = *rng.pick(&PROGRAMS);
    let mut starts: Vec<_> = (0..rng.below(most))
        .map(|_| {
            rng.between(0, DAY / GRID - 1) * GRID + if rng.chance(20.0) { rng.between(1, 59) } else { 0 }
        })
        .collect();
    for (edge, percent) in [(0, 40.0), (1, 5.0), (DAY - 1, 15.0)] {
        if rng.chance(percent) {
            starts.push(edge);
        }
    }
    starts.sort_unstable();
    starts.dedup();
    starts
}
