//! Many registrations at once.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use bd_broker::{Broker, BrokerConfig};
use bd_cluster::{
    Ack, Cluster, ClusterError, CommitError, GroupMember, Lease, LeaseConfig, NewTopic, OffsetSpec, Reader,
    ReaderConfig, RecordsBuilder, TopicInfo, TopicPartition, Writer, WriterConfig,
};
use bd_cluster_embedded::EmbeddedCluster;
use bd_registry::{Registry, RegistryConfig};
use bd_schema::{NewSchema, SchemaRegistry};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;

fn cluster(dir: &Path) -> Arc<dyn Cluster> {
    Arc::new(EmbeddedCluster::new(Broker::open(BrokerConfig::new(dir)).unwrap()))
}

fn open(cluster: Arc<dyn Cluster>) -> Registry {
    Registry::open(cluster, &RegistryConfig::default()).unwrap()
}

fn record(name: &str, fields: usize) -> NewSchema {
    let field = |i| format!(r#"{{"name":"f{i}","type":["null","long"],"default":null}}"#);
    let fields: Vec<String> = (0..fields).map(field).collect();
    NewSchema::avro(format!(r#"{{"type":"record","name":"{name}","fields":[{}]}}"#, fields.join(",")))
}

/// What each of `writers` gives, all begun at once.
fn at_once<T: Send>(writers: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let begin = Barrier::new(writers);
    thread::scope(|scope| {
        let run = |i| {
            let (begin, work) = (&begin, &work);
            scope.spawn(move || {
                begin.wait();
                work(i)
            })
        };
        let all: Vec<_> = (0..writers).map(run).collect();
        all.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn many_at_once_get_ids_that_stay() {
    let dir = tempfile::tempdir().unwrap();
    let registry = open(cluster(dir.path()));
    const WRITERS: usize = 8;
    const EACH: usize = 10;
    let ids = at_once(WRITERS, |writer| {
        let register = |i| {
            // One subject of its own, one schema that all register, one subject that all extend.
            let own = registry.register(&format!("own-{writer}-{i}"), &record(&format!("r{writer}x{i}"), 1));
            let same = registry.register(&format!("same-{writer}-{i}"), &record(&format!("same{i}"), 1));
            let shared = registry.register("shared", &record("shared", i + 1));
            (own.unwrap(), same.unwrap(), shared.unwrap())
        };
        (0..EACH).map(register).collect::<Vec<_>>()
    });
    let own: BTreeSet<u32> = ids.iter().flatten().map(|(own, ..)| *own).collect();
    assert_eq!(own.len(), WRITERS * EACH);
    let equal = ids.iter().all(|of| of.iter().zip(&ids[0]).all(|(a, b)| (a.1, a.2) == (b.1, b.2)));
    assert!(equal, "{ids:?}");
    let all: BTreeSet<u32> = ids.iter().flatten().flat_map(|(a, b, c)| [*a, *b, *c]).collect();
    assert_eq!(all, (1..=(WRITERS * EACH + 2 * EACH) as u32).collect());
    let latest = registry.latest("shared").unwrap().unwrap();
    assert_eq!(latest.version, EACH as u32);
    drop(registry);
    let again = open(cluster(dir.path()));
    for (writer, of) in ids.iter().enumerate() {
        for (i, (own, ..)) in of.iter().enumerate() {
            assert_eq!(again.latest(&format!("own-{writer}-{i}")).unwrap().unwrap().id, *own);
        }
    }
    assert_eq!(again.latest("shared").unwrap().unwrap().id, latest.id);
}

/// A cluster that acknowledges nothing until so many writes are on their way.
struct Held {
    inner: Arc<dyn Cluster>,
    together: usize,
}

type Answer = (Ack, mpsc::Sender<Result<bd_cluster::Written, ClusterError>>);

struct HeldWriter {
    inner: Box<dyn Writer>,
    together: usize,
    held: Vec<Answer>,
}

impl Writer for HeldWriter {
    fn append(&mut self, at: &TopicPartition, records: RecordsBuilder) -> Result<Ack, ClusterError> {
        let (sender, receiver) = mpsc::channel();
        self.held.push((self.inner.append(at, records)?, sender));
        if self.held.len() == self.together {
            for (ack, sender) in self.held.drain(..) {
                let _ = sender.send(ack.wait(Duration::from_secs(30)));
            }
        }
        Ok(Ack::Pending(receiver))
    }

    fn flush(&mut self, wait: Duration) -> Result<(), ClusterError> {
        self.inner.flush(wait)
    }

    fn commit(
        &mut self,
        offsets: &[(TopicPartition, i64)],
        member: Option<&GroupMember>,
    ) -> Result<(), CommitError> {
        self.inner.commit(offsets, member)
    }

    fn abort(&mut self) -> Result<(), ClusterError> {
        self.inner.abort()
    }
}

impl Cluster for Held {
    fn name(&self) -> String {
        self.inner.name()
    }

    fn create_topic(&self, topic: &NewTopic) -> Result<(), ClusterError> {
        self.inner.create_topic(topic)
    }

    fn delete_topic(&self, name: &str) -> Result<(), ClusterError> {
        self.inner.delete_topic(name)
    }

    fn topic(&self, name: &str) -> Result<Option<TopicInfo>, ClusterError> {
        self.inner.topic(name)
    }

    fn topics(&self) -> Result<Vec<TopicInfo>, ClusterError> {
        self.inner.topics()
    }

    fn offset(&self, at: &TopicPartition, spec: OffsetSpec) -> Result<i64, ClusterError> {
        self.inner.offset(at, spec)
    }

    fn trim(&self, at: &TopicPartition, offset: i64) -> Result<i64, ClusterError> {
        self.inner.trim(at, offset)
    }

    fn committed(&self, group: &str, at: &[TopicPartition]) -> Result<Vec<Option<i64>>, ClusterError> {
        self.inner.committed(group, at)
    }

    fn open_reader(&self, config: ReaderConfig) -> Result<Box<dyn Reader>, ClusterError> {
        self.inner.open_reader(config)
    }

    fn open_writer(&self, config: WriterConfig) -> Result<Box<dyn Writer>, ClusterError> {
        let inner = self.inner.open_writer(config)?;
        Ok(Box::new(HeldWriter { inner, together: self.together, held: Vec::new() }))
    }

    fn open_lease(&self, config: LeaseConfig) -> Result<Box<dyn Lease>, ClusterError> {
        self.inner.open_lease(config)
    }
}

#[test]
fn registrations_do_not_wait_for_each_others_fsync() {
    let dir = tempfile::tempdir().unwrap();
    let registry = open(Arc::new(Held { inner: cluster(dir.path()), together: 4 }));
    let ids = at_once(4, |i| registry.register(&format!("s{i}"), &record(&format!("r{i}"), 1)).unwrap());
    assert_eq!(ids.into_iter().collect::<BTreeSet<_>>(), (1..=4).collect());
}
