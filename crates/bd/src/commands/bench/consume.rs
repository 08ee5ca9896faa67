//! `bd bench consume`.

use super::load::leaders;
use super::{Report, cpu_seconds};
use crate::cli::{BenchConsume, ClusterArgs};
use crate::commands::connect;
use anyhow::Result;
use bd_client::{FetchOptions, Fetcher, OffsetSpec};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

pub(super) fn run(cluster: &ClusterArgs, args: &BenchConsume) -> Result<Report> {
    let mut client = connect(cluster, "bd-bench")?;
    let topic = args.topic.as_str();
    crate::commands::topic(&mut client, topic)?;
    let partitions: Vec<i32> = leaders(&mut client, topic)?.into_iter().map(|(p, _)| p).collect();
    let wanted = |spec| partitions.iter().map(|p| ((topic.to_owned(), *p), spec)).collect::<BTreeMap<_, _>>();
    let start = client.list_offsets(&wanted(OffsetSpec::Earliest), false)?;
    let ends = client.list_offsets(&wanted(OffsetSpec::Latest), false)?;
    let mut fetcher = Fetcher::new(FetchOptions {
        max_wait: Duration::from_millis(500),
        min_bytes: 1,
        max_bytes: args.fetch_bytes,
        partition_max_bytes: args.partition_bytes,
        read_committed: false,
    });
    for (key, listed) in &start {
        if args.records.is_some() || ends.get(key).is_some_and(|end| end.offset > listed.offset) {
            fetcher.seek(&key.0, key.1, listed.offset);
        }
    }
    let want = args.records.unwrap_or(u64::MAX);
    let (mut records, mut bytes, mut batches, mut fetches) = (0_u64, 0_u64, 0_u64, 0_u64);
    let (cpu, began) = (cpu_seconds(), Instant::now());
    while records < want && !fetcher.is_empty() {
        fetches += 1;
        for fetched in fetcher.fetch(&mut client)? {
            let counted = fetcher.advance(&fetched);
            records += counted.records;
            bytes += counted.bytes;
            batches += counted.batches;
            let end = ends.get(&(fetched.topic.clone(), fetched.partition)).map_or(0, |end| end.offset);
            let position = fetcher.position(&fetched.topic, fetched.partition).unwrap_or(end);
            if args.records.is_none() && position >= end {
                fetcher.remove(&fetched.topic, fetched.partition);
            }
        }
    }
    let took = began.elapsed();
    let mut report = Report::default();
    report.rates(records, bytes, took);
    report.add("batches", json!(batches), &batches.to_string());
    report.add("fetches", json!(fetches), &fetches.to_string());
    report.cpu(cpu);
    Ok(report)
}
