//! Reads partitions in turns; waits on all of them with one signal.

use crate::columns::Fetched;
use crate::error::log_failed;
use bd_broker::{Broker, Partition, Signal};
use bd_cluster::{ClusterError, Isolation, Reader, Records, TopicPartition};
use std::sync::Arc;
use std::time::{Duration, Instant};

struct Assigned {
    at: TopicPartition,
    partition: Arc<Partition>,
    position: i64,
    paused: bool,
    ahead: Option<Fetched>,
}

pub(crate) struct EmbeddedReader {
    broker: Arc<Broker>,
    isolation: bd_log::Isolation,
    assigned: Vec<Assigned>,
    /// Whose turn it is.
    turn: usize,
    signal: Arc<Signal>,
}

impl EmbeddedReader {
    pub(crate) fn new(broker: Arc<Broker>, isolation: Isolation) -> Self {
        let isolation = match isolation {
            Isolation::ReadCommitted => bd_log::Isolation::LastStable,
            Isolation::ReadUncommitted => bd_log::Isolation::HighWatermark,
        };
        Self { broker, isolation, assigned: Vec::new(), turn: 0, signal: Arc::default() }
    }

    fn find(&mut self, at: &TopicPartition) -> Option<&mut Assigned> {
        self.assigned.iter_mut().find(|a| a.at == *at)
    }

    /// What there is now of the next partition in turn.
    fn look(&mut self, max_bytes: usize) -> Result<Option<Records>, ClusterError> {
        for _ in 0..self.assigned.len() {
            self.turn = (self.turn + 1) % self.assigned.len();
            let Some(assigned) = self.assigned.get_mut(self.turn) else { break };
            if !assigned.paused
                && let Some(records) = assigned.read(self.isolation, max_bytes)?
            {
                return Ok(Some(records));
            }
        }
        Ok(None)
    }

    fn set_paused(&mut self, partitions: &[TopicPartition], paused: bool) -> Result<(), ClusterError> {
        for at in partitions {
            let found = self.find(at).ok_or_else(|| not_assigned(at))?;
            found.paused = paused;
        }
        Ok(())
    }
}

fn not_assigned(at: &TopicPartition) -> ClusterError {
    ClusterError::Fatal { what: at.to_string(), reason: "not assigned to this reader".into() }
}

impl Assigned {
    fn read(
        &mut self,
        isolation: bd_log::Isolation,
        max_bytes: usize,
    ) -> Result<Option<Records>, ClusterError> {
        let failed = |e: &bd_log::LogError| log_failed("read", &self.at, e);
        if self.partition.is_deleted() {
            return Err(ClusterError::UnknownTopic(self.at.topic.to_string()));
        }
        if self.ahead.is_none() {
            let read = self.partition.log().read(self.position, max_bytes, isolation, true);
            let read = read.map_err(|e| failed(&e))?;
            if read.bytes.is_empty() {
                return Ok(None);
            }
            let fetched = Fetched::new(read);
            self.ahead = Some(
                fetched
                    .map_err(|reason| ClusterError::Fatal { what: format!("read {}", self.at), reason })?,
            );
        }
        let Some(fetched) = &mut self.ahead else { return Ok(None) };
        let records = fetched.take(&self.at, self.position, max_bytes).map_err(|e| failed(&e))?;
        if fetched.is_used_up() {
            self.ahead = None;
        }
        self.position = records.next_offset;
        Ok(Some(records))
    }

    fn move_to(&mut self, offset: i64) {
        self.position = offset;
        self.ahead = None;
    }
}

impl Reader for EmbeddedReader {
    fn assign(&mut self, at: &TopicPartition, offset: i64) -> Result<(), ClusterError> {
        let partition = crate::partition(&self.broker, at)?;
        match self.find(at) {
            Some(assigned) => {
                assigned.partition = partition;
                assigned.move_to(offset);
            }
            None => {
                let at = at.clone();
                self.assigned.push(Assigned { at, partition, position: offset, paused: false, ahead: None });
            }
        }
        Ok(())
    }

    fn unassign(&mut self, at: &TopicPartition) {
        let signal = &self.signal;
        self.assigned.retain(|a| {
            if a.at == *at {
                a.partition.unwatch(signal);
            }
            a.at != *at
        });
    }

    fn poll(&mut self, max_bytes: usize, wait: Duration) -> Result<Option<Records>, ClusterError> {
        if let Some(records) = self.look(max_bytes)? {
            return Ok(Some(records));
        }
        let deadline = Instant::now() + wait;
        loop {
            // Watched before looked at, so that nothing that comes in between is missed.
            for assigned in self.assigned.iter().filter(|a| !a.paused) {
                assigned.partition.watch(&self.signal);
            }
            if let Some(records) = self.look(max_bytes)? {
                return Ok(Some(records));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            self.signal.wait_until(deadline);
        }
    }

    fn seek(&mut self, at: &TopicPartition, offset: i64) -> Result<(), ClusterError> {
        self.find(at).ok_or_else(|| not_assigned(at))?.move_to(offset);
        Ok(())
    }

    fn pause(&mut self, partitions: &[TopicPartition]) -> Result<(), ClusterError> {
        self.set_paused(partitions, true)
    }

    fn resume(&mut self, partitions: &[TopicPartition]) -> Result<(), ClusterError> {
        self.set_paused(partitions, false)
    }

    fn position(&self, at: &TopicPartition) -> Option<i64> {
        self.assigned.iter().find(|a| a.at == *at).map(|a| a.position)
    }
}

impl Drop for EmbeddedReader {
    fn drop(&mut self) {
        for assigned in &self.assigned {
            assigned.partition.unwatch(&self.signal);
        }
    }
}
