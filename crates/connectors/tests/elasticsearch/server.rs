//! A server that takes bulk requests and does as its script says.
#![allow(dead_code, reason = "not every test uses all of it")]

use serde_json::{Value as Json, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the server got.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: String,
}

impl Request {
    /// The lines of a bulk request.
    pub(crate) fn lines(&self) -> Vec<Json> {
        self.body.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    }
}

/// What the server does next with a bulk request.
#[derive(Clone)]
pub(crate) enum Act {
    /// Answers each item with its status in turn (the last for all others).
    Items(Vec<u16>),
    /// An answer of that status, headers and body.
    Whole(u16, &'static str, &'static str),
    /// Accepts, and says nothing for so long.
    Silent(Duration),
    /// Closes the connection instead of answering.
    Close,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) script: Vec<Act>,
    pub(crate) requests: Vec<Request>,
    pub(crate) connections: usize,
    /// The status of HEAD.
    pub(crate) head: u16,
    pub(crate) put: Option<(u16, &'static str)>,
}

pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) state: Arc<Mutex<State>>,
}

impl Server {
    pub(crate) fn start(script: Vec<Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State { script, head: 404, ..State::default() }));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let state = Arc::clone(&shared);
                state.lock().unwrap().connections += 1;
                std::thread::spawn(move || serve(stream.unwrap(), &state));
            }
        });
        Self { url, state }
    }

    pub(crate) fn requests(&self, method: &str) -> Vec<Request> {
        let state = self.state.lock().unwrap();
        state.requests.iter().filter(|r| r.method == method).cloned().collect()
    }
}

/// Reads one request; `None` at the end of the connection.
fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let header = header.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { method, path, body: String::from_utf8(body).unwrap() })
}

fn serve(stream: TcpStream, state: &Mutex<State>) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    while let Some(request) = read_request(&mut reader) {
        let (act, head, put) = {
            let mut state = state.lock().unwrap();
            state.requests.push(request.clone());
            let bulk = request.method == "POST";
            let act = (bulk && !state.script.is_empty()).then(|| state.script.remove(0));
            (act, state.head, state.put)
        };
        let (status, headers, body) = match (request.method.as_str(), act) {
            ("HEAD", _) => (head, "", String::new()),
            ("PUT", _) => {
                put.map_or((200, "", "{}".to_owned()), |(status, body)| (status, "", body.to_owned()))
            }
            ("POST", Some(Act::Close)) => return,
            ("POST", Some(Act::Silent(wait))) => {
                std::thread::sleep(wait);
                return;
            }
            ("POST", Some(Act::Whole(status, headers, body))) => (status, headers, body.to_owned()),
            ("POST", Some(Act::Items(statuses))) => (200, "", items(&request, &statuses)),
            ("POST", None) => (200, "", items(&request, &[200])),
            _ => (200, "", "{}".to_owned()),
        };
        let length = if request.method == "HEAD" { 0 } else { body.len() };
        let answer = format!("HTTP/1.1 {status} x\r\n{headers}content-length: {length}\r\n\r\n{body}");
        if writer.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn items(request: &Request, statuses: &[u16]) -> String {
    let actions = request.lines().into_iter().filter_map(|line| {
        let (name, _) = line.as_object()?.iter().next()?;
        ["create", "index", "delete", "update"].contains(&name.as_str()).then(|| name.clone())
    });
    let items: Vec<Json> = actions
        .enumerate()
        .map(|(i, name)| {
            let status = statuses.get(i).or(statuses.last()).copied().unwrap();
            let error = match status {
                200..=299 => Json::Null,
                404 => json!({"type": "index_not_found_exception", "reason": "no such index"}),
                _ => json!({"type": "some_exception", "reason": "told so"}),
            };
            json!({ name: {"status": status, "error": error} })
        })
        .collect();
    json!({"took": 1, "errors": statuses.iter().any(|s| *s >= 300), "items": items}).to_string()
}
