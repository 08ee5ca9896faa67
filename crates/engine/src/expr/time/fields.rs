//! The fields of a time that a text can say, and what they amount to.

use super::civil::{DAY_MS, Date, is_leap, month_days, weekday};

/// A numeric field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    /// `u`: 0 is 1 BC.
    Year,
    /// `y`: from 1.
    YearOfEra,
    /// `yy`, `uu`: of 2000 to 2099.
    YearOfCentury,
    Month,
    Day,
    DayOfYear,
    /// `H`: 0..=23.
    Hour,
    /// `k`: 1..=24.
    ClockHour,
    /// `K`: 0..=11.
    HalfDayHour,
    /// `h`: 1..=12.
    HalfDayClockHour,
    Minute,
    Second,
    Nano,
    /// 0 is AM.
    HalfDay,
    /// 0 is Monday.
    Weekday,
    /// In seconds.
    Offset,
    /// `A`: milliseconds of the day.
    MilliOfDay,
}

/// The fields of the time of day but for [`Field::MilliOfDay`].
const CLOCK: u32 = 1 << Field::Hour as u32
    | 1 << Field::ClockHour as u32
    | 1 << Field::HalfDayHour as u32
    | 1 << Field::HalfDayClockHour as u32
    | 1 << Field::Minute as u32
    | 1 << Field::Second as u32
    | 1 << Field::Nano as u32
    | 1 << Field::HalfDay as u32;

/// What a text says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parsed {
    values: [i64; 17],
    seen: u32,
}

impl Parsed {
    pub(super) fn new() -> Self {
        Self { values: [0; 17], seen: 0 }
    }

    /// Notes a field; `None` where it contradicts what was said before.
    #[inline]
    pub(super) fn put(&mut self, field: Field, value: i64) -> Option<()> {
        let place = field as usize;
        let bit = 1u32 << place;
        if self.seen & bit != 0 && self.values[place] != value {
            return None;
        }
        self.values[place] = value;
        self.seen |= bit;
        Some(())
    }

    #[inline]
    fn get(&self, field: Field) -> Option<i64> {
        let place = field as usize;
        (self.seen & (1 << place) != 0).then(|| self.values[place])
    }

    fn within(&self, field: Field, least: i64, most: i64) -> Result<Option<i64>, ()> {
        match self.get(field) {
            Some(v) if v < least || v > most => Err(()),
            v => Ok(v),
        }
    }

    /// Days since epoch; `None` where the fields are no day.
    #[inline]
    pub(super) fn days(&self) -> Option<i64> {
        // Beyond it the milliseconds do not fit anyhow.
        const FAR: i64 = 400_000_000;
        let mut year = self.within(Field::Year, -FAR, FAR).ok()?;
        for (other, base) in [(Field::YearOfEra, 0), (Field::YearOfCentury, 2000)] {
            let least = i64::from(other == Field::YearOfEra);
            if let Some(value) = self.within(other, least, FAR).ok()? {
                if year.is_some_and(|y| y != value + base) {
                    return None;
                }
                year = Some(value + base);
            }
        }
        let year = year.unwrap_or(1970);
        let month = self.within(Field::Month, 1, 12).ok()?;
        let day = self.within(Field::Day, 1, 31).ok()?;
        let date = match self.within(Field::DayOfYear, 1, 366).ok()? {
            Some(of_year) => {
                if of_year == 366 && !is_leap(year) {
                    return None;
                }
                let first = Date { year, month: 1, day: 1 }.to_days();
                let date = Date::from_days(first + of_year - 1);
                let agrees = |said: Option<i64>, is: u8| said.is_none_or(|v| v == i64::from(is));
                if !agrees(month, date.month) || !agrees(day, date.day) {
                    return None;
                }
                date
            }
            None => Date { year, month: month.unwrap_or(1) as u8, day: day.unwrap_or(1) as u8 },
        };
        if date.day > month_days(date.year, date.month) {
            return None;
        }
        let days = date.to_days();
        match self.get(Field::Weekday) {
            Some(said) if said != weekday(days) as i64 => None,
            _ => Some(days),
        }
    }

    /// Milliseconds of the day; `None` where the fields are no time. `24:00` is the day's end.
    #[inline]
    fn time(&self) -> Option<i64> {
        let mut hour = self.within(Field::Hour, 0, 24).ok()?;
        let clock = self.within(Field::ClockHour, 1, 24).ok()?.map(|h| h % 24);
        let of_half = self.within(Field::HalfDayHour, 0, 11).ok()?;
        let clock_of_half = self.within(Field::HalfDayClockHour, 1, 12).ok()?.map(|h| h % 12);
        let half = self.get(Field::HalfDay);
        let minute = self.within(Field::Minute, 0, 59).ok()?.unwrap_or(0);
        let second = self.within(Field::Second, 0, 59).ok()?.unwrap_or(0);
        let nano = self.within(Field::Nano, 0, 999_999_999).ok()?.unwrap_or(0);
        let mut agree = |other: i64| {
            let same = hour.is_none_or(|h| h == other);
            hour = Some(other);
            same.then_some(())
        };
        if let Some(other) = clock {
            agree(other)?;
        }
        for other in [of_half, clock_of_half].into_iter().flatten() {
            agree(other + 12 * half?)?;
        }
        let hour = match (hour, half) {
            (Some(hour), Some(half)) if hour / 12 != half => return None,
            // Noon or midnight, as Java's resolver has it for AM or PM alone.
            (None, Some(half)) => half * 12,
            (hour, _) => hour.unwrap_or(0),
        };
        if hour == 24 && (minute, second, nano) != (0, 0, 0) {
            return None;
        }
        let ms = ((hour * 60 + minute) * 60 + second) * 1000 + nano / 1_000_000;
        match self.within(Field::MilliOfDay, 0, DAY_MS - 1).ok()? {
            // Said alone, or as the other fields say.
            Some(said) if self.seen & CLOCK == 0 || said == ms => Some(said),
            Some(_) => None,
            None => Some(ms),
        }
    }

    /// Milliseconds since epoch; in the zone with offset `zone` seconds where the text names none.
    #[inline]
    pub(super) fn instant(&self, zone: i64) -> Option<i64> {
        let offset = self.get(Field::Offset).unwrap_or(zone);
        let time = self.time()?;
        // In this order no part leaves 64 bits where the sum does not.
        self.days()?.checked_mul(DAY_MS)?.checked_add(time - offset * 1000)
    }
}
