//! The broker as a process that is killed, and what talks to it.

use bd_e2e::bd_binary;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Partitions of each topic.
pub(crate) const PARTITIONS: i32 = 4;
/// For how long anything may take, a kill in the middle included.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Compaction, retention and expiry run all the time, so that some of the kills meet them.
const SETTINGS: [&str; 6] = [
    "metrics.listener=127.0.0.1:0",
    // Or a producer of a deleted topic would create it.
    "auto.create.topics.enable=false",
    "broker.log.cleaner.backoff.ms=20",
    "broker.log.retention.check.interval.ms=100",
    "broker.offsets.topic.num.partitions=3",
    "broker.transaction.state.log.num.partitions=3",
];

fn binary() -> PathBuf {
    std::env::var_os("BD_SOAK_BINARY").map_or_else(|| bd_binary().unwrap(), PathBuf::from)
}

/// A broker at work, killed when dropped.
pub(crate) struct Life(Child);

impl Life {
    /// Starts it on `port` and waits until it answers.
    pub(crate) fn begin(data: &Path, port: u16) -> Life {
        let mut command = Command::new(binary());
        command.args(["up", "--roles", "cluster", "--data"]).arg(data);
        command.args(["--set", &format!("listeners=127.0.0.1:{port}")]);
        if let Ok(flush) = std::env::var("BD_SOAK_FLUSH") {
            command.args(["--set", &format!("flush={flush}")]);
        }
        command.args(SETTINGS.iter().flat_map(|setting| ["--set", *setting]));
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = std::io::BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let mut said = Vec::new();
        while said.last().is_none_or(|line: &String| !line.starts_with("ready")) {
            match lines.next() {
                Some(line) => said.push(line),
                None => panic!("bd did not start: {:?}\n{}", child.wait(), said.join("\n")),
            }
        }
        // What it says later is shown, and does not block it.
        std::thread::spawn(move || lines.for_each(|line| eprintln!("bd: {line}")));
        Life(child)
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn client(port: u16) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", format!("127.0.0.1:{port}"));
    config.set("reconnect.backoff.ms", "5").set("reconnect.backoff.max.ms", "20");
    config.set("retry.backoff.ms", "5").set("retry.backoff.max.ms", "20");
    // What piles up while the broker is down must fit the small segments.
    config.set("log_level", "0").set("batch.size", "16000");
    config
}

/// A record as it was read: key and value.
pub(crate) type Record = (Option<String>, Option<String>);

/// All records of a topic, by partition, in order.
pub(crate) fn read(port: u16, topic: &str, isolation: &str) -> Vec<Vec<Record>> {
    let mut config = client(port);
    config.set("group.id", "checker").set("isolation.level", isolation).set("enable.partition.eof", "true");
    config.set("check.crcs", "true").set("fetch.wait.max.ms", "5").set("enable.auto.commit", "false");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut assignment = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        assignment.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&assignment).unwrap();
    let mut records = vec![Vec::new(); PARTITIONS as usize];
    let mut ended = std::collections::BTreeSet::new();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let deadline = Instant::now() + PATIENCE;
    while ended.len() < records.len() {
        assert!(Instant::now() < deadline, "{topic} is not read to its end: only {ended:?}");
        match consumer.poll(Duration::from_secs(1)) {
            Some(Ok(message)) => records[message.partition() as usize]
                .push((message.key().map(text), message.payload().map(text))),
            Some(Err(KafkaError::PartitionEOF(partition))) => drop(ended.insert(partition)),
            Some(Err(error)) => panic!("{topic}: {error}"),
            None => {}
        }
    }
    records
}

/// The offset of `plain`, partition 0, that a group has committed.
pub(crate) fn committed(port: u16, group: &str) -> Option<i64> {
    let consumer: BaseConsumer = client(port).set("group.id", group).create().unwrap();
    let mut asked = TopicPartitionList::new();
    asked.add_partition("plain", 0);
    match consumer.committed_offsets(asked, PATIENCE).unwrap().elements()[0].offset() {
        Offset::Offset(offset) => Some(offset),
        _ => None,
    }
}
