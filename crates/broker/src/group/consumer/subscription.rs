//! What members subscribe to: names, and regular expressions that the group resolves.

use super::member::GroupError;
use kafka_protocol::ResponseError as E;
use regex::bytes::{Regex, RegexBuilder};
use std::collections::BTreeSet;
use uuid::Uuid;

/// The topics there are, as groups see them.
pub(crate) trait Catalog {
    /// Changes whenever a topic or partition comes or goes.
    fn version(&self) -> u64;
    /// The id and the number of partitions.
    fn topic(&self, name: &str) -> Option<(Uuid, i32)>;
    /// All names that a regular expression may match.
    fn names(&self) -> Vec<String>;
}

/// Compiles a regular expression that matches whole topic names. Names are ASCII, so classes are too; the syntax is RE2's.
pub(super) fn compile(regex: &str) -> Result<Regex, GroupError> {
    let build = |text: &str| RegexBuilder::new(text).unicode(false).size_limit(1 << 20).build();
    // By itself first: `)(` is no expression, but would be one within the group.
    build(regex).and_then(|_| build(&format!("^(?:{regex})$"))).map_err(|error| {
        let error = error.to_string();
        let reason = error.lines().last().unwrap_or_default();
        GroupError::new(
            E::InvalidRegularExpression,
            format!("SubscribedTopicRegex `{regex}` is not a valid regular expression: {reason}."),
        )
    })
}

/// The topics that match, of those that the asker may see.
pub(super) fn resolve(
    regex: &str,
    topics: &dyn Catalog,
    allowed: &dyn Fn(&str) -> bool,
) -> Result<BTreeSet<String>, GroupError> {
    let regex = compile(regex)?;
    Ok(topics.names().into_iter().filter(|name| regex.is_match(name.as_bytes()) && allowed(name)).collect())
}

/// A number that changes when the subscribed topics do: their names, ids or partitions. 0 for no topics.
pub(super) fn metadata_hash<'a>(names: impl Iterator<Item = &'a str>, topics: &dyn Catalog) -> i64 {
    // FNV-1a, stable over restarts. Names come in order.
    let mut hash: Option<u64> = None;
    for name in names {
        let Some((id, partitions)) = topics.topic(name) else { continue };
        let so_far = hash.get_or_insert(0xcbf2_9ce4_8422_2325);
        let bytes = name.bytes().chain([0]).chain(*id.as_bytes()).chain(partitions.to_be_bytes());
        *so_far = bytes.fold(*so_far, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    }
    hash.unwrap_or(0) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regular_expressions_match_whole_names() {
        for (regex, name, expected) in [
            ("a.*", "abc", true),
            ("a.*", "xabc", false),
            ("a|b", "b", true),
            ("a|b", "bc", false),
            ("(?i)ABC\\d+", "abc12", true),
            ("[a-c]+\\.x", "abc.x", true),
        ] {
            assert_eq!(compile(regex).unwrap().is_match(name.as_bytes()), expected, "{regex} {name}");
        }
    }

    #[test]
    fn what_is_no_regular_expression_is_refused_with_the_reason() {
        let error = compile("foo[").unwrap_err();
        assert_eq!(error.code, E::InvalidRegularExpression);
        assert!(error.message.starts_with("SubscribedTopicRegex `foo[` is not a valid"), "{}", error.message);
        // Back references and look-around are not in RE2 either; a huge automaton is refused.
        for regex in ["(a)\\1", "(?=a)", "(a{1000}){1000}", ")("] {
            assert!(compile(regex).is_err(), "{regex}");
        }
    }
}
