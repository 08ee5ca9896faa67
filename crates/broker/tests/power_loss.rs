//! The power is cut at every point of a run of transactions; whatever reached the disk, the next start is right.
//!
//! `BD_SOAK_SEEDS` (2) says in how many ways of its own each cut loses what was not fsynced.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation fails the test")]

use bd_broker::group::{Committer, OffsetWrite};
use bd_broker::txn::TxnSupport;
use bd_broker::{Broker, BrokerConfig, ProduceCall, ProducerIdentity, ResponseError, TxnVersion};
use bd_log::batch::{BatchBuilder, Batches, RecordsIter};
use bd_log::testing::{MemFs, PowerLoss};
use bd_log::{Isolation, LogConfig};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, mpsc};

const ID: &str = "tx";
const GROUP: &str = "group";
const TRANSACTIONS: i32 = 6;

fn config(fs: &MemFs) -> BrokerConfig {
    BrokerConfig {
        fs: Arc::new(fs.clone()),
        log: LogConfig { segment_bytes: 2048, ..LogConfig::default() },
        ..BrokerConfig::new(Path::new("/power-loss"))
    }
}

/// What a run was told before the power was cut.
#[derive(Debug, Default)]
struct Told {
    /// The transactions whose commit was acknowledged.
    committed: Vec<i32>,
    /// The one whose commit was asked for and not answered well.
    unsure: Option<i32>,
}

/// The offset of the group, added to the transaction by a request of its own, or by the commit itself.
fn offsets(
    broker: &Broker,
    producer: ProducerIdentity,
    protocol: TxnVersion,
    next: i64,
) -> Result<(), ResponseError> {
    let support = match protocol {
        TxnVersion::V1 => {
            broker.txns().add_offsets(ID, producer, GROUP)?;
            TxnSupport::DefaultError
        }
        TxnVersion::V2 => TxnSupport::AddPartition,
    };
    let (sender, receiver) = mpsc::channel();
    let write = OffsetWrite {
        topic: "t".into(),
        partition: 0,
        offset: next,
        leader_epoch: -1,
        metadata: String::new(),
    };
    let committer = Committer::of_group(GROUP);
    broker.txn_commit_offsets_as(support, ID, producer, committer, vec![write], move |results| {
        let _ = sender.send(results);
    });
    receiver.recv().unwrap()[0].map_or(Ok(()), Err)
}

/// One record; in the second protocol the first one of its epoch.
fn append(
    broker: &Broker,
    producer: ProducerIdentity,
    protocol: TxnVersion,
    partition: i32,
    number: i32,
) -> Result<(), ResponseError> {
    append_to(broker, producer, protocol, ("t", partition, None), number)
}

fn append_to(
    broker: &Broker,
    producer: ProducerIdentity,
    protocol: TxnVersion,
    (topic, partition, key): (&str, i32, Option<u8>),
    number: i32,
) -> Result<(), ResponseError> {
    let (version, sequence) = if protocol == TxnVersion::V1 { (11, number) } else { (13, 0) };
    let mut batch =
        BatchBuilder::new().producer(producer.producer_id, producer.epoch, sequence).transactional(true);
    let key = key.map(|key| [key]);
    batch.append(0, key.as_ref().map(|key| &key[..]), Some(number.to_string().as_bytes()), &[]);
    let (sender, receiver) = mpsc::channel();
    let call = ProduceCall { transactional_id: Some(ID), acks: -1, version };
    broker.produce_as(call, vec![(topic.into(), partition, Some(batch.build()))], move |results| {
        let _ = sender.send(results);
    });
    receiver.recv().unwrap()[0].error.map_or(Ok(()), Err)
}

/// Runs until the end or the first failure. Even transactions commit, odd ones abort; each writes its number to both partitions
/// and commits its number as the group's offset.
fn run(broker: &Broker, protocol: TxnVersion, told: &mut Told) -> Result<(), ResponseError> {
    broker.topics().create("t", 2, Default::default()).map_err(|e| e.code())?;
    let mut producer = broker.txns().init_producer(Some(ID), 60_000, None)?;
    for number in 0..TRANSACTIONS {
        if protocol == TxnVersion::V1 {
            broker.txns().add_partitions(ID, producer, vec![("t".into(), 0), ("t".into(), 1)])?;
        }
        append(broker, producer, protocol, 0, number)?;
        append(broker, producer, protocol, 1, number)?;
        offsets(broker, producer, protocol, i64::from(number))?;
        let commit = number % 2 == 0;
        if commit {
            told.unsure = Some(number);
        }
        producer = broker.txns().end_as(ID, producer, commit, protocol)?;
        if commit {
            told.unsure = None;
            told.committed.push(number);
        }
    }
    Ok(())
}

/// The numbers that a read_committed reader finds.
fn read(broker: &Broker, partition: i32) -> Vec<i32> {
    read_keyed(broker, "t", partition).into_iter().map(|(_, number)| number).collect()
}

/// The keys (of one byte, 0 without) and numbers that a read_committed reader finds.
fn read_keyed(broker: &Broker, topic: &str, partition: i32) -> Vec<(u8, i32)> {
    let partition = broker.topics().partition(topic, partition).unwrap();
    let mut numbers = Vec::new();
    let mut offset = partition.log().start_offset();
    loop {
        let read = partition.log().read(offset, 1 << 20, Isolation::LastStable, true).unwrap();
        if read.bytes.is_empty() {
            return numbers;
        }
        for item in Batches::new(&read.bytes) {
            let (range, header) = item.unwrap();
            let aborted = read.aborted.iter().any(|t| {
                t.producer_id == header.producer_id
                    && (t.first_offset..=t.last_offset).contains(&header.base_offset)
            });
            if header.is_control() || aborted {
                continue;
            }
            let batch = &read.bytes[range];
            for record in RecordsIter::new(batch).unwrap() {
                let record = record.unwrap();
                let value = std::str::from_utf8(&batch[record.value.unwrap()]).unwrap();
                numbers.push((record.key.map_or(0, |key| batch[key][0]), value.parse().unwrap()));
            }
        }
        offset = read.next_offset;
    }
}

fn check(broker: &Broker, told: &Told, context: &str) {
    if broker.topics().get("t").is_none() {
        assert!(told.committed.is_empty(), "{context}: the topic is lost");
        return;
    }
    broker.txns().init_producer(Some(ID), 60_000, None).unwrap();
    let mut with_unsure = told.committed.clone();
    with_unsure.extend(told.unsure);
    let found = read(broker, 0);
    assert!(found == told.committed || found == with_unsure, "{context}: {found:?}, but {told:?}");
    assert_eq!(found, read(broker, 1), "{context}: a transaction is seen in part");
    let committed = broker.groups().committed(GROUP, "t", 0, true).unwrap().map(|c| c.offset);
    assert_eq!(
        committed,
        found.last().map(|n| i64::from(*n)),
        "{context}: offsets and records differ, {told:?}"
    );
    for topic in broker.topics().all() {
        for partition in topic.partitions() {
            let log = partition.log();
            assert!(log.open_transactions().is_empty(), "{context}: {partition:?} is held up");
            assert_eq!(log.last_stable_offset(), log.high_watermark(), "{context}: {partition:?}");
        }
    }
}

fn seeds() -> u64 {
    std::env::var("BD_SOAK_SEEDS").map_or(2, |text| text.parse().unwrap())
}

/// The cut comes after every third change of the disk.
const STEP: usize = 3;

/// The same for a run with many changes: of these fewer, unless it may take its time.
fn large_step() -> usize {
    if std::env::var_os("BD_SOAK_SEEDS").is_some() { STEP } else { 13 }
}

/// Cuts the power in a run of `work` after every `step` changes of the disk, in several ways, and hands what is left to `check`, until
/// a run ends before its cut.
fn at_every_cut<T: Default>(
    step: usize,
    work: impl Fn(&Broker, &mut T) -> Result<(), ResponseError>,
    mut check: impl FnMut(&MemFs, T, &str),
) {
    for cut in (0..).step_by(step) {
        let random = (0..seeds()).map(|seed| PowerLoss::Random(cut + seed * 100_000));
        for loss in std::iter::once(PowerLoss::DropUnsynced).chain(random) {
            let fs = MemFs::new();
            fs.cut_power_after(cut);
            let mut told = T::default();
            let ended = match Broker::open(config(&fs)) {
                Ok(broker) => work(&broker, &mut told).is_ok(),
                Err(_) => false,
            };
            fs.power_loss(loss);
            check(&fs, told, &format!("cut after {cut} changes, {loss:?}"));
            if ended {
                assert!(cut > 100, "the run is too short to mean anything: {cut} changes");
                return;
            }
        }
    }
}

fn reopened(fs: &MemFs, context: &str) -> Arc<Broker> {
    Broker::open(config(fs)).unwrap_or_else(|e| panic!("{context}: {e}"))
}

#[test]
fn after_a_power_loss_at_any_point_transactions_are_whole_and_none_is_lost() {
    for protocol in [TxnVersion::V1, TxnVersion::V2] {
        at_every_cut(
            STEP,
            |broker, told| run(broker, protocol, told),
            |fs, told, context| {
                let context = format!("{protocol:?}, {context}");
                // Opened twice: what the first start repairs, the second finds in order.
                for start in ["first", "second"] {
                    check(&reopened(fs, &context), &told, &format!("{context}, {start} start"));
                }
            },
        );
    }
}

/// The key that a transaction writes: the same for one that commits and one that aborts.
fn key_of(number: i32) -> u8 {
    b'a' + (number / 2 % 2) as u8
}

/// As [`run`], but each transaction writes a key of a compacted topic, too, and then all logs are compacted that can be, as some
/// days later, and retention runs.
fn run_compacted(broker: &Broker, told: &mut Told) -> Result<(), ResponseError> {
    const V2: TxnVersion = TxnVersion::V2;
    const EIGHT_DAYS_MS: i64 = 8 * 24 * 3_600_000;
    broker.topics().create("t", 2, Default::default()).map_err(|e| e.code())?;
    let compacted = [("cleanup.policy".to_owned(), "compact".to_owned())].into();
    broker.topics().create("keyed", 1, compacted).map_err(|e| e.code())?;
    let mut producer = broker.txns().init_producer(Some(ID), 60_000, None)?;
    let mut later = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis() as i64;
    for number in 0..TRANSACTIONS {
        append(broker, producer, V2, 0, number)?;
        append(broker, producer, V2, 1, number)?;
        append_to(broker, producer, V2, ("keyed", 0, Some(key_of(number))), number)?;
        offsets(broker, producer, V2, i64::from(number))?;
        let commit = number % 2 == 0;
        if commit {
            told.unsure = Some(number);
        }
        producer = broker.txns().end_as(ID, producer, commit, V2)?;
        if commit {
            told.unsure = None;
            told.committed.push(number);
        }
        later += EIGHT_DAYS_MS;
        for topic in ["keyed", "__consumer_offsets", "__transaction_state"] {
            let partition = broker.topics().partition(topic, 0).unwrap();
            // After a cut it fails, as the next append does.
            let _ = partition.log().compact(later);
        }
        broker.maintain();
    }
    Ok(())
}

#[test]
fn compaction_and_retention_lose_nothing_of_what_transactions_wrote() {
    at_every_cut(large_step(), run_compacted, |fs, told, context| {
        for start in ["first", "second"] {
            let context = format!("{context}, {start} start");
            let broker = reopened(fs, &context);
            check(&broker, &told, &context);
            if broker.topics().get("keyed").is_none() {
                assert!(told.committed.is_empty(), "{context}: the topic is lost");
                continue;
            }
            let last = |pairs: Vec<(u8, i32)>| pairs.into_iter().collect::<BTreeMap<u8, i32>>();
            let expected = read(&broker, 0).into_iter().map(|number| (key_of(number), number)).collect();
            assert_eq!(last(read_keyed(&broker, "keyed", 0)), last(expected), "{context}");
        }
    });
}

/// A producer that outlives the broker: what it is in the middle of.
#[derive(Debug, Default)]
struct Producer {
    identity: Option<ProducerIdentity>,
    number: i32,
    /// 0 and 1: the record of that partition; 2: the offset; 3: the end.
    step: i32,
}

impl Producer {
    /// Goes on until the end or the first failure, which leaves it where it was: the next call tries the same step again.
    fn go_on(&mut self, broker: &Broker) -> Result<(), ResponseError> {
        const V2: TxnVersion = TxnVersion::V2;
        if broker.topics().get("t").is_none() {
            broker.topics().create("t", 2, Default::default()).map_err(|e| e.code())?;
        }
        let mut identity = match self.identity {
            Some(identity) => identity,
            None => broker.txns().init_producer(Some(ID), 60_000, None)?,
        };
        self.identity = Some(identity);
        while self.number < TRANSACTIONS {
            let commit = self.number % 2 == 0;
            match self.step {
                2 => offsets(broker, identity, V2, i64::from(self.number))?,
                3 => identity = broker.txns().end_as(ID, identity, commit, V2)?,
                partition => append(broker, identity, V2, partition, self.number)?,
            }
            self.identity = Some(identity);
            self.step = (self.step + 1) % 4;
            self.number += i32::from(self.step == 0);
        }
        Ok(())
    }

    /// As a client does that is told that its transaction cannot go on: aborts it and begins it again.
    fn begin_again(&mut self, broker: &Broker) {
        let aborted = broker.txns().end_as(ID, self.identity.unwrap(), false, TxnVersion::V2);
        self.identity = Some(aborted.unwrap());
        self.step = 0;
    }
}

#[test]
fn a_producer_that_goes_on_after_a_power_loss_writes_every_transaction_exactly_once() {
    let mut began_again = 0;
    at_every_cut(
        STEP,
        |broker, producer: &mut Producer| producer.go_on(broker),
        |fs, mut producer, context| {
            let broker = reopened(fs, context);
            let before = format!("{producer:?}");
            if let Err(error) = producer.go_on(&broker) {
                // Its record reached the disk, not what says that the partition is part of the transaction.
                assert_eq!(error, ResponseError::InvalidProducerEpoch, "{context}: {before}");
                assert!(producer.step < 3, "{context}: {before}");
                began_again += 1;
                producer.begin_again(&broker);
                producer.go_on(&broker).unwrap_or_else(|e| panic!("{context}: {e}, {producer:?}"));
            }
            let committed: Vec<i32> = (0..TRANSACTIONS).step_by(2).collect();
            check(&broker, &Told { committed, unsure: None }, context);
        },
    );
    assert!(began_again > 0, "no cut between the two fsyncs of a write: this test shows less than it says");
}

#[test]
fn a_failed_fsync_is_answered_as_a_failure_and_reads_go_on() {
    let disk = MemFs::new();
    let faults = bd_log::testing::FaultFs::new(Arc::new(disk.clone()));
    let mut settings = config(&disk);
    let faults = Arc::new(faults);
    settings.fs = faults.clone();
    let broker = Broker::open(settings).unwrap();
    broker.topics().create("t", 1, Default::default()).unwrap();
    let produce = |value: &str| {
        let mut batch = BatchBuilder::new();
        batch.append(0, None, Some(value.as_bytes()), &[]);
        let (sender, receiver) = mpsc::channel();
        broker.produce(None, -1, vec![("t".into(), 0, Some(batch.build()))], move |results| {
            let _ = sender.send(results);
        });
        receiver.recv().unwrap().remove(0)
    };
    assert_eq!(produce("0").error, None);
    faults.fail_syncs(true);
    assert_eq!(produce("1").error, Some(ResponseError::KafkaStorageError));
    faults.fail_syncs(false);
    // Nobody knows what the disk holds: no append until a restart, but what was acknowledged can be read.
    assert_eq!(produce("2").error, Some(ResponseError::KafkaStorageError));
    assert_eq!(read(&broker, 0), [0]);
    drop(broker);
    disk.power_loss(PowerLoss::DropUnsynced);
    let broker = Broker::open(config(&disk)).unwrap();
    assert_eq!(read(&broker, 0), [0]);
}
