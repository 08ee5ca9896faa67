//! One transactional id as a state machine: pure decisions, the coordinator does what they say.
//!
//! ```text
//!             add partitions           end(commit)               markers written
//!  Empty ───────────────────▶ Ongoing ────────────▶ PrepareCommit ─────────────▶ CompleteCommit ─┐
//!    ▲                        │  ▲  │  end(abort), time-out, new producer                         │ add partitions
//!    │ init                   │  │  └─────────────▶ PrepareAbort ──────────────▶ CompleteAbort ──┤
//!    └────────────────────────┼──┼───────────────────────────────────────────────────────────────┤
//!                             └──┴───────────────────────────────────────────────────────────────┘
//! ```
//! Once `Prepare…` is durable the outcome is decided, whatever happens after. Rules and error codes are Kafka's (KIP-98, KIP-360).
//!
//! In the second protocol (KIP-890, `transaction.version` 2) every end raises the epoch, so that nothing of one transaction can
//! be taken for part of the next; an abort is possible without a transaction, too. A request is a retry of an end where it names
//! the epoch before the present one:
//!
//! | state | abort: retry | abort: present epoch | commit: retry | commit: present epoch |
//! |---|---|---|---|---|
//! | Empty | fenced | aborts, raising the epoch | fenced | INVALID_TXN_STATE |
//! | CompleteAbort | answered again | aborts, raising the epoch | INVALID_TXN_STATE | INVALID_TXN_STATE |
//! | CompleteCommit | INVALID_TXN_STATE | aborts, raising the epoch | answered again | INVALID_TXN_STATE |

use kafka_protocol::ResponseError as E;
use std::collections::BTreeSet;

/// No producer id.
pub const NO_PRODUCER_ID: i64 = -1;
/// No producer epoch.
pub const NO_PRODUCER_EPOCH: i16 = -1;

/// Where a transactional id stands; the codes are those of Kafka's `__transaction_state` records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TxnState {
    /// No transaction since its producer was initialised.
    Empty,
    /// A transaction is open.
    Ongoing,
    /// Decided: committed. Markers may be missing.
    PrepareCommit,
    /// Decided: aborted. Markers may be missing.
    PrepareAbort,
    /// Committed, all markers are durable.
    CompleteCommit,
    /// Aborted, all markers are durable.
    CompleteAbort,
}

impl TxnState {
    /// All of them.
    pub const ALL: [TxnState; 6] = [
        TxnState::Empty,
        TxnState::Ongoing,
        TxnState::PrepareCommit,
        TxnState::PrepareAbort,
        TxnState::CompleteCommit,
        TxnState::CompleteAbort,
    ];

    /// The number that is stored.
    pub fn code(self) -> i8 {
        self as i8
    }

    /// From the number that is stored.
    pub fn from_code(code: i8) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.code() == code)
    }

    /// The name that ListTransactions and DescribeTransactions show.
    pub fn name(self) -> &'static str {
        match self {
            TxnState::Empty => "Empty",
            TxnState::Ongoing => "Ongoing",
            TxnState::PrepareCommit => "PrepareCommit",
            TxnState::PrepareAbort => "PrepareAbort",
            TxnState::CompleteCommit => "CompleteCommit",
            TxnState::CompleteAbort => "CompleteAbort",
        }
    }

    /// Whether it is decided and not known to be marked everywhere.
    pub fn is_prepared(self) -> bool {
        matches!(self, TxnState::PrepareCommit | TxnState::PrepareAbort)
    }
}

/// Which protocol a client speaks: KIP-890's `transaction.version`, told by the version of its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TxnVersion {
    /// Partitions are added by requests of their own, the epoch stays over transactions.
    V1,
    /// Partitions are added by the writes, every end raises the epoch.
    V2,
}

/// All that is known of a transactional id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TxnMeta {
    /// The producer id.
    pub producer_id: i64,
    /// The producer id before the last change of it, by which a client whose answer was lost is known; -1 for none.
    pub prev_producer_id: i64,
    /// The producer id that takes over when the decided transaction is complete, as its epochs are used up; -1 for none.
    pub next_producer_id: i64,
    /// The epoch of the one producer that is not fenced.
    pub epoch: i16,
    /// The epoch before the last bump, by which a producer whose answer was lost is known (KIP-360); -1 for none. Not stored.
    pub last_epoch: i16,
    /// An open transaction is aborted after so long.
    pub timeout_ms: i32,
    /// Where it stands.
    pub state: TxnState,
    /// The partitions of the open, or not yet completed, transaction.
    pub partitions: BTreeSet<(String, i32)>,
    /// The last change, ms since epoch.
    pub updated_ms: i64,
    /// The begin of the last transaction, ms since epoch; -1 without one.
    pub started_ms: i64,
    /// The protocol of the client that caused the last change.
    pub client: TxnVersion,
}

/// What InitProducerId leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InitStep {
    /// Store this, answer with its id and epoch.
    Ready(TxnMeta),
    /// Abort the predecessor's transaction ([`TxnMeta::fenced_abort`]), complete it, then ask again.
    AbortFirst,
    /// Complete what is decided, then ask again.
    CompleteFirst,
    /// The epochs are used up: store this with a new producer id filled in.
    NewProducerId(TxnMeta),
}

/// What EndTxn leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndStep {
    /// It has ended like this already.
    Already,
    /// Store this, then complete it.
    Prepare(TxnMeta),
    /// It was decided like this before: complete it.
    CompleteFirst,
}

/// Whether no producer may get the next epoch: the greatest one is kept for fencing.
fn is_exhausted(epoch: i16) -> bool {
    epoch >= i16::MAX - 1
}

impl TxnMeta {
    /// A transactional id that was never used.
    pub fn new(producer_id: i64, epoch: i16, timeout_ms: i32, now_ms: i64) -> Self {
        Self {
            producer_id,
            prev_producer_id: NO_PRODUCER_ID,
            next_producer_id: NO_PRODUCER_ID,
            epoch,
            last_epoch: NO_PRODUCER_EPOCH,
            timeout_ms,
            state: TxnState::Empty,
            partitions: BTreeSet::new(),
            updated_ms: now_ms,
            started_ms: -1,
            client: TxnVersion::V1,
        }
    }

    /// Whether the next bump of the epoch needs a new producer id.
    pub fn is_epoch_exhausted(&self) -> bool {
        is_exhausted(self.epoch)
    }

    /// Whether this is the producer that is not fenced.
    pub fn check_producer(&self, producer_id: i64, epoch: i16) -> Result<(), E> {
        if producer_id != self.producer_id {
            Err(E::InvalidProducerIdMapping)
        } else if epoch != self.epoch {
            Err(E::ProducerFenced)
        } else {
            Ok(())
        }
    }

    /// A producer starts with this transactional id. `known` is what it believes to be (KIP-360), `None` for a new one.
    pub fn init(&self, known: Option<(i64, i16)>, timeout_ms: i32, now_ms: i64) -> Result<InitStep, E> {
        if let Some((id, epoch)) = known {
            let rotated = id == self.prev_producer_id && is_exhausted(epoch);
            if id != self.producer_id && !rotated {
                return Err(E::ProducerFenced);
            }
            // The open or decided transaction of a successor is not this producer's to end.
            let present = id == self.producer_id && epoch == self.epoch;
            if !present && epoch != self.last_epoch {
                return Err(E::ProducerFenced);
            }
        }
        match self.state {
            TxnState::PrepareCommit | TxnState::PrepareAbort => Ok(InitStep::CompleteFirst),
            TxnState::Ongoing => Ok(InitStep::AbortFirst),
            TxnState::Empty | TxnState::CompleteCommit | TxnState::CompleteAbort => {
                let mut next = self.clone();
                next.state = TxnState::Empty;
                (next.timeout_ms, next.updated_ms, next.started_ms) = (timeout_ms, now_ms, -1);
                next.partitions.clear();
                let present = known.is_none_or(|(id, epoch)| (id, epoch) == (self.producer_id, self.epoch));
                if !present {
                    // The answer to the same request was lost: the same again.
                    return Ok(InitStep::Ready(next));
                }
                next.last_epoch = if known.is_some() { self.epoch } else { NO_PRODUCER_EPOCH };
                if self.is_epoch_exhausted() {
                    (next.prev_producer_id, next.epoch) = (self.producer_id, 0);
                    return Ok(InitStep::NewProducerId(next));
                }
                next.epoch = self.epoch + 1;
                Ok(InitStep::Ready(next))
            }
        }
    }

    /// The abort of the open transaction under the next epoch, so that nothing of its producer is taken after the markers.
    /// `new_id` is needed where the epochs are used up.
    pub fn fenced_abort(&self, new_id: Option<i64>, now_ms: i64) -> Self {
        let mut next = self.clone();
        next.state = TxnState::PrepareAbort;
        next.last_epoch = self.epoch;
        next.epoch = self.epoch.saturating_add(1);
        next.next_producer_id = new_id.unwrap_or(NO_PRODUCER_ID);
        next.updated_ms = now_ms;
        next
    }

    /// Adds partitions, beginning a transaction if there is none. `None`: they are all in it already.
    pub fn add_partitions(
        &self,
        producer_id: i64,
        epoch: i16,
        partitions: impl IntoIterator<Item = (String, i32)>,
        client: TxnVersion,
        now_ms: i64,
    ) -> Result<Option<Self>, E> {
        self.check_producer(producer_id, epoch)?;
        let mut next = self.clone();
        match self.state {
            TxnState::PrepareCommit | TxnState::PrepareAbort => return Err(E::ConcurrentTransactions),
            TxnState::Ongoing => {}
            TxnState::Empty | TxnState::CompleteCommit | TxnState::CompleteAbort => {
                next.state = TxnState::Ongoing;
                next.partitions.clear();
                next.started_ms = now_ms;
            }
        }
        next.partitions.extend(partitions);
        if self.state == TxnState::Ongoing && next.partitions.len() == self.partitions.len() {
            return Ok(None);
        }
        (next.updated_ms, next.client) = (now_ms, client);
        Ok(Some(next))
    }

    /// Whether a partition is part of this producer's open transaction. TRANSACTION_ABORTABLE where it is not; the state of the
    /// transaction is not asked for, as Kafka does.
    pub fn verify(&self, producer_id: i64, epoch: i16, partition: &(String, i32)) -> Result<(), E> {
        self.check_producer(producer_id, epoch)?;
        match self.state {
            state if state.is_prepared() => Err(E::ConcurrentTransactions),
            TxnState::Ongoing if self.partitions.contains(partition) => Ok(()),
            _ => Err(E::TransactionAbortable),
        }
    }

    /// Ends the transaction, as a client of the version asks for it. `new_id` is needed in V2 where the epochs are used up.
    pub fn end(
        &self,
        (producer_id, epoch): (i64, i16),
        commit: bool,
        client: TxnVersion,
        new_id: Option<i64>,
        now_ms: i64,
    ) -> Result<EndStep, E> {
        let (mut is_retry, mut is_present) = (false, true);
        if client == TxnVersion::V1 {
            self.check_producer(producer_id, epoch)?;
        } else {
            let rotated = producer_id == self.prev_producer_id && epoch == i16::MAX - 1 && self.epoch == 0;
            if producer_id != self.producer_id && !rotated {
                return Err(E::InvalidProducerIdMapping);
            }
            is_retry = rotated || self.epoch.checked_sub(1) == Some(epoch);
            is_present = !rotated && epoch == self.epoch;
            let is_valid = match self.state {
                TxnState::Ongoing | TxnState::Empty => is_present,
                TxnState::PrepareCommit | TxnState::PrepareAbort => is_retry,
                TxnState::CompleteCommit | TxnState::CompleteAbort => is_retry || is_present,
            };
            if !is_valid {
                return Err(E::ProducerFenced);
            }
        }
        let empty_abort = client == TxnVersion::V2 && is_present && !commit;
        match (self.state, commit) {
            (TxnState::Ongoing, _) => Ok(EndStep::Prepare(self.decided(commit, client, new_id, now_ms))),
            (TxnState::CompleteCommit, true) | (TxnState::CompleteAbort, false)
                if is_retry || client == TxnVersion::V1 =>
            {
                Ok(EndStep::Already)
            }
            (TxnState::PrepareCommit, true) | (TxnState::PrepareAbort, false) => Ok(EndStep::CompleteFirst),
            (TxnState::Empty | TxnState::CompleteCommit | TxnState::CompleteAbort, false) if empty_abort => {
                let mut next = self.decided(false, client, new_id, now_ms);
                next.started_ms = now_ms;
                Ok(EndStep::Prepare(next))
            }
            _ => Err(E::InvalidTxnState),
        }
    }

    fn decided(&self, commit: bool, client: TxnVersion, new_id: Option<i64>, now_ms: i64) -> Self {
        let mut next = self.clone();
        next.state = if commit { TxnState::PrepareCommit } else { TxnState::PrepareAbort };
        if client == TxnVersion::V2 {
            next.last_epoch = self.epoch;
            next.epoch = self.epoch.saturating_add(1);
            next.next_producer_id = new_id.unwrap_or(NO_PRODUCER_ID);
        }
        (next.updated_ms, next.client) = (now_ms, client);
        next
    }

    /// After all markers are durable; `None` where nothing was decided.
    pub fn completed(&self, now_ms: i64) -> Option<Self> {
        let state = match self.state {
            TxnState::PrepareCommit => TxnState::CompleteCommit,
            TxnState::PrepareAbort => TxnState::CompleteAbort,
            _ => return None,
        };
        let mut next = self.clone();
        next.state = state;
        if self.next_producer_id != NO_PRODUCER_ID {
            (next.prev_producer_id, next.producer_id, next.epoch) =
                (self.producer_id, self.next_producer_id, 0);
            next.next_producer_id = NO_PRODUCER_ID;
        }
        next.partitions.clear();
        next.updated_ms = now_ms;
        Some(next)
    }

    /// When the open transaction is aborted, ms since epoch; `None` without one.
    pub fn deadline_ms(&self) -> Option<i64> {
        let open = self.state == TxnState::Ongoing;
        open.then(|| self.started_ms.saturating_add(i64::from(self.timeout_ms)))
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
