//! Looking at a log's files without opening the log.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::path::Path;
use std::sync::Arc;

use bd_log::inspect::{Item, PartitionFiles, Severity, verify};
use bd_log::testing::{MemFs, flip_bit};
use bd_log::{Fs, Log, OpenMode};
use support::*;

/// Several segments with aborted and committed transactions.
fn filled(fs: &MemFs) -> Log {
    let (log, _) = open(fs, config()).unwrap();
    for i in 0..8 {
        put(&log, transactional(7, 0, i * 3, 3));
        put(&log, plain(&[(5_000 + i64::from(i), &"v".repeat(120))]));
        log.append_marker(7, 0, i % 2 == 0, 1, 0).unwrap();
        put(&log, sequenced(8, 0, i, 1));
    }
    log
}

fn dir() -> &'static Path {
    Path::new(DIR)
}

fn sound(fs: &MemFs) -> bool {
    let report = verify(Arc::new(fs.clone()), dir()).unwrap();
    report.is_sound()
}

#[test]
fn a_dump_shows_what_was_appended() {
    let fs = MemFs::new();
    let log = filled(&fs);
    let end = log.end_offset();
    log.close().unwrap();
    let files = PartitionFiles::open(Arc::new(fs.clone()), dir()).unwrap();
    assert!(files.segments.len() > 2 && files.others.is_empty());
    assert_eq!(files.recovery_point, Some(end));
    assert_eq!(files.clean_shutdown.unwrap().end_offset, end);
    let (mut next, mut markers, mut aborted) = (0, 0, 0);
    for segment in &files.segments {
        assert_eq!(segment.base_offset, next);
        for item in files.batches(segment.base_offset).unwrap() {
            let Item::Batch(batch) = item.unwrap() else { panic!("damaged") };
            assert!(batch.crc_ok);
            let records = batch.records().unwrap();
            assert_eq!(records.iter().map(|r| r.offset).collect::<Vec<_>>(), {
                (batch.header.base_offset..=batch.header.last_offset()).collect::<Vec<_>>()
            });
            if let Some(marker) = batch.marker() {
                markers += 1;
                aborted += usize::from(!marker.commit);
                assert_eq!(marker.coordinator_epoch, 1);
            }
            next = batch.header.next_offset();
        }
        let (index, times) = (files.index(segment.base_offset), files.time_index(segment.base_offset));
        assert_eq!(index.unwrap().unwrap().log_bytes, segment.bytes);
        assert_eq!(times.unwrap().unwrap().log_bytes, segment.bytes);
    }
    assert_eq!((next, markers, aborted), (end, 8, 4));
    let in_index = |s: &bd_log::inspect::SegmentFiles| {
        files.txn_index(s.base_offset).unwrap().map_or(0, |index| index.entries.len())
    };
    assert_eq!(files.segments.iter().map(in_index).sum::<usize>(), 4);
    let producers = files.snapshot(*files.snapshots.last().unwrap()).unwrap().unwrap();
    assert_eq!(producers.iter().map(|p| p.producer_id).collect::<Vec<_>>(), [7, 8]);
    assert_eq!(producers[0].batches.last().unwrap().last_sequence, 23);
}

#[test]
fn a_log_in_use_closed_or_killed_is_sound() {
    let fs = MemFs::new();
    let log = filled(&fs);
    assert!(sound(&fs), "in use");
    log.delete_records_before(9).unwrap();
    assert!(sound(&fs), "after a deletion");
    drop(log);
    let (log, _) = open(&fs, config()).unwrap();
    assert!(sound(&fs), "after a recovery");
    log.close().unwrap();
    let report = verify(Arc::new(fs.clone()), dir()).unwrap();
    assert_eq!(report.problems, []);
    assert_eq!((report.start_offset, report.end_offset), (log.start_offset(), log.end_offset()));
}

#[test]
fn a_flipped_bit_anywhere_is_found_and_nothing_is_changed() {
    let fs = MemFs::new();
    filled(&fs).close().unwrap();
    let mut unseen = Vec::new();
    for path in fs.list(dir()).unwrap() {
        let file = fs.open(&path, OpenMode::Read).unwrap();
        let mut before = Vec::new();
        file.read_at(0, 1 << 20, &mut before).unwrap();
        for at in (0..before.len() as u64).step_by(7) {
            flip_bit(&fs, &path, at).unwrap();
            if sound(&fs) {
                unseen.push((path.clone(), at));
            }
            flip_bit(&fs, &path, at).unwrap();
        }
        let mut after = Vec::new();
        file.read_at(0, 1 << 20, &mut after).unwrap();
        assert_eq!(before, after);
    }
    // What no checksum covers, or what the next start replaces: the leader epoch of a batch, four unused bytes of an index, the
    // marks of a start and the indexes and snapshot of the last segment.
    let last =
        PartitionFiles::open(Arc::new(fs.clone()), dir()).unwrap().segments.last().unwrap().base_offset;
    for (path, at) in unseen {
        let name = path.file_name().unwrap().to_str().unwrap();
        let of_last = name.starts_with(&format!("{last:020}")) || name.ends_with(".snapshot");
        let is_index = name.ends_with("index");
        let fits = !name.contains('.') || of_last || (is_index && (28..32).contains(&at)) || {
            name.ends_with(".log") && is_leader_epoch(&fs, &path, at)
        };
        assert!(fits, "byte {at} of {name} was not noticed");
    }
}

fn is_leader_epoch(fs: &MemFs, path: &Path, at: u64) -> bool {
    let base: i64 = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    let files = PartitionFiles::open(Arc::new(fs.clone()), dir()).unwrap();
    files.batches(base).unwrap().any(|item| match item.unwrap() {
        Item::Batch(batch) => (batch.position + 12..batch.position + 16).contains(&at),
        Item::Damaged { .. } => false,
    })
}

#[test]
fn a_missing_segment_and_a_missing_index_are_told_apart() {
    let fs = MemFs::new();
    filled(&fs).close().unwrap();
    let files = PartitionFiles::open(Arc::new(fs.clone()), dir()).unwrap();
    let base = files.segments[1].base_offset;
    let worst = || {
        let report = verify(Arc::new(fs.clone()), dir()).unwrap();
        report.problems.iter().map(|p| p.severity).max()
    };
    fs.remove(&dir().join(format!("{base:020}.index"))).unwrap();
    assert_eq!(worst(), Some(Severity::Derived));
    fs.remove(&segment(base)).unwrap();
    assert_eq!(worst(), Some(Severity::Damaged));
}
