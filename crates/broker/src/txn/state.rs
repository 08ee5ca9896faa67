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

use kafka_protocol::ResponseError as E;
use std::collections::BTreeSet;

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
}

/// All that is known of a transactional id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TxnMeta {
    /// The producer id.
    pub producer_id: i64,
    /// The epoch of the one producer that is not fenced.
    pub epoch: i16,
    /// An open transaction is aborted after so long.
    pub timeout_ms: i32,
    /// Where it stands.
    pub state: TxnState,
    /// The partitions of the open, or not yet completed, transaction.
    pub partitions: BTreeSet<(String, i32)>,
    /// The last change, ms since epoch.
    pub updated_ms: i64,
    /// The begin of the transaction, ms since epoch; -1 without one.
    pub started_ms: i64,
    /// The epoch before the last bump, by which a producer whose answer was lost is known (KIP-360); -1 for none. Not stored.
    pub last_epoch: i16,
}

/// What InitProducerId leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InitStep {
    /// Store this, answer with its id and epoch.
    Ready(TxnMeta),
    /// The answer to the same request was lost: answer again, nothing changes.
    Again,
    /// Store this (a decided abort of the predecessor's transaction), complete it, then ask again.
    AbortFirst(TxnMeta),
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

impl TxnMeta {
    /// A transactional id that was never used.
    pub fn new(producer_id: i64, epoch: i16, timeout_ms: i32, now_ms: i64) -> Self {
        Self {
            producer_id,
            epoch,
            timeout_ms,
            state: TxnState::Empty,
            partitions: BTreeSet::new(),
            updated_ms: now_ms,
            started_ms: -1,
            last_epoch: -1,
        }
    }

    fn is_epoch_used_up(&self) -> bool {
        self.epoch >= i16::MAX - 1
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
            let same = id == self.producer_id && epoch == self.epoch;
            let again = id == self.producer_id && epoch == self.last_epoch;
            if !same && !again {
                return Err(E::ProducerFenced);
            }
            if again && !same && self.state == TxnState::Empty {
                return Ok(InitStep::Again);
            }
        }
        match self.state {
            TxnState::PrepareCommit | TxnState::PrepareAbort => Ok(InitStep::CompleteFirst),
            TxnState::Ongoing => Ok(InitStep::AbortFirst(self.fenced_abort(now_ms))),
            TxnState::Empty | TxnState::CompleteCommit | TxnState::CompleteAbort => {
                let mut next = Self::new(self.producer_id, self.epoch, timeout_ms, now_ms);
                if self.is_epoch_used_up() {
                    next.epoch = 0;
                    return Ok(InitStep::NewProducerId(next));
                }
                next.epoch = self.epoch + 1;
                next.last_epoch = if known.is_some() { self.epoch } else { -1 };
                Ok(InitStep::Ready(next))
            }
        }
    }

    /// The abort of the open transaction under the next epoch, so that nothing of its producer is taken after the markers.
    pub fn fenced_abort(&self, now_ms: i64) -> Self {
        let mut next = self.clone();
        next.state = TxnState::PrepareAbort;
        next.epoch = self.epoch.saturating_add(1);
        next.last_epoch = -1;
        next.updated_ms = now_ms;
        next
    }

    /// Adds partitions, beginning a transaction if there is none. `None`: they are all in it already.
    pub fn add_partitions(
        &self,
        producer_id: i64,
        epoch: i16,
        partitions: impl IntoIterator<Item = (String, i32)>,
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
        next.updated_ms = now_ms;
        Ok(Some(next))
    }

    /// Whether this producer may write to the partition as part of its transaction.
    pub fn check_write(&self, producer_id: i64, epoch: i16, partition: &(String, i32)) -> Result<(), E> {
        if producer_id != self.producer_id {
            return Err(E::InvalidProducerIdMapping);
        }
        if epoch != self.epoch {
            return Err(E::InvalidProducerEpoch);
        }
        if self.state != TxnState::Ongoing || !self.partitions.contains(partition) {
            return Err(E::InvalidTxnState);
        }
        Ok(())
    }

    /// Ends the transaction.
    pub fn end(&self, producer_id: i64, epoch: i16, commit: bool, now_ms: i64) -> Result<EndStep, E> {
        self.check_producer(producer_id, epoch)?;
        match (self.state, commit) {
            (TxnState::Ongoing, _) => {
                let mut next = self.clone();
                next.state = if commit { TxnState::PrepareCommit } else { TxnState::PrepareAbort };
                next.updated_ms = now_ms;
                Ok(EndStep::Prepare(next))
            }
            (TxnState::CompleteCommit, true) | (TxnState::CompleteAbort, false) => Ok(EndStep::Already),
            (TxnState::PrepareCommit, true) | (TxnState::PrepareAbort, false) => Ok(EndStep::CompleteFirst),
            _ => Err(E::InvalidTxnState),
        }
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
        next.partitions.clear();
        next.updated_ms = now_ms;
        next.started_ms = -1;
        Some(next)
    }

    /// Whether the open transaction has lasted too long.
    pub fn has_timed_out(&self, now_ms: i64) -> bool {
        self.state == TxnState::Ongoing
            && now_ms.saturating_sub(self.started_ms) >= i64::from(self.timeout_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(state: TxnState) -> TxnMeta {
        let mut meta = TxnMeta::new(7, 3, 1000, 0);
        meta.state = state;
        if state == TxnState::Ongoing || matches!(state, TxnState::PrepareAbort | TxnState::PrepareCommit) {
            meta.partitions.insert(("t".into(), 0));
            meta.started_ms = 0;
        }
        meta
    }

    fn init_outcome(meta: &TxnMeta, known: Option<(i64, i16)>) -> String {
        match meta.init(known, 5, 9) {
            Ok(InitStep::Ready(n)) => format!("ready {}", n.epoch),
            Ok(InitStep::Again) => "again".into(),
            Ok(InitStep::AbortFirst(n)) => format!("abort under {}", n.epoch),
            Ok(InitStep::CompleteFirst) => "complete first".into(),
            Ok(InitStep::NewProducerId(n)) => format!("new id {}", n.epoch),
            Err(e) => e.to_string(),
        }
    }

    #[test]
    fn init_by_state() {
        use TxnState::*;
        for (state, new, same, old) in [
            (Empty, "ready 4", "ready 4", "ProducerFenced"),
            (Ongoing, "abort under 4", "abort under 4", "ProducerFenced"),
            (PrepareCommit, "complete first", "complete first", "ProducerFenced"),
            (PrepareAbort, "complete first", "complete first", "ProducerFenced"),
            (CompleteCommit, "ready 4", "ready 4", "ProducerFenced"),
            (CompleteAbort, "ready 4", "ready 4", "ProducerFenced"),
        ] {
            assert_eq!(init_outcome(&at(state), None), new, "{state:?}, new producer");
            assert_eq!(init_outcome(&at(state), Some((7, 3))), same, "{state:?}, the same producer");
            assert_eq!(init_outcome(&at(state), Some((7, 2))), old, "{state:?}, a fenced producer");
            assert_eq!(init_outcome(&at(state), Some((8, 3))), "ProducerFenced", "{state:?}, another id");
        }
    }

    #[test]
    fn a_bump_whose_answer_was_lost_is_answered_again() {
        let InitStep::Ready(bumped) = at(TxnState::Empty).init(Some((7, 3)), 5, 9).unwrap() else { panic!() };
        assert_eq!(bumped.epoch, 4);
        assert_eq!(init_outcome(&bumped, Some((7, 3))), "again");
        assert_eq!(init_outcome(&bumped, Some((7, 4))), "ready 5");
        // A producer that only shares the id and was fenced by a new one is not taken for it.
        let InitStep::Ready(fenced) = at(TxnState::Empty).init(None, 5, 9).unwrap() else { panic!() };
        assert_eq!(init_outcome(&fenced, Some((7, 3))), "ProducerFenced");
    }

    #[test]
    fn used_up_epochs_lead_to_a_new_producer_id() {
        let mut meta = at(TxnState::CompleteCommit);
        meta.epoch = i16::MAX - 1;
        assert_eq!(init_outcome(&meta, None), "new id 0");
        meta.state = TxnState::Ongoing;
        assert_eq!(init_outcome(&meta, None), format!("abort under {}", i16::MAX));
    }

    #[test]
    fn end_by_state() {
        use TxnState::*;
        let outcome = |state, commit| match at(state).end(7, 3, commit, 9) {
            Ok(EndStep::Prepare(n)) => format!("{:?}", n.state),
            Ok(EndStep::Already) => "already".into(),
            Ok(EndStep::CompleteFirst) => "complete".into(),
            Err(e) => e.to_string(),
        };
        for (state, commit, abort) in [
            (Empty, "InvalidTxnState", "InvalidTxnState"),
            (Ongoing, "PrepareCommit", "PrepareAbort"),
            (PrepareCommit, "complete", "InvalidTxnState"),
            (PrepareAbort, "InvalidTxnState", "complete"),
            (CompleteCommit, "already", "InvalidTxnState"),
            (CompleteAbort, "InvalidTxnState", "already"),
        ] {
            assert_eq!(outcome(state, true), commit, "{state:?}");
            assert_eq!(outcome(state, false), abort, "{state:?}");
        }
        assert_eq!(at(Ongoing).end(7, 2, true, 9), Err(E::ProducerFenced));
        assert_eq!(at(Ongoing).end(8, 3, true, 9), Err(E::InvalidProducerIdMapping));
    }

    #[test]
    fn add_partitions_by_state() {
        use TxnState::*;
        let new = ("u".to_owned(), 1);
        for state in [Empty, Ongoing, CompleteCommit, CompleteAbort] {
            let next = at(state).add_partitions(7, 3, [new.clone()], 9).unwrap().unwrap();
            assert_eq!(next.state, Ongoing, "{state:?}");
            assert!(next.partitions.contains(&new));
            assert_eq!(next.check_write(7, 3, &new), Ok(()));
            assert_eq!(next.started_ms, if state == Ongoing { 0 } else { 9 });
        }
        for state in [PrepareCommit, PrepareAbort] {
            assert_eq!(at(state).add_partitions(7, 3, [new.clone()], 9), Err(E::ConcurrentTransactions));
        }
        assert_eq!(at(Ongoing).add_partitions(7, 3, [("t".to_owned(), 0)], 9), Ok(None));
        assert_eq!(at(Ongoing).add_partitions(7, 2, [new.clone()], 9), Err(E::ProducerFenced));
        assert_eq!(at(Ongoing).check_write(7, 3, &new), Err(E::InvalidTxnState));
        assert_eq!(at(Ongoing).check_write(7, 2, &("t".into(), 0)), Err(E::InvalidProducerEpoch));
        assert_eq!(at(PrepareAbort).check_write(7, 3, &("t".into(), 0)), Err(E::InvalidTxnState));
    }

    #[test]
    fn only_open_transactions_time_out() {
        for state in TxnState::ALL {
            assert_eq!(at(state).has_timed_out(1000), state == TxnState::Ongoing);
            assert!(!at(state).has_timed_out(999));
        }
    }
}
