//! A client by hand, and the one that loads cases: librdkafka, one partition, `acks=all`.
//!
//! Settings that differ from librdkafka's own:
//! * five requests in flight, as Kafka's own producer has it; without idempotence, since librdkafka compares that limit with the
//!   *messages* in flight of an idempotent partition, so it sends one request at a time and measures its own round trips;
//! * 128 MB of records may wait to be sent;
//! * the consumer asks for more 5 ms after its queue was full: by default it waits a second, which would measure the wait.

use anyhow::{Context, Result, anyhow, bail};
use clap::ValueEnum;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::{ClientConfig, ClientContext, Offset, TopicPartitionList};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a server may be silent before the run fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// `compression.type` of the producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Compression {
    None,
    Lz4,
}

impl Compression {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Lz4 => "lz4",
        }
    }
}

/// What is written or read in one go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) records: u64,
    /// Bytes of each value; there is no key.
    pub(crate) record_bytes: usize,
    pub(crate) compression: Compression,
}

impl Shape {
    /// Bytes of values.
    pub(crate) fn bytes(&self) -> u64 {
        self.records * self.record_bytes as u64
    }
}

/// Creates a topic with one partition, and waits until it can be written to.
pub(crate) fn create_topic(bootstrap: &str, topic: &str) -> Result<()> {
    let admin = admin(bootstrap)?;
    let new = [NewTopic::new(topic, 1, TopicReplication::Fixed(1))];
    let created = block_on(async { admin.create_topics(&new, &options()).await })??;
    match created.into_iter().next() {
        Some(Err((_, code))) if code != RDKafkaErrorCode::TopicAlreadyExists => {
            bail!("cannot create the topic {topic} at {bootstrap}: {code}")
        }
        _ => Ok(()),
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(PATIENCE)).request_timeout(Some(PATIENCE))
}

fn admin(bootstrap: &str) -> Result<AdminClient<DefaultClientContext>> {
    ClientConfig::new().set("bootstrap.servers", bootstrap).create().context("cannot start a client")
}

fn block_on<F: Future>(future: F) -> Result<F::Output> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future))
}

/// Counts what was acknowledged.
#[derive(Clone, Default)]
struct Acknowledged {
    done: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
}

impl ClientContext for Acknowledged {}

impl ProducerContext for Acknowledged {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, _: ()) {
        let counter = if result.is_ok() { &self.done } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Writes records to partition 0.
pub(crate) struct Writer {
    producer: BaseProducer<Acknowledged>,
    acknowledged: Acknowledged,
    topic: String,
    sent: u64,
}

impl Writer {
    /// Connects and asks for the topic, so that the first record finds everything ready.
    pub(crate) fn open(bootstrap: &str, topic: &str, compression: Compression) -> Result<Self> {
        let acknowledged = Acknowledged::default();
        let producer: BaseProducer<Acknowledged> = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("acks", "all")
            .set("enable.idempotence", "false")
            .set("max.in.flight.requests.per.connection", "5")
            .set("compression.type", compression.name())
            .set("queue.buffering.max.messages", "1000000")
            .set("queue.buffering.max.kbytes", "131072")
            .create_with_context(acknowledged.clone())
            .context("cannot start a producer")?;
        producer
            .client()
            .fetch_metadata(Some(topic), PATIENCE)
            .with_context(|| format!("no metadata of {topic} at {bootstrap}"))?;
        Ok(Self { producer, acknowledged, topic: topic.to_owned(), sent: 0 })
    }

    /// Queues a record; waits while the queue is full.
    pub(crate) fn send(&mut self, value: &[u8]) -> Result<()> {
        self.send_with(None, value)
    }

    /// The same with a key.
    pub(crate) fn send_with(&mut self, key: Option<&[u8]>, value: &[u8]) -> Result<()> {
        let mut record = BaseRecord::<[u8], [u8]>::to(&self.topic).partition(0).payload(value);
        record.key = key;
        let mut full_since = None;
        while let Err((error, unsent)) = self.producer.send(record) {
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                return Err(error).with_context(|| format!("cannot write to {}", self.topic));
            }
            let acknowledged = self.acknowledged.done.load(Ordering::Relaxed);
            match full_since {
                Some((seen, at)) if seen == acknowledged => {
                    let at: Instant = at;
                    if at.elapsed() > PATIENCE {
                        bail!("{}: nothing was acknowledged for {} s", self.topic, PATIENCE.as_secs());
                    }
                }
                _ => full_since = Some((acknowledged, Instant::now())),
            }
            self.producer.poll(Duration::from_millis(1));
            record = unsent;
        }
        self.sent += 1;
        if self.sent.is_multiple_of(1000) {
            self.producer.poll(Duration::ZERO);
        }
        Ok(())
    }

    /// Waits until all records are acknowledged; returns how many there were.
    pub(crate) fn finish(self) -> Result<u64> {
        self.producer.flush(PATIENCE).with_context(|| format!("{}: not all was acknowledged", self.topic))?;
        let done = self.acknowledged.done.load(Ordering::Relaxed);
        if done != self.sent {
            let failed = self.acknowledged.failed.load(Ordering::Relaxed);
            bail!("{}: {} records sent, {done} acknowledged, {failed} refused", self.topic, self.sent);
        }
        Ok(done)
    }
}

/// Writes the shape's records; the time from the first one until all are acknowledged.
pub(crate) fn produce(bootstrap: &str, topic: &str, shape: &Shape) -> Result<Duration> {
    let values = values(shape.record_bytes);
    let mut writer = Writer::open(bootstrap, topic, shape.compression)?;
    let began = Instant::now();
    for value in values.iter().cycle().take(usize::try_from(shape.records)?) {
        writer.send(value)?;
    }
    writer.finish()?;
    Ok(began.elapsed())
}

/// Reads the shape's records from the topic's beginning; the time until the last one is there.
pub(crate) fn consume(bootstrap: &str, topic: &str, shape: &Shape) -> Result<Duration> {
    let consumer = consumer(bootstrap)?;
    consumer
        .fetch_watermarks(topic, 0, PATIENCE)
        .with_context(|| format!("no offsets of {topic} at {bootstrap}"))?;
    let began = Instant::now();
    read(&consumer, topic, shape.records, |message| {
        let length = message.payload_len();
        if length != shape.record_bytes {
            bail!("{topic}: a value of {length} bytes, expected {}", shape.record_bytes);
        }
        Ok(())
    })?;
    Ok(began.elapsed())
}

/// Calls `each` with all committed records that the topic (of one partition) has now.
pub(crate) fn read_all(
    bootstrap: &str,
    topic: &str,
    mut each: impl FnMut(&BorrowedMessage<'_>) -> Result<()>,
) -> Result<()> {
    let consumer = consumer(bootstrap)?;
    let partitions = consumer
        .fetch_metadata(Some(topic), PATIENCE)
        .with_context(|| format!("no metadata of {topic} at {bootstrap}"))?
        .topics()
        .first()
        .map_or(0, |t| t.partitions().len());
    if partitions != 1 {
        bail!("{topic} at {bootstrap} has {partitions} partitions, expected 1");
    }
    assign(&consumer, topic)?;
    loop {
        match consumer.poll(PATIENCE) {
            Some(Ok(message)) => each(&message)?,
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(()),
            Some(Err(error)) => return Err(error).with_context(|| format!("cannot read {topic}")),
            None => bail!("{topic}: nothing came for {} s", PATIENCE.as_secs()),
        }
    }
}

fn consumer(bootstrap: &str) -> Result<BaseConsumer> {
    ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "bd-bench")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("fetch.queue.backoff.ms", "5")
        .create()
        .context("cannot start a consumer")
}

fn assign(consumer: &BaseConsumer, topic: &str) -> Result<()> {
    let mut partitions = TopicPartitionList::new();
    partitions.add_partition_offset(topic, 0, Offset::Beginning)?;
    consumer.assign(&partitions).with_context(|| format!("cannot read {topic}"))
}

fn read(
    consumer: &BaseConsumer,
    topic: &str,
    records: u64,
    mut each: impl FnMut(&BorrowedMessage<'_>) -> Result<()>,
) -> Result<()> {
    assign(consumer, topic)?;
    let mut count = 0;
    while count < records {
        match consumer.poll(PATIENCE) {
            Some(Ok(message)) => {
                each(&message)?;
                count += 1;
            }
            // What was written last may become visible a moment after its acknowledgement.
            Some(Err(KafkaError::PartitionEOF(_))) => {}
            Some(Err(error)) => return Err(error).with_context(|| format!("cannot read {topic}")),
            None => return Err(anyhow!("{topic}: {count} of {records} records came, then nothing")),
        }
    }
    Ok(())
}

/// A thousand different values: log lines in JSON, of exactly so many bytes, which compress to about a third.
fn values(bytes: usize) -> Vec<Vec<u8>> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..1000)
        .map(|_| {
            let mut text = String::with_capacity(bytes + 80);
            while text.len() < bytes {
                let (a, b) = (next(), next());
                text += &format!(
                    "{{\"user_id\": {}, \"channel_id\": {}, \"device_id\": {}, \"trace\": \"{:016x}\"}}",
                    a % 100_000,
                    a >> 32 & 255,
                    b % 1_000_000,
                    b
                );
            }
            text.truncate(bytes);
            text.into_bytes()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_the_size_asked_for_and_differ() {
        for bytes in [1, 100, 1000] {
            let values = values(bytes);
            assert!(values.iter().all(|v| v.len() == bytes));
        }
        let hundred = values(100);
        assert!(hundred.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
