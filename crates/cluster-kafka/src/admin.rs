//! Topics, and offsets of partitions.

use crate::ANSWER;
use crate::config::KafkaConfig;
use crate::error::{code_of, coded, is_unknown_topic, named, of_topic};
use crate::logging::Logging;
use bd_cluster::{ClusterError, Isolation, NewTopic, OffsetSpec, TopicInfo, TopicPartition};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic as KafkaTopic, TopicReplication};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::MetadataTopic;
use rdkafka::{Offset, TopicPartitionList};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// How long to wait for the first answer of a server.
const CONNECT: Duration = Duration::from_secs(30);
/// One of the attempts within it: only between them it is seen that a login failed.
const ATTEMPT: Duration = Duration::from_secs(3);
/// How often to look whether the servers know of a change.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// The clients for all that is neither reading nor writing.
pub(crate) struct Admin {
    admin: AdminClient<Logging>,
    /// ListOffsets tells the last stable offset to a client that reads committed records, the high watermark to others.
    committed: BaseConsumer<Logging>,
    uncommitted: BaseConsumer<Logging>,
}

impl Admin {
    pub(crate) fn connect(config: &KafkaConfig) -> Result<Self, ClusterError> {
        let consumer = |isolation: &str| {
            let mut client = config.consumer("bd-admin");
            client.set("isolation.level", isolation);
            BaseConsumer::from_config_and_context(&client, Logging::default())
                .map_err(|e| named("open client", e))
        };
        let admin = AdminClient::from_config_and_context(&config.producer("bd-admin"), Logging::default())
            .map_err(|e| named("open admin client", e))?;
        let this = Self {
            admin,
            committed: consumer("read_committed")?,
            uncommitted: consumer("read_uncommitted")?,
        };
        // A server that is just being started refuses connections at first.
        again_for(CONNECT, || {
            let what = format!("connect to {}", config.bootstrap);
            let client = this.client(Isolation::ReadUncommitted);
            client.fetch_metadata(None, ATTEMPT).map_err(|e| {
                // Serves what the client was told meanwhile.
                match this.client(Isolation::ReadUncommitted).context().refusal() {
                    Some(reason) => ClusterError::Fatal { what, reason },
                    None => named(&what, e),
                }
            })
        })?;
        Ok(this)
    }

    /// The client that sees the end which a reader of that isolation sees. Serves its log, which nobody else does.
    fn client(&self, isolation: Isolation) -> &BaseConsumer<Logging> {
        let client = match isolation {
            Isolation::ReadCommitted => &self.committed,
            Isolation::ReadUncommitted => &self.uncommitted,
        };
        while client.poll(Duration::ZERO).is_some() {}
        client
    }

    pub(crate) fn topic(&self, name: &str) -> Result<Option<TopicInfo>, ClusterError> {
        if bad_name(name).is_some() {
            return Ok(None);
        }
        let metadata = self
            .client(Isolation::ReadUncommitted)
            .fetch_metadata(Some(name), ANSWER)
            .map_err(|e| of_topic("describe", name, e));
        match metadata {
            Ok(metadata) => match metadata.topics().iter().find(|topic| topic.name() == name) {
                Some(topic) => describe(topic),
                None => Ok(None),
            },
            Err(ClusterError::UnknownTopic(_)) => Ok(None),
            Err(e) => Err(e),
        }
    }

    pub(crate) fn topics(&self) -> Result<Vec<TopicInfo>, ClusterError> {
        let metadata = self
            .client(Isolation::ReadUncommitted)
            .fetch_metadata(None, ANSWER)
            .map_err(|e| named("list topics", e))?;
        let own = metadata.topics().iter().filter(|topic| !topic.name().starts_with("__"));
        let mut topics =
            own.filter_map(|topic| describe(topic).transpose()).collect::<Result<Vec<_>, _>>()?;
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(topics)
    }

    /// That the topic has the partition, and how many it has. librdkafka waits long for one that never comes.
    pub(crate) fn check_partition(&self, partition: &TopicPartition) -> Result<i32, ClusterError> {
        match self.topic(&partition.topic)? {
            Some(topic) if (0..topic.partitions).contains(&partition.partition) => Ok(topic.partitions),
            Some(_) => Err(ClusterError::UnknownTopic(partition.to_string())),
            None => Err(ClusterError::UnknownTopic(partition.topic.to_string())),
        }
    }

    pub(crate) fn create_topic(&self, topic: &NewTopic) -> Result<(), ClusterError> {
        let invalid = |reason: String| ClusterError::InvalidTopic { name: topic.name.clone(), reason };
        if let Some(reason) = bad_name(&topic.name) {
            return Err(invalid(reason.into()));
        }
        if topic.partitions < 1 {
            return Err(invalid(format!("{} partitions; at least 1 is needed", topic.partitions)));
        }
        let replication = TopicReplication::Fixed(i32::from(topic.replication_factor));
        let mut wanted = KafkaTopic::new(&topic.name, topic.partitions, replication);
        for (key, value) in &topic.configs {
            wanted = wanted.set(key, value);
        }
        let what = format!("create topic {}", topic.name);
        let results =
            block_on(self.admin.create_topics([&wanted], &options())).map_err(|e| named(&what, e))?;
        if let Some(Err((_, code))) = results.into_iter().next() {
            use RDKafkaErrorCode::*;
            return Err(match code {
                TopicAlreadyExists => ClusterError::TopicExists(topic.name.clone()),
                InvalidTopic | InvalidPartitions | InvalidReplicationFactor | PolicyViolation => {
                    invalid(code.to_string())
                }
                InvalidConfig => ClusterError::InvalidConfig {
                    // The protocol names the key in a text that librdkafka's wrapper drops.
                    key: topic.configs.keys().cloned().collect::<Vec<_>>().join(" or "),
                    reason: code.to_string(),
                },
                code => coded(&what, code, code.to_string()),
            });
        }
        self.await_change(&what, || self.has_leaders(&topic.name, topic.partitions))
    }

    pub(crate) fn delete_topic(&self, name: &str) -> Result<(), ClusterError> {
        if bad_name(name).is_some() {
            return Err(ClusterError::UnknownTopic(name.into()));
        }
        let what = format!("delete topic {name}");
        let results = block_on(self.admin.delete_topics(&[name], &options()))
            .map_err(|e| of_topic("delete", name, e))?;
        if let Some(Err((_, code))) = results.into_iter().next() {
            return Err(of_topic("delete", name, KafkaError::AdminOp(code)));
        }
        self.await_change(&what, || Ok(self.topic(name)?.is_none()))
    }

    /// Whether the server that was asked knows the topic and a leader for each partition.
    fn has_leaders(&self, name: &str, partitions: i32) -> Result<bool, ClusterError> {
        let metadata = self
            .client(Isolation::ReadUncommitted)
            .fetch_metadata(Some(name), ANSWER)
            .map_err(|e| of_topic("describe", name, e))?;
        let topic = metadata.topics().iter().find(|topic| topic.name() == name);
        Ok(topic.is_some_and(|topic| {
            topic.error().is_none()
                && topic.partitions().len() == partitions as usize
                && topic.partitions().iter().all(|p| p.leader() >= 0)
        }))
    }

    /// Metadata spreads after the controller has answered: asks until it is seen.
    fn await_change(
        &self,
        what: &str,
        done: impl Fn() -> Result<bool, ClusterError>,
    ) -> Result<(), ClusterError> {
        let deadline = Instant::now() + ANSWER;
        while !done()? {
            if Instant::now() > deadline {
                let reason = format!("done, but not seen by the servers within {ANSWER:?}");
                return Err(ClusterError::Retriable { what: what.into(), reason });
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        Ok(())
    }

    /// An offset of a partition that is known to exist.
    pub(crate) fn offset(&self, partition: &TopicPartition, spec: OffsetSpec) -> Result<i64, ClusterError> {
        match spec {
            OffsetSpec::Earliest => Ok(self.range(partition, Isolation::ReadUncommitted)?.0),
            OffsetSpec::Latest => Ok(self.range(partition, Isolation::ReadUncommitted)?.1),
            OffsetSpec::Stable => Ok(self.range(partition, Isolation::ReadCommitted)?.1),
            OffsetSpec::AtTime(time) => {
                // Negative times are the protocol's own names for earliest and latest.
                match again(|| self.first_at(partition, time.max(0)))? {
                    Some(offset) => Ok(offset),
                    None => self.offset(partition, OffsetSpec::Latest),
                }
            }
        }
    }

    /// The first record at or after a time, if there is one.
    fn first_at(&self, partition: &TopicPartition, time: i64) -> Result<Option<i64>, ClusterError> {
        let fail = |e| of_topic("look up a time in", &partition.topic, e);
        let mut asked = TopicPartitionList::new();
        asked
            .add_partition_offset(&partition.topic, partition.partition, Offset::Offset(time))
            .map_err(fail)?;
        let found = self.client(Isolation::ReadUncommitted).offsets_for_times(asked, ANSWER).map_err(fail)?;
        for element in found.elements() {
            element.error().map_err(fail)?;
            if let Offset::Offset(offset) = element.offset() {
                return Ok(Some(offset));
            }
        }
        Ok(None)
    }

    /// The log start offset, and the end that a reader of that isolation sees.
    pub(crate) fn range(
        &self,
        partition: &TopicPartition,
        isolation: Isolation,
    ) -> Result<(i64, i64), ClusterError> {
        let client = self.client(isolation);
        // A partition that changes its leader, or a topic that was created again, is found after a moment.
        again(|| {
            client
                .fetch_watermarks(&partition.topic, partition.partition, ANSWER)
                .map_err(|e| of_topic("look up offsets of", &partition.topic, e))
        })
    }

    pub(crate) fn trim(&self, partition: &TopicPartition, offset: i64) -> Result<i64, ClusterError> {
        self.check_partition(partition)?;
        let fail = |e: KafkaError| of_topic("trim", &partition.topic, e);
        let out_of_range = || match self.range(partition, Isolation::ReadUncommitted) {
            Ok((start, end)) => {
                ClusterError::OffsetOutOfRange { partition: partition.clone(), offset, start, end }
            }
            Err(e) => e,
        };
        if offset < 0 {
            return Err(out_of_range());
        }
        let mut asked = TopicPartitionList::new();
        asked
            .add_partition_offset(&partition.topic, partition.partition, Offset::Offset(offset))
            .map_err(fail)?;
        let done = block_on(self.admin.delete_records(&asked, &options())).map_err(fail)?;
        for element in done.elements() {
            match element.error() {
                Err(e) if code_of(&e) == Some(RDKafkaErrorCode::OffsetOutOfRange) => {
                    return Err(out_of_range());
                }
                Err(e) => return Err(fail(e)),
                Ok(()) => {}
            }
            if let Offset::Offset(start) = element.offset() {
                return Ok(start);
            }
        }
        self.offset(partition, OffsetSpec::Earliest)
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(ANSWER)).operation_timeout(Some(ANSWER))
}

fn describe(topic: &MetadataTopic) -> Result<Option<TopicInfo>, ClusterError> {
    match topic.error().map(RDKafkaErrorCode::from) {
        None => {
            Ok(Some(TopicInfo { name: topic.name().into(), partitions: topic.partitions().len() as i32 }))
        }
        // While a topic is created, its leaders are chosen a moment later.
        Some(RDKafkaErrorCode::LeaderNotAvailable) if !topic.partitions().is_empty() => {
            Ok(Some(TopicInfo { name: topic.name().into(), partitions: topic.partitions().len() as i32 }))
        }
        Some(code) if is_unknown_topic(code) => Ok(None),
        Some(code) => Err(coded(&format!("describe topic {}", topic.name()), code, code.to_string())),
    }
}

/// Asks again while the answer is that it may work later, for a bounded time.
pub(crate) fn again<T>(ask: impl Fn() -> Result<T, ClusterError>) -> Result<T, ClusterError> {
    again_for(ANSWER, ask)
}

fn again_for<T>(time: Duration, ask: impl Fn() -> Result<T, ClusterError>) -> Result<T, ClusterError> {
    let deadline = Instant::now() + time;
    loop {
        match ask() {
            Err(ClusterError::Retriable { .. }) if Instant::now() < deadline => {
                std::thread::sleep(LOOK_AGAIN)
            }
            result => return result,
        }
    }
}

/// Which of Kafka's rules for topic names this one breaks.
fn bad_name(name: &str) -> Option<&'static str> {
    match name {
        "" => Some("the name is empty"),
        "." | ".." => Some("the name cannot be . or .."),
        _ if name.len() > 249 => Some("the name is longer than 249 characters"),
        _ if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) => {
            Some("the name has characters other than letters, digits, '.', '_' and '-'")
        }
        _ => None,
    }
}

/// Waits for an answer that librdkafka's own threads bring.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}
