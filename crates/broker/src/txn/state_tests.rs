//! The state machine as tables.

use super::*;
use TxnVersion::{V1, V2};

fn at(state: TxnState) -> TxnMeta {
    let mut meta = TxnMeta::new(7, 3, 1000, 0);
    meta.state = state;
    if state == TxnState::Ongoing || state.is_prepared() {
        meta.partitions.insert(("t".into(), 0));
        meta.started_ms = 0;
    }
    meta
}

fn init_outcome(meta: &TxnMeta, known: Option<(i64, i16)>) -> String {
    match meta.init(known, 5, 9) {
        Ok(InitStep::Ready(n)) => format!("ready {}", n.epoch),
        Ok(InitStep::AbortFirst) => "abort first".into(),
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
        (Ongoing, "abort first", "abort first", "ProducerFenced"),
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
    assert_eq!(init_outcome(&bumped, Some((7, 3))), "ready 4");
    assert_eq!(init_outcome(&bumped, Some((7, 4))), "ready 5");
    // A producer that only shares the id and was fenced by a new one is not taken for it.
    let InitStep::Ready(fenced) = at(TxnState::Empty).init(None, 5, 9).unwrap() else { panic!() };
    assert_eq!(init_outcome(&fenced, Some((7, 3))), "ProducerFenced");
}

#[test]
fn used_up_epochs_lead_to_a_new_producer_id() {
    let mut meta = at(TxnState::CompleteCommit);
    meta.epoch = i16::MAX - 2;
    assert_eq!(init_outcome(&meta, None), format!("ready {}", i16::MAX - 1));
    meta.epoch = i16::MAX - 1;
    assert_eq!(init_outcome(&meta, None), "new id 0");
    let InitStep::NewProducerId(mut rotated) = meta.init(Some((7, i16::MAX - 1)), 5, 9).unwrap() else {
        panic!()
    };
    rotated.producer_id = 8;
    assert_eq!(init_outcome(&rotated, Some((7, i16::MAX - 1))), "ready 0", "the answer was lost");
    assert_eq!(init_outcome(&rotated, Some((7, 5))), "ProducerFenced");
    assert_eq!(init_outcome(&rotated, Some((8, 0))), "ready 1");
}

fn end_outcome(meta: &TxnMeta, producer: (i64, i16), commit: bool, client: TxnVersion) -> String {
    let new_id = meta.is_epoch_exhausted().then_some(8);
    match meta.end(producer, commit, client, new_id, 9) {
        Ok(EndStep::Prepare(n)) => format!("{:?} {}", n.state, n.epoch),
        Ok(EndStep::Already) => "already".into(),
        Ok(EndStep::CompleteFirst) => "complete".into(),
        Err(e) => e.to_string(),
    }
}

#[test]
fn end_by_state_in_the_first_protocol() {
    use TxnState::*;
    for (state, commit, abort) in [
        (Empty, "InvalidTxnState", "InvalidTxnState"),
        (Ongoing, "PrepareCommit 3", "PrepareAbort 3"),
        (PrepareCommit, "complete", "InvalidTxnState"),
        (PrepareAbort, "InvalidTxnState", "complete"),
        (CompleteCommit, "already", "InvalidTxnState"),
        (CompleteAbort, "InvalidTxnState", "already"),
    ] {
        assert_eq!(end_outcome(&at(state), (7, 3), true, V1), commit, "{state:?}");
        assert_eq!(end_outcome(&at(state), (7, 3), false, V1), abort, "{state:?}");
        for epoch in [2, 4] {
            assert_eq!(end_outcome(&at(state), (7, epoch), true, V1), "ProducerFenced", "{state:?}");
        }
        assert_eq!(end_outcome(&at(state), (8, 3), true, V1), "InvalidProducerIdMapping", "{state:?}");
    }
}

#[test]
fn end_by_state_in_the_second_protocol() {
    use TxnState::*;
    // state, then commit and abort under the present epoch, and as a retry under the one before
    for (state, commit, abort, commit_again, abort_again) in [
        (Empty, "InvalidTxnState", "PrepareAbort 4", "ProducerFenced", "ProducerFenced"),
        (Ongoing, "PrepareCommit 4", "PrepareAbort 4", "ProducerFenced", "ProducerFenced"),
        (PrepareCommit, "ProducerFenced", "ProducerFenced", "complete", "InvalidTxnState"),
        (PrepareAbort, "ProducerFenced", "ProducerFenced", "InvalidTxnState", "complete"),
        (CompleteCommit, "InvalidTxnState", "PrepareAbort 4", "already", "InvalidTxnState"),
        (CompleteAbort, "InvalidTxnState", "PrepareAbort 4", "InvalidTxnState", "already"),
    ] {
        let meta = at(state);
        assert_eq!(end_outcome(&meta, (7, 3), true, V2), commit, "{state:?}");
        assert_eq!(end_outcome(&meta, (7, 3), false, V2), abort, "{state:?}");
        assert_eq!(end_outcome(&meta, (7, 2), true, V2), commit_again, "{state:?}");
        assert_eq!(end_outcome(&meta, (7, 2), false, V2), abort_again, "{state:?}");
        for epoch in [1, 4] {
            assert_eq!(end_outcome(&meta, (7, epoch), true, V2), "ProducerFenced", "{state:?}");
        }
        assert_eq!(end_outcome(&meta, (8, 3), true, V2), "InvalidProducerIdMapping", "{state:?}");
    }
}

#[test]
fn the_end_under_the_last_epoch_goes_on_with_a_new_producer_id() {
    let mut meta = at(TxnState::Ongoing);
    meta.epoch = i16::MAX - 1;
    let last = (7, i16::MAX - 1);
    let EndStep::Prepare(decided) = meta.end(last, true, V2, Some(8), 9).unwrap() else { panic!() };
    assert_eq!((decided.producer_id, decided.epoch, decided.next_producer_id), (7, i16::MAX, 8));
    assert_eq!(end_outcome(&decided, last, true, V2), "complete");
    let done = decided.completed(10).unwrap();
    assert_eq!((done.producer_id, done.epoch, done.prev_producer_id), (8, 0, 7));
    assert_eq!(end_outcome(&done, last, true, V2), "already", "the answer was lost");
    assert_eq!(end_outcome(&done, last, false, V2), "InvalidTxnState");
    assert_eq!(end_outcome(&done, (7, 5), true, V2), "InvalidProducerIdMapping");
    assert!(done.add_partitions(8, 0, [("t".to_owned(), 0)], V2, 9).is_ok());
    // A time-out under the last epoch does the same.
    let aborted = meta.fenced_abort(Some(9), 9).completed(10).unwrap();
    assert_eq!((aborted.producer_id, aborted.epoch, aborted.prev_producer_id), (9, 0, 7));
}

#[test]
fn after_a_time_out_a_producer_may_abort_in_the_second_protocol_and_nothing_else() {
    let aborted = at(TxnState::Ongoing).fenced_abort(None, 9).completed(10).unwrap();
    assert_eq!(aborted.epoch, 4);
    assert_eq!(end_outcome(&aborted, (7, 3), false, V2), "already");
    assert_eq!(end_outcome(&aborted, (7, 3), true, V2), "InvalidTxnState");
    assert_eq!(end_outcome(&aborted, (7, 3), false, V1), "ProducerFenced");
    assert_eq!(end_outcome(&aborted, (7, 3), true, V1), "ProducerFenced");
    let new = ("u".to_owned(), 1);
    assert_eq!(aborted.add_partitions(7, 3, [new], V2, 9), Err(E::ProducerFenced));
}

#[test]
fn add_partitions_by_state() {
    use TxnState::*;
    let new = ("u".to_owned(), 1);
    for state in [Empty, Ongoing, CompleteCommit, CompleteAbort] {
        let next = at(state).add_partitions(7, 3, [new.clone()], V2, 9).unwrap().unwrap();
        assert_eq!((next.state, next.client), (Ongoing, V2), "{state:?}");
        assert!(next.partitions.contains(&new));
        assert_eq!(next.verify(7, 3, &new), Ok(()));
        assert_eq!(next.started_ms, if state == Ongoing { 0 } else { 9 });
        assert_eq!(at(state).verify(7, 3, &new), Err(E::TransactionAbortable));
    }
    for state in [PrepareCommit, PrepareAbort] {
        assert_eq!(at(state).add_partitions(7, 3, [new.clone()], V1, 9), Err(E::ConcurrentTransactions));
        assert_eq!(at(state).verify(7, 3, &("t".into(), 0)), Err(E::ConcurrentTransactions));
    }
    assert_eq!(at(Ongoing).add_partitions(7, 3, [("t".to_owned(), 0)], V1, 9), Ok(None));
    assert_eq!(at(Ongoing).add_partitions(7, 2, [new.clone()], V1, 9), Err(E::ProducerFenced));
    assert_eq!(at(Ongoing).verify(7, 2, &("t".into(), 0)), Err(E::ProducerFenced));
    assert_eq!(at(Ongoing).verify(8, 3, &("t".into(), 0)), Err(E::InvalidProducerIdMapping));
}

#[test]
fn only_open_transactions_have_a_deadline() {
    for state in TxnState::ALL {
        assert_eq!(at(state).deadline_ms(), (state == TxnState::Ongoing).then_some(1000), "{state:?}");
    }
}
