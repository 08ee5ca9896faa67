//! The behaviour tests that every home of [`crate::Cluster`] calls: one public function per behaviour, over `dyn Cluster`.
//!
//! A home's whole test file, with one `#[test]` per behaviour under the behaviour's own name:
//!
//! ```ignore
//! use bd_cluster::{Cluster, conformance::Setup};
//! use std::sync::{Arc, LazyLock};
//!
//! /// One cluster for all tests; every behaviour makes topics, groups and ids of its own.
//! static CLUSTER: LazyLock<Arc<dyn Cluster>> = LazyLock::new(|| Arc::new(MyCluster::open().unwrap()));
//!
//! fn setup() -> Setup {
//!     Setup::new(|| CLUSTER.clone())
//! }
//!
//! bd_cluster::conformance_tests!(setup());
//! ```
//! (with `bd-cluster = { workspace = true, features = ["conformance"] }` in its dev-dependencies). [`BEHAVIOURS`] is the same
//! list for a runner of its own.
//!
//! The tests run in parallel. None of them sleeps: each waits for a condition, at most [`Setup::wait`] long, and fails with
//! what it waited for.
#![allow(clippy::panic, reason = "a behaviour that does not hold is a failed test")]

mod leases;
mod offsets;
mod readers;
mod support;
mod topics;
mod transactions;
mod writers;

use crate::Cluster;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How the suite opens the cluster under test, and how long it waits for it.
#[derive(Clone)]
pub struct Setup {
    open: Arc<dyn Fn() -> Arc<dyn Cluster> + Send + Sync>,
    wait: Duration,
}

impl Setup {
    /// `open` gives a handle to the cluster under test; when called again, another handle to the same cluster (or the same).
    pub fn new(open: impl Fn() -> Arc<dyn Cluster> + Send + Sync + 'static) -> Self {
        Self { open: Arc::new(open), wait: Duration::from_secs(60) }
    }

    /// The same with another bound on how long one condition may take.
    pub fn with_wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// A handle to the cluster.
    pub fn cluster(&self) -> Arc<dyn Cluster> {
        (self.open)()
    }

    /// How long one condition may take before the behaviour counts as not given.
    pub fn wait(&self) -> Duration {
        self.wait
    }
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup").field("wait", &self.wait).finish_non_exhaustive()
    }
}

/// One behaviour: its name and its test, which panics where it does not hold.
pub type Behaviour = (&'static str, fn(&Setup));

/// Writes the list once, as functions, as [`BEHAVIOURS`] and as the macro `conformance_tests`. `$d` is a dollar sign, which
/// an inner macro could not have otherwise.
macro_rules! behaviours {
    (($d:tt) $($module:ident: $($name:ident)*;)*) => {
        $(pub use $module::{$($name),*};)*

        /// All behaviours.
        pub const BEHAVIOURS: &[Behaviour] = &[$($((stringify!($name), $name)),*),*];

        /// A `#[test]` per behaviour, each with the [`Setup`] that the expression gives.
        #[macro_export]
        macro_rules! conformance_tests {
            ($d setup:expr) => {
                $($(
                    #[test]
                    fn $name() {
                        $d crate::conformance::$name(&$d setup);
                    }
                )*)*
            };
        }
    };
}

behaviours! { ($)
    topics:
        a_created_topic_is_described_and_listed
        creating_a_topic_twice_fails
        bad_topic_names_partitions_and_configs_are_refused
        a_topic_is_not_created_by_asking_or_writing
        a_deleted_topic_is_gone_and_can_be_created_empty_again;
    offsets:
        offsets_of_an_empty_partition_are_zero
        offsets_tell_start_end_and_stable_end
        the_offset_at_a_time_is_the_first_record_at_or_after_it
        trimming_moves_the_start_and_never_past_the_end;
    writers:
        appends_are_acknowledged_with_consecutive_offsets
        records_stand_in_the_order_of_their_appends
        null_and_empty_keys_and_values_differ
        headers_keep_order_and_repeated_names
        timestamps_are_kept
        many_small_appends_all_arrive_in_order
        flush_waits_for_all_acknowledgements
        offsets_need_a_transactional_writer;
    readers:
        a_reader_starts_at_the_offset_it_was_assigned
        polling_nothing_waits_and_gives_none
        a_waiting_poll_wakes_up_for_a_new_record
        seeking_moves_the_position_both_ways
        a_paused_partition_gives_nothing_until_resumed
        an_unassigned_partition_gives_nothing
        a_record_larger_than_max_bytes_arrives_whole
        max_bytes_bounds_what_one_poll_gives
        partitions_with_records_take_turns
        a_position_out_of_range_is_an_error_until_moved
        assigning_an_unknown_partition_fails;
    transactions:
        a_transaction_is_invisible_until_committed
        an_aborted_transaction_is_never_visible
        a_transaction_spans_partitions_and_topics
        an_append_of_many_batches_is_whole
        interleaved_transactions_of_two_writers_are_told_apart
        an_open_transaction_holds_back_later_records
        positions_step_over_markers_and_aborted_records_to_the_end
        offsets_commit_together_with_records
        an_abort_drops_records_and_offsets
        offsets_can_be_committed_alone
        an_empty_commit_is_nothing
        a_writer_commits_one_transaction_after_the_other
        reopening_aborts_the_predecessors_transaction
        reopening_fences_the_predecessor;
    leases:
        a_single_member_owns_all_partitions
        a_second_member_takes_over_some_partitions
        a_closed_member_hands_its_partitions_over
        offsets_committed_before_handing_over_are_seen_by_the_new_owner
        a_stale_members_commit_is_fenced;
}
