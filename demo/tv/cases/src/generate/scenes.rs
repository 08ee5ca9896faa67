//! Short stories that meet one rule each at its very edge. A nasty case has as many as fit into half of its actions.

use crate::{expect::ACTIONS_LATENESS, rng::Rng, text::DAY};

use super::{
    Plan, actions, ads,
    cast::{Cast, Person},
    schedule::Schedule,
};

const START: i64 = 1;
const STOP: i64 = 2;
const SWITCH: i64 = 3;

/// A line with its times.
pub(super) struct Timed {
    pub(super) arrival: i64,
    pub(super) time: i64,
    pub(super) line: Vec<u8>,
}

/// A place to be told of.
pub(super) struct Told {
    pub(super) arrival: i64,
    pub(super) device_id: i64,
    pub(super) time: i64,
}

#[derive(Default)]
pub(super) struct Scenes {
    pub(super) actions: Vec<Timed>,
    pub(super) ads: Vec<Timed>,
    pub(super) places: Vec<Told>,
}

/// One story on a device of its own.
struct Scene<'a> {
    scenes: Scenes,
    person: &'a Person,
    device_id: i64,
    channel_id: i64,
    late: bool,
}

impl Scene<'_> {
    /// An action that arrives when it happens.
    fn act(&mut self, action: i64, time: i64) {
        self.act_on(self.channel_id, action, time, time);
    }

    fn act_on(&mut self, channel_id: i64, action: i64, time: i64, arrival: i64) {
        let line = actions::line(self.person, self.device_id, channel_id, action, time);
        self.scenes.actions.push(Timed { arrival, time, line });
    }

    fn ad(&mut self, ad_id: i64, start: i64, duration: i64) {
        let line = ads::line(ad_id, self.channel_id, start, duration);
        self.scenes.ads.push(Timed { arrival: start, time: start, line });
    }

    fn place(&mut self, time: i64) {
        self.scenes.places.push(Told { arrival: time, device_id: self.device_id, time });
    }
}

impl Scenes {
    pub(super) fn new(plan: &Plan, cast: &Cast, schedule: &Schedule) -> Self {
        let mut all = Self::default();
        if !plan.hard {
            return all;
        }
        let mut rng = Rng::fork(plan.seed, "scenes");
        let mut kinds: Vec<u64> = (0..16).collect();
        for i in (1..kinds.len()).rev() {
            kinds.swap(i, rng.below(i as u64 + 1) as usize);
        }
        for (number, kind) in kinds.into_iter().enumerate() {
            let Some(person) = cast.person(&mut rng, kind != 11).or(cast.people.first()) else { continue };
            // Mostly at a show's start, so that sessions, shows, ads and places all touch there.
            let (channel_id, start) = *rng.pick(&schedule.starts);
            let time = if start >= plan.start && rng.chance(70.0) {
                start
            } else {
                plan.snap(plan.start + rng.below(plan.span.unsigned_abs()) as i64)
            };
            let mut scene = Scene {
                scenes: Scenes::default(),
                person,
                device_id: 1_000_000 + number as i64,
                channel_id,
                late: plan.has_late(),
            };
            play(&mut scene, &mut rng, kind, time, plan, cast);
            if all.actions.len() + scene.scenes.actions.len() <= plan.actions / 2 {
                all.actions.append(&mut scene.scenes.actions);
                all.ads.append(&mut scene.scenes.ads);
                all.places.append(&mut scene.scenes.places);
            }
        }
        all
    }
}

fn play<'a>(scene: &mut Scene<'a>, rng: &mut Rng, kind: u64, time: i64, plan: &Plan, cast: &'a Cast) {
    match kind {
        // A session of a day, or a second less or more; an ad of an hour that ends as it starts: 25 hours in all.
        0..=2 => {
            let end = time + DAY + kind as i64 - 1;
            scene.act(START, time);
            scene.act(STOP, end);
            scene.ad(100, time - 3600, 3600);
            scene.ad(101, end, 3600);
            for place in [time, time + 1, end, end + 1] {
                scene.place(place);
            }
        }
        // A start and its stop at one instant; a stop and a start, which is another thing.
        3 => {
            scene.act(START, time);
            scene.act(STOP, time);
            scene.place(time);
        }
        4 => {
            scene.act(STOP, time);
            scene.act(START, time);
            scene.act(STOP, time + 60);
        }
        // Several switches at one instant.
        5 => {
            scene.act(START, time);
            for _ in 0..3 {
                let channel_id = *rng.pick(&cast.watched);
                scene.act_on(channel_id, SWITCH, time, time);
            }
            scene.act(STOP, time);
            scene.act(STOP, time);
        }
        // A session that ends as a show starts, and one that starts as a show ends.
        6 => {
            scene.act(START, time - 120);
            scene.act(STOP, time);
            scene.place(time - 120);
            scene.place(time);
        }
        7 => {
            scene.act(START, time);
            scene.act(STOP, time + 120);
        }
        // Ads that touch a session, of no length within it, too long for an ad, of less than no length.
        8 => {
            scene.act(START, time);
            scene.act(STOP, time + 200);
            for (ad_id, start, duration) in [
                (102, time - 30, 30),
                (103, time - 30, 29),
                (104, time, 0),
                (105, time + 100, 0),
                (106, time + 200, 0),
                (107, time + 200, 10),
                (108, time + 201, 10),
                (109, time - 3600, 3600),
                (110, time - 3600, 3601),
                (111, time + 100, -1),
            ] {
                scene.ad(ad_id, start, duration);
            }
            scene.place(time + 100);
        }
        // As far behind as an action may be, and one second more.
        9 => {
            scene.act(SWITCH, time + 20);
            scene.act_on(scene.channel_id, START, time + 20 - ACTIONS_LATENESS, time + 20);
            if scene.late {
                scene.act_on(scene.channel_id, STOP, time + 20 - ACTIONS_LATENESS - 1, time + 20);
                scene.act_on(scene.channel_id, STOP, time - DAY, time + 21);
            }
            scene.act(STOP, time + 40);
        }
        // The stop arrives before its start.
        10 => {
            scene.act(STOP, time + ACTIONS_LATENESS);
            scene.act_on(scene.channel_id, START, time, time + ACTIONS_LATENESS);
            scene.act(START, time + 60);
            scene.act(START, time + 61);
            scene.act_on(scene.channel_id, STOP, time + 60, time + 62);
            scene.act(STOP, time + 65);
        }
        // A user whom nobody knows, with a place.
        11 => {
            scene.act(START, time);
            scene.act(STOP, time + 300);
            scene.place(time + 10);
        }
        // The same action twice.
        12 => {
            for action in [START, START, STOP, STOP] {
                scene.act(action, time + if action == START { 0 } else { 300 });
            }
            scene.place(time);
            scene.place(time + 300);
            scene.place(time + 300);
        }
        // Midnight: it touches the last show of the day before.
        13 => {
            let midnight = time - (time - plan.start).rem_euclid(DAY);
            scene.act(START, midnight);
            scene.act(SWITCH, midnight + DAY);
            scene.act(STOP, midnight + DAY + 1);
            scene.place(midnight);
            scene.place(midnight + DAY);
        }
        // A start while one is open, a stop of nothing, a switch of nothing.
        14 => {
            scene.act(STOP, time);
            scene.act(START, time + 10);
            scene.act(START, time + 20);
            scene.act(STOP, time + 30);
            scene.act(STOP, time + 40);
            scene.act(SWITCH, time + 50);
            scene.act(SWITCH, time + 60);
            scene.place(time + 25);
        }
        // Two people on one device at a time, which are two sessions.
        _ => {
            scene.act(START, time);
            if let Some(other) = cast.people.iter().find(|other| other.id != scene.person.id) {
                let first = std::mem::replace(&mut scene.person, other);
                scene.act(START, time + 10);
                scene.act(STOP, time + 20);
                scene.person = first;
            }
            scene.act(STOP, time + 30);
            scene.place(time + 15);
        }
    }
}
