//! Transactions as Kafka 4's own clients speak them (KIP-890: partitions are added by the writes, every end raises the epoch), and
//! what administrators see and end of them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation fails the test")]

mod support;

use bd_broker::{ResponseError as E, TXN_TOPIC};
use bd_log::batch::BatchBuilder;
use kafka_protocol::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use kafka_protocol::messages::*;
use std::collections::HashMap;
use support::raw::Raw;
use support::tx::{Tx, code, name, s};
use support::*;

fn served() -> (tempfile::TempDir, TestBroker) {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    server.broker.topics().create("t", 2, Default::default()).unwrap();
    (dir, server)
}

fn offset_of(server: &TestBroker) -> Option<i64> {
    server.broker.groups().committed("group", "t", 0, true).unwrap().map(|c| c.offset)
}

#[test]
fn clients_are_told_that_the_second_protocol_is_spoken() {
    let (_dir, server) = served();
    let mut raw = Raw::connect(&server.address);
    let request = ApiVersionsRequest::default()
        .with_client_software_name(s("raw"))
        .with_client_software_version(s("1"));
    let response = raw.call(3, &request);
    let feature =
        response.finalized_features.iter().find(|f| f.name.as_str() == "transaction.version").unwrap();
    assert_eq!(feature.max_version_level, 2);
    assert!(response.finalized_features_epoch >= 0);
    server.stop();
}

#[test]
fn writes_add_partitions_and_every_end_raises_the_epoch() {
    let (_dir, server) = served();
    let mut tx = Tx::start(&server, "tx");
    for (i, commit) in [true, false, true].into_iter().enumerate() {
        assert_eq!(tx.produces(0, &format!("{i}a")), None);
        assert_eq!(tx.produces(0, &format!("{i}b")), None);
        assert_eq!(tx.produces(1, "other"), None);
        assert_eq!(tx.commits_offset(5, i as i64), None);
        assert!(tx.is_open());
        assert_eq!(tx.ends(commit), None);
        assert!(!tx.is_open());
    }
    assert_eq!(server.read_all("read_committed", "t"), ["0a", "0b", "2a", "2b"]);
    assert_eq!(offset_of(&server), Some(2));
    server.stop();
}

#[test]
fn an_end_whose_answer_was_lost_is_answered_again_but_not_after_the_next_transaction_began() {
    let (_dir, server) = served();
    let mut tx = Tx::start(&server, "tx");
    assert_eq!(tx.produces(0, "a"), None);
    let first = tx.end(5, true);
    assert_eq!(tx.end(5, true), first);
    assert_eq!(first.producer_epoch, tx.epoch + 1);
    assert_eq!(code(tx.end(5, false).error_code), Some(E::InvalidTxnState));
    let old = tx.epoch;
    (tx.epoch, tx.sequences) = (first.producer_epoch, HashMap::new());
    assert_eq!(tx.produces(0, "b"), None);
    let (id, late) = (tx.producer_id, tx.end_as(5, true, tx.producer_id, old));
    assert_eq!(code(late.error_code), Some(E::ProducerFenced));
    assert_eq!((i64::from(late.producer_id), late.producer_epoch), (-1, -1));
    assert_eq!(code(tx.end_as(5, true, id + 1, 0).error_code), Some(E::InvalidProducerIdMapping));
    assert_eq!(tx.ends(true), None);
    assert_eq!(server.read_all("read_committed", "t"), ["a", "b"]);
    server.stop();
}

#[test]
fn a_write_of_an_ended_transaction_that_comes_late_is_refused() {
    let (_dir, server) = served();
    let mut tx = Tx::start(&server, "tx");
    assert_eq!(tx.produces(0, "a"), None);
    let epoch = tx.epoch;
    assert_eq!(tx.ends(true), None);
    tx.epoch = epoch;
    let late = tx.produce_at(13, 0, 1, "late");
    assert_eq!(code(late.error_code), Some(E::InvalidProducerEpoch));
    let message = late.error_message.unwrap();
    assert!(message.contains("t-0: producer") && message.contains("transactional id tx"), "{message}");
    assert_eq!(tx.commits_offset(5, 7), Some(E::InvalidProducerEpoch));
    assert!(!tx.is_open());
    tx.epoch = epoch + 1;
    assert_eq!(tx.produces(0, "b"), None);
    assert_eq!(tx.ends(true), None);
    assert_eq!(server.read_all("read_committed", "t"), ["a", "b"]);
    server.stop();
}

#[test]
fn a_transaction_may_be_aborted_before_it_began_and_not_be_committed() {
    let (_dir, server) = served();
    let mut tx = Tx::start(&server, "tx");
    assert_eq!(tx.ends(true), Some(E::InvalidTxnState));
    assert_eq!(tx.ends(false), None);
    assert_eq!(tx.ends(false), None);
    assert_eq!(tx.produces(0, "a"), None);
    assert_eq!(tx.ends(true), None);
    assert_eq!(tx.ends(false), None);
    assert_eq!(tx.ends(true), Some(E::InvalidTxnState));
    assert_eq!(server.read_all("read_committed", "t"), ["a"]);
    server.stop();
}

#[test]
fn older_writes_to_a_partition_that_was_not_added_are_refused_by_the_code_they_know() {
    let (_dir, server) = served();
    let mut tx = Tx::start(&server, "tx");
    assert_eq!(code(tx.produce(10, 0, "a").error_code), Some(E::InvalidTxnState));
    assert_eq!(code(tx.produce(11, 0, "a").error_code), Some(E::TransactionAbortable));
    assert_eq!(tx.commits_offset(3, 1), Some(E::InvalidTxnState));
    assert_eq!(tx.commits_offset(4, 1), Some(E::TransactionAbortable));
    assert!(!tx.is_open());
    server.stop();
}

#[test]
fn brokers_add_and_verify_partitions_of_many_transactions_at_once() {
    let (_dir, server) = served();
    let (a, b) = (Tx::start(&server, "a"), Tx::start(&server, "b"));
    let mut raw = Raw::connect(&server.address);
    let mut ask = |version: i16, verify_only: bool, epoch_of_b: i16| {
        let transaction = |tx: &Tx<'_>, epoch: i16| {
            let topic = AddPartitionsToTxnTopic::default().with_name(name("t")).with_partitions(vec![0, 1]);
            AddPartitionsToTxnTransaction::default()
                .with_transactional_id(TransactionalId(s(tx.id)))
                .with_producer_id(tx.producer_id.into())
                .with_producer_epoch(epoch)
                .with_verify_only(verify_only)
                .with_topics(vec![topic])
        };
        let request = AddPartitionsToTxnRequest::default()
            .with_transactions(vec![transaction(&a, a.epoch), transaction(&b, epoch_of_b)]);
        let response = raw.call(version, &request);
        let codes = response.results_by_transaction.iter().map(|t| {
            let results = &t.topic_results[0].results_by_partition;
            (code(results[0].partition_error_code), code(results[1].partition_error_code))
        });
        codes.collect::<Vec<_>>()
    };
    let all = |code: Option<E>| (code, code);
    assert_eq!(
        ask(4, true, b.epoch),
        [all(Some(E::TransactionAbortable)), all(Some(E::TransactionAbortable))]
    );
    assert_eq!(ask(5, false, b.epoch + 1), [all(None), all(Some(E::ProducerFenced))]);
    assert_eq!(ask(5, true, b.epoch), [all(None), all(Some(E::TransactionAbortable))]);
    server.stop();
}

#[test]
fn a_new_producer_fences_its_predecessor_in_the_second_protocol_too() {
    let (_dir, server) = served();
    let mut old = Tx::start(&server, "tx");
    assert_eq!(old.produces(0, "old"), None);
    let mut new = Tx::start(&server, "tx");
    assert!(!old.is_open(), "aborted when init has returned");
    assert_eq!(new.epoch, old.epoch + 2);
    assert_eq!(old.produces(0, "old"), Some(E::InvalidProducerEpoch));
    assert_eq!(old.commits_offset(5, 1), Some(E::InvalidProducerEpoch));
    assert_eq!(old.ends(true), Some(E::ProducerFenced));
    assert_eq!(old.ends(false), Some(E::ProducerFenced));
    assert_eq!(old.init(old.producer_id, old.epoch), Some(E::ProducerFenced));
    assert_eq!(new.produces(0, "new"), None);
    assert_eq!(new.ends(true), None);
    assert_eq!(server.read_all("read_committed", "t"), ["new"]);
    server.stop();
}

#[test]
fn an_acknowledged_write_of_an_open_transaction_survives_a_crash_as_part_of_it() {
    let (dir, server) = served();
    let mut tx = Tx::start(&server, "tx");
    assert_eq!(tx.produces(0, "a"), None);
    assert_eq!(tx.ends(true), None);
    assert_eq!(tx.produces(0, "b"), None);
    assert_eq!(tx.produces(1, "other"), None);
    let image = crash_image(dir.path());
    let (id, epoch, sequences) = (tx.producer_id, tx.epoch, tx.sequences.clone());
    drop(tx);
    drop(server);

    let server = start(image.path());
    let raw = Raw::connect(&server.address);
    let mut tx = Tx { server: &server, raw, id: "tx", producer_id: id, epoch, sequences };
    let again = tx.produce_at(13, 0, 0, "b");
    assert_eq!((again.error_code, again.base_offset), (0, 2), "known as sent before");
    assert_eq!(tx.produces(0, "c"), None);
    assert_eq!(tx.ends(true), None);
    // The answer to the end is lost, the broker starts again.
    let image = crash_image(image.path());
    let (id, epoch) = (tx.producer_id, tx.epoch);
    drop(tx);
    drop(server);
    let server = start(image.path());
    let raw = Raw::connect(&server.address);
    let mut tx = Tx { server: &server, raw, id: "tx", producer_id: id, epoch, sequences: HashMap::new() };
    let again = tx.end_as(5, true, id, epoch - 1);
    assert_eq!((again.error_code, again.producer_epoch), (0, epoch));
    assert_eq!(tx.produces(0, "d"), None);
    assert_eq!(tx.ends(false), None);
    assert_eq!(server.read_all("read_committed", "t"), ["a", "b", "c"]);
    server.stop();
}

#[test]
fn many_producers_commit_at_the_same_time() {
    const PRODUCERS: usize = 40;
    let (_dir, server) = served();
    let broker = &server.broker;
    std::thread::scope(|scope| {
        for i in 0..PRODUCERS {
            scope.spawn(move || {
                let id = format!("tx{i}");
                let mut producer = broker.txns().init_producer(Some(&id), 60_000, None).unwrap();
                for n in 0..5 {
                    let mut batch = BatchBuilder::new()
                        .producer(producer.producer_id, producer.epoch, 0)
                        .transactional(true);
                    batch.append(0, None, Some(format!("{i}/{n}").as_bytes()), &[]);
                    let (sender, receiver) = std::sync::mpsc::channel();
                    let call = bd_broker::ProduceCall { transactional_id: Some(&id), acks: -1, version: 13 };
                    broker.produce_as(call, vec![("t".into(), 0, Some(batch.build()))], move |results| {
                        let _ = sender.send(results);
                    });
                    assert_eq!(receiver.recv().unwrap()[0].error, None);
                    let v2 = bd_broker::TxnVersion::V2;
                    producer = broker.txns().end_as(&id, producer, n % 2 == 0, v2).unwrap();
                }
            });
        }
    });
    let values = server.read_all("read_committed", "t");
    assert_eq!(values.len(), PRODUCERS * 3);
    assert!(values.iter().all(|v| !v.ends_with("/1") && !v.ends_with("/3")));
    server.stop();
}

#[test]
fn transactions_that_last_too_long_are_aborted_together_and_their_producers_may_go_on() {
    let (_dir, server) = served();
    let broker = &server.broker;
    let write = |id: &str, producer: bd_broker::ProducerIdentity| {
        let mut batch =
            BatchBuilder::new().producer(producer.producer_id, producer.epoch, 0).transactional(true);
        batch.append(0, None, Some(id.as_bytes()), &[]);
        let (sender, receiver) = std::sync::mpsc::channel();
        let call = bd_broker::ProduceCall { transactional_id: Some(id), acks: -1, version: 13 };
        broker.produce_as(call, vec![("t".into(), 0, Some(batch.build()))], move |results| {
            let _ = sender.send(results);
        });
        receiver.recv().unwrap()[0].error
    };
    let v2 = bd_broker::TxnVersion::V2;
    let producers: Vec<_> = (0..50)
        .map(|i| {
            let id = format!("tx{i}");
            let producer = broker.txns().init_producer(Some(&id), 1_000, None).unwrap();
            assert_eq!(write(&id, producer), None);
            (id, producer)
        })
        .collect();
    let log = broker.topics().partition("t", 0).unwrap();
    until("aborts", || log.log().open_transactions().is_empty());
    for (id, producer) in producers {
        assert_eq!(write(&id, producer), Some(E::InvalidProducerEpoch));
        assert_eq!(broker.txns().end_as(&id, producer, true, v2), Err(E::InvalidTxnState));
        let next = broker.txns().end_as(&id, producer, false, v2).unwrap();
        assert_eq!((next.producer_id, next.epoch), (producer.producer_id, producer.epoch + 1));
        assert_eq!(write(&id, next), None);
        broker.txns().end_as(&id, next, true, v2).unwrap();
    }
    assert_eq!(server.read_all("read_committed", "t").len(), 50);
    server.stop();
}

#[test]
fn administrators_see_producers_and_transactions_and_end_what_hangs() {
    let (_dir, server) = served();
    let mut tx = Tx::start(&server, "tx-open");
    let mut done = Tx::start(&server, "tx-done");
    assert_eq!(done.produces(1, "done"), None);
    assert_eq!(done.ends(true), None);
    assert_eq!(tx.produces(0, "hanging"), None);
    let mut raw = Raw::connect(&server.address);

    let mut list = |request: ListTransactionsRequest| {
        let response = raw.call(2, &request);
        let states = response.transaction_states.iter();
        let states: Vec<_> = states
            .map(|t| format!("{} {}", t.transactional_id.as_str(), t.transaction_state.as_str()))
            .collect();
        (code(response.error_code), states, response.unknown_state_filters.len())
    };
    let all = || ListTransactionsRequest::default();
    let both = vec!["tx-done CompleteCommit".to_owned(), "tx-open Ongoing".to_owned()];
    let open = vec!["tx-open Ongoing".to_owned()];
    assert_eq!(list(all()), (None, both.clone(), 0));
    assert_eq!(list(all().with_state_filters(vec![s("Ongoing"), s("Odd")])), (None, open.clone(), 1));
    assert_eq!(list(all().with_state_filters(vec![s("Odd")])), (None, vec![], 1));
    assert_eq!(list(all().with_producer_id_filters(vec![tx.producer_id.into()])), (None, open.clone(), 0));
    assert_eq!(list(all().with_duration_filter(3_600_000)), (None, vec![], 0));
    assert_eq!(list(all().with_transactional_id_pattern(Some(s(".*-o.+")))), (None, open, 0));
    assert_eq!(list(all().with_transactional_id_pattern(Some(s("open")))), (None, vec![], 0));
    let bad = list(all().with_transactional_id_pattern(Some(s("("))));
    assert_eq!(bad.0, Some(E::InvalidRegularExpression));

    let ids = ["tx-open", "nobody", ""].map(|id| TransactionalId(s(id)));
    let request = DescribeTransactionsRequest::default().with_transactional_ids(ids.to_vec());
    let described = raw.call(0, &request).transaction_states;
    assert_eq!(described[0].transaction_state.as_str(), "Ongoing");
    assert_eq!(i64::from(described[0].producer_id), tx.producer_id);
    assert_eq!((described[0].producer_epoch, described[0].transaction_timeout_ms), (tx.epoch, 60_000));
    assert_eq!(described[0].topics[0].topic.as_str(), "t");
    assert_eq!(described[0].topics[0].partitions, [0]);
    assert_eq!(code(described[1].error_code), Some(E::TransactionalIdNotFound));
    assert_eq!(code(described[2].error_code), Some(E::InvalidRequest));

    let topic = TopicRequest::default().with_name(name("t")).with_partition_indexes(vec![0, 7]);
    let request = DescribeProducersRequest::default().with_topics(vec![topic]);
    let described = raw.call(0, &request).topics.remove(0).partitions;
    let hanging = &described[0].active_producers[0];
    assert_eq!(i64::from(hanging.producer_id), tx.producer_id);
    assert_eq!((hanging.producer_epoch, hanging.last_sequence), (i32::from(tx.epoch), 0));
    assert_eq!((hanging.current_txn_start_offset, hanging.coordinator_epoch), (0, -1));
    assert_eq!(code(described[1].error_code), Some(E::UnknownTopicOrPartition));

    let topic = WritableTxnMarkerTopic::default().with_name(name("t")).with_partition_indexes(vec![0, 7]);
    let marker = WritableTxnMarker::default()
        .with_producer_id(tx.producer_id.into())
        .with_producer_epoch(tx.epoch)
        .with_topics(vec![topic]);
    let response = raw.call(1, &WriteTxnMarkersRequest::default().with_markers(vec![marker]));
    let results = &response.markers[0].topics[0].partitions;
    assert_eq!((results[0].error_code, code(results[1].error_code)), (0, Some(E::UnknownTopicOrPartition)));
    assert!(!tx.is_open());
    assert_eq!(server.read_all("read_committed", "t"), Vec::<String>::new());
    server.stop();
}

#[test]
fn used_up_epochs_lead_to_a_new_producer_id_which_a_restart_knows() {
    use bd_broker::{Broker, BrokerConfig, TxnVersion};
    use std::sync::Arc;
    let fs = bd_log::testing::MemFs::new();
    let config =
        || BrokerConfig { fs: Arc::new(fs.clone()), ..BrokerConfig::new(std::path::Path::new("/epochs")) };
    let broker = Broker::open(config()).unwrap();
    let first = broker.txns().init_producer(Some("tx"), 60_000, None).unwrap();
    let mut producer = first;
    while producer.epoch < i16::MAX - 1 {
        producer = broker.txns().init_producer(Some("tx"), 60_000, Some(producer)).unwrap();
    }
    assert_eq!(producer.producer_id, first.producer_id);
    let next = broker.txns().end_as("tx", producer, false, TxnVersion::V2).unwrap();
    assert_eq!(next.epoch, 0);
    assert_ne!(next.producer_id, first.producer_id);
    // Made durable by what comes after it in the same log.
    let state = broker.txns().partition_for("tx").unwrap();
    assert_eq!(state.topic.as_ref(), TXN_TOPIC);
    state.wait_durable(state.log().end_offset()).unwrap();
    drop(broker);
    fs.power_loss(bd_log::testing::PowerLoss::DropUnsynced);
    let broker = Broker::open(config()).unwrap();
    assert_eq!(broker.txns().end_as("tx", producer, false, TxnVersion::V2), Ok(next), "the answer was lost");
    let error = broker.txns().end_as("tx", producer, true, TxnVersion::V2);
    assert_eq!(error, Err(E::InvalidTxnState));
    let after = broker.txns().init_producer(Some("tx"), 60_000, None).unwrap();
    assert_eq!((after.producer_id, after.epoch), (next.producer_id, 1));
}
