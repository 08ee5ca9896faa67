//! `bd groups`.

use super::ClusterArgs;
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct Groups {
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    #[command(subcommand)]
    pub(crate) action: Option<GroupsAction>,
}

#[derive(Subcommand)]
pub(crate) enum GroupsAction {
    /// All groups [default]
    List,
    /// State, members, committed offsets and lag of a group
    Describe {
        /// Its name
        group: String,
    },
    /// Delete groups that have no members
    Delete {
        /// Their names
        #[arg(required = true, value_name = "GROUP")]
        groups: Vec<String>,
    },
    /// Delete what a group has committed for topics that it does not read
    DeleteOffsets {
        /// Its name
        group: String,
        /// A topic, or some of its partitions
        #[arg(long, required = true, value_name = "TOPIC[:P,...]")]
        topic: Vec<String>,
    },
    /// Move a group without members to other offsets; shows what would be done unless --execute is given
    ResetOffsets(Box<ResetOffsets>),
}

#[derive(Args)]
pub(crate) struct ResetOffsets {
    /// The group
    pub(crate) group: String,
    #[command(flatten)]
    pub(crate) scope: ResetScope,
    #[command(flatten)]
    pub(crate) target: ResetTarget,
    /// Do it
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) execute: bool,
    /// Only show it [default]
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print lines of topic,partition,offset, which --from-file reads
    #[arg(long)]
    pub(crate) export: bool,
}

/// Which partitions.
#[derive(Args)]
#[group(multiple = false)]
pub(crate) struct ResetScope {
    /// A topic, or some of its partitions
    #[arg(long, value_name = "TOPIC[:P,...]")]
    pub(crate) topic: Vec<String>,
    /// All topics that the group has committed offsets for
    #[arg(long)]
    pub(crate) all_topics: bool,
}

/// Where to.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub(crate) struct ResetTarget {
    /// The first offset
    #[arg(long)]
    pub(crate) to_earliest: bool,
    /// The end
    #[arg(long)]
    pub(crate) to_latest: bool,
    /// Where it is; the end where it has no offset
    #[arg(long)]
    pub(crate) to_current: bool,
    /// This offset, or the nearest that there is
    #[arg(long, value_name = "OFFSET", value_parser = clap::value_parser!(i64).range(0..))]
    pub(crate) to_offset: Option<i64>,
    /// So many records forward, or back if negative
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) shift_by: Option<i64>,
    /// The first record at or after this time: 2026-02-28T14:30:00.000, UTC unless it ends with +hh:mm
    #[arg(long, value_name = "TIME")]
    pub(crate) to_datetime: Option<String>,
    /// The first record within this time before now: P1DT2H30M
    #[arg(long, value_name = "DURATION")]
    pub(crate) by_duration: Option<String>,
    /// Lines of topic,partition,offset
    #[arg(long, value_name = "FILE")]
    pub(crate) from_file: Option<PathBuf>,
}
