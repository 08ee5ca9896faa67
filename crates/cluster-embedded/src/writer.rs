//! Appends record batches; transactions by the broker's own coordinator.

use crate::error::{commit_failed, log_failed, refused};
use bd_broker::group::{Committer, MemberRef, OffsetWrite};
use bd_broker::txn::TxnSupport;
use bd_broker::{Broker, Partition, ProducerIdentity, ResponseError as E, TxnVersion};
use bd_cluster::{
    Ack, ClusterError, CommitError, GroupMember, RecordsBuilder, TopicPartition, Writer, WriterConfig,
    Written,
};
use bd_log::LogError;
use bd_log::batch::BatchBuilder;
use bytes::BytesMut;
use parking_lot::{Condvar, Mutex};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Bytes that may be on their way to the disk before `append` waits.
const MAX_UNDER_WAY: usize = 32 << 20;
/// Room for what a record takes beside its bytes (lengths, deltas); more than it ever is.
const RECORD_OVERHEAD: usize = 64;

/// Counts bytes on their way.
#[derive(Default)]
struct UnderWay {
    bytes: Mutex<usize>,
    less: Condvar,
}

impl UnderWay {
    /// Waits until there are at most `most`; whether that was in time.
    fn wait(&self, most: usize, deadline: Option<Instant>) -> bool {
        let mut bytes = self.bytes.lock();
        while *bytes > most {
            match deadline {
                Some(deadline) if self.less.wait_until(&mut bytes, deadline).timed_out() => {
                    return *bytes <= most;
                }
                Some(_) => {}
                None => self.less.wait(&mut bytes),
            }
        }
        true
    }

    fn add(&self, n: usize) {
        *self.bytes.lock() += n;
    }

    fn done(&self, n: usize) {
        *self.bytes.lock() -= n;
        self.less.notify_all();
    }
}

/// A transactional writer's producer.
struct Producer {
    id: String,
    identity: ProducerIdentity,
    /// The next sequence number by partition.
    sequences: HashMap<TopicPartition, i32>,
    /// The partitions of the open transaction, each with the end of what was appended there.
    open: BTreeMap<TopicPartition, (Arc<Partition>, i64)>,
    /// The offsets of the open transaction were sent.
    offsets_sent: bool,
    /// The end was asked for and not answered.
    ending: bool,
    /// Why the writer is of no use any more.
    fenced: Option<String>,
}

impl Producer {
    fn is_open(&self) -> bool {
        !self.open.is_empty() || self.offsets_sent
    }

    /// Goes on under the identity that the end gave: every transaction has an epoch of its own (KIP-890), in which sequence
    /// numbers start anew.
    fn ended(&mut self, identity: ProducerIdentity) {
        self.identity = identity;
        self.sequences.clear();
        self.open.clear();
        self.offsets_sent = false;
        self.ending = false;
    }
}

pub(crate) struct EmbeddedWriter {
    broker: Arc<Broker>,
    producer: Option<Producer>,
    under_way: Arc<UnderWay>,
    /// The first failure that no `Ack` is there for, to be told by `flush`.
    failed: Arc<Mutex<Option<ClusterError>>>,
}

impl EmbeddedWriter {
    pub(crate) fn open(broker: Arc<Broker>, config: WriterConfig) -> Result<Self, ClusterError> {
        let producer = match config.transactional_id {
            None => None,
            Some(id) => {
                let timeout = match config.transaction_timeout {
                    Duration::ZERO => Duration::from_secs(60),
                    other => other,
                };
                let timeout = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
                let identity = broker
                    .txns()
                    .init_producer(Some(&id), timeout, None)
                    .map_err(|code| refused(&format!("open writer {id}"), code))?;
                Some(Producer {
                    id,
                    identity,
                    sequences: HashMap::new(),
                    open: BTreeMap::new(),
                    offsets_sent: false,
                    ending: false,
                    fenced: None,
                })
            }
        };
        Ok(Self { broker, producer, under_way: Arc::default(), failed: Arc::default() })
    }

    /// The largest batch that the topic takes.
    fn max_batch(&self, topic: &str) -> usize {
        let set =
            self.broker.topics().get(topic).and_then(|t| t.configs().get("max.message.bytes")?.parse().ok());
        set.unwrap_or(self.broker.config().log.max_message_bytes)
    }

    /// The answer that comes with the fsync; until then the bytes count as on their way. In a transaction, too: a reader of
    /// uncommitted records may want them before the commit, and the commit finds them written.
    fn acknowledge(
        &self,
        at: &TopicPartition,
        partition: &Arc<Partition>,
        written: Written,
        size: usize,
    ) -> Ack {
        self.under_way.add(size);
        let (sender, receiver) = mpsc::sync_channel(1);
        let (under_way, failed, at) = (Arc::clone(&self.under_way), Arc::clone(&self.failed), at.clone());
        partition.when_durable(written.last_offset + 1, move |durable| {
            let result = durable.map(|_| written).map_err(|e| log_failed("append to", &at, &e));
            if let Err(error) = &result {
                failed.lock().get_or_insert_with(|| error.clone());
            }
            let _ = sender.send(result);
            under_way.done(size);
        });
        Ack::Pending(receiver)
    }
}

impl Producer {
    fn check(&self) -> Result<(), ClusterError> {
        match &self.fenced {
            Some(reason) => Err(ClusterError::Fenced(reason.clone())),
            None => Ok(()),
        }
    }

    fn note(&mut self, error: ClusterError) -> ClusterError {
        if let ClusterError::Fenced(reason) = &error {
            self.fenced = Some(reason.clone());
        }
        error
    }

    fn append(
        &mut self,
        broker: &Broker,
        at: &TopicPartition,
        partition: &Arc<Partition>,
        batches: BytesMut,
        records: usize,
    ) -> Result<Written, ClusterError> {
        let place = (at.topic.to_string(), at.partition);
        // What else a producer on the network would wait for is not waited for: this one does not outlive the broker, and its
        // successor aborts what it began.
        let (appended, _rest) = broker
            .txns()
            .write_in(&self.id, self.identity, &place, TxnSupport::AddPartition, || partition.append(batches))
            .map_err(|code| self.note(refused("append", code)))?;
        // Part of the transaction even where the append fails: the coordinator marks its end there.
        let (_, end) = self.open.entry(at.clone()).or_insert_with(|| (Arc::clone(partition), 0));
        let appended = match appended {
            Ok(appended) => appended,
            Err(error) => return Err(self.note(log_failed("append to", at, &error))),
        };
        *end = appended.last_offset + 1;
        let sequence = self.sequences.entry(at.clone()).or_default();
        *sequence = next_sequence(*sequence, records);
        Ok(Written { base_offset: appended.base_offset, last_offset: appended.last_offset })
    }

    /// Asks for the fsync of all that was appended; the answers come over the channel.
    fn flush(&self) -> (usize, mpsc::Receiver<Result<i64, LogError>>) {
        let (sender, receiver) = mpsc::channel();
        let appended = self.open.values().filter(|(_, end)| *end > 0);
        let mut n = 0;
        for (partition, end) in appended {
            let sender = sender.clone();
            partition.when_durable(*end, move |durable| {
                let _ = sender.send(durable);
            });
            n += 1;
        }
        (n, receiver)
    }

    fn commit(
        &mut self,
        broker: &Broker,
        offsets: &[(TopicPartition, i64)],
        group: Option<&GroupMember>,
    ) -> Result<(), CommitError> {
        if let Some(reason) = &self.fenced {
            return Err(CommitError::Fenced(reason.clone()));
        }
        if !self.ending {
            let (n, durable) = self.flush();
            if !offsets.is_empty() {
                let Some(group) = group else {
                    return Err(CommitError::Fatal("offsets without the group they are for".into()));
                };
                self.send_offsets(broker, offsets, group)?;
            }
            for _ in 0..n {
                if let Ok(Err(error)) = durable.recv() {
                    return Err(CommitError::Fatal(error.to_string()));
                }
            }
            if !self.is_open() {
                return Ok(());
            }
        }
        self.ending = true;
        match broker.txns().end_as(&self.id, self.identity, true, TxnVersion::V2) {
            Ok(identity) => {
                self.ended(identity);
                Ok(())
            }
            Err(E::InvalidTxnState) => {
                let reason =
                    "end of the transaction: it is aborted already, as it lasted too long".to_owned();
                self.fenced = Some(reason.clone());
                Err(CommitError::Fenced(reason))
            }
            Err(code) if code.is_retriable() => {
                Err(CommitError::Retriable(format!("end of the transaction: {code}")))
            }
            Err(code) => {
                let error = commit_failed("end of the transaction", code);
                if let CommitError::Fenced(reason) = &error {
                    self.fenced = Some(reason.clone());
                }
                Err(error)
            }
        }
    }

    fn send_offsets(
        &mut self,
        broker: &Broker,
        offsets: &[(TopicPartition, i64)],
        group: &GroupMember,
    ) -> Result<(), CommitError> {
        let fenced_writer = |this: &mut Self, code: E| {
            let error = commit_failed("offsets of the transaction", code);
            if let CommitError::Fenced(reason) = &error {
                this.fenced = Some(reason.clone());
            }
            error
        };
        self.offsets_sent = true;
        let writes = offsets.iter().map(|(at, offset)| OffsetWrite {
            topic: at.topic.to_string(),
            partition: at.partition,
            offset: *offset,
            leader_epoch: -1,
            metadata: String::new(),
        });
        let (member_id, generation) = group.member.as_ref().map_or(("", -1), |(id, n)| (id.as_str(), *n));
        let committer =
            Committer { group: &group.group, member: MemberRef { member_id, instance_id: None }, generation };
        let (sender, receiver) = mpsc::sync_channel(1);
        let (add, writes) = (TxnSupport::AddPartition, writes.collect());
        broker.txn_commit_offsets_as(add, &self.id, self.identity, committer, writes, move |results| {
            let _ = sender.send(results);
        });
        let results = receiver.recv().map_err(|_| CommitError::Fatal("the broker is closing".into()))?;
        let Some(code) = results.into_iter().flatten().next() else { return Ok(()) };
        if matches!(code, E::ProducerFenced | E::InvalidProducerEpoch | E::InvalidProducerIdMapping) {
            return Err(fenced_writer(self, code));
        }
        // The member is fenced, or the group refuses: nothing of this transaction may be seen.
        if let Err(abort) = self.abort(broker) {
            tracing::warn!(transactional_id = self.id, error = %abort, "a refused transaction is not aborted yet");
        }
        Err(match commit_failed("offsets of the transaction", code) {
            CommitError::Fenced(reason) => CommitError::Fenced(reason),
            _ => CommitError::Aborted(format!("offsets of the transaction: {code}")),
        })
    }

    fn abort(&mut self, broker: &Broker) -> Result<(), ClusterError> {
        self.check()?;
        if !self.is_open() {
            return Ok(());
        }
        let ended = broker.txns().end_as(&self.id, self.identity, false, TxnVersion::V2);
        let identity = ended.map_err(|code| self.note(refused("abort", code)))?;
        self.ended(identity);
        Ok(())
    }
}

/// Encodes records as batches of at most `max` bytes (a larger record makes a larger one, which the log refuses), and hands over
/// each with the number of its records.
fn encode(
    records: &RecordsBuilder,
    max: usize,
    producer: Option<(ProducerIdentity, i32)>,
    mut each: impl FnMut(BytesMut, usize) -> Result<(), ClusterError>,
) -> Result<(), ClusterError> {
    let mut sequence = producer.map_or(-1, |(_, sequence)| sequence);
    let mut begin = |previous: usize| {
        let Some((identity, _)) = producer else { return BatchBuilder::new() };
        sequence = next_sequence(sequence, previous);
        BatchBuilder::new().producer(identity.producer_id, identity.epoch, sequence).transactional(true)
    };
    let mut batch = begin(0);
    for (record, headers) in records.iter() {
        let headers: Vec<(&str, Option<&[u8]>)> =
            headers.map(|h| (std::str::from_utf8(h.name).unwrap_or_default(), h.value)).collect();
        let size = record.key.map_or(0, <[u8]>::len)
            + record.value.map_or(0, <[u8]>::len)
            + headers.iter().map(|(n, v)| n.len() + v.map_or(0, <[u8]>::len) + 10).sum::<usize>()
            + RECORD_OVERHEAD;
        if !batch.is_empty() && batch.size() + size > max {
            let len = batch.len();
            each(std::mem::replace(&mut batch, begin(len)).build(), len)?;
        }
        batch.append(record.timestamp, record.key, record.value, &headers);
    }
    let len = batch.len();
    each(batch.build(), len)
}

/// Sequence numbers start again at 0 after the greatest.
fn next_sequence(sequence: i32, records: usize) -> i32 {
    ((i64::from(sequence) + records as i64) & i64::from(i32::MAX)) as i32
}

impl Writer for EmbeddedWriter {
    fn append(&mut self, at: &TopicPartition, records: RecordsBuilder) -> Result<Ack, ClusterError> {
        let partition = crate::partition(&self.broker, at)?;
        if bd_broker::is_internal(&at.topic) {
            return Err(ClusterError::InvalidTopic {
                name: at.topic.to_string(),
                reason: "it is the cluster's own".into(),
            });
        }
        if records.is_empty() {
            let end = partition.log().end_offset();
            return Ok(Ack::Ready(Ok(Written { base_offset: end, last_offset: end - 1 })));
        }
        let max = self.max_batch(&at.topic);
        self.under_way.wait(MAX_UNDER_WAY, None);
        let (mut written, mut size) = (None::<Written>, 0);
        let mut add = |part: Written, bytes: usize| {
            size += bytes;
            written.get_or_insert(part).last_offset = part.last_offset;
        };
        match &mut self.producer {
            // All batches or none.
            None => {
                let mut batches = BytesMut::new();
                encode(&records, max, None, |batch, _| {
                    batches.unsplit(batch);
                    Ok(())
                })?;
                let bytes = batches.len();
                let appended = partition.append(batches).map_err(|e| log_failed("append to", at, &e))?;
                add(Written { base_offset: appended.base_offset, last_offset: appended.last_offset }, bytes);
            }
            // The transaction makes them one: each is written as soon as it is encoded, whatever their number.
            Some(producer) => {
                producer.check()?;
                let sequence = producer.sequences.get(at).copied().unwrap_or(0);
                let identity = producer.identity;
                encode(&records, max, Some((identity, sequence)), |batch, records| {
                    let bytes = batch.len();
                    add(producer.append(&self.broker, at, &partition, batch, records)?, bytes);
                    Ok(())
                })?;
            }
        }
        let Some(written) = written else {
            return Err(ClusterError::Fatal { what: format!("append to {at}"), reason: "no batch".into() });
        };
        Ok(self.acknowledge(at, &partition, written, size))
    }

    fn flush(&mut self, wait: Duration) -> Result<(), ClusterError> {
        if !self.under_way.wait(0, Some(Instant::now() + wait)) {
            let reason = format!("not acknowledged within {wait:?}");
            return Err(ClusterError::Retriable { what: "flush".into(), reason });
        }
        match self.failed.lock().take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn commit(
        &mut self,
        offsets: &[(TopicPartition, i64)],
        member: Option<&GroupMember>,
    ) -> Result<(), CommitError> {
        if let Some(producer) = &mut self.producer {
            return producer.commit(&self.broker, offsets, member);
        }
        if !offsets.is_empty() {
            return Err(CommitError::Fatal("offsets need a writer with a transactional id".into()));
        }
        self.under_way.wait(0, None);
        match self.failed.lock().take() {
            Some(error) => Err(CommitError::Fatal(error.to_string())),
            None => Ok(()),
        }
    }

    fn abort(&mut self) -> Result<(), ClusterError> {
        match &mut self.producer {
            Some(producer) => producer.abort(&self.broker),
            None => Ok(()),
        }
    }
}
