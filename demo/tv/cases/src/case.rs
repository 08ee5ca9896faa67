//! A case's inputs as typed rows, and which of its lines are none.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use serde::{Deserialize, de::DeserializeOwned};

use crate::{CaseError, text};

/// What someone did at a device.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[allow(missing_docs, reason = "the columns of the case")]
pub struct Action {
    pub user_id: Option<i64>,
    pub device_id: Option<i64>,
    pub channel_id: Option<i64>,
    /// 1 start, 2 stop, 3 switch to `channel_id`.
    pub action: Option<i64>,
    /// Epoch seconds; a line without is a dead letter.
    pub action_ts: i64,
}

/// Someone who is known.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[allow(missing_docs, reason = "the columns of the case")]
pub struct User {
    pub user_id: i64,
    pub name: Option<String>,
    pub age: Option<i64>,
    pub gender: Option<String>,
}

/// An ad on a channel.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[allow(missing_docs, reason = "the columns of the case")]
pub struct Ad {
    pub ad_id: Option<i64>,
    pub channel_id: Option<i64>,
    /// Epoch seconds; a line without is a dead letter.
    pub start_ts: i64,
    /// Seconds, 0 to 3600; a line with another length is a dead letter.
    pub duration_secs: Option<i64>,
}

/// Where a device was.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the columns of the case")]
pub struct Place {
    pub device_id: Option<i64>,
    pub lon: Option<f64>,
    pub lat: Option<f64>,
    pub visibility: Option<i64>,
    /// Epoch seconds; a line without is a dead letter.
    pub ts: i64,
}

/// A channel with its schedule: day (dd-MM-yyyy) to programs in any order.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[allow(missing_docs, reason = "the columns of the case")]
pub struct Channel {
    pub channel_id: i64,
    pub channel: Option<String>,
    pub schedule: BTreeMap<String, Vec<Program>>,
}

/// A program of a day's schedule. No two of a day start at once: their start is their key.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[allow(missing_docs, reason = "the columns of the case")]
pub struct Program {
    pub program: Option<String>,
    pub program_id: Option<i64>,
    /// HH:mm:ss, UTC.
    pub start: String,
}

/// The rows of a stream's file in its order, and how many lines are dead letters.
#[derive(Debug, Clone, PartialEq)]
pub struct Stream<T> {
    /// Rows in the order of arrival.
    pub rows: Vec<T>,
    /// Lines that are no row: broken JSON, a value of another type, no time, an ad of a forbidden length.
    pub dead: usize,
}

/// All inputs of a case.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// `actions.jsonl`.
    pub actions: Stream<Action>,
    /// `ads.jsonl`.
    pub ads: Stream<Ad>,
    /// `device_locations.jsonl`.
    pub places: Stream<Place>,
    /// `users.jsonl`; of two rows with one id the later one holds.
    pub users: BTreeMap<i64, User>,
    /// `channels.json`; of two objects with one id the later one holds.
    pub channels: BTreeMap<i64, Channel>,
}

impl Case {
    /// Reads the inputs in `folder`.
    ///
    /// # Errors
    /// If a file cannot be read or `channels.json` is not a list of channels. A bad line of another file is no error:
    /// it is counted as dead.
    pub fn read(folder: &Path) -> Result<Self, CaseError> {
        let users: Stream<User> = stream(&folder.join("users.jsonl"), row)?;
        Ok(Self {
            actions: stream(&folder.join("actions.jsonl"), row)?,
            ads: stream(&folder.join("ads.jsonl"), |line| {
                row::<Ad>(line).filter(|ad| ad.duration_secs.is_none_or(|secs| (0..=3600).contains(&secs)))
            })?,
            places: stream(&folder.join("device_locations.jsonl"), place)?,
            users: users.rows.into_iter().map(|user| (user.user_id, user)).collect(),
            channels: channels(folder)?.into_iter().map(|c: Channel| (c.channel_id, c)).collect(),
        })
    }
}

/// The objects of `channels.json`, in its order.
pub(crate) fn channels<T: DeserializeOwned>(folder: &Path) -> Result<Vec<T>, CaseError> {
    let path = folder.join("channels.json");
    let bytes = std::fs::read(&path).map_err(|source| CaseError::File {
        what: "read",
        path: path.clone(),
        source,
    })?;
    serde_json::from_slice(&bytes).map_err(|source| CaseError::Json { path, line: source.line(), source })
}

/// The lines of a file as bytes, without their line ends. Empty lines are left out: they stand for nothing.
///
/// # Errors
/// If the file cannot be opened, or (an item) read.
pub fn lines(path: &Path) -> Result<impl Iterator<Item = Result<Vec<u8>, CaseError>> + use<>, CaseError> {
    let failed = {
        let path = path.to_owned();
        move |source| CaseError::File { what: "read", path: path.clone(), source }
    };
    let file = File::open(path).map_err(&failed)?;
    Ok(BufReader::with_capacity(1 << 20, file)
        .split(b'\n')
        .map(move |line| line.map_err(&failed))
        .filter(|line| !matches!(line, Ok(line) if line.is_empty())))
}

fn stream<T>(path: &Path, parse: impl Fn(&[u8]) -> Option<T>) -> Result<Stream<T>, CaseError> {
    let mut stream = Stream { rows: Vec::new(), dead: 0 };
    for line in lines(path)? {
        match parse(&line?) {
            Some(row) => stream.rows.push(row),
            None => stream.dead += 1,
        }
    }
    Ok(stream)
}

/// A line as a row, unless it is a dead letter.
fn row<T: DeserializeOwned>(line: &[u8]) -> Option<T> {
    // serde takes an array for a struct, too.
    let object = line.trim_ascii_start().first() == Some(&b'{');
    if object { serde_json::from_slice(line).ok() } else { None }
}

fn place(line: &[u8]) -> Option<Place> {
    #[derive(Deserialize)]
    struct Line {
        device_id: Option<i64>,
        lon: Option<f64>,
        lat: Option<f64>,
        visibility: Option<i64>,
        ts: String,
    }
    let Line { device_id, lon, lat, visibility, ts } = row(line)?;
    Some(Place { device_id, lon, lat, visibility, ts: text::parse_iso(&ts)? })
}
