//! How likely people watch: by the local hour, the day, and the kind of device.

use super::people::Kind;

/// The share of TVs that are on, by local hour: low at night, some in the morning and at noon, most at prime time (20 to 23).
const TV: [f64; 24] = [
    0.16, 0.09, 0.05, 0.03, 0.03, 0.05, 0.12, 0.17, 0.16, 0.13, 0.13, 0.15, 0.20, 0.21, 0.18, 0.18, 0.21,
    0.27, 0.35, 0.45, 0.56, 0.58, 0.48, 0.30,
];
/// The same of phones and tablets: on the way to work and back, at noon, late in bed.
const MOBILE: [f64; 24] = [
    0.10, 0.05, 0.03, 0.02, 0.02, 0.03, 0.07, 0.14, 0.15, 0.09, 0.08, 0.09, 0.15, 0.13, 0.09, 0.09, 0.11,
    0.15, 0.16, 0.16, 0.17, 0.19, 0.20, 0.16,
];

/// Whether it is Saturday or Sunday at that local time (epoch seconds, already moved by the offset).
pub fn is_weekend(local: i64) -> bool {
    // 1 January 1970 was a Thursday.
    matches!((local.div_euclid(86_400) + 3).rem_euclid(7), 5 | 6)
}

/// The probability that such a device is on at a local time (epoch seconds, already moved by the offset).
pub fn audience(kind: Kind, local: i64) -> f64 {
    let table = if kind == Kind::Tv { &TV } else { &MOBILE };
    let second = local.rem_euclid(86_400);
    let hour = (second / 3600) as usize;
    let part = (second % 3600) as f64 / 3600.0;
    let share = table[hour] * (1.0 - part) + table[(hour + 1) % 24] * part;
    if is_weekend(local) && (9..18).contains(&hour) { (share * 1.4).min(0.9) } else { share }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prime_time_is_in_the_evening_and_weekends_are_at_weekends() {
        // 22 November 2026 is a Sunday.
        let sunday = 1_795_305_600;
        assert!(is_weekend(sunday) && is_weekend(sunday - 86_400) && !is_weekend(sunday + 86_400));
        let at = |hour: i64| audience(Kind::Tv, sunday + 86_400 + hour * 3600);
        assert!(at(21) > 2.0 * at(12) && at(12) > 3.0 * at(3));
        assert!(audience(Kind::Tv, sunday + 12 * 3600) > at(12));
    }
}
