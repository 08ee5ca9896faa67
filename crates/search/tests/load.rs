//! How fast documents go in and what it takes: run with `--ignored --nocapture`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use std::time::{Duration, Instant};

use bd_search::SearchConfig;
use common::{Server, config};

fn rss_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

#[test]
#[ignore = "a measurement"]
fn documents_per_second_and_memory() {
    let dir = tempfile::tempdir().unwrap();
    let server =
        Server::start(SearchConfig { refresh_interval: Duration::from_millis(200), ..config(dir.path()) });
    for i in 0..10 {
        server.index(&format!("small{i}"), "{\"a\":1}\n{\"a\":2}");
    }
    println!("ten small indices: {} MiB", rss_mib());
    let (bulks, size) = (60, 1000);
    let started = Instant::now();
    let mut slowest = Duration::ZERO;
    for bulk in 0..bulks {
        let mut lines = String::new();
        for i in 0..size {
            let n = bulk * size + i;
            lines.push_str(&format!("{{\"create\":{{\"_id\":\"actions+0+{n}\"}}}}\n"));
            lines.push_str(&format!(
                "{{\"user_id\":\"user{}\",\"program\":\"program {}\",\"channel\":\"c{}\",\"minutes\":{}.5,\"start\":{}}}\n",
                n % 5000, n % 300, n % 20, n % 60, 1_700_000_000_000u64 + n as u64 * 250
            ));
        }
        let at = Instant::now();
        assert_eq!(server.ok("POST", "/views/_bulk", &lines)["errors"], false);
        slowest = slowest.max(at.elapsed());
        if bulk % 20 == 10 {
            let at = Instant::now();
            let count = server.ok("POST", "/views/_search", r#"{"size":0,"track_total_hits":true,"aggs":{"a":{"terms":{"field":"channel.keyword"},"aggs":{"m":{"sum":{"field":"minutes"}}}}}}"#);
            println!(
                "{} of {} searchable, aggregated in {:?}, {} MiB",
                count["hits"]["total"]["value"],
                (bulk + 1) * size,
                at.elapsed(),
                rss_mib()
            );
        }
    }
    let took = started.elapsed();
    server.ok("POST", "/views/_refresh", "");
    println!(
        "{} documents/s acknowledged, {} searchable; slowest bulk {slowest:?}; {} MiB",
        (bulks * size) as f64 / took.as_secs_f64(),
        (bulks * size) as f64 / started.elapsed().as_secs_f64(),
        rss_mib()
    );
    assert_eq!(server.ok("GET", "/views/_count", "")["count"], bulks * size);
    server.close();
}
