//! Writes a case into a cluster, as a Kafka client would: idempotent, every record acknowledged by all replicas.

use std::{
    path::Path,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Duration,
};

use rdkafka::{
    ClientConfig, ClientContext, Message,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer},
};

use crate::{
    CaseError, Topic,
    avro::{ADS_DEAD, Encoded, Encoder, Register},
    records,
};

/// How long the cluster may take to create topics, and to acknowledge the last records.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long the cluster may take to answer at all.
const REACH: Duration = Duration::from_secs(15);

/// Creates the input topics with `partitions` each, and the one for what is no ad. One that exists stays as it is.
///
/// # Errors
/// If the cluster does not answer or refuses.
pub fn create_topics(bootstrap: &str, topics: &[Topic], partitions: usize) -> Result<(), CaseError> {
    let failed = |source| CaseError::Kafka { what: format!("cannot create topics at {bootstrap}"), source };
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", bootstrap).create().map_err(failed)?;
    let inputs = topics.iter().map(|topic| (topic.name(), partitions as i32));
    let dead = topics.contains(&Topic::Ads).then_some((ADS_DEAD, 1));
    let new: Vec<_> = inputs
        .chain(dead)
        .map(|(name, partitions)| NewTopic::new(name, partitions, TopicReplication::Fixed(1)))
        .collect();
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE)).request_timeout(Some(PATIENCE));
    let answers = block_on(admin.create_topics(&new, &options)).map_err(failed)?;
    for answer in answers {
        match answer {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => {
                return Err(CaseError::Kafka {
                    what: format!("cannot create the topic {topic} at {bootstrap}"),
                    source: KafkaError::AdminOp(code),
                });
            }
        }
    }
    Ok(())
}

/// Writes the records of `topics` as their sources would, one topic whole after the other, and calls `done` with each one's count of
/// acknowledged records. The topics exist; each has `partitions`.
///
/// # Errors
/// If the case cannot be read, a topic has another number of partitions, or a record was not acknowledged.
pub fn load(
    folder: &Path,
    bootstrap: &str,
    registry: impl Register,
    topics: &[Topic],
    partitions: usize,
    mut done: impl FnMut(Topic, u64),
) -> Result<(), CaseError> {
    let failed = |source| CaseError::Kafka { what: format!("cannot write to {bootstrap}"), source };
    let deliveries = Deliveries::default();
    let producer: ThreadedProducer<Deliveries> = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("partitioner", "murmur2_random")
        .set("linger.ms", "5")
        .set("batch.size", "1000000")
        .set("queue.buffering.max.kbytes", "131072")
        .create_with_context(deliveries.clone())
        .map_err(failed)?;
    check_partitions(&producer, bootstrap, topics, partitions)?;
    let mut encoder = Encoder::new(registry);
    for &topic in topics {
        'records: for record in records(folder, topic)? {
            let encoded = encoder.encode(record?)?;
            let (name, record) = match &encoded {
                Encoded::Record(record) => (topic.name(), record),
                Encoded::Dead(record) => (ADS_DEAD, record),
            };
            let mut message = BaseRecord::<[u8], [u8]>::to(name).payload(&record.value);
            if let Some(partition) = record.partition_hint(partitions).filter(|_| name == topic.name()) {
                message = message.partition(partition as i32);
            }
            if let Some(key) = &record.key {
                message = message.key(key);
            }
            while let Err((error, unsent)) = producer.send(message) {
                if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                    return Err(failed(error));
                }
                if deliveries.any_failed() {
                    break 'records;
                }
                // The queue is full until a batch is acknowledged.
                thread::sleep(Duration::from_millis(1));
                message = unsent;
            }
        }
        let flushed = producer.flush(PATIENCE);
        let counts = deliveries.take();
        if let Some(reason) = counts.first_failure {
            return Err(CaseError::NotDelivered { topic: topic.to_string(), failed: counts.failed, reason });
        }
        flushed.map_err(failed)?;
        done(topic, counts.acknowledged);
    }
    Ok(())
}

/// Records without key are told their partition, so the topics must have as many as the caller says. A topic that is not
/// there may yet be created by the cluster as it is written to.
fn check_partitions(
    producer: &ThreadedProducer<Deliveries>,
    bootstrap: &str,
    topics: &[Topic],
    partitions: usize,
) -> Result<(), CaseError> {
    let metadata = producer
        .client()
        .fetch_metadata(None, REACH)
        .map_err(|source| CaseError::Kafka { what: format!("cannot reach {bootstrap}"), source })?;
    for topic in metadata.topics().iter().filter(|found| topics.iter().any(|t| t.name() == found.name())) {
        if topic.partitions().len() != partitions {
            return Err(CaseError::Partitions {
                topic: topic.name().to_owned(),
                has: topic.partitions().len(),
                asked: partitions,
            });
        }
    }
    Ok(())
}

/// What became of the records since the last look.
#[derive(Debug, Default)]
struct Counts {
    acknowledged: u64,
    failed: u64,
    first_failure: Option<String>,
}

#[derive(Debug, Clone, Default)]
struct Deliveries(Arc<Mutex<Counts>>);

impl Deliveries {
    fn any_failed(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).failed > 0
    }

    fn take(&self) -> Counts {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(_) => counts.acknowledged += 1,
            Err((error, message)) => {
                counts.failed += 1;
                counts
                    .first_failure
                    .get_or_insert_with(|| format!("{error} (partition {})", message.partition()));
            }
        }
    }
}

/// Waits on this thread. The one future here is answered by librdkafka's own threads and needs no runtime.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let (mut future, mut context) = (pin!(future), Context::from_waker(&waker));
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => thread::park(),
        }
    }
}
