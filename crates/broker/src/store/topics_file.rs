//! Which topics there are: `meta/topics.json`, and behind it the changes since it was written in `meta/topics.log`.
//!
//! A change costs one fsync and as many bytes as it has, however many topics there are. A line of the log is
//! ```text
//! <CRC-32C of what follows, 8 hex digits> {"n":17,"name":"events","topic":{"id":...,"partitions":3,"configs":{}}}
//! ```
//! with `"topic":null` for a topic that is gone. Lines up to `applied` of `topics.json` are in it already: after a crash between
//! its replacement and the cut of the log they are read again without effect. The last lines may be torn: what they say was
//! not acknowledged. A bad line before a good one is damage.

use super::meta::{MetaStore, TopicEntry, TopicsFile};
use crate::error::BrokerError;
use bd_log::{FsFile, OpenMode};
use serde::{Deserialize, Serialize};
use std::io;
use std::sync::Arc;

const FILE: &str = "topics.json";
const LOG: &str = "topics.log";
/// The log may be so long, or twice as long as `topics.json`, before that is written anew.
const LEAST_LOG: u64 = 256 << 10;

/// One line.
#[derive(Serialize, Deserialize)]
struct Line {
    n: u64,
    name: String,
    topic: Option<TopicEntry>,
}

/// A topic as it shall be; `None`: gone.
pub(crate) type Change = (String, Option<TopicEntry>);

/// The two files, and what they say.
pub(crate) struct TopicsStore {
    meta: MetaStore,
    file: TopicsFile,
    log: Arc<dyn FsFile>,
    log_len: u64,
    json_len: u64,
    /// The number of the next line.
    next: u64,
    /// A write failed: what the log holds is not known, `topics.json` is written anew.
    unsure: bool,
}

impl TopicsStore {
    /// Reads the files, or makes them.
    pub(crate) fn open(meta: MetaStore) -> Result<Self, BrokerError> {
        let mut file: TopicsFile = meta.load(FILE)?.unwrap_or_default();
        let path = meta.dir().join(LOG);
        let failed = |what| {
            let path = path.clone();
            move |source| BrokerError::Io { what, path, source }
        };
        let log = match meta.fs().open(&path, OpenMode::ReadWrite) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let log = meta.fs().open(&path, OpenMode::Create).map_err(failed("cannot create"))?;
                meta.fs().sync_dir(meta.dir()).map_err(failed("cannot create"))?;
                log
            }
            other => other.map_err(failed("cannot open"))?,
        };
        let mut bytes = Vec::new();
        let len = log.len().map_err(failed("cannot read"))?;
        log.read_at(0, len as usize, &mut bytes).map_err(failed("cannot read"))?;
        let (lines, whole) =
            parse(&bytes).map_err(|reason| BrokerError::Damaged { path: path.clone(), reason })?;
        if whole < bytes.len() {
            tracing::warn!(file = %path.display(), bytes = bytes.len() - whole, "cut off an unfinished write");
            log.set_len(whole as u64).map_err(failed("cannot cut"))?;
        }
        let mut next = file.applied + 1;
        for line in lines {
            next = next.max(line.n + 1);
            if line.n > file.applied {
                apply(&mut file, line.name, line.topic);
            }
        }
        let json_len = serde_json::to_vec(&file).map_or(0, |json| json.len() as u64);
        Ok(Self { meta, file, log, log_len: whole as u64, json_len, next, unsure: false })
    }

    /// The topics there are.
    pub(crate) fn topics(&self) -> &std::collections::BTreeMap<String, TopicEntry> {
        &self.file.topics
    }

    /// Changes topics, all or none; durable when this returns.
    pub(crate) fn commit(&mut self, changes: Vec<Change>) -> Result<(), BrokerError> {
        let first = self.next;
        self.next += changes.len() as u64;
        if self.unsure || self.log_len > LEAST_LOG.max(2 * self.json_len) {
            return self.rewrite(changes);
        }
        let mut bytes = Vec::new();
        for (n, (name, topic)) in (first..).zip(&changes) {
            let line = Line { n, name: name.clone(), topic: topic.clone() };
            let json = serde_json::to_string(&line).map_err(|e| self.failed(io::Error::other(e)))?;
            bytes.extend_from_slice(format!("{:08x} {json}\n", crc32c::crc32c(json.as_bytes())).as_bytes());
        }
        let written = self.log.write_all_at(self.log_len, &bytes).and_then(|()| self.log.sync());
        if let Err(error) = written {
            self.unsure = true;
            return Err(self.failed(error));
        }
        self.log_len += bytes.len() as u64;
        changes.into_iter().for_each(|(name, topic)| apply(&mut self.file, name, topic));
        Ok(())
    }

    /// Writes `topics.json` with the changes, and starts the log anew.
    fn rewrite(&mut self, changes: Vec<Change>) -> Result<(), BrokerError> {
        let mut file = self.file.clone();
        changes.into_iter().for_each(|(name, topic)| apply(&mut file, name, topic));
        file.applied = self.next - 1;
        self.unsure = true;
        self.meta.store(FILE, &file)?;
        self.json_len = serde_json::to_vec(&file).map_or(0, |json| json.len() as u64);
        self.file = file;
        match self.log.set_len(0) {
            Ok(()) => {
                self.log_len = 0;
                self.unsure = false;
            }
            Err(error) => {
                tracing::warn!(%error, "cannot cut the log of topics, it is written anew each time")
            }
        }
        Ok(())
    }

    fn failed(&self, source: io::Error) -> BrokerError {
        BrokerError::Io { what: "cannot write", path: self.meta.dir().join(LOG), source }
    }
}

fn apply(file: &mut TopicsFile, name: String, topic: Option<TopicEntry>) {
    match topic {
        Some(topic) => file.topics.insert(name, topic),
        None => file.topics.remove(&name),
    };
}

/// The lines that are whole, and their length in bytes.
fn parse(bytes: &[u8]) -> Result<(Vec<Line>, usize), String> {
    let (mut lines, mut whole, mut at) = (Vec::new(), 0, 0);
    let mut bad = None;
    for line in bytes.split_inclusive(|b| *b == b'\n') {
        let start = at;
        at += line.len();
        match parse_line(line) {
            // What lies behind a cut that was not durable has lower numbers than what was written over it.
            Some(line) if lines.last().is_some_and(|last: &Line| line.n <= last.n) => break,
            Some(_) if bad.is_some() => {
                return Err(format!("the line at byte {} does not match its checksum", bad.unwrap_or(0)));
            }
            Some(line) => {
                lines.push(line);
                whole = at;
            }
            None => bad = bad.or(Some(start)),
        }
    }
    Ok((lines, whole))
}

fn parse_line(line: &[u8]) -> Option<Line> {
    let line = std::str::from_utf8(line.strip_suffix(b"\n")?).ok()?;
    let (crc, json) = line.split_once(' ')?;
    let crc = u32::from_str_radix(crc, 16).ok()?;
    (crc == crc32c::crc32c(json.as_bytes())).then(|| serde_json::from_str(json).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use bd_log::RealFs;
    use std::path::Path;

    fn open(dir: &Path) -> Result<TopicsStore, BrokerError> {
        TopicsStore::open(MetaStore::open(Arc::new(RealFs), dir).unwrap())
    }

    fn entry(partitions: i32) -> TopicEntry {
        TopicEntry { id: uuid::Uuid::new_v4(), partitions, configs: Default::default() }
    }

    fn names(store: &TopicsStore) -> Vec<String> {
        store.topics().keys().cloned().collect()
    }

    #[test]
    fn changes_are_there_after_a_start_and_torn_ones_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path()).unwrap();
        store.commit(vec![("a".into(), Some(entry(1))), ("b".into(), Some(entry(2)))]).unwrap();
        store.commit(vec![("a".into(), None)]).unwrap();
        drop(store);
        let log = dir.path().join("meta/topics.log");
        let mut bytes = std::fs::read(&log).unwrap();
        bytes.extend_from_slice(b"0123abcd {\"n\":9,\"na");
        std::fs::write(&log, &bytes).unwrap();
        let mut store = open(dir.path()).unwrap();
        assert_eq!(names(&store), ["b"]);
        store.commit(vec![("c".into(), Some(entry(1)))]).unwrap();
        assert_eq!(names(&open(dir.path()).unwrap()), ["b", "c"]);
    }

    #[test]
    fn a_damaged_line_before_a_good_one_is_an_error_that_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path()).unwrap();
        store.commit(vec![("a".into(), Some(entry(1))), ("b".into(), Some(entry(2)))]).unwrap();
        let log = dir.path().join("meta/topics.log");
        let mut bytes = std::fs::read(&log).unwrap();
        bytes[20] ^= 1;
        std::fs::write(&log, &bytes).unwrap();
        let error = open(dir.path()).err().unwrap().to_string();
        assert!(error.contains("topics.log") && error.contains("byte 0"), "{error}");
    }

    #[test]
    fn the_log_is_folded_into_the_file_before_it_grows_without_end() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path()).unwrap();
        let many = |from: u32| (from..from + 1000).map(|i| (format!("t{i}"), Some(entry(1)))).collect();
        for round in 0..4 {
            store.commit(many(round * 1000)).unwrap();
        }
        let length = |name: &str| std::fs::metadata(dir.path().join("meta").join(name)).unwrap().len();
        assert!(length("topics.log") <= LEAST_LOG && length("topics.json") > 0);
        // As after a crash before the log was cut: old lines have no effect.
        store.commit(vec![("t0".into(), None)]).unwrap();
        assert_eq!(open(dir.path()).unwrap().topics().len(), 3999);
    }
}
