//! The sessions that there are, at most `max.incremental.fetch.session.cache.slots`.
//!
//! Like Kafka's, a full cache gives a new session the place of one that was not used for two minutes, or else of the smallest
//! one that is older than two minutes and smaller than the new one. Who gets no session is told id 0, and names all partitions
//! each time.

use super::session::{FetchSession, Key, Params};
use kafka_protocol::ResponseError as E;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// `MIN_INCREMENTAL_FETCH_SESSION_EVICTION_MS` of Kafka.
const EVICTABLE_AFTER: Duration = Duration::from_secs(120);
/// Partitions in all sessions together; beyond, no session is made or grows.
const MAX_PARTITIONS: usize = 1_000_000;

/// The epoch of a request that asks for a session.
const INITIAL_EPOCH: i32 = 0;
/// The epoch of a request that wants none.
const FINAL_EPOCH: i32 = -1;

/// A session, shared by the requests of its client.
pub(crate) type Shared = Arc<Mutex<FetchSession>>;

struct Entry {
    session: Shared,
    size: usize,
    created: Instant,
    used: Instant,
}

/// All sessions by id.
pub(crate) struct SessionCache {
    slots: usize,
    inner: Mutex<Inner>,
    evicted: AtomicU64,
}

#[derive(Default)]
struct Inner {
    sessions: HashMap<i32, Entry>,
    partitions: usize,
}

/// What a request's session id and epoch stand for.
#[derive(Debug)]
pub(crate) enum Context {
    /// All partitions are named in the request, and no session is wanted.
    Sessionless,
    /// All partitions are named in the request; the answer offers a session.
    Full,
    /// The request says what has changed.
    Incremental {
        /// Its id.
        id: i32,
        /// The session, changed already.
        session: Shared,
        /// Its epoch from now on; another one later means that another request came in between.
        epoch: i32,
    },
    /// The request is refused as a whole.
    Refused(E),
}

/// What a request says of sessions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub id: i32,
    pub epoch: i32,
    /// Topics are named by id.
    pub by_id: bool,
}

impl Inner {
    fn remove(&mut self, id: i32) -> bool {
        let removed = self.sessions.remove(&id);
        self.partitions -= removed.as_ref().map_or(0, |entry| entry.size);
        removed.is_some()
    }
}

impl SessionCache {
    pub(crate) fn new(slots: usize) -> Self {
        Self { slots, inner: Mutex::default(), evicted: AtomicU64::new(0) }
    }

    /// Finds the session, and changes it as the request says.
    pub(crate) fn context(
        &self,
        asked: Asked,
        set: impl Iterator<Item = (Key, Params)>,
        forget: impl Iterator<Item = Key>,
    ) -> Context {
        let mut inner = self.inner.lock();
        if asked.epoch == INITIAL_EPOCH || asked.epoch == FINAL_EPOCH {
            // Whatever session it names is over.
            inner.remove(asked.id);
            return if asked.epoch == FINAL_EPOCH { Context::Sessionless } else { Context::Full };
        }
        let full = inner.partitions >= MAX_PARTITIONS;
        let Some(entry) = inner.sessions.get_mut(&asked.id) else {
            return Context::Refused(E::FetchSessionIdNotFound);
        };
        let session = Arc::clone(&entry.session);
        let mut locked = session.lock();
        if locked.epoch != asked.epoch {
            return Context::Refused(E::InvalidFetchSessionEpoch);
        }
        if locked.uses_ids() != asked.by_id {
            return Context::Refused(E::FetchSessionTopicIdError);
        }
        for (key, params) in set {
            locked.set(key, params);
        }
        forget.for_each(|key| locked.forget(&key));
        let (before, now) = (entry.size, locked.len());
        entry.size = now;
        entry.used = Instant::now();
        locked.epoch = next_epoch(locked.epoch);
        let epoch = locked.epoch;
        drop(locked);
        inner.partitions = inner.partitions - before + now;
        if full && now > before {
            inner.remove(asked.id);
            return Context::Refused(E::FetchSessionIdNotFound);
        }
        if now == 0 {
            // Nothing is read any more: the session is over.
            inner.remove(asked.id);
            return Context::Sessionless;
        }
        Context::Incremental { id: asked.id, session, epoch }
    }

    /// A new session with these partitions, if there is room: its id, or 0.
    pub(crate) fn create(&self, partitions: Vec<(Key, Params)>, told: impl FnOnce(&mut FetchSession)) -> i32 {
        if partitions.is_empty() || self.slots == 0 {
            return 0;
        }
        let mut session = FetchSession::new();
        for (key, params) in partitions {
            session.set(key, params);
        }
        told(&mut session);
        let (size, now) = (session.len(), Instant::now());
        let mut inner = self.inner.lock();
        if inner.partitions + size > MAX_PARTITIONS || !self.make_room(&mut inner, size, now) {
            return 0;
        }
        let id = std::iter::repeat_with(random_id).find(|id| !inner.sessions.contains_key(id)).unwrap_or(0);
        let session = Arc::new(Mutex::new(session));
        inner.sessions.insert(id, Entry { session, size, created: now, used: now });
        inner.partitions += size;
        id
    }

    fn make_room(&self, inner: &mut Inner, size: usize, now: Instant) -> bool {
        if inner.sessions.len() < self.slots {
            return true;
        }
        let unused = inner.sessions.iter().min_by_key(|(_, entry)| entry.used);
        let victim = match unused {
            Some((id, entry)) if now.duration_since(entry.used) > EVICTABLE_AFTER => Some(*id),
            _ => inner
                .sessions
                .iter()
                .filter(|(_, e)| now.duration_since(e.created) > EVICTABLE_AFTER && e.size < size)
                .min_by_key(|(_, e)| e.size)
                .map(|(id, _)| *id),
        };
        let Some(victim) = victim else { return false };
        self.evicted.fetch_add(1, Relaxed);
        inner.remove(victim)
    }

    /// (sessions, partitions in them, sessions evicted since the start).
    pub(crate) fn counts(&self) -> (usize, usize, u64) {
        let inner = self.inner.lock();
        (inner.sessions.len(), inner.partitions, self.evicted.load(Relaxed))
    }
}

impl std::fmt::Debug for SessionCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SessionCache").field(&self.counts()).finish()
    }
}

fn next_epoch(epoch: i32) -> i32 {
    epoch.checked_add(1).unwrap_or(1)
}

/// From 1 on, and not to be guessed.
fn random_id() -> i32 {
    ((uuid::Uuid::new_v4().as_u128() as i32) & i32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::super::session::TopicKey;
    use super::*;

    fn partitions(n: i32) -> Vec<(Key, Params)> {
        let params = Params { offset: 0, max_bytes: 1, leader_epoch: -1, last_fetched_epoch: -1 };
        (0..n).map(|i| ((TopicKey::Name("t".into()), i), params)).collect()
    }

    fn ask(cache: &SessionCache, id: i32, epoch: i32, set: Vec<(Key, Params)>, forget: Vec<Key>) -> Context {
        cache.context(Asked { id, epoch, by_id: false }, set.into_iter(), forget.into_iter())
    }

    #[test]
    fn a_session_lives_by_its_epochs_and_ends_when_nothing_is_left() {
        let cache = SessionCache::new(10);
        assert!(matches!(ask(&cache, 0, 0, partitions(2), vec![]), Context::Full));
        let id = cache.create(partitions(2), |_| {});
        assert!(id > 0);
        assert!(matches!(ask(&cache, id, 1, vec![], vec![]), Context::Incremental { epoch: 2, .. }));
        let late = ask(&cache, id, 1, vec![], vec![]);
        assert!(matches!(late, Context::Refused(E::InvalidFetchSessionEpoch)), "{late:?}");
        let by_id = Asked { id, epoch: 2, by_id: true };
        let refused = cache.context(by_id, std::iter::empty(), std::iter::empty());
        assert!(matches!(refused, Context::Refused(E::FetchSessionTopicIdError)), "{refused:?}");
        let keys: Vec<Key> = partitions(2).into_iter().map(|(key, _)| key).collect();
        assert!(matches!(ask(&cache, id, 2, vec![], keys), Context::Sessionless));
        assert_eq!(cache.counts(), (0, 0, 0));
        let gone = ask(&cache, id, 3, vec![], vec![]);
        assert!(matches!(gone, Context::Refused(E::FetchSessionIdNotFound)), "{gone:?}");
    }

    #[test]
    fn epochs_begin_anew_at_their_end() {
        assert_eq!((next_epoch(1), next_epoch(i32::MAX)), (2, 1));
    }

    #[test]
    fn a_full_cache_gives_place_only_to_what_kafka_would() {
        let cache = SessionCache::new(2);
        let (small, large) = (cache.create(partitions(2), |_| {}), cache.create(partitions(5), |_| {}));
        assert_eq!(cache.create(partitions(9), |_| {}), 0, "both are young");
        let old = Instant::now().checked_sub(EVICTABLE_AFTER * 2).unwrap();
        cache.inner.lock().sessions.values_mut().for_each(|e| e.created = old);
        assert_eq!(cache.create(partitions(2), |_| {}), 0, "it is not larger than the smallest");
        let larger = cache.create(partitions(3), |_| {});
        assert!(larger > 0 && !cache.inner.lock().sessions.contains_key(&small));
        cache.inner.lock().sessions.get_mut(&large).unwrap().used = old;
        assert!(cache.create(partitions(1), |_| {}) > 0, "the unused one goes");
        assert!(!cache.inner.lock().sessions.contains_key(&large));
        assert_eq!(cache.counts(), (2, 4, 2));
    }
}
