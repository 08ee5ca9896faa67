//! A cluster whose commits fail where a test says so.

use bd_cluster::{
    Ack, Cluster, ClusterError, CommitError, GroupMember, Lease, LeaseConfig, NewTopic, OffsetSpec, Reader,
    ReaderConfig, RecordsBuilder, TopicInfo, TopicPartition, Writer, WriterConfig,
};
use std::sync::Arc;
use std::time::Duration;

/// What happens to a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It works.
    None,
    /// The writer is gone before it, its transaction is left open.
    Before,
    /// The writer is gone after it: it is committed, and nobody hears of it.
    After,
    /// The transaction is aborted.
    Aborted,
}

/// Decides on each commit of a transactional writer by its id.
pub(crate) type Decide = Arc<dyn Fn(&str) -> Fault + Send + Sync>;

pub(crate) struct FaultyCluster {
    pub(crate) inner: Arc<dyn Cluster>,
    pub(crate) decide: Decide,
}

struct FaultyWriter {
    inner: Box<dyn Writer>,
    id: Option<String>,
    decide: Decide,
    gone: bool,
}

impl Writer for FaultyWriter {
    fn append(&mut self, partition: &TopicPartition, records: RecordsBuilder) -> Result<Ack, ClusterError> {
        self.inner.append(partition, records)
    }

    fn flush(&mut self, wait: Duration) -> Result<(), ClusterError> {
        self.inner.flush(wait)
    }

    fn commit(
        &mut self,
        offsets: &[(TopicPartition, i64)],
        member: Option<&GroupMember>,
    ) -> Result<(), CommitError> {
        let Some(id) = &self.id else { return self.inner.commit(offsets, member) };
        match (self.decide)(id) {
            Fault::None => self.inner.commit(offsets, member),
            Fault::Before => {
                self.gone = true;
                Err(CommitError::Fatal("gone before the commit".into()))
            }
            Fault::After => {
                self.inner.commit(offsets, member)?;
                self.gone = true;
                Err(CommitError::Fatal("gone after the commit".into()))
            }
            Fault::Aborted => {
                let _ = self.inner.abort();
                Err(CommitError::Aborted("by the test".into()))
            }
        }
    }

    fn abort(&mut self) -> Result<(), ClusterError> {
        // Who is gone does not clean up.
        if self.gone { Ok(()) } else { self.inner.abort() }
    }
}

impl Cluster for FaultyCluster {
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

    fn offset(&self, partition: &TopicPartition, spec: OffsetSpec) -> Result<i64, ClusterError> {
        self.inner.offset(partition, spec)
    }

    fn trim(&self, partition: &TopicPartition, offset: i64) -> Result<i64, ClusterError> {
        self.inner.trim(partition, offset)
    }

    fn committed(
        &self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Option<i64>>, ClusterError> {
        self.inner.committed(group, partitions)
    }

    fn open_reader(&self, config: ReaderConfig) -> Result<Box<dyn Reader>, ClusterError> {
        self.inner.open_reader(config)
    }

    fn open_writer(&self, config: WriterConfig) -> Result<Box<dyn Writer>, ClusterError> {
        let id = config.transactional_id.clone();
        let inner = self.inner.open_writer(config)?;
        Ok(Box::new(FaultyWriter { inner, id, decide: Arc::clone(&self.decide), gone: false }))
    }

    fn open_lease(&self, config: LeaseConfig) -> Result<Box<dyn Lease>, ClusterError> {
        self.inner.open_lease(config)
    }
}
