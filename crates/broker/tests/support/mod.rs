//! A broker on a free port, and librdkafka clients of it.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation fails the test")]

pub mod members;
pub mod raw;
pub mod tx;

use bd_broker::server::{self, ListenerConfig};
use bd_broker::{Broker, BrokerConfig, Endpoint};
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message, OwnedMessage};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::{Offset, TopicPartitionList};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

/// Long enough for a loaded machine; no test waits for it to pass.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub struct TestBroker {
    pub broker: Arc<Broker>,
    pub address: String,
    runtime: Option<Runtime>,
    stop: Option<oneshot::Sender<()>>,
    served: Option<tokio::task::JoinHandle<std::io::Result<()>>>,
}

pub fn start(dir: &Path) -> TestBroker {
    start_with(dir, |_| {})
}

pub fn start_with(dir: &Path, change: impl FnOnce(&mut BrokerConfig)) -> TestBroker {
    start_at(dir, 0, change)
}

/// On the port that an earlier broker had.
pub fn start_on(dir: &Path, port: u16) -> TestBroker {
    start_at(dir, port, |_| {})
}

/// One that tells its clients to come by another port of this machine.
pub fn start_advertised(dir: &Path, port: u16) -> TestBroker {
    start_between(dir, 0, Some(port), |_| {})
}

fn start_at(dir: &Path, port: u16, change: impl FnOnce(&mut BrokerConfig)) -> TestBroker {
    start_between(dir, port, None, change)
}

fn start_between(
    dir: &Path,
    port: u16,
    advertised: Option<u16>,
    change: impl FnOnce(&mut BrokerConfig),
) -> TestBroker {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind(("127.0.0.1", port))).unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut config = BrokerConfig::new(dir);
    config.group_min_session_timeout_ms = 100;
    config.group_consumer_heartbeat_interval_ms = 100;
    change(&mut config);
    let broker = Broker::open(config).unwrap();
    let (stop, stopped) = oneshot::channel();
    let advertised =
        ListenerConfig::plaintext(Endpoint { host: "127.0.0.1".into(), port: advertised.unwrap_or(port) });
    let served = runtime.spawn(server::serve(Arc::clone(&broker), listener, advertised, async {
        let _ = stopped.await;
    }));
    TestBroker {
        broker,
        address: format!("127.0.0.1:{port}"),
        runtime: Some(runtime),
        stop: Some(stop),
        served: Some(served),
    }
}

impl TestBroker {
    /// Ends it in good order.
    pub fn stop(mut self) {
        drop(self.stop.take());
        let runtime = self.runtime.take().unwrap();
        runtime.block_on(self.served.take().unwrap()).unwrap().unwrap();
        self.broker.close().unwrap();
    }

    pub fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.address)
            .set("broker.address.family", "v4")
            .set("reconnect.backoff.max.ms", "200");
        config
    }

    pub fn producer(&self, settings: &[(&str, &str)]) -> TestProducer {
        let mut config = self.client();
        settings.iter().for_each(|(k, v)| {
            config.set(*k, *v);
        });
        let context = Deliveries::default();
        let deliveries = Arc::clone(&context.0);
        TestProducer { producer: config.create_with_context(context).unwrap(), deliveries }
    }

    /// Writes one record and waits until it is acknowledged.
    pub fn send(&self, topic: &str, value: &str) {
        let producer = self.producer(&[("linger.ms", "0")]);
        producer.send(topic, 0, value);
        assert!(producer.delivered().iter().all(Result::is_ok));
    }

    pub fn transactional(&self, id: &str) -> TestProducer {
        let producer = self.producer(&[("transactional.id", id), ("transaction.timeout.ms", "60000")]);
        producer.init_transactions(PATIENCE).unwrap();
        producer
    }

    /// A consumer of whole partitions.
    pub fn reader(&self, isolation: &str, topic: &str, partitions: i32) -> BaseConsumer {
        let consumer: BaseConsumer = self
            .client()
            .set("group.id", "reader")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "false")
            .set("auto.offset.reset", "earliest")
            .set("isolation.level", isolation)
            .create()
            .unwrap();
        let mut list = TopicPartitionList::new();
        for partition in 0..partitions {
            list.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
        }
        consumer.assign(&list).unwrap();
        consumer
    }

    /// The values of the first `n` records that a reader sees.
    pub fn read(&self, isolation: &str, topic: &str, n: usize) -> Vec<String> {
        values(&take(&self.reader(isolation, topic, 1), n))
    }

    /// All values that a reader sees up to the end of partition 0.
    pub fn read_all(&self, isolation: &str, topic: &str) -> Vec<String> {
        let consumer: BaseConsumer = self
            .client()
            .set("group.id", "reader")
            .set("enable.partition.eof", "true")
            .set("enable.auto.commit", "false")
            .set("isolation.level", isolation)
            .create()
            .unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, 0, Offset::Beginning).unwrap();
        consumer.assign(&list).unwrap();
        let mut all = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < deadline, "the end of {topic} is not reached, so far: {all:?}");
            match consumer.poll(Duration::from_millis(200)) {
                Some(Ok(message)) => all.push(value(&message.detach())),
                Some(Err(KafkaError::PartitionEOF(_))) => return all,
                Some(Err(error)) => panic!("{error}"),
                None => {}
            }
        }
    }
}

impl Drop for TestBroker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
    }
}

/// The state of the files at this moment, as `kill -9` would leave them.
pub fn crash_image(dir: &Path) -> tempfile::TempDir {
    let image = tempfile::tempdir().unwrap();
    copy(dir, image.path());
    image
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir_all(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).unwrap();
        }
    }
}

type Delivered = Arc<Mutex<Vec<Result<i64, KafkaError>>>>;

#[derive(Default)]
pub struct Deliveries(Delivered);

impl ClientContext for Deliveries {}
impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();
    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let result = match result {
            Ok(message) => Ok(message.offset()),
            Err((error, _)) => Err(error.clone()),
        };
        self.0.lock().unwrap().push(result);
    }
}

pub struct TestProducer {
    producer: BaseProducer<Deliveries>,
    deliveries: Delivered,
}

impl std::ops::Deref for TestProducer {
    type Target = BaseProducer<Deliveries>;
    fn deref(&self) -> &Self::Target {
        &self.producer
    }
}

impl TestProducer {
    pub fn send(&self, topic: &str, partition: i32, value: &str) {
        self.send_record(BaseRecord::to(topic).partition(partition).payload(value));
    }

    pub fn send_record(&self, record: BaseRecord<'_, str, str>) {
        self.producer.send(record).map_err(|(error, _)| error).unwrap();
    }

    /// Flushes and gives what became of the records since the last call: offsets or errors.
    pub fn delivered(&self) -> Vec<Result<i64, KafkaError>> {
        self.producer.flush(PATIENCE).unwrap();
        std::mem::take(&mut *self.deliveries.lock().unwrap())
    }
}

/// The next `n` records.
pub fn take<C: ConsumerContext>(consumer: &BaseConsumer<C>, n: usize) -> Vec<OwnedMessage> {
    let deadline = Instant::now() + PATIENCE;
    let mut messages = Vec::new();
    while messages.len() < n {
        assert!(Instant::now() < deadline, "{} of {n} records: {:?}", messages.len(), values(&messages));
        match consumer.poll(Duration::from_millis(200)) {
            Some(Ok(message)) => messages.push(message.detach()),
            // Of a broker that is being restarted.
            Some(Err(error)) => assert!(is_connection(&error), "{error}"),
            None => {}
        }
    }
    messages
}

fn is_connection(error: &KafkaError) -> bool {
    use rdkafka::types::RDKafkaErrorCode as Code;
    let code = error.rdkafka_error_code();
    matches!(code, Some(Code::AllBrokersDown | Code::BrokerTransportFailure))
}

pub fn value(message: &OwnedMessage) -> String {
    String::from_utf8(message.payload().unwrap_or_default().to_vec()).unwrap()
}

pub fn values(messages: &[OwnedMessage]) -> Vec<String> {
    messages.iter().map(value).collect()
}

/// Polls until `ready`.
pub fn until(what: &str, mut ready: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !ready() {
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        std::thread::yield_now();
    }
}
