//! Fetch: whole record batches where they lie in the logs, and waiting for them.
//!
//! Finding records does not read them: what a fetch gives are regions of files, which go to the socket without passing through
//! this process where they can. A fetch that waits holds no bytes, and at each wake-up only looks again into the partitions
//! whose readable end has moved.

pub(crate) mod ahead;
pub(crate) mod cache;
pub(crate) mod session;

use crate::broker::Broker;
use crate::error::code_of;
use crate::partition::{LEADER_EPOCH, Partition};
use crate::wait::Signal;
use crate::wire::frame::{FilePart, Piece};
use bd_log::{AbortedTxn, Isolation, LogError, Region};
use bytes::Bytes;
use kafka_protocol::ResponseError as E;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Who wants more records than this beyond what it has may be far behind; see [`is_far_behind`].
const MANY_RECORDS: i64 = 1000;
/// What was written longer ago than this many bytes may have left the page cache.
const FAR_BEHIND_BYTES: u64 = 8 << 20;

/// Record batches up to this size are copied rather than sent from their file.
const SMALL: usize = 16 << 10;
/// At most so much of one answer is copied: what a client that does not take it holds.
const COPIED: usize = 256 << 10;

/// What is asked of one partition.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// The partition, or why there is none.
    pub partition: Result<Arc<Partition>, E>,
    /// The first offset wanted.
    pub offset: i64,
    /// The most bytes wanted.
    pub max_bytes: usize,
    /// The leader epoch that the client knows, -1 for none.
    pub leader_epoch: i32,
    /// The epoch of the last record that the client has, -1 for none (KIP-595).
    pub last_fetched_epoch: i32,
}

/// A fetch of several partitions.
#[derive(Debug, Clone)]
pub(crate) struct Fetch {
    /// Earlier ones are served first.
    pub wanted: Vec<Wanted>,
    /// Answer when there are so many bytes, or `max_wait` is over.
    pub min_bytes: usize,
    /// The most bytes in all (one batch may be larger).
    pub max_bytes: usize,
    /// How long to wait for `min_bytes`.
    pub max_wait: Duration,
    /// What may be seen.
    pub isolation: Isolation,
}

/// What one partition gave.
#[derive(Debug)]
pub(crate) struct Found {
    /// Records, if there are any.
    pub records: Option<Records>,
    /// Durable end of the log.
    pub high_watermark: i64,
    /// First offset that a `read_committed` reader may not see.
    pub last_stable_offset: i64,
    /// First offset of the log.
    pub start_offset: i64,
    /// The client's records are not those of this log: the epoch, and where it ends here.
    pub diverging: Option<(i32, i64)>,
}

/// Record batches.
#[derive(Debug)]
pub(crate) enum Records {
    /// Where they lie.
    Region {
        /// The place.
        region: Region,
        /// They may have to come from the disk.
        cold: bool,
    },
    /// Read already: few of them cost less so than their own calls on the way to the socket.
    Copied {
        /// The batches.
        bytes: Bytes,
        /// Aborted transactions among them, for who reads committed records.
        aborted: Vec<AbortedTxn>,
    },
}

impl Records {
    /// Bytes of the batches.
    pub(crate) fn len(&self) -> usize {
        match self {
            Records::Region { region, .. } => region.len(),
            Records::Copied { bytes, .. } => bytes.len(),
        }
    }

    /// Aborted transactions among them.
    pub(crate) fn aborted(&self) -> &[AbortedTxn] {
        match self {
            Records::Region { region, .. } => &region.aborted,
            Records::Copied { aborted, .. } => aborted,
        }
    }

    /// As part of an answer.
    pub(crate) fn into_piece(self) -> Piece {
        match self {
            Records::Copied { bytes, .. } => Piece::Bytes(bytes),
            Records::Region { region, cold } => match region.file() {
                Some(file) => Piece::File(FilePart {
                    file: Arc::clone(file),
                    position: region.position(),
                    len: region.len(),
                    cold,
                }),
                None => Piece::Bytes(Bytes::new()),
            },
        }
    }
}

/// What one partition gave, or why nothing.
pub(crate) type Fetched = Result<Found, E>;

fn bytes_of(fetched: &Fetched) -> usize {
    fetched.as_ref().ok().and_then(|found| found.records.as_ref()).map_or(0, Records::len)
}

impl Broker {
    /// Waits for `min_bytes`, at most `max_wait` and until `stopping`; an error ends the wait. One result for each partition.
    pub(crate) async fn fetch(
        self: &Arc<Self>,
        fetch: Fetch,
        stopping: impl Future<Output = ()>,
    ) -> Vec<Fetched> {
        let mut work = Work::new(fetch, self.config().fetch_max_bytes);
        let cold = work.is_far_behind();
        if cold {
            // Looking records up reads headers and indexes, which may have to come from the disk.
            let looked = tokio::task::spawn_blocking(move || {
                work.look(false);
                work
            });
            match looked.await {
                Ok(looked) => work = looked,
                Err(_) => return Vec::new(),
            }
        } else {
            work.look(false);
        }
        if work.is_done() {
            return work.into_fetched(cold);
        }
        let deadline = Instant::now() + work.max_wait;
        let watch = Watch::new(&work.wanted);
        let mut stopping = pin!(stopping);
        loop {
            // Watched first, then looked, so that nothing is missed in between.
            watch.again();
            work.look(true);
            let left = deadline.saturating_duration_since(Instant::now());
            if work.is_done() || left.is_zero() || self.is_closed() {
                return work.into_fetched(cold);
            }
            tokio::select! {
                _ = watch.signal.fired_within(left) => {}
                () = &mut stopping => return work.into_fetched(cold),
            }
        }
    }
}

/// A fetch under way.
struct Work {
    wanted: Arc<Vec<Wanted>>,
    /// For each partition: the readable end when it was looked at, and what was there.
    seen: Vec<(i64, Fetched)>,
    limit: usize,
    min_bytes: usize,
    max_wait: Duration,
    isolation: Isolation,
    total: usize,
}

impl Work {
    fn new(fetch: Fetch, most: usize) -> Self {
        let limit = fetch.max_bytes.min(most);
        Self {
            seen: Vec::with_capacity(fetch.wanted.len()),
            wanted: Arc::new(fetch.wanted),
            limit,
            min_bytes: fetch.min_bytes.min(limit),
            max_wait: fetch.max_wait,
            isolation: fetch.isolation,
            total: 0,
        }
    }

    fn is_far_behind(&self) -> bool {
        self.wanted.iter().any(|w| w.partition.as_ref().is_ok_and(|p| is_far_behind(p, w.offset)))
    }

    /// Looks into all partitions, or where that was done before, into those that have changed since.
    fn look(&mut self, again: bool) {
        let wanted = Arc::clone(&self.wanted);
        for (i, wanted) in wanted.iter().enumerate() {
            let bound = bound_of(wanted, self.isolation);
            let before =
                if again { self.seen.get(i).map(|(at, found)| (*at, bytes_of(found))) } else { None };
            if before.is_some_and(|(at, _)| at == bound) {
                // With an open transaction the high watermark moves on while nothing more can be read.
                if let (Some((_, Ok(found))), Ok(partition)) = (self.seen.get_mut(i), &wanted.partition)
                    && found.records.is_none()
                {
                    found.high_watermark = partition.log().high_watermark();
                }
                continue;
            }
            self.total -= before.map_or(0, |(_, bytes)| bytes);
            let left = self.limit.saturating_sub(self.total);
            // The first batch is given whatever its size, so that no reader is stuck before a large one.
            let fetched = look_into(wanted, left, self.isolation, self.total == 0);
            self.total += bytes_of(&fetched);
            match self.seen.get_mut(i) {
                Some(place) => *place = (bound, fetched),
                None => self.seen.push((bound, fetched)),
            }
        }
    }

    fn is_done(&self) -> bool {
        self.wanted.is_empty()
            || self.max_wait.is_zero()
            || self.total >= self.min_bytes
            || self.seen.iter().any(|(_, f)| f.as_ref().map_or(true, |found| found.diverging.is_some()))
    }

    /// The results; small ones are read, up to [`COPIED`] bytes in all, unless that may take the disk.
    fn into_fetched(self, cold: bool) -> Vec<Fetched> {
        let mut copied = 0;
        let each = self.seen.into_iter().map(|(_, fetched)| {
            let mut found = fetched?;
            if let Some(Records::Region { region, cold: is_cold }) = &mut found.records {
                *is_cold = cold;
                let small = region.len() <= SMALL && copied + region.len() <= COPIED && !cold;
                if small || region.fd().is_none() {
                    copied += region.len();
                    let bytes = region.read().map_err(|error| {
                        tracing::error!(%error, "cannot read");
                        code_of(&error)
                    })?;
                    found.records =
                        Some(Records::Copied { bytes, aborted: std::mem::take(&mut region.aborted) });
                }
            }
            Ok(found)
        });
        each.collect()
    }
}

/// Up to where a partition may be read now; a deleted one has another bound than before.
fn bound_of(wanted: &Wanted, isolation: Isolation) -> i64 {
    match &wanted.partition {
        Ok(partition) if partition.is_deleted() => -1,
        Ok(partition) => match isolation {
            Isolation::LastStable => partition.log().last_stable_offset(),
            Isolation::HighWatermark => partition.log().high_watermark(),
            Isolation::LogEnd => partition.log().end_offset(),
        },
        Err(_) => -1,
    }
}

/// Whether `offset` may lie so far back that its records are not in memory any more: an estimate by the log's mean record size.
fn is_far_behind(partition: &Partition, offset: i64) -> bool {
    let log = partition.log();
    let behind = log.high_watermark() - offset;
    if behind < MANY_RECORDS {
        return false;
    }
    let records = (log.end_offset() - log.start_offset()).max(1);
    let mean = log.size_bytes() / records as u64;
    mean.saturating_mul(behind as u64) > FAR_BEHIND_BYTES
}

fn look_into(wanted: &Wanted, left: usize, isolation: Isolation, min_one: bool) -> Fetched {
    let partition = wanted.partition.as_ref().map_err(|e| *e)?;
    check_leader_epoch(wanted.leader_epoch)?;
    if partition.is_deleted() {
        return Err(E::UnknownTopicOrPartition);
    }
    let log = partition.log();
    // The stable offset first: it never lies behind a high watermark loaded later.
    let last_stable_offset = log.last_stable_offset();
    let high_watermark = log.high_watermark();
    let (start_offset, end) = (log.start_offset(), log.end_offset());
    let mut found =
        Found { records: None, high_watermark, last_stable_offset, start_offset, diverging: None };
    if wanted.last_fetched_epoch >= 0 {
        match wanted.last_fetched_epoch {
            LEADER_EPOCH if end >= wanted.offset => {}
            LEADER_EPOCH => {
                found.diverging = Some((LEADER_EPOCH, end));
                return Ok(found);
            }
            _ => return Err(E::OffsetOutOfRange),
        }
    }
    if wanted.offset < start_offset || wanted.offset > end {
        return Err(E::OffsetOutOfRange);
    }
    let bound = if isolation == Isolation::LastStable { last_stable_offset } else { high_watermark };
    let max_bytes = left.min(wanted.max_bytes);
    if wanted.offset >= bound || (max_bytes == 0 && !min_one) {
        return Ok(found);
    }
    let region =
        log.read_region(wanted.offset, max_bytes, isolation, min_one).map_err(|error: LogError| {
            let code = code_of(&error);
            if code == E::KafkaStorageError {
                tracing::error!(?partition, offset = wanted.offset, %error, "cannot read");
            }
            code
        })?;
    (found.high_watermark, found.start_offset) = (region.high_watermark, region.start_offset);
    found.last_stable_offset = region.last_stable_offset;
    found.records = (!region.is_empty()).then_some(Records::Region { region, cold: false });
    Ok(found)
}

/// Watches partitions for as long as it lives.
struct Watch {
    signal: Arc<Signal>,
    wanted: Arc<Vec<Wanted>>,
}

impl Watch {
    fn new(wanted: &Arc<Vec<Wanted>>) -> Self {
        Self { signal: Arc::default(), wanted: Arc::clone(wanted) }
    }

    fn partitions(&self) -> impl Iterator<Item = &Arc<Partition>> {
        self.wanted.iter().filter_map(|w| w.partition.as_ref().ok())
    }

    fn again(&self) {
        self.partitions().for_each(|partition| partition.watch(&self.signal));
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.partitions().for_each(|partition| partition.unwatch(&self.signal));
    }
}

/// There is one leader epoch; -1 is a client that does not know any.
pub(crate) fn check_leader_epoch(epoch: i32) -> Result<(), E> {
    // None is older than the first one.
    if epoch > LEADER_EPOCH { Err(E::UnknownLeaderEpoch) } else { Ok(()) }
}
