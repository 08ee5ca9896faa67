//! Channels, and what runs on them when. A day's programs follow from the seed, the channel and the day.

use super::{geography, random};
use chrono::{DateTime, NaiveDate};

/// The id of the first channel; the others follow. With it, ads can be generated for all channels: 57 to 80.
pub const FIRST_CHANNEL: i64 = 57;

/// What a channel shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Genre {
    /// News and talk.
    News,
    /// Sports.
    Sports,
    /// Films.
    Films,
    /// For children.
    Kids,
    /// Documentaries.
    Nature,
    /// Series and shows.
    Shows,
}

const GENRES: [Genre; 6] =
    [Genre::News, Genre::Sports, Genre::Films, Genre::Kids, Genre::Nature, Genre::Shows];
const NAMES: [[&str; 6]; 4] = [
    ["Euro News", "Eurosport One", "Cinema Lumière", "Kleine Welt", "Wild Europe", "Studio Nord"],
    ["Continental News", "Gol TV", "Silver Screen", "Kids Planet", "Frontier", "Prime Nine"],
    ["Bharat News", "Cricket Live", "Film Mahal", "Chhota TV", "Jungle Book", "Star Nights"],
    ["Asia Today", "Pacific Sports", "Cine Tokyo", "Panda Kids", "Blue Planet", "K-Stage"],
];

/// A channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// Its id.
    pub id: i64,
    /// Its name.
    pub name: &'static str,
    /// What it shows.
    pub genre: Genre,
    /// The number of its region.
    pub region: u8,
}

/// A program on a day of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its title.
    pub title: String,
    /// Its id: the same title has the same one on every day.
    pub id: i64,
    /// When it starts: seconds after midnight UTC.
    pub start: i64,
}

/// All channels of a world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lineup {
    /// The channels, by id.
    pub channels: Vec<Channel>,
}

impl Default for Lineup {
    fn default() -> Self {
        let of = |(place, name): (usize, &&'static str)| Channel {
            id: FIRST_CHANNEL + place as i64,
            name,
            genre: GENRES[place % 6],
            region: (place / 6) as u8,
        };
        Self { channels: NAMES.iter().flatten().enumerate().map(of).collect() }
    }
}

impl Lineup {
    /// The weight with which someone of that age in that region chooses each channel.
    pub fn tastes(&self, region: u8, age: i64) -> Vec<f64> {
        let of = |channel: &Channel| {
            let near = if channel.region == region { 12.0 } else { 1.0 };
            let likes = match (channel.genre, age) {
                (Genre::Kids, ..12) => 8.0,
                (Genre::Kids, 12..18) => 1.5,
                (Genre::Kids, _) => 0.3,
                (Genre::News, ..18) => 0.2,
                (Genre::News, 50..) => 3.0,
                (Genre::Sports, 14..60) => 1.8,
                (Genre::Films, 16..) => 2.0,
                (Genre::Shows, 14..) => 2.5,
                (Genre::Nature, 40..) => 1.5,
                _ => 0.8,
            };
            near * likes
        };
        self.channels.iter().map(of).collect()
    }
}

/// The number of the day that holds that time (epoch seconds, UTC).
pub fn day_of(time: i64) -> i64 {
    time.div_euclid(86_400)
}

/// A day as the schedule writes it: `dd-MM-yyyy`.
pub fn day_text(day: i64) -> String {
    let date = DateTime::from_timestamp(day * 86_400, 0).map_or(NaiveDate::MIN, |time| time.date_naive());
    date.format("%d-%m-%Y").to_string()
}

/// The programs of a channel on a day (number of days since epoch), in order; the first starts at midnight.
pub fn programs(seed: u64, channel: &Channel, day: i64) -> Vec<Program> {
    let number = (channel.id as u64).wrapping_mul(1_000_003).wrapping_add(day as u64);
    let mut random = random::of(seed, "schedule", number);
    let offset = geography::region(channel.region).offset * 3600;
    let titles = titles(channel.genre);
    let (mut programs, mut start, mut last) = (Vec::new(), 0, usize::MAX);
    while start < 86_400 {
        let hour = (start + offset).rem_euclid(86_400) / 3600;
        // What is best liked stands first and runs at prime time.
        let best = if (19..23).contains(&hour) { titles.len() / 2 } else { titles.len() };
        let mut title = random::between(&mut random, 0, best as i64 - 1) as usize;
        if title == last {
            title = (title + 1) % best.max(1);
        }
        last = title;
        let place = GENRES.iter().position(|genre| *genre == channel.genre).unwrap_or(0) as i64;
        programs.push(Program {
            title: titles[title % titles.len()].to_owned(),
            id: 1000 + i64::from(channel.region) * 1000 + place * 100 + title as i64,
            start,
        });
        let minutes = match channel.genre {
            Genre::News => random::pick(&mut random, &[15, 30, 30, 60], 30),
            Genre::Sports => random::pick(&mut random, &[60, 90, 120, 150], 90),
            Genre::Films => random::pick(&mut random, &[90, 105, 120, 135], 105),
            Genre::Kids => random::pick(&mut random, &[10, 15, 20, 30], 15),
            Genre::Nature => random::pick(&mut random, &[45, 60], 45),
            Genre::Shows => random::pick(&mut random, &[30, 45, 60, 90], 45),
        };
        start += minutes * 60;
    }
    programs
}

fn titles(genre: Genre) -> &'static [&'static str] {
    match genre {
        Genre::News => &[
            "The Evening Report",
            "World Tonight",
            "Face to Face",
            "Markets",
            "The Long View",
            "Headlines",
            "Weather",
            "Press Review",
            "Morning Brief",
            "Local Hour",
        ],
        Genre::Sports => &[
            "Match of the Day",
            "The Derby",
            "Grand Prix",
            "Centre Court",
            "Extra Time",
            "Training Ground",
            "Great Finals",
            "Cycling Tour",
            "Fight Night",
            "Sports Desk",
        ],
        Genre::Films => &[
            "Dune",
            "Casablanca",
            "The Third Man",
            "Rashomon",
            "Spirited Away",
            "City Lights",
            "Wonder Woman",
            "Metropolis",
            "Lagaan",
            "Central Station",
            "The Kid",
            "Safety Last",
        ],
        Genre::Kids => &[
            "Robot Pals",
            "Little Bear",
            "Dino Days",
            "Moon Rabbit",
            "Tiny Trucks",
            "Ocean School",
            "Ninja Cats",
            "Story Time",
            "Build It",
            "Sing Along",
        ],
        Genre::Nature => &[
            "Living Planet",
            "Planet Earth",
            "Wild Africa",
            "Wild China",
            "Deep Sea",
            "Animal Planet",
            "Blue Kingdom",
            "Night Hunters",
            "The Forest",
            "Volcanoes",
        ],
        Genre::Shows => &[
            "Talent Stage",
            "The Office Block",
            "Westworld",
            "Quiz Night",
            "Kitchen Duel",
            "Harbour Street",
            "The Night Shift",
            "Dance Off",
            "Property Hunt",
            "Second Chance",
            "Breakfast Show",
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_full_starts_at_midnight_and_no_two_programs_start_at_once() {
        let lineup = Lineup::default();
        assert_eq!(lineup.channels.len(), 24);
        for channel in &lineup.channels {
            let programs = programs(7, channel, 20_000);
            assert_eq!(programs[0].start, 0);
            assert!(programs.windows(2).all(|w| w[0].start < w[1].start && w[1].start < 86_400));
            assert!(programs.windows(2).all(|w| w[0].title != w[1].title));
            assert_eq!(programs, super::programs(7, channel, 20_000));
            assert_ne!(programs, super::programs(7, channel, 20_001));
        }
        assert_eq!(day_text(day_of(1_612_223_747)), "01-02-2021");
    }

    #[test]
    fn one_title_has_one_id_and_one_id_one_title() {
        let mut ids = std::collections::HashMap::new();
        for channel in &Lineup::default().channels {
            for program in (0..30).flat_map(|day| programs(1, channel, day)) {
                assert_eq!(*ids.entry(program.id).or_insert_with(|| program.title.clone()), program.title);
            }
        }
        assert!(ids.len() > 200);
    }
}
