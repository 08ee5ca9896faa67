//! `bd consume`: records to lines.

use crate::cli::{Consume, Format, IsolationName};
use anyhow::{Result, anyhow, bail};
use bd_cluster::{Cluster, Isolation, OffsetSpec, ReaderConfig, Records, TopicPartition};
use serde_json::{Map, Value, json};
use std::io::{BufWriter, Write};
use std::process::ExitCode;
use std::time::Duration;

const POLL_BYTES: usize = 1 << 20;
const POLL_WAIT: Duration = Duration::from_millis(500);

pub(super) fn run(args: &Consume) -> Result<ExitCode> {
    let cluster = super::connect(&args.cluster)?;
    let topic = args.topic.as_str();
    let info = cluster.topic(topic)?.ok_or_else(|| anyhow!("topic {topic} does not exist"))?;
    let partitions: Vec<i32> = match args.partition {
        Some(p) if p >= info.partitions => bail!("topic {topic} has partitions 0 to {}", info.partitions - 1),
        Some(p) => vec![p],
        None => (0..info.partitions).collect(),
    };
    if args.offset.is_some() && partitions.len() > 1 {
        bail!("topic {topic} has {} partitions: say which one with --partition", partitions.len());
    }
    let (isolation, end_spec) = match args.isolation {
        IsolationName::ReadCommitted => (Isolation::ReadCommitted, OffsetSpec::Stable),
        IsolationName::ReadUncommitted => (Isolation::ReadUncommitted, OffsetSpec::Latest),
    };
    let mut reader = cluster.open_reader(ReaderConfig { isolation, client_id: "bd-consume".into() })?;
    let mut ends = Vec::new();
    for partition in partitions {
        let tp = TopicPartition::new(topic, partition);
        let end = cluster.offset(&tp, end_spec)?;
        let start = match args.offset {
            Some(offset) => offset,
            None if args.from_beginning => cluster.offset(&tp, OffsetSpec::Earliest)?,
            None => end,
        };
        reader.assign(&tp, start)?;
        if start < end {
            ends.push((tp, end));
        }
    }
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut left = args.max.unwrap_or(u64::MAX);
    while left > 0 && !(args.no_follow && ends.is_empty()) {
        let Some(records) = reader.poll(POLL_BYTES, POLL_WAIT)? else { continue };
        let end = ends.iter().position(|(tp, _)| *tp == records.partition);
        let bound = match (args.no_follow, end) {
            (false, _) => i64::MAX,
            (true, Some(i)) => ends[i].1,
            // Read to its end already; what came after is not asked for.
            (true, None) => 0,
        };
        for i in (0..records.len()).filter(|i| records.offsets[*i] < bound) {
            if left == 0 {
                break;
            }
            write_record(&mut out, args.format, &records, i)?;
            left -= 1;
        }
        if let Some(i) = end.filter(|i| records.next_offset >= ends[*i].1) {
            ends.swap_remove(i);
        }
        out.flush()?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn write_record(out: &mut impl Write, format: Format, records: &Records, i: usize) -> Result<()> {
    let (key, value) = (records.key(i), records.value(i));
    match format {
        Format::Value => out.write_all(value.unwrap_or(b"null"))?,
        Format::KeyValue => {
            out.write_all(key.unwrap_or(b"null"))?;
            out.write_all(b"\t")?;
            out.write_all(value.unwrap_or(b"null"))?;
        }
        Format::Json => {
            // A repeated header name keeps all its values, in order.
            let headers: Vec<Value> =
                records.headers(i).map(|h| json!([text(Some(h.name)), text(h.value)])).collect();
            let mut object = Map::new();
            object.insert("partition".into(), json!(records.partition.partition));
            object.insert("offset".into(), json!(records.offsets[i]));
            object.insert("timestamp".into(), json!(records.timestamps[i]));
            object.insert("key".into(), text(key));
            object.insert("value".into(), text(value));
            if !headers.is_empty() {
                object.insert("headers".into(), Value::Array(headers));
            }
            serde_json::to_writer(&mut *out, &object)?;
        }
    }
    out.write_all(b"\n")?;
    Ok(())
}

/// Bytes as text; what is not UTF-8 shows as replacement characters.
fn text(bytes: Option<&[u8]>) -> Value {
    bytes.map_or(Value::Null, |b| Value::String(String::from_utf8_lossy(b).into_owned()))
}
