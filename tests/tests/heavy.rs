//! Many connections, many partitions, clients that claim much and send little or never read: what they cost is printed and bounded.
//!
//! `BD_HEAVY_BINARY` names another program than that of this build; the figures of `bench/README.md` are those of a release build.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(120);

struct Bd {
    child: Child,
    address: String,
}

impl Bd {
    fn start(data: &Path) -> Bd {
        let binary = std::env::var_os("BD_HEAVY_BINARY");
        let binary = binary.map_or_else(|| bd_e2e::bd_binary().unwrap(), PathBuf::from);
        let mut child = Command::new(binary)
            .args(["up", "--roles", "cluster", "--free-ports", "--data"])
            .arg(data)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let address = lines.find_map(|line| Some(line.strip_prefix("cluster")?.trim().to_owned())).unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        Bd { child, address }
    }

    /// A connection that was used once.
    fn connect(&self) -> TcpStream {
        let mut socket = TcpStream::connect(&self.address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        self.ask(&mut socket);
        socket
    }

    /// ApiVersions, and its answer.
    fn ask(&self, socket: &mut TcpStream) {
        socket.write_all(&[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 255, 255]).unwrap();
        let mut length = [0; 4];
        socket.read_exact(&mut length).unwrap();
        socket.read_exact(&mut vec![0; u32::from_be_bytes(length) as usize]).unwrap();
    }

    /// Resident memory, KiB.
    fn rss(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.address);
        config
    }

    fn create_topic(&self, name: &str, partitions: i32) {
        let admin: AdminClient<DefaultClientContext> = self.client().create().unwrap();
        let options = AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        runtime.block_on(admin.create_topics([&topic], &options)).unwrap().remove(0).unwrap();
    }

    /// Writes so many records of a size to each partition, and waits until all are acknowledged.
    fn fill(&self, topic: &str, partitions: i32, records: usize, bytes: usize) {
        let producer: BaseProducer = self.client().create().unwrap();
        let payload = "x".repeat(bytes);
        for _ in 0..records {
            for partition in 0..partitions {
                let mut record = BaseRecord::<(), str>::to(topic).partition(partition).payload(&payload);
                while let Err((_, refused)) = producer.send(record) {
                    producer.poll(Duration::from_millis(1)); // its queue is full
                    record = refused;
                }
            }
        }
        producer.flush(PATIENCE).unwrap();
    }

    /// Reads so many records from the begin of all partitions; the offsets of each follow each other.
    fn read(&self, topic: &str, partitions: i32, records: usize) {
        let consumer: BaseConsumer = self.client().set("group.id", "reader").create().unwrap();
        let mut assignment = TopicPartitionList::new();
        for partition in 0..partitions {
            assignment.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
        }
        consumer.assign(&assignment).unwrap();
        let mut next = vec![0; partitions as usize];
        let deadline = Instant::now() + PATIENCE;
        for count in 0..records {
            let message = loop {
                assert!(Instant::now() < deadline, "{count} of {records} records");
                if let Some(message) = consumer.poll(Duration::from_secs(1)) {
                    break message.unwrap();
                }
            };
            let next = &mut next[message.partition() as usize];
            assert_eq!(message.offset(), *next, "{topic}-{}", message.partition());
            *next += 1;
        }
    }

    /// Ends it as an operator does.
    fn stop(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Bd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How many files this process may have open.
fn limit() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    line.split_whitespace().nth(3).unwrap().parse().unwrap_or(usize::MAX)
}

#[test]
fn ten_thousand_idle_connections_cost_little_memory_each() {
    let count = 10_000.min(limit().saturating_sub(500));
    if count < 1_000 {
        println!("skipped: only {} files may be open (ulimit -n)", limit());
        return;
    }
    let data = tempfile::tempdir().unwrap();
    let bd = Bd::start(data.path());
    drop(bd.connect());
    let (before, begin) = (bd.rss(), Instant::now());
    let mut connections: Vec<TcpStream> = (0..count).map(|_| bd.connect()).collect();
    let each = (bd.rss() - before) as f64 / count as f64;
    println!("{count} idle connections: {each:.1} KiB each, opened in {:?}", begin.elapsed());
    assert!(each < 24.0, "{each} KiB for an idle connection");
    // All of them are still served.
    connections.iter_mut().step_by(97).for_each(|socket| bd.ask(socket));
}

#[test]
fn what_a_client_claims_to_send_takes_no_memory() {
    let data = tempfile::tempdir().unwrap();
    let bd = Bd::start(data.path());
    drop(bd.connect());
    let before = bd.rss();
    let claim = |begin: &[u8]| {
        let mut socket = TcpStream::connect(&bd.address).unwrap();
        socket.write_all(begin).unwrap();
        socket
    };
    // A produce request of 100 MB of which only the begin comes; half a length; half a frame.
    let large =
        [&99_000_000i32.to_be_bytes()[..], &[0, 0, 0, 9, 0, 0, 0, 1, 0, 1, b'c', 0, 0, 0xff]].concat();
    let held: Vec<TcpStream> = (0..200)
        .flat_map(|_| [claim(&large), claim(&[0, 0]), claim(&[0, 0, 0, 99, 0, 18, 0, 0, 0])])
        .collect();
    let others = Instant::now();
    drop(bd.connect());
    println!("others are answered in {:?} beside {} such clients", others.elapsed(), held.len());
    let grown = bd.rss().saturating_sub(before);
    println!("200 claims of 99 MB and 400 of half a frame: {grown} KiB");
    assert!(grown < 64 << 10, "{grown} KiB for what was only claimed");
}

/// A Fetch request (version 4) of all that there is of a topic's partition 0, to the most.
fn fetch(topic: &str) -> Vec<u8> {
    const MOST: i32 = 50 << 20;
    let mut frame = [0, 1, 0, 4, 0, 0, 0, 1, 255, 255].to_vec();
    for number in [-1, 1_000, 1, MOST] {
        frame.extend(i32::to_be_bytes(number)); // replica, wait, least and most bytes
    }
    frame.push(0);
    frame.extend([0, 0, 0, 1, 0, topic.len() as u8]);
    frame.extend(topic.bytes());
    frame.extend([0, 0, 0, 1, 0, 0, 0, 0]);
    frame.extend(0i64.to_be_bytes());
    frame.extend(MOST.to_be_bytes());
    [&(frame.len() as u32).to_be_bytes()[..], &frame].concat()
}

#[test]
fn clients_that_ask_for_much_and_never_read_take_little_memory_and_hinder_nobody() {
    const SLOW: usize = 200;
    let data = tempfile::tempdir().unwrap();
    let bd = Bd::start(data.path());
    bd.create_topic("much", 1);
    bd.fill("much", 1, 40_000, 1_000);
    bd.read("much", 1, 40_000);
    let (before, begin) = (bd.rss(), Instant::now());
    bd.read("much", 1, 40_000);
    let alone = begin.elapsed();
    let slow: Vec<TcpStream> = (0..SLOW)
        .map(|_| {
            let mut socket = TcpStream::connect(&bd.address).unwrap();
            // 40 MB each time.
            socket.write_all(&fetch("much").repeat(20)).unwrap();
            socket.peek(&mut [0]).unwrap(); // the answer has begun
            socket
        })
        .collect();
    let begin = Instant::now();
    bd.fill("much", 1, 1_000, 1_000);
    bd.read("much", 1, 41_000);
    let grown = bd.rss().saturating_sub(before);
    println!(
        "{} clients that never read: {grown} KiB; beside them 1 MB is written and 41 MB read in {:?} (40 MB alone: {alone:?})",
        slow.len(),
        begin.elapsed()
    );
    assert!(grown < 64 << 10, "{grown} KiB for answers that nobody reads");
}

#[test]
fn one_consumer_reads_a_thousand_partitions() {
    const COUNT: i32 = 1_000;
    let data = tempfile::tempdir().unwrap();
    let bd = Bd::start(data.path());
    bd.create_topic("wide", COUNT);
    bd.fill("wide", COUNT, 50, 200);
    for when in ["from the page cache", "once more"] {
        let begin = Instant::now();
        bd.read("wide", COUNT, 50 * COUNT as usize);
        println!("50 records of each of {COUNT} partitions, {when}: {:?}, {} KiB", begin.elapsed(), bd.rss());
    }
    assert!(bd.rss() < 200 << 10, "{} KiB", bd.rss());
    // Opened again as a kill leaves them.
    drop(bd);
    let bd = Bd::start(data.path());
    bd.read("wide", COUNT, 50 * COUNT as usize);
    bd.stop();
}

#[test]
fn ten_thousand_partitions_take_few_files_and_little_time() {
    const COUNT: i32 = 10_000;
    let data = tempfile::tempdir().unwrap();
    let bd = Bd::start(data.path());
    let before = bd.rss();
    let begin = Instant::now();
    for number in 0..10 {
        bd.create_topic(&format!("many-{number}"), COUNT / 10);
    }
    let each = (bd.rss() - before) as f64 / f64::from(COUNT);
    let (files, taken) = (bd.open_files(), begin.elapsed());
    println!("{COUNT} partitions: created in {taken:?}, {each:.2} KiB each, {files} files open");
    assert!(each < 8.0 && files < 12_000, "{each} KiB and {files} files");
    drop(bd);
    for end in ["kill -9", "a clean stop", "a clean stop"] {
        let begin = Instant::now();
        let bd = Bd::start(data.path());
        drop(bd.connect());
        println!(
            "after {end} it answers in {:?}, {} files open, {} KiB",
            begin.elapsed(),
            bd.open_files(),
            bd.rss()
        );
        assert!(begin.elapsed() < Duration::from_secs(30));
        bd.stop();
    }
}
