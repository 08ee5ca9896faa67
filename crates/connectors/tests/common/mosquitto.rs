//! A private Mosquitto for tests: own port, own folder, ended with the test.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "helpers of tests; not every test uses all"
)]

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running broker.
pub struct Mosquitto {
    child: Option<Child>,
    folder: tempfile::TempDir,
    port: u16,
}

impl Mosquitto {
    /// Starts one that keeps its sessions and limits nothing.
    pub fn start() -> Self {
        Self::start_with("max_queued_messages 0\nmax_inflight_messages 0\n")
    }

    /// Starts one with these lines of configuration beside listener and persistence.
    pub fn start_with(lines: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let path = folder.path().display();
        let anonymous = if lines.contains("allow_anonymous") { "" } else { "allow_anonymous true\n" };
        let user = if is_root() { "user root\n" } else { "" };
        let text = format!(
            "listener {port} 127.0.0.1\npersistence true\npersistence_location {path}/\nlog_dest file {path}/log\n\
             {anonymous}{user}{lines}"
        );
        std::fs::write(folder.path().join("mosquitto.conf"), text).unwrap();
        let mut broker = Self { child: None, folder, port };
        broker.run();
        broker
    }

    /// Starts it again after [`Self::stop`] or [`Self::kill`], on the same port and folder.
    pub fn run(&mut self) {
        let config = self.folder.path().join("mosquitto.conf");
        let program = ["/usr/sbin/mosquitto", "/usr/bin/mosquitto", "/usr/local/sbin/mosquitto"]
            .into_iter()
            .find(|p| std::path::Path::new(p).exists())
            .unwrap_or("mosquitto");
        let child =
            Command::new(program).arg("-c").arg(config).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child =
            child.unwrap_or_else(|e| panic!("Mosquitto does not start ({e}): run `make setup` first"));
        self.child = Some(child);
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < deadline, "Mosquitto does not answer: {}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends it in order: it saves its sessions.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            Command::new("kill").arg("-TERM").arg(child.id().to_string()).status().unwrap();
            child.wait().unwrap();
        }
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it listens, as `tcp://127.0.0.1:PORT`.
    pub fn uri(&self) -> String {
        format!("tcp://127.0.0.1:{}", self.port)
    }

    /// The folder of its files.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// What it logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// `mosquitto_pub` with these arguments, for a message from its standard input or arguments.
    pub fn publisher(&self, arguments: &[&str]) -> Child {
        let mut command = Command::new("mosquitto_pub");
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]).args(arguments).stdin(Stdio::piped());
        command
            .spawn()
            .unwrap_or_else(|e| panic!("mosquitto_pub does not start ({e}): run `make setup` first"))
    }

    /// Publishes lines to a topic, one message each, and waits until the broker has them all.
    pub fn publish_lines(&self, topic: &str, qos: u8, lines: impl IntoIterator<Item = String>) {
        let mut child = self.publisher(&["-t", topic, "-q", &qos.to_string(), "-l"]);
        let mut stdin = child.stdin.take().unwrap();
        let mut text = String::new();
        for line in lines {
            text.push_str(&line);
            text.push('\n');
        }
        stdin.write_all(text.as_bytes()).unwrap();
        drop(stdin);
        assert!(child.wait().unwrap().success(), "mosquitto_pub failed");
    }

    /// Publishes one payload as it is.
    pub fn publish(&self, topic: &str, qos: u8, payload: &[u8]) {
        let input = if payload.is_empty() { "-n" } else { "-s" };
        let mut child = self.publisher(&["-t", topic, "-q", &qos.to_string(), input]);
        let _ = child.stdin.take().unwrap().write_all(payload);
        assert!(child.wait().unwrap().success(), "mosquitto_pub failed");
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        self.kill();
    }
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout.trim_ascii() == b"0")
}
