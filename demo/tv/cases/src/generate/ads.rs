//! Ads, in nasty cases with starts and ends on the grid that actions like, too.

use std::{cmp::Reverse, collections::BinaryHeap};

use crate::{CaseError, expect::OTHER_LATENESS, rng::Rng};

use super::{
    Plan,
    arrivals::{Arrivals, broken, delay},
    cast::Cast,
    scenes::Scenes,
};

/// An ad on a channel at most every so many seconds.
const BUSIEST: f64 = 600.0;

/// The line of an ad, as the fixture spells it.
pub(super) fn line(ad_id: i64, channel_id: i64, start_ts: i64, duration_secs: i64) -> Vec<u8> {
    format!(
        "{{\"ad_id\": {ad_id}, \"channel_id\": {channel_id}, \"start_ts\": {start_ts}, \
         \"duration_secs\": {duration_secs}}}"
    )
    .into_bytes()
}

/// Writes about as many ads as there are actions, up to the time `last`.
pub(super) fn write(
    plan: &Plan,
    cast: &Cast,
    scenes: &Scenes,
    last: i64,
    arrivals: &mut Arrivals,
) -> Result<(), CaseError> {
    let mut rng = Rng::fork(plan.seed, "ads");
    for ad in &scenes.ads {
        arrivals.push(ad.arrival, ad.line.clone());
    }
    let channels = &cast.watched;
    let first = plan.start - 3600;
    let mean = ((last - first) as f64 * channels.len() as f64 / plan.actions as f64).max(BUSIEST);
    let mut due: BinaryHeap<_> = (0..channels.len()).map(|i| Reverse((first + rng.gap(mean), i))).collect();
    while let Some(Reverse((time, i))) = due.pop() {
        if time > last + 3600 {
            continue;
        }
        arrivals.pass(time)?;
        let duration = if plan.hard && rng.chance(40.0) {
            *rng.pick(&[0, 0, 0, 1, 30, 60, 300, 300, 600, 3599, 3600])
        } else {
            rng.between(5, 60)
        };
        let row = line(rng.between(10, 40), channels[i], time, duration);
        let arrival = time + delay(plan, &mut rng, OTHER_LATENESS);
        arrivals.push(arrival, row.clone());
        if rng.chance(plan.if_hard(2.0)) {
            arrivals.push(arrival, row.clone());
        }
        if rng.chance(plan.if_hard(4.0)) {
            let dead = match rng.below(5) {
                0 => line(9, channels[i], time, 3601),
                1 => line(9, channels[i], time, -1),
                // A dead letter does not move the time of its stream, however far ahead it is.
                2 => line(9, channels[i], time + 864_000, 86_400),
                3 => {
                    format!("{{\"ad_id\": 9, \"channel_id\": {}, \"duration_secs\": 10}}", channels[i]).into()
                }
                _ => broken(&mut rng, &row),
            };
            arrivals.push(time, dead);
        }
        let next = time + rng.gap(mean);
        due.push(Reverse((if rng.chance(plan.if_hard(50.0)) { plan.snap(next) } else { next }, i)));
    }
    Ok(())
}
