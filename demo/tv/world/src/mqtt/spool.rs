//! Messages on disk until the broker has them: a bounded queue in segments.
//!
//! A segment is a file named by the number of its first message. A message in it is: the length of what follows (4 bytes, little
//! endian), the length of the topic (2 bytes), the topic, the payload. A kill may leave a part of a message at the end of the last
//! segment; it was never promised and is cut off at the next start. Segments whose messages are all complete are deleted.

use super::Message;
use super::publisher::Outbox;
use anyhow::{Context, Result, bail};
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A segment takes messages up to about this size (bytes).
const SEGMENT: u64 = 4 << 20;
/// A message is at most so large (bytes).
const MOST: usize = 1 << 20;

#[derive(Debug, Clone, Copy)]
struct Segment {
    first: u64,
    bytes: u64,
}

#[derive(Debug)]
struct Inner {
    segments: VecDeque<Segment>,
    file: File,
    next: u64,
    let_go: u64,
}

/// The writing side; clones write to the same spool.
#[derive(Debug, Clone)]
pub struct Spool {
    folder: Arc<Path>,
    limit: u64,
    inner: Arc<Mutex<Inner>>,
}

impl Spool {
    /// The spool in that folder; it takes no more messages while it holds `limit` bytes.
    ///
    /// # Errors
    /// The file system's.
    pub fn open(folder: &Path, limit: u64) -> Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let mut firsts = Vec::new();
        for entry in std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            firsts.extend(name.strip_suffix(".spool").and_then(|first| first.parse::<u64>().ok()));
        }
        firsts.sort_unstable();
        let mut segments: VecDeque<Segment> = VecDeque::new();
        for first in &firsts {
            let bytes = path_of(folder, *first).metadata()?.len();
            segments.push_back(Segment { first: *first, bytes });
        }
        let next = match segments.back_mut() {
            Some(last) => {
                let (count, bytes) = whole(&path_of(folder, last.first))?;
                last.bytes = bytes;
                last.first + count
            }
            None => {
                segments.push_back(Segment { first: 0, bytes: 0 });
                0
            }
        };
        let Some(last) = segments.back().copied() else { bail!("no segment") };
        let file = appender(folder, last)?;
        let let_go = segments.front().map_or(0, |s| s.first);
        let inner = Arc::new(Mutex::new(Inner { segments, file, next, let_go }));
        Ok(Self { folder: folder.into(), limit, inner })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // What is in it is whole after each step.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many messages wait.
    pub fn waiting(&self) -> u64 {
        let inner = self.inner();
        inner.next - inner.let_go.min(inner.next)
    }

    /// Whether there is room for another message.
    pub fn has_room(&self) -> bool {
        self.inner().segments.iter().map(|s| s.bytes).sum::<u64>() < self.limit
    }

    /// Takes a message. When this returns, a kill of the process does not lose it. The limit is not looked at.
    ///
    /// # Errors
    /// The file system's; a message of over a MB.
    pub fn append(&self, message: &Message) -> Result<()> {
        let (topic, payload) = (message.topic.as_bytes(), &message.payload);
        let length = 2 + topic.len() + payload.len();
        if length > MOST || topic.len() > usize::from(u16::MAX) {
            bail!("a message of {length} bytes is too large");
        }
        let mut bytes = Vec::with_capacity(length + 4);
        bytes.extend((length as u32).to_le_bytes());
        bytes.extend((topic.len() as u16).to_le_bytes());
        bytes.extend_from_slice(topic);
        bytes.extend_from_slice(payload);
        let mut inner = self.inner();
        if inner.segments.back().is_some_and(|last| last.bytes >= SEGMENT) {
            let segment = Segment { first: inner.next, bytes: 0 };
            inner.file = appender(&self.folder, segment)?;
            inner.segments.push_back(segment);
        }
        inner.file.write_all(&bytes).context("cannot write to the spool")?;
        inner.next += 1;
        if let Some(last) = inner.segments.back_mut() {
            last.bytes += bytes.len() as u64;
        }
        Ok(())
    }

    /// The reading side.
    pub fn reader(&self) -> SpoolReader {
        SpoolReader { spool: self.clone(), number: 0, open: None }
    }
}

/// Reads a spool in order.
#[derive(Debug)]
pub struct SpoolReader {
    spool: Spool,
    number: u64,
    /// The first message of the open segment, and the segment.
    open: Option<(u64, BufReader<File>)>,
}

impl SpoolReader {
    /// The segment that holds the next message, opened.
    fn segment(&mut self) -> Result<&mut BufReader<File>> {
        let first = {
            let inner = self.spool.inner();
            inner.segments.iter().rev().map(|s| s.first).find(|first| *first <= self.number)
        };
        let first = first.with_context(|| format!("message {} is not in the spool any more", self.number))?;
        let (at, reader) = match self.open.take() {
            Some((at, reader)) if at == first => (at, reader),
            _ => {
                let path = path_of(&self.spool.folder, first);
                let file = File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
                let mut reader = BufReader::new(file);
                for _ in first..self.number {
                    take(&mut reader).context("the spool is shorter than it was")?;
                }
                (first, reader)
            }
        };
        Ok(&mut self.open.insert((at, reader)).1)
    }
}

impl Outbox for SpoolReader {
    fn next(&mut self) -> Result<Option<Message>> {
        if self.number >= self.spool.inner().next {
            return Ok(None);
        }
        let message = take(self.segment()?).context("cannot read the spool")?;
        self.number += 1;
        Ok(Some(message))
    }

    fn seek(&mut self, number: u64) -> Result<()> {
        self.open = None;
        self.number = number;
        let mut inner = self.spool.inner();
        if number > inner.next {
            // The spool was deleted, the cursor was not: go on with the numbers.
            let segment = Segment { first: number, bytes: 0 };
            inner.file = appender(&self.spool.folder, segment)?;
            inner.segments.push_back(segment);
            inner.next = number;
        }
        inner.let_go = number;
        Ok(())
    }

    fn let_go(&mut self, number: u64) -> Result<()> {
        let mut inner = self.spool.inner();
        inner.let_go = number;
        while inner.segments.get(1).is_some_and(|second| second.first <= number) {
            if let Some(first) = inner.segments.pop_front() {
                let path = path_of(&self.spool.folder, first.first);
                std::fs::remove_file(&path).with_context(|| format!("cannot delete {}", path.display()))?;
            }
        }
        Ok(())
    }
}

fn path_of(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:020}.spool"))
}

/// Opens a segment behind its whole messages.
fn appender(folder: &Path, segment: Segment) -> Result<File> {
    let path = path_of(folder, segment.first);
    let mut options = OpenOptions::new();
    let opened = options.write(true).create(true).truncate(false).open(&path).and_then(|mut file| {
        file.set_len(segment.bytes)?;
        file.seek(SeekFrom::Start(segment.bytes))?;
        Ok(file)
    });
    opened.with_context(|| format!("cannot write {}", path.display()))
}

/// How many whole messages a segment holds, and their bytes.
fn whole(path: &Path) -> Result<(u64, u64)> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut reader = BufReader::new(file);
    let (mut count, mut bytes) = (0, 0);
    while let Ok(message) = take(&mut reader) {
        count += 1;
        bytes += (4 + 2 + message.topic.len() + message.payload.len()) as u64;
    }
    Ok((count, bytes))
}

fn take(reader: &mut impl Read) -> Result<Message> {
    let (mut length, mut topic) = ([0; 4], [0; 2]);
    reader.read_exact(&mut length)?;
    reader.read_exact(&mut topic)?;
    let (length, topic) = (u32::from_le_bytes(length) as usize, usize::from(u16::from_le_bytes(topic)));
    if length > MOST || length < 2 + topic {
        bail!("a message of {length} bytes");
    }
    let mut bytes = vec![0; length - 2];
    reader.read_exact(&mut bytes)?;
    let payload = bytes.split_off(topic);
    Ok(Message { topic: String::from_utf8(bytes)?, payload })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(n: u64) -> Message {
        Message { topic: format!("tv/{n}/actions"), payload: vec![b'x'; 100 + (n % 7) as usize] }
    }

    #[test]
    fn what_was_promised_is_there_after_a_kill_and_a_part_of_a_message_is_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path(), 1 << 30).unwrap();
        (0..10).for_each(|n| spool.append(&message(n)).unwrap());
        drop(spool);
        let path = path_of(dir.path(), 0);
        let whole = std::fs::read(&path).unwrap();
        for cut in 1..40 {
            std::fs::write(&path, &whole[..whole.len() - cut]).unwrap();
            let spool = Spool::open(dir.path(), 1 << 30).unwrap();
            spool.append(&message(77)).unwrap();
            let mut reader = spool.reader();
            reader.seek(8).unwrap();
            assert_eq!(reader.next().unwrap(), Some(message(8)));
            assert_eq!(reader.next().unwrap(), Some(message(77)), "cut by {cut}");
            assert_eq!(reader.next().unwrap(), None);
        }
    }

    #[test]
    fn segments_are_deleted_when_all_of_theirs_is_let_go_and_a_full_spool_has_no_room() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path(), 3 * SEGMENT).unwrap();
        let mut count = 0;
        while spool.has_room() {
            spool.append(&Message { topic: "t".into(), payload: vec![0; 100_000] }).unwrap();
            count += 1;
        }
        let files = || std::fs::read_dir(dir.path()).unwrap().count();
        assert!(files() >= 3);
        let mut reader = spool.reader();
        let mut read = 0;
        while reader.next().unwrap().is_some() {
            read += 1;
        }
        assert_eq!(read, count);
        reader.let_go(count).unwrap();
        assert_eq!(files(), 1);
        assert!(spool.has_room());
        assert_eq!(spool.waiting(), 0);
        drop((reader, spool));
        let spool = Spool::open(dir.path(), 3 * SEGMENT).unwrap();
        spool.append(&message(5)).unwrap();
        let mut reader = spool.reader();
        reader.seek(count).unwrap();
        assert_eq!(reader.next().unwrap(), Some(message(5)));
    }
}
