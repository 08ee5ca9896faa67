//! Consumer groups: the state machine of one group, its committed offsets, and the coordinator of all groups.

mod coordinator;
mod leaving;
pub mod member;
mod offsets;
mod recovery;
pub mod state;
#[cfg(test)]
mod state_tests;
mod static_members;

pub(crate) use coordinator::partition_of;
pub use coordinator::{
    Committer, DescribedGroup, GroupCoordinator, GroupSettings, JoinReply, ListedGroup, OffsetWrite,
    SyncReply, TxnWriter,
};
pub use member::{JoinRequest, JoinResponse, JoinedMember, MemberRef, SyncRequest, SyncResponse};
pub use offsets::Committed;
pub use state::State;
