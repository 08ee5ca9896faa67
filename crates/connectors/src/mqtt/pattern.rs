//! The record's key out of an MQTT topic.

/// A pattern such as `tv/{device_id}/actions`: levels as they are, `+` for any, `#` last for all further ones, and one level
/// in braces whose text is the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyPattern {
    levels: Vec<Level>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Level {
    Text(String),
    Any,
    Rest,
    Key,
}

impl KeyPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(pattern: &str) -> Result<Self, String> {
        let count = pattern.split('/').count();
        let mut levels = Vec::with_capacity(count);
        for (at, level) in pattern.split('/').enumerate() {
            levels.push(match level {
                "+" => Level::Any,
                "#" if at + 1 == count => Level::Rest,
                name if name.len() > 2 && name.starts_with('{') && name.ends_with('}') => Level::Key,
                text if text.contains(['{', '}', '+', '#']) => {
                    return Err(format!("{text} must be a whole level: text, {{name}}, +, or # at the end"));
                }
                text => Level::Text(text.to_owned()),
            });
        }
        match levels.iter().filter(|l| **l == Level::Key).count() {
            1 => Ok(Self { levels }),
            n => Err(format!("it has {n} levels in braces, one is needed, as in tv/{{device_id}}/actions")),
        }
    }

    /// The key in a topic; `None` where the topic does not fit the pattern.
    pub(super) fn key<'a>(&self, topic: &'a str) -> Option<&'a str> {
        let mut key = None;
        let mut levels = topic.split('/');
        for level in &self.levels {
            if *level == Level::Rest {
                return key;
            }
            let text = levels.next()?;
            match level {
                Level::Key => key = Some(text),
                Level::Text(expected) if expected != text => return None,
                _ => {}
            }
        }
        if levels.next().is_some() { None } else { key }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_in_braces_is_the_key() {
        for (pattern, topic, key) in [
            ("tv/{device_id}/actions", "tv/d-1/actions", Some("d-1")),
            ("tv/{device_id}/actions", "tv//actions", Some("")),
            ("tv/{device_id}/actions", "tv/d-1/state", None),
            ("tv/{device_id}/actions", "tv/d-1", None),
            ("tv/{device_id}/actions", "tv/d-1/actions/x", None),
            ("+/{id}/#", "a/7/b/c", Some("7")),
            ("+/{id}/#", "a/7", Some("7")),
            ("{id}", "x", Some("x")),
        ] {
            assert_eq!(KeyPattern::parse(pattern).unwrap().key(topic), key, "{pattern} of {topic}");
        }
    }

    #[test]
    fn other_patterns_are_refused() {
        for pattern in ["tv/actions", "{a}/{b}", "tv/x{id}/y", "#/{id}", "a+/{id}", "{}/x"] {
            assert!(KeyPattern::parse(pattern).is_err(), "{pattern}");
        }
    }
}
