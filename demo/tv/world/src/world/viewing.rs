//! What people do at their devices.

use super::people::{Device, Kind};
use super::{Lineup, World, geography, habits, random};
use rand::RngExt;
use std::cmp::Reverse;
use std::fmt::Write;

/// A device is left alone for so long after it was used (s), unless its user zaps.
const DWELL: i64 = 20;
/// How often a device is tried before anybody acts.
const TRIES: usize = 200;

/// What someone does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Starts to watch a channel.
    Start(i64),
    /// Switches to a channel.
    Switch(i64),
    /// Stops.
    Stop,
}

/// What someone did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// The user's name.
    pub user: String,
    /// The user.
    pub user_id: i64,
    /// Start or switch: the new channel; stop: the one that was on.
    pub channel_id: i64,
    /// The device.
    pub device_id: i64,
    /// 1 start, 2 stop, 3 switch.
    pub action: i64,
    /// Epoch seconds.
    pub action_ts: i64,
}

impl Action {
    /// As devices send it.
    pub fn json(&self) -> String {
        let user = serde_json::to_string(&self.user).unwrap_or_default();
        let mut out = String::with_capacity(128);
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "{{\"user\": {user}, \"user_id\": {}, \"channel_id\": {}, \"device_id\": {}, \"action\": {}, \"action_ts\": {}}}",
            self.user_id, self.channel_id, self.device_id, self.action, self.action_ts
        );
        out
    }

    /// The MQTT topic on which it is sent.
    pub fn topic(&self) -> String {
        format!("tv/{}/actions", self.device_id)
    }
}

impl World {
    /// Somebody does something at `time` (epoch seconds, never less than before): what, by whom and where follows from the hour.
    /// `None` where there is nobody.
    pub fn act(&mut self, time: i64) -> Option<Action> {
        let time = time.max(self.last_action);
        while let Some(Reverse((due, device))) = self.zapping.peek().copied() {
            if due > time {
                break;
            }
            self.zapping.pop();
            if self.device(device).is_some_and(|d| d.watching.is_some()) {
                return self.zap(device, time);
            }
        }
        if self.devices.is_empty() {
            return None;
        }
        let mut random = self.draw("act");
        for attempt in 0..TRIES {
            let place = random.random_range(0..self.devices.len());
            let device = &self.devices[place];
            // Where more is asked for than people do, they do it sooner.
            if attempt < TRIES / 2 && time.saturating_sub(device.used) < DWELL {
                continue;
            }
            let (id, share) = (device.id, self.share(device, time));
            let luck = random.random::<f64>();
            match device.watching {
                None if luck < share * 0.5 => return self.start(id, time),
                None => {}
                // As many stop as start when as many are on as the hour says.
                Some(_) if luck < (1.0 - share) * 0.5 => return self.perform(id, Deed::Stop, time),
                Some(_) => return self.zap(id, time),
            }
        }
        let id = self.devices[random.random_range(0..self.devices.len())].id;
        self.start(id, time)
    }

    /// At the beginning of a world, and when it wakes: who has been watching what since when, as the hour of `until` says, in the
    /// order of their starts, none of them before `from` (epoch seconds).
    pub fn wake(&mut self, from: i64, until: i64) -> Vec<Action> {
        let mut random = self.draw("wake");
        let mut starts = Vec::new();
        for device in &self.devices {
            let share = self.share(device, until);
            if device.watching.is_none() && random::chance(&mut random, share) {
                // Most have been on for some minutes, few for hours.
                let ago = -(1.0 - random.random::<f64>()).ln() * 2400.0;
                starts.push(((until - ago as i64).clamp(from.min(until), until), device.id));
            }
        }
        starts.sort_unstable();
        starts.into_iter().filter_map(|(time, id)| self.start(id, time)).collect()
    }

    /// The world goes to sleep: all devices that are on go off at `time` (epoch seconds).
    pub fn sleep(&mut self, time: i64) -> Vec<Action> {
        let on: Vec<i64> = self.devices.iter().filter(|d| d.watching.is_some()).map(|d| d.id).collect();
        on.into_iter().filter_map(|id| self.perform(id, Deed::Stop, time)).collect()
    }

    fn share(&self, device: &Device, time: i64) -> f64 {
        let offset = self.household(device.household).map_or(0, |h| geography::region(h.region).offset);
        habits::audience(device.kind, time + offset * 3600)
    }

    fn start(&mut self, device: i64, time: i64) -> Option<Action> {
        if self.device(device)?.watching.is_some() {
            return self.zap(device, time);
        }
        let channel = self.choose(device, None)?;
        self.perform(device, Deed::Start(channel), time)
    }

    /// Switches, and sometimes goes on switching in a moment.
    fn zap(&mut self, device: i64, time: i64) -> Option<Action> {
        let (_, from) = self.device(device)?.watching?;
        let channel = self.choose(device, Some(from))?;
        let mut random = self.draw("zap");
        if random::chance(&mut random, 0.45) && self.zapping.len() < 10_000 {
            let due = time + random::between(&mut random, 2, 9);
            self.zapping.push(Reverse((due, device)));
        }
        self.perform(device, Deed::Switch(channel), time)
    }

    /// A channel to the taste of whoever watches, other than `not`.
    fn choose(&mut self, device: i64, not: Option<i64>) -> Option<i64> {
        let mut random = self.draw("channel");
        let device = self.device(device)?;
        let region = self.household(device.household)?.region;
        let who = device.watching.map_or(device.owner, |(who, _)| who);
        let age = self.person(who).map_or(40, |p| p.age);
        let lineup = Lineup::default();
        let mut weights = lineup.tastes(region, age);
        for (weight, channel) in weights.iter_mut().zip(&lineup.channels) {
            if Some(channel.id) == not {
                *weight = 0.0;
            }
        }
        lineup.channels.get(random::weighted(&mut random, &weights)).map(|c| c.id)
    }

    /// Does it, if the device is in a state for it.
    pub(super) fn perform(&mut self, device: i64, deed: Deed, time: i64) -> Option<Action> {
        let place = *self.places.get(&device)?;
        let (kind, owner) = (self.devices[place].kind, self.devices[place].owner);
        let (user_id, channel_id, action) = match (deed, self.devices[place].watching) {
            (Deed::Start(channel), None) => {
                let who = if kind == Kind::Tv { self.someone(owner).unwrap_or(owner) } else { owner };
                (who, channel, 1)
            }
            (Deed::Stop, Some((who, channel))) => (who, channel, 2),
            (Deed::Switch(channel), Some((who, _))) => (who, channel, 3),
            _ => return None,
        };
        let device = &mut self.devices[place];
        device.watching = (action != 2).then_some((user_id, channel_id));
        device.used = time;
        let device_id = device.id;
        self.last_action = self.last_action.max(time);
        let user = self.person(user_id)?.name.clone();
        Some(Action { user, user_id, channel_id, device_id, action, action_ts: time })
    }

    /// Somebody who lives with `owner`.
    fn someone(&mut self, owner: i64) -> Option<i64> {
        let mut random = self.draw("viewer");
        let place = *self.persons.get(&owner)?;
        let household = self.people.get(place)?.household;
        // People of a household stand one after the other.
        let people =
            self.people[place.saturating_sub(4)..].iter().take(9).filter(|p| p.household == household);
        let ids: Vec<i64> = people.map(|p| p.id).collect();
        Some(random::pick(&mut random, &ids, owner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 12:00 UTC, a Monday.
    const NOON: i64 = 1_795_435_200;

    fn run(seed: u64, seconds: i64) -> Vec<Action> {
        let mut world = World::new(seed, 400);
        let mut actions = world.wake(NOON - 7200, NOON);
        for second in 0..seconds {
            actions.extend((0..5).filter_map(|_| world.act(NOON + second)));
            if second % 5 == 0 {
                actions.extend(world.live(NOON + second));
            }
        }
        actions
    }

    #[test]
    fn the_same_seed_gives_the_same_actions() {
        assert_eq!(run(1, 100), run(1, 100));
        assert_ne!(run(1, 100), run(2, 100));
    }

    #[test]
    fn a_device_starts_switches_and_stops_in_turn_and_time_does_not_go_back() {
        let actions = run(1, 600);
        assert!(actions.len() > 3000);
        let mut on = std::collections::HashMap::new();
        let mut counts = [0; 3];
        for action in &actions {
            counts[action.action as usize - 1] += 1;
            let before = on.insert(
                action.device_id,
                (action.action != 2).then_some((action.user_id, action.channel_id)),
            );
            match (action.action, before.flatten()) {
                (1, None) => {}
                (2, Some(watching)) => assert_eq!(watching, (action.user_id, action.channel_id)),
                (3, Some((who, channel))) => assert!(who == action.user_id && channel != action.channel_id),
                other => panic!("{other:?} {action:?}"),
            }
        }
        assert!(counts.iter().all(|n| *n > 300), "{counts:?}");
        assert!(actions.windows(2).all(|w| w[0].action_ts <= w[1].action_ts));
        assert_eq!(
            Action { user: "a\"b".into(), user_id: 1, channel_id: 2, device_id: 3, action: 1, action_ts: 4 }
                .json(),
            r#"{"user": "a\"b", "user_id": 1, "channel_id": 2, "device_id": 3, "action": 1, "action_ts": 4}"#
        );
    }

    #[test]
    fn prime_time_has_more_viewers_than_the_night_of_the_same_region() {
        let mut world = World::new(5, 1000);
        // 20:30 in Europe is 19:30 UTC; 04:30 there is 03:30 UTC.
        let mut europe = |hour: f64| {
            world.wake(NOON - 86_400, NOON - 43_200 + (hour * 3600.0) as i64);
            let on = |d: &&Device| d.watching.is_some() && world.household(d.household).unwrap().region == 0;
            let count = world.devices.iter().filter(on).count();
            world.sleep(NOON);
            count
        };
        assert!(europe(19.5) > 4 * europe(3.5));
    }

    #[test]
    fn as_many_are_on_as_the_hour_says_after_many_actions() {
        let mut world = World::new(5, 500);
        world.wake(NOON - 7200, NOON);
        let share: f64 = world.devices.iter().map(|d| world.share(d, NOON)).sum();
        for _ in 0..20_000 {
            world.act(NOON);
        }
        let on = world.watching() as f64;
        assert!((on / share - 1.0).abs() < 0.3, "{on} are on, {share} are expected");
    }

    #[test]
    fn mobiles_move_and_tvs_do_not() {
        let world = World::new(5, 200);
        let moved = |kind: Kind| {
            let of_kind = world.devices.iter().filter(|d| d.kind == kind);
            of_kind
                .filter(|d| {
                    (0..8).any(|h| {
                        geography::place(&world, d, NOON) != geography::place(&world, d, NOON + h * 3600)
                    })
                })
                .count()
        };
        assert_eq!(moved(Kind::Tv), 0);
        assert!(moved(Kind::Mobile) > 100, "{}", moved(Kind::Mobile));
    }
}
