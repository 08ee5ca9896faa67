//! Patterns of Java's `DateTimeFormatter` as programs. Widths and signs are those of `DateTimeFormatterBuilder.appendPattern`.

use super::fields::Field;

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Item {
    /// Text as it is.
    Literal(String),
    /// A number.
    Number(Number),
    /// That many digits of the fraction of a second.
    Fraction(u8),
    /// The month's name.
    Month(Style),
    /// The weekday's name.
    Weekday(Style),
    /// AM or PM.
    HalfDay,
    /// The zone's offset.
    Offset(Offset),
    /// The zone's name: `Z`, `UTC`, `+02:00`; false: the short name, which for UTC is `UTC`.
    Zone(bool),
    /// `[...]`: always written; read where it is there.
    Optional(Vec<Item>),
}

/// A number's field and widths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number {
    pub(super) field: Field,
    /// Least digits, filled with zeros.
    pub(super) min: u8,
    /// Most digits.
    pub(super) max: u8,
    /// Whether more digits than `min` are announced by a sign.
    pub(super) sign: bool,
    /// Digits of the numbers that follow without anything between.
    pub(super) reserve: u8,
}

/// How a name is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// `Mar`
    Short,
    /// `March`
    Full,
    /// `M`
    Narrow,
}

/// How an offset is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Offset {
    /// What stands for no offset.
    pub(super) zero: &'static str,
    /// What stands before the sign.
    pub(super) prefix: &'static str,
    /// Colons between the parts.
    pub(super) colon: bool,
    pub(super) minutes: Part,
    pub(super) seconds: Part,
}

/// Whether a part of an offset is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Never,
    /// Where it is not zero.
    NotZero,
    Always,
}

/// The program of a pattern.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse(pattern: &str) -> Result<Vec<Item>, String> {
    let mut chars = pattern.chars().peekable();
    let items = sequence(&mut chars, pattern, false)?;
    Ok(items)
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn sequence(chars: &mut Chars<'_>, pattern: &str, nested: bool) -> Result<Vec<Item>, String> {
    let mut items = Vec::new();
    // The place of the number whose digits are followed by those of others.
    let mut adjacent: Option<usize> = None;
    while let Some(c) = chars.next() {
        match c {
            'a'..='z' | 'A'..='Z' => {
                let mut count = 1;
                while chars.next_if_eq(&c).is_some() {
                    count += 1;
                }
                let item = letter(c, count).map_err(|why| format!("the pattern '{pattern}': {why}"))?;
                let width = match item {
                    Item::Number(n) if n.min == n.max => Some(n.min),
                    Item::Fraction(n) => Some(n),
                    _ => None,
                };
                match (adjacent, width) {
                    (Some(at), Some(width)) => {
                        if let Some(Item::Number(first)) = items.get_mut(at) {
                            first.reserve = first.reserve.saturating_add(width);
                        }
                    }
                    _ => adjacent = matches!(item, Item::Number(_)).then_some(items.len()),
                }
                items.push(item);
            }
            '\'' => {
                adjacent = None;
                quoted(chars, &mut items).map_err(|why| format!("the pattern '{pattern}': {why}"))?;
            }
            '[' => {
                adjacent = None;
                items.push(Item::Optional(sequence(chars, pattern, true)?));
            }
            ']' if nested => return Ok(items),
            ']' => return Err(format!("the pattern '{pattern}': ] without [")),
            '{' | '}' | '#' => return Err(format!("the pattern '{pattern}': {c} must be quoted")),
            c => {
                adjacent = None;
                literal(&mut items, c);
            }
        }
    }
    Ok(items)
}

fn literal(items: &mut Vec<Item>, c: char) {
    match items.last_mut() {
        Some(Item::Literal(text)) => text.push(c),
        _ => items.push(Item::Literal(c.to_string())),
    }
}

/// What stands between quotes; two of them are one.
fn quoted(chars: &mut Chars<'_>, items: &mut Vec<Item>) -> Result<(), String> {
    if chars.next_if_eq(&'\'').is_some() {
        literal(items, '\'');
        return Ok(());
    }
    loop {
        match chars.next() {
            Some('\'') if chars.next_if_eq(&'\'').is_some() => literal(items, '\''),
            Some('\'') => return Ok(()),
            Some(c) => literal(items, c),
            None => return Err("a quote is not closed".into()),
        }
    }
}

fn letter(c: char, count: usize) -> Result<Item, String> {
    let wide = || format!("too many letters {c}");
    let width = u8::try_from(count).map_err(|_| wide())?;
    let number = |field, min, max, sign| Item::Number(Number { field, min, max, sign, reserve: 0 });
    // One letter: as many digits as there are; two: two.
    let small = |field| match count {
        1 => Ok(number(field, 1, 19, false)),
        2 => Ok(number(field, 2, 2, false)),
        _ => Err(wide()),
    };
    let style = || match count {
        1..=3 => Ok(Style::Short),
        4 => Ok(Style::Full),
        5 => Ok(Style::Narrow),
        _ => Err(wide()),
    };
    Ok(match c {
        'u' | 'y' => {
            let field = if c == 'u' { Field::Year } else { Field::YearOfEra };
            match count {
                2 => number(Field::YearOfCentury, 2, 2, false),
                1 | 3 => number(field, width, 19, false),
                4..=19 => number(field, width, 19, true),
                _ => return Err(wide()),
            }
        }
        'M' | 'L' if count <= 2 => small(Field::Month)?,
        'M' | 'L' => Item::Month(style()?),
        'd' => small(Field::Day)?,
        'D' => match count {
            1 => number(Field::DayOfYear, 1, 19, false),
            2 | 3 => number(Field::DayOfYear, width, 3, false),
            _ => return Err(wide()),
        },
        'E' => Item::Weekday(style()?),
        'a' if count == 1 => Item::HalfDay,
        'H' => small(Field::Hour)?,
        'k' => small(Field::ClockHour)?,
        'K' => small(Field::HalfDayHour)?,
        'h' => small(Field::HalfDayClockHour)?,
        'm' => small(Field::Minute)?,
        's' => small(Field::Second)?,
        'S' if count <= 9 => Item::Fraction(width),
        'n' if count <= 19 => number(Field::Nano, width, 19, false),
        'A' if count <= 19 => number(Field::MilliOfDay, width, 19, false),
        'X' => Item::Offset(offset(count, "Z").ok_or_else(wide)?),
        'x' => {
            let zero = if count == 1 {
                "+00"
            } else if count.is_multiple_of(2) {
                "+0000"
            } else {
                "+00:00"
            };
            Item::Offset(offset(count, zero).ok_or_else(wide)?)
        }
        'Z' => Item::Offset(match count {
            1..=3 => offset(2, "+0000").ok_or_else(wide)?,
            4 => localized(Part::Always),
            5 => offset(5, "Z").ok_or_else(wide)?,
            _ => return Err(wide()),
        }),
        'O' if count == 1 => Item::Offset(localized(Part::NotZero)),
        'O' if count == 4 => Item::Offset(localized(Part::Always)),
        'V' if count == 2 => Item::Zone(true),
        'z' if count <= 3 => Item::Zone(false),
        'V' => return Err("the zone's id is written VV".into()),
        _ if "adSnOzA".contains(c) => return Err(wide()),
        _ => {
            let known = "u y M L d D E a H k K h m s S n A X x Z O V z";
            return Err(format!("the letter {c} is not one of {known} (quote text: 'T')"));
        }
    })
}

/// The offset of as many letters X.
fn offset(count: usize, zero: &'static str) -> Option<Offset> {
    let (colon, minutes, seconds) = match count {
        1 => (false, Part::NotZero, Part::Never),
        2 => (false, Part::Always, Part::Never),
        3 => (true, Part::Always, Part::Never),
        4 => (false, Part::Always, Part::NotZero),
        5 => (true, Part::Always, Part::NotZero),
        _ => return None,
    };
    Some(Offset { zero, prefix: "", colon, minutes, seconds })
}

/// `GMT+02:00`.
fn localized(minutes: Part) -> Offset {
    Offset { zero: "GMT", prefix: "GMT", colon: true, minutes, seconds: Part::NotZero }
}
