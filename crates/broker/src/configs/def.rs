//! What a config is: its type and the rule for its values, with Kafka's texts for values that break it.

/// A config is refused; Kafka answers INVALID_CONFIG with this text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct ConfigError {
    /// The config.
    pub key: String,
    /// Why, in Kafka's words, which name the config.
    pub reason: String,
}

impl ConfigError {
    pub(crate) fn new(key: &str, reason: impl Into<String>) -> Self {
        Self { key: key.to_owned(), reason: reason.into() }
    }

    fn invalid(key: &str, value: &str, why: impl std::fmt::Display) -> Self {
        Self::new(key, format!("Invalid value {value} for configuration {key}: {why}"))
    }
}

/// What kind of value a config has; the numbers are those of DescribeConfigs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Boolean = 1,
    Text = 2,
    Int = 3,
    Long = 5,
    Double = 6,
    List = 7,
}

/// What a value must fulfil beside its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Nothing.
    Any,
    /// A whole number of at least this.
    AtLeast(i64),
    /// A whole number within these bounds.
    Between(i64, i64),
    /// A number from 0 to 1.
    Ratio,
    /// One of these words, or a list of them.
    OneOf(&'static [&'static str]),
    /// 1 to 9, or -1 for the codec's default.
    GzipLevel,
    /// `*`, or a list of `partition:broker`.
    Replicas,
}

/// Checks a value and gives it as Kafka shows it: trimmed, lists without spaces and repetitions, `1` as `1.0` where it is a
/// ratio.
pub(crate) fn canonical(key: &str, kind: Kind, rule: Rule, value: &str) -> Result<String, ConfigError> {
    let trimmed = value.trim();
    match kind {
        Kind::Boolean => match trimmed.to_ascii_lowercase() {
            word if word == "true" || word == "false" => Ok(word),
            _ => Err(ConfigError::invalid(key, value, "Expected value to be either true or false")),
        },
        Kind::Int | Kind::Long => {
            let (name, most) =
                if kind == Kind::Int { ("INT", i64::from(i32::MAX)) } else { ("LONG", i64::MAX) };
            let number = trimmed.parse::<i64>().ok().filter(|n| *n <= most && *n >= -most - 1);
            let Some(number) = number else {
                return Err(ConfigError::invalid(key, value, format!("Not a number of type {name}")));
            };
            check_number(key, rule, number)?;
            Ok(number.to_string())
        }
        Kind::Double => {
            let number = trimmed.parse::<f64>().ok().filter(|n| n.is_finite());
            let Some(number) = number else {
                return Err(ConfigError::invalid(key, value, "Not a number of type DOUBLE"));
            };
            // Java's and Rust's shortest forms differ only in how they write exponents.
            let number_text = format!("{number:?}").replace('e', "E");
            match rule {
                Rule::Ratio if number < 0.0 => {
                    Err(ConfigError::invalid(key, &number_text, "Value must be at least 0"))
                }
                Rule::Ratio if number > 1.0 => {
                    Err(ConfigError::invalid(key, &number_text, "Value must be no more than 1"))
                }
                _ => Ok(number_text),
            }
        }
        Kind::Text => check_word(key, rule, trimmed).map(|()| trimmed.to_owned()),
        Kind::List => {
            let list = split(value);
            if rule == Rule::Replicas {
                check_replicas(key, &list)?;
            } else {
                list.iter().try_for_each(|word| check_word(key, rule, word))?;
            }
            Ok(list.join(","))
        }
    }
}

/// The elements of a list, each once.
pub(crate) fn split(list: &str) -> Vec<&str> {
    let mut words: Vec<&str> = Vec::new();
    for word in list.split(',').map(str::trim).filter(|w| !w.is_empty()) {
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words
}

fn check_number(key: &str, rule: Rule, n: i64) -> Result<(), ConfigError> {
    let (least, most) = match rule {
        Rule::AtLeast(least) => (least, i64::MAX),
        Rule::Between(least, most) => (least, most),
        Rule::GzipLevel if n != -1 && !(1..=9).contains(&n) => {
            return Err(ConfigError::invalid(
                key,
                &n.to_string(),
                "Value must be between 1 and 9 or equal to -1",
            ));
        }
        _ => return Ok(()),
    };
    if n < least {
        return Err(ConfigError::invalid(key, &n.to_string(), format!("Value must be at least {least}")));
    }
    if n > most {
        return Err(ConfigError::invalid(key, &n.to_string(), format!("Value must be no more than {most}")));
    }
    Ok(())
}

fn check_word(key: &str, rule: Rule, word: &str) -> Result<(), ConfigError> {
    match rule {
        Rule::OneOf(words) if !words.contains(&word) => {
            let why = format!("String must be one of: {}", words.join(", "));
            Err(ConfigError::invalid(key, word, why))
        }
        _ => Ok(()),
    }
}

fn check_replicas(key: &str, list: &[&str]) -> Result<(), ConfigError> {
    let is_pair = |word: &str| {
        word.split_once(':').is_some_and(|(p, b)| p.parse::<u32>().is_ok() && b.parse::<u32>().is_ok())
    };
    if matches!(list, ["*"]) || list.iter().all(|word| is_pair(word)) {
        return Ok(());
    }
    let why = format!(
        "{key} must be the literal '*' or a list of replicas in the following format: \
         [partitionId]:[brokerId],[partitionId]:[brokerId],..."
    );
    Err(ConfigError::invalid(key, &format!("[{}]", list.join(", ")), why))
}

/// What IncrementalAlterConfigs does to one config.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigOp {
    /// Gives it a value.
    Set,
    /// Takes its value away, so that the default holds.
    Delete,
    /// Adds to a list what is not in it.
    Append,
    /// Takes from a list.
    Subtract,
}

impl ConfigOp {
    /// The operation of that number in the protocol.
    pub fn of(number: i8) -> Option<Self> {
        Some(match number {
            0 => ConfigOp::Set,
            1 => ConfigOp::Delete,
            2 => ConfigOp::Append,
            3 => ConfigOp::Subtract,
            _ => return None,
        })
    }
}

/// One change of a config. The value is not looked at by [`ConfigOp::Delete`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigChange {
    /// The config.
    pub key: String,
    /// What is done.
    pub op: ConfigOp,
    /// With what.
    pub value: String,
}

impl ConfigChange {
    /// Gives `key` the value.
    pub fn set(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { key: key.into(), op: ConfigOp::Set, value: value.into() }
    }

    /// Takes the value of `key` away.
    pub fn delete(key: impl Into<String>) -> Self {
        Self { key: key.into(), op: ConfigOp::Delete, value: String::new() }
    }

    /// The value afterwards, where it is `before` now; `kind` is `None` for configs that nobody knows.
    pub(crate) fn apply(&self, kind: Option<Kind>, before: &str) -> Result<Option<String>, ConfigError> {
        match self.op {
            ConfigOp::Set => return Ok(Some(self.value.clone())),
            ConfigOp::Delete => return Ok(None),
            ConfigOp::Append | ConfigOp::Subtract => {}
        }
        if kind != Some(Kind::List) {
            let op = if self.op == ConfigOp::Append { "APPEND" } else { "SUBTRACT" };
            let reason = format!("Can't {op} to key {} because its type is not LIST.", self.key);
            return Err(ConfigError::new(&self.key, reason));
        }
        let (mut list, given) = (split(before), split(&self.value));
        if self.op == ConfigOp::Append {
            given.iter().for_each(|word| {
                if !list.contains(word) {
                    list.push(word);
                }
            });
        } else {
            list.retain(|word| !given.contains(word));
        }
        Ok(Some(list.join(",")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_as_kafka_shows_them() {
        for (kind, rule, value, shown) in [
            (Kind::Long, Rule::AtLeast(-1), " 7 ", "7"),
            (Kind::Boolean, Rule::Any, "TRUE", "true"),
            (Kind::Double, Rule::Ratio, "1", "1.0"),
            (Kind::List, Rule::OneOf(&["compact", "delete"]), "compact, delete,compact", "compact,delete"),
            (Kind::List, Rule::OneOf(&["compact", "delete"]), "", ""),
            (Kind::List, Rule::Replicas, "0:1,1:1", "0:1,1:1"),
            (Kind::Int, Rule::GzipLevel, "-1", "-1"),
        ] {
            assert_eq!(canonical("k", kind, rule, value).as_deref(), Ok(shown), "{value}");
        }
    }

    #[test]
    fn values_that_break_a_rule_are_refused_with_kafkas_texts() {
        for (kind, rule, value, why) in [
            (Kind::Long, Rule::AtLeast(-1), "-2", "-2 for configuration k: Value must be at least -1"),
            (Kind::Long, Rule::Any, "soon", "soon for configuration k: Not a number of type LONG"),
            (Kind::Int, Rule::Any, "2147483648", "2147483648 for configuration k: Not a number of type INT"),
            (Kind::Int, Rule::Between(1, 17), "18", "18 for configuration k: Value must be no more than 17"),
            (Kind::Double, Rule::Ratio, "1.1", "1.1 for configuration k: Value must be no more than 1"),
            (
                Kind::Int,
                Rule::GzipLevel,
                "0",
                "0 for configuration k: Value must be between 1 and 9 or equal to -1",
            ),
            (
                Kind::List,
                Rule::OneOf(&["a", "b"]),
                "a,c",
                "c for configuration k: String must be one of: a, b",
            ),
            (
                Kind::Boolean,
                Rule::Any,
                "1",
                "1 for configuration k: Expected value to be either true or false",
            ),
        ] {
            let reason = canonical("k", kind, rule, value).unwrap_err().reason;
            assert_eq!(reason, format!("Invalid value {why}"));
        }
    }

    #[test]
    fn lists_grow_and_shrink() {
        let change = |op, value: &str| ConfigChange { key: "k".into(), op, value: value.into() };
        let list = Some(Kind::List);
        assert_eq!(change(ConfigOp::Append, "b,a").apply(list, "a"), Ok(Some("a,b".into())));
        assert_eq!(change(ConfigOp::Subtract, "a").apply(list, "a,b"), Ok(Some("b".into())));
        let reason = change(ConfigOp::Append, "5").apply(Some(Kind::Long), "4").unwrap_err().reason;
        assert_eq!(reason, "Can't APPEND to key k because its type is not LIST.");
    }
}
