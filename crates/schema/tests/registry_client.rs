//! The registry's client against a server that answers as it is told; against the real one it is tested with the registry.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use bd_schema::{NewSchema, RegistryClient, RegistryError, SchemaRegistry};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Debug, Clone, PartialEq)]
struct Asked {
    /// `GET /path`
    what: String,
    body: String,
    /// `name: value`, lower case names.
    headers: Vec<String>,
}

struct Server {
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// Answers with status and body; status 0 is silence, with the line held open.
    fn start(answer: impl Fn(&Asked) -> (u16, String) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = asked.clone();
        std::thread::spawn(move || {
            let mut silent = Vec::new();
            for stream in listener.incoming() {
                let mut stream = BufReader::new(stream.unwrap());
                let mut line = String::new();
                stream.read_line(&mut line).unwrap();
                let what = line.rsplit_once(' ').unwrap().0.to_owned();
                let (mut headers, mut length) = (Vec::new(), 0);
                loop {
                    line.clear();
                    stream.read_line(&mut line).unwrap();
                    let Some((name, value)) = line.trim_end().split_once(": ") else { break };
                    let name = name.to_ascii_lowercase();
                    if name == "content-length" {
                        length = value.parse().unwrap();
                    }
                    headers.push(format!("{name}: {value}"));
                }
                let mut body = vec![0; length];
                stream.read_exact(&mut body).unwrap();
                let one = Asked { what, body: String::from_utf8(body).unwrap(), headers };
                log.lock().unwrap().push(one.clone());
                let (status, body) = answer(&one);
                let mut stream = stream.into_inner();
                if status == 0 {
                    silent.push(stream);
                    continue;
                }
                let head = format!(
                    "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                stream.write_all((head + &body).as_bytes()).unwrap();
            }
        });
        Self { url, asked }
    }

    fn always(status: u16, body: &str) -> Self {
        let body = body.to_owned();
        Self::start(move |_| (status, body.clone()))
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|a| a.what.clone()).collect()
    }

    fn client(&self) -> RegistryClient {
        RegistryClient::new(&self.url)
    }
}

#[test]
fn a_schema_is_asked_for_once() {
    let server = Server::always(200, r#"{"schema":"\"long\""}"#);
    let client = server.client();
    for _ in 0..2 {
        assert_eq!(&*client.schema(7).unwrap().text, "\"long\"");
    }
    assert_eq!(server.asked(), ["GET /schemas/ids/7"]);
    let accept = "accept: application/vnd.schemaregistry.v1+json".to_owned();
    assert!(server.asked.lock().unwrap()[0].headers.contains(&accept));
}

#[test]
fn a_schema_over_several_subjects_comes_as_one() {
    let server = Server::start(|asked| {
        let (schema, references) = match asked.what.as_str() {
            "GET /schemas/ids/7" => (
                r#"[\"a.A\",\"a.B\"]"#,
                r#"[{"name":"a.A","subject":"a-A","version":2},{"name":"a.B","subject":"a/B","version":1}]"#,
            ),
            "GET /subjects/a-A/versions/2" => {
                (r#"{\"type\":\"enum\",\"name\":\"a.A\",\"symbols\":[\"X\"]}"#, "[]")
            }
            _ => (
                r#"{\"type\":\"record\",\"name\":\"B\",\"namespace\":\"a\",\"fields\":[{\"name\":\"f\",\"type\":\"A\"}]}"#,
                r#"[{"name":"a.A","subject":"a-A","version":2}]"#,
            ),
        };
        (200, format!(r#"{{"schema":"{schema}","references":{references}}}"#))
    });
    assert_eq!(
        &*server.client().schema(7).unwrap().whole(),
        r#"[{"type":"enum","name":"a.A","symbols":["X"]},{"type":"record","name":"B","namespace":"a","fields":[{"name":"f","type":"A"}]}]"#
    );
    let asked = ["GET /schemas/ids/7", "GET /subjects/a-A/versions/2", "GET /subjects/a%2FB/versions/1"];
    assert_eq!(server.asked(), asked);
}

#[test]
fn an_unknown_id_is_not_asked_for_again_at_once() {
    let server = Server::always(404, r#"{"error_code":40403,"message":"Schema 7 not found"}"#);
    let client = server.client();
    for _ in 0..3 {
        assert_eq!(client.schema(7), Err(RegistryError::UnknownId(7)));
    }
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn a_schema_is_registered_once_under_its_subject() {
    let server = Server::always(200, r#"{"id":3}"#);
    let client = server.client();
    for _ in 0..2 {
        assert_eq!(client.register("a/b c-value", &NewSchema::avro("\"long\"")), Ok(3));
    }
    assert_eq!(server.asked(), ["POST /subjects/a%2Fb%20c-value/versions"]);
    let asked = server.asked.lock().unwrap();
    assert_eq!(asked[0].body, r#"{"schema":"\"long\""}"#);
    assert!(asked[0].headers.contains(&"content-type: application/vnd.schemaregistry.v1+json".to_owned()));
}

#[test]
fn what_the_registry_refuses_is_told_in_its_words() {
    for (status, code, message) in [(409, 409, "is incompatible"), (422, 42201, "Invalid schema")] {
        let server = Server::always(status, &format!(r#"{{"error_code":{code},"message":"{message}"}}"#));
        let error = server.client().register("s", &NewSchema::avro("{}")).unwrap_err();
        assert_eq!(error, RegistryError::Refused { subject: "s".into(), code, reason: message.into() });
    }
}

#[test]
fn the_latest_version_is_found_or_not() {
    let server = Server::start(|asked| match asked.what.as_str() {
        "GET /subjects/a/versions/latest" => {
            (200, r#"{"subject":"a","version":2,"id":5,"schema":"\"int\""}"#.into())
        }
        _ => (404, r#"{"error_code":40401,"message":"Subject 'b' not found."}"#.into()),
    });
    let latest = server.client().latest("a").unwrap().unwrap();
    assert_eq!((latest.id, latest.version, &*latest.schema.text), (5, 2, "\"int\""));
    assert_eq!(server.client().latest("b"), Ok(None));
}

fn is_away<T: std::fmt::Debug>(answer: Result<T, RegistryError>, reason: &str) {
    match answer {
        Err(RegistryError::Unavailable { reason: found, .. }) => assert!(found.contains(reason), "{found}"),
        other => panic!("{other:?}, not away for {reason}"),
    }
}

#[test]
fn a_registry_that_does_not_answer_for_itself_is_away() {
    for (status, body, reason) in [
        (
            500,
            r#"{"error_code":50001,"message":"Error in the backend data store"}"#,
            "500 Error in the backend",
        ),
        (429, "slow down", "429 slow down"),
        (401, r#"{"error_code":401,"message":"Unauthorized"}"#, "401 Unauthorized"),
        (404, "<html>no such page</html>", "404 <html>"),
        (200, "<html>welcome</html>", "no JSON"),
        (200, "{}", "holds no"),
    ] {
        let server = Server::always(status, body);
        is_away(server.client().schema(7), reason);
        is_away(server.client().register("s", &NewSchema::avro("{}")), reason);
        is_away(server.client().latest("s"), reason);
    }
    let silent = Server::always(0, "");
    is_away(silent.client().with_timeout(Duration::from_millis(50)).schema(7), "timeout");
    is_away(RegistryClient::new(&closed()).schema(7), "refused");
    is_away(RegistryClient::new("").schema(7), "no URL");
}

/// A URL where nobody listens.
fn closed() -> String {
    format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap())
}

#[test]
fn of_several_urls_the_first_that_answers_is_taken_and_kept_to() {
    let bad = Server::always(503, "");
    let good = Server::always(200, r#"{"schema":"\"int\""}"#);
    let client = RegistryClient::new(&format!("{}, {},{}/", closed(), bad.url, good.url));
    client.schema(1).unwrap();
    client.schema(2).unwrap();
    assert_eq!((bad.asked().len(), good.asked().len()), (1, 2));
}

#[test]
fn a_path_is_kept_and_credentials_are_sent() {
    let server = Server::always(200, r#"{"schema":"\"int\""}"#);
    let host = server.url.strip_prefix("http://").unwrap();
    RegistryClient::new(&format!("http://us%20er:p%40ss@{host}/api/v7/")).schema(1).unwrap();
    RegistryClient::new(&server.url).with_basic_auth("us er:p@ss").schema(1).unwrap();
    assert_eq!(server.asked(), ["GET /api/v7/schemas/ids/1", "GET /schemas/ids/1"]);
    for asked in server.asked.lock().unwrap().iter() {
        assert!(asked.headers.contains(&"authorization: Basic dXMgZXI6cEBzcw==".to_owned()), "{asked:?}");
    }
}
