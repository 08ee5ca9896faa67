//! The task: rows at their pace.

use super::config::Settings;
use super::numbers::Context;
use bd_connect::sdk::{
    Batch, Cells, Header, Polled, SourceOffset, SourcePartition, SourceTask, StopFlag, TaskContext, TaskError,
};
use bd_schema::{Row, Value};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value as Json};
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The most records of one poll.
const MAX_ROWS: usize = 1000;
/// What is late by more is not made up for.
const MAX_LATE: Duration = Duration::from_secs(1);

pub(super) struct Task {
    settings: Settings,
    stop: StopFlag,
    id: usize,
    generation: u64,
    /// The number of the next row.
    next: u64,
    seed: i64,
    /// When the connector first began, ms since epoch.
    started: i64,
    /// When the next row is due.
    due: Instant,
}

impl Task {
    pub(super) fn new(settings: Settings, context: &TaskContext) -> Self {
        let offset = context.offset(&partition(context.task));
        let number = |key: &str| offset.and_then(|o| o.get(key)).and_then(Json::as_i64);
        let seed = number("random.seed").or(settings.seed);
        Self {
            generation: number("task.generation").map_or(0, |g| g.max(0) as u64),
            next: number("current.iteration").map_or(0, |n| n.max(0) as u64),
            // The standard library's only source of randomness.
            seed: seed.unwrap_or_else(|| (RandomState::new().hash_one(context.task) >> 1) as i64),
            started: number("started").unwrap_or_else(now),
            stop: context.stop.clone(),
            id: context.task,
            due: Instant::now(),
            settings,
        }
    }

    /// A generator for a row; `stream` tells apart what is drawn with it.
    fn random(&self, stream: u64) -> ChaCha8Rng {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed as u64 ^ (self.id as u64).rotate_left(48));
        random.set_stream(self.next.wrapping_mul(2).wrapping_add(stream));
        random
    }

    /// The next row.
    fn row(&self) -> Row {
        let mut random = self.random(0);
        let mut context = Context { random: &mut random, row: self.next, now: now(), started: self.started };
        match self.settings.record.draw(&mut context) {
            Value::Struct(row) => row,
            other => vec![other],
        }
    }

    /// The pause after this row.
    fn pause(&self) -> Duration {
        self.settings.max_interval.mul_f64(self.random(1).random())
    }

    fn headers(&self) -> Vec<Header> {
        let header = |name: &str, value: u64| (name.to_owned(), Some(value.to_string().into_bytes()));
        vec![
            header("task.generation", self.generation),
            header("task.id", self.id as u64),
            header("current.iteration", self.next),
        ]
    }

    /// Where the task stands; its next start is of the next generation.
    fn offset(&self) -> SourceOffset {
        let entries = [
            ("task.generation", Json::from(self.generation + 1)),
            ("current.iteration", self.next.into()),
            ("random.seed", self.seed.into()),
            ("started", self.started.into()),
        ];
        entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn at_end(&self) -> bool {
        self.settings.iterations.is_some_and(|n| self.next >= n)
    }
}

/// The source partition of a task.
fn partition(task: usize) -> SourcePartition {
    Map::from_iter([("task.id".to_owned(), Json::from(task))])
}

/// ms since epoch.
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
}

impl SourceTask for Task {
    fn poll(&mut self, wait: Duration) -> Result<Option<Polled>, TaskError> {
        if let (true, Some(count)) = (self.at_end(), self.settings.iterations) {
            return Err(TaskError::Fatal(format!(
                "Stopping connector: generated the configured {count} number of messages"
            )));
        }
        let deadline = Instant::now() + wait;
        loop {
            let now = Instant::now();
            if self.stop.is_set() || (now < self.due && now >= deadline) {
                return Ok(None);
            }
            if now >= self.due {
                break;
            }
            std::thread::sleep((self.due.min(deadline) - now).min(Duration::from_millis(20)));
        }
        let now = Instant::now();
        self.due = self.due.max(now.checked_sub(MAX_LATE).unwrap_or(now));
        let (mut rows, mut keys, mut headers) = (Vec::new(), Vec::new(), Vec::new());
        while rows.len() < MAX_ROWS && self.due <= now && !self.at_end() {
            let row = self.row();
            if let Some((column, _)) = &self.settings.key {
                keys.push(row.get(*column).map(|value| vec![value.clone()]));
            }
            rows.push(Some(row));
            headers.push(self.headers());
            self.due += self.pause();
            self.next += 1;
        }
        let values = Cells::Rows { schema: Arc::clone(&self.settings.schema), rows };
        let mut batch = Batch::new(Arc::clone(&self.settings.topic), values);
        if let Some((_, schema)) = &self.settings.key {
            batch = batch.with_keys(Cells::Rows { schema: Arc::clone(schema), rows: keys });
        }
        batch.headers = headers;
        let offsets = vec![(partition(self.id), Some(self.offset()))];
        Ok(Some(Polled { batches: vec![batch], rejected: Vec::new(), offsets }))
    }
}
