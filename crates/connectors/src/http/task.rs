//! The task: what is due is asked for, in turn, within the rate limit.

use super::client::{Answer, Client};
use super::page::{self, Page, Record};
use super::settings::Settings;
use bd_connect::sdk::{
    Batch, Cells, ConnectSchema, Polled, Rejected, SourceOffset, SourcePartition, SourceTask, StopFlag,
    TaskContext, TaskError,
};
use bd_schema::{DataType, Value as Datum};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A poll ends when it has so many records.
const MAX_RECORDS: usize = 5_000;
/// What is kept of input that cannot be used.
const MAX_REJECTED: usize = 64 << 10;
/// How long a sleep may be before the stop flag is looked at.
const SLICE: Duration = Duration::from_millis(50);

/// A task of the HTTP source.
pub(super) struct HttpTask {
    settings: Settings,
    client: Client,
    feeds: Vec<Feed>,
    /// Which feed to look at first.
    turn: usize,
    /// No request before.
    next_request: Instant,
    key_schema: Arc<ConnectSchema>,
    topic: Arc<str>,
    stop: StopFlag,
    /// A failure that came when other records had gathered.
    failed: Option<TaskError>,
}

/// What is polled with an offset of its own: an entity, or all there is.
struct Feed {
    entity: Map<String, Value>,
    partition: SourcePartition,
    offset: SourceOffset,
    due: Instant,
}

impl HttpTask {
    /// Opens a task; nothing is asked for yet.
    ///
    /// # Errors
    /// [`TaskError::Fatal`]: the configuration is wrong.
    pub(super) fn open(context: &TaskContext) -> Result<Self, TaskError> {
        let settings = Settings::read(&context.config)?;
        let now = Instant::now();
        let feed = |entity: Map<String, Value>, partition: SourcePartition| Feed {
            entity,
            offset: context.offset(&partition).unwrap_or(&settings.initial).clone(),
            partition,
            due: now,
        };
        let feeds: Vec<Feed> = if settings.entities.is_empty() {
            let name = Map::from_iter([("connector".to_owned(), context.connector.as_str().into())]);
            vec![feed(Map::new(), name)]
        } else {
            settings.entities.iter().map(|e| feed(e.clone(), e.clone())).collect()
        };
        Ok(Self {
            client: Client::new(&settings)?,
            // Not always the same: one that fails each time must not starve those behind it.
            turn: rand::random_range(0..feeds.len()),
            feeds,
            next_request: now,
            key_schema: Arc::new(ConnectSchema::single(DataType::Varchar)),
            topic: settings.topic.as_str().into(),
            stop: context.stop.clone(),
            settings,
            failed: None,
        })
    }

    /// The feed that is due next, and when.
    fn next(&self) -> (usize, Instant) {
        let count = self.feeds.len();
        let first = (0..count).map(|i| (self.turn + i) % count).min_by_key(|at| self.feeds[*at].due);
        let at = first.unwrap_or(0);
        let due = self.feeds.get(at).map_or(self.next_request, |f| f.due);
        (at, due.max(self.next_request))
    }

    /// Asks for one feed.
    fn ask(&mut self, at: usize, gathered: &mut Gathered) -> Result<(), TaskError> {
        let feed = &mut self.feeds[at];
        let now = Instant::now();
        self.turn = at + 1;
        self.next_request = now + self.settings.spacing;
        feed.due = now + self.settings.interval;
        let body = match self.client.get(&self.settings, &feed.entity, &feed.offset)? {
            Answer::Skip => return Ok(()),
            Answer::Body(body) => body,
            Answer::TooLong(start) => {
                let reason = format!(
                    "the response is over http.response.max.bytes ({})",
                    self.settings.response.max_bytes
                );
                gathered.reject(feed, start, reason);
                return Ok(());
            }
        };
        match page::read(&body, &self.settings.response, &feed.offset) {
            Err(reason) => gathered.reject(feed, body, reason),
            Ok(page) => {
                if !page.records.is_empty() || !page.rejected.is_empty() {
                    feed.due = now + self.settings.catchup.min(self.settings.interval);
                }
                gathered.take(feed, page);
            }
        }
        Ok(())
    }

    fn polled(&self, gathered: Gathered) -> Polled {
        let mut batches = Vec::new();
        if !gathered.records.is_empty() {
            let mut values = Vec::with_capacity(gathered.records.len());
            let (mut keys, mut timestamps) = (Vec::new(), Vec::new());
            for record in gathered.records {
                values.push(Some(record.value));
                keys.push(record.key.map(|key| vec![Datum::Varchar(key)]));
                timestamps.extend(record.timestamp);
            }
            let mut batch = Batch::new(self.topic.clone(), Cells::Bytes(values));
            if self.settings.response.key.is_some() {
                batch.keys = Cells::Rows { schema: self.key_schema.clone(), rows: keys };
            }
            // All have one, or none has: a record without one is rejected where they shall have one.
            batch.timestamps = timestamps;
            batches.push(batch);
        }
        Polled { batches, rejected: gathered.rejected, offsets: gathered.offsets }
    }
}

impl SourceTask for HttpTask {
    fn poll(&mut self, wait: Duration) -> Result<Option<Polled>, TaskError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let deadline = Instant::now() + wait;
        let mut gathered = Gathered::default();
        let mut asked = false;
        while !self.stop.is_set() && !gathered.is_full() {
            let (at, due) = self.next();
            let now = Instant::now();
            // What one feed brings is one transaction at least; many feeds that bring little share one.
            let enough = !gathered.is_empty() && (self.feeds.len() == 1 || due > now);
            if enough || asked && now >= deadline {
                break;
            }
            if due > now {
                if now >= deadline {
                    break;
                }
                std::thread::sleep((due.min(deadline) - now).min(SLICE));
                continue;
            }
            asked = true;
            match self.ask(at, &mut gathered) {
                Ok(()) => {}
                Err(error) if gathered.is_empty() => return Err(error),
                Err(error) => {
                    self.failed = Some(error);
                    break;
                }
            }
        }
        Ok((!gathered.is_empty()).then(|| self.polled(gathered)))
    }
}

/// What a poll has gathered.
#[derive(Default)]
struct Gathered {
    records: Vec<Record>,
    rejected: Vec<Rejected>,
    offsets: Vec<(SourcePartition, Option<SourceOffset>)>,
}

impl Gathered {
    fn is_empty(&self) -> bool {
        self.rejected.is_empty() && self.offsets.is_empty()
    }

    fn is_full(&self) -> bool {
        self.records.len() + self.rejected.len() >= MAX_RECORDS
    }

    fn take(&mut self, feed: &mut Feed, page: Page) {
        self.records.extend(page.records);
        for (value, reason) in page.rejected {
            self.reject(feed, value, reason);
        }
        if page.offset != feed.offset {
            feed.offset = page.offset;
            self.offsets.retain(|(partition, _)| *partition != feed.partition);
            self.offsets.push((feed.partition.clone(), Some(feed.offset.clone())));
        }
    }

    fn reject(&mut self, feed: &Feed, mut value: Vec<u8>, reason: String) {
        let whole = value.len();
        value.truncate(MAX_REJECTED);
        let header = |name: &str, value: String| (name.to_owned(), Some(value.into_bytes()));
        let json = |map: &Map<String, Value>| serde_json::to_string(map).unwrap_or_default();
        let mut headers =
            vec![header("http.partition", json(&feed.partition)), header("http.offset", json(&feed.offset))];
        if whole > MAX_REJECTED {
            headers.push(header("http.length", whole.to_string()));
        }
        self.rejected.push(Rejected { index: 0, key: None, value: Some(value), headers, reason });
    }
}
