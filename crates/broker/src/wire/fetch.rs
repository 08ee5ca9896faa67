//! Encodes Fetch answers without copying the record batches: they are pieces of the frame as they were read.

use crate::fetch::Fetched;
use bytes::{BufMut, Bytes, BytesMut};
use uuid::Uuid;

/// One topic of an answer.
pub(crate) struct TopicAnswer {
    /// Shown up to version 12.
    pub name: String,
    /// Shown from version 13 on.
    pub id: Uuid,
    /// The partitions' indexes and what they gave.
    pub partitions: Vec<(i32, Fetched)>,
}

/// Writes fields into `head`; record batches become pieces of their own between what was written before and after.
struct Writer {
    version: i16,
    head: BytesMut,
    pieces: Vec<Bytes>,
}

impl Writer {
    fn flexible(&self) -> bool {
        self.version >= 12
    }

    fn varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.head.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.head.put_u8(value as u8);
    }

    fn count(&mut self, n: usize) {
        if self.flexible() { self.varint(n as u32 + 1) } else { self.head.put_i32(n as i32) }
    }

    fn tags(&mut self) {
        if self.flexible() {
            self.head.put_u8(0);
        }
    }

    fn partition(&mut self, index: i32, fetched: Fetched, committed: bool) {
        self.head.put_i32(index);
        let (error, read) = match fetched {
            Ok(read) => (0, Some(read)),
            Err(code) => (code.code(), None),
        };
        self.head.put_i16(error);
        let marks =
            read.as_ref().map_or((-1, -1, -1), |r| (r.high_watermark, r.last_stable_offset, r.start_offset));
        self.head.put_i64(marks.0);
        self.head.put_i64(marks.1);
        if self.version >= 5 {
            self.head.put_i64(marks.2);
        }
        match read.as_ref().filter(|_| committed) {
            Some(read) => {
                self.count(read.aborted.len());
                for txn in &read.aborted {
                    self.head.put_i64(txn.producer_id);
                    self.head.put_i64(txn.first_offset);
                    self.tags();
                }
            }
            None if self.flexible() => self.varint(0),
            None => self.head.put_i32(-1),
        }
        if self.version >= 11 {
            self.head.put_i32(-1); // no preferred read replica
        }
        let records = read.map(|r| r.bytes).unwrap_or_default();
        self.count(records.len());
        if !records.is_empty() {
            self.pieces.push(self.head.split().freeze());
            self.pieces.push(records);
        }
        self.tags();
    }
}

/// The pieces of a frame that begins with `head` (the length, to be filled in, and the response header). Aborted transactions are
/// told to those who read `committed` records only.
pub(crate) fn encode(head: BytesMut, version: i16, topics: Vec<TopicAnswer>, committed: bool) -> Vec<Bytes> {
    let mut out = Writer { version, head, pieces: Vec::new() };
    out.head.put_i32(0); // throttle time
    if version >= 7 {
        out.head.put_i16(0); // error
        out.head.put_i32(0); // session id: none
    }
    out.count(topics.len());
    for topic in topics {
        if version >= 13 {
            out.head.put_slice(topic.id.as_bytes());
        } else {
            if version >= 12 {
                out.varint(topic.name.len() as u32 + 1)
            } else {
                out.head.put_i16(topic.name.len() as i16)
            }
            out.head.put_slice(topic.name.as_bytes());
        }
        out.count(topic.partitions.len());
        for (index, fetched) in topic.partitions {
            out.partition(index, fetched, committed);
        }
        out.tags();
    }
    out.tags();
    out.pieces.push(out.head.freeze());
    let length = out.pieces.iter().map(Bytes::len).sum::<usize>().saturating_sub(4) as i32;
    if let Some(first) = out.pieces.first_mut() {
        let mut head = BytesMut::from(&first[..]);
        head[..4].copy_from_slice(&length.to_be_bytes());
        *first = head.freeze();
    }
    out.pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use bd_log::{AbortedTxn, ReadResult};
    use kafka_protocol::ResponseError as E;
    use kafka_protocol::messages::fetch_response::{
        AbortedTransaction, FetchableTopicResponse, PartitionData,
    };
    use kafka_protocol::messages::{FetchResponse, TopicName};
    use kafka_protocol::protocol::{Encodable, StrBytes};

    fn read(bytes: &'static [u8], aborted: Vec<AbortedTxn>) -> ReadResult {
        let bytes = Bytes::from_static(bytes);
        ReadResult {
            bytes,
            next_offset: 9,
            aborted,
            start_offset: 1,
            high_watermark: 9,
            last_stable_offset: 8,
        }
    }

    #[test]
    fn the_bytes_are_those_of_the_generated_encoder_in_all_versions() {
        let id = Uuid::from_u128(7);
        for version in 4..=16 {
            for committed in [false, true] {
                let aborted = vec![AbortedTxn { producer_id: 5, first_offset: 2, last_offset: 4 }];
                let topics = vec![TopicAnswer {
                    name: "topic".into(),
                    id,
                    partitions: vec![
                        (0, Ok(read(b"batches", aborted))),
                        (1, Ok(read(b"", vec![]))),
                        (2, Err(E::OffsetOutOfRange)),
                    ],
                }];
                let mut head = BytesMut::new();
                head.put_i32(0);
                let frame = encode(head, version, topics, committed).concat();

                let marks = |data: PartitionData| {
                    data.with_high_watermark(9).with_last_stable_offset(8).with_log_start_offset(1)
                };
                let aborted = AbortedTransaction::default().with_producer_id(5.into()).with_first_offset(2);
                let partitions = vec![
                    marks(PartitionData::default())
                        .with_aborted_transactions(committed.then(|| vec![aborted]))
                        .with_records(Some(Bytes::from_static(b"batches"))),
                    marks(PartitionData::default())
                        .with_partition_index(1)
                        .with_aborted_transactions(committed.then(Vec::new))
                        .with_records(Some(Bytes::new())),
                    PartitionData::default()
                        .with_partition_index(2)
                        .with_error_code(1)
                        .with_high_watermark(-1)
                        .with_last_stable_offset(-1)
                        .with_log_start_offset(-1)
                        .with_aborted_transactions(None)
                        .with_records(Some(Bytes::new())),
                ];
                let topic = FetchableTopicResponse::default()
                    .with_topic(TopicName(StrBytes::from_static_str("topic")))
                    .with_topic_id(id)
                    .with_partitions(partitions);
                let mut expected = BytesMut::new();
                FetchResponse::default().with_responses(vec![topic]).encode(&mut expected, version).unwrap();
                assert_eq!(frame[..4], (expected.len() as i32).to_be_bytes());
                assert_eq!(frame[4..], expected[..], "v{version} committed {committed}");
            }
        }
    }
}
