//! `bd bench latency`: records are due at a steady rate, whatever the cluster does; each carries when it was due, and its latency
//! counts from then to when it was read. So a stall counts for all records that were due in it (no coordinated omission).

use super::histogram::Histogram;
use super::load::{self, Template, Values};
use super::pace::{self, Sender};
use super::{Report, cpu_seconds};
use crate::cli::{BenchLatency, ClusterArgs, Compression, Load};
use crate::commands::{connect, time};
use anyhow::{Result, anyhow};
use bd_client::{
    Client, FetchOptions, Fetcher, Node, OffsetSpec, PartitionBatch, ProduceOptions, Stamp, stamp,
};
use bd_log::batch::{BatchBuilder, Batches, RecordsIter};
use bd_log::compression::plain_batch;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Bytes of a batch at most.
const BATCH_BYTES: usize = 512 << 10;
/// Sizes of batches that are kept made.
const TEMPLATES: usize = 64;
/// Requests in flight.
const IN_FLIGHT: usize = 5;
const PLAIN_BYTES: usize = 64 << 20;
/// How long nothing may come before the run fails.
const SILENCE: Duration = Duration::from_secs(30);

pub(super) fn run(cluster: &ClusterArgs, args: &BenchLatency) -> Result<Report> {
    let load = &args.load;
    let (mut client, leaders) = load::prepare(cluster, load)?;
    let mut reader = connect(cluster, "bd-bench")?;
    let fetcher = reader_at_end(&mut reader, load, &leaders)?;
    // Both threads have time to begin.
    let epoch = Instant::now() + Duration::from_millis(100);
    let warmup = Duration::from_secs(args.warmup_s);
    let records = load.records;
    let cpu = cpu_seconds();
    let read = std::thread::Builder::new()
        .name("reader".into())
        .spawn(move || read(reader, fetcher, records, epoch, warmup))?;
    let acked = write(&mut client, args, &leaders, epoch)?;
    let wrote = epoch.elapsed();
    let (latency, took) = read.join().map_err(|_| anyhow!("the reader has failed"))??;
    let mut report = Report::default();
    report.rates(load.records, load.records * u64::from(load.size), took);
    report.add("rate_asked", json!(args.rate), &args.rate.to_string());
    report.add("seconds_to_last_ack", json!(wrote.as_secs_f64()), &format!("{:.3}", wrote.as_secs_f64()));
    report.latency("latency_ms", &latency);
    report.latency("ack_latency_ms", &acked);
    report.cpu(cpu);
    Ok(report)
}

fn reader_at_end(reader: &mut Client, load: &Load, leaders: &[(i32, i32)]) -> Result<Fetcher> {
    let wanted: BTreeMap<_, _> =
        leaders.iter().map(|(p, _)| ((load.topic.clone(), *p), OffsetSpec::Latest)).collect();
    let options = FetchOptions { read_committed: false, ..FetchOptions::default() };
    let mut fetcher = Fetcher::new(options);
    for ((topic, partition), listed) in reader.list_offsets(&wanted, false)? {
        fetcher.seek(&topic, partition, listed.offset);
    }
    Ok(fetcher)
}

fn write(
    client: &mut Client,
    args: &BenchLatency,
    leaders: &[(i32, i32)],
    epoch: Instant,
) -> Result<Histogram> {
    let load = &args.load;
    let mut senders: BTreeMap<i32, Sender> = BTreeMap::new();
    for (_, leader) in leaders {
        if !senders.contains_key(leader) {
            let acks = load.acks.number() != 0;
            senders.insert(*leader, Sender::new(client.open(Node::Broker(*leader))?, IN_FLIGHT, acks)?);
        }
    }
    let mut maker = Maker::new(load, args.rate)?;
    let options = ProduceOptions { acks: load.acks.number(), ..ProduceOptions::default() };
    let linger = Duration::from_millis(args.linger_ms);
    let most = (BATCH_BYTES / load.size as usize).max(1) as u64;
    let (mut sent, mut turn, mut broken) = (0_u64, 0_usize, None);
    let mut wake = epoch;
    while sent < load.records && broken.is_none() {
        if let Some(wait) = wake.checked_duration_since(Instant::now()) {
            std::thread::sleep(wait);
        }
        wake += linger;
        let passed = Instant::now().saturating_duration_since(epoch).as_secs_f64();
        let due = ((passed * args.rate as f64) as u64).min(load.records);
        while sent < due && broken.is_none() {
            let records = (due - sent).min(most);
            let batch = maker.make(sent, records)?;
            let (partition, leader) = leaders[turn % leaders.len()];
            let sender =
                senders.get_mut(&leader).ok_or_else(|| anyhow!("broker {leader} is not connected"))?;
            let part = PartitionBatch { partition, batches: batch };
            let since = epoch + Duration::from_secs_f64(sent as f64 / args.rate as f64);
            broken = sender.send(&load.topic, part, &options, Some(since), records).err();
            sent += records;
            turn += 1;
        }
    }
    let acked = pace::finish(senders.into_values().collect())?;
    broken.map_or(Ok(acked), Err)
}

/// Makes batches whose values begin with when they were due: ns after the start.
struct Maker {
    values: Values,
    templates: BTreeMap<usize, Template>,
    compression: Compression,
    rate: f64,
    built: Vec<u8>,
}

impl Maker {
    fn new(load: &Load, rate: u64) -> Result<Self> {
        let values = Values::new(load)?;
        let rate = rate as f64;
        Ok(Self {
            values,
            templates: BTreeMap::new(),
            compression: load.compression,
            rate,
            built: Vec::new(),
        })
    }

    fn due(&self, number: u64) -> [u8; 8] {
        ((number as f64 / self.rate * 1e9) as u64).to_be_bytes()
    }

    fn make(&mut self, first: u64, records: u64) -> Result<&[u8]> {
        let now = time::now_ms();
        if self.compression != Compression::None {
            let mut builder = BatchBuilder::new().codec(load::codec(self.compression));
            for i in 0..records {
                let mut value = self.values.next();
                if let Some(room) = value.get_mut(..8) {
                    room.copy_from_slice(&self.due(first + i));
                }
                builder.append(now, None, Some(&value), &[]);
            }
            self.built = builder.build().to_vec();
            return Ok(&self.built);
        }
        let count = records as usize;
        if !self.templates.contains_key(&count) {
            if self.templates.len() >= TEMPLATES {
                self.templates.clear();
            }
            let made = Template::new(&mut self.values, count)?;
            self.templates.insert(count, made);
        }
        let dues: Vec<[u8; 8]> = (0..records).map(|i| self.due(first + i)).collect();
        let template = self.templates.get_mut(&count).ok_or_else(|| anyhow!("no batch was made"))?;
        for (at, due) in template.values.iter().zip(dues) {
            if let Some(room) = template.bytes.get_mut(*at..*at + 8) {
                room.copy_from_slice(&due);
            }
        }
        stamp(&mut template.bytes, &Stamp { producer: None, base_timestamp: Some(now) });
        Ok(&template.bytes)
    }
}

fn read(
    mut client: Client,
    mut fetcher: Fetcher,
    records: u64,
    epoch: Instant,
    warmup: Duration,
) -> Result<(Histogram, Duration)> {
    let mut latency = Histogram::new();
    let (mut seen, mut heard) = (0, Instant::now());
    let warmup = warmup.as_nanos() as u64;
    while seen < records {
        for fetched in fetcher.fetch(&mut client)? {
            let now = Instant::now().saturating_duration_since(epoch).as_nanos() as u64;
            for batch in Batches::new(&fetched.batches) {
                let Ok((range, header)) = batch else { break };
                if header.is_control() || header.base_offset < fetched.position {
                    continue;
                }
                let plain = plain_batch(&fetched.batches.slice(range), PLAIN_BYTES)?;
                for record in RecordsIter::new(&plain)? {
                    let value = record?.value.and_then(|range| plain.get(range)).unwrap_or_default();
                    let due = value.first_chunk::<8>().map_or(0, |b| u64::from_be_bytes(*b));
                    if due >= warmup {
                        latency.add(now.saturating_sub(due), 1);
                    }
                    seen += 1;
                }
                heard = Instant::now();
            }
            fetcher.advance(&fetched);
        }
        if heard.elapsed() > SILENCE {
            return Err(anyhow!(
                "only {seen} of {records} records were read, and none for {} s",
                SILENCE.as_secs()
            ));
        }
    }
    Ok((latency, Instant::now().saturating_duration_since(epoch)))
}
