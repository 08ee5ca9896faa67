//! Fetch of record batches as bytes, from all leaders at once.

use crate::client::Client;
use crate::error::{ClientError, Code};
use bytes::Bytes;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::{BrokerId, FetchRequest, FetchResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeMap;
use std::time::Duration;

const NOT_LEADER_OR_FOLLOWER: i16 = 6;
const FENCED_LEADER_EPOCH: i16 = 74;
const UNKNOWN_LEADER_EPOCH: i16 = 76;
/// From 13 on, topics are named by their ids.
const VERSIONS: std::ops::RangeInclusive<i16> = 4..=12;

/// A topic, its partitions and where to read on in each.
type TopicPositions<'a> = (&'a str, Vec<(i32, i64)>);

/// How to fetch; the names are those of Kafka's consumer.
#[derive(Debug, Clone)]
pub struct FetchOptions {
    /// `fetch.max.wait.ms`.
    pub max_wait: Duration,
    /// `fetch.min.bytes`.
    pub min_bytes: i32,
    /// `fetch.max.bytes`.
    pub max_bytes: i32,
    /// `max.partition.fetch.bytes`.
    pub partition_max_bytes: i32,
    /// `isolation.level` read_committed.
    pub read_committed: bool,
}

impl Default for FetchOptions {
    fn default() -> Self {
        Self {
            max_wait: Duration::from_millis(500),
            min_bytes: 1,
            max_bytes: 50 << 20,
            partition_max_bytes: 1 << 20,
            read_committed: true,
        }
    }
}

/// What came of one partition.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset that was asked for; batches may begin before it.
    pub position: i64,
    /// Record batches; the last one may be cut off.
    pub batches: Bytes,
    /// The end of what consumers may read.
    pub high_watermark: i64,
    /// The end of what read_committed consumers may read.
    pub last_stable_offset: i64,
    /// The first offset.
    pub log_start_offset: i64,
    /// Aborted transactions in `batches`: producer id and first offset.
    pub aborted: Vec<(i64, i64)>,
}

/// Reads partitions from given offsets on. It does not decode: the caller moves the positions ([`Fetcher::seek`]) behind what it
/// has used, or lets [`Fetcher::advance`] do it by the headers of the batches.
#[derive(Debug)]
pub struct Fetcher {
    options: FetchOptions,
    positions: BTreeMap<String, BTreeMap<i32, i64>>,
}

impl Fetcher {
    /// Of nothing yet.
    pub fn new(options: FetchOptions) -> Self {
        Self { options, positions: BTreeMap::new() }
    }

    /// Reads a partition from `offset` on.
    pub fn seek(&mut self, topic: &str, partition: i32, offset: i64) {
        match self.positions.get_mut(topic) {
            Some(partitions) => drop(partitions.insert(partition, offset)),
            None => drop(self.positions.insert(topic.to_owned(), BTreeMap::from([(partition, offset)]))),
        }
    }

    /// Reads a partition no longer.
    pub fn remove(&mut self, topic: &str, partition: i32) {
        if let Some(partitions) = self.positions.get_mut(topic) {
            partitions.remove(&partition);
            if partitions.is_empty() {
                self.positions.remove(topic);
            }
        }
    }

    /// Where it reads on.
    pub fn position(&self, topic: &str, partition: i32) -> Option<i64> {
        self.positions.get(topic)?.get(&partition).copied()
    }

    /// Whether there is nothing to read.
    pub fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    /// Asks all leaders once and waits for their answers, which may be without records. With several brokers each waits its
    /// `max_wait`, at the same time.
    ///
    /// # Errors
    /// [`ClientError::Response`] for the first partition with an error other than a moved leader (which is looked up again).
    pub fn fetch(&mut self, client: &mut Client) -> Result<Vec<Fetched>, ClientError> {
        let mut by_leader: BTreeMap<i32, Vec<TopicPositions<'_>>> = BTreeMap::new();
        for (topic, partitions) in &self.positions {
            for (partition, offset) in partitions {
                let topics = by_leader.entry(client.leader(topic, *partition)?).or_default();
                match topics.last_mut() {
                    Some((name, parts)) if name == topic => parts.push((*partition, *offset)),
                    _ => topics.push((topic, vec![(*partition, *offset)])),
                }
            }
        }
        let answers = ask(client, &self.options, &by_leader)?;
        let mut fetched = Vec::new();
        for (leader, response) in answers {
            ClientError::check("Fetch", format!("broker {leader}"), response.error_code, None)?;
            for topic in response.responses {
                let name = topic.topic.0.to_string();
                for data in topic.partitions {
                    let Some(position) = self.position(&name, data.partition_index) else { continue };
                    fetched.extend(self.partition(client, &name, position, data)?);
                }
            }
        }
        Ok(fetched)
    }

    fn partition(
        &self,
        client: &mut Client,
        topic: &str,
        position: i64,
        data: PartitionData,
    ) -> Result<Option<Fetched>, ClientError> {
        match data.error_code {
            0 => {}
            NOT_LEADER_OR_FOLLOWER | FENCED_LEADER_EPOCH | UNKNOWN_LEADER_EPOCH => {
                client.forget_topic(topic);
                return Ok(None);
            }
            code => {
                let resource = format!("{topic}-{} at offset {position}", data.partition_index);
                let range = format!("the log has {} to {}", data.log_start_offset, data.high_watermark);
                let message =
                    (Code(code).name() == "OFFSET_OUT_OF_RANGE" && data.high_watermark >= 0).then_some(range);
                return Err(ClientError::response("Fetch", resource, code, message.as_deref()));
            }
        }
        let aborted = data.aborted_transactions.unwrap_or_default();
        Ok(Some(Fetched {
            topic: topic.to_owned(),
            partition: data.partition_index,
            position,
            batches: data.records.unwrap_or_default(),
            high_watermark: data.high_watermark,
            last_stable_offset: data.last_stable_offset,
            log_start_offset: data.log_start_offset,
            aborted: aborted.iter().map(|a| (a.producer_id.0, a.first_offset)).collect(),
        }))
    }

    /// Moves behind the whole batches of `fetched`, counting records by their headers.
    pub fn advance(&mut self, fetched: &Fetched) -> Counted {
        let counted = count(&fetched.batches);
        if let Some(next) = counted.next_offset {
            self.seek(&fetched.topic, fetched.partition, next.max(fetched.position));
        }
        counted
    }
}

/// What the headers of batches say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counted {
    /// Whole batches, without transaction markers.
    pub batches: u64,
    /// Records in them (those before the asked offset, too).
    pub records: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// The offset behind the last whole batch.
    pub next_offset: Option<i64>,
}

/// Counts whole batches by their headers, without looking at records.
pub fn count(batches: &[u8]) -> Counted {
    let mut counted = Counted::default();
    let mut rest = batches;
    while let Some(header) = rest.first_chunk::<61>() {
        let i32_at =
            |at: usize| header.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, i32::from_be_bytes);
        let base = header.first_chunk::<8>().map_or(0, |b| i64::from_be_bytes(*b));
        let Some(size) = usize::try_from(i32_at(8)).ok().map(|length| length + 12) else { break };
        let Some(after) = rest.get(size.max(61)..) else { break };
        if header[22] & 0x20 == 0 {
            counted.batches += 1;
            counted.records += u64::try_from(i32_at(57)).unwrap_or(0);
            counted.bytes += size as u64;
        }
        counted.next_offset = Some(base.saturating_add(i64::from(i32_at(23))).saturating_add(1));
        rest = after;
    }
    counted
}

/// One request to each leader, then their answers. After a failure no connection has an answer left that nobody waits for.
fn ask(
    client: &mut Client,
    options: &FetchOptions,
    by_leader: &BTreeMap<i32, Vec<TopicPositions<'_>>>,
) -> Result<Vec<(i32, FetchResponse)>, ClientError> {
    let mut exchange = || {
        let mut sent = Vec::with_capacity(by_leader.len());
        for (leader, topics) in by_leader {
            let request = request(options, topics);
            sent.push((*leader, client.connection(*leader)?.requests.send(&request, VERSIONS)?));
        }
        let mut answers = Vec::with_capacity(sent.len());
        for (leader, sent) in sent {
            let responses = &mut client.connection(leader)?.responses;
            answers.push((leader, responses.receive::<FetchRequest>(sent, options.max_wait)?));
        }
        Ok(answers)
    };
    let answers = exchange();
    if answers.is_err() {
        for leader in by_leader.keys() {
            client.disconnect(*leader);
        }
    }
    answers
}

fn request(options: &FetchOptions, topics: &[TopicPositions<'_>]) -> FetchRequest {
    let millis = options.max_wait.as_millis().min(i32::MAX as u128) as i32;
    let topics = topics.iter().map(|(name, partitions)| {
        let partitions = partitions.iter().map(|(partition, offset)| {
            FetchPartition::default()
                .with_partition(*partition)
                .with_current_leader_epoch(-1)
                .with_fetch_offset(*offset)
                .with_log_start_offset(-1)
                .with_partition_max_bytes(options.partition_max_bytes)
        });
        FetchTopic::default()
            .with_topic(TopicName(StrBytes::from_string((*name).to_owned())))
            .with_partitions(partitions.collect())
    });
    FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(millis)
        .with_min_bytes(options.min_bytes)
        .with_max_bytes(options.max_bytes)
        .with_isolation_level(i8::from(options.read_committed))
        .with_session_epoch(-1)
        .with_topics(topics.collect())
}
