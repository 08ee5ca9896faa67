//! `bd produce`: lines, JSON or files to records, through librdkafka's producer.

mod input;

use crate::cli::{Acks, Compression, InputFormat, Produce};
use anyhow::{Context, Result, anyhow, bail};
use input::{Input, NewRecord};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::{ClientConfig, ClientContext};
use serde_json::json;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const BUFFER_BYTES: usize = 256 << 10;
/// How long a record is tried to be delivered.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn run(args: &Produce) -> Result<ExitCode> {
    // Mistakes in the arguments are told before anything is asked of the cluster.
    let input = Input::new(args)?;
    let first = args.file.iter().find(|path| !path.exists());
    if let Some(path) = first {
        File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    }
    let mut client = super::connect(&args.cluster, "bd-produce")?;
    let topic = args.topic.as_str();
    let info = client.topic(topic).map_err(|e| match e.code() {
        Some(code) if code.0 == 3 => {
            anyhow!("topic {topic} does not exist; `bd topics create {topic}` makes it")
        }
        _ => e.into(),
    })?;
    let partitions = info.partitions.len();
    if args.partition.is_some_and(|p| p as usize >= partitions) {
        bail!("topic {topic} has partitions 0 to {}", partitions - 1);
    }
    drop(client);
    let mut config = super::librdkafka::config(&args.cluster, "bd-produce")?;
    let producer: BaseProducer<Delivered> =
        settings(&mut config, args).create_with_context(Delivered::default())?;
    let mut sender = Sender { producer, topic, partitions, only: args.partition, count: 0 };
    send_all(&mut sender, &input, args)?;
    sender.finish()?;
    let count = sender.count;
    match args.cluster.json {
        true => super::print(&format!("{}\n", json!({"topic": topic, "records": count})))?,
        false => eprintln!("{count} records to {topic}"),
    }
    Ok(ExitCode::SUCCESS)
}

fn settings<'a>(config: &'a mut ClientConfig, args: &Produce) -> &'a ClientConfig {
    let codec = match args.compression {
        Compression::None => "none",
        Compression::Gzip => "gzip",
        Compression::Snappy => "snappy",
        Compression::Lz4 => "lz4",
        Compression::Zstd => "zstd",
    };
    config
        .set("acks", args.acks.number().to_string())
        .set("enable.idempotence", (args.acks == Acks::All).to_string())
        .set("compression.codec", codec)
        // As Java's clients place keys.
        .set("partitioner", "murmur2_random")
        .set("message.timeout.ms", PATIENCE.as_millis().to_string())
        // The topic's own limit decides.
        .set("message.max.bytes", "100000000")
        .set("queue.buffering.max.kbytes", "65536")
        .set("linger.ms", "2")
}

fn send_all(sender: &mut Sender<'_>, input: &Input, args: &Produce) -> Result<()> {
    if args.format == InputFormat::Files {
        for path in &args.file {
            let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            sender.send(&input.of_file(bytes))?;
        }
        return Ok(());
    }
    if args.file.is_empty() {
        return send_lines(sender, input, &mut std::io::stdin().lock(), "stdin");
    }
    let open = |path: &PathBuf| File::open(path).with_context(|| format!("cannot read {}", path.display()));
    for path in &args.file {
        let mut reader = BufReader::with_capacity(BUFFER_BYTES, open(path)?);
        send_lines(sender, input, &mut reader, &path.display().to_string())?;
    }
    Ok(())
}

fn send_lines(sender: &mut Sender<'_>, input: &Input, reader: &mut dyn BufRead, name: &str) -> Result<()> {
    let (mut line, mut number) = (Vec::new(), 0_u64);
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line).with_context(|| format!("cannot read {name}"))? == 0 {
            return Ok(());
        }
        number += 1;
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let record = input.of_line(text).with_context(|| format!("{name}, line {number}"))?;
        if let Some(record) = record {
            sender.send(&record)?;
        }
    }
}

/// What became of the records.
#[derive(Default)]
struct Delivered {
    failed: AtomicU64,
    /// The first failure.
    error: Mutex<Option<String>>,
}

impl ClientContext for Delivered {}

impl ProducerContext for Delivered {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let Err((error, message)) = result else { return };
        self.failed.fetch_add(1, Ordering::Relaxed);
        let mut first = self.error.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let place = format!("{}-{}", message.topic(), message.partition());
        let reason = error.rdkafka_error_code().map_or_else(|| error.to_string(), |code| code.to_string());
        first.get_or_insert_with(|| format!("{place}: {reason}"));
    }
}

struct Sender<'a> {
    producer: BaseProducer<Delivered>,
    topic: &'a str,
    partitions: usize,
    only: Option<i32>,
    count: u64,
}

impl Sender<'_> {
    fn send(&mut self, record: &NewRecord) -> Result<()> {
        let partition = record.partition.or(self.only);
        if let Some(wrong) = partition.filter(|p| usize::try_from(*p).is_ok_and(|p| p >= self.partitions)) {
            bail!("topic {} has partitions 0 to {}, not {wrong}", self.topic, self.partitions - 1);
        }
        let mut new = BaseRecord::<[u8], [u8]>::to(self.topic);
        new.partition = partition;
        new.key = record.key.as_deref();
        new.payload = record.value.as_deref();
        new.timestamp = record.timestamp;
        if !record.headers.is_empty() {
            let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
            for (name, value) in &record.headers {
                headers = headers.insert(Header { key: name, value: value.as_ref() });
            }
            new.headers = Some(headers);
        }
        loop {
            match self.producer.send(new) {
                Ok(()) => break,
                // Back-pressure: as much as may wait does.
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                    self.producer.poll(Duration::from_millis(50));
                    new = again;
                }
                Err((error, _)) => return Err(anyhow!("{}: {error}", self.topic)),
            }
        }
        self.count += 1;
        if self.count.is_multiple_of(1024) {
            self.producer.poll(Duration::ZERO);
            self.check()?;
        }
        Ok(())
    }

    fn check(&self) -> Result<()> {
        let delivered = self.producer.context();
        let failed = delivered.failed.load(Ordering::Relaxed);
        if failed == 0 {
            return Ok(());
        }
        let first = delivered.error.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        bail!(
            "{failed} of {} records were not written; first {}",
            self.count,
            first.as_deref().unwrap_or("?")
        )
    }

    fn finish(&self) -> Result<()> {
        let flushed = self.producer.flush(PATIENCE + Duration::from_secs(5));
        self.check()?;
        flushed.with_context(|| format!("{}: not all records were written in time", self.topic))
    }
}
