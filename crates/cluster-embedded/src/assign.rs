//! Kafka's embedded consumer protocol, version 0: what members tell the leader, what the leader tells them, and the assignor
//! `range`. Members of other Kafka clients with that assignor can share a group with ours.

use std::collections::BTreeMap;

/// The assignor's name in the group protocol.
pub(crate) const RANGE: &str = "range";

struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(n)?;
        self.0 = tail;
        Some(head)
    }

    fn i16(&mut self) -> Option<i16> {
        Some(i16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    fn i32(&mut self) -> Option<i32> {
        Some(i32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn text(&mut self) -> Option<&'a str> {
        let n = usize::try_from(self.i16()?).ok()?;
        std::str::from_utf8(self.take(n)?).ok()
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as i16).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// A member's metadata: the topics it subscribes to.
pub(crate) fn subscription(topics: &[String]) -> Vec<u8> {
    let mut out = vec![0, 0];
    out.extend_from_slice(&(topics.len() as i32).to_be_bytes());
    topics.iter().for_each(|t| put_text(&mut out, t));
    out.extend_from_slice(&(-1i32).to_be_bytes());
    out
}

/// The topics in a member's metadata, of any version.
pub(crate) fn subscribed(metadata: &[u8]) -> Option<Vec<String>> {
    let mut fields = Fields(metadata);
    fields.i16()?;
    (0..fields.i32()?.max(0)).map(|_| fields.text().map(str::to_owned)).collect()
}

/// A member's partitions by topic.
pub(crate) type Assignment = BTreeMap<String, Vec<i32>>;

pub(crate) fn encode(assignment: &Assignment) -> Vec<u8> {
    let mut out = vec![0, 0];
    out.extend_from_slice(&(assignment.len() as i32).to_be_bytes());
    for (topic, partitions) in assignment {
        put_text(&mut out, topic);
        out.extend_from_slice(&(partitions.len() as i32).to_be_bytes());
        partitions.iter().for_each(|p| out.extend_from_slice(&p.to_be_bytes()));
    }
    out.extend_from_slice(&(-1i32).to_be_bytes());
    out
}

/// Empty for an empty assignment, as members get it that the leader did not know.
pub(crate) fn decode(bytes: &[u8]) -> Option<Assignment> {
    if bytes.is_empty() {
        return Some(Assignment::new());
    }
    let mut fields = Fields(bytes);
    fields.i16()?;
    (0..fields.i32()?.max(0))
        .map(|_| {
            let topic = fields.text()?.to_owned();
            let partitions = (0..fields.i32()?.max(0)).map(|_| fields.i32()).collect::<Option<_>>()?;
            Some((topic, partitions))
        })
        .collect()
}

/// Kafka's range assignor: each topic's partitions in consecutive ranges over its members by id, the first ones one longer.
/// `members`: (id, topics); `partitions`: the number of partitions of a topic.
pub(crate) fn range(
    members: &[(String, Vec<String>)],
    partitions: impl Fn(&str) -> i32,
) -> BTreeMap<String, Assignment> {
    let mut by_topic: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (id, topics) in members {
        topics.iter().for_each(|t| by_topic.entry(t).or_default().push(id));
    }
    let mut assigned: BTreeMap<String, Assignment> =
        members.iter().map(|(id, _)| (id.clone(), Assignment::new())).collect();
    for (topic, mut ids) in by_topic {
        ids.sort_unstable();
        ids.dedup();
        let (total, n) = (partitions(topic).max(0), ids.len() as i32);
        let mut next = 0;
        for (i, id) in ids.into_iter().enumerate() {
            let share = total / n + i32::from((i as i32) < total % n);
            if share > 0
                && let Some(assignment) = assigned.get_mut(id)
            {
                assignment.insert(topic.to_owned(), (next..next + share).collect());
            }
            next += share;
        }
    }
    assigned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_consecutive_and_the_first_members_get_the_rest() {
        let topics = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let members = [("b".to_owned(), topics(&["t", "u"])), ("a".to_owned(), topics(&["t"]))];
        let assigned = range(&members, |topic| if topic == "t" { 3 } else { 1 });
        assert_eq!(assigned["a"], Assignment::from([("t".into(), vec![0, 1])]));
        assert_eq!(assigned["b"], Assignment::from([("t".into(), vec![2]), ("u".into(), vec![0])]));
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        let topics = ["a".to_owned(), "ü".to_owned()];
        assert_eq!(subscribed(&subscription(&topics)).unwrap(), topics);
        let assignment = Assignment::from([("a".into(), vec![0, 5]), ("b".into(), vec![])]);
        assert_eq!(decode(&encode(&assignment)), Some(assignment));
        assert_eq!(decode(&[]), Some(Assignment::new()));
        assert_eq!(decode(&[0, 0, 0]), None);
    }
}
