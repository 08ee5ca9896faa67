//! Where homes are, where a device is at a time, and how the weather is there.

use super::people::{Device, Household, Kind};
use super::{World, habits, random};

/// A part of the world with its own channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// Its name.
    pub name: &'static str,
    /// How far its clocks are ahead of UTC (hours).
    pub offset: i64,
    /// Its cities.
    pub cities: &'static [City],
    /// First names: of women, of men.
    pub first: [&'static [&'static str]; 2],
    /// Last names.
    pub last: &'static [&'static str],
}

/// A city: its name, where it is (thousandths of a degree), and how many people live there compared with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct City {
    /// Its name.
    pub name: &'static str,
    /// Longitude, thousandths of a degree.
    pub lon: i32,
    /// Latitude, thousandths of a degree.
    pub lat: i32,
    /// Its share.
    pub weight: u32,
}

const fn city(name: &'static str, lon: i32, lat: i32, weight: u32) -> City {
    City { name, lon, lat, weight }
}

/// The regions of the world.
pub const REGIONS: [Region; 4] = [
    Region {
        name: "Europe",
        offset: 1,
        cities: &[
            city("London", -128, 51_507, 9),
            city("Paris", 2_352, 48_857, 7),
            city("Berlin", 13_405, 52_520, 6),
            city("Madrid", -3_704, 40_417, 5),
            city("Rome", 12_496, 41_903, 4),
            city("Warsaw", 21_012, 52_230, 3),
            city("Stockholm", 18_069, 59_329, 2),
            city("Dublin", -6_260, 53_350, 2),
            city("Lagos", 3_379, 6_524, 4),
            city("Nairobi", 36_817, -1_286, 3),
        ],
        first: [
            &[
                "anna", "chloe", "elena", "freya", "greta", "ines", "julia", "klara", "lucia", "maria",
                "nora", "olga", "sofia", "zoe",
            ],
            &[
                "adam", "bruno", "david", "erik", "felix", "hugo", "jan", "leo", "marco", "noah", "oscar",
                "pedro", "tom", "viktor",
            ],
        ],
        last: &[
            "bauer", "costa", "dubois", "garcia", "jansen", "kowalski", "larsson", "martin", "moreau",
            "murphy", "okafor", "rossi", "smith", "weber",
        ],
    },
    Region {
        name: "Americas",
        offset: -5,
        cities: &[
            city("New York", -74_006, 40_713, 9),
            city("Los Angeles", -118_244, 34_052, 6),
            city("Chicago", -87_630, 41_878, 4),
            city("Toronto", -79_383, 43_653, 4),
            city("Mexico City", -99_133, 19_433, 7),
            city("Bogota", -74_072, 4_711, 4),
            city("Lima", -77_043, -12_046, 4),
            city("Sao Paulo", -46_633, -23_551, 8),
            city("Buenos Aires", -58_382, -34_604, 5),
        ],
        first: [
            &[
                "abigail",
                "camila",
                "emma",
                "gabriela",
                "hannah",
                "isabela",
                "madison",
                "mia",
                "olivia",
                "paula",
                "renata",
                "valentina",
            ],
            &[
                "carlos", "diego", "ethan", "james", "joao", "liam", "lucas", "mateo", "mason", "rafael",
                "santiago", "william",
            ],
        ],
        last: &[
            "brown",
            "davis",
            "fernandez",
            "gomez",
            "johnson",
            "lopez",
            "miller",
            "nguyen",
            "oliveira",
            "perez",
            "silva",
            "williams",
        ],
    },
    Region {
        name: "South Asia",
        offset: 5,
        cities: &[
            city("Mumbai", 72_878, 19_076, 9),
            city("Delhi", 77_209, 28_614, 9),
            city("Bengaluru", 77_595, 12_972, 6),
            city("Chennai", 80_271, 13_083, 4),
            city("Kolkata", 88_364, 22_573, 5),
            city("Karachi", 67_001, 24_861, 5),
            city("Dhaka", 90_412, 23_811, 5),
            city("Colombo", 79_861, 6_927, 2),
        ],
        first: [
            &[
                "aditi", "ananya", "asha", "diya", "fatima", "isha", "kavya", "meghana", "neha", "priya",
                "riya", "sana",
            ],
            &[
                "aarav", "arjun", "imran", "ishaan", "karan", "ketan", "nikhil", "rahul", "rohan", "sameer",
                "vihaan", "vikram",
            ],
        ],
        last: &[
            "ahmed", "bose", "das", "gupta", "hossain", "iyer", "khan", "mehta", "nair", "patel", "rao",
            "sharma", "singh",
        ],
    },
    Region {
        name: "East Asia and Oceania",
        offset: 9,
        cities: &[
            city("Tokyo", 139_692, 35_690, 9),
            city("Osaka", 135_502, 34_694, 5),
            city("Seoul", 126_978, 37_566, 7),
            city("Shanghai", 121_474, 31_230, 8),
            city("Taipei", 121_565, 25_033, 3),
            city("Manila", 120_984, 14_599, 5),
            city("Jakarta", 106_846, -6_208, 6),
            city("Sydney", 151_209, -33_868, 4),
            city("Auckland", 174_763, -36_848, 2),
        ],
        first: [
            &[
                "aiko",
                "charlotte",
                "dewi",
                "hana",
                "jiwoo",
                "lan",
                "mei",
                "minji",
                "ruby",
                "sakura",
                "xin",
                "yuki",
            ],
            &[
                "akira", "budi", "chen", "hiroshi", "jack", "jun", "kenji", "minho", "oliver", "ren", "wei",
                "yong",
            ],
        ],
        last: &[
            "chen",
            "kim",
            "kobayashi",
            "lee",
            "li",
            "park",
            "santos",
            "sato",
            "tanaka",
            "taylor",
            "wang",
            "wijaya",
            "zhang",
        ],
    },
];

/// The region of that number.
pub fn region(number: u8) -> &'static Region {
    &REGIONS[usize::from(number) % REGIONS.len()]
}

/// Longitude and latitude in degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Degrees east.
    pub lon: f64,
    /// Degrees north.
    pub lat: f64,
}

/// Some km: degrees around a home or a city.
fn near(random: &mut random::Random, of: Point, degrees: f64) -> Point {
    let mut part = || random::between(random, -1_000_000, 1_000_000) as f64 / 1_000_000.0;
    let (x, y) = (part() * part().abs(), part() * part().abs());
    Point { lon: of.lon + x * degrees, lat: of.lat + y * degrees }
}

/// A home in a city.
pub(super) fn home(random: &mut random::Random, city: &City) -> Point {
    near(random, Point { lon: f64::from(city.lon) / 1000.0, lat: f64::from(city.lat) / 1000.0 }, 0.25)
}

/// Where a device is at `time` (epoch seconds): a function of the world as it is and of time. TVs are at home. Phones and tablets go
/// with their owner: to work or school and back on weekdays, out for some hours at weekends, and now and then on a journey to
/// another city of the region for some days.
pub fn place(world: &World, device: &Device, time: i64) -> Point {
    let Some(household) = world.household(device.household) else { return Point { lon: 0.0, lat: 0.0 } };
    let home = Point { lon: household.lon, lat: household.lat };
    if device.kind == Kind::Tv {
        return home;
    }
    let local = time + region(household.region).offset * 3600;
    let (day, second) = (local.div_euclid(86_400), local.rem_euclid(86_400));
    let owner = device.owner as u64;
    let base = journey(world, household, owner, day).unwrap_or(home);
    let mut habit = random::of(world.seed, "place of work", owner);
    let work = near(&mut habit, base, 0.4);
    let mut today = random::of(world.seed, "day", owner.wrapping_mul(100_003).wrapping_add(day as u64));
    let (leave, back, there) = if habits::is_weekend(local) {
        if random::chance(&mut today, 0.4) {
            return base;
        }
        (
            random::between(&mut today, 10, 15) * 3600,
            random::between(&mut today, 17, 22) * 3600,
            near(&mut today, base, 0.8),
        )
    } else {
        (random::between(&mut today, 26_000, 32_000), random::between(&mut today, 59_000, 68_000), work)
    };
    let way = random::between(&mut today, 900, 3_600);
    let part = |from: i64| ((second - from) as f64 / way as f64).clamp(0.0, 1.0);
    let out = part(leave) - part(back);
    let on = |a: f64, b: f64| a + (b - a) * out;
    let at = Point { lon: on(base.lon, there.lon), lat: on(base.lat, there.lat) };
    if out <= 0.0 {
        return base;
    }
    // A little about, so that someone on the move or at work is never at the very same place twice.
    let mut step = random::of(
        world.seed,
        "step",
        (device.id as u64).wrapping_mul(1_000_003).wrapping_add((time / 30) as u64),
    );
    near(&mut step, at, 0.004)
}

/// The other end of a journey that lasts over that day, in one of twenty weeks.
fn journey(world: &World, household: &Household, owner: u64, day: i64) -> Option<Point> {
    let week = day.div_euclid(7);
    let mut random = random::of(world.seed, "week", owner.wrapping_mul(9_973).wrapping_add(week as u64));
    if !random::chance(&mut random, 0.05) {
        return None;
    }
    let cities = region(household.region).cities;
    let there = random::pick(&mut random, cities, cities[0]);
    Some(home(&mut random, &there))
}

/// The weather at a place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weather {
    /// OpenWeather's condition code, group and description.
    pub condition: (i64, &'static str, &'static str),
    /// How far one sees (m), at most 10 000.
    pub visibility: i64,
    /// Kelvin.
    pub temperature: f64,
    /// hPa.
    pub pressure: i64,
    /// Percent.
    pub humidity: i64,
    /// m/s.
    pub wind: f64,
    /// Degrees.
    pub direction: i64,
    /// Percent.
    pub clouds: i64,
}

/// The weather at a place and time: the same for about a degree and three hours.
pub fn weather(seed: u64, at: Point, time: i64) -> Weather {
    let cell = (at.lon.floor() as i64 + 180) * 360 + at.lat.floor() as i64 + 90;
    let span = time.div_euclid(3 * 3600);
    let mut random =
        random::of(seed, "weather", (cell as u64).wrapping_mul(1_000_003).wrapping_add(span as u64));
    let (condition, visibility, clouds) = match random::between(&mut random, 0, 19) {
        0 => ((741, "Fog", "fog"), random::between(&mut random, 2, 20) * 50, 90),
        1 => ((721, "Haze", "haze"), random::between(&mut random, 20, 50) * 100, 40),
        2..=4 => ((500, "Rain", "light rain"), random::between(&mut random, 50, 100) * 100, 85),
        5 => ((502, "Rain", "heavy intensity rain"), random::between(&mut random, 20, 60) * 100, 100),
        6..=10 => ((803, "Clouds", "broken clouds"), 10_000, 70),
        _ => ((800, "Clear", "clear sky"), 10_000, 5),
    };
    let year = (time.rem_euclid(31_557_600)) as f64 / 31_557_600.0;
    let season = -(2.0 * std::f64::consts::PI * year).cos() * at.lat.signum();
    let temperature = 300.0 - at.lat.abs() * 0.45 + season * at.lat.abs() * 0.2;
    let temperature = temperature + random::between(&mut random, -50, 50) as f64 / 10.0;
    Weather {
        condition,
        visibility,
        temperature: (temperature * 100.0).round() / 100.0,
        pressure: random::between(&mut random, 995, 1030),
        humidity: random::between(&mut random, 30, 95),
        wind: random::between(&mut random, 0, 1200) as f64 / 100.0,
        direction: random::between(&mut random, 0, 359),
        clouds,
    }
}
