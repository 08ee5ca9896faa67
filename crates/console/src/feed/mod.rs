//! Feeds: what a page shows, kept up to date by one thread however many browsers look at it.
//!
//! ```text
//!  thread: page.step() ─▶ parts that changed ─▶ state (version) ─▶ watch ─▶ stream a browser: what changed since it was sent
//! ```
//! A browser that is slow skips versions; nothing is queued for it. The thread ends some seconds after the last one went.

mod dashboard;
mod pages;
mod sse;

pub(crate) use sse::response;

use crate::console::Shared;
use crate::panel::now_ms;
use indexmap::IndexMap;
use parking_lot::{Condvar, Mutex};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::sync::watch;

pub(crate) use pages::Asked;

/// Different pages that are watched at one time.
const MAX_FEEDS: usize = 64;
/// Streams that are open at one time.
const MAX_STREAMS: usize = 512;
/// A feed goes on for so long after its last viewer went: a page that is loaded again is there at once.
const LINGER: Duration = Duration::from_secs(10);

/// What a page is made of. Runs on a thread of its own and may block.
pub(crate) trait Page: Send {
    /// Brings its parts up to date; `publish` takes each part as it is now (equal ones are not sent). Says when to come again.
    fn step(&mut self, publish: &mut dyn FnMut(&str, Value)) -> Duration;
}

/// All feeds.
pub(crate) struct Feeds {
    feeds: Mutex<HashMap<Asked, Arc<Feed>>>,
    streams: Arc<AtomicUsize>,
    stopping: watch::Sender<bool>,
    /// Wakes threads when the console closes.
    wake: Arc<(Mutex<bool>, Condvar)>,
}

/// One page's state.
pub(crate) struct Feed {
    /// Tells this feed's versions from those of an earlier one of the same page.
    epoch: i64,
    state: Mutex<State>,
    version: watch::Sender<u64>,
    viewers: AtomicUsize,
}

#[derive(Default)]
struct State {
    version: u64,
    /// By name: the version of the last change, and the JSON.
    parts: IndexMap<String, (u64, String)>,
}

/// A viewer of a feed, for as long as it lives.
pub(crate) struct Viewing {
    feed: Arc<Feed>,
    streams: Arc<AtomicUsize>,
    stopping: watch::Receiver<bool>,
}

impl Drop for Viewing {
    fn drop(&mut self) {
        self.feed.viewers.fetch_sub(1, Ordering::SeqCst);
        self.streams.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Feeds {
    pub(crate) fn new() -> Self {
        Self {
            feeds: Mutex::default(),
            streams: Arc::default(),
            stopping: watch::Sender::new(false),
            wake: Arc::default(),
        }
    }

    /// Joins the feed of a page, which starts if nobody watches it yet. None where there are too many.
    pub(crate) fn view(&self, asked: &Asked, shared: &Arc<Shared>) -> Option<Viewing> {
        let mut feeds = self.feeds.lock();
        if *self.stopping.borrow() || self.streams.load(Ordering::SeqCst) >= MAX_STREAMS {
            return None;
        }
        let feed = match feeds.get(asked) {
            Some(feed) => feed.clone(),
            None if feeds.len() >= MAX_FEEDS => return None,
            None => {
                let feed = Arc::new(Feed::new());
                self.start(asked, &feed, shared)?;
                feeds.insert(asked.clone(), feed.clone());
                feed
            }
        };
        feed.viewers.fetch_add(1, Ordering::SeqCst);
        self.streams.fetch_add(1, Ordering::SeqCst);
        Some(Viewing { feed, streams: self.streams.clone(), stopping: self.stopping.subscribe() })
    }

    fn start(&self, asked: &Asked, feed: &Arc<Feed>, shared: &Arc<Shared>) -> Option<()> {
        let (asked, feed) = (asked.clone(), feed.clone());
        let (weak, wake) = (Arc::downgrade(shared), self.wake.clone());
        let name = "bd-console-feed".to_owned();
        let started = std::thread::Builder::new().name(name).spawn(move || run(&asked, &feed, &weak, &wake));
        started.map_err(|e| tracing::warn!("cannot start a thread for a page: {e}")).ok().map(|_| ())
    }

    /// Ends all streams and threads.
    pub(crate) fn close(&self) {
        let _ = self.stopping.send_replace(true);
        *self.wake.0.lock() = true;
        self.wake.1.notify_all();
    }

    /// Feeds and streams at work.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.feeds.lock().len(), self.streams.load(Ordering::SeqCst))
    }

    /// Takes a feed away unless somebody watches it.
    fn retire(&self, asked: &Asked, feed: &Arc<Feed>) -> bool {
        let mut feeds = self.feeds.lock();
        let unwatched = feed.viewers.load(Ordering::SeqCst) == 0;
        if unwatched && feeds.get(asked).is_some_and(|f| Arc::ptr_eq(f, feed)) {
            feeds.remove(asked);
        }
        unwatched
    }
}

fn run(asked: &Asked, feed: &Arc<Feed>, shared: &Weak<Shared>, wake: &(Mutex<bool>, Condvar)) {
    let Some(mut page) = shared.upgrade().map(|s| asked.page(&s)) else { return };
    let mut watched = Instant::now();
    loop {
        let pause = page.step(&mut |part, value| feed.publish(part, &value));
        let Some(shared) = shared.upgrade() else { return };
        if feed.viewers.load(Ordering::SeqCst) > 0 {
            watched = Instant::now();
        } else if watched.elapsed() >= LINGER && shared.feeds.retire(asked, feed) {
            return;
        }
        drop(shared);
        let mut closed = wake.0.lock();
        if !*closed {
            let _ = wake.1.wait_for(&mut closed, pause);
        }
        if *closed {
            return;
        }
    }
}

impl Feed {
    fn new() -> Self {
        let state = Mutex::default();
        Self { epoch: now_ms(), state, version: watch::Sender::new(0), viewers: AtomicUsize::new(0) }
    }

    fn publish(&self, part: &str, value: &Value) {
        let text = value.to_string();
        let mut state = self.state.lock();
        if state.parts.get(part).is_some_and(|(_, before)| *before == text) {
            return;
        }
        state.version += 1;
        let version = state.version;
        state.parts.insert(part.to_owned(), (version, text));
        drop(state);
        self.version.send_replace(version);
    }

    /// What changed after `version`, with the version that it leads to.
    fn since(&self, version: u64) -> (u64, String) {
        let state = self.state.lock();
        let changed = state.parts.iter().filter(|(_, (at, _))| *at > version);
        let parts: Vec<String> =
            changed.map(|(name, (_, json))| format!("{}:{json}", Value::from(name.as_str()))).collect();
        (state.version, format!("{{\"at\":{},\"parts\":{{{}}}}}", now_ms(), parts.join(",")))
    }
}

#[cfg(test)]
#[path = "feed_tests.rs"]
mod tests;
