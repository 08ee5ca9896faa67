//! The engine over a real log in this process: what its queries, tables and statements do, restarts included.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod avro;
mod drains;
mod lateness;
mod pushes;
mod rejects;
mod restarts;
mod statements;
mod tables;
mod watermarks;
mod windows;
