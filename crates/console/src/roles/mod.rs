//! The other roles as the console sees them.

mod connect;
mod engine;
mod search;

pub(crate) use connect::Connect;
pub(crate) use engine::EngineRest;
pub(crate) use search::Search;
