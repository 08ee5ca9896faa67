//! `bd consume`: records to lines.

mod filter;
mod format;
mod group;
mod interrupt;
mod records;
mod stats;

use super::time;
use crate::cli::{Consume, IsolationName};
use anyhow::{Result, bail};
use bd_client::{Client, ClientError, FetchOptions, Fetcher, OffsetSpec, TopicPartition};
use filter::Filter;
use format::Printer;
use interrupt::Interrupt;
use records::{Record, for_each, plain_count};
use serde_json::json;
use stats::Stats;
use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// With several brokers each is waited for, so new records show after this long at most.
const MAX_WAIT: Duration = Duration::from_millis(250);
/// How long a cluster may be away.
const PATIENCE: Duration = Duration::from_secs(60);
const RETRY: Duration = Duration::from_millis(200);

pub(super) fn run(args: &Consume) -> Result<ExitCode> {
    let filter = Filter::new(args)?;
    let mut printer = Printer::new(args)?;
    let interrupt = Interrupt::new()?;
    let mut out = Output {
        args,
        stats: Stats::new(args.stats),
        out: BufWriter::with_capacity(1 << 16, std::io::stdout().lock()),
        left: args.max.unwrap_or(u64::MAX),
        count: 0,
    };
    match &args.group {
        Some(name) => group::consume(args, name, &filter, &mut printer, &mut out, &interrupt)?,
        None => consume(args, &filter, &mut printer, &mut out, &interrupt)?,
    }
    out.finish()?;
    match printer.failed() {
        0 => Ok(ExitCode::SUCCESS),
        n => bail!("{n} keys or values could not be decoded; they were printed as they are"),
    }
}

/// Gives the offsets and values of fetched records before `end` to `take`, as read_committed readers see them, until it returns
/// `false`; the offset to read on from.
pub(super) fn for_each_record(
    fetched: &bd_client::Fetched,
    end: i64,
    take: &mut dyn FnMut(i64, Option<&[u8]>) -> bool,
) -> Result<i64> {
    for_each(fetched, end, true, &mut |record| Ok(take(record.offset, record.value)))
}

/// Where records go, and how many still may.
struct Output<'a> {
    args: &'a Consume,
    stats: Stats,
    out: BufWriter<std::io::StdoutLock<'a>>,
    left: u64,
    count: u64,
}

impl Output<'_> {
    /// Takes a record that has passed the filter; `false` if it was the last one wanted.
    fn take(&mut self, printer: &mut Printer, record: &Record<'_>) -> Result<bool> {
        if self.left == 0 {
            return Ok(false);
        }
        self.left -= 1;
        self.count += 1;
        if !self.args.count {
            printer.print(&mut self.out, record)?;
        }
        Ok(self.left > 0)
    }

    fn finish(&mut self) -> Result<()> {
        if self.args.count {
            match self.args.cluster.json {
                true => writeln!(self.out, "{}", json!({"topic": self.args.topic, "records": self.count}))?,
                false => writeln!(self.out, "{}", self.count)?,
            }
        }
        self.out.flush()?;
        self.stats.end();
        Ok(())
    }
}

fn consume(
    args: &Consume,
    filter: &Filter,
    printer: &mut Printer,
    out: &mut Output<'_>,
    interrupt: &Interrupt,
) -> Result<()> {
    let mut client = super::connect(&args.cluster, "bd-consume")?;
    let read_committed = args.isolation == IsolationName::ReadCommitted;
    let bounded = args.no_follow || args.count || args.until.is_some();
    let bounds = bounds(&mut client, args, read_committed)?;
    let options = FetchOptions { max_wait: MAX_WAIT, read_committed, ..FetchOptions::default() };
    let mut fetcher = Fetcher::new(options);
    let mut ends: BTreeMap<TopicPartition, i64> = BTreeMap::new();
    for ((topic, partition), (start, end)) in bounds {
        if !bounded || start < end {
            fetcher.seek(&topic, partition, start);
            ends.insert((topic, partition), if bounded { end } else { i64::MAX });
        }
    }
    let plain = args.count && args.max.is_none() && filter.is_empty();
    let mut trouble = Trouble::default();
    while out.left > 0 && !fetcher.is_empty() && !interrupt.is_set() {
        let answers = fetcher.fetch(&mut client);
        let Some(answers) = trouble.passes(answers, &mut client, &args.topic)? else { continue };
        for fetched in answers {
            let key = (fetched.topic.clone(), fetched.partition);
            let end = ends.get(&key).copied().unwrap_or(i64::MAX);
            out.stats.bytes(fetched.batches.len());
            let next = if plain {
                let (next, count) = plain_count(&fetched, end, read_committed)?;
                out.stats.records(count);
                out.count += count;
                next
            } else {
                for_each(&fetched, end, read_committed, &mut |record| {
                    out.stats.records(1);
                    if filter.passes(record) { out.take(printer, record) } else { Ok(true) }
                })?
            };
            if next >= end {
                fetcher.remove(&fetched.topic, fetched.partition);
            } else {
                fetcher.seek(&fetched.topic, fetched.partition, next);
            }
            if out.left == 0 {
                break;
            }
        }
        out.out.flush()?;
        out.stats.tick();
    }
    Ok(())
}

/// A cluster that is away for a while, such as one that starts again.
#[derive(Default)]
struct Trouble {
    since: Option<Instant>,
}

impl Trouble {
    /// What was answered, or `None` to try again; an error that stays is returned after [`PATIENCE`].
    fn passes<T>(
        &mut self,
        answer: Result<T, ClientError>,
        client: &mut Client,
        topic: &str,
    ) -> Result<Option<T>> {
        let error = match answer {
            Ok(answer) => {
                self.since = None;
                return Ok(Some(answer));
            }
            Err(error) => error,
        };
        let since = *self.since.get_or_insert_with(|| {
            tracing::warn!("{error}; trying again");
            Instant::now()
        });
        // A topic that is gone does not come back by itself.
        let gone = error.code().is_some_and(|code| code.0 == 3);
        if gone || !error.is_retriable() || since.elapsed() > PATIENCE {
            return Err(error.into());
        }
        client.forget_topic(topic);
        std::thread::sleep(RETRY);
        Ok(None)
    }
}

/// Where to read from and where the partitions end now.
fn bounds(
    client: &mut Client,
    args: &Consume,
    read_committed: bool,
) -> Result<BTreeMap<TopicPartition, (i64, i64)>> {
    let topic = args.topic.as_str();
    let info = super::topic(client, topic)?;
    let count = info.partitions.len();
    if let Some(wrong) = args.partition.iter().find(|p| **p as usize >= count) {
        bail!("topic {topic} has partitions 0 to {}, not {wrong}", count - 1);
    }
    let partitions: Vec<i32> = match args.partition.as_slice() {
        [] => info.partitions.iter().map(|p| p.partition).collect(),
        named => named.to_vec(),
    };
    if args.offset.is_some() && partitions.len() > 1 {
        bail!("topic {topic} has {} partitions: say which one with --partition", partitions.len());
    }
    let mut find = |spec: OffsetSpec, committed: bool| {
        let wanted = partitions.iter().map(|p| ((topic.to_owned(), *p), spec)).collect();
        client.list_offsets(&wanted, committed)
    };
    let ends = find(OffsetSpec::Latest, read_committed)?;
    let starts = match (&args.from, args.last, args.from_beginning) {
        (Some(text), _, _) => find(OffsetSpec::Timestamp(time::instant(text, time::now_ms())?), false)?,
        (_, Some(_), _) | (_, _, true) => find(OffsetSpec::Earliest, false)?,
        // What ends now has to begin somewhere.
        _ if args.count || args.until.is_some() => find(OffsetSpec::Earliest, false)?,
        _ => ends.clone(),
    };
    Ok(ends
        .into_iter()
        .map(|(key, end)| {
            let found = starts.get(&key).map_or(-1, |listed| listed.offset);
            let start = match (args.offset, args.last) {
                (Some(offset), _) => offset,
                (_, Some(last)) => found.max(end.offset.saturating_sub(last)),
                // No record is that young: what comes next is.
                _ if found < 0 => end.offset,
                _ => found,
            };
            (key, (start, end.offset))
        })
        .collect())
}
