//! `bd bench produce`.

use super::load::{self, RECORD_OVERHEAD};
use super::pace::{self, Sender};
use super::{Report, cpu_seconds};
use crate::cli::{Acks, BenchProduce, ClusterArgs};
use crate::commands::time;
use anyhow::{Result, anyhow, bail};
use bd_client::messages::InitProducerIdRequest;
use bd_client::{Client, ClientError, Node, PartitionBatch, ProduceOptions, Stamp, stamp};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

pub(super) fn run(cluster: &ClusterArgs, args: &BenchProduce) -> Result<Report> {
    let (load, acks) = (&args.load, args.load.acks);
    if args.idempotent && (acks != Acks::All || args.in_flight > 5) {
        bail!("--idempotent needs --acks all and at most 5 requests --in-flight");
    }
    let (mut client, leaders) = load::prepare(cluster, load)?;
    let per_batch = (args.batch_bytes as usize / (load.size as usize + RECORD_OVERHEAD)).max(1);
    let per_batch = per_batch.min(usize::try_from(load.records).unwrap_or(usize::MAX));
    let mut batches = load::batches(load, per_batch)?;
    let mut rest = match load.records % per_batch as u64 {
        0 => Vec::new(),
        rest => load::batches(load, rest as usize)?.swap_remove(0),
    };
    let producer = if args.idempotent { Some(producer_id(&mut client)?) } else { None };
    let mut senders: BTreeMap<i32, Sender> = BTreeMap::new();
    for (_, leader) in &leaders {
        if !senders.contains_key(leader) {
            let connection = client.open(Node::Broker(*leader))?;
            senders.insert(*leader, Sender::new(connection, args.in_flight as usize, acks != Acks::None)?);
        }
    }
    let mut sequences = vec![0_i32; leaders.len()];
    let options = ProduceOptions { acks: acks.number(), ..ProduceOptions::default() };
    let (cpu, began) = (cpu_seconds(), Instant::now());
    let (mut sent, mut bytes, mut turn, mut broken) = (0_u64, 0_u64, 0_usize, None);
    while sent < load.records && broken.is_none() {
        let due = args.rate.map(|rate| began + Duration::from_secs_f64(sent as f64 / rate as f64));
        if let Some(wait) = due.and_then(|due| due.checked_duration_since(Instant::now())) {
            std::thread::sleep(wait);
        }
        let whole = load.records - sent >= per_batch as u64;
        let variants = batches.len();
        let batch = if whole { batches.get_mut(turn % variants) } else { Some(&mut rest) };
        let batch = batch.ok_or_else(|| anyhow!("no batch was made"))?;
        let records = if whole { per_batch as u64 } else { load.records - sent };
        let at = turn % leaders.len();
        let (partition, leader) = leaders[at];
        let producer = producer.map(|(id, epoch)| (id, epoch, sequences[at]));
        stamp(batch, &Stamp { producer, base_timestamp: Some(time::now_ms()) });
        sequences[at] = sequences[at].wrapping_add(records as i32) & i32::MAX;
        let sender = senders.get_mut(&leader).ok_or_else(|| anyhow!("broker {leader} is not connected"))?;
        let part = PartitionBatch { partition, batches: batch };
        // What the answers say, if they have ended, tells more.
        broken = sender.send(&load.topic, part, &options, due, records).err();
        sent += records;
        bytes += batch.len() as u64;
        turn += 1;
    }
    let latency = pace::finish(senders.into_values().collect())?;
    if let Some(error) = broken {
        return Err(error);
    }
    let took = began.elapsed();
    let mut report = Report::default();
    report.rates(sent, sent * u64::from(load.size), took);
    report.add("bytes_sent", json!(bytes), &bytes.to_string());
    report.add("records_per_batch", json!(per_batch), &per_batch.to_string());
    report.latency("ack_latency_ms", &latency);
    report.cpu(cpu);
    Ok(report)
}

fn producer_id(client: &mut Client) -> Result<(i64, i16)> {
    let request =
        InitProducerIdRequest::default().with_transactional_id(None).with_transaction_timeout_ms(60_000);
    let response = client.request(Node::Any, &request)?;
    ClientError::check("InitProducerId", "an idempotent producer", response.error_code, None)?;
    Ok((response.producer_id.0, response.producer_epoch))
}
