//! Households, people and devices: who there is, who joins, moves, marries and leaves.

use super::geography::{self, REGIONS};
use super::viewing::{Action, Deed};
use super::{World, random};
use serde::{Deserialize, Serialize};

/// How long after someone left their row stays in the database (s): what they watched last is still to be counted.
const FAREWELL: i64 = 60;
/// So many changes wait for the database at most; while it is away for longer, nobody joins or leaves.
pub const MOST_PENDING: usize = 1000;

/// People who live together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Household {
    /// Its id.
    pub id: u32,
    /// The number of its region.
    pub region: u8,
    /// The number of its city in the region.
    pub city: u8,
    /// Degrees east.
    pub lon: f64,
    /// Degrees north.
    pub lat: f64,
}

/// Someone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// The user's id.
    pub id: i64,
    /// Where they live.
    pub household: u32,
    /// First and last name.
    pub name: String,
    /// Years.
    pub age: i64,
    /// `F` or `M`.
    pub gender: String,
}

/// Of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Stands at home; whoever lives there watches it.
    Tv,
    /// A phone or tablet: its owner has it along.
    Mobile,
}

/// A device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Its id.
    pub id: i64,
    /// Whose it is.
    pub household: u32,
    /// TV or mobile.
    pub kind: Kind,
    /// Who carries it; of a TV: who bought it.
    pub owner: i64,
    /// Who watches which channel on it, while it is on.
    pub watching: Option<(i64, i64)>,
    /// When it was last used, epoch seconds.
    pub used: i64,
}

/// A device that nobody has: the next household that needs one gets it. Ids stay few that way, and whoever asks for a device's place by
/// its id finds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spare {
    /// Its id.
    pub id: i64,
    /// Where it was last at home.
    pub home: Household,
}

/// A change of the table of users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// A new row.
    Insert(Person),
    /// Another name or age.
    Update(Person),
    /// No row any more, from that time on (epoch seconds).
    Delete(i64, i64),
}

impl World {
    /// People move into a new home, at most `most` of them.
    pub(super) fn found_household(&mut self, most: usize) {
        let mut random = self.draw("household");
        let id = self.next_household;
        self.next_household += 1;
        let region = random::weighted(&mut random, &[3.0, 3.0, 3.0, 3.0]) as u8;
        let (city, home) = home(&mut random, region);
        self.homes.insert(id, self.households.len());
        self.households.push(Household { id, region, city, lon: home.lon, lat: home.lat });

        let adults = 1 + usize::from(random::chance(&mut random, 0.6));
        let children = if adults == 2 { random::weighted(&mut random, &[0.4, 0.25, 0.25, 0.1]) } else { 0 };
        let first = random::between(&mut random, 20, 85);
        let last = last_name(&mut random, region);
        let mut owners = Vec::new();
        for number in 0..(adults + children).min(most.max(1)) {
            let age = match number {
                0 => first,
                1 => (first + random::between(&mut random, -6, 6)).max(18),
                _ => random::between(&mut random, 3, (first - 18).clamp(3, 24)),
            };
            let owner = self.add_person(&mut random, id, region, age, &last);
            owners.push((owner, age));
        }
        for _ in 0..1 + usize::from(random::chance(&mut random, 0.35)) {
            self.add_device(id, Kind::Tv, owners[0].0);
        }
        for (owner, age) in owners {
            let phone = if age >= 12 { 0.9 } else { 0.2 };
            if random::chance(&mut random, phone) {
                self.add_device(id, Kind::Mobile, owner);
            }
            if random::chance(&mut random, 0.25) {
                self.add_device(id, Kind::Mobile, owner);
            }
        }
    }

    fn add_person(
        &mut self,
        random: &mut random::Random,
        household: u32,
        region: u8,
        age: i64,
        last: &str,
    ) -> i64 {
        let id = self.next_person;
        self.next_person += 1;
        let gender = usize::from(random::chance(random, 0.5));
        let first = random::pick(random, geography::region(region).first[gender], "kim");
        let gender = if gender == 0 { "F" } else { "M" };
        self.persons.insert(id, self.people.len());
        self.people.push(Person {
            id,
            household,
            name: format!("{first} {last}"),
            age,
            gender: gender.into(),
        });
        id
    }

    fn add_device(&mut self, household: u32, kind: Kind, owner: i64) {
        let id = match self.spare.pop() {
            Some(spare) => spare.id,
            None => {
                self.next_device += 1;
                self.next_device - 1
            }
        };
        self.places.insert(id, self.devices.len());
        self.devices.push(Device { id, household, kind, owner, watching: None, used: i64::MIN });
    }

    /// Something happens in someone's life at `time` (epoch seconds): a household joins, moves or leaves, someone marries or has a
    /// birthday. What changes in the database is added to [`World::pending`]; gives the last actions of those who leave.
    pub fn live(&mut self, time: i64) -> Vec<Action> {
        if self.pending.len() >= MOST_PENDING || self.people.is_empty() {
            return Vec::new();
        }
        let mut random = self.draw("life");
        let place = random::between(&mut random, 0, self.people.len() as i64 - 1) as usize;
        let full = self.people.len() as f64 / self.size as f64;
        let weights = [0.3 / full, 0.35, 0.15, 0.2 * full * full * full];
        match random::weighted(&mut random, &weights) {
            0 => {
                let before = self.people.len();
                self.found_household(4);
                self.pending.extend(self.people[before..].iter().cloned().map(Change::Insert));
            }
            1 => {
                self.people[place].age += 1;
                self.pending.push_back(Change::Update(self.people[place].clone()));
            }
            2 => self.move_house(&mut random, place),
            _ => return self.leave(place, time),
        }
        Vec::new()
    }

    /// A household moves to another home, half the time to another city; one of them takes another name.
    fn move_house(&mut self, random: &mut random::Random, place: usize) {
        let household = self.people[place].household;
        let Some(home_place) = self.homes.get(&household).copied() else { return };
        let region = self.households[home_place].region;
        let (city, home) = home(random, region);
        let there = &mut self.households[home_place];
        (there.city, there.lon, there.lat) = (city, home.lon, home.lat);
        let last = last_name(random, region);
        let person = &mut self.people[place];
        let first = person.name.split(' ').next().unwrap_or("kim").to_owned();
        person.name = format!("{first} {last}");
        self.pending.push_back(Change::Update(person.clone()));
    }

    /// A household leaves: its devices go off and away, its people's rows follow.
    fn leave(&mut self, place: usize, time: i64) -> Vec<Action> {
        let household = self.people[place].household;
        let ids: Vec<i64> = self.devices.iter().filter(|d| d.household == household).map(|d| d.id).collect();
        let actions = ids.iter().filter_map(|id| self.perform(*id, Deed::Stop, time)).collect();
        let people: Vec<i64> =
            self.people.iter().filter(|p| p.household == household).map(|p| p.id).collect();
        for id in people {
            self.pending.push_back(Change::Delete(id, time + FAREWELL));
            self.forget(id);
        }
        actions
    }

    /// Someone is gone, and with the last of a household the household.
    pub fn forget(&mut self, person: i64) {
        let Some(household) = self.person(person).map(|p| p.household) else { return };
        self.people.retain(|p| p.id != person);
        let empty = !self.people.iter().any(|p| p.household == household);
        let others = self.people.iter().find(|p| p.household == household).map(|p| p.id);
        let home = self.household(household).cloned();
        let spare = &mut self.spare;
        self.devices.retain_mut(|device| {
            if device.household != household {
                return true;
            }
            if device.watching.is_some_and(|(who, _)| who == person) {
                device.watching = None;
            }
            match (device.kind, others) {
                (Kind::Tv, Some(other)) => {
                    device.owner = if device.owner == person { other } else { device.owner };
                    true
                }
                _ if !empty && device.owner != person => true,
                _ => {
                    spare.extend(home.clone().map(|home| Spare { id: device.id, home }));
                    false
                }
            }
        });
        if empty {
            self.households.retain(|h| h.id != household);
        }
        self.restore();
    }

    /// Takes what the database says of its users (id, name, age, gender): it may have been changed by others while the world stood
    /// still. [`World::pending`] was applied before.
    pub fn accept(&mut self, rows: &[Person]) {
        let there: std::collections::HashMap<i64, &Person> = rows.iter().map(|row| (row.id, row)).collect();
        let waits = |id: &i64| self.pending.iter().any(|c| matches!(c, Change::Insert(p) if p.id == *id));
        let gone: Vec<i64> =
            self.people.iter().map(|p| p.id).filter(|id| !there.contains_key(id) && !waits(id)).collect();
        gone.into_iter().for_each(|id| self.forget(id));
        for person in &mut self.people {
            if let Some(row) = there.get(&person.id) {
                (person.name, person.age, person.gender) = (row.name.clone(), row.age, row.gender.clone());
            }
        }
        let deleted: Vec<i64> = self
            .pending
            .iter()
            .filter_map(|c| if let Change::Delete(id, _) = c { Some(*id) } else { None })
            .collect();
        for row in rows {
            if self.persons.contains_key(&row.id) || deleted.contains(&row.id) {
                continue;
            }
            // Somebody whom others have added: they get a home.
            self.next_person = self.next_person.max(row.id.saturating_add(1));
            let (id, place) = (self.next_person, self.people.len());
            self.found_household(1);
            if let Some(person) = self.people.get_mut(place) {
                self.next_person = id;
                *person = Person { household: person.household, ..row.clone() };
                let home = person.household;
                self.devices.iter_mut().filter(|d| d.household == home).for_each(|d| d.owner = row.id);
            }
        }
        self.restore();
    }
}

fn home(random: &mut random::Random, region: u8) -> (u8, geography::Point) {
    let cities = geography::region(region).cities;
    let weights: Vec<f64> = cities.iter().map(|city| f64::from(city.weight)).collect();
    let city = random::weighted(random, &weights);
    (city as u8, geography::home(random, &cities[city]))
}

fn last_name(random: &mut random::Random, region: u8) -> String {
    random::pick(random, REGIONS[usize::from(region) % REGIONS.len()].last, "smith").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_is_the_same_world_and_another_one_another() {
        let json = |seed| serde_json::to_string(&World::new(seed, 300)).unwrap();
        assert_eq!(json(1), json(1));
        assert_ne!(json(1), json(2));
    }

    #[test]
    fn households_have_several_devices_and_ids_go_on_after_a_restart() {
        let world = World::new(3, 500);
        assert_eq!(world.people.len(), 500);
        assert!(world.devices.len() > 700, "{} devices", world.devices.len());
        assert!(
            world.devices.iter().any(|d| d.kind == Kind::Tv)
                && world.devices.iter().any(|d| d.kind == Kind::Mobile)
        );
        let mut again: World = serde_json::from_str(&serde_json::to_string(&world).unwrap()).unwrap();
        again.restore();
        let most = again.people.iter().map(|p| p.id).max().unwrap();
        while again.people.iter().map(|p| p.id).max().unwrap() == most {
            again.live(1_700_000_000);
        }
        assert!(again.pending.iter().any(|c| matches!(c, Change::Insert(p) if p.id == most + 1)));
    }

    #[test]
    fn people_join_change_and_leave_and_the_world_stays_about_as_large() {
        let mut world = World::new(3, 300);
        let mut kinds = [0; 3];
        for time in 0..3000 {
            world.live(1_700_000_000 + time);
            for change in std::mem::take(&mut world.pending) {
                kinds[match change {
                    Change::Insert(_) => 0,
                    Change::Update(_) => 1,
                    Change::Delete(..) => 2,
                }] += 1;
            }
            assert!((200..450).contains(&world.people.len()), "{} people", world.people.len());
        }
        assert!(kinds.iter().all(|n| *n > 300), "{kinds:?}");
        assert!(
            world
                .devices
                .iter()
                .all(|d| world.household(d.household).is_some() && world.person(d.owner).is_some())
        );
        assert!(world.devices.iter().all(|d| world.device(d.id) == Some(d)));
    }

    #[test]
    fn what_others_changed_in_the_database_is_taken() {
        let mut world = World::new(3, 50);
        let mut rows = world.people.clone();
        let gone = rows.remove(7);
        rows[0].name = "someone else".into();
        rows.push(Person { id: 9000, household: 0, name: "new".into(), age: 30, gender: "F".into() });
        world.accept(&rows);
        assert!(world.person(gone.id).is_none());
        assert_eq!(world.person(rows[0].id).unwrap().name, "someone else");
        let new = world.person(9000).unwrap().clone();
        assert!(world.devices.iter().any(|d| d.owner == 9000 && d.household == new.household));
        let mut ids: Vec<i64> = world.people.iter().map(|p| p.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), rows.len());
    }
}
