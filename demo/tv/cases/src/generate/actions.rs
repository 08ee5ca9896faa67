//! What people do at their devices: each device is a small state machine.

use std::{cmp::Reverse, collections::BinaryHeap};

use crate::{CaseError, expect::ACTIONS_LATENESS, rng::Rng, text::DAY};

use super::{
    Plan,
    arrivals::{Arrivals, broken, delay},
    cast::{Cast, Person},
    scenes::Scenes,
};

/// The line of an action, as the fixture spells it.
pub(super) fn line(person: &Person, device_id: i64, channel_id: i64, action: i64, action_ts: i64) -> Vec<u8> {
    format!(
        "{{\"user\": {}, \"user_id\": {}, \"channel_id\": {channel_id}, \"device_id\": {device_id}, \
         \"action\": {action}, \"action_ts\": {action_ts}}}",
        person.json, person.id
    )
    .into_bytes()
}

/// The line of an action whose members come in another order, with one that nobody knows.
fn odd_line(person: &Person, device_id: i64, channel_id: i64, action: i64, action_ts: i64) -> Vec<u8> {
    format!(
        " {{\"action_ts\":{action_ts},\"extra\":{{\"action_ts\":[1,{{}}],\"n\":-1.5e3}} ,\"action\" : {action},\
         \"device_id\":{device_id},\"user\":{},\"channel_id\":{channel_id},\"user_id\":{}}}\t",
        person.json, person.id
    )
    .into_bytes()
}

/// The line of an action without a time: valid JSON, and a dead letter.
fn timeless(rng: &mut Rng, person: &Person, device_id: i64) -> Vec<u8> {
    let time = *rng.pick(&["", ", \"action_ts\": null"]);
    format!(
        "{{\"user_id\": {}, \"channel_id\": 57, \"device_id\": {device_id}, \"action\": 1{time}}}",
        person.id
    )
    .into_bytes()
}

/// Writes all actions; returns the greatest time.
pub(super) fn write(
    plan: &Plan,
    cast: &Cast,
    scenes: &Scenes,
    arrivals: &mut Arrivals,
) -> Result<i64, CaseError> {
    let mut rng = Rng::fork(plan.seed, "actions");
    let mut last = plan.start;
    for action in &scenes.actions {
        last = last.max(action.time);
        arrivals.push(action.arrival, action.line.clone());
    }
    let mut left = plan.actions - scenes.actions.len();
    let mean = plan.span as f64 * plan.devices as f64 / left.max(1) as f64;
    let mut due: BinaryHeap<_> =
        (0..plan.devices).map(|i| Reverse((plan.start + rng.gap(mean), i))).collect();
    // What each device shows now, and to whom (its owners take turns).
    let mut watching: Vec<Option<i64>> = vec![None; plan.devices];
    let mut viewer = vec![0_usize; plan.devices];

    while left > 0 {
        let Some(Reverse((time, i))) = due.pop() else { break };
        arrivals.pass(time)?;
        let device = &cast.devices[i];
        let action = next_action(plan, &mut rng, watching[i].is_some());
        if action != 2 || watching[i].is_none() {
            watching[i] = Some(*rng.pick(&cast.watched));
        }
        let person = &cast.people[device.people[viewer[i]]];
        let channel_id = watching[i].unwrap_or_default();
        let row = if rng.chance(plan.if_hard(5.0)) {
            odd_line(person, device.id, channel_id, action, time)
        } else {
            line(person, device.id, channel_id, action, time)
        };
        if action == 2 {
            watching[i] = None;
        }
        // Mostly the one who started also stops.
        if watching[i].is_none() || rng.chance(plan.if_hard(3.0)) {
            viewer[i] = rng.below(device.people.len() as u64) as usize;
        }

        let arrival = time + delay(plan, &mut rng, ACTIONS_LATENESS);
        if left > 1 && rng.chance(plan.if_hard(1.5)) {
            let dead =
                if rng.chance(40.0) { timeless(&mut rng, person, device.id) } else { broken(&mut rng, &row) };
            arrivals.push(time, dead);
            left -= 1;
        }
        if left > 1 && rng.chance(plan.if_hard(2.0)) {
            arrivals.push(arrival, row.clone());
            left -= 1;
        }
        arrivals.push(arrival, row);
        left -= 1;
        last = last.max(time);
        due.push(Reverse((next_time(plan, &mut rng, time, mean), i)));
    }
    Ok(last)
}

fn next_action(plan: &Plan, rng: &mut Rng, watching: bool) -> i64 {
    match (watching, plan.hard) {
        (false, false) => 1,
        (true, false) => *rng.pick(&[2, 2, 3]),
        // A stop or a switch of nothing, a start while another channel runs, an action that nobody knows.
        (false, true) => *rng.pick(&[1, 1, 1, 1, 1, 1, 1, 1, 2, 3]),
        (true, true) => *rng.pick(&[2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 1, 1, 1, 4]),
    }
}

fn next_time(plan: &Plan, rng: &mut Rng, time: i64, mean: f64) -> i64 {
    if !plan.hard {
        return time + rng.gap(mean).max(1);
    }
    match rng.below(100) {
        0..6 => time,
        6..14 => time + rng.between(1, 6),
        14..16 => time + DAY + rng.between(-1, 1),
        16..50 => plan.snap(time + rng.gap(mean)),
        _ => time + rng.gap(mean),
    }
}
