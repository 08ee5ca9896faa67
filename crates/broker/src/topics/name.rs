//! Names of topics: Kafka's rules, in Kafka's words.

use super::TopicError;
use kafka_protocol::ResponseError as E;

const MAX_LENGTH: usize = 249;

/// Checks a name by itself.
pub(crate) fn check(name: &str) -> Result<(), TopicError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let reason = match name {
        "" => "the empty string is not allowed".to_owned(),
        "." | ".." => format!("'{name}' is not allowed"),
        // Kafka counts UTF-16 units; what differs is refused by the next rule anyway.
        _ if name.len() > MAX_LENGTH => {
            format!("the length of '{name}' is longer than the max allowed length {MAX_LENGTH}")
        }
        _ if !name.bytes().all(plain) => {
            format!(
                "'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
            )
        }
        _ => return Ok(()),
    };
    Err(TopicError::refused(E::InvalidTopicException, format!("Topic name is invalid: {reason}")))
}

/// What names that differ only in '.' and '_' have in common; `None` for names without either. In names of metrics both
/// characters look the same.
pub(crate) fn unified(name: &str) -> Option<String> {
    name.contains(['.', '_']).then(|| name.replace('.', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_kafkas_rules() {
        let reason = |name: &str| check(name).unwrap_err().to_string();
        assert_eq!(reason(""), "Topic name is invalid: the empty string is not allowed");
        assert_eq!(reason(".."), "Topic name is invalid: '..' is not allowed");
        let characters = "contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'";
        assert_eq!(reason("a b"), format!("Topic name is invalid: 'a b' {characters}"));
        assert_eq!(reason("ä"), format!("Topic name is invalid: 'ä' {characters}"));
        assert!(reason(&"x".repeat(250)).ends_with("is longer than the max allowed length 249"));
        for name in ["a", "A.b_c-9", &"x".repeat(249)] {
            assert!(check(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn points_and_underscores_are_one() {
        assert_eq!(unified("a.b"), unified("a_b"));
        assert_eq!(unified("a-b"), None);
    }
}
