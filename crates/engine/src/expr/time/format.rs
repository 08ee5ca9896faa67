//! Times to text.

use super::civil::{DAY_MS, Date, weekday};
use super::fields::Field;
use super::pattern::{Item, Number, Offset, Part, Style};

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub(super) const WEEKDAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// A local time, taken apart.
#[derive(Clone, Copy)]
struct Local {
    days: i64,
    date: Date,
    /// Milliseconds of the day.
    time: u32,
}

/// A program with its zone, which is fixed, so that the zone's parts are text.
pub(super) struct Formatter {
    items: Vec<Item>,
    offset_ms: i64,
    template: Option<Template>,
}

/// The output where all fields have one width: only what differs from the row before is written.
struct Template {
    bytes: Vec<u8>,
    date: Vec<Slot>,
    time: Vec<Slot>,
}

/// A field's place in the template.
struct Slot {
    at: usize,
    item: Item,
}

impl Formatter {
    /// A formatter of these items in the zone with that offset in seconds.
    pub(super) fn new(items: &[Item], offset: i32) -> Self {
        let mut flat = Vec::new();
        flatten(items, offset, &mut flat);
        let template = Template::new(&flat);
        Self { items: flat, offset_ms: i64::from(offset) * 1000, template }
    }

    /// A run over many rows.
    pub(super) fn run(&self) -> Run<'_> {
        let bytes = self.template.as_ref().map_or_else(Vec::new, |t| t.bytes.clone());
        let date = Date { year: 1970, month: 1, day: 1 };
        Run { formatter: self, bytes, local: Local { days: i64::MIN, date, time: 0 }, fits: false }
    }
}

/// Formats row after row, and keeps what it knows of the last one's day.
pub(super) struct Run<'a> {
    formatter: &'a Formatter,
    /// The template, filled for the last row.
    bytes: Vec<u8>,
    local: Local,
    /// Whether the day's year has the template's width.
    fits: bool,
}

impl Run<'_> {
    /// Appends the text of `ms`; `None` where the local time is beyond 64 bits.
    #[inline]
    pub(super) fn append(&mut self, ms: i64, out: &mut Vec<u8>) -> Option<()> {
        let local = ms.checked_add(self.formatter.offset_ms)?;
        let days = local.div_euclid(DAY_MS);
        self.local.time = local.rem_euclid(DAY_MS) as u32;
        if days != self.local.days {
            self.local.days = days;
            self.local.date = Date::from_days(days);
            self.fits = (1..=9999).contains(&self.local.date.year);
            if let Some(template) = &self.formatter.template
                && self.fits
            {
                template.date.iter().for_each(|slot| slot.write(&self.local, &mut self.bytes));
            }
        }
        match &self.formatter.template {
            Some(template) if self.fits => {
                template.time.iter().for_each(|slot| slot.write(&self.local, &mut self.bytes));
                out.extend_from_slice(&self.bytes);
            }
            _ => self.formatter.items.iter().for_each(|item| append(item, &self.local, out)),
        }
        Some(())
    }
}

/// Optional parts are always written, and so are the zone's.
fn flatten(items: &[Item], offset: i32, out: &mut Vec<Item>) {
    for item in items {
        match item {
            Item::Optional(items) => flatten(items, offset, out),
            Item::Offset(style) => out.push(Item::Literal(offset_text(style, offset))),
            Item::Zone(_) if offset == 0 => out.push(Item::Literal("UTC".into())),
            Item::Zone(_) => {
                let style = Offset {
                    zero: "Z",
                    prefix: "",
                    colon: true,
                    minutes: Part::Always,
                    seconds: Part::NotZero,
                };
                out.push(Item::Literal(offset_text(&style, offset)));
            }
            other => out.push(other.clone()),
        }
    }
}

fn offset_text(style: &Offset, offset: i32) -> String {
    let magnitude = offset.unsigned_abs();
    let (hours, minutes, seconds) = (magnitude / 3600, magnitude / 60 % 60, magnitude % 60);
    let sign = if offset < 0 { '-' } else { '+' };
    let colon = if style.colon { ":" } else { "" };
    let short = !style.prefix.is_empty() && style.minutes == Part::NotZero;
    let mut text = if short {
        format!("{}{sign}{hours}", style.prefix)
    } else {
        format!("{}{sign}{hours:02}", style.prefix)
    };
    let shown = |part: Part, value: u32| part == Part::Always || part == Part::NotZero && value != 0;
    let with_seconds = shown(style.seconds, seconds);
    if shown(style.minutes, minutes) || with_seconds {
        text.push_str(&format!("{colon}{minutes:02}"));
    }
    if with_seconds {
        text.push_str(&format!("{colon}{seconds:02}"));
    }
    // An offset whose shown parts are all zero is written as none.
    let nothing = text.bytes().all(|b| !b.is_ascii_digit() || b == b'0');
    if nothing { style.zero.into() } else { text }
}

impl Template {
    /// `None` where a field's width varies among the years 1 to 9999.
    fn new(items: &[Item]) -> Option<Self> {
        let sample = Local { days: 0, date: Date { year: 1970, month: 1, day: 1 }, time: 0 };
        let mut template = Self { bytes: Vec::new(), date: Vec::new(), time: Vec::new() };
        for item in items {
            let slot = Slot { at: template.bytes.len(), item: item.clone() };
            match item {
                Item::Literal(_) => {}
                Item::Number(number) => {
                    let year = matches!(number.field, Field::Year | Field::YearOfEra);
                    let fixed = if year { number.min == 4 } else { number.min == number.max };
                    if !fixed || number.min > 4 {
                        return None;
                    }
                    if is_date(number.field) { template.date.push(slot) } else { template.time.push(slot) }
                }
                Item::Fraction(_) | Item::HalfDay => template.time.push(slot),
                Item::Month(Style::Short) | Item::Weekday(Style::Short) => template.date.push(slot),
                _ => return None,
            }
            append(item, &sample, &mut template.bytes);
        }
        Some(template)
    }
}

fn is_date(field: Field) -> bool {
    matches!(
        field,
        Field::Year | Field::YearOfEra | Field::YearOfCentury | Field::Month | Field::Day | Field::DayOfYear
    )
}

impl Slot {
    #[inline]
    fn write(&self, local: &Local, bytes: &mut [u8]) {
        match &self.item {
            Item::Number(Number { field, min: 2, .. }) => {
                let value = field_value(*field, local) as u32;
                if let Some([a, b]) = bytes.get_mut(self.at..self.at + 2) {
                    (*a, *b) = (b'0' + (value / 10) as u8, b'0' + (value % 10) as u8);
                }
            }
            Item::Number(Number { field, min, .. }) => {
                digits(field_value(*field, local) as u64, &mut bytes[self.at..self.at + usize::from(*min)]);
            }
            Item::Fraction(width) => {
                digits(fraction(*width, local), &mut bytes[self.at..self.at + usize::from(*width)]);
            }
            Item::HalfDay => bytes[self.at..self.at + 2].copy_from_slice(half_day(local)),
            Item::Month(_) => bytes[self.at..self.at + 3].copy_from_slice(&month(local).as_bytes()[..3]),
            Item::Weekday(_) => bytes[self.at..self.at + 3].copy_from_slice(&day_name(local).as_bytes()[..3]),
            _ => {}
        }
    }
}

/// The last digits of `value`.
#[inline]
fn digits(mut value: u64, out: &mut [u8]) {
    for byte in out.iter_mut().rev() {
        *byte = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

fn append(item: &Item, local: &Local, out: &mut Vec<u8>) {
    let name = |style: &Style, name: &str, out: &mut Vec<u8>| {
        let len = match style {
            Style::Full => name.len(),
            Style::Short => 3,
            Style::Narrow => 1,
        };
        out.extend_from_slice(&name.as_bytes()[..len]);
    };
    match item {
        Item::Literal(text) => out.extend_from_slice(text.as_bytes()),
        Item::Number(number) => {
            let value = field_value(number.field, local);
            let text = format!("{:0width$}", value.unsigned_abs(), width = usize::from(number.min));
            if value < 0 {
                out.push(b'-');
            } else if number.sign && text.len() > usize::from(number.min) {
                out.push(b'+');
            }
            out.extend_from_slice(text.as_bytes());
        }
        Item::Fraction(width) => {
            let at = out.len();
            out.resize(at + usize::from(*width), b'0');
            digits(fraction(*width, local), &mut out[at..]);
        }
        Item::Month(style) => name(style, month(local), out),
        Item::Weekday(style) => name(style, day_name(local), out),
        Item::HalfDay => out.extend_from_slice(half_day(local)),
        Item::Offset(_) | Item::Zone(_) | Item::Optional(_) => {}
    }
}

fn month(local: &Local) -> &'static str {
    MONTHS[usize::from(local.date.month) - 1]
}

fn day_name(local: &Local) -> &'static str {
    WEEKDAYS[weekday(local.days)]
}

fn half_day(local: &Local) -> &'static [u8] {
    if local.time < 43_200_000 { b"AM" } else { b"PM" }
}

fn fraction(width: u8, local: &Local) -> u64 {
    let nanos = u64::from(local.time % 1000) * 1_000_000;
    nanos / 10u64.pow(9u32.saturating_sub(u32::from(width)))
}

#[inline]
fn field_value(field: Field, local: &Local) -> i64 {
    let Local { date, time, .. } = local;
    let hour = time / 3_600_000;
    match field {
        Field::Year => date.year,
        // Before year 1 it counts backwards.
        Field::YearOfEra if date.year < 1 => 1 - date.year,
        Field::YearOfEra => date.year,
        Field::YearOfCentury => date.year.rem_euclid(100),
        Field::Month => i64::from(date.month),
        Field::Day => i64::from(date.day),
        Field::DayOfYear => i64::from(date.day_of_year()),
        Field::Hour => i64::from(hour),
        Field::ClockHour => i64::from(if hour == 0 { 24 } else { hour }),
        Field::HalfDayHour => i64::from(hour % 12),
        Field::HalfDayClockHour => i64::from(if hour % 12 == 0 { 12 } else { hour % 12 }),
        Field::Minute => i64::from(time / 60_000 % 60),
        Field::Second => i64::from(time / 1000 % 60),
        Field::Nano => i64::from(time % 1000) * 1_000_000,
        Field::HalfDay => i64::from(hour / 12),
        Field::Weekday => weekday(local.days) as i64,
        Field::MilliOfDay => i64::from(*time),
        Field::Offset => 0,
    }
}
