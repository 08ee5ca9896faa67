//! Numbers drawn from ranges and counted by iterations, with `now` as a bound.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::Value as Json;

/// What a row is made with.
pub(super) struct Context<'a> {
    pub(super) random: &'a mut ChaCha8Rng,
    /// The row's number, from 0.
    pub(super) row: u64,
    /// ms since epoch.
    pub(super) now: i64,
    /// When the connector first began, ms since epoch.
    pub(super) started: i64,
}

/// What a number of time counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Seconds,
    Millis,
    Micros,
    Nanos,
    Days,
}

impl Unit {
    /// So many milliseconds in this unit.
    fn of_millis(self, ms: i64) -> i128 {
        let ms = i128::from(ms);
        match self {
            Self::Seconds => ms.div_euclid(1000),
            Self::Millis => ms,
            Self::Micros => ms * 1000,
            Self::Nanos => ms * 1_000_000,
            Self::Days => ms.div_euclid(86_400_000),
        }
    }

    /// By its name.
    pub(super) fn named(name: &Json) -> Result<Self, String> {
        match name.as_str() {
            Some("seconds") => Ok(Self::Seconds),
            Some("millis") => Ok(Self::Millis),
            Some("micros") => Ok(Self::Micros),
            Some("nanos") => Ok(Self::Nanos),
            _ => Err(format!("unit: {name}: seconds, millis, micros or nanos wanted")),
        }
    }
}

/// A bound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Bound {
    Whole(i128),
    Real(f64),
    /// So many ms from now.
    Now(i64),
}

impl Bound {
    /// A number, or `now` with a distance.
    pub(super) fn of(json: &Json) -> Result<Self, String> {
        let wrong = || format!("{json}: a number or \"now\", \"now-60s\", \"now+5m\" wanted");
        match json {
            Json::Number(n) => match n.as_i64() {
                Some(whole) => Ok(Self::Whole(whole.into())),
                None => n.as_f64().map(Self::Real).ok_or_else(wrong),
            },
            Json::String(text) => now(text).map(Self::Now).ok_or_else(wrong),
            _ => Err(wrong()),
        }
    }

    fn whole(self, now: i64, unit: Unit) -> i128 {
        match self {
            Self::Whole(v) => v,
            Self::Real(v) => v as i128,
            Self::Now(distance) => unit.of_millis(now.saturating_add(distance)),
        }
    }

    fn real(self, now: i64, unit: Unit) -> f64 {
        match self {
            Self::Whole(v) => v as f64,
            Self::Real(v) => v,
            Self::Now(distance) if unit == Unit::Seconds => now.saturating_add(distance) as f64 / 1000.0,
            Self::Now(distance) => unit.of_millis(now.saturating_add(distance)) as f64,
        }
    }
}

/// The ms from now that a text means.
fn now(text: &str) -> Option<i64> {
    let rest = text.trim().strip_prefix("now")?.trim();
    if rest.is_empty() {
        return Some(0);
    }
    let (sign, rest) = match rest.split_at_checked(1)? {
        ("-", rest) => (-1, rest.trim()),
        ("+", rest) => (1, rest.trim()),
        _ => return None,
    };
    let (number, unit) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
    let ms = match unit.trim() {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.parse::<i64>().ok()?.checked_mul(ms * sign)
}

/// Where a number comes from.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Source {
    /// From the first up to but not the second.
    Range(Bound, Bound),
    Iteration {
        start: Bound,
        /// How far the first value is from `start`.
        ahead: f64,
        step: f64,
        restart: Option<Bound>,
    },
}

impl Source {
    /// Checks that it can give numbers, at any time.
    pub(super) fn check(self, unit: Unit) -> Result<Self, String> {
        match &self {
            Self::Range(min, max) => {
                let fixed = matches!(min, Bound::Now(_)) == matches!(max, Bound::Now(_));
                if fixed && max.real(0, unit) <= min.real(0, unit) {
                    return Err("range: max must be greater than min".to_owned());
                }
            }
            Self::Iteration { start, restart, step, .. } => {
                if let Some(restart) = restart
                    && restart.real(0, unit) == start.real(0, unit)
                {
                    return Err("iteration: restart must differ from start".to_owned());
                }
                if *step == 0.0 {
                    return Err("iteration: step cannot be 0".to_owned());
                }
            }
        }
        Ok(self)
    }

    /// A whole number within limits.
    pub(super) fn whole(&self, context: &mut Context<'_>, unit: Unit, limits: (i128, i128)) -> i128 {
        match self {
            Self::Range(min, max) => {
                let low = min.whole(context.now, unit).max(limits.0);
                let high = max.whole(context.now, unit).min(limits.1 + 1);
                if low < high { context.random.random_range(low..high) } else { low.min(limits.1) }
            }
            Self::Iteration { start, ahead, step, restart } => {
                let start = start.whole(context.started, unit);
                let ends = if *step > 0.0 { limits.1 } else { limits.0 };
                let restart = restart.map_or(ends, |r| r.whole(context.started, unit));
                let moved = *ahead as i128 + *step as i128 * i128::from(context.row);
                let span = restart - start;
                let value = if span == 0 { start } else { start + modulo(moved, span) };
                value.clamp(limits.0, limits.1)
            }
        }
    }

    /// A number.
    pub(super) fn real(&self, context: &mut Context<'_>, unit: Unit) -> f64 {
        match self {
            Self::Range(min, max) => {
                let (low, high) = (min.real(context.now, unit), max.real(context.now, unit));
                let part: f64 = context.random.random();
                // Not as one difference, which may be infinite.
                (low * (1.0 - part) + high * part).clamp(low.min(high), low.max(high))
            }
            Self::Iteration { start, ahead, step, restart } => {
                let start = start.real(context.started, unit);
                let moved = ahead + step * context.row as f64;
                match restart.map(|r| r.real(context.started, unit) - start) {
                    Some(span) if span != 0.0 => start + (moved % span + span) % span,
                    _ => start + moved,
                }
            }
        }
    }
}

/// The remainder that has the sign of `span`.
fn modulo(moved: i128, span: i128) -> i128 {
    (moved % span + span) % span
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use serde_json::json;

    fn draw(source: &Source, row: u64, now: i64, unit: Unit) -> i128 {
        let mut random = ChaCha8Rng::seed_from_u64(row);
        let mut context = Context { random: &mut random, row, now, started: 1_000_000 };
        source.whole(&mut context, unit, (i64::MIN.into(), i64::MAX.into()))
    }

    #[test]
    fn bounds_may_be_distances_from_now() {
        for (text, wanted) in [
            ("now", Some(0)),
            ("now-60s", Some(-60_000)),
            ("now + 5 m", Some(300_000)),
            ("now-2d", Some(-172_800_000)),
            ("now+3ms", Some(3)),
            ("later", None),
            ("now-", None),
            ("now-1w", None),
            ("now-é", None),
            ("nowé", None),
            ("now-99999999999999999999s", None),
        ] {
            assert_eq!(now(text), wanted, "{text}");
        }
    }

    #[test]
    fn ranges_follow_the_clock_in_their_unit() {
        let range = Source::Range(Bound::of(&json!("now-60s")).unwrap(), Bound::of(&json!("now")).unwrap());
        let range = range.check(Unit::Seconds).unwrap();
        for row in 0..100 {
            assert!((940..1000).contains(&draw(&range, row, 1_000_000, Unit::Seconds)));
            assert!((-60_000..0).contains(&draw(&range, row, 0, Unit::Millis)));
        }
        let narrow = Source::Range(Bound::Whole(3), Bound::Whole(4));
        assert_eq!(draw(&narrow, 1, 0, Unit::Millis), 3);
        assert!(Source::Range(Bound::Whole(3), Bound::Whole(3)).check(Unit::Millis).is_err());
    }

    #[test]
    fn iterations_count_rows_and_turn_back() {
        let iteration = |start, ahead, step, restart: Option<i128>| {
            let restart = restart.map(Bound::Whole);
            let source = Source::Iteration { start: Bound::Whole(start), ahead, step, restart };
            (0..6).map(|row| draw(&source, row, 0, Unit::Millis) as i64).collect::<Vec<_>>()
        };
        assert_eq!(iteration(5, 0.0, 1.0, None), [5, 6, 7, 8, 9, 10]);
        assert_eq!(iteration(0, 0.0, 2.0, Some(5)), [0, 2, 4, 1, 3, 0]);
        assert_eq!(iteration(0, -0.0, -1.0, Some(-3)), [0, -1, -2, 0, -1, -2]);
        assert_eq!(iteration(10, 2.0, 1.0, Some(13)), [12, 10, 11, 12, 10, 11]);
        let started = Source::Iteration { start: Bound::Now(0), ahead: 0.0, step: 10.0, restart: None };
        assert_eq!(draw(&started, 3, 77, Unit::Seconds), 1030);
    }
}
