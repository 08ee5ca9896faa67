//! Consumer groups of both protocols: their state machines, their committed offsets, and the coordinator of all groups.
//!
//! * classic (`state`, `member`, `leaving`, `static_members`): members elect a leader that assigns;
//! * `consumer` (KIP-848): the coordinator assigns.

mod checks;
mod commit;
mod consumer;
mod consumer_api;
mod coordinator;
mod describe;
mod leaving;
pub mod member;
mod offsets;
mod protocol;
mod recovery;
mod slot;
pub mod state;
#[cfg(test)]
mod state_tests;
mod static_members;

pub use commit::{OffsetWrite, TxnWriter};
pub(crate) use consumer::{About, ClassicFacet};
pub use consumer::{Assignment, GroupError, Heartbeat, HeartbeatAnswer};
pub(crate) use coordinator::partition_of;
pub use coordinator::{Committer, GroupCoordinator, GroupSettings, JoinReply, MigrationPolicy, SyncReply};
pub use describe::{DescribedConsumer, DescribedConsumerGroup, DescribedGroup, ListedGroup};
pub use member::{JoinRequest, JoinResponse, JoinedMember, MemberRef, SyncRequest, SyncResponse};
pub use offsets::Committed;
pub use state::State;
