//! The task: one file after another, in the order of their names.

use super::config::{Format, Settings};
use super::parquet::{Next, ParquetFile};
use super::paths::{self, Found};
use super::progress::{Progress, Work};
use super::text::{Piece, TextFile, Unusable};
use super::values::Made;
use bd_connect::sdk::{Batch, Polled, Rejected, SourceTask, StopFlag, TaskContext, TaskError};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

pub(super) struct Task {
    settings: Settings,
    stop: StopFlag,
    /// How far each file is read.
    known: BTreeMap<String, Progress>,
    /// Files in which there is something to do, and how they stood.
    queue: VecDeque<(String, Found)>,
    open: Option<(String, Open)>,
    looked: Option<Instant>,
    /// Files whose last line has no end yet: their size. Only once they grow there may be something to do.
    idle: HashMap<String, u64>,
    /// Parquet files that could not be read: they may still be being written.
    suspects: HashMap<String, (Found, Instant)>,
    /// The trouble that was told last.
    trouble: Option<String>,
}

enum Open {
    Text(TextFile),
    Parquet(ParquetFile, Progress),
}

impl Task {
    pub(super) fn new(settings: Settings, context: &TaskContext) -> Self {
        let known = context
            .offsets
            .iter()
            .filter_map(|(partition, offset)| {
                let partition: serde_json::Map<String, serde_json::Value> =
                    serde_json::from_str(partition).ok()?;
                Some((partition.get("file")?.as_str()?.to_owned(), Progress::of(offset)))
            })
            .collect();
        Self {
            settings,
            stop: context.stop.clone(),
            known,
            queue: VecDeque::new(),
            open: None,
            looked: None,
            idle: HashMap::new(),
            suspects: HashMap::new(),
            trouble: None,
        }
    }

    /// Looks which files there are, not more often than configured.
    fn look(&mut self) {
        if self.looked.is_some_and(|at| at.elapsed() < self.settings.poll_interval) {
            return;
        }
        self.looked = Some(Instant::now());
        let (found, trouble) = paths::find(&self.settings.files);
        if trouble != self.trouble {
            if let Some(trouble) = &trouble {
                tracing::warn!("{trouble}; looked for again every {:?}", self.settings.poll_interval);
            }
            self.trouble = trouble;
        }
        self.idle.retain(|path, _| found.contains_key(path));
        self.suspects.retain(|path, _| found.contains_key(path));
        for (path, found) in found {
            let format = self.settings.format_of(&path);
            let work = Progress::work(self.known.get(&path), found, format, self.settings.tail);
            if work != Work::Nothing && self.idle.get(&path) != Some(&found.size) {
                self.queue.push_back((path, found));
            }
        }
    }

    /// Opens the next file. What is found bad with it is given.
    fn open_next(&mut self) -> Result<Option<Polled>, TaskError> {
        let Some((path, found)) = self.queue.pop_front() else { return Ok(None) };
        let format = self.settings.format_of(&path);
        let known = self.known.get(&path);
        let Work::From(progress) = Progress::work(known, found, format, self.settings.tail) else {
            return Ok(None);
        };
        if known.is_some_and(|k| k.position > progress.position || k.rows > progress.rows) {
            tracing::warn!("{path} was written anew: it is read from its start");
        }
        if format == Format::Parquet {
            return Ok(self.open_parquet(path, found, progress));
        }
        match TextFile::open(&path, format, progress, &self.settings) {
            Ok(file) => self.open = Some((path, Open::Text(file))),
            Err(Unusable::Wait) => {
                self.idle.insert(path, found.size);
            }
            Err(Unusable::Io(e)) => return Err(unreadable(&path, &e)),
            Err(Unusable::Bad(reason)) => return Ok(Some(self.broken(path, progress, reason))),
        }
        Ok(None)
    }

    fn open_parquet(&mut self, path: String, found: Found, progress: Progress) -> Option<Polled> {
        let Settings { batch_size, schema_name, key_fields, .. } = &self.settings;
        match ParquetFile::open(&path, progress.rows, *batch_size, schema_name.as_deref(), key_fields) {
            Ok(file) => {
                self.suspects.remove(&path);
                self.open = Some((path, Open::Parquet(file, progress)));
                None
            }
            Err(reason) => {
                let seen = self.suspects.get(&path).filter(|(as_found, _)| *as_found == found);
                match seen {
                    Some((_, since)) if since.elapsed() >= self.settings.poll_interval => {
                        self.suspects.remove(&path);
                        Some(self.broken(
                            path,
                            progress,
                            format!("no Parquet file that can be read: {reason}"),
                        ))
                    }
                    Some(_) => None,
                    None => {
                        self.suspects.insert(path, (found, Instant::now()));
                        None
                    }
                }
            }
        }
    }

    /// A file that is rejected as a whole.
    fn broken(&mut self, path: String, progress: Progress, reason: String) -> Polled {
        let rejected = reject(&path, None, format!("{path}: {reason}"));
        let progress = Progress { position: progress.size, done: true, broken: true, ..progress };
        let made = Made { cells: None, rejected: vec![rejected] };
        self.polled(path, made, progress)
    }

    /// Reads on in the open file. `None` where it gave nothing.
    fn read(&mut self) -> Result<Option<Polled>, TaskError> {
        let Some((path, mut open)) = self.open.take() else { return Ok(None) };
        let piece = match &mut open {
            Open::Text(file) => file.read(&self.settings).map_err(|e| unreadable(&path, &e))?,
            Open::Parquet(file, progress) => parquet_piece(&path, file, *progress),
        };
        let moved = self.known.get(&path) != Some(&piece.progress);
        let empty = piece.made.cells.is_none() && piece.made.rejected.is_empty();
        if piece.end {
            self.idle.remove(&path);
            if piece.progress.position < piece.progress.size && !piece.progress.done {
                self.idle.insert(path.clone(), piece.progress.size);
            }
        } else {
            self.open = Some((path.clone(), open));
        }
        if empty && !(moved && piece.end) {
            return Ok(None);
        }
        Ok(Some(self.polled(path, piece.made, piece.progress)))
    }

    fn polled(&mut self, path: String, made: Made, progress: Progress) -> Polled {
        let batches = made.cells.into_iter().map(|(values, keys)| {
            Batch::new(std::sync::Arc::clone(&self.settings.topic), values).with_keys(keys)
        });
        let batches = batches.collect();
        let offsets = vec![(Progress::partition(&path), Some(progress.offset()))];
        self.known.insert(path, progress);
        Polled { batches, rejected: made.rejected, offsets }
    }
}

fn parquet_piece(path: &str, file: &mut ParquetFile, progress: Progress) -> Piece {
    let made = match file.next() {
        Next::Rows(values, keys) => Made { cells: Some((values, keys)), rejected: Vec::new() },
        Next::Broken(group, reason) => {
            let text = format!("{path}, row group {group} cannot be read: {reason}");
            Made { cells: None, rejected: vec![reject(path, Some(group), text)] }
        }
        Next::End => Made::default(),
    };
    let end = file.at_end();
    Piece { made, progress: Progress { rows: file.row(), done: end, ..progress }, end }
}

fn reject(path: &str, group: Option<usize>, reason: String) -> Rejected {
    let header = |name: &str, text: String| (name.to_owned(), Some(text.into_bytes()));
    let mut headers = vec![header("file", path.to_owned())];
    headers.extend(group.map(|g| header("row.group", g.to_string())));
    Rejected { index: 0, key: None, value: None, headers, reason }
}

fn unreadable(path: &str, error: &std::io::Error) -> TaskError {
    TaskError::Retriable(format!("{path} cannot be read: {error}"))
}

impl SourceTask for Task {
    fn poll(&mut self, wait: Duration) -> Result<Option<Polled>, TaskError> {
        let deadline = Instant::now() + wait;
        while !self.stop.is_set() {
            if self.open.is_some() {
                if let Some(polled) = self.read()? {
                    return Ok(Some(polled));
                }
                continue;
            }
            if self.queue.is_empty() {
                self.look();
            }
            if self.queue.is_empty() {
                let now = Instant::now();
                if now >= deadline {
                    return Ok(None);
                }
                std::thread::sleep((deadline - now).min(Duration::from_millis(20)));
            } else if let Some(polled) = self.open_next()? {
                return Ok(Some(polled));
            }
        }
        Ok(None)
    }
}
