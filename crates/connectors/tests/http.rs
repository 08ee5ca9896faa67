//! The HTTP source against a server: feeds by cursor, entities in turn, and every fault of a server.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

#[path = "common/source.rs"]
mod source;

use bd_connect::sdk::{SourceTask, TaskError};
use bd_connectors::http::HttpSource;
use serde_json::{Value, json};
use source::Worker;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A request: its first line, headers and body.
#[derive(Debug, Clone)]
struct Request {
    target: String,
    head: String,
    body: String,
}

impl Request {
    fn query(&self, name: &str) -> String {
        let (_, query) = self.target.split_once('?').unwrap();
        let mut pairs = query.split('&').filter_map(|p| p.split_once('='));
        pairs.find(|(n, _)| *n == name).unwrap().1.to_owned()
    }
}

/// What a server says to a request.
enum Reply {
    Json(Value),
    /// The server ends the connection after it without a word.
    Last(Value),
    Status(u16, &'static str, &'static str),
    Bytes(Vec<u8>),
    /// A byte every so often.
    Slow(Duration),
    /// The connection ends in the middle of the body.
    Cut,
}

struct Server {
    address: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    fn start(reply: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (log, reply) = (requests.clone(), Arc::new(reply));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, reply) = (log.clone(), reply.clone());
                std::thread::spawn(move || serve(stream, &log, reply.as_ref()));
            }
        });
        Self { address, requests }
    }

    fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, log: &Mutex<Vec<Request>>, reply: &dyn Fn(&Request) -> Reply) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut first = String::new();
        reader.read_line(&mut first).ok().filter(|n| *n > 0)?;
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
            if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = text.trim().parse().unwrap();
            }
            if line.trim().is_empty() {
                break;
            }
            head.push_str(&line);
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let target = first.split(' ').nth(1)?.to_owned();
        let request = Request { target, head, body: String::from_utf8(body).ok()? };
        log.lock().unwrap().push(request.clone());
        let reply = reply(&request);
        let last = matches!(reply, Reply::Last(_));
        let (status, headers, body) = match reply {
            Reply::Json(json) | Reply::Last(json) => {
                (200, "Content-Type: application/json\r\n", json.to_string().into_bytes())
            }
            Reply::Status(status, headers, body) => (status, headers, body.as_bytes().to_vec()),
            Reply::Bytes(bytes) => (200, "", bytes),
            Reply::Slow(pause) => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n").ok()?;
                for _ in 0..100 {
                    std::thread::sleep(pause);
                    stream.write_all(b"[").ok()?;
                }
                return None;
            }
            Reply::Cut => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[{").ok()?;
                return None;
            }
        };
        let head = format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(&body).ok()?;
        if last {
            return None;
        }
    }
}

/// The feed of the demo: `all` objects, a page of `limit` from the place that an opaque cursor names.
fn history(request: &Request, all: u64) -> Reply {
    let start: u64 = request.query("start").trim_start_matches("c-").parse().unwrap();
    let limit: u64 = request.query("limit").parse().unwrap();
    let end = (start + limit).min(all);
    let list: Vec<Value> = (start..end)
        .map(|n| json!({"id": n % 7, "name": format!("d{n}"), "coord": {"lon": 1.5, "lat": -2}, "dt": n}))
        .collect();
    Reply::Json(json!({"list": list, "next": format!("c-{end}")}))
}

fn feed(server: &Server, changes: &[(&str, &str)]) -> Worker {
    let url = format!("{}/data/2.5/history", server.address);
    let mut config = vec![
        ("http.request.url", url.as_str()),
        ("http.request.params", "start=${offset.cursor} & limit=1000"),
        ("http.request.secret.params", "appid=SECRETKEY"),
        ("http.offset.initial", "cursor=0"),
        ("http.response.list.pointer", "/list"),
        ("http.response.offset.pointer", "cursor=/next"),
        ("http.response.record.key.pointer", "/id"),
        ("http.timer.interval.millis", "50"),
        ("http.timer.catchup.interval.millis", "0"),
        ("kafka.topic", "device_locations"),
    ];
    config.extend_from_slice(changes);
    Worker::new(Arc::new(HttpSource), &config)
}

fn weather(server: &Server, changes: &[(&str, &str)]) -> Worker {
    let url = format!("{}/data/2.5/weather?appid=SECRETKEY", server.address);
    let mut config = vec![
        ("http.request.url", url.as_str()),
        ("http.request.params", "id=${entity.id}"),
        ("http.request.entities", "3,17..18"),
        ("http.response.record.key.pointer", "/id"),
        ("http.response.record.changed.pointer", "/dt"),
        ("http.response.record.fields", "id,name,coord.lon,coord.lat,visibility,dt"),
        ("http.timer.interval.millis", "50"),
        ("kafka.topic", "device_locations"),
    ];
    config.extend_from_slice(changes);
    Worker::new(Arc::new(HttpSource), &config)
}

/// The first failure of a feed whose server always says this.
fn failure(reply: impl Fn() -> Reply + Send + Sync + 'static) -> (TaskError, String) {
    let server = Server::start(move |_| reply());
    let mut worker = feed(&server, &[("http.client.read.timeout.millis", "200")]);
    let mut task = worker.open().unwrap();
    let error = worker.failure(&mut task);
    assert!(!error.to_string().contains("SECRETKEY"), "{error}");
    (error, format!("GET {}/data/2.5/history", server.address))
}

fn step(worker: &mut Worker, task: &mut Box<dyn SourceTask>) {
    worker.step(task).unwrap();
}

#[test]
fn a_feed_is_read_to_its_end_without_a_pause_and_then_at_intervals() {
    let server = Server::start(|r| history(r, 2500));
    let mut worker = feed(&server, &[("http.timer.interval.millis", "60000")]);
    let mut task = worker.open().unwrap();
    let start = Instant::now();
    worker.until(&mut task, "all records", |w| w.records.len() >= 2500);
    assert!(start.elapsed() < Duration::from_secs(5));
    for _ in 0..3 {
        step(&mut worker, &mut task);
    }
    let starts: Vec<String> = server.requests().iter().map(|r| r.query("start")).collect();
    assert_eq!(starts, ["0", "c-1000", "c-2000", "c-2500"]);
    assert_eq!(*worker.offset(), *json!({"cursor": "c-2500", "records": 2500}).as_object().unwrap());
    assert_eq!(worker.offsets.keys().collect::<Vec<_>>(), [r#"{"connector":"test"}"#]);
    assert_eq!(worker.records[8].key.as_deref(), Some("1"));
    assert_eq!(worker.records[8].text(), r#"{"id":1,"name":"d8","coord":{"lon":1.5,"lat":-2},"dt":8}"#);
    assert!(server.requests()[0].target.ends_with("&appid=SECRETKEY"));
}

#[test]
fn each_record_is_written_once_wherever_the_task_dies() {
    let server = Server::start(|r| history(r, 5300));
    let mut worker = feed(&server, &[]);
    let mut deaths = 0;
    while worker.records.len() < 5300 {
        let mut task = worker.open().unwrap();
        for turn in 0..3 {
            let Some(polled) = task.poll(Duration::from_millis(10)).unwrap() else { break };
            // Dies before the commit, after it, and later.
            if (deaths + turn) % 3 == 0 && turn > 0 {
                break;
            }
            worker.commit(polled);
            if deaths % 2 == 0 {
                break;
            }
            task.committed().unwrap();
        }
        deaths += 1;
    }
    let times: Vec<u64> = worker
        .records
        .iter()
        .map(|r| serde_json::from_slice::<Value>(&r.value).unwrap()["dt"].as_u64().unwrap())
        .collect();
    assert_eq!(times, (0..5300).collect::<Vec<_>>());
    assert_eq!(worker.offset()["records"], 5300);
}

#[test]
fn entities_are_asked_in_turn_and_written_when_they_changed() {
    let now = Arc::new(Mutex::new(100));
    let clock = now.clone();
    let server = Server::start(move |r| {
        let id: u64 = r.query("id").parse().unwrap();
        // Only 17 changes.
        let dt = if id == 17 { *clock.lock().unwrap() } else { 5 };
        Reply::Json(
            json!({"coord": {"lon": 1.0, "lat": 2.0}, "base": "stations", "visibility": 10, "dt": dt, "id": id, "name": "x"}),
        )
    });
    let mut worker = weather(&server, &[]);
    let mut task = worker.open().unwrap();
    worker.until(&mut task, "one each", |w| w.records.len() == 3);
    let keys = |w: &Worker| {
        let mut keys: Vec<_> = w.records.iter().map(|r| r.key.clone().unwrap()).collect();
        keys.sort();
        keys
    };
    assert_eq!(keys(&worker), ["17", "18", "3"]);
    let text = worker.records.iter().find(|r| r.key.as_deref() == Some("3")).unwrap().text();
    assert_eq!(text, r#"{"id":3,"name":"x","coord":{"lon":1.0,"lat":2.0},"visibility":10,"dt":5}"#);
    assert_eq!(worker.offsets[r#"{"id":"3"}"#], *json!({"changed": 5, "records": 1}).as_object().unwrap());
    // Some rounds bring nothing new, nor does a restart.
    let before = server.requests().len();
    worker.until(&mut task, "rounds", |_| server.requests().len() > before + 6);
    task = worker.open().unwrap();
    worker.until(&mut task, "rounds", |_| server.requests().len() > before + 12);
    assert_eq!(worker.records.len(), 3);
    *now.lock().unwrap() = 101;
    worker.until(&mut task, "the change", |w| w.records.len() > 3);
    assert_eq!(worker.records[3].key.as_deref(), Some("17"));
    assert_eq!(worker.offsets[r#"{"id":"17"}"#]["changed"], 101);
}

#[test]
fn places_are_asked_for_by_their_coordinates() {
    let server = Server::start(|r| Reply::Json(json!({"id": r.query("lat"), "dt": 1})));
    let mut worker = weather(
        &server,
        &[
            ("http.request.params", "lat=${entity.lat}&lon=${entity.lon}"),
            ("http.request.entities", "53.5:10.0,48.1:-11.6"),
            ("http.request.entity.fields", "lat,lon"),
        ],
    );
    let mut task = worker.open().unwrap();
    worker.until(&mut task, "both", |w| w.records.len() == 2);
    let mut targets: Vec<_> = server.requests().into_iter().map(|r| r.target).collect();
    targets.sort();
    assert!(targets[0].ends_with("?appid=SECRETKEY&lat=48.1&lon=-11.6"), "{targets:?}");
    assert!(worker.offsets.contains_key(r#"{"lat":"48.1","lon":"-11.6"}"#), "{:?}", worker.offsets);
}

#[test]
fn the_rate_limit_holds_over_all_entities() {
    let server = Server::start(|r| Reply::Json(json!({"id": r.query("id"), "dt": 1})));
    let changes = [
        ("http.rate.limit.per.minute", "600"),
        ("http.request.entities", "1..50"),
        ("http.timer.interval.millis", "1"),
    ];
    let mut worker = weather(&server, &changes);
    let mut task = worker.open().unwrap();
    let start = Instant::now();
    worker.until(&mut task, "six requests", |_| server.requests().len() >= 6);
    // Six requests have five pauses of 100 ms between them.
    assert!(start.elapsed() >= Duration::from_millis(500), "{:?}", start.elapsed());
}

#[test]
fn headers_body_and_login_are_sent() {
    let server = Server::start(|_| Reply::Json(json!({"list": [], "next": "c"})));
    let changes = [
        ("http.request.method", "POST"),
        ("http.request.headers", "X-Start: ${offset.cursor}, Accept: application/json"),
        ("http.request.body", "{\"from\": \"${offset.cursor}\"}"),
        ("http.auth.type", "Basic"),
        ("http.auth.user", "u"),
        ("http.auth.password", "p"),
    ];
    let mut worker = feed(&server, &changes);
    let mut task = worker.open().unwrap();
    worker.until(&mut task, "an answer", |w| !w.offsets.is_empty());
    let request = &server.requests()[0];
    let head = request.head.to_ascii_lowercase();
    for part in ["x-start: 0", "accept: application/json", "authorization: basic dtpw"] {
        assert!(head.contains(part), "{head} lacks {part}");
    }
    assert_eq!(request.body, r#"{"from": "0"}"#);
}

#[test]
fn statuses_that_pass_are_tried_again_and_say_what_came() {
    for status in [500, 502, 503, 408, 429] {
        let (error, shown) = failure(move || Reply::Status(status, "", "down for\r\nrepair, SECRETKEY"));
        let TaskError::Retriable(message) = &error else { panic!("{status}: {error:?}") };
        assert!(message.contains(&format!("{shown} answered {status}: down for  repair, ***")), "{message}");
    }
}

#[test]
fn a_server_that_says_when_to_come_back_is_obeyed() {
    let (error, _) = failure(|| Reply::Status(429, "Retry-After: 7\r\n", "slow down"));
    let TaskError::RetryAfter { message, wait } = &error else { panic!("{error:?}") };
    assert!(message.contains("429") && *wait == Duration::from_secs(7), "{error:?}");
    let (error, _) = failure(|| Reply::Status(429, "Retry-After: Tue, 31 Dec 2199 23:59:59 GMT\r\n", ""));
    assert!(
        matches!(&error, TaskError::RetryAfter { wait, .. } if *wait == Duration::from_secs(86400)),
        "{error:?}"
    );
    let (error, _) = failure(|| Reply::Status(503, "Retry-After: 1\r\n", ""));
    assert!(matches!(&error, TaskError::RetryAfter { .. }), "{error:?}");
}

#[test]
fn statuses_that_stay_are_fatal() {
    for (status, part) in
        [(401, "credentials"), (403, "credentials"), (404, "http.request.url"), (400, "http.request")]
    {
        let (error, shown) = failure(move || Reply::Status(status, "", "{\"message\": \"no\"}"));
        let TaskError::Fatal(message) = &error else { panic!("{status}: {error:?}") };
        assert!(
            message.contains(&format!("{shown} answered {status}")) && message.contains(part),
            "{message}"
        );
    }
}

#[test]
fn a_server_that_is_away_slow_or_cut_off_is_tried_again() {
    let start = Instant::now();
    let (error, _) = failure(|| Reply::Slow(Duration::from_millis(50)));
    assert!(matches!(&error, TaskError::Retriable(m) if m.contains("took too long")), "{error:?}");
    assert!(start.elapsed() < Duration::from_secs(4), "a byte now and then does not prolong it");
    let (error, _) = failure(|| Reply::Cut);
    assert!(matches!(&error, TaskError::Retriable(_)), "{error:?}");
    let mut worker =
        feed(&Server { address: "http://127.0.0.1:1".to_owned(), requests: Arc::default() }, &[]);
    let mut task = worker.open().unwrap();
    let error = worker.failure(&mut task);
    assert!(matches!(&error, TaskError::Retriable(m) if m.contains("127.0.0.1:1/data")), "{error:?}");
}

#[test]
fn a_connection_that_the_server_ended_is_replaced() {
    let server = Server::start(|r| match history(r, 5000) {
        Reply::Json(json) => Reply::Last(json),
        other => other,
    });
    let mut worker = feed(&server, &[("http.timer.catchup.interval.millis", "20")]);
    let mut task = worker.open().unwrap();
    worker.until(&mut task, "all records", |w| w.records.len() >= 5000);
    assert_eq!(worker.records.len(), 5000);
}

#[test]
fn a_server_without_tls_at_an_https_url_is_an_error() {
    let server = Server::start(|_| Reply::Json(json!({})));
    let url = server.address.replace("http:", "https:");
    let mut worker = feed(&server, &[("http.request.url", &url)]);
    let mut task = worker.open().unwrap();
    let error = worker.failure(&mut task);
    assert!(matches!(&error, TaskError::Retriable(m) if m.contains(&url)), "{error:?}");
}

#[test]
fn garbage_is_rejected_and_the_feed_goes_on_from_where_it_was() {
    let count = Arc::new(Mutex::new(0));
    let server = Server::start(move |r| {
        let mut count = count.lock().unwrap();
        *count += 1;
        match *count {
            1 => Reply::Bytes(b"<html>\xFF".to_vec()),
            2 => Reply::Json(json!({"items": []})),
            3 => Reply::Json(json!({"list": "x", "next": 7})),
            4 => Reply::Bytes(vec![b'['; 5000]),
            _ => history(r, 10),
        }
    });
    let mut worker = feed(&server, &[("http.response.max.bytes", "4000")]);
    let mut task = worker.open().unwrap();
    worker.until(&mut task, "the records", |w| w.records.len() == 10);
    let starts: Vec<String> = server.requests().iter().map(|r| r.query("start")).take(5).collect();
    assert_eq!(starts, ["0"; 5]);
    let reasons: Vec<_> = worker.rejected.iter().map(|r| r.reason.as_str()).collect();
    for (reason, part) in reasons.iter().zip(["no JSON", "no /list", "no list", "http.response.max.bytes"]) {
        assert!(reason.contains(part), "{reason} lacks {part}");
    }
    assert_eq!(worker.rejected[0].value.as_deref(), Some(&b"<html>\xFF"[..]));
    assert_eq!(worker.rejected[0].headers[0].1.as_deref(), Some(&br#"{"connector":"test"}"#[..]));
    assert_eq!((worker.rejected.len(), worker.offset()["records"].as_u64()), (4, Some(10)));
}

#[test]
fn members_that_are_no_object_are_rejected_and_the_rest_goes_on() {
    let server = Server::start(|_| Reply::Json(json!({"list": [{"id": 1}, 5, {"id": 2}], "next": "c"})));
    let mut worker = feed(&server, &[]);
    let mut task = worker.open().unwrap();
    worker.until(&mut task, "two records", |w| w.records.len() == 2);
    assert_eq!(worker.rejected.len(), 1);
    assert_eq!(worker.rejected[0].value.as_deref(), Some(&b"5"[..]));
    assert_eq!(*worker.offset(), *json!({"cursor": "c", "records": 3}).as_object().unwrap());
}
