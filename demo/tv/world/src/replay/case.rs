//! The folder of a case: its inputs as the servers take them.

use crate::mqtt::{Message, Outbox};
use crate::schedule::Channel;
use crate::users::Row;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const FILES: [&str; 5] =
    ["actions.jsonl", "users.jsonl", "channels.json", "ads.jsonl", "device_locations.jsonl"];

/// A case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Its folder, absolute.
    pub folder: PathBuf,
    /// Of the contents of its input files.
    pub fingerprint: String,
    /// How many lines of actions there are.
    pub actions: u64,
    /// How many lines of ads there are.
    pub ads: u64,
}

impl Case {
    /// The case in a folder.
    ///
    /// # Errors
    /// A file is missing or cannot be read.
    pub fn open(folder: &Path) -> Result<Self> {
        let folder = folder.canonicalize().with_context(|| format!("no such case: {}", folder.display()))?;
        let missing: Vec<&str> = FILES.into_iter().filter(|name| !folder.join(name).is_file()).collect();
        if !missing.is_empty() {
            bail!("{} is no case: {} is missing there", folder.display(), missing.join(", "));
        }
        let (mut hash, mut lines) = (0xcbf2_9ce4_8422_2325, [0; 5]);
        for (name, lines) in FILES.iter().zip(&mut lines) {
            *lines = scan(&folder.join(name), &mut hash)?;
        }
        Ok(Self { folder, fingerprint: format!("{hash:016x}"), actions: lines[0], ads: lines[3] })
    }

    /// The users, in the order of the file; of two with one id the later one holds.
    ///
    /// # Errors
    /// The file cannot be read. A line that is no user is left out: no row of a table can hold it.
    pub fn users(&self) -> Result<Vec<Row>> {
        #[derive(Deserialize)]
        struct Line {
            user_id: i64,
            name: Option<String>,
            age: Option<i64>,
            gender: Option<String>,
        }
        let path = self.folder.join("users.jsonl");
        let mut rows = Vec::new();
        for (number, line) in lines(&path)?.enumerate() {
            let line = line.with_context(|| format!("cannot read {}", path.display()))?;
            match serde_json::from_slice::<Line>(&line) {
                Ok(Line { user_id, name, age, gender }) => rows.push(Row { id: user_id, name, age, gender }),
                Err(error) => eprintln!("{}: line {} is no user: {error}", path.display(), number + 1),
            }
        }
        Ok(rows)
    }

    /// The channels with their schedules; of two with one id the later one holds.
    ///
    /// # Errors
    /// The file is no list of channels.
    pub fn channels(&self) -> Result<Vec<Channel>> {
        let path = self.folder.join("channels.json");
        let text = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let all: Vec<Channel> = serde_json::from_slice(&text)
            .with_context(|| format!("{} is no list of channels", path.display()))?;
        let last: BTreeMap<i64, usize> =
            all.iter().enumerate().map(|(place, c)| (c.channel_id, place)).collect();
        let of = |(place, channel): (usize, Channel)| {
            (last.get(&channel.channel_id) == Some(&place)).then_some(channel)
        };
        Ok(all.into_iter().enumerate().filter_map(of).collect())
    }

    /// How many rows the table of shows has when it is complete.
    ///
    /// # Errors
    /// As [`Case::channels`].
    pub fn shows(&self) -> Result<usize> {
        let mut count = 0;
        for channel in self.channels()? {
            for (_, programs) in channel.schedule.0 {
                count += programs.iter().filter_map(|p| p.start.as_deref()).collect::<HashSet<_>>().len();
            }
        }
        Ok(count)
    }
}

/// The lines of a file without their ends; empty ones are left out.
fn lines(path: &Path) -> Result<impl Iterator<Item = std::io::Result<Vec<u8>>> + use<>> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let lines = BufReader::with_capacity(1 << 20, file).split(b'\n');
    Ok(lines.filter(|line| !matches!(line, Ok(line) if line.is_empty())))
}

/// Adds a file to the fingerprint (FNV-1a) and counts its lines that are not empty.
fn scan(path: &Path, hash: &mut u64) -> Result<u64> {
    let mut file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let (mut buffer, mut count, mut inside) = (vec![0; 1 << 20], 0, false);
    loop {
        let read = file.read(&mut buffer).with_context(|| format!("cannot read {}", path.display()))?;
        if read == 0 {
            break;
        }
        for byte in &buffer[..read] {
            *hash = (*hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
            if *byte == b'\n' {
                count += u64::from(inside);
                inside = false;
            } else {
                inside = true;
            }
        }
    }
    *hash = (*hash ^ 0xff).wrapping_mul(0x100_0000_01b3);
    Ok(count + u64::from(inside))
}

/// The lines of `actions.jsonl` as messages, bytes as they are, each on the topic of its device. A line without a device, such as a
/// broken one, goes to `tv/unknown/actions`.
#[derive(Debug)]
pub struct CaseOutbox {
    path: PathBuf,
    reader: Option<BufReader<File>>,
    number: u64,
    /// Only messages before it are given.
    limit: Arc<AtomicU64>,
}

impl CaseOutbox {
    /// The messages of a file, none at or beyond number `limit`.
    pub fn new(path: &Path, limit: Arc<AtomicU64>) -> Self {
        Self { path: path.to_owned(), reader: None, number: 0, limit }
    }

    fn line(&mut self) -> Result<Option<Vec<u8>>> {
        let reader = match &mut self.reader {
            Some(reader) => reader,
            none => {
                let file =
                    File::open(&self.path).with_context(|| format!("cannot read {}", self.path.display()))?;
                none.insert(BufReader::with_capacity(1 << 20, file))
            }
        };
        loop {
            let mut line = Vec::new();
            let read = reader.read_until(b'\n', &mut line);
            if read.with_context(|| format!("cannot read {}", self.path.display()))? == 0 {
                return Ok(None);
            }
            if line.last() == Some(&b'\n') {
                line.pop();
            }
            if !line.is_empty() {
                self.number += 1;
                return Ok(Some(line));
            }
        }
    }
}

impl Outbox for CaseOutbox {
    fn next(&mut self) -> Result<Option<Message>> {
        if self.number >= self.limit.load(Ordering::Acquire) {
            return Ok(None);
        }
        Ok(self.line()?.map(|payload| Message { topic: topic(&payload), payload }))
    }

    fn seek(&mut self, number: u64) -> Result<()> {
        (self.reader, self.number) = (None, 0);
        while self.number < number {
            self.line()?.context("the case is shorter than what was sent of it")?;
        }
        Ok(())
    }

    fn let_go(&mut self, _number: u64) -> Result<()> {
        Ok(())
    }
}

fn topic(line: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Ids {
        device_id: Option<Value>,
    }
    let object = line.trim_ascii_start().first() == Some(&b'{');
    let id =
        if object { serde_json::from_slice::<Ids>(line).ok().and_then(|ids| ids.device_id) } else { None };
    match id {
        Some(Value::Number(id)) if id.is_i64() || id.is_u64() => format!("tv/{id}/actions"),
        _ => "tv/unknown/actions".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_goes_out_byte_by_byte_on_its_devices_topic() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("actions.jsonl");
        std::fs::write(
            &path,
            b"{\"device_id\": 9007199254740993}\n\n\xff\xfe{\"device_id\": 2\n{\"device_id\":\"x\"}",
        )
        .unwrap();
        let mut outbox = CaseOutbox::new(&path, Arc::new(AtomicU64::new(3)));
        let mut next = || outbox.next().unwrap().map(|m| (m.topic, m.payload));
        assert_eq!(
            next(),
            Some(("tv/9007199254740993/actions".into(), b"{\"device_id\": 9007199254740993}".to_vec()))
        );
        assert_eq!(next(), Some(("tv/unknown/actions".into(), b"\xff\xfe{\"device_id\": 2".to_vec())));
        assert_eq!(next().map(|m| m.0), Some("tv/unknown/actions".into()));
        assert_eq!(next(), None);
        outbox.seek(1).unwrap();
        assert!(outbox.next().unwrap().unwrap().payload.starts_with(b"\xff"));
    }

    #[test]
    fn nothing_is_sent_before_the_gate_opens() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("actions.jsonl");
        std::fs::write(&path, b"{}\n{}\n").unwrap();
        let limit = Arc::new(AtomicU64::new(0));
        let mut outbox = CaseOutbox::new(&path, limit.clone());
        assert_eq!(outbox.next().unwrap(), None);
        limit.store(1, Ordering::Release);
        assert!(outbox.next().unwrap().is_some());
        assert_eq!(outbox.next().unwrap(), None);
    }

    #[test]
    fn a_folder_without_a_file_is_no_case_and_other_contents_another_case() {
        let dir = tempfile::tempdir().unwrap();
        for name in FILES {
            std::fs::write(dir.path().join(name), b"[]\n").unwrap();
        }
        let case = Case::open(dir.path()).unwrap();
        assert_eq!((case.actions, case.ads, case.shows().unwrap()), (1, 1, 0));
        std::fs::write(dir.path().join("ads.jsonl"), b"[]\n\n{}").unwrap();
        let other = Case::open(dir.path()).unwrap();
        assert_eq!(other.ads, 2);
        assert_ne!(case.fingerprint, other.fingerprint);
        std::fs::remove_file(dir.path().join("ads.jsonl")).unwrap();
        let error = Case::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains("ads.jsonl is missing"), "{error}");
    }
}
