//! What the group can read of its members' metadata: the consumers' own protocol, version 0, which all later versions begin with.

use super::consumer::{Assignment, Catalog};
use super::state::Group;
use crate::store::fields::{BadRecord, Fields, PutFields};
use bytes::{BufMut, Bytes, BytesMut};
use std::collections::BTreeSet;
use uuid::Uuid;

/// The protocol type of consumers.
pub(super) const CONSUMER: &str = "consumer";

/// The topics that the members of a classic group subscribe to; `None` where they are no consumers or cannot be understood.
pub(super) fn subscribed<J, S>(group: &Group<J, S>) -> Option<BTreeSet<String>> {
    if group.protocol_type.as_deref() != Some(CONSUMER) {
        return None;
    }
    let mut all = BTreeSet::new();
    for member in group.members.values() {
        let chosen = group.protocol.as_deref().and_then(|p| member.protocols.iter().find(|(n, _)| n == p));
        let (_, metadata) = chosen.or_else(|| member.protocols.first())?;
        all.extend(topics(metadata).ok()?);
    }
    Some(all)
}

/// The topics of a `ConsumerProtocolSubscription`.
fn topics(metadata: &[u8]) -> Result<Vec<String>, BadRecord> {
    let mut fields = Fields(metadata);
    if fields.i16()? < 0 {
        return Err(BadRecord("negative version".into()));
    }
    (0..fields.count()?).map(|_| fields.string()).collect()
}

/// What a consumer says when it joins: `ConsumerProtocolSubscription`, versions 0 to 3.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Subscription {
    pub topics: BTreeSet<String>,
    /// What it owns, by topic name.
    pub owned: Vec<(String, Vec<i32>)>,
    pub rack_id: Option<String>,
}

/// The version that a member's metadata is in.
pub(super) fn version(metadata: &[u8]) -> i16 {
    Fields(metadata).i16().unwrap_or(0)
}

/// Reads a `ConsumerProtocolSubscription`; what later versions add behind is ignored.
pub(super) fn subscription(metadata: &[u8]) -> Result<Subscription, BadRecord> {
    let mut fields = Fields(metadata);
    let version = fields.i16()?;
    if version < 0 {
        return Err(BadRecord("negative version".into()));
    }
    let mut read = Subscription::default();
    for _ in 0..fields.count()? {
        read.topics.insert(fields.string()?);
    }
    skip_blob(&mut fields)?;
    if version >= 1 {
        read.owned = partitions(&mut fields)?;
    }
    if version >= 2 {
        fields.i32()?;
    }
    if version >= 3 {
        read.rack_id = fields.nullable_string()?;
    }
    Ok(read)
}

/// A nullable blob that is of no interest.
fn skip_blob(fields: &mut Fields<'_>) -> Result<(), BadRecord> {
    let n = usize::try_from(fields.i32()?).unwrap_or(0);
    fields.bytes(n).map(|_| ())
}

fn partitions(fields: &mut Fields<'_>) -> Result<Vec<(String, Vec<i32>)>, BadRecord> {
    let mut all = Vec::new();
    for _ in 0..fields.count()? {
        let topic = fields.string()?;
        let indexes = (0..fields.count()?).map(|_| fields.i32()).collect::<Result<_, _>>()?;
        all.push((topic, indexes));
    }
    Ok(all)
}

/// Reads a `ConsumerProtocolAssignment`: the partitions of topics that exist.
pub(super) fn assigned(assignment: &[u8], topics: &dyn Catalog) -> Result<Assignment, BadRecord> {
    let mut fields = Fields(assignment);
    fields.i16()?;
    let mut read = Assignment::new();
    for (name, partitions) in partitions(&mut fields)? {
        if let Some((id, _)) = topics.topic(&name)
            && !partitions.is_empty()
        {
            read.entry(id).or_default().extend(partitions);
        }
    }
    Ok(read)
}

/// Writes a `ConsumerProtocolAssignment` of that version (all are alike), without topics that are gone.
pub(super) fn assignment(
    version: i16,
    assigned: &Assignment,
    name: &dyn Fn(&Uuid) -> Option<String>,
) -> Bytes {
    let topics: Vec<_> = assigned.iter().filter_map(|(id, p)| Some((name(id)?, p))).collect();
    let mut out = BytesMut::new();
    out.put_i16(version);
    out.put_i32(topics.len() as i32);
    for (topic, partitions) in topics {
        out.put_text(&topic);
        out.put_i32(partitions.len() as i32);
        partitions.iter().for_each(|p| out.put_i32(*p));
    }
    // No user data.
    out.put_i32(-1);
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_topics_of_a_subscription_are_read_and_nonsense_is_an_error() {
        let metadata = [0, 3, 0, 0, 0, 2, 0, 1, b'a', 0, 2, b'b', b'c', 0, 0, 0, 0, 9, 9];
        assert_eq!(topics(&metadata).unwrap(), ["a", "bc"]);
        assert!(topics(&[0, 0, 0x7f, 0xff, 0xff, 0xff]).is_err());
        assert!(topics(b"").is_err());
    }

    #[test]
    fn a_subscription_is_read_in_all_its_versions() {
        let v0 = [0, 0, 0, 0, 0, 1, 0, 1, b'a', 0xff, 0xff, 0xff, 0xff];
        let read = subscription(&v0).unwrap();
        assert_eq!((read.topics.len(), read.owned.len(), read.rack_id), (1, 0, None));
        let mut v3 = v0.to_vec();
        v3[1] = 3;
        v3.extend([0, 0, 0, 1, 0, 1, b'a', 0, 0, 0, 1, 0, 0, 0, 5]);
        v3.extend([0, 0, 0, 9, 0, 1, b'r']);
        let read = subscription(&v3).unwrap();
        assert_eq!((read.owned, read.rack_id), (vec![("a".into(), vec![5])], Some("r".into())));
        for cut in 0..v3.len() {
            assert!(subscription(&v3[..cut]).is_err(), "{cut}");
        }
    }
}
