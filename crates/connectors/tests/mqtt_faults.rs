//! The MQTT source against brokers that refuse, fall silent or talk nonsense.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

#[path = "common/source.rs"]
mod source;

use bd_connect::sdk::TaskError;
use bd_connectors::mqtt::MqttSource;
use source::Worker;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;

const CONNACK: &[u8] = b"\x20\x02\x00\x00";

/// A broker that runs this on its only connection, CONNECT being read.
fn broker(serve: impl FnOnce(TcpStream) + Send + 'static) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("tcp://{}", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        assert_eq!(packet(&mut stream)[0], 0x10);
        serve(stream);
    });
    (uri, thread)
}

/// A short packet.
fn packet(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = vec![0; 2];
    stream.read_exact(&mut bytes).unwrap();
    let mut rest = vec![0; usize::from(bytes[1])];
    stream.read_exact(&mut rest).unwrap();
    bytes.extend(rest);
    bytes
}

fn worker(uri: &str) -> Worker {
    let config = [
        ("mqtt.server.uri", uri),
        ("mqtt.topics", "a,b"),
        ("mqtt.qos", "2"),
        ("mqtt.clean.session.enabled", "false"),
        ("mqtt.connect.timeout.seconds", "1"),
        ("mqtt.keepalive.interval.seconds", "1"),
        ("kafka.topic", "t"),
    ];
    Worker::new(Arc::new(MqttSource), &config)
}

/// Opens and polls until it fails.
fn failure(uri: &str) -> TaskError {
    let mut worker = worker(uri);
    match worker.open() {
        Ok(mut task) => worker.failure(&mut task),
        Err(error) => error,
    }
}

fn fatal(error: &TaskError, parts: &[&str]) {
    let TaskError::Fatal(message) = error else { panic!("{error} is not fatal") };
    for part in parts {
        assert!(message.contains(part), "{message} lacks {part}");
    }
}

fn retriable(error: &TaskError, part: &str) {
    assert!(matches!(error, TaskError::Retriable(m) if m.contains(part)), "{error:?} lacks {part}");
}

#[test]
fn refusals_of_connect_say_what_to_check() {
    for (code, part) in [(1, "3.1.1"), (2, "mqtt.client.id"), (4, "mqtt.password"), (5, "mqtt.username")] {
        let (uri, thread) = broker(move |mut s| s.write_all(&[0x20, 2, 0, code]).unwrap());
        fatal(&failure(&uri), &[part, &format!("CONNACK {code}"), &uri]);
        thread.join().unwrap();
    }
    let (uri, thread) = broker(|mut s| s.write_all(&[0x20, 2, 0, 3]).unwrap());
    retriable(&failure(&uri), "not available");
    thread.join().unwrap();
}

#[test]
fn a_refused_subscription_is_fatal_and_named() {
    let (uri, thread) = broker(|mut s| {
        s.write_all(CONNACK).unwrap();
        assert_eq!(packet(&mut s), b"\x82\x0A\0\x01\0\x01a\x02\0\x01b\x02");
        assert_eq!(packet(&mut s), [0xC0, 0]);
        s.write_all(b"\x90\x04\0\x01\x02\x80").unwrap();
        let _ = s.read(&mut [0; 16]);
    });
    fatal(&failure(&uri), &["subscription to b", "0x80"]);
    thread.join().unwrap();
}

#[test]
fn silence_is_noticed_at_every_stage() {
    let (uri, thread) = broker(|mut s| while s.read(&mut [0; 16]).is_ok_and(|n| n > 0) {});
    retriable(&failure(&uri), "did not answer CONNECT");
    thread.join().unwrap();
    let (uri, thread) = broker(|mut s| {
        s.write_all(CONNACK).unwrap();
        while s.read(&mut [0; 16]).is_ok_and(|n| n > 0) {}
    });
    retriable(&failure(&uri), "did not answer SUBSCRIBE");
    thread.join().unwrap();
    let (uri, thread) = broker(|mut s| {
        s.write_all(CONNACK).unwrap();
        packet(&mut s);
        assert_eq!(packet(&mut s), [0xC0, 0]);
        s.write_all(b"\x90\x04\0\x01\x02\x02\xD0\0").unwrap();
        assert_eq!(packet(&mut s), [0xC0, 0]);
        while s.read(&mut [0; 16]).is_ok_and(|n| n > 0) {}
    });
    retriable(&failure(&uri), "no answer to a ping");
    thread.join().unwrap();
}

#[test]
fn nonsense_ends_the_connection() {
    let cases: [(&[u8], &str); 4] = [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "is it an MQTT broker?"),
        (b"\x30\xFF\xFF\xFF\xFF\x01", "remaining length"),
        (b"\x20\x02\0\0\x36\x05\0\x01a\0\x01", "QoS 3"),
        (b"\x20\x02\0\0\x90\xFF\xFF\xFF\x7F", "type 9"),
    ];
    for (bytes, part) in cases {
        let (uri, thread) = broker(move |mut s| {
            s.write_all(bytes).unwrap();
            // The last case announces a packet of 256 MB; all that matters of it is here by then.
            let _ = s.write_all(&vec![0; 200 << 10]);
            while s.read(&mut [0; 16]).is_ok_and(|n| n > 0) {}
        });
        retriable(&failure(&uri), part);
        thread.join().unwrap();
    }
}

#[test]
fn answers_go_out_only_after_the_commit() {
    let (uri, thread) = broker(|mut s| {
        s.write_all(CONNACK).unwrap();
        packet(&mut s);
        packet(&mut s);
        s.write_all(b"\x90\x04\0\x01\x02\x02\xD0\0\x34\x05\0\x01a\0\x07").unwrap();
        // The first packet after the message tells that it is committed: PUBREC, then PUBCOMP only after PUBREL.
        assert_eq!(packet(&mut s), b"\x50\x02\0\x07");
        // Sent again: answered again, not written again.
        s.write_all(b"\x3C\x05\0\x01a\0\x07").unwrap();
        assert_eq!(packet(&mut s), b"\x50\x02\0\x07");
        s.write_all(b"\x62\x02\0\x07").unwrap();
        assert_eq!(packet(&mut s), b"\x70\x02\0\x07");
        // Of an exchange that is over: answered at once.
        s.write_all(b"\x62\x02\0\x07").unwrap();
        assert_eq!(packet(&mut s), b"\x70\x02\0\x07");
    });
    let mut worker = worker(&uri);
    let mut task = worker.open().unwrap();
    let mut open = Vec::new();
    let error = loop {
        match task.poll(std::time::Duration::from_millis(100)) {
            Ok(Some(polled)) => {
                worker.commit(polled);
                open.push(worker.offset()["open"].to_string());
                task.committed().unwrap();
            }
            Ok(None) => {}
            Err(error) => break error,
        }
    };
    thread.join().unwrap();
    retriable(&error, "is lost");
    assert_eq!(worker.records.len(), 1);
    open.dedup();
    assert!(open.ends_with(&["[7]".to_owned(), "[]".to_owned()]), "{open:?}");
}
