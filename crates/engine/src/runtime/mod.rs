//! Running queries: sources, the chain of operators, the sink, barriers, and the engine over all of them.
//!
//! A query runs on one thread, without locks on its way ([`query`]): it reads its inputs by one reader, feeds the chain, and at
//! each barrier commits outputs, dead letters, changelog, watermarks and offsets in one transaction.

pub mod chain;
pub mod changelog;
pub mod engine;
mod inference;
pub mod input;
mod insert;
pub mod janitor;
mod listing;
mod plans;
pub mod pull;
pub mod push;
pub mod query;
pub mod sink;
mod state;
pub mod status;
mod supervise;
pub mod watermarks;
