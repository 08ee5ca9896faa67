//! What the group can read of its members' metadata: the consumers' own protocol, version 0, which all later versions begin with.

use super::state::Group;
use crate::store::fields::{BadRecord, Fields};
use std::collections::BTreeSet;

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
}
