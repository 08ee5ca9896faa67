//! The records of `__consumer_offsets`, in Kafka's own format: committed offsets (key version 1, value version 3) and groups (key
//! version 2, value version 3). A null value deletes. Kafka's tools can read them. Groups of the consumer protocol: see
//! [`super::consumer_records`].

use super::consumer_records::ConsumerRecord;
use super::fields::{BadRecord, Fields, PutFields};
use bytes::{BufMut, Bytes, BytesMut};

/// A committed offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OffsetValue {
    /// The next offset to read.
    pub offset: i64,
    /// The leader epoch of the record before it, -1 where not known.
    pub leader_epoch: i32,
    /// The committer's own text.
    pub metadata: String,
    /// When, ms since epoch.
    pub timestamp: i64,
}

/// A member of a stored group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredMember {
    pub id: String,
    pub instance_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub rebalance_timeout_ms: i32,
    pub session_timeout_ms: i32,
    /// Its metadata for the group's protocol.
    pub subscription: Bytes,
    pub assignment: Bytes,
}

/// A group at the end of a rebalance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GroupValue {
    pub protocol_type: String,
    pub generation: i32,
    pub protocol: Option<String>,
    pub leader: Option<String>,
    pub timestamp: i64,
    pub members: Vec<StoredMember>,
}

/// A record read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    Offset { group: String, topic: String, partition: i32, value: Option<OffsetValue> },
    Group { group: String, value: Option<GroupValue> },
    Consumer { group: String, record: ConsumerRecord },
}

pub(crate) fn offset_key(group: &str, topic: &str, partition: i32) -> Bytes {
    let mut key = BytesMut::with_capacity(10 + group.len() + topic.len());
    key.put_i16(1);
    key.put_text(group);
    key.put_text(topic);
    key.put_i32(partition);
    key.freeze()
}

pub(crate) fn offset_value(value: &OffsetValue) -> Bytes {
    let mut out = BytesMut::with_capacity(24 + value.metadata.len());
    out.put_i16(3);
    out.put_i64(value.offset);
    out.put_i32(value.leader_epoch);
    out.put_text(&value.metadata);
    out.put_i64(value.timestamp);
    out.freeze()
}

pub(crate) fn group_key(group: &str) -> Bytes {
    let mut key = BytesMut::with_capacity(4 + group.len());
    key.put_i16(2);
    key.put_text(group);
    key.freeze()
}

pub(crate) fn group_value(value: &GroupValue) -> Bytes {
    let mut out = BytesMut::new();
    out.put_i16(3);
    out.put_text(&value.protocol_type);
    out.put_i32(value.generation);
    out.put_nullable_text(value.protocol.as_deref());
    out.put_nullable_text(value.leader.as_deref());
    out.put_i64(value.timestamp);
    out.put_i32(value.members.len() as i32);
    for member in &value.members {
        out.put_text(&member.id);
        out.put_nullable_text(member.instance_id.as_deref());
        out.put_text(&member.client_id);
        out.put_text(&member.client_host);
        out.put_i32(member.rebalance_timeout_ms);
        out.put_i32(member.session_timeout_ms);
        out.put_blob(&member.subscription);
        out.put_blob(&member.assignment);
    }
    out.freeze()
}

/// Reads a record's key and value back.
pub(crate) fn read(key: &[u8], value: Option<&[u8]>) -> Result<Entry, BadRecord> {
    let mut key = Fields(key);
    match key.i16()? {
        0 | 1 => {
            let (group, topic, partition) = (key.string()?, key.string()?, key.i32()?);
            let value = value.map(read_offset).transpose()?;
            Ok(Entry::Offset { group, topic, partition, value })
        }
        2 => {
            let group = key.string()?;
            Ok(Entry::Group { group, value: value.map(read_group).transpose()? })
        }
        version => {
            let unknown = || BadRecord(format!("key version {version} is not known"));
            let group = key.string()?;
            let record = ConsumerRecord::read(version, &mut key, value)?.ok_or_else(unknown)?;
            Ok(Entry::Consumer { group, record })
        }
    }
}

fn read_offset(value: &[u8]) -> Result<OffsetValue, BadRecord> {
    let mut value = Fields(value);
    match value.i16()? {
        3 => Ok(OffsetValue {
            offset: value.i64()?,
            leader_epoch: value.i32()?,
            metadata: value.string()?,
            timestamp: value.i64()?,
        }),
        version => Err(BadRecord(format!("offset version {version} is not known"))),
    }
}

fn read_group(value: &[u8]) -> Result<GroupValue, BadRecord> {
    let mut value = Fields(value);
    let version = value.i16()?;
    if version != 3 {
        return Err(BadRecord(format!("group version {version} is not known")));
    }
    let mut group = GroupValue {
        protocol_type: value.string()?,
        generation: value.i32()?,
        protocol: value.nullable_string()?,
        leader: value.nullable_string()?,
        timestamp: value.i64()?,
        members: Vec::new(),
    };
    for _ in 0..value.count()? {
        group.members.push(StoredMember {
            id: value.string()?,
            instance_id: value.nullable_string()?,
            client_id: value.string()?,
            client_host: value.string()?,
            rebalance_timeout_ms: value.i32()?,
            session_timeout_ms: value.i32()?,
            subscription: value.blob()?,
            assignment: value.blob()?,
        });
    }
    Ok(group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_and_groups_are_read_back_as_written() {
        let value = OffsetValue { offset: 7, leader_epoch: -1, metadata: "ü".into(), timestamp: 9 };
        let read_back = read(&offset_key("g", "t", 3), Some(&offset_value(&value))).unwrap();
        assert_eq!(
            read_back,
            Entry::Offset { group: "g".into(), topic: "t".into(), partition: 3, value: Some(value) }
        );
        let group = GroupValue {
            protocol_type: "consumer".into(),
            generation: 4,
            protocol: Some("range".into()),
            leader: None,
            timestamp: 1,
            members: vec![StoredMember {
                id: "m".into(),
                instance_id: Some("i".into()),
                client_id: "c".into(),
                client_host: "/127.0.0.1".into(),
                rebalance_timeout_ms: 1,
                session_timeout_ms: 2,
                subscription: Bytes::from_static(b"s"),
                assignment: Bytes::new(),
            }],
        };
        let read_back = read(&group_key("g"), Some(&group_value(&group))).unwrap();
        assert_eq!(read_back, Entry::Group { group: "g".into(), value: Some(group) });
        assert_eq!(read(&group_key("g"), None).unwrap(), Entry::Group { group: "g".into(), value: None });
    }

    #[test]
    fn a_cut_record_is_an_error() {
        let value =
            offset_value(&OffsetValue { offset: 7, leader_epoch: 0, metadata: "m".into(), timestamp: 9 });
        for cut in 0..value.len() {
            assert!(read(&offset_key("g", "t", 3), Some(&value[..cut])).is_err());
        }
    }
}
