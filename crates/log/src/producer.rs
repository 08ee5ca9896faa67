//! What the log knows of its idempotent and transactional producers (KIP-98, KIP-360).
//!
//! Rules for a batch of producer P, epoch E, sequences F..=L:
//! - E older than the known epoch: fenced. E newer: F must be 0.
//! - same F, L as one of the last five batches: a repeat, answered with the earlier offsets. A transactional batch can only
//!   repeat one of the transaction that is open: a producer ends none before it knows what became of its batches. librdkafka
//!   does not keep to that: its abort drops what waits to be sent again and gives the next transaction the same sequences,
//!   which an earlier answer would lose without a word;
//! - else F must follow the last sequence (after `i32::MAX` comes 0).
//! - P unknown: any F. The log may have known P once: idle producers are forgotten, and deleting records may take the
//!   producers' state with them. So it has been since Kafka 2.5.
//! - A transactional batch opens a transaction if none is open; a marker ends it. Until the marker is durable the last
//!   stable offset stays before the transaction: a crash could still undo the decision.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::batch::{BatchHeader, ControlMarker, add_sequence};
use crate::{AbortedTxn, LogError, OpenTxn, ProducerState};

/// How many batches are remembered to recognise repeats: as many as a producer may have in flight.
pub(crate) const REMEMBERED: usize = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchMeta {
    pub(crate) first_sequence: i32,
    pub(crate) last_sequence: i32,
    pub(crate) base_offset: i64,
    pub(crate) last_offset: i64,
    pub(crate) max_timestamp: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Producer {
    pub(crate) epoch: i16,
    pub(crate) coordinator_epoch: i32,
    pub(crate) last_timestamp: i64,
    /// Wall clock of its last append, ms: what expiry goes by.
    pub(crate) last_seen: i64,
    pub(crate) txn_first_offset: Option<i64>,
    pub(crate) batches: VecDeque<BatchMeta>,
}

/// What a batch is to its producer's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    New,
    Repeat(BatchMeta),
}

impl Producer {
    pub(crate) fn new(epoch: i16) -> Self {
        Producer {
            epoch,
            coordinator_epoch: -1,
            last_timestamp: -1,
            last_seen: 0,
            txn_first_offset: None,
            batches: VecDeque::new(),
        }
    }

    fn state(&self, producer_id: i64) -> ProducerState {
        ProducerState {
            producer_id,
            epoch: self.epoch,
            last_sequence: self.batches.back().map_or(-1, |b| b.last_sequence),
            last_timestamp: self.last_timestamp,
            coordinator_epoch: self.coordinator_epoch,
            txn_first_offset: self.txn_first_offset,
        }
    }

    fn expected(&self) -> i32 {
        self.batches.back().map_or(0, |last| add_sequence(last.last_sequence, 1))
    }

    /// The batches that a producer may send again.
    fn repeatable(&self, header: &BatchHeader) -> impl Iterator<Item = &BatchMeta> {
        let first_offset = match (header.is_transactional(), self.txn_first_offset) {
            (false, _) => 0,
            (true, Some(of_transaction)) => of_transaction,
            (true, None) => i64::MAX,
        };
        self.batches.iter().filter(move |batch| batch.base_offset >= first_offset)
    }

    fn check(&self, header: &BatchHeader) -> Result<Check, LogError> {
        let (producer_id, epoch) = (header.producer_id, header.producer_epoch);
        if epoch < self.epoch {
            return Err(LogError::InvalidProducerEpoch { producer_id, epoch, current: self.epoch });
        }
        let (first, last) = (header.base_sequence, header.last_sequence());
        let expected = if epoch > self.epoch { 0 } else { self.expected() };
        if epoch == self.epoch
            && let Some(repeat) =
                self.repeatable(header).find(|b| (b.first_sequence, b.last_sequence) == (first, last))
        {
            return Ok(Check::Repeat(*repeat));
        }
        if first != expected {
            return Err(LogError::OutOfOrderSequence { producer_id, epoch, expected, got: first });
        }
        match self.txn_first_offset {
            Some(first_offset) if !header.is_transactional() => {
                Err(LogError::InvalidTxnState { producer_id, first_offset })
            }
            _ => Ok(Check::New),
        }
    }

    /// Takes a data batch into the history; `header` has its final offsets.
    pub(crate) fn note(&mut self, header: &BatchHeader, now_ms: i64) {
        if header.producer_epoch > self.epoch {
            self.epoch = header.producer_epoch;
            self.batches.clear();
        }
        if self.batches.len() == REMEMBERED {
            self.batches.pop_front();
        }
        self.batches.push_back(BatchMeta {
            first_sequence: header.base_sequence,
            last_sequence: header.last_sequence(),
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
            max_timestamp: header.max_timestamp,
        });
        (self.last_timestamp, self.last_seen) = (header.max_timestamp, now_ms);
        if header.is_transactional() && self.txn_first_offset.is_none() {
            self.txn_first_offset = Some(header.base_offset);
        }
    }
}

/// All producers of a log, and its transactions.
#[derive(Debug, Default)]
pub(crate) struct Producers {
    map: HashMap<i64, Producer>,
    /// Open transactions: first offset -> producer.
    open: BTreeMap<i64, i64>,
    /// Ended transactions whose marker is not durable yet: first offset -> offset of the marker.
    undecided: BTreeMap<i64, i64>,
}

impl Producers {
    pub(crate) fn from_map(map: HashMap<i64, Producer>) -> Self {
        let open = map.iter().filter_map(|(id, p)| Some((p.txn_first_offset?, *id))).collect();
        Producers { map, open, undecided: BTreeMap::new() }
    }

    pub(crate) fn map(&self) -> &HashMap<i64, Producer> {
        &self.map
    }

    /// Checks a batch without changing anything. `staged` is the producer's state including earlier batches of the same
    /// append.
    pub(crate) fn check(&self, staged: Option<&Producer>, header: &BatchHeader) -> Result<Check, LogError> {
        match staged.or_else(|| self.map.get(&header.producer_id)) {
            Some(producer) => producer.check(header),
            None => Ok(Check::New),
        }
    }

    pub(crate) fn check_marker(
        &self,
        producer_id: i64,
        epoch: i16,
        coordinator_epoch: i32,
    ) -> Result<(), LogError> {
        match self.map.get(&producer_id) {
            Some(p) if epoch < p.epoch => {
                Err(LogError::InvalidProducerEpoch { producer_id, epoch, current: p.epoch })
            }
            Some(p) if coordinator_epoch < p.coordinator_epoch => {
                let (epoch, current) = (coordinator_epoch, p.coordinator_epoch);
                Err(LogError::CoordinatorFenced { producer_id, epoch, current })
            }
            _ => Ok(()),
        }
    }

    /// Takes a data batch that was written.
    pub(crate) fn note(&mut self, header: &BatchHeader, now_ms: i64) {
        if !header.has_producer() {
            return;
        }
        let producer =
            self.map.entry(header.producer_id).or_insert_with(|| Producer::new(header.producer_epoch));
        let open_before = producer.txn_first_offset;
        producer.note(header, now_ms);
        if let (None, Some(first)) = (open_before, producer.txn_first_offset) {
            self.open.insert(first, header.producer_id);
        }
    }

    /// Takes a marker that was written; returns the transaction if it aborted one.
    pub(crate) fn note_marker(
        &mut self,
        header: &BatchHeader,
        marker: &ControlMarker,
        now_ms: i64,
    ) -> Option<AbortedTxn> {
        let producer_id = header.producer_id;
        let producer = self.map.entry(producer_id).or_insert_with(|| Producer::new(header.producer_epoch));
        if header.producer_epoch > producer.epoch {
            producer.epoch = header.producer_epoch;
            producer.batches.clear();
        }
        producer.coordinator_epoch = marker.coordinator_epoch;
        (producer.last_timestamp, producer.last_seen) = (header.max_timestamp, now_ms);
        let first_offset = producer.txn_first_offset.take()?;
        self.open.remove(&first_offset);
        let last_offset = header.last_offset();
        self.undecided.insert(first_offset, last_offset);
        (!marker.commit).then_some(AbortedTxn { producer_id, first_offset, last_offset })
    }

    /// Everything below `high_watermark` is durable now.
    pub(crate) fn on_durable(&mut self, high_watermark: i64) {
        self.undecided.retain(|_, marker| *marker >= high_watermark);
    }

    /// First offset of a transaction that is open or not durably decided; `i64::MAX` if there is none.
    pub(crate) fn first_unstable(&self) -> i64 {
        let first = |map: &BTreeMap<i64, i64>| map.first_key_value().map_or(i64::MAX, |(first, _)| *first);
        first(&self.open).min(first(&self.undecided))
    }

    /// First offset of an open transaction, `i64::MAX` if there is none.
    pub(crate) fn first_open(&self) -> i64 {
        self.open.first_key_value().map_or(i64::MAX, |(first, _)| *first)
    }

    /// Forgets producers without open transaction that were last seen before `before_ms`.
    pub(crate) fn expire(&mut self, before_ms: i64) {
        self.map.retain(|_, p| p.txn_first_offset.is_some() || p.last_seen >= before_ms);
    }

    /// What is known of one producer.
    pub(crate) fn state(&self, producer_id: i64) -> Option<ProducerState> {
        self.map.get(&producer_id).map(|p| p.state(producer_id))
    }

    pub(crate) fn states(&self) -> Vec<ProducerState> {
        let mut states: Vec<_> = self.map.iter().map(|(id, p)| p.state(*id)).collect();
        states.sort_unstable_by_key(|s| s.producer_id);
        states
    }

    pub(crate) fn open_transactions(&self) -> Vec<OpenTxn> {
        let txn = |(first, id): (&i64, &i64)| OpenTxn {
            producer_id: *id,
            epoch: self.map.get(id).map_or(-1, |p| p.epoch),
            first_offset: *first,
        };
        self.open.iter().map(txn).collect()
    }
}
