//! Times from text.

use super::fields::{Field, Parsed};
use super::format::{MONTHS, WEEKDAYS};
use super::pattern::{Item, Number, Offset, Part, Style};
use super::zone;

/// Milliseconds since epoch; `None` where the text does not follow the program to its end, or is no time.
pub(super) fn instant(items: &[Item], text: &str, zone: i64) -> Option<i64> {
    whole(items, text)?.instant(zone)
}

/// Days since epoch, as [`instant`].
pub(super) fn days(items: &[Item], text: &str) -> Option<i64> {
    whole(items, text)?.days()
}

#[inline]
fn whole(items: &[Item], text: &str) -> Option<Parsed> {
    let mut parsed = Parsed::new();
    let mut rest = text.as_bytes();
    run(items, &mut rest, &mut parsed)?;
    rest.is_empty().then_some(parsed)
}

fn run(items: &[Item], rest: &mut &[u8], parsed: &mut Parsed) -> Option<()> {
    for item in items {
        match item {
            Item::Literal(text) => *rest = rest.strip_prefix(text.as_bytes())?,
            Item::Number(number) if number.min == number.max => {
                let value = fixed(rest, number.min)?;
                parsed.put(number.field, value)?;
            }
            Item::Number(number) => {
                let value = variable(rest, number)?;
                parsed.put(number.field, value)?;
            }
            Item::Fraction(width) => {
                let value = fixed(rest, *width)?;
                parsed.put(Field::Nano, value * 10i64.pow(9 - u32::from(*width)))?;
            }
            Item::Month(style) => parsed.put(Field::Month, name(rest, &MONTHS, *style)? + 1)?,
            Item::Weekday(style) => parsed.put(Field::Weekday, name(rest, &WEEKDAYS, *style)?)?,
            Item::HalfDay => {
                let half = i64::from(rest.starts_with(b"PM"));
                *rest = rest.strip_prefix(b"AM").or_else(|| rest.strip_prefix(b"PM"))?;
                parsed.put(Field::HalfDay, half)?;
            }
            Item::Offset(style) => {
                let value = offset(rest, style)?;
                parsed.put(Field::Offset, i64::from(value))?;
            }
            Item::Zone(_) => {
                let value = zone_name(rest)?;
                parsed.put(Field::Offset, i64::from(value))?;
            }
            Item::Optional(items) => {
                let (mut tried, mut found) = (*rest, *parsed);
                if run(items, &mut tried, &mut found).is_some() {
                    (*rest, *parsed) = (tried, found);
                }
            }
        }
    }
    Some(())
}

/// Exactly that many digits.
#[inline]
fn fixed(rest: &mut &[u8], width: u8) -> Option<i64> {
    let (digits, after) = rest.split_at_checked(usize::from(width))?;
    let value = number(digits)?;
    *rest = after;
    Some(value)
}

#[inline]
fn number(digits: &[u8]) -> Option<i64> {
    let mut value: i64 = 0;
    for b in digits {
        let digit = b.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(i64::from(digit))?;
    }
    Some(value)
}

/// At least the least width, at most the greatest, and so that the digits of what follows are left.
#[inline]
fn variable(rest: &mut &[u8], width: &Number) -> Option<i64> {
    let (negative, plus) = (rest.first() == Some(&b'-'), rest.first() == Some(&b'+'));
    if plus && !width.sign || negative && !matches!(width.field, Field::Year | Field::YearOfEra) {
        return None;
    }
    let digits: &[u8] = if negative || plus { &rest[1..] } else { &rest[..] };
    let (min, reserve) = (usize::from(width.min), usize::from(width.reserve));
    let most = usize::from(width.max) + reserve;
    let there = digits.iter().take(most).take_while(|b| b.is_ascii_digit()).count();
    let count = there.saturating_sub(reserve).max(min).min(usize::from(width.max));
    if there < count {
        return None;
    }
    let (digits, after) = digits.split_at_checked(count)?;
    let value = number(digits)?;
    // A sign says that there are more digits than usual, or that the number is negative; -0 is nothing.
    let wrong = width.sign && if plus { count <= min } else { !negative && count > min };
    if wrong || negative && value == 0 {
        return None;
    }
    *rest = after;
    Some(if negative { -value } else { value })
}

/// The place of the longest name that the text starts with.
fn name(rest: &mut &[u8], names: &[&'static str], style: Style) -> Option<i64> {
    let shown = |name: &&'static str| -> &'static str {
        match style {
            Style::Full => name,
            Style::Short => &name[..3],
            Style::Narrow => &name[..1],
        }
    };
    let found = names.iter().position(|n| rest.starts_with(shown(n).as_bytes()))?;
    // Narrow names are ambiguous, so Java reads none of those.
    let ambiguous = names.iter().filter(|n| shown(n) == shown(&names[found])).count() > 1;
    if ambiguous {
        return None;
    }
    *rest = &rest[shown(&names[found]).len()..];
    Some(found as i64)
}

#[inline]
fn offset(rest: &mut &[u8], style: &Offset) -> Option<i32> {
    let after = rest.strip_prefix(style.prefix.as_bytes())?;
    let sign = match after.first() {
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => {
            *rest = rest.strip_prefix(style.zero.as_bytes())?;
            return Some(0);
        }
    };
    let mut after = &after[1..];
    let hours =
        fixed(&mut after, if style.prefix.is_empty() || style.minutes == Part::Always { 2 } else { 1 }).map(
            |h| {
                // `GMT+8` has as many digits as it needs.
                let second = after.first().filter(|b| b.is_ascii_digit() && style.minutes == Part::NotZero);
                match second {
                    Some(b) if !style.prefix.is_empty() => {
                        after = &after[1..];
                        h * 10 + i64::from(b - b'0')
                    }
                    _ => h,
                }
            },
        )?;
    let mut part = |wanted: Part, go: bool| -> Option<Option<i64>> {
        if wanted == Part::Never || !go {
            return Some(None);
        }
        let mut tried = after;
        let colon = if style.colon { tried.strip_prefix(b":") } else { Some(tried) };
        let value = colon.and_then(|t| {
            tried = t;
            fixed(&mut tried, 2)
        });
        match value {
            Some(value) => {
                after = tried;
                Some(Some(value))
            }
            None if wanted == Part::Always => None,
            None => Some(None),
        }
    };
    let minutes = part(style.minutes, true)?;
    let seconds = part(style.seconds, minutes.is_some())?;
    let small = |v: Option<i64>| v.unwrap_or(0) as i32;
    let value = zone::seconds(sign, hours as i32, small(minutes), small(seconds))?;
    *rest = after;
    Some(value)
}

/// The longest zone that the text starts with.
fn zone_name(rest: &mut &[u8]) -> Option<i32> {
    let longest = "UTC+hh:mm:ss".len();
    let is_part = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b':');
    let there = rest.iter().take(longest).take_while(is_part).count();
    for count in (1..=there).rev() {
        let text = std::str::from_utf8(&rest[..count]).ok()?;
        if let Some(offset) = zone::offset(text) {
            *rest = &rest[count..];
            return Some(offset);
        }
    }
    None
}
