//! The MySQL connector against a real MariaDB.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod definitions;
mod faults;
mod peer;
mod resume;
mod server;
mod snapshot;
mod streaming;
mod types;
mod worker;
mod world;
