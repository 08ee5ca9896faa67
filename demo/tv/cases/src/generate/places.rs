//! Where devices are.

use std::{cmp::Reverse, collections::BinaryHeap};

use serde_json::json;

use crate::{CaseError, expect::OTHER_LATENESS, rng::Rng, text};

use super::{
    Plan,
    arrivals::{Arrivals, broken, delay},
    cast::{self, Cast},
    scenes::Scenes,
};

/// A device tells its place about every so many seconds, where that gives no more rows than twice the actions.
const USUAL: f64 = 61.0;

/// The line of a place, as the fixture spells it.
pub(super) fn line(rng: &mut Rng, plan: &Plan, device_id: i64, ts: i64) -> Vec<u8> {
    let lon = rng.between(-1_800_000, 1_800_000) as f64 / 10_000.0;
    let lat = if rng.chance(20.0) {
        rng.between(-90, 90) as f64
    } else if rng.chance(plan.if_hard(20.0)) {
        rng.unit() * 180.0 - 90.0
    } else {
        rng.between(-900_000, 900_000) as f64 / 10_000.0
    };
    let name = cast::name(rng, plan.hard, device_id.unsigned_abs() as usize % 1000);
    let visibility = match rng.below(100) {
        n if (n as f64) < plan.if_hard(5.0) => "null".to_owned(),
        0..60 => "10000".to_owned(),
        n => (n * 100).to_string(),
    };
    let (name, ts) = (json!(name), json!(text::iso(ts)));
    // A double's debug form is its shortest one and has a point or an exponent, as JSON's doubles do.
    format!(
        "{{\"device_id\": {device_id}, \"location\": {name}, \"lon\": {lon:?}, \"lat\": {lat:?}, \
         \"visibility\": {visibility}, \"ts\": {ts}}}"
    )
    .into_bytes()
}

/// Writes places of all devices that have some, up to the time `last`.
pub(super) fn write(
    plan: &Plan,
    cast: &Cast,
    scenes: &Scenes,
    last: i64,
    arrivals: &mut Arrivals,
) -> Result<(), CaseError> {
    let mut rng = Rng::fork(plan.seed, "places");
    for place in &scenes.places {
        arrivals.push(place.arrival, line(&mut rng, plan, place.device_id, place.time));
    }
    let first = plan.start - 60;
    let mean = ((last - first) as f64 * plan.devices as f64 / (2 * plan.actions) as f64).max(USUAL);
    let mut due: BinaryHeap<_> = (0..plan.devices)
        .filter(|i| cast.devices[*i].placed)
        .map(|i| Reverse((first + rng.below(mean as u64) as i64, i)))
        .collect();
    while let Some(Reverse((time, i))) = due.pop() {
        if time > last + 60 {
            continue;
        }
        arrivals.pass(time)?;
        let device_id = cast.devices[i].id;
        let row = line(&mut rng, plan, device_id, time);
        let arrival = time + delay(plan, &mut rng, OTHER_LATENESS);
        if rng.chance(plan.if_hard(2.0)) {
            arrivals.push(arrival, row.clone());
        }
        if rng.chance(plan.if_hard(1.0)) {
            let dead = match rng.below(2) {
                0 => format!("{{\"device_id\": {device_id}, \"lon\": 1.5, \"lat\": 2.5}}").into_bytes(),
                _ => broken(&mut rng, &row),
            };
            arrivals.push(time, dead);
        }
        arrivals.push(arrival, row);
        let next = match plan.hard {
            false => time + mean as i64 + rng.between(-1, 1),
            // Places in bunches, and on the grid that actions like.
            true if rng.chance(30.0) => time + rng.between(1, 61),
            true if rng.chance(50.0) => plan.snap(time + rng.gap(mean * 1.4) + 1),
            true => time + rng.gap(mean * 1.4) + 1,
        };
        due.push(Reverse((next, i)));
    }
    Ok(())
}
