//! Who and what a case is about: users, devices, channels.

use serde_json::json;

use crate::{CaseError, rng::Rng, text};

use super::Plan;

/// An id above 2^53, which no double holds.
const HUGE: i64 = 9_007_199_254_740_993;

const PLAIN_NAMES: [&str; 12] =
    ["vihaan", "ketan", "meghana", "asha", "john", "maria", "chen", "amina", "olga", "pedro", "yuki", "lena"];

const HARD_NAMES: [&str; 16] = [
    "Zoë",
    "Łukasz Żółć",
    "Søren",
    "नेहा",
    "李雷",
    "さくら",
    "محمد",
    "Ольга",
    "🦊 fox",
    "👩\u{200d}👩\u{200d}👧",
    "O\"Brien \\ co/",
    "tab\tand\nline",
    "e\u{301}lan",
    "line\u{2028}end",
    "",
    "  spaces  ",
];

/// Someone who acts.
pub(super) struct Person {
    pub(super) id: i64,
    pub(super) name: String,
    /// The name as a JSON string.
    pub(super) json: String,
    /// Whether `users.jsonl` has them.
    known: bool,
}

/// A device and who uses it.
pub(super) struct Device {
    pub(super) id: i64,
    pub(super) people: Vec<usize>,
    /// Whether its places are ever known.
    pub(super) placed: bool,
}

pub(super) struct Cast {
    pub(super) people: Vec<Person>,
    pub(super) devices: Vec<Device>,
    /// Channels with a schedule.
    pub(super) channels: Vec<i64>,
    /// Channels that are watched: a nasty case has one that nobody scheduled.
    pub(super) watched: Vec<i64>,
}

impl Cast {
    pub(super) fn new(plan: &Plan) -> Self {
        let mut rng = Rng::fork(plan.seed, "cast");
        let people = (0..plan.users)
            .map(|i| {
                let name = name(&mut rng, plan.hard, i);
                Person {
                    id: id(plan, i, 45),
                    json: json!(name).to_string(),
                    name,
                    // The first one is known, so that every case has views.
                    known: i == 0 || !rng.chance(if plan.hard { 10.0 } else { 2.0 }),
                }
            })
            .collect::<Vec<_>>();
        let devices = (0..plan.devices)
            .map(|i| {
                let mut owners = vec![rng.below(plan.users as u64) as usize];
                if rng.chance(if plan.hard { 30.0 } else { 5.0 }) {
                    owners.push(rng.below(plan.users as u64) as usize);
                }
                Device { id: id(plan, i, 14), people: owners, placed: !rng.chance(plan.if_hard(15.0)) }
            })
            .collect();
        let channels: Vec<_> = (0..plan.channels).map(|i| id(plan, i, 57)).collect();
        let mut watched = channels.clone();
        if plan.hard {
            watched.push(7);
        }
        Self { people, devices, channels, watched }
    }

    /// Someone whom `users.jsonl` has (or not).
    pub(super) fn person(&self, rng: &mut Rng, known: bool) -> Option<&Person> {
        let fits: Vec<_> = self.people.iter().filter(|person| person.known == known).collect();
        if fits.is_empty() { None } else { Some(*rng.pick(&fits)) }
    }

    /// The number of lines of `users.jsonl`, and the lines.
    pub(super) fn users_file(&self, plan: &Plan) -> Result<(usize, Vec<u8>), CaseError> {
        let mut rng = Rng::fork(plan.seed, "users");
        let (mut rows, mut out) = (0, Vec::new());
        for person in self.people.iter().filter(|person| person.known) {
            let age = if rng.chance(plan.if_hard(5.0)) { json!(null) } else { json!(rng.between(4, 99)) };
            let gender = *rng.pick(&["M", "F"]);
            let mut row = json!({"user_id": person.id, "name": person.name, "age": age, "gender": gender});
            if rng.chance(plan.if_hard(10.0)) {
                // An earlier row of the same user, which the one below replaces.
                let old = json!({"user_id": person.id, "name": "before", "age": 1, "gender": "F"});
                out.extend(text::line(&old).map_err(CaseError::Row)?);
                out.push(b'\n');
                rows += 1;
            }
            if let Some(object) = row.as_object_mut().filter(|_| rng.chance(plan.if_hard(10.0))) {
                object.insert("since".to_owned(), json!({"year": 2019, "tags": ["a", null, "}"]}));
            }
            let line = text::line(&row).map_err(CaseError::Row)?;
            if rng.chance(plan.if_hard(30.0)) {
                out.extend(ascii(&String::from_utf8_lossy(&line)).into_bytes());
            } else {
                out.extend(line);
            }
            out.push(b'\n');
            rows += 1;
        }
        Ok((rows, out))
    }
}

/// The `i`-th id from `first` on; in a nasty case the third one is huge.
fn id(plan: &Plan, i: usize, first: i64) -> i64 {
    if plan.hard && i == 2 { HUGE + first } else { first + i as i64 }
}

pub(super) fn name(rng: &mut Rng, hard: bool, i: usize) -> String {
    if hard && rng.chance(60.0) {
        return (*rng.pick(&HARD_NAMES)).to_owned();
    }
    match (PLAIN_NAMES[i % PLAIN_NAMES.len()], i / PLAIN_NAMES.len()) {
        (name, 0) => name.to_owned(),
        (name, round) => format!("{name}{round}"),
    }
}

/// JSON with every character beyond ASCII escaped, as many writers do.
fn ascii(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    out
}
