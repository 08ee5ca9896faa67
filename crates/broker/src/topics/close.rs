//! The end of all logs.

use super::{OPENERS, Topics};
use crate::error::BrokerError;
use crate::partition::Partition;
use std::sync::Arc;

impl Topics {
    /// Closes all logs, several at a time, since their fsyncs share the disk's, and wakes who waits for news from them. Gives
    /// the error of one that failed; the others are closed all the same.
    pub(crate) fn close(&self) -> Result<(), BrokerError> {
        let partitions: Vec<Arc<Partition>> = self.all().iter().flat_map(|t| t.partitions()).collect();
        let size = partitions.len().div_ceil(OPENERS).max(1);
        std::thread::scope(|scope| {
            let threads: Vec<_> =
                partitions.chunks(size).map(|part| scope.spawn(move || close_part(part))).collect();
            let died = || BrokerError::Thread(std::io::Error::other("a thread that closes partitions died"));
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|_| Err(died())))
                .fold(Ok(()), Result::and)
        })
    }
}

fn close_part(partitions: &[Arc<Partition>]) -> Result<(), BrokerError> {
    let mut result = Ok(());
    for partition in partitions {
        if let Err(source) = partition.log().close() {
            let topic = partition.topic.to_string();
            result = Err(BrokerError::Log { topic, partition: partition.index, source });
        }
        partition.wake();
    }
    result
}
