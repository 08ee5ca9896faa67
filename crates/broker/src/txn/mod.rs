//! Transactions: their state machine, and the coordinator that stores it, writes the markers and completes what a crash left.

pub(crate) mod coordinator;
mod recovery;
pub mod state;

pub use coordinator::{ProducerIdentity, TxnCoordinator};
pub use state::{TxnMeta, TxnState};
