//! The report's part on schema registries.

use crate::report_log;
use crate::results::{Calls, Entry};
use crate::table::{aligned, number, percentile};

/// What is aimed at, p99 in ms: of a get by id, of a registration.
const GET_AIM: f64 = 1.0;
const REGISTER_AIM: f64 = 10.0;

/// Nothing where none was measured.
pub(crate) fn text(entries: &[Entry]) -> String {
    let found =
        entries.iter().filter_map(|e| if let Entry::Registry(found) = e { Some(found) } else { None });
    let mut out = report_log::figures("What bd's schema registry takes", found);
    let calls: Vec<&Calls> =
        entries.iter().filter_map(|e| if let Entry::Calls(calls) = e { Some(calls) } else { None }).collect();
    if !calls.is_empty() {
        out += "\nSchema registries, over HTTP\n\n";
        out += &table(&calls);
        out += LEGEND;
    }
    out
}

const LEGEND: &str = "
start      from bd's exec until a client has the schema with the greatest id; the medians of five. Aims: below 2 s, and below 200 MB.
register   a new schema (600 bytes) under a new subject. bd answers after its fsync, Apicurio keeps schemas in memory alone.
calls      one at a time on each connection. CPU ms: user + system time of the server's process, by call.
";

fn table(calls: &[&Calls]) -> String {
    let head = ["", "schemas", "", "p50 ms", "p99 ms", "aim", "", "calls/s", "CPU ms"];
    let mut lines = vec![head.map(String::from).to_vec()];
    for call in calls {
        let p99 = percentile(&call.ms, 0.99);
        let aim = if call.what.starts_with("get") { GET_AIM } else { REGISTER_AIM };
        // Readers who keep all cores busy wait for each other.
        let aimed = call.server == "bd" && !(call.what.starts_with("get") && call.what.ends_with("readers"));
        lines.push(vec![
            call.server.clone(),
            call.schemas.to_string(),
            call.what.clone(),
            number(percentile(&call.ms, 0.5)),
            number(p99),
            if aimed { format!("< {aim}") } else { String::new() },
            if aimed && p99 >= aim { "MISSED".into() } else { String::new() },
            number(call.ms.len() as f64 / call.seconds),
            format!("{:.3}", call.cpu_seconds * 1e3 / call.ms.len() as f64),
        ]);
    }
    aligned(&lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_aim_that_is_missed_is_told() {
        let calls = |what: &str, ms: f64| {
            let what = what.to_owned();
            let (server, ms) = ("bd".to_owned(), vec![ms; 10]);
            Entry::Calls(Calls { server, what, schemas: 5, ms, seconds: 1.0, cpu_seconds: 0.1 })
        };
        let text = text(&[calls("get by id, 1 reader", 2.0), calls("register, 1 writer", 2.0)]);
        let missed = |what: &str| text.lines().find(|l| l.contains(what)).unwrap().contains("MISSED");
        assert!(missed("get by id, 1") && !missed("register, 1"), "{text}");
    }
}
