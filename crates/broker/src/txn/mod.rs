//! Transactions: their state machine, and the coordinator that stores it, writes the markers and completes what a crash left.

mod completion;
pub(crate) mod coordinator;
mod listing;
mod recovery;
pub mod state;
mod writes;

pub use coordinator::{ProducerIdentity, TxnCoordinator};
pub use listing::{ListedTxn, TxnFilter};
pub use state::{TxnMeta, TxnState, TxnVersion};
pub use writes::{Rest, TxnSupport};
