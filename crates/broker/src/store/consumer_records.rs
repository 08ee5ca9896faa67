//! The records of consumer-protocol groups in `__consumer_offsets`, in Kafka's own format (key versions 3 to 8 and 16, all values
//! version 0). A null value deletes.

use super::compact::PutCompact;
use super::fields::{BadRecord, Fields, PutFields};
use crate::group::{About, Assignment, ClassicFacet};
use bytes::{BufMut, Bytes, BytesMut};
use std::collections::BTreeSet;

/// What a member has, as `ConsumerGroupCurrentMemberAssignment` holds it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct CurrentValue {
    pub epoch: i32,
    pub previous_epoch: i32,
    pub state: i8,
    pub assigned: Assignment,
    pub revoking: Assignment,
}

/// A record of one group. Strings are member ids or a regular expression, `None` is a tombstone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ConsumerRecord {
    /// `ConsumerGroupMetadata` (3): group epoch, hash of the subscribed topics.
    Group(Option<(i32, i64)>),
    /// `ConsumerGroupPartitionMetadata` (4): of Kafka before 4.1; not used.
    Partitions,
    /// `ConsumerGroupMemberMetadata` (5).
    Member(String, Option<About>),
    /// `ConsumerGroupTargetAssignmentMetadata` (6): the epoch of the targets.
    TargetEpoch(Option<i32>),
    /// `ConsumerGroupTargetAssignmentMember` (7).
    Target(String, Option<Assignment>),
    /// `ConsumerGroupCurrentMemberAssignment` (8).
    Current(String, Option<CurrentValue>),
    /// `ConsumerGroupRegularExpression` (16): the topics that match.
    Regex(String, Option<BTreeSet<String>>),
}

impl ConsumerRecord {
    pub(crate) fn is_tombstone(&self) -> bool {
        match self {
            ConsumerRecord::Group(v) => v.is_none(),
            ConsumerRecord::Partitions => true,
            ConsumerRecord::Member(_, v) => v.is_none(),
            ConsumerRecord::TargetEpoch(v) => v.is_none(),
            ConsumerRecord::Target(_, v) => v.is_none(),
            ConsumerRecord::Current(_, v) => v.is_none(),
            ConsumerRecord::Regex(_, v) => v.is_none(),
        }
    }

    /// The key for a group's record.
    pub(crate) fn key(&self, group: &str) -> Bytes {
        let (version, of) = match self {
            ConsumerRecord::Group(_) => (3, None),
            ConsumerRecord::Partitions => (4, None),
            ConsumerRecord::Member(id, _) => (5, Some(id)),
            ConsumerRecord::TargetEpoch(_) => (6, None),
            ConsumerRecord::Target(id, _) => (7, Some(id)),
            ConsumerRecord::Current(id, _) => (8, Some(id)),
            ConsumerRecord::Regex(regex, _) => (16, Some(regex)),
        };
        let mut key = BytesMut::new();
        key.put_i16(version);
        key.put_text(group);
        if let Some(of) = of {
            key.put_text(of);
        }
        key.freeze()
    }

    /// The value; `None` for a tombstone. `now`: ms since epoch.
    pub(crate) fn value(&self, now: i64) -> Option<Bytes> {
        let mut out = BytesMut::new();
        out.put_i16(0);
        match self {
            ConsumerRecord::Group(value) => {
                let (epoch, hash) = value.as_ref()?;
                out.put_i32(*epoch);
                if *hash == 0 {
                    out.put_no_tags();
                } else {
                    // One tagged field: number 0, 8 bytes.
                    out.put_slice(&[1, 0, 8]);
                    out.put_i64(*hash);
                }
            }
            ConsumerRecord::Partitions => return None,
            ConsumerRecord::Member(_, about) => put_about(&mut out, about.as_ref()?),
            ConsumerRecord::TargetEpoch(epoch) => {
                out.put_i32((*epoch)?);
                out.put_no_tags();
            }
            ConsumerRecord::Target(_, target) => {
                put_assignment(&mut out, target.as_ref()?);
                out.put_no_tags();
            }
            ConsumerRecord::Current(_, current) => {
                let current = current.as_ref()?;
                out.put_i32(current.epoch);
                out.put_i32(current.previous_epoch);
                out.put_i8(current.state);
                put_assignment(&mut out, &current.assigned);
                put_assignment(&mut out, &current.revoking);
                out.put_no_tags();
            }
            ConsumerRecord::Regex(_, topics) => {
                put_texts(&mut out, topics.as_ref()?);
                // The version of the metadata: there is none to compare after a restart.
                out.put_i64(0);
                out.put_i64(now);
                out.put_no_tags();
            }
        }
        Some(out.freeze())
    }

    /// Reads a record back: `key` is what follows its version and the group.
    pub(super) fn read(
        version: i16,
        key: &mut Fields<'_>,
        value: Option<&[u8]>,
    ) -> Result<Option<Self>, BadRecord> {
        let mut value = value.map(Fields);
        if let Some(value) = &mut value {
            match value.i16()? {
                0 => {}
                other => {
                    return Err(BadRecord(format!("value version {other} of key {version} is not known")));
                }
            }
        }
        Ok(Some(match version {
            3 => ConsumerRecord::Group(value.map(read_group).transpose()?),
            4 => ConsumerRecord::Partitions,
            5 => ConsumerRecord::Member(key.string()?, value.map(read_about).transpose()?),
            6 => ConsumerRecord::TargetEpoch(value.map(|mut v| v.i32()).transpose()?),
            7 => {
                ConsumerRecord::Target(key.string()?, value.map(|mut v| read_assignment(&mut v)).transpose()?)
            }
            8 => ConsumerRecord::Current(key.string()?, value.map(read_current).transpose()?),
            16 => ConsumerRecord::Regex(key.string()?, value.map(|mut v| read_texts(&mut v)).transpose()?),
            _ => return Ok(None),
        }))
    }
}

fn put_texts(out: &mut BytesMut, texts: &BTreeSet<String>) {
    out.put_compact_count(texts.len());
    texts.iter().for_each(|t| out.put_compact_text(t));
}

fn read_texts(from: &mut Fields<'_>) -> Result<BTreeSet<String>, BadRecord> {
    (0..from.compact_count()?).map(|_| from.compact_string()).collect()
}

fn put_assignment(out: &mut BytesMut, assignment: &Assignment) {
    out.put_compact_count(assignment.len());
    for (topic, partitions) in assignment {
        out.put_slice(topic.as_bytes());
        out.put_compact_count(partitions.len());
        partitions.iter().for_each(|p| out.put_i32(*p));
        out.put_no_tags();
    }
}

fn read_assignment(from: &mut Fields<'_>) -> Result<Assignment, BadRecord> {
    let mut assignment = Assignment::new();
    for _ in 0..from.compact_count()? {
        let topic = from.uuid()?;
        let partitions = (0..from.compact_count()?).map(|_| from.i32()).collect::<Result<_, _>>()?;
        from.tagged()?;
        assignment.insert(topic, partitions);
    }
    Ok(assignment)
}

fn read_group(mut from: Fields<'_>) -> Result<(i32, i64), BadRecord> {
    let epoch = from.i32()?;
    let hash = from.tagged()?.get(&0).map(|b| Fields(b).i64()).transpose()?;
    Ok((epoch, hash.unwrap_or(0)))
}

fn put_about(out: &mut BytesMut, about: &About) {
    out.put_compact_nullable_text(about.instance_id.as_deref());
    out.put_compact_nullable_text(about.rack_id.as_deref());
    out.put_compact_text(&about.client_id);
    out.put_compact_text(&about.client_host);
    put_texts(out, &about.names);
    out.put_compact_nullable_text(about.regex.as_deref());
    out.put_i32(about.rebalance_timeout_ms);
    out.put_compact_nullable_text(about.assignor.as_deref());
    let Some(classic) = &about.classic else { return out.put_no_tags() };
    let mut tagged = BytesMut::new();
    // Present, not null.
    tagged.put_i8(1);
    tagged.put_i32(classic.session_timeout_ms);
    tagged.put_compact_count(classic.protocols.len());
    for (name, metadata) in &classic.protocols {
        tagged.put_compact_text(name);
        tagged.put_compact_count(metadata.len());
        tagged.put_slice(metadata);
        tagged.put_no_tags();
    }
    tagged.put_no_tags();
    // One tagged field, number 0.
    out.put_slice(&[1, 0]);
    out.put_uvarint(tagged.len() as u32);
    out.put_slice(&tagged);
}

fn read_classic(mut from: Fields<'_>) -> Result<Option<ClassicFacet>, BadRecord> {
    if from.i8()? < 0 {
        return Ok(None);
    }
    let mut classic = ClassicFacet { session_timeout_ms: from.i32()?, protocols: Vec::new() };
    for _ in 0..from.compact_count()? {
        let name = from.compact_string()?;
        let n = from.compact_count()?;
        classic.protocols.push((name, Bytes::copy_from_slice(from.bytes(n)?)));
        from.tagged()?;
    }
    Ok(Some(classic))
}

fn read_about(mut from: Fields<'_>) -> Result<About, BadRecord> {
    let mut about = About {
        instance_id: from.compact_nullable_string()?,
        rack_id: from.compact_nullable_string()?,
        client_id: from.compact_string()?,
        client_host: from.compact_string()?,
        names: read_texts(&mut from)?,
        regex: from.compact_nullable_string()?.filter(|r| !r.is_empty()),
        rebalance_timeout_ms: from.i32()?,
        assignor: from.compact_nullable_string()?,
        classic: None,
    };
    if let Some(classic) = from.tagged()?.get(&0) {
        about.classic = read_classic(Fields(classic))?;
    }
    Ok(about)
}

fn read_current(mut from: Fields<'_>) -> Result<CurrentValue, BadRecord> {
    Ok(CurrentValue {
        epoch: from.i32()?,
        previous_epoch: from.i32()?,
        state: from.i8()?,
        assigned: read_assignment(&mut from)?,
        revoking: read_assignment(&mut from)?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::offset_records::{Entry, read};
    use super::*;
    use uuid::Uuid;

    #[test]
    fn records_of_groups_are_read_back_as_written_and_cut_ones_are_errors() {
        let topic = Uuid::from_u128(7);
        let assignment = Assignment::from([(topic, BTreeSet::from([0, 3, 200]))]);
        let about = About {
            instance_id: Some("i".into()),
            client_id: "c".into(),
            client_host: "/127.0.0.1".into(),
            names: BTreeSet::from(["a".to_owned(), "b".to_owned()]),
            regex: Some("x.*".into()),
            rebalance_timeout_ms: 5,
            assignor: Some("range".into()),
            classic: Some(ClassicFacet {
                session_timeout_ms: 9,
                protocols: vec![("range".into(), Bytes::from_static(b"metadata"))],
            }),
            ..About::default()
        };
        let current = CurrentValue {
            epoch: 4,
            previous_epoch: 3,
            state: 1,
            assigned: assignment.clone(),
            revoking: Assignment::new(),
        };
        let all = [
            ConsumerRecord::Group(Some((3, -9))),
            ConsumerRecord::Group(Some((3, 0))),
            ConsumerRecord::Group(None),
            ConsumerRecord::Member("m".into(), Some(about)),
            ConsumerRecord::TargetEpoch(Some(3)),
            ConsumerRecord::Target("m".into(), Some(assignment)),
            ConsumerRecord::Current("m".into(), Some(current)),
            ConsumerRecord::Current("m".into(), None),
            ConsumerRecord::Regex("x.*".into(), Some(BTreeSet::from(["xy".to_owned()]))),
        ];
        for record in all {
            let (key, value) = (record.key("g"), record.value(1));
            assert_eq!(record.is_tombstone(), value.is_none());
            let entry = read(&key, value.as_deref()).unwrap();
            assert_eq!(entry, Entry::Consumer { group: "g".into(), record: record.clone() });
            let value = value.unwrap_or_default();
            // The tags at the very end are only of interest to groups.
            for cut in 0..value.len().saturating_sub(18) {
                assert!(read(&key, Some(&value[..cut])).is_err(), "{record:?} {cut}");
            }
        }
    }

    #[test]
    fn the_bytes_are_kafkas() {
        let record = ConsumerRecord::Group(Some((10, 0)));
        assert_eq!(record.key("g")[..], [0, 3, 0, 1, b'g']);
        assert_eq!(record.value(0).unwrap()[..], [0, 0, 0, 0, 0, 10, 0]);
        let record = ConsumerRecord::Target(
            "m".into(),
            Some(Assignment::from([(Uuid::from_u128(1), BTreeSet::from([2]))])),
        );
        assert_eq!(record.key("g")[..], [0, 7, 0, 1, b'g', 0, 1, b'm']);
        let mut expected = vec![0, 0, 2];
        expected.extend([0; 15]);
        expected.extend([1, 2, 0, 0, 0, 2, 0, 0]);
        assert_eq!(record.value(0).unwrap()[..], expected);
    }
}
