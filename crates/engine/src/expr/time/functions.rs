//! FORMAT_TIMESTAMP, PARSE_TIMESTAMP, FORMAT_DATE, PARSE_DATE.

use super::fields::Field;
use super::format::Formatter;
use super::pattern::{self, Item};
use super::{civil::DAY_MS, parse, zone};
use crate::error::EngineError;
use crate::expr::node::Kernel;
use crate::expr::operand::{Operand, TextBuilder, build};
use arrow_array::types::{Date32Type, TimestampMillisecondType};
use std::sync::Arc;

/// What a pattern has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::expr) enum Use {
    FormatTimestamp,
    ParseTimestamp,
    FormatDate,
    ParseDate,
}

/// A function of (value, pattern [, zone]): the pattern where it is constant; whether there is a zone, and it where it is constant.
///
/// # Errors
/// A wrong constant pattern, a zone that is not supported.
pub(in crate::expr) fn kernel(
    what: Use,
    pattern: Option<&Operand>,
    zone: Option<Option<&Operand>>,
) -> Result<Kernel, EngineError> {
    let text = |operand: &Operand| Ok::<_, EngineError>(operand.texts()?.get(0).map(str::to_owned));
    let pattern = pattern.map(text).transpose()?.flatten();
    // `None` where it is known by row only. A NULL makes the result NULL before any zone is asked for.
    let offset = match zone {
        None => Some(0),
        Some(None) => None,
        Some(Some(zone)) => Some(text(zone)?.map_or(Ok(0), |z| zone::argument(&z))?),
    };
    let fixed = match (pattern, offset) {
        (Some(pattern), Some(offset)) => {
            Some(Program::new(what, &pattern, offset).map_err(EngineError::Statement)?)
        }
        _ => None,
    };
    Ok(Kernel::partial(move |args, len, failures| {
        let mut programs = Programs { what, fixed: fixed.as_ref(), args, last: None };
        let valid = |row: usize| args.iter().all(|a| arrow_array::Array::is_valid(&a.array, a.place(row)));
        match what {
            Use::FormatTimestamp | Use::FormatDate => {
                let ms: Box<dyn Fn(usize) -> i64> = if what == Use::FormatDate {
                    let days = args[0].values::<Date32Type>()?;
                    Box::new(move |row| i64::from(days.values[row]) * DAY_MS)
                } else {
                    let ms = args[0].values::<TimestampMillisecondType>()?;
                    Box::new(move |row| ms.values[row])
                };
                let mut out = TextBuilder::new(len, 24);
                if let Some(program) = programs.fixed {
                    let mut run = program.formatter.run();
                    let all_valid = args[0].array.null_count() == 0;
                    for row in 0..len {
                        if !all_valid && !valid(row) {
                            out.push_null();
                        } else if run.append(ms(args[0].place(row)), &mut out.bytes).is_some() {
                            out.end();
                        } else {
                            out.push_null();
                            failures.mark(row);
                        }
                    }
                    return out.finish();
                }
                for row in 0..len {
                    if !valid(row) {
                        out.push_null();
                        continue;
                    }
                    let done = programs.of(row)?.and_then(|program| {
                        program.formatter.run().append(ms(args[0].place(row)), &mut out.bytes)
                    });
                    if done.is_some() {
                        out.end();
                    } else {
                        out.push_null();
                        failures.mark(row);
                    }
                }
                out.finish()
            }
            Use::ParseTimestamp => {
                let texts = args[0].texts()?;
                let mut wrong = Ok(());
                let out = build::<TimestampMillisecondType>(len, |row| {
                    let text = texts.get(row).filter(|_| valid(row))?;
                    let ms = match programs.of(row) {
                        Ok(program) => program.and_then(|p| parse::instant(&p.items, text, p.zone)),
                        Err(e) => {
                            wrong = Err(e);
                            None
                        }
                    };
                    if ms.is_none() {
                        failures.mark(row);
                    }
                    ms
                });
                wrong?;
                Ok(Arc::new(out))
            }
            Use::ParseDate => {
                let texts = args[0].texts()?;
                let mut wrong = Ok(());
                let out = build::<Date32Type>(len, |row| {
                    let text = texts.get(row).filter(|_| valid(row))?;
                    let days = match programs.of(row) {
                        Ok(program) => program.and_then(|p| parse::days(&p.items, text)),
                        Err(e) => {
                            wrong = Err(e);
                            None
                        }
                    };
                    let days = days.and_then(|d| i32::try_from(d).ok());
                    if days.is_none() {
                        failures.mark(row);
                    }
                    days
                });
                wrong?;
                Ok(Arc::new(out))
            }
        }
    }))
}

/// A pattern and a zone, made ready.
struct Program {
    items: Vec<Item>,
    zone: i64,
    formatter: Formatter,
}

impl Program {
    fn new(what: Use, pattern: &str, zone: i32) -> Result<Self, String> {
        let items = pattern::parse(pattern)?;
        let mut fields = Vec::new();
        mentioned(&items, &mut fields);
        let has = |wanted: &[Field]| wanted.iter().any(|f| fields.contains(f));
        let time = [
            Field::Hour,
            Field::ClockHour,
            Field::HalfDayHour,
            Field::HalfDayClockHour,
            Field::Minute,
            Field::Second,
            Field::Nano,
            Field::HalfDay,
            Field::MilliOfDay,
            Field::Offset,
        ];
        if what == Use::FormatDate && has(&time) {
            return Err(format!(
                "the pattern '{pattern}' asks for a time of day or zone, which a DATE does not have"
            ));
        }
        let half = has(&[Field::HalfDayHour, Field::HalfDayClockHour]);
        if what == Use::ParseTimestamp && half && !has(&[Field::HalfDay]) {
            return Err(format!(
                "the pattern '{pattern}' reads an hour of the half day without AM or PM: add a"
            ));
        }
        let formatter = Formatter::new(&items, zone);
        Ok(Self { items, zone: i64::from(zone), formatter })
    }
}

fn mentioned(items: &[Item], fields: &mut Vec<Field>) {
    for item in items {
        match item {
            Item::Number(number) => fields.push(number.field),
            Item::Fraction(_) => fields.push(Field::Nano),
            Item::HalfDay => fields.push(Field::HalfDay),
            Item::Offset(_) | Item::Zone(_) => fields.push(Field::Offset),
            Item::Optional(items) => mentioned(items, fields),
            Item::Literal(_) | Item::Month(_) | Item::Weekday(_) => {}
        }
    }
}

/// The program of each row.
struct Programs<'a> {
    what: Use,
    fixed: Option<&'a Program>,
    args: &'a [Operand],
    /// The last row's pattern and zone, and their program where they are right.
    last: Option<(String, String, Option<Program>)>,
}

impl Programs<'_> {
    /// `None` for a wrong pattern or zone: the row fails.
    fn of(&mut self, row: usize) -> Result<Option<&Program>, EngineError> {
        if let Some(program) = self.fixed {
            return Ok(Some(program));
        }
        let pattern = self.args[1].texts()?.get(row).unwrap_or_default();
        let zone = match self.args.get(2) {
            Some(zone) => zone.texts()?.get(row).unwrap_or_default(),
            None => "UTC",
        };
        if !self.last.as_ref().is_some_and(|(p, z, _)| p == pattern && z == zone) {
            let program = zone::offset(zone).and_then(|z| Program::new(self.what, pattern, z).ok());
            self.last = Some((pattern.to_owned(), zone.to_owned(), program));
        }
        Ok(self.last.as_ref().and_then(|(_, _, program)| program.as_ref()))
    }
}
