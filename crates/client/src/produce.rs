//! Produce with record batches that are already there: they go from the caller's memory to the socket.

use crate::connection::{Connection, Requests, Responses, Sent};
use crate::error::ClientError;
use bytes::BufMut;
use kafka_protocol::messages::{ApiKey, ProduceRequest, ProduceResponse};
use kafka_protocol::protocol::VersionRange;
use std::collections::VecDeque;
use std::time::Duration;

/// Versions whose requests are written here by hand: 3 to 8 have one layout, and every broker of these years answers them.
const VERSIONS: VersionRange = VersionRange { min: 3, max: 8 };

/// One partition's part of a request.
#[derive(Debug, Clone, Copy)]
pub struct PartitionBatch<'a> {
    /// The partition.
    pub partition: i32,
    /// Whole record batches (usually one).
    pub batches: &'a [u8],
}

/// What a request asks for besides its records.
#[derive(Debug, Clone, Copy)]
pub struct ProduceOptions<'a> {
    /// -1: all in-sync replicas; 1: the leader; 0: no answer at all.
    pub acks: i16,
    /// How long the broker may wait for replicas.
    pub timeout: Duration,
    /// Of a transactional producer.
    pub transactional_id: Option<&'a str>,
}

impl Default for ProduceOptions<'_> {
    fn default() -> Self {
        Self { acks: -1, timeout: Duration::from_secs(30), transactional_id: None }
    }
}

/// Where records went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Produced {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// Offset of the first record.
    pub base_offset: i64,
}

/// Sends a Produce request without waiting. With `acks` 0 there will be no answer.
///
/// # Errors
/// [`ClientError`] if the connection breaks.
pub fn send_produce(
    requests: &mut Requests,
    topic: &str,
    partitions: &[PartitionBatch<'_>],
    options: &ProduceOptions<'_>,
) -> Result<Sent, ClientError> {
    let version = requests.version(ApiKey::Produce as i16, VERSIONS, &(0..=i16::MAX))?;
    let sent = requests.start(ApiKey::Produce as i16, version, 1, 0)?;
    let body = requests.body();
    match options.transactional_id {
        None => body.put_i16(-1),
        Some(id) => put_string(body, id),
    }
    body.put_i16(options.acks);
    body.put_i32(options.timeout.as_millis().min(i32::MAX as u128) as i32);
    body.put_i32(1);
    put_string(body, topic);
    body.put_i32(partitions.len() as i32);
    let mut tails = Vec::with_capacity(partitions.len());
    for part in partitions {
        body.put_i32(part.partition);
        body.put_i32(part.batches.len() as i32);
        tails.push((body.len(), part.batches));
    }
    requests.finish(sent, &tails)
}

fn put_string(out: &mut impl BufMut, text: &str) {
    // Kafka's names are at most 249 long; what is longer than the length can say would be refused anyway.
    let text = text.get(..text.len().min(i16::MAX as usize)).unwrap_or_default();
    out.put_i16(text.len() as i16);
    out.put_slice(text.as_bytes());
}

/// Waits for the answer to a request of [`send_produce`].
///
/// # Errors
/// [`ClientError::Response`] for the first partition that was refused.
pub fn receive_produce(responses: &mut Responses, sent: Sent) -> Result<Vec<Produced>, ClientError> {
    let response: ProduceResponse = responses.receive::<ProduceRequest>(sent, Duration::ZERO)?;
    let mut produced = Vec::new();
    for topic in response.responses {
        let name = topic.name.0.as_str();
        for p in topic.partition_responses {
            let mut message = p.error_message.as_deref().unwrap_or_default().to_owned();
            for record in &p.record_errors {
                let text = record.batch_index_error_message.as_deref().unwrap_or_default();
                message.push_str(&format!(" (record {}: {text})", record.batch_index));
            }
            ClientError::check("Produce", format!("{name}-{}", p.index), p.error_code, Some(&message))?;
            let (topic, partition) = (name.to_owned(), p.index);
            produced.push(Produced { topic, partition, base_offset: p.base_offset });
        }
    }
    Ok(produced)
}

/// Several requests in flight on one connection.
///
/// ```text
/// send ─▶ [ oldest … newest ] at most `in_flight` wait ─▶ the oldest's answer
/// ```
pub struct Pipeline {
    connection: Connection,
    waiting: VecDeque<Sent>,
    in_flight: usize,
}

impl Pipeline {
    /// Over a connection to the leader of what will be sent.
    pub fn new(connection: Connection, in_flight: usize) -> Self {
        Self { connection, waiting: VecDeque::new(), in_flight: in_flight.max(1) }
    }

    /// Sends; if that makes more than `in_flight` requests, waits for the oldest one's answer first and returns it.
    ///
    /// # Errors
    /// [`ClientError`]: of this request's sending or of the oldest one's answer.
    pub fn send(
        &mut self,
        topic: &str,
        partitions: &[PartitionBatch<'_>],
        options: &ProduceOptions<'_>,
    ) -> Result<Option<Vec<Produced>>, ClientError> {
        let answer = match self.waiting.len() >= self.in_flight {
            true => self.receive()?,
            false => None,
        };
        let sent = send_produce(&mut self.connection.requests, topic, partitions, options)?;
        if options.acks != 0 {
            self.waiting.push_back(sent);
        }
        Ok(answer)
    }

    /// Waits for the oldest answer; `None` if none is open.
    ///
    /// # Errors
    /// [`ClientError`]: of the connection or of a partition.
    pub fn receive(&mut self) -> Result<Option<Vec<Produced>>, ClientError> {
        let Some(sent) = self.waiting.pop_front() else { return Ok(None) };
        receive_produce(&mut self.connection.responses, sent).map(Some)
    }

    /// Requests without an answer yet.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The connection, for two threads. Answers to come are those of the requests that wait, oldest first.
    pub fn into_connection(self) -> (Connection, VecDeque<Sent>) {
        (self.connection, self.waiting)
    }
}
