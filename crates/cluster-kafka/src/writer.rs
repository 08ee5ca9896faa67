//! Writing: one answer per `append`, back-pressure, transactions.

use crate::ANSWER;
use crate::admin::Admin;
use crate::config::KafkaConfig;
use crate::error::{code_of, coded, is_fenced, named, of_topic};
use crate::members::Members;
use bd_cluster::{
    Ack, ClusterError, CommitError, GroupMember, RecordsBuilder, TopicPartition, Writer, WriterConfig,
    Written,
};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

mod deliveries;
use deliveries::{Batch, Deliveries};

/// How long one call of the polling thread lasts; answers are handled at once, failures and closing wait for its end.
const POLL: Duration = Duration::from_millis(50);
/// How often to look whether librdkafka has let go of the last delivered record.
const SETTLE: Duration = Duration::from_micros(50);

/// Where the writer's transaction stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transaction {
    /// None is open.
    None,
    /// Begun; records or offsets may be in it.
    Open,
    /// The commit was asked for and not answered: only asking again is allowed.
    Committing,
}

/// A writer over one producer and the thread that polls it.
pub(crate) struct KafkaWriter {
    /// Declared before the producer's last owner ends: see `drop`.
    thread: Option<JoinHandle<()>>,
    closing: Arc<AtomicBool>,
    producer: Arc<BaseProducer<Deliveries>>,
    admin: Arc<Admin>,
    members: Arc<Members>,
    transactional_id: Option<String>,
    transaction: Transaction,
    /// Why the open transaction must not be committed: only a part of an append is in it.
    torn: Option<String>,
    /// The number of partitions of the topics that were written. librdkafka waits long for topics that are not there.
    topics: HashMap<Arc<str>, i32>,
}

impl KafkaWriter {
    pub(crate) fn open(
        config: &KafkaConfig,
        writer: &WriterConfig,
        admin: Arc<Admin>,
        members: Arc<Members>,
    ) -> Result<Self, ClusterError> {
        let mut client = config.producer(&writer.client_id);
        client.set("enable.idempotence", "true").set("acks", "all");
        if let Some(id) = &writer.transactional_id {
            let timeout = match writer.transaction_timeout {
                Duration::ZERO => Duration::from_secs(60),
                timeout => timeout,
            };
            client.set("transactional.id", id).set("transaction.timeout.ms", timeout.as_millis().to_string());
        }
        let producer: BaseProducer<Deliveries> =
            BaseProducer::from_config_and_context(&client, Deliveries::default())
                .map_err(|e| named("open writer", e))?;
        let producer = Arc::new(producer);
        let closing = Arc::new(AtomicBool::new(false));
        let thread = std::thread::Builder::new()
            .name("kafka-writer".into())
            .spawn({
                let (producer, closing) = (producer.clone(), closing.clone());
                move || {
                    while !closing.load(Ordering::Acquire) {
                        producer.poll(POLL);
                        producer.context().answer_failures(|| producer.client().fatal_error());
                    }
                }
            })
            .map_err(|e| ClusterError::Retriable {
                what: "start a writer's thread".into(),
                reason: e.to_string(),
            })?;
        let this = Self {
            thread: Some(thread),
            closing,
            producer,
            admin,
            members,
            transactional_id: writer.transactional_id.clone(),
            transaction: Transaction::None,
            torn: None,
            topics: HashMap::new(),
        };
        if let Some(id) = &this.transactional_id {
            let what = format!("open the writer of transactional id {id}");
            this.ask(|producer| producer.init_transactions(ANSWER)).map_err(|e| this.explain(&what, e))?;
        }
        Ok(this)
    }

    /// Asks again while the answer is that it may work later, for a bounded time.
    fn ask(
        &self,
        request: impl Fn(&BaseProducer<Deliveries>) -> Result<(), KafkaError>,
    ) -> Result<(), KafkaError> {
        let deadline = Instant::now() + ANSWER;
        loop {
            match request(&self.producer) {
                Err(KafkaError::Transaction(e)) if e.is_retriable() && Instant::now() < deadline => {
                    tracing::debug!(error = %e, "asked again");
                }
                result => return result,
            }
        }
    }

    /// Why the producer cannot be used any more, if so.
    fn dead(&self, what: &str) -> Option<ClusterError> {
        self.producer.client().fatal_error().map(|(code, reason)| fatal(what, code, reason))
    }

    /// The error in the trait's terms; where librdkafka only says that the producer is dead, why that is.
    fn explain(&self, what: &str, error: KafkaError) -> ClusterError {
        if let Some(dead) = self.dead(what) {
            return dead;
        }
        match error {
            KafkaError::Transaction(e) if e.is_retriable() => {
                ClusterError::Retriable { what: what.into(), reason: e.string() }
            }
            KafkaError::Transaction(e) => coded(what, e.code(), e.string()),
            e => named(what, e),
        }
    }

    fn check_partition(&mut self, partition: &TopicPartition) -> Result<(), ClusterError> {
        if self.topics.get(&partition.topic).is_some_and(|n| (0..*n).contains(&partition.partition)) {
            return Ok(());
        }
        // Asked again for an unknown one: partitions may have been added since.
        let partitions = self.admin.check_partition(partition)?;
        self.topics.insert(partition.topic.clone(), partitions);
        Ok(())
    }

    fn begin(&mut self) -> Result<(), ClusterError> {
        match self.transaction {
            Transaction::None => {
                self.producer.begin_transaction().map_err(|e| self.explain("begin a transaction", e))?;
                self.transaction = Transaction::Open;
                Ok(())
            }
            Transaction::Open => Ok(()),
            Transaction::Committing => Err(ClusterError::Fatal {
                what: "append".into(),
                reason: "the last commit was not answered; call commit again first".into(),
            }),
        }
    }

    /// Hands one record to librdkafka, waiting while its queue is full.
    fn send(
        &self,
        mut record: BaseRecord<'_, [u8], [u8], Arc<Batch>>,
        partition: &TopicPartition,
    ) -> Result<(), ClusterError> {
        let deadline = Instant::now() + ANSWER;
        loop {
            let seen = self.producer.context().delivered();
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((e, back))
                    if code_of(&e) == Some(RDKafkaErrorCode::QueueFull) && Instant::now() < deadline =>
                {
                    record = back;
                    self.producer.context().await_delivery(seen, Instant::now() + POLL);
                }
                Err((e, _)) => {
                    let what = format!("append to {partition}");
                    return Err(self
                        .dead(&what)
                        .unwrap_or_else(|| of_topic("append to", &partition.topic, e)));
                }
            }
        }
    }

    /// Waits until no record is on its way.
    fn settle(&self, deadline: Instant) -> bool {
        let deliveries = self.producer.context();
        if !deliveries.await_all(deadline) {
            return false;
        }
        // librdkafka's own flush sleeps in steps of 100 ms while the last answer is being let go of.
        while self.producer.in_flight_count() > 0 {
            if Instant::now() > deadline {
                return false;
            }
            std::thread::sleep(SETTLE);
        }
        true
    }

    /// What to do after a step of a commit has failed.
    fn refuse(&mut self, what: &str, error: KafkaError) -> CommitError {
        if let Some(dead) = self.dead(what) {
            return commit_error(dead);
        }
        let (code, retriable, abort) = match &error {
            KafkaError::Transaction(e) => (e.code(), e.is_retriable(), e.txn_requires_abort()),
            e => {
                let code = code_of(e).unwrap_or(RDKafkaErrorCode::Fail);
                (code, crate::error::is_retriable(code), false)
            }
        };
        let reason = format!("{what}: {error}");
        if abort {
            return match self.abort() {
                Ok(()) if is_fenced(code) => CommitError::Fenced(reason),
                Ok(()) => CommitError::Aborted(reason),
                Err(e) => commit_error(e),
            };
        }
        if is_fenced(code) {
            CommitError::Fenced(reason)
        } else if retriable {
            CommitError::Retriable(reason)
        } else {
            CommitError::Fatal(reason)
        }
    }

    fn commit_plain(&mut self, offsets: &[(TopicPartition, i64)]) -> Result<(), CommitError> {
        if !offsets.is_empty() {
            return Err(CommitError::Fatal("offsets need a writer with a transactional id".into()));
        }
        if !self.settle(Instant::now() + ANSWER) {
            return Err(CommitError::Retriable(format!("records not acknowledged within {ANSWER:?}")));
        }
        match self.producer.context().take_failure() {
            Some(e) => Err(CommitError::Fatal(format!("records were not written: {e}"))),
            None => Ok(()),
        }
    }

    /// Puts the offsets into the transaction.
    fn send_offsets(
        &mut self,
        offsets: &[(TopicPartition, i64)],
        member: Option<&GroupMember>,
    ) -> Result<(), CommitError> {
        let Some(member) = member else {
            return Err(CommitError::Fatal("offsets without the group that they are of".into()));
        };
        let metadata = match self.members.metadata(member) {
            Ok(metadata) => metadata,
            Err(e @ ClusterError::Fenced(_)) => {
                self.abort().map_err(commit_error)?;
                return Err(commit_error(e));
            }
            Err(e) => return Err(commit_error(e)),
        };
        let what = format!("commit offsets of group {}", member.group);
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        for (partition, offset) in offsets {
            list.add_partition_offset(&partition.topic, partition.partition, Offset::Offset(*offset))
                .map_err(|e| CommitError::Fatal(format!("{what}: offset {offset} of {partition}: {e}")))?;
        }
        self.ask(|producer| producer.send_offsets_to_transaction(&list, &metadata, ANSWER))
            .map_err(|e| self.refuse(&what, e))
    }
}

impl Writer for KafkaWriter {
    fn append(&mut self, partition: &TopicPartition, records: RecordsBuilder) -> Result<Ack, ClusterError> {
        if let Some(dead) = self.dead("append") {
            return Err(dead);
        }
        self.check_partition(partition)?;
        if self.transactional_id.is_some() {
            self.begin()?;
        }
        if records.is_empty() {
            return Ok(Ack::Ready(Ok(Written { base_offset: -1, last_offset: -1 })));
        }
        let (batch, answer) = Batch::new(partition.clone(), records.len());
        self.producer.context().sending(records.len());
        for (sent, (record, headers)) in records.iter().enumerate() {
            let mut out =
                BaseRecord::with_opaque_to(&partition.topic, batch.clone()).partition(partition.partition);
            (out.key, out.payload) = (record.key, record.value);
            // librdkafka takes 0 as "now", which would not be the caller's time; see the crate's documentation.
            out.timestamp = Some(if record.timestamp == 0 { 1 } else { record.timestamp });
            let sent_now = own_headers(headers, partition).and_then(|headers| {
                out.headers = headers;
                self.send(out, partition)
            });
            if let Err(e) = sent_now {
                self.producer.context().not_sent(&batch, records.len() - sent, &e);
                if sent > 0 && self.transactional_id.is_some() {
                    self.torn.get_or_insert_with(|| {
                        format!("only {sent} of {} records were taken: {e}", records.len())
                    });
                }
                return Err(e);
            }
        }
        Ok(Ack::Pending(answer))
    }

    fn flush(&mut self, wait: Duration) -> Result<(), ClusterError> {
        if let Some(dead) = self.dead("flush") {
            return Err(dead);
        }
        if !self.settle(Instant::now() + wait) {
            let reason = format!("records not acknowledged within {wait:?}");
            return Err(ClusterError::Retriable { what: "flush".into(), reason });
        }
        self.dead("flush").map_or(Ok(()), Err)
    }

    fn commit(
        &mut self,
        offsets: &[(TopicPartition, i64)],
        member: Option<&GroupMember>,
    ) -> Result<(), CommitError> {
        if self.transactional_id.is_none() {
            return self.commit_plain(offsets);
        }
        if let Some(dead) = self.dead("commit") {
            return Err(commit_error(dead));
        }
        if self.transaction == Transaction::None && offsets.is_empty() {
            return Ok(());
        }
        if let Some(reason) = self.torn.clone() {
            self.abort().map_err(commit_error)?;
            return Err(CommitError::Aborted(reason));
        }
        if self.transaction != Transaction::Committing {
            self.begin().map_err(commit_error)?;
            if !offsets.is_empty() {
                self.send_offsets(offsets, member)?;
            }
            // A record that failed makes librdkafka refuse the commit, so its failure is not looked at here.
            if !self.settle(Instant::now() + ANSWER) {
                return Err(CommitError::Retriable(format!("records not acknowledged within {ANSWER:?}")));
            }
            self.transaction = Transaction::Committing;
        }
        match self.ask(|producer| producer.commit_transaction(ANSWER)) {
            Ok(()) => {
                self.transaction = Transaction::None;
                self.producer.context().take_failure();
                Ok(())
            }
            Err(e) => Err(self.refuse("commit", e)),
        }
    }

    fn abort(&mut self) -> Result<(), ClusterError> {
        if self.transaction == Transaction::None {
            return Ok(());
        }
        self.ask(|producer| producer.abort_transaction(ANSWER))
            .map_err(|e| self.explain("abort the transaction", e))?;
        self.transaction = Transaction::None;
        self.torn = None;
        self.producer.context().take_failure();
        Ok(())
    }
}

impl Drop for KafkaWriter {
    /// The thread must not be the last owner of the producer: closing it takes time and answers the last appends.
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Release);
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("a writer's thread has panicked");
        }
    }
}

/// The error of a producer that cannot be used any more.
fn fatal(what: &str, code: RDKafkaErrorCode, reason: String) -> ClusterError {
    if is_fenced(code) {
        ClusterError::Fenced(format!("{what}: {reason}"))
    } else {
        ClusterError::Fatal { what: what.into(), reason }
    }
}

fn commit_error(error: ClusterError) -> CommitError {
    match error {
        ClusterError::Fenced(reason) => CommitError::Fenced(reason),
        ClusterError::Retriable { .. } => CommitError::Retriable(error.to_string()),
        error => CommitError::Fatal(error.to_string()),
    }
}

fn own_headers<'a>(
    headers: impl Iterator<Item = bd_cluster::HeaderRef<'a>>,
    partition: &TopicPartition,
) -> Result<Option<OwnedHeaders>, ClusterError> {
    let mut own = None;
    for header in headers {
        let key = std::str::from_utf8(header.name).map_err(|e| ClusterError::Fatal {
            what: format!("append to {partition}"),
            reason: format!("the name of a header is not UTF-8: {e}"),
        })?;
        own = Some(own.unwrap_or_else(OwnedHeaders::new).insert(Header { key, value: header.value }));
    }
    Ok(own)
}
