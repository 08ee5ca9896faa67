//! Reading partitions: one queue of librdkafka for each, taken in turns.
//!
//! How a position gets past control and aborted records (`at` is the slot's position, `E` its `end`):
//! ```text
//!   look up E ──▶ (re)start at `at` ──▶ records ... ──▶ end-of-partition event: all below E was delivered, at = max(at, E)
//!      ▲                                                       │ look up the end again
//!      └───────────── E' > at: markers or new records ◀────────┘   E' = at: nothing to do
//! ```
//! The event alone says nothing about where the end is, and after it no other comes until the end has moved; restarting at
//! the same position asks for a new one.

use crate::admin::Admin;
use crate::config::KafkaConfig;
use crate::error::{code_of, is_retriable, named, of_topic};
use crate::logging::Logging;
use crate::signal::Signal;
use bd_cluster::{ClusterError, Isolation, Reader, ReaderConfig, Records, Span, TopicPartition};
use bytes::Bytes;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{Offset, TopicPartitionList};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a seek may take, which librdkafka does within its own threads.
const SEEK: Duration = Duration::from_secs(10);
/// Spans count bytes in 32 bits, so one arena stays far below that.
const MAX_BYTES: usize = 1 << 30;

/// A reader over one consumer.
pub(crate) struct KafkaReader {
    consumer: Arc<BaseConsumer<Logging>>,
    isolation: Isolation,
    admin: Arc<Admin>,
    /// Raised when a queue gets something.
    signal: Arc<Signal>,
    slots: Vec<Slot>,
    /// The slot whose turn is next.
    turn: usize,
}

/// One partition that is read.
struct Slot {
    partition: TopicPartition,
    queue: PartitionQueue<Logging>,
    /// The offset of the next record to give.
    position: i64,
    /// An end of the partition that was looked up before reading (re)started; the next end-of-partition event proves it.
    end: i64,
    /// An end-of-partition event came; the end is to be looked up again.
    at_end: bool,
    /// The server has refused the position; nothing comes until it is moved.
    out_of_range: bool,
    paused: bool,
}

/// What one look at a queue gave.
enum Next<'a> {
    Message(BorrowedMessage<'a>),
    End,
    OutOfRange,
    Nothing,
}

impl Slot {
    fn next(&self) -> Result<Next<'_>, ClusterError> {
        use RDKafkaErrorCode::{AutoOffsetReset, OffsetOutOfRange};
        loop {
            return Ok(match self.queue.poll(Duration::ZERO) {
                None => Next::Nothing,
                Some(Ok(message)) => Next::Message(message),
                Some(Err(KafkaError::PartitionEOF(_))) => Next::End,
                Some(Err(e)) => match code_of(&e) {
                    Some(AutoOffsetReset | OffsetOutOfRange) => Next::OutOfRange,
                    // librdkafka goes on by itself.
                    Some(code) if is_retriable(code) => continue,
                    _ => return Err(of_topic("read", &self.partition.topic, e)),
                },
            });
        }
    }
}

impl KafkaReader {
    pub(crate) fn open(
        config: &KafkaConfig,
        reader: &ReaderConfig,
        admin: Arc<Admin>,
    ) -> Result<Self, ClusterError> {
        let mut client = config.consumer(&reader.client_id);
        client
            // Assigning needs one, although no group is joined and no offset is committed.
            .set("group.id", "bd-reader")
            .set("enable.partition.eof", "true")
            .set(
                "isolation.level",
                match reader.isolation {
                    Isolation::ReadCommitted => "read_committed",
                    Isolation::ReadUncommitted => "read_uncommitted",
                },
            );
        let mut consumer = BaseConsumer::from_config_and_context(&client, Logging::default())
            .map_err(|e| named("open reader", e))?;
        let signal = Arc::new(Signal::default());
        let raise = signal.clone();
        consumer.set_nonempty_callback(move || raise.raise());
        Ok(Self {
            consumer: Arc::new(consumer),
            isolation: reader.isolation,
            admin,
            signal,
            slots: Vec::new(),
            turn: 0,
        })
    }

    fn slot(&self, partition: &TopicPartition) -> Option<usize> {
        self.slots.iter().position(|slot| slot.partition == *partition)
    }

    fn assigned_slot(&self, partition: &TopicPartition) -> Result<usize, ClusterError> {
        self.slot(partition).ok_or_else(|| ClusterError::Fatal {
            what: format!("read {partition}"),
            reason: "the partition is not assigned to this reader".into(),
        })
    }

    /// Lets librdkafka read the partition from `offset` on, into a queue of its own.
    fn start(
        &self,
        partition: &TopicPartition,
        offset: i64,
    ) -> Result<PartitionQueue<Logging>, ClusterError> {
        let mut queue =
            self.consumer.split_partition_queue(&partition.topic, partition.partition).ok_or_else(|| {
                let reason = "librdkafka gives no queue for it".into();
                ClusterError::Fatal { what: format!("read {partition}"), reason }
            })?;
        let raise = self.signal.clone();
        queue.set_nonempty_callback(move || raise.raise());
        self.consumer
            .incremental_assign(&list(partition, offset)?)
            .map_err(|e| of_topic("assign", &partition.topic, e))?;
        Ok(queue)
    }

    fn stop(&self, partition: &TopicPartition) {
        let stopped = list(partition, 0)
            .and_then(|l| self.consumer.incremental_unassign(&l).map_err(|e| named("unassign", e)));
        if let Err(error) = stopped {
            tracing::warn!(%partition, %error, "a partition could not be unassigned");
        }
    }

    /// Moves librdkafka's own position, dropping what was fetched ahead.
    fn restart(&mut self, at: usize, offset: i64) -> Result<(), ClusterError> {
        let slot = &self.slots[at];
        let partition = slot.partition.clone();
        let sought = !slot.out_of_range
            && self
                .consumer
                .seek_partitions(list(&partition, offset)?, SEEK)
                .is_ok_and(|done| done.elements().iter().all(|element| element.error().is_ok()));
        if !sought {
            // A partition whose fetching has not begun, or has stopped for an error, cannot seek.
            self.stop(&partition);
            self.slots[at].queue = self.start(&partition, offset)?;
        }
        let slot = &mut self.slots[at];
        (slot.position, slot.at_end, slot.out_of_range) = (offset, false, false);
        Ok(())
    }

    /// Serves the log and the errors that concern no partition.
    fn serve(&self) -> Result<(), ClusterError> {
        while let Some(event) = self.consumer.poll(Duration::ZERO) {
            match event {
                Ok(message) => {
                    return Err(ClusterError::Fatal {
                        what: format!("read {}-{}", message.topic(), message.partition()),
                        reason: format!("offset {} came outside of its partition's queue", message.offset()),
                    });
                }
                Err(e @ KafkaError::MessageConsumptionFatal(_)) => return Err(named("read", e)),
                // Brokers that are away, groups that may not be used: reading goes on where it can.
                Err(error) => tracing::debug!(%error, "reader"),
            }
        }
        Ok(())
    }

    /// What the partition has: records, or only a position that has moved.
    fn take(&mut self, at: usize, max_bytes: usize) -> Result<Option<Records>, ClusterError> {
        if self.slots[at].out_of_range {
            return Err(self.out_of_range(at));
        }
        let slot = &mut self.slots[at];
        let mut columns = Columns::default();
        let mut position = slot.position;
        let (mut at_end, mut out_of_range) = (false, false);
        while columns.arena.len() < max_bytes {
            match slot.next()? {
                Next::Message(message) => {
                    position = message.offset() + 1;
                    columns.push(&message);
                }
                Next::End => {
                    at_end = true;
                    break;
                }
                Next::OutOfRange => {
                    out_of_range = true;
                    break;
                }
                Next::Nothing => break,
            }
        }
        slot.at_end |= at_end;
        slot.out_of_range = out_of_range;
        if at_end {
            position = position.max(slot.end);
        }
        let moved = position > slot.position;
        slot.position = position;
        if out_of_range && !moved {
            return Err(self.out_of_range(at));
        }
        Ok(moved.then(|| columns.into_records(slot.partition.clone(), position)))
    }

    /// After an end-of-partition event: whether the end stands further than the position, and then asks for what is there.
    fn look_past_end(&mut self, at: usize) -> Result<(), ClusterError> {
        let slot = &mut self.slots[at];
        // When this fails, the event still stands, and the next poll looks again.
        let (_, end) = self.admin.range(&slot.partition, self.isolation)?;
        slot.at_end = false;
        slot.end = end;
        let position = slot.position;
        if end > position {
            self.restart(at, position)?;
        }
        Ok(())
    }

    fn out_of_range(&self, at: usize) -> ClusterError {
        let slot = &self.slots[at];
        match self.admin.range(&slot.partition, Isolation::ReadUncommitted) {
            Ok((start, end)) => ClusterError::OffsetOutOfRange {
                partition: slot.partition.clone(),
                offset: slot.position,
                start,
                end,
            },
            Err(e) => e,
        }
    }
}

impl Reader for KafkaReader {
    fn assign(&mut self, partition: &TopicPartition, offset: i64) -> Result<(), ClusterError> {
        if self.slot(partition).is_some() {
            return self.seek(partition, offset);
        }
        self.admin.check_partition(partition)?;
        let (_, end) = self.admin.range(partition, self.isolation)?;
        let queue = self.start(partition, offset)?;
        self.slots.push(Slot {
            partition: partition.clone(),
            queue,
            position: offset,
            end,
            at_end: false,
            out_of_range: false,
            paused: false,
        });
        Ok(())
    }

    fn unassign(&mut self, partition: &TopicPartition) {
        if let Some(at) = self.slot(partition) {
            self.stop(partition);
            self.slots.remove(at);
            if self.turn > at {
                self.turn -= 1;
            }
        }
    }

    fn poll(&mut self, max_bytes: usize, wait: Duration) -> Result<Option<Records>, ClusterError> {
        let max_bytes = max_bytes.clamp(1, MAX_BYTES);
        let deadline = Instant::now() + wait;
        loop {
            self.signal.lower();
            self.serve()?;
            let (n, first) = (self.slots.len(), self.turn);
            for at in (0..n).map(|i| (first + i) % n) {
                if self.slots[at].paused {
                    continue;
                }
                if let Some(records) = self.take(at, max_bytes)? {
                    self.turn = at + 1;
                    return Ok(Some(records));
                }
                if self.slots[at].at_end {
                    self.look_past_end(at)?;
                }
            }
            if !self.signal.wait_until(deadline) {
                return Ok(None);
            }
        }
    }

    fn seek(&mut self, partition: &TopicPartition, offset: i64) -> Result<(), ClusterError> {
        let at = self.assigned_slot(partition)?;
        self.restart(at, offset)
    }

    // A pause is the reader's own: the queue fills up to its bound, then fetching stops by itself, and nothing that was
    // fetched is dropped (librdkafka's pause would fetch it again).
    fn pause(&mut self, partitions: &[TopicPartition]) -> Result<(), ClusterError> {
        for partition in partitions {
            let at = self.assigned_slot(partition)?;
            self.slots[at].paused = true;
        }
        Ok(())
    }

    fn resume(&mut self, partitions: &[TopicPartition]) -> Result<(), ClusterError> {
        for partition in partitions {
            let at = self.assigned_slot(partition)?;
            self.slots[at].paused = false;
        }
        Ok(())
    }

    fn position(&self, partition: &TopicPartition) -> Option<i64> {
        self.slot(partition).map(|at| self.slots[at].position)
    }
}

fn list(partition: &TopicPartition, offset: i64) -> Result<TopicPartitionList, ClusterError> {
    let mut list = TopicPartitionList::with_capacity(1);
    list.add_partition_offset(&partition.topic, partition.partition, Offset::Offset(offset))
        .map_err(|e| named(&format!("position {offset} of {partition}"), e))?;
    Ok(list)
}

/// Records being gathered; each byte is copied once, from librdkafka's buffer.
#[derive(Default)]
struct Columns {
    arena: Vec<u8>,
    offsets: Vec<i64>,
    timestamps: Vec<i64>,
    keys: Vec<Span>,
    values: Vec<Span>,
    header_ends: Vec<u32>,
    headers: Vec<(Span, Span)>,
}

impl Columns {
    fn push(&mut self, message: &BorrowedMessage<'_>) {
        let key = self.put(message.key());
        let value = self.put(message.payload());
        if let Some(headers) = message.headers() {
            for header in headers.iter() {
                let name = self.put(Some(header.key.as_bytes()));
                let value = self.put(header.value);
                self.headers.push((name, value));
            }
        }
        self.offsets.push(message.offset());
        self.timestamps.push(message.timestamp().to_millis().unwrap_or(-1));
        self.keys.push(key);
        self.values.push(value);
        self.header_ends.push(self.headers.len() as u32);
    }

    fn put(&mut self, bytes: Option<&[u8]>) -> Span {
        let Some(bytes) = bytes else { return Span::NULL };
        let span = Span { start: self.arena.len() as u32, len: bytes.len() as u32 };
        self.arena.extend_from_slice(bytes);
        span
    }

    fn into_records(self, partition: TopicPartition, next_offset: i64) -> Records {
        Records {
            arena: Bytes::from(self.arena),
            offsets: self.offsets,
            timestamps: self.timestamps,
            keys: self.keys,
            values: self.values,
            header_ends: if self.headers.is_empty() { Vec::new() } else { self.header_ends },
            headers: self.headers,
            ..Records::empty(partition, next_offset)
        }
    }
}
