//! Rounds of loading documents of the shape of `show_views` into search servers, and then a dashboard's searches over them.
//!
//! One client, one connection: `_bulk` bodies of about 5 MB one after the other, ids and operation as the Elasticsearch sink
//! connector has them; the index's mapping is given, so that no server analyzes more than another. Searches move their range of time
//! on with every request, so that none is answered from a cache of answers.

use crate::live::Random;
use crate::process;
use crate::results::{self, Entry, Load, Search};
use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::{Value, json};
use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::str::FromStr;
use std::time::{Duration, Instant};
use ureq::Agent;

const INDEX: &str = "bench-show_views";
const BULK_BYTES: usize = 5_000_000;
/// The first request of each kind, which are not counted.
const WARM_UP: u64 = 10;
/// When documents begin, ms, and over how long they spread.
const FROM: i64 = 1_612_137_600_000;
const SPREAD: i64 = 3 * 86_400_000;

/// A running server.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) pid: u32,
}

impl FromStr for Server {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut parts = text.split('=');
        match (parts.next(), parts.next(), parts.next().map(str::parse), parts.next()) {
            (Some(name), Some(url), Some(Ok(pid)), None) => {
                Ok(Self { name: name.into(), url: url.trim_end_matches('/').into(), pid })
            }
            _ => Err(anyhow!("{text}: expected NAME=URL=PID")),
        }
    }
}

#[derive(clap::Args)]
pub(crate) struct Options {
    /// NAME=URL=PID, once for each server; the ratios are of the first to the second
    #[arg(long = "server", required = true)]
    servers: Vec<Server>,
    #[arg(long, default_value_t = 300_000)]
    documents: u64,
    /// Measured rounds, after one that is not counted
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Measured searches of each kind
    #[arg(long, default_value_t = 100)]
    searches: u64,
    #[arg(long)]
    results: std::path::PathBuf,
}

struct Client {
    server: Server,
    agent: Agent,
}

impl Client {
    fn new(server: &Server) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(120)))
            .http_status_as_error(false)
            .build();
        Self { server: server.clone(), agent: config.into() }
    }

    fn call(&self, method: &str, path: &str, body: &[u8]) -> Result<Value> {
        let url = format!("{}/{path}", self.server.url);
        let kind = if path.ends_with("_bulk") { "application/x-ndjson" } else { "application/json" };
        let request = ureq::http::Request::builder().method(method).uri(&url).header("content-type", kind);
        let mut answer = self.agent.run(request.body(body)?).with_context(|| url.clone())?;
        let text = answer.body_mut().with_config().limit(1 << 30).read_to_string().context(url.clone())?;
        ensure!(answer.status().is_success(), "{url}: {}: {text}", answer.status());
        serde_json::from_str(&text).with_context(|| format!("{url}: {text}"))
    }
}

/// Loads and searches; the first round warms up and is not recorded.
pub(crate) fn run(options: &Options) -> Result<()> {
    let bodies = bodies(options.documents);
    let clients: Vec<Client> = options.servers.iter().map(Client::new).collect();
    for round in 0..=options.rounds {
        let mut order: Vec<_> = clients.iter().collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for client in order {
            let load = load(client, &bodies, options.documents, round > 0)
                .with_context(|| client.server.name.clone())?;
            println!(
                "{} load round {round}: {:.0} documents/s, {:.0} a CPU second",
                load.server,
                load.documents as f64 / load.seconds,
                load.documents as f64 / load.cpu_seconds
            );
            if round > 0 {
                results::append(&options.results, &Entry::Load(load))?;
            }
        }
    }
    for (name, query) in QUERIES {
        for client in &clients {
            search(client, name, query, options.searches, &options.results)
                .with_context(|| client.server.name.clone())?;
        }
    }
    Ok(())
}

fn load(client: &Client, bodies: &[Vec<u8>], documents: u64, again: bool) -> Result<Load> {
    if again {
        client.call("DELETE", INDEX, b"")?;
    }
    client.call("PUT", INDEX, mapping().to_string().as_bytes())?;
    let (began, before) = (Instant::now(), process::cpu(client.server.pid)?);
    for body in bodies {
        let answer = client.call("POST", "_bulk", body)?;
        if answer["errors"] != json!(false) {
            bail!(
                "a document was refused: {}",
                answer["items"].to_string().chars().take(500).collect::<String>()
            );
        }
    }
    client.call("POST", &format!("{INDEX}/_refresh"), b"")?;
    let count = client.call("GET", &format!("{INDEX}/_count"), b"")?;
    let seconds = began.elapsed().as_secs_f64();
    ensure!(
        count["count"] == json!(documents),
        "{documents} documents were loaded, {} are there",
        count["count"]
    );
    Ok(Load {
        server: client.server.name.clone(),
        documents,
        bytes: bodies.iter().map(|body| body.len() as u64).sum(),
        seconds,
        cpu_seconds: process::cpu(client.server.pid)?.saturating_sub(before).as_secs_f64(),
        rss_bytes: process::rss(client.server.pid)?.0,
    })
}

fn mapping() -> Value {
    let of = |kind: &str, fields: &[&str]| -> Vec<(String, Value)> {
        fields.iter().map(|field| ((*field).to_owned(), json!({"type": kind}))).collect()
    };
    let all = [
        of("long", &["program_id", "channel_id", "user_id", "age", "device_id", "visibility"]),
        of("keyword", &["program", "channel", "name", "gender"]),
        of("double", &["lon", "lat"]),
        of("date", &["start_ts", "end_ts", "location_ts"]),
    ];
    let properties: serde_json::Map<String, Value> = all.into_iter().flatten().collect();
    let settings = json!({"number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": "1s"});
    json!({"settings": settings, "mappings": {"properties": properties}})
}

/// The documents as bodies of `_bulk`.
fn bodies(documents: u64) -> Vec<Vec<u8>> {
    let mut random = Random(7);
    let (mut bodies, mut body) = (Vec::new(), String::new());
    for n in 0..documents {
        let _ = writeln!(body, "{{\"create\":{{\"_index\":\"{INDEX}\",\"_id\":\"show_views+0+{n}\"}}}}");
        let _ = writeln!(body, "{}", document(n, documents, &mut random));
        if body.len() >= BULK_BYTES {
            bodies.push(std::mem::take(&mut body).into_bytes());
        }
    }
    if !body.is_empty() {
        bodies.push(body.into_bytes());
    }
    bodies
}

fn document(n: u64, of: u64, random: &mut Random) -> Value {
    let program = random.below(25) * random.below(40);
    let user = random.below(5000);
    let start = FROM + (SPREAD as u64 / of.max(1) * n) as i64;
    let end = start + random.below(3_600_000) as i64;
    let place = random.below(4) > 0;
    json!({
        "program_id": program, "channel_id": 57 + program % 25,
        "program": format!("Programme {program}"), "channel": format!("Channel {}", program % 25),
        "user_id": user, "name": format!("Name {user}"), "age": 5 + user % 80,
        "gender": if user.is_multiple_of(2) { "F" } else { "M" }, "device_id": user * 3 + random.below(3),
        "lon": place.then(|| random.below(360_000) as f64 / 1000.0 - 180.0),
        "lat": place.then(|| random.below(180_000) as f64 / 1000.0 - 90.0),
        "visibility": place.then(|| random.below(10_000)),
        "start_ts": iso(start), "end_ts": iso(end), "location_ts": place.then(|| iso(start)),
    })
}

/// A time as ISO 8601; days by Howard Hinnant's algorithm.
fn iso(ms: i64) -> String {
    let (days, second) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000) / 1000);
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + i64::from(month <= 2);
    let (h, m, s) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}Z")
}

type Query = fn() -> Value;

/// What dashboards ask for, each below a range of time.
const QUERIES: [(&str, Query); 3] = [
    (
        "top shows",
        || json!({"by": {"terms": {"field": "program", "size": 10}, "aggs": {"value": {"cardinality": {"field": "user_id"}}}}}),
    ),
    ("views by channel over time", || {
        json!({"by": {"terms": {"field": "channel_id", "size": 12}, "aggs": {
            "time": {"date_histogram": {"field": "start_ts", "fixed_interval": "1h"}}}}})
    }),
    ("views and age by gender and place", || {
        json!({"by": {"terms": {"field": "gender"}, "aggs": {
            "stack": {"terms": {"field": "channel", "size": 25}, "aggs": {
                "age": {"avg": {"field": "age"}}, "seen": {"sum": {"field": "visibility"}}}}}}})
    }),
];

fn search(client: &Client, name: &str, query: Query, searches: u64, results: &Path) -> Result<()> {
    let mut hasher = DefaultHasher::new();
    let (mut ms, mut before) = (Vec::new(), Duration::ZERO);
    for n in 0..WARM_UP + searches {
        if n == WARM_UP {
            before = process::cpu(client.server.pid)?;
        }
        let from = iso(FROM + n as i64 * 60_000);
        let body = json!({"size": 0, "track_total_hits": true, "aggs": query(),
            "query": {"bool": {"filter": [{"range": {"start_ts": {"gte": from}}}]}}});
        let body = body.to_string();
        let began = Instant::now();
        let answer = client.call("POST", &format!("{INDEX}/_search"), body.as_bytes())?;
        if n >= WARM_UP {
            ms.push(began.elapsed().as_secs_f64() * 1e3);
        }
        answer["hits"]["total"]["value"].as_u64().hash(&mut hasher);
        counts(&answer["aggregations"], &mut |count| count.hash(&mut hasher));
    }
    let search = Search {
        server: client.server.name.clone(),
        query: name.into(),
        ms,
        cpu_seconds: process::cpu(client.server.pid)?.saturating_sub(before).as_secs_f64(),
        fingerprint: hasher.finish(),
    };
    println!("{} {name}: {:.1} ms", search.server, crate::table::percentile(&search.ms, 0.5));
    results::append(results, &Entry::Search(search))
}

/// All numbers of documents in an answer, in its order.
fn counts(answer: &Value, take: &mut dyn FnMut(u64)) {
    match answer {
        Value::Object(members) => {
            for (name, value) in members {
                match value.as_u64().filter(|_| name == "doc_count") {
                    Some(count) => take(count),
                    None => counts(value, take),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| counts(item, take)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_iso_8601() {
        assert_eq!(iso(0), "1970-01-01T00:00:00Z");
        assert_eq!(iso(FROM), "2021-02-01T00:00:00Z");
        assert_eq!(iso(951_827_696_000), "2000-02-29T12:34:56Z");
    }

    #[test]
    fn bodies_hold_every_document_once() {
        let bodies = bodies(30_000);
        assert!(bodies.len() > 1, "{}", bodies.len());
        let lines: usize = bodies.iter().map(|body| body.iter().filter(|b| **b == b'\n').count()).sum();
        assert_eq!(lines, 60_000);
    }

    #[test]
    fn counts_of_all_depths_are_found() {
        let answer = json!({"by": {"buckets": [{"doc_count": 3, "in": {"buckets": [{"doc_count": 1}]}}, {"doc_count": 2}]}});
        let mut found = Vec::new();
        counts(&answer, &mut |count| found.push(count));
        assert_eq!(found, [3, 1, 2]);
    }
}
