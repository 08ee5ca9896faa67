//! `bd log`: what lies in a partition's folder. Nothing is changed.

use super::time;
use crate::cli::{LogAction, LogArgs};
use crate::table;
use anyhow::{Context, Result, bail};
use bd_log::RealFs;
use bd_log::inspect::{BatchInfo, Item, PartitionFiles, Report, Severity, verify};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

pub(super) fn run(args: &LogArgs) -> Result<ExitCode> {
    match &args.action {
        LogAction::Dump { dir, records, json } => dump(dir, *records, *json),
        LogAction::Verify { dir, json } => {
            check_folder(dir)?;
            let report = verify(Arc::new(RealFs), dir)?;
            super::print(&if *json {
                format!("{}\n", report_json(dir, &report))
            } else {
                report_text(&report)
            })?;
            Ok(if report.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
    }
}

/// A folder without segments is no partition's.
fn check_folder(dir: &Path) -> Result<PartitionFiles> {
    let files = PartitionFiles::open(Arc::new(RealFs), dir)
        .with_context(|| format!("cannot read {}", dir.display()))?;
    if files.segments.is_empty() {
        bail!(
            "{} holds no segments: expected a partition's folder, such as data/cluster/orders-0",
            dir.display()
        );
    }
    Ok(files)
}

fn dump(dir: &Path, records: bool, json: bool) -> Result<ExitCode> {
    let files = check_folder(dir)?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut damaged = false;
    if !json {
        let shown = |n: Option<i64>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
        let clean = files.clean_shutdown.map(|c| c.end_offset);
        writeln!(out, "start offset    {}", shown(files.start_offset))?;
        writeln!(out, "recovery point  {}", shown(files.recovery_point))?;
        writeln!(
            out,
            "clean shutdown  {}",
            clean.map_or_else(|| "no".into(), |end| format!("at offset {end}"))
        )?;
        if let Some(compacted) = files.compacted {
            writeln!(out, "compacted       to offset {}", compacted.first_dirty_offset)?;
        }
    }
    for segment in &files.segments {
        let path = segment.path.display();
        if !json {
            writeln!(out, "\n{path}, {} bytes", segment.bytes)?;
        }
        for item in files.batches(segment.base_offset)? {
            match item? {
                Item::Batch(batch) => {
                    damaged |= !batch.crc_ok;
                    if json {
                        writeln!(out, "{}", batch_json(segment.base_offset, &batch, records))?;
                    } else {
                        write_batch(&mut out, &batch, records)?;
                    }
                }
                Item::Damaged { position, reason } => {
                    damaged = true;
                    match json {
                        true => {
                            let line = json!({"segment": segment.base_offset, "position": position, "damaged": reason});
                            writeln!(out, "{line}")?;
                        }
                        false => writeln!(out, "  byte {position}: no batch: {reason}")?,
                    }
                }
            }
        }
    }
    out.flush()?;
    Ok(if damaged { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn kind(batch: &BatchInfo) -> &'static str {
    match batch.marker() {
        Some(marker) if marker.commit => "commit",
        Some(_) => "abort",
        None if batch.header.is_control() => "control",
        None if batch.header.is_transactional() => "transactional",
        None => "data",
    }
}

fn codec(batch: &BatchInfo) -> String {
    batch.header.codec().map_or_else(|_| "unknown".into(), |codec| format!("{codec:?}").to_lowercase())
}

fn write_batch(out: &mut impl Write, batch: &BatchInfo, records: bool) -> Result<()> {
    let h = &batch.header;
    write!(
        out,
        "  byte {} offsets {}..{} {} records {} bytes {} {} {}",
        batch.position,
        h.base_offset,
        h.last_offset(),
        h.record_count,
        h.size(),
        codec(batch),
        kind(batch),
        time::shown(h.max_timestamp),
    )?;
    if h.has_producer() {
        write!(out, " producer {} epoch {} sequence {}", h.producer_id, h.producer_epoch, h.base_sequence)?;
    }
    writeln!(
        out,
        " leader epoch {}{}",
        h.partition_leader_epoch,
        if batch.crc_ok { "" } else { " CRC WRONG" }
    )?;
    if !records || h.is_control() {
        return Ok(());
    }
    match batch.records() {
        Err(e) => writeln!(out, "    cannot be read: {e}")?,
        Ok(all) => {
            for r in all {
                let shown = |bytes: &Option<Bytes>| match bytes {
                    None => "null".to_owned(),
                    Some(bytes) => format!("{:?}", String::from_utf8_lossy(bytes)),
                };
                let time = time::shown(r.timestamp);
                writeln!(out, "    {} {time} key {} value {}", r.offset, shown(&r.key), shown(&r.value))?;
                for (name, value) in &r.headers {
                    writeln!(out, "      header {name} {}", shown(value))?;
                }
            }
        }
    }
    Ok(())
}

fn batch_json(segment: i64, batch: &BatchInfo, records: bool) -> Value {
    let h = &batch.header;
    let mut object = json!({
        "segment": segment, "position": batch.position, "bytes": h.size(), "base_offset": h.base_offset,
        "last_offset": h.last_offset(), "records": h.record_count, "codec": codec(batch), "kind": kind(batch),
        "crc_ok": batch.crc_ok, "max_timestamp": h.max_timestamp, "leader_epoch": h.partition_leader_epoch,
        "producer_id": h.producer_id, "producer_epoch": h.producer_epoch, "base_sequence": h.base_sequence,
    });
    if records && !h.is_control() {
        object["content"] = match batch.records() {
            Err(e) => json!({"problem": e.to_string()}),
            Ok(all) => all
                .iter()
                .map(|r| {
                    let text = |b: &Option<Bytes>| b.as_ref().map(|b| String::from_utf8_lossy(b).into_owned());
                    let headers: Vec<Value> = r.headers.iter().map(|(n, v)| json!([n, text(v)])).collect();
                    json!({
                        "offset": r.offset, "timestamp": r.timestamp, "key": text(&r.key), "value": text(&r.value),
                        "headers": headers,
                    })
                })
                .collect(),
        };
    }
    object
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Unfinished => "unfinished",
        Severity::Derived => "rebuildable",
        Severity::Damaged => "damaged",
    }
}

fn report_text(report: &Report) -> String {
    let mut text = format!(
        "{} segments, {} batches, {} records, {} bytes, offsets {} to {}\n",
        report.segments, report.batches, report.records, report.bytes, report.start_offset, report.end_offset
    );
    if !report.problems.is_empty() {
        let number = |n: Option<i64>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
        let rows = report.problems.iter().map(|p| {
            let name = p.file.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
            let position = p.position.map_or_else(|| "-".to_owned(), |n| n.to_string());
            vec![severity(p.severity).to_owned(), name, position, number(p.offset), p.what.clone()]
        });
        let rows: Vec<Vec<String>> = rows.collect();
        text.push('\n');
        text.push_str(&table::render(&["severity", "file", "byte", "offset", "problem"], &rows));
        if report.more_problems > 0 {
            text.push_str(&format!("and {} more\n", report.more_problems));
        }
        text.push('\n');
    }
    text.push_str(match report.is_sound() {
        true => "sound\n",
        false if report.problems.iter().any(|p| p.severity == Severity::Damaged) => "records are damaged or missing\n",
        false => "indexes or snapshots are wrong; records are not: delete those files, the next start rebuilds them\n",
    });
    text
}

fn report_json(dir: &Path, report: &Report) -> Value {
    let problems = report.problems.iter().map(|p| {
        json!({
            "severity": severity(p.severity), "file": p.file.display().to_string(), "position": p.position,
            "offset": p.offset, "problem": p.what,
        })
    });
    let mut object = Map::new();
    let problems: Vec<Value> = problems.collect();
    for (name, value) in [
        ("dir", json!(dir.display().to_string())),
        ("sound", json!(report.is_sound())),
        ("segments", json!(report.segments)),
        ("batches", json!(report.batches)),
        ("records", json!(report.records)),
        ("bytes", json!(report.bytes)),
        ("start_offset", json!(report.start_offset)),
        ("end_offset", json!(report.end_offset)),
        ("problems", json!(problems)),
        ("more_problems", json!(report.more_problems)),
    ] {
        object.insert(name.into(), value);
    }
    Value::Object(object)
}
