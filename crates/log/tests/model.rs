//! Random histories of a log, compared with a model that is a list.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use bd_log::testing::{MemFs, PowerLoss};
use bd_log::{Isolation, Log};
use proptest::prelude::*;
use support::*;

#[derive(Debug, Clone)]
enum Action {
    Plain {
        records: usize,
    },
    Sequenced {
        producer: i64,
        records: i32,
    },
    Transactional {
        producer: i64,
        records: i32,
    },
    Marker {
        producer: i64,
        commit: bool,
    },
    Sync,
    /// The process dies; what it wrote stays in the page cache.
    Kill,
    PowerLoss(PowerLoss),
    CleanRestart,
    DeleteRecords {
        percent: i64,
    },
    /// The power is cut after some changes on the disk while the log is used and shut down, and again in the recovery.
    PowerCut {
        changes: [u64; 2],
        seed: u64,
        deletes: bool,
    },
}

fn action() -> impl Strategy<Value = Action> {
    let loss = prop_oneof![Just(PowerLoss::DropUnsynced), any::<u64>().prop_map(PowerLoss::Random)];
    prop_oneof![
        6 => (1..4usize).prop_map(|records| Action::Plain { records }),
        6 => (0..2i64, 1..4i32).prop_map(|(producer, records)| Action::Sequenced { producer, records }),
        8 => (10..14i64, 1..4i32).prop_map(|(producer, records)| Action::Transactional { producer, records }),
        6 => (10..14i64, any::<bool>()).prop_map(|(producer, commit)| Action::Marker { producer, commit }),
        6 => Just(Action::Sync),
        1 => Just(Action::Kill),
        2 => loss.prop_map(Action::PowerLoss),
        1 => Just(Action::CleanRestart),
        2 => (0..40u64, 0..20u64, any::<u64>(), any::<bool>()).prop_map(|(first, second, seed, deletes)| {
            Action::PowerCut { changes: [first, second], seed, deletes }
        }),
        1 => (0..100i64).prop_map(|percent| Action::DeleteRecords { percent }),
    ]
}

#[derive(Debug, Clone)]
struct Batch {
    base: i64,
    /// Empty for a marker.
    values: Vec<String>,
    producer: i64,
    transactional: bool,
    /// Of a marker: commit.
    marker: Option<bool>,
}

impl Batch {
    fn end(&self) -> i64 {
        self.base + self.values.len().max(1) as i64
    }
}

#[derive(Default)]
struct Model {
    batches: Vec<Batch>,
    start: i64,
    durable: i64,
}

impl Model {
    fn end(&self) -> i64 {
        self.batches.last().map_or(0, Batch::end)
    }

    fn sequence(&self, producer: i64) -> i32 {
        self.batches.iter().filter(|b| b.producer == producer).map(|b| b.values.len() as i32).sum()
    }

    fn push(&mut self, producer: i64, transactional: bool, values: Vec<String>, marker: Option<bool>) {
        self.batches.push(Batch { base: self.end(), values, producer, transactional, marker });
    }

    /// The marker that decides a transactional batch.
    fn decision(&self, batch: &Batch) -> Option<&Batch> {
        self.batches
            .iter()
            .find(|b| b.base > batch.base && b.producer == batch.producer && b.marker.is_some())
    }

    fn last_stable(&self) -> i64 {
        let undecided = |b: &&Batch| {
            b.transactional && b.marker.is_none() && self.decision(b).is_none_or(|m| m.base >= self.durable)
        };
        let first = self.batches.iter().find(undecided).map_or(self.durable, |b| b.base);
        first.min(self.durable).max(self.start.min(self.durable))
    }

    fn records(&self, isolation: Isolation) -> Vec<(i64, String)> {
        let bound = match isolation {
            Isolation::LogEnd => self.end(),
            Isolation::HighWatermark => self.durable,
            Isolation::LastStable => self.last_stable(),
        };
        let visible = |b: &&Batch| {
            let aborted = b.transactional && self.decision(b).is_some_and(|m| m.marker == Some(false));
            b.base < bound && !(isolation == Isolation::LastStable && aborted)
        };
        let number =
            |b: &Batch| b.values.iter().cloned().enumerate().map(|(i, v)| (b.base + i as i64, v)).collect();
        let all =
            self.batches.iter().filter(visible).flat_map(|b: &Batch| -> Vec<(i64, String)> { number(b) });
        all.filter(|(offset, _)| (self.start..bound).contains(offset)).collect()
    }

    /// After a crash: the log may have kept more than what was durable, but only whole batches.
    fn crashed(&mut self, end: i64) {
        assert!(end >= self.durable, "acknowledged records were lost: {end} < {}", self.durable);
        self.batches.retain(|b| b.base < end);
        assert_eq!(self.end(), end, "the log ends between batches");
        self.durable = end;
    }

    fn check(&self, log: &Log) {
        assert_eq!(log.end_offset(), self.end());
        assert_eq!(log.high_watermark(), self.durable);
        assert_eq!(log.start_offset(), self.start);
        assert_eq!(log.last_stable_offset(), self.last_stable());
        for isolation in [Isolation::LogEnd, Isolation::HighWatermark, Isolation::LastStable] {
            assert_eq!(records(log, self.start, isolation), self.records(isolation), "{isolation:?}");
        }
        for state in log.producer_states() {
            let next = (state.last_sequence + 1, self.sequence(state.producer_id));
            assert_eq!(next.0, next.1, "sequence of producer {}", state.producer_id);
        }
    }
}

/// Uses a log whose power may be cut at any moment; the model takes note of what was acknowledged. Returns the start
/// offset that was asked for last.
fn busy(log: &Log, model: &mut Model, deletes: bool) -> i64 {
    for i in 0..12 {
        let value = format!("busy {i} {}", "-".repeat(100));
        if log.append(plain(&[(1, &value)]), 0).is_err() {
            break;
        }
        model.push(-1, false, vec![value], None);
        if i % 5 == 4 && log.sync().is_ok() {
            model.durable = model.end();
        }
    }
    let mut start = model.start;
    if deletes {
        start = model.start + (model.durable - model.start) / 2;
        log.delete_records_before(start).ok();
    }
    if log.close().is_ok() {
        model.durable = model.end();
    }
    start
}

fn run(actions: Vec<Action>) {
    let (fs, config, mut model) = (MemFs::new(), config(), Model::default());
    let (mut log, _) = open(&fs, config.clone()).unwrap();
    for action in actions {
        match action {
            Action::Plain { records } => {
                let values: Vec<String> =
                    (0..records).map(|i| format!("plain {}", model.end() + i as i64)).collect();
                let batch: Vec<(i64, &str)> = values.iter().map(|v| (1, v.as_str())).collect();
                log.append(plain(&batch), 0).unwrap();
                model.push(-1, false, values, None);
            }
            Action::Sequenced { producer, records } | Action::Transactional { producer, records } => {
                let (sequence, in_txn) = (model.sequence(producer), producer >= 10);
                let batch = if in_txn { transactional } else { sequenced };
                let appended = log.append(batch(producer, 0, sequence, records), 0).unwrap();
                assert!(!appended.duplicate);
                assert!(log.append(batch(producer, 0, sequence, records), 0).unwrap().duplicate);
                assert!(log.append(batch(producer, 0, sequence + records + 1, 1), 0).is_err());
                let values = (sequence..sequence + records).map(|i| format!("{producer}/0/{i}")).collect();
                model.push(producer, in_txn, values, None);
            }
            Action::Marker { producer, commit } => {
                // A coordinator writes markers only for producers that it knows to have written.
                if model.sequence(producer) > 0 {
                    log.append_marker(producer, 0, commit, 0, 0).unwrap();
                    model.push(producer, true, Vec::new(), Some(commit));
                }
            }
            Action::Sync => {
                log.sync().unwrap();
                model.durable = model.end();
            }
            Action::Kill => {
                drop(log);
                log = open(&fs, config.clone()).unwrap().0;
                assert_eq!(log.end_offset(), model.end(), "a kill loses nothing that was written");
                model.durable = model.end();
            }
            Action::PowerLoss(loss) => {
                fs.power_loss(loss);
                log = open(&fs, config.clone()).unwrap().0;
                model.crashed(log.end_offset());
            }
            Action::CleanRestart => {
                log.close().unwrap();
                let (opened, recovery) = open(&fs, config.clone()).unwrap();
                assert!(recovery.clean);
                (log, model.durable) = (opened, model.end());
            }
            Action::DeleteRecords { percent } => {
                let offset = model.start + (model.durable - model.start) * percent / 100;
                model.start = log.delete_records_before(offset).unwrap();
                assert_eq!(model.start, offset);
            }
            Action::PowerCut { changes, seed, deletes } => {
                fs.cut_power_after(changes[0]);
                let start = busy(&log, &mut model, deletes);
                fs.power_loss(PowerLoss::Random(seed));
                fs.cut_power_after(changes[1]);
                open(&fs, config.clone()).ok();
                fs.power_loss(PowerLoss::Random(seed ^ 1));
                log = open(&fs, config.clone()).unwrap().0;
                model.crashed(log.end_offset());
                assert!((model.start..=start).contains(&log.start_offset()));
                model.start = log.start_offset();
            }
        }
        model.check(&log);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn every_history_gives_the_records_of_the_model(actions in prop::collection::vec(action(), 1..80)) {
        run(actions);
    }
}
