//! Answers that a producer never gets: the connection breaks after its records were appended.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation fails the test")]

mod support;

use rdkafka::error::KafkaError;
use rdkafka::producer::Producer;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::*;

/// Stands between the clients and the broker.
#[derive(Default)]
struct Link {
    /// What the broker answers is lost.
    deaf: AtomicBool,
    /// Connections end as soon as they begin.
    closed: AtomicBool,
    streams: Mutex<Vec<TcpStream>>,
}

impl Link {
    /// Takes connections on `listener` for the broker at `broker`.
    fn run(self: Arc<Self>, listener: TcpListener, broker: Arc<Mutex<String>>) {
        std::thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                let server = TcpStream::connect(&*broker.lock().unwrap()).unwrap();
                let mut streams = self.streams.lock().unwrap();
                streams.extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
                if self.closed.load(Ordering::SeqCst) {
                    streams.drain(..).for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
                    continue;
                }
                self.clone().carry(client.try_clone().unwrap(), server.try_clone().unwrap(), false);
                self.clone().carry(server, client, true);
            }
        });
    }

    fn carry(self: Arc<Self>, mut from: TcpStream, mut to: TcpStream, answers: bool) {
        std::thread::spawn(move || {
            let mut bytes = vec![0; 1 << 16];
            while let Ok(read @ 1..) = from.read(&mut bytes) {
                if !(answers && self.deaf.load(Ordering::SeqCst)) && to.write_all(&bytes[..read]).is_err() {
                    break;
                }
            }
            let _ = to.shutdown(Shutdown::Both);
        });
    }

    /// Ends all connections, and those to come until `open`.
    fn cut(&self) {
        self.closed.store(true, Ordering::SeqCst);
        let mut streams = self.streams.lock().unwrap();
        streams.drain(..).for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
    }

    fn open(&self) {
        self.deaf.store(false, Ordering::SeqCst);
        self.closed.store(false, Ordering::SeqCst);
    }
}

/// A broker whose clients come by the link.
fn linked(dir: &std::path::Path) -> (TestBroker, Arc<Link>) {
    let link = Arc::new(Link::default());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let address = Arc::new(Mutex::new(String::new()));
    let mut server = start_advertised(dir, port);
    *address.lock().unwrap() = server.address.clone();
    server.address = format!("127.0.0.1:{port}");
    Arc::clone(&link).run(listener, address);
    (server, link)
}

/// Runs a transaction; `Err`: the client says that it has to be aborted or is dead.
fn commit(producer: &TestProducer, value: &str) -> Result<(), KafkaError> {
    producer.begin_transaction()?;
    producer.send("t", 0, value);
    producer.commit_transaction(PATIENCE)
}

/// librdkafka (2.12, 2.15) drops on abort what it was about to send again and gives its sequences to the next transaction's
/// records. Were these taken for the earlier ones, a committed transaction would lack them.
#[test]
fn what_follows_an_abort_is_never_taken_for_what_was_sent_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let (server, link) = linked(dir.path());
    let producer = server.transactional("tx");
    commit(&producer, "first").unwrap();

    producer.begin_transaction().unwrap();
    producer.send("t", 0, "registers the partition");
    producer.flush(PATIENCE).unwrap();
    let partition = server.broker.topics().partition("t", 0).unwrap();
    let before = partition.log().end_offset();
    link.deaf.store(true, Ordering::SeqCst);
    producer.send("t", 0, "its answer is lost");
    until("append", || {
        producer.poll(Duration::ZERO);
        partition.log().end_offset() > before
    });
    link.cut();
    until("purge", || {
        // Again, until the client has seen that the connection is broken.
        let _ = producer.abort_transaction(Duration::from_millis(50));
        producer.poll(Duration::ZERO);
        producer.in_flight_count() == 0
    });
    link.open();
    producer.abort_transaction(PATIENCE).unwrap();

    let mut expected = vec!["first"];
    let mut producer = producer;
    for value in ["second", "third", "fourth"] {
        match commit(&producer, value) {
            Ok(()) => expected.push(value),
            // Told is not lost.
            Err(error) => {
                assert_eq!(value, "second", "{error}");
                producer = server.transactional("tx");
            }
        }
    }
    assert_eq!(server.read_all("read_committed", "t"), expected);
    server.stop();
}
