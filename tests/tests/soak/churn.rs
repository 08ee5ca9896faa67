//! Topics that are created, written and deleted all the time, few names in turn.

use crate::bd::{PARTITIONS, PATIENCE, client};
use crate::plain::{Counting, numbers_of};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::types::RDKafkaErrorCode;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tv_cases::rng::Rng;

const NAMES: u64 = 5;

/// The topics that are there at the end: name -> the number of all their records; and how many were created.
pub(crate) struct Churned {
    there: BTreeMap<String, u64>,
    pub(crate) created: u64,
}

struct Churn {
    admin: AdminClient<DefaultClientContext>,
    deliveries: Counting,
    producer: BaseProducer<Counting>,
    options: AdminOptions,
}

impl Churn {
    /// Creates the topic, whatever it takes.
    async fn create(&self, name: &str, rng: &mut Rng) {
        let policy = *rng.pick(&["delete", "compact"]);
        let topic = NewTopic::new(name, PARTITIONS, TopicReplication::Fixed(1)).set("cleanup.policy", policy);
        self.until(name, RDKafkaErrorCode::TopicAlreadyExists, async || {
            self.admin.create_topics([&topic], &self.options).await
        })
        .await;
    }

    async fn delete(&self, name: &str) {
        self.until(name, RDKafkaErrorCode::UnknownTopicOrPartition, async || {
            self.admin.delete_topics(&[name], &self.options).await
        })
        .await;
    }

    /// Asks again until it is done; `before` says that an earlier try, whose answer did not come, has done it.
    async fn until(
        &self,
        name: &str,
        before: RDKafkaErrorCode,
        ask: impl AsyncFn() -> rdkafka::error::KafkaResult<Vec<rdkafka::admin::TopicResult>>,
    ) {
        let (deadline, mut unsure) = (Instant::now() + PATIENCE, false);
        loop {
            match ask().await.map(|mut results| results.remove(0)) {
                Ok(Ok(_)) => return,
                Ok(Err((_, code))) if code == before => {
                    assert!(unsure, "{name}: {code}");
                    return;
                }
                other => assert!(Instant::now() < deadline, "{name}: {other:?}"),
            }
            unsure = true;
        }
    }

    /// One record to each partition; twice is fine.
    fn write(&self, name: &str, number: u64) {
        let (value, deadline) = (number.to_string(), Instant::now() + PATIENCE);
        loop {
            let mut refused = None;
            for partition in 0..PARTITIONS {
                let record = BaseRecord::to(name).key(&value).payload(&value).partition(partition);
                // The client may still believe that there is no such topic.
                refused = refused.or(self.producer.send(record).err().map(|(error, _)| error.to_string()));
            }
            self.producer.flush(PATIENCE).unwrap();
            match refused.or(self.deliveries.refused()) {
                None => return,
                Some(refused) => assert!(Instant::now() < deadline, "{name}: {refused}"),
            }
        }
    }
}

/// Runs until `done`.
pub(crate) fn run(port: u16, seed: u64, done: Arc<AtomicBool>) -> JoinHandle<Churned> {
    std::thread::spawn(move || {
        let mut config = client(port);
        config.set("acks", "all").set("message.timeout.ms", "10000").set("linger.ms", "0");
        let deliveries = Counting::default();
        let churn = Churn {
            admin: client(port).create().unwrap(),
            producer: config.create_with_context(deliveries.clone()).unwrap(),
            deliveries,
            options: AdminOptions::new().request_timeout(Some(Duration::from_secs(5))),
        };
        let mut rng = Rng::fork(seed, "churn");
        let mut churned = Churned { there: BTreeMap::new(), created: 0 };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            while !done.load(Ordering::SeqCst) {
                let name = format!("churn-{}", rng.below(NAMES));
                if churned.there.remove(&name).is_some() {
                    churn.delete(&name).await;
                    continue;
                }
                churn.create(&name, &mut rng).await;
                if rng.below(3) > 0 {
                    churn.write(&name, churned.created);
                }
                churned.there.insert(name, churned.created);
                churned.created += 1;
            }
        });
        churned
    })
}

/// What was created is there, and holds nothing of a topic that had its name before; what was deleted is not there.
pub(crate) fn check(port: u16, churned: &Churned) {
    let consumer: BaseConsumer = client(port).create().unwrap();
    let metadata = consumer.fetch_metadata(None, PATIENCE).unwrap();
    let found = metadata.topics().iter().map(|topic| topic.name()).filter(|name| name.starts_with("churn-"));
    let mut found: Vec<&str> = found.collect();
    found.sort_unstable();
    assert!(found.iter().eq(churned.there.keys()), "{found:?}, not {:?}", churned.there);
    for (name, number) in &churned.there {
        let numbers = numbers_of(port, name);
        assert!(numbers.iter().all(|found| found == number), "{name}: {numbers:?}, not {number}");
    }
}
