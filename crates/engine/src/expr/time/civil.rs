//! The proleptic Gregorian calendar in integer arithmetic.

/// Milliseconds of a day.
pub(in crate::expr) const DAY_MS: i64 = 86_400_000;

const MONTH_DAYS: [u8; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// Days of 400 years, which is when the calendar repeats.
const ERA_DAYS: i64 = 146_097;

/// Days from 0000-03-01 to 1970-01-01.
const EPOCH: i64 = 719_468;

/// A day of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::expr) struct Date {
    /// Year, of which 0 is 1 BC.
    pub(in crate::expr) year: i64,
    /// 1..=12.
    pub(in crate::expr) month: u8,
    /// 1..=31.
    pub(in crate::expr) day: u8,
}

pub(in crate::expr) fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Days of a month, which is 1..=12.
pub(in crate::expr) fn month_days(year: i64, month: u8) -> u8 {
    if month == 2 && is_leap(year) {
        return 29;
    }
    MONTH_DAYS.get(usize::from(month).wrapping_sub(1)).copied().unwrap_or(0)
}

impl Date {
    /// The day, `days` after 1970-01-01. Years start in March here, so that a leap day is a year's last.
    pub(in crate::expr) fn from_days(days: i64) -> Self {
        let shifted = days + EPOCH;
        let (era, of_era) = (shifted.div_euclid(ERA_DAYS), shifted.rem_euclid(ERA_DAYS));
        // Take away the leap days before this one, then all years have 365 days.
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / (ERA_DAYS - 1)) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        // From March on, months of 31 and 30 days alternate five by five: 153 days.
        let from_march = (5 * of_year + 2) / 153;
        let day = of_year - (153 * from_march + 2) / 5 + 1;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        let year = year + era * 400 + i64::from(month <= 2);
        Self { year, month: month as u8, day: day as u8 }
    }

    /// Days since 1970-01-01 of a day that exists, in a year whose days 64 bits hold.
    pub(in crate::expr) fn to_days(self) -> i64 {
        let month = i64::from(self.month);
        let year = self.year - i64::from(month <= 2);
        let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let from_march = if month > 2 { month - 3 } else { month + 9 };
        let of_year = (153 * from_march + 2) / 5 + i64::from(self.day) - 1;
        era * ERA_DAYS + of_era * 365 + of_era / 4 - of_era / 100 + of_year - EPOCH
    }

    /// 1..=366.
    pub(in crate::expr) fn day_of_year(self) -> u16 {
        let before: u16 = (1..self.month).map(|m| u16::from(month_days(self.year, m))).sum();
        before + u16::from(self.day)
    }
}

/// Monday is 0.
pub(in crate::expr) fn weekday(days: i64) -> usize {
    (days + 3).rem_euclid(7) as usize
}
