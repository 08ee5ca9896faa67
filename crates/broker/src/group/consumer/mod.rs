//! Groups of the consumer protocol (KIP-848): the coordinator assigns, members reconcile one after the other.
//!
//! ```text
//!   heartbeat ─▶ member ─ subscription changed? ─▶ group epoch + 1 ─▶ assignor ─▶ target assignment (its epoch = group epoch)
//!                                                                                     │
//!   answer ◀── current assignment of this member ◀────────── reconcile ◀──────────────┘
//! ```
//! A member walks from its current assignment to its target in steps that never let two members own a partition:
//!
//! ```text
//!             must give up some                    gave them up             some are not free yet
//!   STABLE ───────────────────────▶ UNREVOKED ─────────────────┬─────────────────────────────▶ UNRELEASED
//!     ▲                                                        │ all are free                      │ got the last
//!     └────────────────────────────────────────────────────────┴──────────────────────────────────┘
//! ```
//! Everything here is a state machine over requests, time and a view of the topics; what must be stored comes out as records.

mod assignor;
mod balance;
mod classic;
mod group;
mod heartbeat;
mod member;
mod reconcile;
#[cfg(test)]
mod simulation;
mod subscription;
#[cfg(test)]
mod tests;

pub(crate) use group::{ConsumerGroup, Phase};
pub(crate) use heartbeat::{Context, check};
pub(crate) use member::{About, ClassicFacet};
pub use member::{Assignment, GroupError, Heartbeat, HeartbeatAnswer};
pub(crate) use subscription::Catalog;
