//! The console over an embedded log and made-up roles.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    missing_docs,
    reason = "tests and their helpers"
)]

mod api;
mod stream;
mod support;
