//! Rounds of producing and consuming against servers that run, in turns, so that whatever slows the machine slows all of them.

use crate::client::{self, Compression, Shape};
use crate::process;
use crate::results::{self, Direction, Entry, Round};
use anyhow::{Context, Result, anyhow};
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

/// A running server.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    name: String,
    bootstrap: String,
    pid: u32,
}

impl FromStr for Server {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut parts = text.split('=');
        match (parts.next(), parts.next(), parts.next().map(str::parse), parts.next()) {
            (Some(name), Some(bootstrap), Some(Ok(pid)), None) => {
                Ok(Self { name: name.into(), bootstrap: bootstrap.into(), pid })
            }
            _ => Err(anyhow!("{text}: expected NAME=HOST:PORT=PID")),
        }
    }
}

/// Bytes of a value and compression, with the share of the round's megabytes: small records cost the client more than servers.
const SHAPES: [(usize, Compression, f64); 4] = [
    (1000, Compression::None, 1.0),
    (1000, Compression::Lz4, 1.0),
    (100, Compression::None, 0.4),
    (100, Compression::Lz4, 0.4),
];

/// Measures all shapes; the first round of each warms up and is not recorded.
pub(crate) fn run(servers: &[Server], rounds: u32, megabytes: u64, results: &Path) -> Result<()> {
    for (record_bytes, compression, share) in SHAPES {
        let bytes = megabytes as f64 * 1e6 * share;
        let shape = Shape { records: (bytes / record_bytes as f64) as u64, record_bytes, compression };
        for round in 0..=rounds {
            let mut order: Vec<_> = servers.iter().collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for server in order {
                let topic = format!("bench-{record_bytes}-{}-{round}", compression.name());
                let pair = one_round(server, &topic, &shape).with_context(|| server.name.clone())?;
                for result in pair {
                    println!(
                        "{} {record_bytes} B {} round {round}: {:?} {:.1} MB/s, {:.2} CPU s/GB",
                        server.name,
                        compression.name(),
                        result.direction,
                        result.bytes as f64 / 1e6 / result.seconds,
                        result.cpu_seconds / result.bytes as f64 * 1e9
                    );
                    if round > 0 {
                        results::append(results, &Entry::Round(result))?;
                    }
                }
            }
        }
    }
    Ok(())
}

fn one_round(server: &Server, topic: &str, shape: &Shape) -> Result<[Round; 2]> {
    client::create_topic(&server.bootstrap, topic)?;
    let measured = |direction, run: fn(&str, &str, &Shape) -> Result<Duration>| -> Result<Round> {
        let before = process::cpu(server.pid)?;
        let took = run(&server.bootstrap, topic, shape)?;
        let after = process::cpu(server.pid)?;
        Ok(Round {
            server: server.name.clone(),
            record_bytes: shape.record_bytes,
            compression: shape.compression.name().into(),
            direction,
            bytes: shape.bytes(),
            seconds: took.as_secs_f64(),
            cpu_seconds: after.saturating_sub(before).as_secs_f64(),
            rss_bytes: process::rss(server.pid)?.0,
        })
    };
    let produced = measured(Direction::Produce, client::produce)?;
    let consumed = measured(Direction::Consume, client::consume)?;
    client::delete_topic(&server.bootstrap, topic)?;
    Ok([produced, consumed])
}
