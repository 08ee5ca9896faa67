//! The tables of the log: rounds, latencies, what partitions and connections take.

use crate::results::{Direction, Entry, Floor, Latency, Round, Scale};
use crate::table::{aligned, median, number, ratio};
use std::cmp::Reverse;
use std::collections::BTreeMap;

pub(crate) const LEGEND: &str = "
MB/s       megabytes (10^6) of record values, before compression, from the first record to the last acknowledgement (produce)
           or to the last record (consume: straight after, so from the page cache; from disk: after the kernel has written
           the segments out and forgotten their pages). Consumers read the topic again and again, until that has taken two
           seconds or more; from disk, what is in between does not count. Median of the rounds.
CPU s/GB   user + system time of the server's process during the round, of /proc/PID/stat, by gigabyte of values. Median.
RSS        VmRSS of the server's process after the round, of /proc/PID/status (the page cache is not in it). Median.
ratio      the first server's median by the other's. Above 1 is better for MB/s, below 1 for CPU and RSS.
bd has fsynced a record before it acknowledges it; Kafka acknowledges from the page cache (its default: flush.messages unset).
Both servers run all the time and take turns in changing order; the first round of each kind warms up and is not counted.
";

const LATENCY_LEGEND: &str = "
From when a record of 100 bytes was due to be sent until the consumer had it, at a steady rate into one partition, acks=all; a
stall counts for all records that were due in it. Each figure is the median of the rounds' percentiles.
";

const FLOOR_LEGEND: &str = "
The disk alone, measured between the rounds: each ms the records of that ms are written and fdatasynced, by one thread, without
network or log; from when they were due until they were durable.
";

type Figure<T> = (&'static str, fn(&T) -> f64);

const FIGURES: [Figure<Round>; 3] = [
    ("MB/s", |r| r.bytes as f64 / 1e6 / r.seconds),
    ("CPU s/GB", |r| r.cpu_seconds / r.bytes as f64 * 1e9),
    ("RSS MB", |r| r.rss_bytes as f64 / 1e6),
];

const FLOORS: [Figure<Floor>; 4] = [
    ("p50 ms", |f| f.p50_ms),
    ("p99 ms", |f| f.p99_ms),
    ("p99.9 ms", |f| f.p999_ms),
    ("max ms", |f| f.max_ms),
];

const LATENCIES: [Figure<Latency>; 4] = [
    ("p50 ms", |l| l.p50_ms),
    ("p99 ms", |l| l.p99_ms),
    ("p99.9 ms", |l| l.p999_ms),
    ("CPU %", |l| l.cpu_seconds / l.seconds * 100.0),
];

/// Rounds that are compared, in the table's order: large records first, not compressed ones first.
type Kind<'a> = (Direction, Reverse<usize>, Option<&'a str>, i32);

/// Those of servers that were told to promise the same, or those of servers as they come.
pub(crate) fn rounds(rounds: &[&Round], promise: Option<&str>) -> String {
    let mut groups: BTreeMap<Kind<'_>, Vec<&Round>> = BTreeMap::new();
    for round in rounds.iter().filter(|round| round.promise.as_deref() == promise) {
        let compression = Some(round.compression.as_str()).filter(|name| *name != "none");
        let key = (round.direction, Reverse(round.record_bytes), compression, round.partitions);
        groups.entry(key).or_default().push(round);
    }
    let groups = groups.into_iter().map(|((direction, bytes, compression, partitions), group)| {
        let verb = match direction {
            Direction::Produce => "produce",
            Direction::Consume => "consume",
            Direction::ConsumeDisk => "from disk",
        };
        (format!("{verb} {} B {} x{partitions}", bytes.0, compression.unwrap_or("plain")), group)
    });
    table(groups.collect(), &FIGURES, |round| &round.server)
}

/// Nothing where none were measured.
pub(crate) fn latencies(entries: &[Entry]) -> String {
    let latencies =
        entries.iter().filter_map(|e| if let Entry::Latency(l) = e { Some((l.rate, l)) } else { None });
    let floors =
        entries.iter().filter_map(|e| if let Entry::Floor(f) = e { Some((f.rate, f)) } else { None });
    let (latencies, floors) = (by_rate(latencies), by_rate(floors));
    let mut out = String::new();
    if !latencies.is_empty() {
        out += "\nEnd to end, paced\n\n";
        out += &table(latencies, &LATENCIES, |found| &found.server);
        out += LATENCY_LEGEND;
    }
    if !floors.is_empty() {
        out += "\n";
        out += &table(floors, &FLOORS, |_| "disk");
        out += FLOOR_LEGEND;
    }
    out
}

fn by_rate<'a, T>(found: impl Iterator<Item = (u64, &'a T)>) -> Vec<(String, Vec<&'a T>)> {
    let mut groups: BTreeMap<u64, Vec<&T>> = BTreeMap::new();
    found.for_each(|(rate, found)| groups.entry(rate).or_default().push(found));
    groups.into_iter().map(|(rate, group)| (format!("{rate} records/s"), group)).collect()
}

/// A line a kind, a column a figure and server, with ratios of the first server to the second.
fn table<T>(groups: Vec<(String, Vec<&T>)>, figures: &[Figure<T>], server_of: impl Fn(&T) -> &str) -> String {
    let mut servers: Vec<&str> = Vec::new();
    for item in groups.iter().flat_map(|(_, group)| group) {
        if !servers.contains(&server_of(item)) {
            servers.push(server_of(item));
        }
    }
    // Which one was first in the first round says nothing.
    servers.sort_by_key(|name| *name != "bd");
    let mut head = vec![String::new(), "rounds".to_owned()];
    for (figure, _) in figures {
        head.extend(servers.iter().map(|server| format!("{server} {figure}")));
        if servers.len() == 2 {
            head.push("ratio".to_owned());
        }
    }
    let mut lines = vec![head];
    for (label, group) in &groups {
        let mut line = vec![label.clone(), (group.len() / servers.len().max(1)).to_string()];
        for (_, figure) in figures {
            let of = |server: &str| {
                median(group.iter().filter(|r| server_of(r) == server).map(|r| figure(r)).collect())
            };
            let medians: Vec<f64> = servers.iter().map(|server| of(server)).collect();
            line.extend(medians.iter().map(|m| number(*m)));
            if let [first, second] = medians[..] {
                line.push(ratio(first, second));
            }
        }
        lines.push(line);
    }
    aligned(&lines)
}

/// Nothing where none was measured.
pub(crate) fn scale(entries: &[Entry]) -> String {
    let found = entries.iter().filter_map(|e| if let Entry::Scale(found) = e { Some(found) } else { None });
    figures("What bd's broker takes", found)
}

/// Nothing where none was measured.
pub(crate) fn limits(entries: &[Entry]) -> String {
    let found = entries.iter().filter_map(|e| if let Entry::Limit(found) = e { Some(found) } else { None });
    figures("What the machine can do", found)
}

/// A line a figure; nothing where there is none.
pub(crate) fn figures<'a>(title: &str, found: impl Iterator<Item = &'a Scale>) -> String {
    let lines: Vec<Vec<String>> =
        found.map(|f| vec![f.what.clone(), number(f.value), f.unit.clone()]).collect();
    if lines.is_empty() { String::new() } else { format!("\n{title}\n\n{}", aligned(&lines)) }
}
