//! The tables at the end, and a line on how each figure is made.

use crate::results::{Entry, JobRun, TopicRows};
use crate::table::{aligned, number, ratio};
use crate::{report_log, report_path, report_registry};
use std::collections::BTreeSet;
use std::fmt::Write;

/// The job over next to nothing, which shows what a system's start takes.
const START: &str = "start";

/// The whole report.
pub(crate) fn text(entries: &[Entry]) -> String {
    let (mut rounds, mut jobs, mut rows) = (Vec::new(), Vec::new(), Vec::new());
    let mut out = String::new();
    for entry in entries {
        match entry {
            Entry::Note(text) => {
                let _ = writeln!(out, "{text}");
            }
            Entry::Round(round) => rounds.push(round),
            Entry::Job(job) => jobs.push(job),
            Entry::Rows(found) => rows.push(found),
            // See below.
            Entry::Latency(_)
            | Entry::Floor(_)
            | Entry::Limit(_)
            | Entry::Scale(_)
            | Entry::Start(_)
            | Entry::Commits(_)
            | Entry::Watched(_)
            | Entry::Replay(_)
            | Entry::Load(_)
            | Entry::Search(_)
            | Entry::Calls(_)
            | Entry::Registry(_) => {}
        }
    }
    out += &report_log::limits(entries);
    if rounds.iter().any(|round| round.promise.is_none()) {
        out += "\nLog: acks=all, one client for both\n\n";
        out += &report_log::rounds(&rounds, None);
        out += report_log::LEGEND;
    }
    for promise in rounds.iter().filter_map(|round| round.promise.as_deref()).collect::<BTreeSet<_>>() {
        let _ = writeln!(out, "\nProduce with the same promise: {promise}\n");
        out += &report_log::rounds(&rounds, Some(promise));
    }
    out += &report_log::latencies(entries);
    out += &report_log::scale(entries);
    if !jobs.is_empty() {
        out += "\nThe digital-TV case\n\n";
        out += &job_table(&jobs);
        out += JOB_LEGEND;
    }
    if !rows.is_empty() {
        out += "\nRows that came out\n\n";
        out += &rows_table(&rows);
        out += ROWS_LEGEND;
    }
    out += &report_path::text(entries);
    out + &report_registry::text(entries)
}

/// Whether every job came to its end, all that were given the same events wrote the same rows, and searches found the same.
pub(crate) fn is_sound(entries: &[Entry]) -> bool {
    let rows: Vec<&TopicRows> =
        entries.iter().filter_map(|e| if let Entry::Rows(r) = e { Some(r) } else { None }).collect();
    let failed = entries.iter().any(|e| matches!(e, Entry::Job(job) if !job.succeeded));
    !failed && rows.iter().all(|row| agrees(row, &rows) != Some(false)) && report_path::is_sound(entries)
}

/// Whether the other systems wrote the same rows to this topic; `None` if there is no other.
fn agrees(row: &TopicRows, rows: &[&TopicRows]) -> Option<bool> {
    let mut others =
        rows.iter().filter(|o| o.job == row.job && o.topic == row.topic && o.system != row.system).peekable();
    others.peek()?;
    Some(others.all(|other| other.found == row.found))
}

const JOB_LEGEND: &str = "
events     records in the topics that the job reads.
seconds    from the program's start to its end: loading of tables, start of a JVM, everything.
start      the sessions of ten actions: what the program takes to start.
CPU s      user + system time of the program and all its descendants. bd's includes its log: reading, writing, fsync. Spark's
           does not include Kafka's process, which serves it.
peak RSS   the most that its processes held together, sampled every 100 ms, or the kernel's own high-water mark of one.
";

const ROWS_LEGEND: &str = "
Committed rows (read_committed) and the sum of their hashes, which does not depend on the order of rows and columns:
equal fingerprints of two systems mean equal rows.
";

fn job_table(jobs: &[&JobRun]) -> String {
    let head = ["", "", "events", "seconds", "events/s", "CPU s", "events/CPU s", "peak RSS MB"];
    let mut lines = vec![head.map(String::from).to_vec()];
    for job in jobs {
        let mut line = vec![job.system.clone(), job.job.clone(), job.events.to_string()];
        if job.succeeded {
            line.extend(
                [
                    job.seconds,
                    job.events as f64 / job.seconds,
                    job.cpu_seconds,
                    job.events as f64 / job.cpu_seconds,
                    job.peak_rss_bytes as f64 / 1e6,
                ]
                .map(number),
            );
        } else {
            line.push("failed".into());
        }
        lines.push(line);
    }
    let mut out = aligned(&lines);
    for (mine, theirs) in pairs(jobs) {
        let _ = write!(
            out,
            "\n{}, {} events: {} does {}x the events per CPU second of {}, in {}x the time and {}x the memory",
            mine.job,
            mine.events,
            mine.system,
            ratio(theirs.cpu_seconds, mine.cpu_seconds),
            theirs.system,
            ratio(mine.seconds, theirs.seconds),
            ratio(mine.peak_rss_bytes as f64, theirs.peak_rss_bytes as f64),
        );
        if let Some(start) = jobs.iter().find(|job| job.job == START && job.system == theirs.system) {
            let less = (theirs.cpu_seconds - start.cpu_seconds).max(0.0);
            let _ = write!(out, "; {}x without {}'s start", ratio(less, mine.cpu_seconds), theirs.system);
        }
        out.push('\n');
    }
    out
}

/// The same job on the same events: bd's and another's.
fn pairs<'a>(jobs: &[&'a JobRun]) -> Vec<(&'a JobRun, &'a JobRun)> {
    let done = || jobs.iter().copied().filter(|job| job.succeeded);
    done()
        .filter(|job| job.system == "bd")
        .flat_map(|mine| {
            done()
                .filter(|other| other.system != "bd" && other.job == mine.job && other.events == mine.events)
                .map(move |theirs| (mine, theirs))
        })
        .collect()
}

fn rows_table(rows: &[&TopicRows]) -> String {
    let mut lines = vec![["", "", "topic", "rows", "fingerprint", ""].map(String::from).to_vec()];
    for row in rows {
        let verdict = match agrees(row, rows) {
            None => "",
            Some(true) => "equal",
            Some(false) => "DIFFERENT",
        };
        lines.push(vec![
            row.system.clone(),
            row.job.clone(),
            row.topic.clone(),
            row.found.rows.to_string(),
            format!("{:016x}", row.found.fingerprint),
            verdict.into(),
        ]);
    }
    aligned(&lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{Direction, Found, Round};

    fn round(server: &str, seconds: f64) -> Entry {
        Entry::Round(Round {
            server: server.into(),
            record_bytes: 1000,
            compression: "none".into(),
            partitions: 1,
            direction: Direction::Produce,
            promise: None,
            bytes: 100_000_000,
            seconds,
            cpu_seconds: 0.1,
            client_cpu_seconds: 0.1,
            rss_bytes: 50_000_000,
        })
    }

    fn job(system: &str, cpu_seconds: f64) -> Entry {
        Entry::Job(JobRun {
            system: system.into(),
            job: "sessions".into(),
            events: 2_000_000,
            seconds: 10.0,
            cpu_seconds,
            peak_rss_bytes: 100_000_000,
            succeeded: true,
        })
    }

    #[test]
    fn servers_stand_side_by_side_with_the_ratio_of_their_medians() {
        let mut entries = vec![round("Kafka", 2.0), round("Kafka", 2.0), round("Kafka", 9.0)];
        entries.extend([round("bd", 1.0), round("bd", 1.0), round("bd", 7.0)]);
        let text = text(&entries);
        let line = text.lines().find(|l| l.starts_with("produce 1000 B")).unwrap();
        let cells: Vec<&str> = line.split_ascii_whitespace().collect();
        assert_eq!(cells[5..], ["3", "100", "50.0", "2.00", "1.00", "1.00", "1.00", "50.0", "50.0", "1.00"]);
    }

    #[test]
    fn jobs_on_the_same_events_are_compared() {
        let text = text(&[job("bd", 2.0), job("Spark", 40.0)]);
        assert!(text.contains("bd does 20.0x the events per CPU second of Spark"), "{text}");
    }

    #[test]
    fn different_rows_are_pointed_out() {
        let rows = |system: &str, rows| {
            let found = Found { rows, fingerprint: 7 };
            Entry::Rows(TopicRows { system: system.into(), job: "j".into(), topic: "t".into(), found })
        };
        let (equal, different) = ([rows("bd", 5), rows("Spark", 5)], [rows("bd", 5), rows("Spark", 6)]);
        assert!(text(&equal).contains("  equal") && is_sound(&equal));
        assert!(text(&different).contains("DIFFERENT") && !is_sound(&different));
    }
}
