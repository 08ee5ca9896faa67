//! Zones: UTC and fixed offsets.

use crate::error::EngineError;

/// The offset in seconds of `UTC`, `GMT`, `UT`, `Z`, `+02:00`, `+0200`, `+2`, `UTC+2`, `GMT-03:30` ...
pub(super) fn offset(text: &str) -> Option<i32> {
    let rest = ["UTC", "GMT", "UT"].iter().find_map(|name| text.strip_prefix(name));
    let rest = match rest {
        Some("") => return Some(0),
        Some(rest) => rest,
        None if text == "Z" => return Some(0),
        None => text,
    };
    let sign = match rest.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits: Vec<u8> = match rest.get(1..)?.split(':').collect::<Vec<_>>()[..] {
        [all] => all.bytes().collect(),
        [h, m] if h.len() == 2 && m.len() == 2 => h.bytes().chain(m.bytes()).collect(),
        [h, m, s] if h.len() == 2 && m.len() == 2 && s.len() == 2 => {
            h.bytes().chain(m.bytes()).chain(s.bytes()).collect()
        }
        _ => return None,
    };
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let pair = |at: usize| {
        digits.get(at..at + 2).map_or(0, |d| i32::from(d[0] - b'0') * 10 + i32::from(d[1] - b'0'))
    };
    match digits.len() {
        1 => Some(sign * i32::from(digits[0] - b'0') * 3600),
        2 | 4 | 6 => seconds(sign, pair(0), pair(2), pair(4)),
        _ => None,
    }
}

/// The offset of these parts, within ±18 hours as Java's.
pub(super) fn seconds(sign: i32, hours: i32, minutes: i32, seconds: i32) -> Option<i32> {
    let total = hours * 3600 + minutes * 60 + seconds;
    (minutes < 60 && seconds < 60 && total <= 18 * 3600).then_some(sign * total)
}

/// The offset of a zone argument.
///
/// # Errors
/// A zone with rules, which this engine does not have.
pub(super) fn argument(text: &str) -> Result<i32, EngineError> {
    offset(text).ok_or_else(|| {
        let accepted = "UTC, GMT, Z or a fixed offset like +02:00 or UTC+2";
        EngineError::Unsupported(format!("the time zone '{text}' (accepted are {accepted})"))
    })
}
