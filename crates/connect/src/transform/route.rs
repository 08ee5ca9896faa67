//! Transforms that choose the topic.

use super::chain::Keys;
use super::predicate::whole;
use super::time::Format;
use super::{Flow, Step, Transform};
use crate::sdk::ConfigError;
use crate::store::now_ms;
use regex::Regex;

/// `RegexRouter`: keys `regex`, `replacement`.
struct RegexRouter {
    regex: Regex,
    replacement: String,
}

pub(super) fn open_regex(keys: &Keys) -> Result<Box<dyn Transform>, ConfigError> {
    let regex = whole(keys, "regex")?;
    // Java's `$1x` is group 1 and an x; here that needs braces.
    let mut replacement = String::new();
    let mut rest = keys.get("replacement").unwrap_or_default().chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '$' if rest.peek().is_some_and(char::is_ascii_digit) => {
                replacement.push_str("${");
                while let Some(digit) = rest.next_if(char::is_ascii_digit) {
                    replacement.push(digit);
                }
                replacement.push('}');
            }
            '\\' => match rest.next() {
                Some('$') => replacement.push_str("$$"),
                Some(other) => replacement.push(other),
                None => {}
            },
            other => replacement.push(other),
        }
    }
    Ok(Box::new(RegexRouter { regex, replacement }))
}

impl Transform for RegexRouter {
    fn apply(&mut self, mut flow: Flow, out: &mut Step) {
        if self.regex.is_match(&flow.batch.topic) {
            let topic = self.regex.replace(&flow.batch.topic, self.replacement.as_str());
            flow.batch.topic = topic.as_ref().into();
        }
        out.flows.push(flow);
    }
}

/// `TimestampRouter`: keys `topic.format` (`${topic}-${timestamp}`), `timestamp.format` (`yyyyMMdd`).
struct TimestampRouter {
    topic: String,
    format: Format,
}

pub(super) fn open_timestamp(keys: &Keys) -> Result<Box<dyn Transform>, ConfigError> {
    let pattern = keys.get("timestamp.format").unwrap_or("yyyyMMdd");
    let format = Format::new(pattern).map_err(|e| keys.error("timestamp.format", e))?;
    let topic = keys.get("topic.format").unwrap_or("${topic}-${timestamp}").to_owned();
    Ok(Box::new(TimestampRouter { topic, format }))
}

impl Transform for TimestampRouter {
    fn apply(&mut self, flow: Flow, out: &mut Step) {
        let now = now_ms();
        let times = flow.batch.timestamps.clone();
        let part = |i: usize| self.format.write(times.get(i).copied().unwrap_or(now));
        for (time, mut flow) in flow.split_by(part) {
            let topic = self.topic.replace("${topic}", &flow.batch.topic).replace("${timestamp}", &time);
            flow.batch.topic = topic.into();
            out.flows.push(flow);
        }
    }
}
