//! Decodes Produce requests without copying the record batches: each partition's records are split off the frame as a buffer of
//! their own, into which the log stamps the offsets.

use bytes::{Buf, BytesMut};
use uuid::Uuid;

/// One partition's records.
#[derive(Debug)]
pub(crate) struct PartitionRecords {
    /// The partition.
    pub index: i32,
    /// One or more record batches; `None` for null.
    pub records: Option<BytesMut>,
}

/// One topic's records.
#[derive(Debug)]
pub(crate) struct TopicRecords {
    /// Up to version 12; empty later.
    pub name: String,
    /// From version 13 on; nil before.
    pub id: Uuid,
    /// By partition.
    pub partitions: Vec<PartitionRecords>,
}

/// A decoded Produce request (versions 3 to 13).
#[derive(Debug)]
pub(crate) struct ProduceRequest {
    /// Set when the batches belong to a transaction.
    pub transactional_id: Option<String>,
    /// 0: no answer; 1 and -1 (all): answered when durable.
    pub acks: i16,
    /// By topic.
    pub topics: Vec<TopicRecords>,
}

/// The request does not follow the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed Produce request: {0}")]
pub(crate) struct Malformed(&'static str);

struct Reader {
    frame: BytesMut,
    flexible: bool,
}

impl Reader {
    fn int(&mut self, size: usize) -> Result<i64, Malformed> {
        if self.frame.remaining() < size {
            return Err(Malformed("ends early"));
        }
        Ok(self.frame.get_int(size))
    }

    fn varint(&mut self) -> Result<u32, Malformed> {
        let mut value = 0u64;
        for shift in 0..5 {
            let byte = self.int(1)? as u8;
            value |= u64::from(byte & 0x7f) << (7 * shift);
            if byte & 0x80 == 0 {
                return u32::try_from(value).map_err(|_| Malformed("varint too large"));
            }
        }
        Err(Malformed("varint too long"))
    }

    /// `None` for null.
    fn length(&mut self, width: usize) -> Result<Option<usize>, Malformed> {
        if self.flexible {
            return Ok((self.varint()? as usize).checked_sub(1));
        }
        match self.int(width)? {
            -1 => Ok(None),
            n => usize::try_from(n).map(Some).map_err(|_| Malformed("negative length")),
        }
    }

    fn bytes(&mut self, width: usize) -> Result<Option<BytesMut>, Malformed> {
        match self.length(width)? {
            None => Ok(None),
            Some(n) if n > self.frame.remaining() => Err(Malformed("a length points past the end")),
            Some(n) => Ok(Some(self.frame.split_to(n))),
        }
    }

    fn string(&mut self) -> Result<Option<String>, Malformed> {
        self.bytes(2)?
            .map(|b| String::from_utf8(b.to_vec()).map_err(|_| Malformed("a string is not UTF-8")))
            .transpose()
    }

    fn uuid(&mut self) -> Result<Uuid, Malformed> {
        if self.frame.remaining() < 16 {
            return Err(Malformed("ends early"));
        }
        Ok(Uuid::from_u128(self.frame.get_u128()))
    }

    fn tags(&mut self) -> Result<(), Malformed> {
        if self.flexible {
            for _ in 0..self.varint()? {
                self.varint()?;
                let n = self.varint()? as usize;
                if n > self.frame.remaining() {
                    return Err(Malformed("a length points past the end"));
                }
                self.frame.advance(n);
            }
        }
        Ok(())
    }
}

impl ProduceRequest {
    /// Decodes the bytes after the request header.
    pub(crate) fn decode(frame: BytesMut, version: i16) -> Result<Self, Malformed> {
        let mut reader = Reader { frame, flexible: version >= 9 };
        let transactional_id = reader.string()?;
        let acks = reader.int(2)? as i16;
        reader.int(4)?; // timeout_ms: there is no replica to wait for
        let mut topics = Vec::new();
        // Elements are pushed as they are read: the claimed number reserves nothing.
        for _ in 0..reader.length(4)?.unwrap_or(0) {
            let (name, id) = if version >= 13 {
                (String::new(), reader.uuid()?)
            } else {
                (reader.string()?.ok_or(Malformed("topic name is null"))?, Uuid::nil())
            };
            let mut partitions = Vec::new();
            for _ in 0..reader.length(4)?.unwrap_or(0) {
                let index = reader.int(4)? as i32;
                let records = reader.bytes(4)?;
                reader.tags()?;
                partitions.push(PartitionRecords { index, records });
            }
            reader.tags()?;
            topics.push(TopicRecords { name, id, partitions });
        }
        reader.tags()?;
        Ok(Self { transactional_id, acks, topics })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
    use kafka_protocol::messages::{self, TopicName, TransactionalId};
    use kafka_protocol::protocol::{Encodable, StrBytes};

    #[test]
    fn decodes_what_clients_encode_in_all_versions() {
        for version in 3..=13 {
            let partitions = vec![
                PartitionProduceData::default()
                    .with_index(3)
                    .with_records(Some(Bytes::from_static(b"batch"))),
                PartitionProduceData::default().with_index(4).with_records(None),
            ];
            let request = messages::ProduceRequest::default()
                .with_transactional_id(Some(TransactionalId(StrBytes::from_static_str("tx"))))
                .with_acks(-1)
                .with_topic_data(vec![
                    TopicProduceData::default()
                        .with_name(TopicName(StrBytes::from_static_str(if version < 13 {
                            "topic"
                        } else {
                            ""
                        })))
                        .with_topic_id(if version < 13 { Uuid::nil() } else { Uuid::from_u128(7) })
                        .with_partition_data(partitions),
                ]);
            let mut frame = BytesMut::new();
            request.encode(&mut frame, version).unwrap();
            for cut in 0..frame.len() {
                assert!(
                    ProduceRequest::decode(frame[..cut].into(), version).is_err(),
                    "v{version} cut at {cut}"
                );
            }
            let decoded = ProduceRequest::decode(frame, version).unwrap();
            assert_eq!((decoded.transactional_id.as_deref(), decoded.acks), (Some("tx"), -1));
            let TopicRecords { name, id, partitions } = &decoded.topics[0];
            let expected = if version < 13 { ("topic", 0) } else { ("", 7) };
            assert_eq!((name.as_str(), id.as_u128()), expected);
            assert_eq!((partitions[0].index, partitions[0].records.as_deref()), (3, Some(&b"batch"[..])));
            assert_eq!((partitions[1].index, partitions[1].records.as_deref()), (4, None));
        }
    }

    #[test]
    fn claimed_counts_reserve_nothing() {
        let frame: BytesMut =
            [&[0xff, 0xff, 0, 1, 0, 0, 0, 0][..], &i32::MAX.to_be_bytes()].concat()[..].into();
        assert!(ProduceRequest::decode(frame, 3).is_err());
    }
}
