//! The suite: cases as text, models by brute force. See `harness` for how a case is run.

mod aggregate;
mod harness;
mod interval_join;
mod lead_lag;
mod parts;
mod small;
mod table_join;
