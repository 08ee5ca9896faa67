//! Times as text: Java's `DateTimeFormatter` patterns, parsed once into a small program that runs per row.
//!
//! ```text
//!  'yyyy-MM-dd''T''HH:mm:ssX' ─ pattern ─▶ [Year4 '-' Month2 '-' Day2 'T' ...] ─ format ─▶ bytes
//!                                                                              ─ parse  ─▶ milliseconds
//! ```
//! Letters: `u y M L d D E a H k K h m s S n A X x Z O V z`, quotes and `[optional]` parts. Zones are fixed offsets. What a text does
//! not say is 1970-01-01 00:00:00 in the zone, as ksqlDB's. Parsing is strict: widths are as the pattern says, nothing may be left
//! over, fields that contradict each other are an error, and so is a day that its month does not have (Java's SMART resolver
//! would take the month's last day).

pub(super) mod civil;
mod fields;
mod format;
pub(super) mod functions;
pub(super) mod iso;
mod parse;
mod pattern;
mod zone;
