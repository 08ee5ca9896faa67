//! The report's part on the whole path: from sources to the dashboard, and the search role.

use crate::results::{Commits, Entry, Load, Replay, Search, Start, Watched};
use crate::table::{aligned, median, number, percentile, ratio};
use std::fmt::Write;

/// What is aimed at, of the first value, s; of commits at p95, ms; of memory, MB.
const START_AIM: f64 = 2.0;
const COMMIT_AIM: f64 = 500.0;
const RSS_AIM: f64 = 300.0;

/// The parts of which there is something.
pub(crate) fn text(entries: &[Entry]) -> String {
    let (mut live, mut replays) = (Vec::new(), Vec::new());
    let (mut loads, mut searches) = (Vec::new(), Vec::new());
    for entry in entries {
        match entry {
            Entry::Start(start) => live.extend(start_lines(start)),
            Entry::Commits(commits) => live.extend(commit_lines(commits)),
            Entry::Watched(watched) => live.extend(watched_lines(watched)),
            Entry::Replay(replay) => replays.push(replay),
            Entry::Load(load) => loads.push(load),
            Entry::Search(search) => searches.push(search),
            _ => {}
        }
    }
    let mut out = String::new();
    if !live.is_empty() {
        out += "\nThe live demo: from the sources to the dashboard\n\n";
        live.insert(0, ["", "bd", "aim", ""].map(String::from).to_vec());
        out += &aligned(&live);
        out += LIVE_LEGEND;
    }
    if !replays.is_empty() {
        out += "\nA recorded case through the whole path\n\n";
        out += &replay_table(&replays);
        out += REPLAY_LEGEND;
    }
    if !loads.is_empty() {
        out += "\nSearch: documents of show_views, one client\n\n";
        out += &search_table(&loads, &searches);
        out += SEARCH_LEGEND;
    }
    out
}

/// Whether all servers found the same.
pub(crate) fn is_sound(entries: &[Entry]) -> bool {
    let found: Vec<&Search> =
        entries.iter().filter_map(|e| if let Entry::Search(s) = e { Some(s) } else { None }).collect();
    found.iter().all(|a| found.iter().all(|b| a.query != b.query || a.fingerprint == b.fingerprint))
}

const LIVE_LEGEND: &str = "
first value   from the start of bd's process, as the kernel has it, until the console's event stream has a value of the panel
              of current viewers by channel. The servers are up. First change: until the number of all viewers was another one.
commit        from an INSERT being sent to MariaDB until the event stream has the new number of subscribers; the INSERT is in it.
memory, CPU   of bd's process, VmRSS and user + system time, while its dashboard is watched, at the demo's own rate of events.
";

const REPLAY_LEGEND: &str = "
inputs     rows of all sources: actions over MQTT, ads from a file, places over REST, users from MariaDB.
seconds    from the start of bd's process, with everything in it, until all outputs were counted in topics and indices. Actions are
           sent when the tables are complete: actions/s counts from there.
CPU s      user + system time of bd's process: all roles, the log's fsync, search. The servers and the simulator are not in it.
";

const SEARCH_LEGEND: &str = "
load       bulks of 5 MB one after the other over one connection, then a refresh; until the last document counts. Medians of the rounds.
searches   one after the other, each over another range of time, so that no answer is cached. CPU ms: of the server, by search.
ratio      the first server's by the other's. Above 1 is better for documents, below 1 for time and memory.
Both servers fsync a bulk before they acknowledge it, refresh every second, have one shard without copies, and the same mapping.
";

fn line(what: &str, value: f64, unit: &str, aim: Option<f64>) -> Vec<String> {
    let value_text = format!("{} {unit}", number(value));
    let (aim_text, verdict) = match aim {
        Some(aim) => (format!("< {} {unit}", number(aim)), if value < aim { "" } else { "MISSED" }),
        None => (String::new(), ""),
    };
    vec![what.to_owned(), value_text, aim_text, verdict.to_owned()]
}

fn start_lines(start: &Start) -> Vec<Vec<String>> {
    let of = |what: &str| format!("{}: {what}", start.name);
    vec![
        line(&of("first value"), start.first_value_seconds, "s", Some(START_AIM)),
        line(&of("first change"), start.first_change_seconds, "s", None),
    ]
}

fn commit_lines(commits: &Commits) -> Vec<Vec<String>> {
    let of = |part: f64| percentile(&commits.ms, part);
    vec![
        line(&format!("commit to dashboard, p50 of {}", commits.ms.len()), of(0.5), "ms", None),
        line("commit to dashboard, p95", of(0.95), "ms", Some(COMMIT_AIM)),
        line("commit to dashboard, greatest", of(1.0), "ms", None),
        line("the INSERT alone, p50", percentile(&commits.insert_ms, 0.5), "ms", None),
    ]
}

fn watched_lines(watched: &Watched) -> Vec<Vec<String>> {
    let share = watched.cpu_seconds / watched.seconds * 100.0;
    vec![
        line(
            &format!("memory after {:.0} s", watched.seconds),
            watched.rss_bytes as f64 / 1e6,
            "MB",
            Some(RSS_AIM),
        ),
        line("memory, the most", watched.peak_rss_bytes as f64 / 1e6, "MB", None),
        line("CPU, of one core", share, "%", None),
    ]
}

fn replay_table(replays: &[&Replay]) -> String {
    let head = ["", "inputs", "seconds", "inputs/s", "actions/s", "CPU s", "inputs/CPU s", "peak RSS MB"];
    let mut lines = vec![head.map(String::from).to_vec()];
    for replay in replays {
        let mut line = vec![format!("{} actions", replay.actions), replay.inputs.to_string()];
        let figures = [
            replay.seconds,
            replay.inputs as f64 / replay.seconds,
            replay.actions as f64 / replay.actions_seconds,
            replay.cpu_seconds,
            replay.inputs as f64 / replay.cpu_seconds,
            replay.peak_rss_bytes as f64 / 1e6,
        ];
        line.extend(figures.map(number));
        lines.push(line);
    }
    let mut out = aligned(&lines);
    for replay in replays {
        let phases: Vec<String> =
            replay.phases.iter().map(|(what, seconds)| format!("{what} {} s", number(*seconds))).collect();
        let _ = writeln!(out, "\n{}; waited for: {}", replay.complete, phases.join(", "));
    }
    out
}

fn search_table(loads: &[&Load], searches: &[&Search]) -> String {
    let mut servers: Vec<&str> = Vec::new();
    for load in loads {
        if !servers.contains(&load.server.as_str()) {
            servers.push(&load.server);
        }
    }
    servers.sort_by_key(|name| *name != "bd");
    let mut lines =
        vec![std::iter::once("").chain(servers.iter().copied()).map(String::from).collect::<Vec<_>>()];
    if servers.len() == 2 {
        lines[0].push("ratio".into());
    }
    let mut add = |what: String, values: Vec<f64>| {
        let mut line = vec![what];
        line.extend(values.iter().map(|value| number(*value)));
        if let [first, second] = values[..] {
            line.push(ratio(first, second));
        }
        lines.push(line);
    };
    let of_loads = |figure: fn(&Load) -> f64| -> Vec<f64> {
        let of =
            |name: &&str| median(loads.iter().filter(|l| l.server == **name).map(|l| figure(l)).collect());
        servers.iter().map(of).collect()
    };
    let rounds = loads.len() / servers.len().max(1);
    let documents = loads.first().map_or(0, |load| load.documents);
    add(
        format!("load {documents}, {rounds} rounds: documents/s"),
        of_loads(|l| l.documents as f64 / l.seconds),
    );
    add("load: MB/s".into(), of_loads(|l| l.bytes as f64 / 1e6 / l.seconds));
    add("load: documents/CPU s".into(), of_loads(|l| l.documents as f64 / l.cpu_seconds));
    add("load: RSS MB".into(), of_loads(|l| l.rss_bytes as f64 / 1e6));
    let mut queries: Vec<&str> = Vec::new();
    for search in searches {
        if !queries.contains(&search.query.as_str()) {
            queries.push(&search.query);
        }
    }
    for query in queries {
        let of = |figure: &dyn Fn(&Search) -> f64| -> Vec<f64> {
            let found = |name: &&str| searches.iter().find(|s| s.query == query && s.server == **name);
            servers.iter().filter_map(found).map(|s| figure(s)).collect()
        };
        add(format!("{query}: p50 ms"), of(&|s| percentile(&s.ms, 0.5)));
        add(format!("{query}: p95 ms"), of(&|s| percentile(&s.ms, 0.95)));
        add(format!("{query}: CPU ms"), of(&|s| s.cpu_seconds * 1e3 / s.ms.len().max(1) as f64));
    }
    let mut out = aligned(&lines);
    if servers.len() > 1 {
        let same = searches
            .iter()
            .all(|a| searches.iter().all(|b| a.query != b.query || a.fingerprint == b.fingerprint));
        out += if same { "\nThe answers are equal.\n" } else { "\nThe answers are DIFFERENT.\n" };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(server: &str, fingerprint: u64) -> Entry {
        let (server, query) = (server.to_owned(), "top".to_owned());
        Entry::Search(Search { server, query, ms: vec![3.0, 1.0, 2.0], cpu_seconds: 0.3, fingerprint })
    }

    fn load(server: &str, seconds: f64) -> Entry {
        Entry::Load(Load {
            server: server.into(),
            documents: 1000,
            bytes: 1_000_000,
            seconds,
            cpu_seconds: 0.5,
            rss_bytes: 1_000_000,
        })
    }

    #[test]
    fn an_aim_that_is_missed_is_pointed_out() {
        let commits = |ms| Entry::Commits(Commits { ms: vec![ms; 3], insert_ms: vec![1.0] });
        assert!(!text(&[commits(499.0)]).contains("MISSED"));
        assert!(text(&[commits(501.0)]).contains("MISSED"));
    }

    #[test]
    fn search_servers_stand_side_by_side_and_their_answers_are_compared() {
        let entries =
            [load("Elasticsearch", 2.0), load("bd", 1.0), search("bd", 7), search("Elasticsearch", 7)];
        let out = text(&entries);
        let row = out.lines().find(|l| l.contains("documents/s")).unwrap();
        let cells: Vec<&str> = row.split_ascii_whitespace().collect();
        assert_eq!(cells[cells.len() - 3..], ["1000", "500", "2.00"]);
        assert!(out.contains("equal") && is_sound(&entries));
        let others = [load("bd", 1.0), load("E", 1.0), search("bd", 7), search("E", 8)];
        assert!(text(&others).contains("DIFFERENT") && !is_sound(&others));
    }
}
