//! Encodes Fetch answers without copying the record batches: they are pieces of the frame of their own.

use super::frame::{Frame, Piece};
use crate::fetch::Fetched;
use crate::fetch::session::TopicKey;
use bytes::{BufMut, BytesMut};

/// An answer.
pub(crate) struct Answer {
    /// The error of the whole request, 0 for none.
    pub error: i16,
    /// 0: no session.
    pub session_id: i32,
    /// What is told of.
    pub topics: Vec<TopicAnswer>,
    /// The client reads committed records only, and is told of aborted transactions.
    pub committed: bool,
}

/// One topic of an answer.
pub(crate) struct TopicAnswer {
    /// The name up to version 12, the id from 13 on.
    pub topic: TopicKey,
    /// The partitions' indexes and what they gave.
    pub partitions: Vec<(i32, Fetched)>,
}

/// Writes fields into `head`; record batches become pieces of their own between what was written before and after.
struct Writer {
    version: i16,
    head: BytesMut,
    pieces: Frame,
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
        let (error, found) = match fetched {
            Ok(found) => (0, Some(found)),
            Err(code) => (code.code(), None),
        };
        self.head.put_i16(error);
        let marks =
            found.as_ref().map_or((-1, -1, -1), |f| (f.high_watermark, f.last_stable_offset, f.start_offset));
        self.head.put_i64(marks.0);
        self.head.put_i64(marks.1);
        if self.version >= 5 {
            self.head.put_i64(marks.2);
        }
        let diverging = found.as_ref().and_then(|found| found.diverging);
        let records = found.as_ref().and_then(|found| found.records.as_ref());
        match found.as_ref().filter(|_| committed) {
            Some(_) => {
                let aborted = records.map_or(&[][..], |records| records.aborted());
                self.count(aborted.len());
                for txn in aborted {
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
        self.count(records.map_or(0, |records| records.len()));
        if let Some(records) = found.and_then(|found| found.records) {
            self.pieces.push(Piece::Bytes(self.head.split().freeze()));
            self.pieces.push(records.into_piece());
        }
        match diverging.filter(|_| self.flexible()) {
            Some((epoch, end_offset)) => {
                // One tagged field: number 0, 13 bytes, which are the epoch, the offset, and no tagged fields of its own.
                self.head.put_slice(&[1, 0, 13]);
                self.head.put_i32(epoch);
                self.head.put_i64(end_offset);
                self.head.put_u8(0);
            }
            None => self.tags(),
        }
    }

    fn topic(&mut self, topic: &TopicKey) {
        match topic {
            TopicKey::Id(id) => self.head.put_slice(id.as_bytes()),
            TopicKey::Name(name) => {
                if self.flexible() {
                    self.varint(name.len() as u32 + 1)
                } else {
                    self.head.put_i16(name.len() as i16)
                }
                self.head.put_slice(name.as_bytes());
            }
        }
    }
}

/// The pieces of a frame that begins with `head` (the length, to be filled in, and the response header).
pub(crate) fn encode(head: BytesMut, version: i16, answer: Answer) -> Frame {
    let mut out = Writer { version, head, pieces: Vec::new() };
    out.head.put_i32(0); // throttle time
    if version >= 7 {
        out.head.put_i16(answer.error);
        out.head.put_i32(answer.session_id);
    }
    out.count(answer.topics.len());
    for topic in answer.topics {
        out.topic(&topic.topic);
        out.count(topic.partitions.len());
        for (index, fetched) in topic.partitions {
            out.partition(index, fetched, answer.committed);
        }
        out.tags();
    }
    out.tags();
    out.pieces.push(Piece::Bytes(out.head.freeze()));
    let length = out.pieces.iter().map(Piece::len).sum::<usize>().saturating_sub(4) as i32;
    if let Some(Piece::Bytes(first)) = out.pieces.first_mut() {
        let mut head = BytesMut::from(&first[..]);
        head[..4].copy_from_slice(&length.to_be_bytes());
        *first = head.freeze();
    }
    out.pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::{Found, Records};
    use bd_log::AbortedTxn;
    use bytes::Bytes;
    use kafka_protocol::ResponseError as E;
    use kafka_protocol::messages::fetch_response::{
        AbortedTransaction, EpochEndOffset, FetchableTopicResponse, PartitionData,
    };
    use kafka_protocol::messages::{FetchResponse, TopicName};
    use kafka_protocol::protocol::{Encodable, StrBytes};
    use uuid::Uuid;

    fn found(bytes: &'static [u8], aborted: Vec<AbortedTxn>) -> Found {
        let bytes = Bytes::from_static(bytes);
        Found {
            records: (!bytes.is_empty()).then_some(Records::Copied { bytes, aborted }),
            start_offset: 1,
            high_watermark: 9,
            last_stable_offset: 8,
            diverging: None,
        }
    }

    fn concat(frame: Frame) -> Vec<u8> {
        let bytes = frame.into_iter().map(|piece| match piece {
            Piece::Bytes(bytes) => bytes.to_vec(),
            Piece::File(part) => panic!("{} bytes of a file", part.len),
        });
        bytes.flatten().collect()
    }

    fn ours(version: i16, committed: bool) -> Vec<u8> {
        let aborted = vec![AbortedTxn { producer_id: 5, first_offset: 2, last_offset: 4 }];
        let topic = match version {
            13.. => TopicKey::Id(Uuid::from_u128(7)),
            _ => TopicKey::Name("topic".into()),
        };
        let diverged = Found { diverging: Some((3, 77)), ..found(b"", vec![]) };
        let partitions = vec![
            (0, Ok(found(b"batches", aborted))),
            (1, Ok(found(b"", vec![]))),
            (2, Err(E::OffsetOutOfRange)),
            (3, Ok(diverged)),
        ];
        let mut head = BytesMut::new();
        head.put_i32(0);
        let session_id = if version >= 7 { 42 } else { 0 };
        let topics = vec![TopicAnswer { topic, partitions }];
        concat(encode(head, version, Answer { error: 0, session_id, topics, committed }))
    }

    fn generated(version: i16, committed: bool) -> BytesMut {
        let marks = |data: PartitionData| {
            data.with_high_watermark(9)
                .with_last_stable_offset(8)
                .with_log_start_offset(1)
                .with_aborted_transactions(committed.then(Vec::new))
                .with_records(Some(Bytes::new()))
        };
        let aborted = AbortedTransaction::default().with_producer_id(5.into()).with_first_offset(2);
        let mut diverged = marks(PartitionData::default()).with_partition_index(3);
        if version >= 12 {
            diverged =
                diverged.with_diverging_epoch(EpochEndOffset::default().with_epoch(3).with_end_offset(77));
        }
        let partitions = vec![
            marks(PartitionData::default())
                .with_aborted_transactions(committed.then(|| vec![aborted]))
                .with_records(Some(Bytes::from_static(b"batches"))),
            marks(PartitionData::default()).with_partition_index(1),
            PartitionData::default()
                .with_partition_index(2)
                .with_error_code(1)
                .with_high_watermark(-1)
                .with_last_stable_offset(-1)
                .with_log_start_offset(-1)
                .with_aborted_transactions(None)
                .with_records(Some(Bytes::new())),
            diverged,
        ];
        let topic = FetchableTopicResponse::default()
            .with_topic(TopicName(StrBytes::from_static_str("topic")))
            .with_topic_id(Uuid::from_u128(7))
            .with_partitions(partitions);
        let mut expected = BytesMut::new();
        let session_id = if version >= 7 { 42 } else { 0 };
        FetchResponse::default()
            .with_session_id(session_id)
            .with_responses(vec![topic])
            .encode(&mut expected, version)
            .unwrap();
        expected
    }

    #[test]
    fn the_bytes_are_those_of_the_generated_encoder_in_all_versions() {
        for version in 4..=18 {
            for committed in [false, true] {
                let (frame, expected) = (ours(version, committed), generated(version, committed));
                assert_eq!(frame[..4], (expected.len() as i32).to_be_bytes());
                assert_eq!(frame[4..], expected[..], "v{version} committed {committed}");
            }
        }
    }
}
