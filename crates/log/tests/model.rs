//! Random histories of a log, compared with a model that is a list.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::sync::Arc;

use bd_log::testing::{FaultFs, MemFs, PowerLoss};
use bd_log::{FlushMode, Isolation, Log, LogConfig, LogError};
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
    Rest,
    /// The disk has so many bytes left for the next append.
    FullDisk {
        space: u64,
    },
    /// An fsync fails, and the log is opened again.
    FailedSync,
    /// From now on writes take at most so many bytes each.
    ShortWrites {
        bytes: usize,
    },
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
        2 => Just(Action::Rest),
        1 => (0..4_000u64).prop_map(|space| Action::FullDisk { space }),
        1 => Just(Action::FailedSync),
        1 => (1..700usize).prop_map(|bytes| Action::ShortWrites { bytes }),
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
    /// Appends are acknowledged, and readable, before they are durable.
    os: bool,
    /// Appends are durable when they return.
    always: bool,
}

impl Model {
    fn visible(&self) -> i64 {
        if self.os { self.end() } else { self.durable }
    }

    fn end(&self) -> i64 {
        self.batches.last().map_or(0, Batch::end)
    }

    fn sequence(&self, producer: i64) -> i32 {
        self.batches.iter().filter(|b| b.producer == producer).map(|b| b.values.len() as i32).sum()
    }

    fn push(&mut self, producer: i64, transactional: bool, values: Vec<String>, marker: Option<bool>) {
        self.batches.push(Batch { base: self.end(), values, producer, transactional, marker });
        if self.always {
            self.durable = self.end();
        }
    }

    /// The marker that decides a transactional batch.
    fn decision(&self, batch: &Batch) -> Option<&Batch> {
        self.batches
            .iter()
            .find(|b| b.base > batch.base && b.producer == batch.producer && b.marker.is_some())
    }

    fn last_stable(&self) -> i64 {
        let visible = self.visible();
        let undecided = |b: &&Batch| {
            b.transactional && b.marker.is_none() && self.decision(b).is_none_or(|m| m.base >= visible)
        };
        let first = self.batches.iter().find(undecided).map_or(visible, |b| b.base);
        first.min(visible).max(self.start.min(visible))
    }

    fn records(&self, isolation: Isolation) -> Vec<(i64, String)> {
        let bound = match isolation {
            Isolation::LogEnd => self.end(),
            Isolation::HighWatermark => self.visible(),
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
        assert_eq!((log.high_watermark(), log.durable_offset()), (self.visible(), self.durable));
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

/// `pad`: how many bytes plain values are longer.
fn run(actions: Vec<Action>, config: LogConfig, pad: usize) {
    let (mem, padding) = (MemFs::new(), "-".repeat(pad));
    let fs = FaultFs::new(Arc::new(mem.clone()));
    let mut model = Model {
        os: config.flush == FlushMode::Os,
        always: config.flush == FlushMode::Always,
        ..Model::default()
    };
    let (mut log, _) = open(&fs, config.clone()).unwrap();
    for action in actions {
        match action {
            Action::Plain { records } => {
                let values: Vec<String> =
                    (0..records).map(|i| format!("plain {}{padding}", model.end() + i as i64)).collect();
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
                mem.power_loss(loss);
                log = open(&fs, config.clone()).unwrap().0;
                model.crashed(log.end_offset());
            }
            Action::CleanRestart => {
                log.close().unwrap();
                let (opened, recovery) = open(&fs, config.clone()).unwrap();
                assert!(recovery.clean);
                (log, model.durable) = (opened, model.end());
            }
            Action::Rest => {
                assert!(log.rest().unwrap());
                model.durable = model.end();
            }
            Action::FullDisk { space } => {
                fs.set_space(space);
                match log.append(plain(&[(1, "may fit")]), 0) {
                    Ok(_) => model.push(-1, false, vec!["may fit".to_owned()], None),
                    Err(LogError::StorageFull { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
                fs.set_space(u64::MAX);
            }
            Action::FailedSync => {
                fs.fail_syncs(true);
                assert!(log.sync().is_err() || model.durable == model.end());
                fs.fail_syncs(false);
                drop(log);
                log = open(&fs, config.clone()).unwrap().0;
                assert_eq!(log.end_offset(), model.end(), "the process goes on, the page cache is there");
                model.durable = model.end();
            }
            Action::ShortWrites { bytes } => fs.limit_writes(bytes),
            Action::DeleteRecords { percent } => {
                let offset = model.start + (model.visible() - model.start) * percent / 100;
                if offset > model.durable {
                    model.durable = model.end();
                }
                model.start = log.delete_records_before(offset).unwrap();
                assert_eq!(model.start, offset);
            }
            Action::PowerCut { changes, seed, deletes } => {
                mem.cut_power_after(changes[0]);
                let start = busy(&log, &mut model, deletes);
                mem.power_loss(PowerLoss::Random(seed));
                mem.cut_power_after(changes[1]);
                open(&fs, config.clone()).ok();
                mem.power_loss(PowerLoss::Random(seed ^ 1));
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
    #![proptest_config(ProptestConfig { cases: cases(250), failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn every_history_gives_the_records_of_the_model(actions in prop::collection::vec(action(), 1..80)) {
        run(actions, config(), 0);
    }

    #[test]
    fn so_it_is_when_appends_are_acknowledged_from_the_page_cache(
        actions in prop::collection::vec(action(), 1..60),
    ) {
        run(actions, LogConfig { flush: FlushMode::Os, ..config() }, 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(80), failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn so_it_is_with_zeros_written_ahead(actions in prop::collection::vec(action(), 20..60)) {
        run(actions, LogConfig { segment_bytes: 150_000, index_interval_bytes: 4_000, ..config() }, 2_500);
    }

    #[test]
    fn so_it_is_with_an_fsync_for_each_append(actions in prop::collection::vec(action(), 1..40)) {
        let always = LogConfig { flush: FlushMode::Always, ..config() };
        // Whether an append whose fsync failed is there, a caller cannot know, and so the model cannot.
        let is_known = |a: &Action| !matches!(a, Action::FailedSync | Action::PowerCut { .. });
        run(actions.into_iter().filter(is_known).collect(), always, 0);
    }
}
