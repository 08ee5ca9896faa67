//! Schema registries: registering schemas and getting them by id, over HTTP, one request at a time on each connection; and bd's own
//! with many schemas: how long it loads them, and in how much memory.
//!
//! Each schema that is registered is new, under a subject of its own. Many schemas get into bd as records in Confluent's format, by a
//! Kafka client, and not by as many registrations.

use crate::bd::Bd;
use crate::client::{self, Compression, Writer};
use crate::process;
use crate::results::{self, Calls, Entry, Scale};
use crate::search::Server;
use crate::table::percentile;
use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use ureq::Agent;

/// bd's registry is started so often over its many schemas.
const STARTS: usize = 5;
/// Writers that register at once.
const WRITERS: u64 = 16;
/// Calls of each kind that are not counted.
const WARM_UP: u64 = 100;
const TOPIC: &str = "_schemas";
const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";

#[derive(Args)]
pub(crate) struct Options {
    /// The program
    #[arg(long)]
    bd: PathBuf,
    /// A folder for its data
    #[arg(long)]
    work: PathBuf,
    /// NAME=URL=PID of another registry that runs
    #[arg(long = "server")]
    servers: Vec<Server>,
    /// Schemas to load
    #[arg(long, default_value_t = 100_000)]
    schemas: u64,
    /// Calls by one writer; more of them by many, and of gets
    #[arg(long, default_value_t = 500)]
    calls: u64,
    #[arg(long)]
    results: PathBuf,
}

/// A schema of eight fields, about 600 bytes, that only this number has.
fn schema(number: u64) -> String {
    let field = |f| format!(r#"{{"name":"field_{f}_{number}","type":["null","string"],"default":null}}"#);
    let fields: Vec<String> = (0..8).map(field).collect();
    let fields = fields.join(",");
    format!(r#"{{"type":"record","name":"Record{number}","namespace":"org.example","fields":[{fields}]}}"#)
}

/// One connection to a registry.
struct Client<'a> {
    server: &'a Server,
    agent: Agent,
}

impl<'a> Client<'a> {
    fn new(server: &'a Server) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(60)))
            .http_status_as_error(false)
            .build();
        Self { server, agent: config.into() }
    }

    fn call(&self, method: &str, path: &str, body: String) -> Result<Value> {
        let url = format!("{}/{path}", self.server.url);
        let request = ureq::http::Request::builder().method(method).uri(&url);
        let request = request.header("content-type", CONTENT_TYPE).body(body)?;
        let mut answer = self.agent.run(request).with_context(|| url.clone())?;
        let text = answer.body_mut().read_to_string().context(url.clone())?;
        ensure!(answer.status().is_success(), "{url}: {}: {text}", answer.status());
        serde_json::from_str(&text).with_context(|| format!("{url}: {text}"))
    }

    fn register(&self, number: u64) -> Result<u64> {
        let body = json!({"schema": schema(number)}).to_string();
        let answer = self.call("POST", &format!("subjects/topic-{number}-value/versions"), body)?;
        answer["id"].as_u64().with_context(|| format!("no id in {answer}"))
    }

    fn get(&self, id: u64) -> Result<()> {
        let answer = self.call("GET", &format!("schemas/ids/{id}"), String::new())?;
        ensure!(answer["schema"].is_string(), "no schema in {answer}");
        Ok(())
    }
}

fn ms(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1e3
}

/// The numbers of the schemas that are there, and how the calls are told.
struct Run<'a> {
    options: &'a Options,
    next: AtomicU64,
}

impl Run<'_> {
    fn note(&self, what: &str, value: f64, unit: &str) -> Result<()> {
        println!("{what}: {value:.2} {unit}");
        let found = Scale { what: what.to_owned(), value, unit: unit.to_owned() };
        results::append(&self.options.results, &Entry::Registry(found))
    }

    /// Calls `each` so often on so many connections at once.
    fn calls<T: Send>(
        &self,
        server: &Server,
        what: &str,
        schemas: u64,
        (connections, calls): (u64, u64),
        each: impl Fn(&Client, u64) -> Result<T> + Sync,
    ) -> Result<Vec<T>> {
        let before = process::cpu(server.pid)?;
        let began = Instant::now();
        let one = |connection: u64| -> Result<Vec<(f64, T)>> {
            let client = Client::new(server);
            let share = calls / connections;
            let timed = |i: u64| {
                let began = Instant::now();
                let found = each(&client, connection * share + i)?;
                Ok((ms(began), found))
            };
            (0..share).map(timed).collect()
        };
        let found: Vec<(f64, T)> = std::thread::scope(|scope| {
            let one = &one;
            let all: Vec<_> = (0..connections).map(|c| scope.spawn(move || one(c))).collect();
            let ended = all.into_iter().map(|t| t.join().map_err(|_| anyhow!("a connection's thread ended")));
            ended.collect::<Result<Vec<_>>>()?.into_iter().collect::<Result<Vec<_>>>()
        })?
        .into_iter()
        .flatten()
        .collect();
        let (ms, found): (Vec<f64>, Vec<T>) = found.into_iter().unzip();
        let entry = Calls {
            server: server.name.clone(),
            what: what.to_owned(),
            schemas,
            seconds: began.elapsed().as_secs_f64(),
            cpu_seconds: process::cpu(server.pid)?.saturating_sub(before).as_secs_f64(),
            ms,
        };
        println!(
            "{} with {schemas} schemas, {what}: p50 {:.3} ms, p99 {:.3} ms",
            entry.server,
            percentile(&entry.ms, 0.5),
            percentile(&entry.ms, 0.99)
        );
        results::append(&self.options.results, &Entry::Calls(entry))?;
        Ok(found)
    }

    fn numbers(&self, count: u64) -> u64 {
        self.next.fetch_add(count, Ordering::Relaxed)
    }

    /// Registers new schemas, and gets them.
    fn measure(&self, server: &Server, schemas: u64) -> Result<()> {
        let calls = self.options.calls;
        let client = Client::new(server);
        let first = self.numbers(WARM_UP);
        for number in first..first + WARM_UP {
            client.get(client.register(number)?)?;
        }
        let first = self.numbers(calls);
        let mut ids = self.calls(server, "register, 1 writer", schemas, (1, calls), |client, i| {
            client.register(first + i)
        })?;
        let many = calls * 8;
        let first = self.numbers(many);
        let what = format!("register, {WRITERS} writers");
        ids.extend(
            self.calls(server, &what, schemas, (WRITERS, many), |client, i| client.register(first + i))?,
        );
        // Those there are, in no order.
        let id = |i: u64| match schemas {
            0 => ids.get((i * 7919) as usize % ids.len()).copied().unwrap_or_default(),
            n => i * 7919 % n + 1,
        };
        let gets = calls * 20;
        self.calls(server, "get by id, 1 reader", schemas, (1, gets), |client, i| client.get(id(i)))?;
        let what = format!("get by id, {WRITERS} readers");
        self.calls(server, &what, schemas, (WRITERS, gets), |client, i| client.get(id(i)))?;
        Ok(())
    }
}

fn of(bd: &Bd) -> Result<Server> {
    Ok(Server { name: "bd".into(), url: bd.at("registry")?.trim_end_matches('/').into(), pid: bd.pid() })
}

/// Records as a registry writes them, ids from 1 on.
fn fill(bootstrap: &str, schemas: u64) -> Result<()> {
    client::create_topic(bootstrap, TOPIC)?;
    let mut writer = Writer::open(bootstrap, TOPIC, Compression::None)?;
    for id in 1..=schemas {
        let subject = format!("loaded-{id}-value");
        let key = json!({"keytype": "SCHEMA", "subject": subject, "version": 1, "magic": 1});
        let value = json!({
            "subject": subject, "version": 1, "id": id, "schemaType": "AVRO",
            "schema": schema(u64::from(u32::MAX) + id), "deleted": false,
        });
        writer.send_with(Some(key.to_string().as_bytes()), value.to_string().as_bytes())?;
    }
    writer.finish().map(drop)
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let run = Run { options, next: AtomicU64::new(1) };
    let roles = "cluster,registry";
    let bd = Bd::start(&options.bd, roles, &options.work.join("empty"), &[])?;
    let start = bd.ready.as_secs_f64();
    let empty = bd.settled_rss()?;
    run.measure(&of(&bd)?, 0)?;
    bd.stop()?;
    for server in &options.servers {
        run.measure(server, 0)?;
    }
    let data = options.work.join("many");
    let bd = Bd::start(&options.bd, "cluster", &data, &[])?;
    fill(bd.at("cluster")?, options.schemas)?;
    bd.stop()?;
    let mut loads = Vec::new();
    for left in (0..STARTS).rev() {
        let bd = Bd::start(&options.bd, roles, &data, &[])?;
        let server = of(&bd)?;
        Client::new(&server).get(options.schemas)?;
        loads.push(bd.began.elapsed().as_secs_f64());
        if left == 0 {
            run.note("start, no schemas", start, "s")?;
            let what = format!("start until the last of {} schemas is answered", options.schemas);
            run.note(&what, crate::table::median(std::mem::take(&mut loads)), "s")?;
            let what = format!("memory for {} schemas, more than for none", options.schemas);
            run.note(&what, (bd.settled_rss()? - empty) / 1e6, "MB")?;
            run.measure(&server, options.schemas)?;
        }
        bd.stop()?;
    }
    Ok(())
}
