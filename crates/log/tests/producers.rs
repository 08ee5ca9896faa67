//! Idempotence, fencing, transactions.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use bd_log::testing::MemFs;
use bd_log::{AbortedTxn, Isolation, LogError};
use support::*;

#[test]
fn the_last_five_batches_are_recognised_as_repeats_with_their_offsets() {
    let fs = MemFs::new();
    let (mut log, _) = open(&fs, config()).unwrap();
    for i in 0..7 {
        put(&log, sequenced(1, 0, i * 3, 3));
    }
    for _ in 0..2 {
        for i in 2..7 {
            let again = log.append(sequenced(1, 0, i * 3, 3), 0).unwrap();
            let first = i64::from(i) * 3;
            assert_eq!((again.duplicate, again.base_offset, again.last_offset), (true, first, first + 2));
        }
        assert_eq!(log.end_offset(), 21);
        for (sequence, count) in [(3, 3), (22, 1), (20, 1), (20, 2)] {
            let error = log.append(sequenced(1, 0, sequence, count), 0).unwrap_err();
            assert!(
                matches!(error, LogError::OutOfOrderSequence { expected: 21, got, .. } if got == sequence),
                "{error}"
            );
        }
        log = open(&fs, config()).unwrap().0; // and the same after a kill
    }
    assert_eq!(put(&log, sequenced(1, 0, 21, 1)).base_offset, 21);
}

/// librdkafka drops on abort what it was about to send again, and gives its sequences to the next transaction's records.
#[test]
fn a_batch_of_a_new_transaction_is_no_repeat_of_one_before() {
    let fs = MemFs::new();
    let (mut log, _) = open(&fs, config()).unwrap();
    put(&log, transactional(1, 0, 0, 2));
    put(&log, transactional(1, 0, 2, 2));
    for (next, commit) in [(4, false), (6, true)] {
        // All of this transaction are known as repeats.
        assert!(log.append(transactional(1, 0, next - 2, 2), 0).unwrap().duplicate);
        log.append_marker(1, 0, commit, 0, 0).unwrap();
        let end = log.end_offset();
        for _ in 0..2 {
            for sequence in (0..next).step_by(2) {
                let error = log.append(transactional(1, 0, sequence, 2), 0).unwrap_err();
                assert!(
                    matches!(error, LogError::OutOfOrderSequence { expected, .. } if expected == next),
                    "{error}"
                );
            }
            assert_eq!(log.end_offset(), end);
            log = open(&fs, config()).unwrap().0; // and the same after a kill
        }
        put(&log, transactional(1, 0, next, 2));
        assert!(log.append(transactional(1, 0, next - 2, 2), 0).is_err(), "one before the marker");
    }
}

#[test]
fn sequences_wrap_from_the_greatest_to_zero() {
    let fs = MemFs::new();
    let (log, _) = open(&fs, config()).unwrap();
    put(&log, sequenced(1, 0, 0, 1));
    put(&log, sequenced(2, 0, i32::MAX - 1, 3)); // MAX-1, MAX, 0
    assert_eq!(log.producer_states()[1].last_sequence, 0);
    assert!(log.append(sequenced(2, 0, i32::MAX - 1, 3), 0).unwrap().duplicate);
    put(&log, sequenced(2, 0, 1, 1));
    put(&log, sequenced(3, 0, i32::MAX, 1));
    put(&log, sequenced(3, 0, 0, 1));
}

#[test]
fn an_unknown_producer_may_start_at_any_sequence_but_not_leave_gaps() {
    let (log, _) = open(&MemFs::new(), config()).unwrap();
    assert_eq!(log.producer_state(1), None);
    put(&log, sequenced(1, 0, 5, 1));
    assert_eq!(log.producer_state(1).map(|p| p.last_sequence), Some(5));
    let error = log.append(sequenced(1, 0, 7, 1), 0).unwrap_err();
    assert!(matches!(error, LogError::OutOfOrderSequence { expected: 6, got: 7, .. }));
    // An end of a transaction makes a producer known: it starts at 0.
    log.append_marker(2, 3, false, 0, 0).unwrap();
    let error = log.append(sequenced(2, 3, 5, 1), 0).unwrap_err();
    assert!(matches!(error, LogError::OutOfOrderSequence { expected: 0, got: 5, .. }));
    put(&log, sequenced(2, 3, 0, 1));
}

#[test]
fn an_older_epoch_is_fenced_and_a_newer_one_starts_over() {
    let (log, _) = open(&MemFs::new(), config()).unwrap();
    put(&log, sequenced(1, 4, 0, 2));
    assert!(matches!(
        log.append(sequenced(1, 5, 2, 1), 0),
        Err(LogError::OutOfOrderSequence { expected: 0, .. })
    ));
    put(&log, sequenced(1, 5, 0, 1));
    let error = log.append(sequenced(1, 4, 2, 1), 0).unwrap_err();
    assert!(matches!(error, LogError::InvalidProducerEpoch { epoch: 4, current: 5, .. }));
    assert!(matches!(log.append_marker(1, 4, true, 0, 0), Err(LogError::InvalidProducerEpoch { .. })));
    log.append_marker(1, 6, false, 0, 0).unwrap();
    assert!(matches!(log.append(sequenced(1, 5, 1, 1), 0), Err(LogError::InvalidProducerEpoch { .. })));
    put(&log, sequenced(1, 6, 0, 1));
}

#[test]
fn a_marker_of_an_old_coordinator_is_fenced() {
    let (log, _) = open(&MemFs::new(), config()).unwrap();
    put(&log, transactional(1, 0, 0, 1));
    log.append_marker(1, 0, true, 3, 0).unwrap();
    assert!(matches!(log.append_marker(1, 0, true, 2, 0), Err(LogError::CoordinatorFenced { .. })));
    log.append_marker(1, 0, true, 3, 0).unwrap();
}

#[test]
fn a_batch_outside_of_the_open_transaction_is_refused() {
    let (log, _) = open(&MemFs::new(), config()).unwrap();
    put(&log, transactional(1, 0, 0, 1));
    let error = log.append(sequenced(1, 0, 1, 1), 0).unwrap_err();
    assert!(matches!(error, LogError::InvalidTxnState { first_offset: 0, .. }));
}

#[test]
fn several_batches_of_one_append_must_follow_each_other() {
    let (log, _) = open(&MemFs::new(), config()).unwrap();
    let mut two = sequenced(1, 0, 0, 2);
    two.extend_from_slice(&sequenced(1, 0, 2, 2));
    assert_eq!(log.append(two.clone(), 0).unwrap().last_offset, 3);
    let again = log.append(two, 0).unwrap();
    assert_eq!((again.duplicate, again.base_offset, again.last_offset), (true, 0, 3));
    let mut gap = sequenced(1, 0, 4, 1);
    gap.extend_from_slice(&sequenced(1, 0, 6, 1));
    assert!(matches!(log.append(gap, 0), Err(LogError::OutOfOrderSequence { expected: 5, got: 6, .. })));
    assert_eq!(log.end_offset(), 4);
}

#[test]
fn the_stable_offset_waits_for_the_first_open_transaction_and_for_the_marker_to_be_durable() {
    let (log, _) = open(&MemFs::new(), config()).unwrap();
    put(&log, plain(&[(1, "a")]));
    put(&log, transactional(1, 0, 0, 1)); // 1
    put(&log, transactional(2, 0, 0, 1)); // 2
    assert_eq!(log.open_transactions().iter().map(|t| t.first_offset).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(log.last_stable_offset(), 1);
    log.append_marker(1, 0, true, 0, 0).unwrap(); // 3
    assert_eq!(log.last_stable_offset(), 1, "the marker is not durable");
    log.sync().unwrap();
    assert_eq!(log.last_stable_offset(), 2);
    log.append_marker(2, 0, false, 0, 0).unwrap(); // 4
    log.sync().unwrap();
    assert_eq!(log.last_stable_offset(), 5);
    assert_eq!(offsets(&log, Isolation::LastStable), [0, 1]);
    assert_eq!(offsets(&log, Isolation::HighWatermark), [0, 1, 2]);
}

#[test]
fn aborted_transactions_are_found_over_segment_rolls_and_restarts() {
    let fs = MemFs::new();
    let (mut log, _) = open(&fs, config()).unwrap();
    put(&log, transactional(1, 0, 0, 1)); // aborted at the very end, many segments later
    let mut expected = Vec::new();
    for i in 0..20 {
        let producer = 10 + i64::from(i % 3);
        let first = put(&log, transactional(producer, 0, i / 3 * 2, 2)).base_offset;
        put(&log, plain(&[(5, "between")]));
        expected.push(first + 2);
        let commit = i % 2 == 0;
        log.append_marker(producer, 0, commit, 0, 0).unwrap();
        if commit {
            expected.extend([first, first + 1]);
        }
        log.sync().unwrap();
    }
    expected.sort_unstable();
    let last = log.append_marker(1, 0, false, 0, 0).unwrap().last_offset;
    log.sync().unwrap();
    for restart in 0..4 {
        assert_eq!(offsets(&log, Isolation::LastStable), expected, "restart {restart}");
        let read = log.read(0, 1, Isolation::LastStable, true).unwrap();
        assert_eq!(read.aborted, [AbortedTxn { producer_id: 1, first_offset: 0, last_offset: last }]);
        if restart % 2 == 0 {
            log.close().unwrap();
        }
        log = open(&fs, config()).unwrap().0;
    }
}

#[test]
fn idle_producers_are_forgotten_and_may_go_on_but_not_those_in_a_transaction() {
    let fs = MemFs::new();
    let (log, _) = open(&fs, config()).unwrap();
    put(&log, sequenced(1, 0, 0, 1));
    put(&log, transactional(2, 0, 0, 1));
    log.apply_retention(i64::MAX).unwrap();
    assert_eq!(log.producer_states().iter().map(|p| p.producer_id).collect::<Vec<_>>(), [2]);
    log.close().unwrap();
    let (log, _) = open(&fs, config()).unwrap();
    put(&log, sequenced(1, 0, 1, 1)); // where it stopped
    assert!(matches!(log.append(sequenced(1, 0, 3, 1), 0), Err(LogError::OutOfOrderSequence { .. })));
}
