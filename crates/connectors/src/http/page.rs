//! From the body of a response to records and the next offset. Pure: no I/O.

use super::settings::{Pointer, ResponseSettings};
use serde_json::{Map, Value};

/// The property of an offset that counts the records taken so far, bad ones included.
pub(super) const RECORDS: &str = "records";
/// The property of an offset that holds what `http.response.record.changed.pointer` last found.
pub(super) const CHANGED: &str = "changed";

/// A record to write.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Record {
    /// The key, as text.
    pub(super) key: Option<String>,
    /// The value, compact JSON.
    pub(super) value: Vec<u8>,
    /// Milliseconds since epoch, where a pointer says where it is.
    pub(super) timestamp: Option<i64>,
}

/// What a response brings.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Page {
    /// The records, in order.
    pub(super) records: Vec<Record>,
    /// Members of the list that are no record, and why.
    pub(super) rejected: Vec<(Vec<u8>, String)>,
    /// The offset after it.
    pub(super) offset: Map<String, Value>,
}

/// Reads a response to a request that was made from `offset`.
///
/// # Errors
/// Why it is of no use as a whole; the offset stays.
pub(super) fn read(
    body: &[u8],
    rules: &ResponseSettings,
    offset: &Map<String, Value>,
) -> Result<Page, String> {
    let json: Value = serde_json::from_slice(body).map_err(|e| format!("the response is no JSON: {e}"))?;
    let list = match rules.list.of(&json) {
        Some(Value::Array(list)) => list.iter().collect(),
        Some(object @ Value::Object(_)) => vec![object],
        Some(other) => return Err(format!("{} of the response is {}, no list", rules.list, kind(other))),
        None => return Err(format!("the response has no {}, where the list should be", rules.list)),
    };
    let mut page = Page { offset: offset.clone(), ..Page::default() };
    move_cursor(&json, rules, list.is_empty(), &mut page.offset)?;
    for member in unseen(list, rules, offset) {
        page.take(member, rules);
    }
    Ok(page)
}

/// Takes what the response itself says of the next offset.
fn move_cursor(
    json: &Value,
    rules: &ResponseSettings,
    empty: bool,
    offset: &mut Map<String, Value>,
) -> Result<(), String> {
    let mut moved = rules.offset.is_empty();
    for (name, pointer) in &rules.offset {
        match pointer.of(json) {
            Some(value @ (Value::String(_) | Value::Number(_) | Value::Bool(_))) => {
                moved |= offset.get(name).and_then(text) != text(value);
                offset.insert(name.clone(), value.clone());
            }
            None | Some(Value::Null) if empty => {}
            None => {
                return Err(format!(
                    "the response has records but no {pointer}, where the next {name} should be"
                ));
            }
            Some(other) => return Err(format!("{pointer} of the response is {}, no {name}", kind(other))),
        }
    }
    if !moved && !empty {
        return Err("the response has records, but the offset it gives is the one it was asked with: they would come for ever"
            .to_owned());
    }
    Ok(())
}

/// The members that the offset's timestamp does not say were taken already, oldest first.
fn unseen<'a>(
    mut list: Vec<&'a Value>,
    rules: &ResponseSettings,
    offset: &Map<String, Value>,
) -> Vec<&'a Value> {
    let Some((name, pointer)) = rules.record_offset.iter().find(|(name, _)| name == "timestamp") else {
        return list;
    };
    let time = |member: &Value| pointer.of(member).and_then(|v| timestamp(v, rules.unit));
    if list.first().and_then(|m| time(m)) > list.last().and_then(|m| time(m)) {
        list.reverse();
    }
    let Some(last) = offset.get(name).and_then(|v| timestamp(v, rules.unit)) else { return list };
    let same = |member: &Value| {
        rules.record_offset.iter().all(|(n, p)| p.of(member).and_then(text) == offset.get(n).and_then(text))
    };
    let seen = list.iter().rposition(|m| same(m)).map_or(0, |at| at + 1);
    let later = |(at, member): &(usize, &'a Value)| match time(member) {
        Some(time) => time > last || time == last && *at >= seen,
        // It has none: it is judged as a record.
        None => true,
    };
    list.into_iter().enumerate().filter(later).map(|(_, member)| member).collect()
}

impl Page {
    fn take(&mut self, member: &Value, rules: &ResponseSettings) {
        if let Some(pointer) = &rules.changed {
            let now = pointer.of(member).cloned().unwrap_or(Value::Null);
            if !now.is_null() && self.offset.get(CHANGED) == Some(&now) {
                return;
            }
            self.offset.insert(CHANGED.to_owned(), now);
        }
        match record(member, rules) {
            Ok(record) => {
                for (name, pointer) in &rules.record_offset {
                    if let Some(value) = pointer.of(member).filter(|v| text(v).is_some()) {
                        self.offset.insert(name.clone(), value.clone());
                    }
                }
                self.records.push(record);
            }
            Err(reason) => self.rejected.push((member.to_string().into_bytes(), reason)),
        }
        let taken = self.offset.get(RECORDS).and_then(Value::as_u64).unwrap_or(0);
        self.offset.insert(RECORDS.to_owned(), (taken + 1).into());
    }
}

fn record(member: &Value, rules: &ResponseSettings) -> Result<Record, String> {
    let value = rules.record.of(member);
    let value =
        value.ok_or_else(|| format!("the record has no {}, where its value should be", rules.record))?;
    let Value::Object(object) = value else {
        return Err(format!("the record is {}, no object", kind(value)));
    };
    let found = |pointer: &Pointer, what: &str| match pointer.of(member) {
        None | Some(Value::Null) => Err(format!("the record has no {pointer}, where its {what} should be")),
        Some(value) => Ok(value.clone()),
    };
    let key = match &rules.key {
        Some(pointer) => {
            let value = found(pointer, "key")?;
            Some(text(&value).unwrap_or_else(|| value.to_string()))
        }
        None => None,
    };
    let timestamp = match &rules.timestamp {
        Some(pointer) => {
            let value = found(pointer, "timestamp")?;
            let time = timestamp(&value, rules.unit);
            Some(time.ok_or_else(|| format!("{pointer} of the record is {value}, no timestamp"))?)
        }
        None => None,
    };
    let value = if rules.fields.is_empty() {
        value.to_string()
    } else {
        Value::Object(project(object, &rules.fields)).to_string()
    };
    Ok(Record { key, value: value.into_bytes(), timestamp })
}

/// Only these fields, where they are; nested ones stay nested.
fn project(object: &Map<String, Value>, fields: &[Vec<String>]) -> Map<String, Value> {
    let mut kept = Map::new();
    for path in fields {
        keep(object, path, &mut kept);
    }
    kept
}

fn keep(from: &Map<String, Value>, path: &[String], into: &mut Map<String, Value>) {
    let Some((name, rest)) = path.split_first() else { return };
    let Some(value) = from.get(name) else { return };
    if rest.is_empty() {
        into.insert(name.clone(), value.clone());
        return;
    }
    let Value::Object(inner) = value else { return };
    let mut kept = match into.get_mut(name) {
        Some(Value::Object(kept)) => std::mem::take(kept),
        _ => Map::new(),
    };
    keep(inner, rest, &mut kept);
    if !kept.is_empty() {
        into.insert(name.clone(), Value::Object(kept));
    }
}

/// Milliseconds since epoch of a number or an ISO 8601 text.
fn timestamp(value: &Value, unit: i64) -> Option<i64> {
    match value {
        Value::Number(number) => match number.as_i64() {
            Some(whole) => whole.checked_mul(unit),
            None => number.as_f64().map(|n| (n * unit as f64) as i64),
        },
        Value::String(text) => match text.parse::<i64>() {
            Ok(whole) => whole.checked_mul(unit),
            Err(_) => chrono::DateTime::parse_from_rfc3339(text).ok().map(|t| t.timestamp_millis()),
        },
        _ => None,
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
#[path = "page_tests.rs"]
mod tests;
