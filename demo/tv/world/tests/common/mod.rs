//! Shared by the tests: worlds of their own on free ports.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "each test file uses a part; helpers of tests may panic"
)]

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tv_world::layout::{Layout, Ports};
use tv_world::process::Process;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_tv-world");

/// A DATA folder and ports; what runs in it ends with it.
pub(crate) struct Place {
    pub(crate) dir: TempDir,
    pub(crate) layout: Layout,
    pub(crate) ports: Ports,
}

/// A port that nobody listens on, below those that the system gives to clients.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let base = 20_000 + (std::process::id() % 1000) as u16 * 12;
    loop {
        let port = base + NEXT.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

impl Place {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        // A folder as people have them.
        let layout = Layout::new(&dir.path().join("my data é")).unwrap();
        let ports =
            Ports { mariadb_port: free_port(), mosquitto_port: free_port(), weather_port: free_port() };
        Self { dir, layout, ports }
    }

    /// The options that say which folder and ports.
    pub(crate) fn options(&self) -> Vec<String> {
        vec![
            format!("--data={}", self.layout.data.display()),
            format!("--mariadb-port={}", self.ports.mariadb_port),
            format!("--mosquitto-port={}", self.ports.mosquitto_port),
            format!("--weather-port={}", self.ports.weather_port),
        ]
    }

    /// `tv-world COMMAND... OPTIONS`.
    pub(crate) fn command(&self, command: &[&str]) -> Command {
        let mut all = Command::new(PROGRAM);
        all.args(command).args(self.options()).stdin(Stdio::null());
        all
    }

    pub(crate) fn servers(&self, command: &[&str]) -> String {
        let mut all = vec!["servers"];
        all.extend(command);
        let output = self.command(&all).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        text(&output)
    }

    /// The pid of a process of this world.
    pub(crate) fn pid(&self, name: &'static str) -> Option<i32> {
        Process::running(name, &self.layout.run()).unwrap().map(|p| p.pid())
    }

    pub(crate) fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.layout.logs().join(format!("{name}.log"))).unwrap_or_default()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for name in ["world", "bd", "mosquitto", "mariadb", "mariadb-init"] {
            if let Ok(Some(mut process)) = Process::running(name, &self.layout.run()) {
                process.kill();
                process.wait(Duration::from_secs(5));
            }
        }
    }
}

pub(crate) fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Ends with the test, however that ends.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }

    pub(crate) fn signal(&self, name: &str) {
        let status =
            Command::new("kill").args([&format!("-{name}"), &self.0.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    pub(crate) fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    pub(crate) fn end(&mut self, within: Duration) -> std::process::ExitStatus {
        let mut status = None;
        wait_for(within, "the end of a process", || {
            status = self.0.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until it is so.
pub(crate) fn wait_for(within: Duration, what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + within;
    while !is_so() {
        assert!(Instant::now() < end, "waited {within:?} for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Messages as they come to a subscriber with the session that bd's connector has: `mosquitto_sub` into a file.
pub(crate) struct Subscriber {
    running: Running,
    path: std::path::PathBuf,
}

impl Subscriber {
    pub(crate) fn start(place: &Place) -> Self {
        let path = place.dir.path().join("messages");
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&path).unwrap();
        let mut command = Command::new("mosquitto_sub");
        command.args(["-h", "127.0.0.1", "-p", &place.ports.mosquitto_port.to_string()]);
        command.args(["-i", "bd-tv-actions", "-c", "-q", "2", "-t", "tv/+/actions", "-F", "%t %p"]);
        Self { running: Running::start(command.stdout(file)), path }
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        let text = String::from_utf8_lossy(&std::fs::read(&self.path).unwrap()).into_owned();
        // The last one may still be being written.
        text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).map(str::to_owned).collect()
    }

    pub(crate) fn id(&self) -> u32 {
        self.running.0.id()
    }
}

/// An HTTP GET: status and body.
pub(crate) fn get(url: &str) -> (u16, String) {
    let config = ureq::Agent::config_builder().http_status_as_error(false).build();
    let agent: ureq::Agent = config.into();
    let mut answer = agent.get(url).call().unwrap();
    (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
}

/// Lines of a file, once it is there.
pub(crate) fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}
