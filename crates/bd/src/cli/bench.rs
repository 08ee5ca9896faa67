//! `bd bench`.

use super::{Acks, ClusterArgs, Compression};
use clap::{Args, Subcommand};

#[derive(Args)]
pub(crate) struct Bench {
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    #[command(subcommand)]
    pub(crate) action: BenchAction,
}

#[derive(Subcommand)]
pub(crate) enum BenchAction {
    /// Write batches that were made before; prints rates, latency of requests, CPU time of this process
    Produce(BenchProduce),
    /// Read batches, counting records by the batches' headers
    Consume(BenchConsume),
    /// Write at a steady rate and read at the same time: time from when a record was due to when it was read
    Latency(BenchLatency),
}

/// The records of a run.
#[derive(Args, Clone)]
pub(crate) struct Load {
    /// The topic; it is created if it does not exist
    #[arg(long)]
    pub(crate) topic: String,
    /// How many records
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) records: u64,
    /// Bytes of a value
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(16..=1_000_000))]
    pub(crate) size: u32,
    /// Partitions of the topic if it is created
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..))]
    pub(crate) partitions: i32,
    /// How batches are compressed
    #[arg(long, value_enum, default_value_t)]
    pub(crate) compression: Compression,
    /// Who has it when a record counts as written
    #[arg(long, value_enum, default_value_t)]
    pub(crate) acks: Acks,
    /// Values that compress to about this part of their size: 1 not at all, 0.25 to a quarter
    #[arg(long, default_value_t = 0.5, value_name = "PART")]
    pub(crate) entropy: f64,
}

#[derive(Args)]
pub(crate) struct BenchProduce {
    #[command(flatten)]
    pub(crate) load: Load,
    /// Bytes of a batch before compression
    #[arg(long, default_value_t = 65_536, value_parser = clap::value_parser!(u32).range(512..=16_777_216))]
    pub(crate) batch_bytes: u32,
    /// Requests in flight
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) in_flight: u32,
    /// Records a second; as fast as it goes without it
    #[arg(long)]
    pub(crate) rate: Option<u64>,
    /// As an idempotent producer
    #[arg(long)]
    pub(crate) idempotent: bool,
}

#[derive(Args)]
pub(crate) struct BenchConsume {
    /// The topic
    #[arg(long)]
    pub(crate) topic: String,
    /// How many records; all that are there now without it
    #[arg(long)]
    pub(crate) records: Option<u64>,
    /// fetch.max.bytes
    #[arg(long, default_value_t = 50 << 20, value_parser = clap::value_parser!(i32).range(1..))]
    pub(crate) fetch_bytes: i32,
    /// max.partition.fetch.bytes
    #[arg(long, default_value_t = 1 << 20, value_parser = clap::value_parser!(i32).range(1..))]
    pub(crate) partition_bytes: i32,
}

#[derive(Args)]
pub(crate) struct BenchLatency {
    #[command(flatten)]
    pub(crate) load: Load,
    /// Records a second
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rate: u64,
    /// A batch takes the records that became due in so many milliseconds (linger.ms)
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) linger_ms: u64,
    /// Records of so many first seconds are not counted
    #[arg(long, default_value_t = 1)]
    pub(crate) warmup_s: u64,
}
