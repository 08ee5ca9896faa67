//! Random histories of a compacted log, compared with a model that is a list.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::sync::Arc;

use bd_log::batch::BatchBuilder;
use bd_log::compression::Codec;
use bd_log::inspect::verify;
use bd_log::testing::{MemFs, PowerLoss};
use bd_log::{CleanupPolicy, Isolation, Log, LogConfig};
use proptest::prelude::*;
use support::*;

const DELETE_RETENTION_MS: i64 = 100;

#[derive(Debug, Clone)]
enum Action {
    /// Records of a producer (from 10 on in a transaction, below 0 without): keys, and whether each has a value.
    Append {
        producer: i64,
        records: Vec<(u8, bool)>,
        codec: Codec,
    },
    Marker {
        producer: i64,
        commit: bool,
    },
    Sync,
    Compact {
        after_ms: i64,
    },
    /// The power is cut after some changes of a compaction.
    CutCompaction {
        changes: u64,
        loss: PowerLoss,
    },
    Loss(PowerLoss),
    CleanRestart,
    DeleteRecords {
        percent: i64,
    },
}

fn loss() -> impl Strategy<Value = PowerLoss> {
    prop_oneof![
        Just(PowerLoss::KeepAll),
        Just(PowerLoss::DropUnsynced),
        any::<u64>().prop_map(PowerLoss::Random)
    ]
}

fn action() -> impl Strategy<Value = Action> {
    let codec = prop_oneof![Just(Codec::None), Just(Codec::None), Just(Codec::Lz4), Just(Codec::Zstd)];
    let producer = prop_oneof![Just(-1), 0..2i64, 10..13i64, 10..13i64];
    let records = prop::collection::vec((0..6u8, prop::bool::weighted(0.8)), 1..5);
    prop_oneof![
        20 => (producer, records, codec).prop_map(|(producer, records, codec)| {
            Action::Append { producer, records, codec }
        }),
        8 => (10..13i64, any::<bool>()).prop_map(|(producer, commit)| Action::Marker { producer, commit }),
        8 => Just(Action::Sync),
        6 => (0..DELETE_RETENTION_MS).prop_map(|after_ms| Action::Compact { after_ms }),
        2 => (0..60u64, loss()).prop_map(|(changes, loss)| Action::CutCompaction { changes, loss }),
        1 => loss().prop_map(Action::Loss),
        1 => Just(Action::CleanRestart),
        1 => (0..60i64).prop_map(|percent| Action::DeleteRecords { percent }),
    ]
}

#[derive(Debug, Clone)]
struct Entry {
    offset: i64,
    key: String,
    value: Option<String>,
    producer: i64,
    batch: i64,
    /// Of a transaction: offset of the marker, and whether it commits.
    decided: Option<(i64, bool)>,
    /// Of a tombstone: the time of the first compaction that may have found it.
    met: Option<i64>,
}

impl Entry {
    fn in_txn(&self) -> bool {
        self.producer >= 10
    }

    fn aborted(&self) -> bool {
        matches!(self.decided, Some((_, false)))
    }

    fn seen(&self) -> (i64, String, Option<String>) {
        (self.offset, self.key.clone(), self.value.clone())
    }
}

#[derive(Default)]
struct Model {
    entries: Vec<Entry>,
    sequences: std::collections::HashMap<i64, i32>,
    start: i64,
    end: i64,
    durable: i64,
    now: i64,
    /// Everything before is compacted.
    clean: i64,
}

impl Model {
    /// First offset of an undecided transaction, at most the durable end.
    fn stable(&self) -> i64 {
        let open = |e: &&Entry| e.in_txn() && e.decided.is_none_or(|(marker, _)| marker >= self.durable);
        let first = self.entries.iter().find(open).map_or(self.durable, |e| e.batch);
        first.min(self.durable).max(self.start.min(self.durable))
    }

    fn crashed(&mut self, end: i64) {
        assert!(end >= self.durable, "acknowledged records were lost");
        self.entries.retain(|e| e.offset < end);
        for entry in &mut self.entries {
            entry.decided = entry.decided.filter(|(marker, _)| *marker < end);
        }
        (self.end, self.durable) = (end, end);
    }

    fn check(&self, log: &Log) {
        assert_eq!((log.start_offset(), log.end_offset()), (self.start, self.end));
        assert_eq!((log.high_watermark(), log.last_stable_offset()), (self.durable, self.stable()));
        let all = keyed_records(log, self.start, Isolation::HighWatermark);
        assert!(all.windows(2).all(|pair| pair[0].0 < pair[1].0), "in order");
        for seen in &all {
            let entry = self.entries.iter().find(|e| e.offset == seen.0).unwrap();
            assert_eq!(*seen, entry.seen(), "a record at its offset is the one that was appended there");
        }
        let is_seen = |e: &Entry| all.binary_search_by_key(&e.offset, |seen| seen.0).is_ok();
        for (i, entry) in self.entries.iter().enumerate() {
            if entry.offset < self.start || entry.offset >= self.durable {
                continue;
            }
            let superseded_before = |end: i64| {
                let later = self.entries.iter().skip(i + 1).take_while(|e| e.offset < end);
                later.into_iter().any(|e| e.key == entry.key && !e.aborted())
            };
            let expired =
                entry.value.is_none() && entry.met.is_some_and(|met| self.now >= met + DELETE_RETENTION_MS);
            let may_go = entry.aborted() || superseded_before(self.stable()) || expired;
            assert!(is_seen(entry) || may_go, "{entry:?} is lost");
            let must_go = entry.offset < self.clean && (entry.aborted() || superseded_before(self.clean));
            assert!(!(is_seen(entry) && must_go), "{entry:?} is still there");
        }
        let committed: Vec<_> = keyed_records(log, self.start, Isolation::LastStable);
        let wanted: Vec<_> = self
            .entries
            .iter()
            .filter(|e| is_seen(e) && e.offset < self.stable() && !e.aborted())
            .map(Entry::seen)
            .collect();
        assert_eq!(committed, wanted, "read_committed");
        for time in (self.start..self.durable).step_by(5) {
            // Records have their offset as time, markers that of the clock, which is later than all.
            let first = all.iter().map(|seen| seen.0).find(|offset| *offset >= time);
            let found = log.offset_for_timestamp(time).unwrap().map(|found| found.0);
            let is_marker = |offset: i64| self.entries.iter().all(|e| e.offset != offset);
            let marker_before = found.is_some_and(|f| is_marker(f) && first.is_none_or(|first| f < first));
            assert!(found == first || marker_before, "time {time}: {found:?}, not {first:?}");
        }
        for state in log.producer_states() {
            let next = self.sequences.get(&state.producer_id).copied().unwrap_or(0);
            assert!(
                state.last_sequence == -1 || state.last_sequence + 1 == next,
                "{state:?}, next is {next}"
            );
        }
    }
}

fn settings() -> LogConfig {
    LogConfig {
        cleanup_policy: CleanupPolicy::Compact,
        delete_retention_ms: DELETE_RETENTION_MS,
        segment_bytes: 800,
        ..config()
    }
}

struct Run {
    fs: MemFs,
    log: Log,
    model: Model,
}

impl Run {
    fn append(&mut self, producer: i64, records: &[(u8, bool)], codec: Codec) {
        let model = &mut self.model;
        let sequence = *model.sequences.get(&producer).unwrap_or(&0);
        let mut builder = BatchBuilder::new().codec(codec);
        if producer >= 0 {
            builder = builder.producer(producer, 0, sequence).transactional(producer >= 10);
        }
        let batch = model.end;
        for (i, (key, has_value)) in records.iter().enumerate() {
            let (offset, key) = (batch + i as i64, format!("key {key}"));
            let value = has_value.then(|| format!("value {offset} {}", "-".repeat(30)));
            builder.append(offset, Some(key.as_bytes()), value.as_ref().map(String::as_bytes), &[]);
            model.entries.push(Entry { offset, key, value, producer, batch, decided: None, met: None });
        }
        self.log.append(builder.build(), 0).unwrap();
        model.end += records.len() as i64;
        model.sequences.insert(producer, sequence + records.len() as i32);
    }

    /// What a compaction may have met by now.
    fn meet(&mut self) {
        let now = self.model.now;
        for entry in &mut self.model.entries {
            entry.met = entry.met.or(Some(now));
        }
    }

    fn reopen(&mut self, loss: PowerLoss) {
        self.fs.power_loss(loss);
        self.log = open(&self.fs, settings()).unwrap().0;
        let end = self.log.end_offset();
        self.model.crashed(end);
        let sequences = &mut self.model.sequences;
        for state in self.log.producer_states() {
            sequences.insert(state.producer_id, state.last_sequence + 1);
        }
        // A producer that the crash made unknown begins again.
        let known: Vec<i64> = self.log.producer_states().iter().map(|s| s.producer_id).collect();
        sequences.retain(|id, _| known.contains(id));
    }

    fn run(&mut self, action: Action) {
        match action {
            Action::Append { producer, records, codec } => self.append(producer, &records, codec),
            Action::Marker { producer, commit } => {
                if self.model.sequences.contains_key(&producer) {
                    self.log.append_marker(producer, 0, commit, 0, 0).unwrap();
                    let marker = self.model.end;
                    let open = |e: &&mut Entry| e.producer == producer && e.decided.is_none();
                    self.model
                        .entries
                        .iter_mut()
                        .filter(open)
                        .for_each(|e| e.decided = Some((marker, commit)));
                    self.model.end += 1;
                }
            }
            Action::Sync => {
                self.log.sync().unwrap();
                self.model.durable = self.model.end;
            }
            Action::Compact { after_ms } => {
                self.model.now += after_ms;
                self.meet();
                let done = self.log.compact(self.model.now).unwrap();
                // It makes sealed segments durable first.
                self.model.durable = self.log.high_watermark();
                self.model.clean = self.model.clean.max(done.first_dirty_offset);
                assert!(done.bytes_after <= done.bytes_before + 200, "{done:?}");
            }
            Action::CutCompaction { changes, loss } => {
                self.meet();
                self.fs.cut_power_after(changes);
                self.log.compact(self.model.now).ok();
                self.reopen(loss);
            }
            Action::Loss(loss) => self.reopen(loss),
            Action::CleanRestart => {
                self.log.close().unwrap();
                let (log, recovery) = open(&self.fs, settings()).unwrap();
                assert!(recovery.clean);
                (self.log, self.model.durable) = (log, self.model.end);
            }
            Action::DeleteRecords { percent } => {
                let offset = self.model.start + (self.model.durable - self.model.start) * percent / 100;
                self.model.start = self.log.delete_records_before(offset).unwrap();
            }
        }
        self.model.check(&self.log);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(150), failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn every_history_gives_each_key_its_last_record(actions in prop::collection::vec(action(), 1..120)) {
        let fs = MemFs::new();
        let log = open(&fs, settings()).unwrap().0;
        let mut run = Run { fs, log, model: Model::default() };
        for action in actions {
            run.run(action);
        }
        run.log.close().unwrap();
        let report = verify(Arc::new(run.fs.clone()), std::path::Path::new(DIR)).unwrap();
        assert!(report.is_sound(), "{:?}", report.problems);
    }
}
