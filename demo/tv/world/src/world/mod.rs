//! The model: people in households with devices, who watch channels. No I/O: what happens follows from the seed, the times at which
//! [`World::act`] and [`World::live`] are called, and how often.
//!
//! * [`lineup`]: channels, and what runs on them when.
//! * [`people`]: households, people, devices; who joins, moves, marries, leaves.
//! * [`viewing`]: starts, stops and switches. A device is on as often as its kind, the local hour and the day say ([`habits`]).
//! * [`geography`]: where homes are, and where a device is at a time.

pub mod geography;
pub mod habits;
pub mod lineup;
pub mod people;
pub mod random;
pub mod viewing;

pub use lineup::Lineup;
pub use people::{Change, Device, Household, Kind, Person, Spare};
pub use viewing::{Action, Deed};

use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};

/// A world. Serialised, it is what a restart goes on from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct World {
    /// What everything follows from.
    pub seed: u64,
    /// How many people it began with; it stays about so large.
    pub size: usize,
    /// All households, in no order.
    pub households: Vec<Household>,
    /// All people, in no order.
    pub people: Vec<Person>,
    /// All devices, in no order.
    pub devices: Vec<Device>,
    /// Devices that nobody has.
    pub spare: Vec<Spare>,
    /// Changes of the table of users that the database has not confirmed, in order.
    pub pending: VecDeque<Change>,
    next_household: u32,
    next_person: i64,
    next_device: i64,
    /// How many times [`World::act`] and [`World::live`] have drawn.
    draws: u64,
    /// When the last action was, epoch seconds.
    last_action: i64,
    /// People who zap on in a moment: when, and on which device.
    #[serde(skip)]
    zapping: BinaryHeap<Reverse<(i64, i64)>>,
    #[serde(skip)]
    places: HashMap<i64, usize>,
    #[serde(skip)]
    persons: HashMap<i64, usize>,
    #[serde(skip)]
    homes: HashMap<u32, usize>,
}

impl World {
    /// A world of about `size` people (at least one), all devices off. The first person has the id 45, the first device 14.
    pub fn new(seed: u64, size: usize) -> Self {
        let mut world = Self {
            seed,
            size: size.max(1),
            households: Vec::new(),
            people: Vec::new(),
            devices: Vec::new(),
            spare: Vec::new(),
            pending: VecDeque::new(),
            next_household: 0,
            next_person: 45,
            next_device: 14,
            draws: 0,
            last_action: i64::MIN,
            zapping: BinaryHeap::new(),
            places: HashMap::new(),
            persons: HashMap::new(),
            homes: HashMap::new(),
        };
        while world.people.len() < world.size {
            let room = world.size - world.people.len();
            world.found_household(room);
        }
        world
    }

    /// Makes the look-ups again, after the world was read from its file.
    pub fn restore(&mut self) {
        self.places = self.devices.iter().enumerate().map(|(i, d)| (d.id, i)).collect();
        self.persons = self.people.iter().enumerate().map(|(i, p)| (p.id, i)).collect();
        self.homes = self.households.iter().enumerate().map(|(i, h)| (h.id, i)).collect();
    }

    /// The device of that id.
    pub fn device(&self, id: i64) -> Option<&Device> {
        self.devices.get(*self.places.get(&id)?)
    }

    /// The person of that id.
    pub fn person(&self, id: i64) -> Option<&Person> {
        self.people.get(*self.persons.get(&id)?)
    }

    /// The household of that id.
    pub fn household(&self, id: u32) -> Option<&Household> {
        self.households.get(*self.homes.get(&id)?)
    }

    /// When the last action was, epoch seconds; `i64::MIN` before the first.
    pub fn last_action(&self) -> i64 {
        self.last_action
    }

    /// How many devices are on.
    pub fn watching(&self) -> usize {
        self.devices.iter().filter(|d| d.watching.is_some()).count()
    }

    fn draw(&mut self, what: &str) -> random::Random {
        self.draws += 1;
        random::of(self.seed, what, self.draws)
    }
}
