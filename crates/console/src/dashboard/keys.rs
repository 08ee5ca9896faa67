//! Reading YAML maps key by key, so that each problem names where it is, and unknown keys are found.

use serde_yaml_ng::{Mapping, Value};

/// What was found wrong, each with the path of its key.
#[derive(Debug, Default)]
pub(super) struct Problems(pub(super) Vec<String>);

impl Problems {
    pub(super) fn add(&mut self, at: &str, problem: impl AsRef<str>) {
        let at = if at.is_empty() { "the file" } else { at };
        self.0.push(format!("{at}: {}", problem.as_ref()));
    }
}

/// A map of which keys are taken one by one.
pub(super) struct Keys<'a> {
    at: String,
    map: Mapping,
    known: Vec<&'static str>,
    pub(super) problems: &'a mut Problems,
}

impl<'a> Keys<'a> {
    /// Over `value`, which stands at `at`. Something else than a map is a problem, and reads as an empty one.
    pub(super) fn new(at: impl Into<String>, value: Value, problems: &'a mut Problems) -> Self {
        let at = at.into();
        let map = match value {
            Value::Mapping(map) => map,
            other => {
                problems.add(&at, format!("expected a map of keys, not {}", shown(&other)));
                Mapping::new()
            }
        };
        Self { at, map, known: Vec::new(), problems }
    }

    /// The path of a key of this map.
    pub(super) fn path(&self, key: &str) -> String {
        if self.at.is_empty() { key.to_owned() } else { format!("{}.{key}", self.at) }
    }

    /// The path of the map itself.
    pub(super) fn at(&self) -> &str {
        &self.at
    }

    /// Whether the key is there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    /// Takes a key's value; null is none.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Value> {
        self.known.push(key);
        self.map.remove(key).filter(|v| !v.is_null())
    }

    /// A problem of a key of this map.
    pub(super) fn wrong(&mut self, key: &str, problem: impl AsRef<str>) {
        let at = self.path(key);
        self.problems.add(&at, problem);
    }

    /// Takes a key and reads it by `read`, which says what is expected instead.
    pub(super) fn read<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Option<T> {
        let value = self.take(key)?;
        let read = read(&value);
        if read.is_none() {
            self.wrong(key, format!("expected {expected}, not {}", shown(&value)));
        }
        read
    }

    /// Takes a text.
    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        self.read(key, "a text", text)
    }

    /// Takes a text that must be there; gives an empty one where it is not, beside the problem.
    pub(super) fn required(&mut self, key: &'static str, what: &str) -> String {
        if !self.has(key) {
            self.known.push(key);
            self.wrong(key, format!("missing; it names {what}"));
            return String::new();
        }
        self.text(key).unwrap_or_default()
    }

    /// Takes true or false; false where it is not there.
    pub(super) fn flag(&mut self, key: &'static str) -> bool {
        self.read(key, "true or false", Value::as_bool).unwrap_or(false)
    }

    /// Takes a whole number between two, ends included.
    pub(super) fn number(&mut self, key: &'static str, least: u64, greatest: u64) -> Option<u64> {
        let expected = format!("a whole number between {least} and {greatest}");
        self.read(key, &expected, |v| v.as_u64().filter(|n| (least..=greatest).contains(n)))
    }

    /// Keys that are left are unknown.
    pub(super) fn end(self) {
        for key in self.map.keys() {
            let key = shown(key);
            let near = self.known.iter().min_by_key(|k| distance(k, &key));
            let near = near.filter(|k| distance(k, &key) <= 2).map(|k| format!("; did you mean {k}?"));
            let known = || format!("; known here: {}", self.known.join(", "));
            let at = if self.at.is_empty() { key.clone() } else { format!("{}.{key}", self.at) };
            self.problems.add(&at, format!("unknown key{}", near.unwrap_or_else(known)));
        }
    }
}

/// A text; a number or a truth value is taken as it is written.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Value::Number(n) => Some(n.to_string()),
        Value::Bool(b) => Some(b.to_string()),
        _ => None,
    }
}

/// A value as it is named in a problem.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::Sequence(_) => "a list".into(),
        Value::Mapping(_) => "a map".into(),
        Value::String(text) if text.is_empty() => "an empty text".into(),
        other => text(other).unwrap_or_else(|| "that".into()),
    }
}

const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// `500ms`, `30s`, `15m`, `1h`, `7d` in ms; none for anything else, for 0 and for over ten years.
pub(super) fn duration_ms(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit.trim())?;
    let ms = number.parse::<u64>().ok()?.checked_mul(*factor)?;
    (1..=3653 * 86_400_000).contains(&ms).then_some(ms)
}

/// Ms in the greatest unit that is whole.
pub(super) fn duration_text(ms: u64) -> String {
    let unit = UNITS.iter().find(|(_, factor)| ms.is_multiple_of(*factor));
    unit.map_or_else(String::new, |(name, factor)| format!("{}{name}", ms / factor))
}

/// How many letters must change.
pub(super) fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut before = i;
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let changed = before + usize::from(ca != *cb);
            before = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(before + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        for (text, ms) in [("500ms", 500), ("30s", 30_000), ("15m", 900_000), ("7d", 604_800_000)] {
            assert_eq!(duration_ms(text), Some(ms));
            assert_eq!(duration_text(ms), text);
        }
        for wrong in ["", "15", "m", "0s", "1y", "-1s", "99999999999999999999s", "99999d", "1.5h"] {
            assert_eq!(duration_ms(wrong), None, "{wrong}");
        }
    }
}
