//! The supervisor with real servers and a real simulator; in bd's place a script that fails as it is told to.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may panic")]

mod common;

use common::{PROGRAM, Place, Running, SOON, free_port, read, text, wait_for};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Says that a viewer is there; ends, hangs or dies as the pipeline file says.
const STAND_IN: &str = r#"#!/usr/bin/env python3
import http.server, os, signal, sys
mode = open(sys.argv[2]).read().strip()
print("role address", flush=True)
if mode == "dies":
    sys.exit("error: no such thing as a pipeline")
if mode == "hangs":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
class Answers(http.server.BaseHTTPRequestHandler):
    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b'[{"header":{}},{"row":{"columns":[3]}}]'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_GET = do_POST = answer
    def log_message(self, *_): pass
http.server.HTTPServer.allow_reuse_address = True
http.server.HTTPServer(("127.0.0.1", int(os.environ["STAND_IN_PORT"])), Answers).serve_forever()
"#;

struct Demo {
    place: Place,
    port: u16,
    unused: u16,
    output: PathBuf,
}

impl Demo {
    fn new(mode: &str) -> Self {
        let place = Place::new();
        let bd = place.dir.path().join("bd");
        std::fs::write(&bd, STAND_IN).unwrap();
        std::fs::set_permissions(&bd, std::fs::Permissions::from_mode(0o755)).unwrap();
        let demo =
            Self { output: place.dir.path().join("output"), place, port: free_port(), unused: free_port() };
        demo.mode(mode);
        demo
    }

    /// Another world with the same ports.
    fn beside(&self) -> Self {
        let mut other = Self::new("serves");
        (other.place.ports, other.port, other.unused) = (self.place.ports, self.port, self.unused);
        other
    }

    fn mode(&self, mode: &str) {
        std::fs::write(self.place.dir.path().join("tv.yaml"), mode).unwrap();
    }

    fn command(&self) -> Command {
        let mut command = Command::new(PROGRAM);
        let dir = self.place.dir.path().display();
        command.arg("demo").args(self.place.options()).arg("--users=100");
        command.arg(format!("--bd={dir}/bd")).arg(format!("--pipeline={dir}/tv.yaml"));
        for (role, port) in [("engine", self.port), ("connect", self.unused), ("search", self.unused)] {
            command.arg(format!("--{role}-url=http://127.0.0.1:{port}"));
        }
        command.arg(format!("--console-url=http://127.0.0.1:{}/", self.port));
        command.arg(format!("--bootstrap=127.0.0.1:{}", self.unused));
        command.env("STAND_IN_PORT", self.port.to_string()).stdin(Stdio::null());
        command
    }

    /// Starts it in a process group of its own, as a shell does, and waits for the URL.
    fn start(&self) -> Running {
        let running = self.begin();
        let end = Instant::now() + SOON;
        while !self.said("The dashboard shows data") {
            assert!(Instant::now() < end, "no URL: {}", read(&self.output));
            std::thread::sleep(Duration::from_millis(20));
        }
        wait_for(SOON, "MariaDB", || {
            self.place.pid("mariadb").is_some() && self.place.log("mariadb").contains("ready for connections")
        });
        running
    }

    fn begin(&self) -> Running {
        let file = std::fs::File::create(&self.output).unwrap();
        Running::start(self.command().stdout(file.try_clone().unwrap()).stderr(file).process_group(0))
    }

    fn said(&self, what: &str) -> bool {
        read(&self.output).contains(what)
    }

    fn pids(&self) -> [Option<i32>; 4] {
        ["world", "bd", "mosquitto", "mariadb"].map(|name| self.place.pid(name))
    }
}

/// Ctrl-C in a terminal: the whole process group gets it.
fn interrupt(running: &Running) {
    let group = format!("-{}", running.0.id());
    assert!(Command::new("kill").args(["-INT", "--", &group]).status().unwrap().success());
}

#[test]
fn it_starts_everything_shows_one_url_ends_with_ctrl_c_and_goes_on_from_its_data() {
    let demo = Demo::new("serves");
    let mut running = demo.start();
    assert!(demo.pids().iter().all(Option::is_some));
    assert_eq!(read(&demo.output).matches(&format!("http://127.0.0.1:{}/", demo.port)).count(), 1);
    interrupt(&running);
    assert_eq!(running.end(Duration::from_secs(8)).code(), Some(130));
    assert_eq!(demo.pids(), [None; 4]);
    assert!(!demo.said("is killed"), "{}", read(&demo.output));
    let mut running = demo.start();
    assert!(!demo.said("making MariaDB's data folder"));
    interrupt(&running);
    running.end(Duration::from_secs(8));
}

#[test]
fn only_bd_is_started_again_when_it_is_killed() {
    let demo = Demo::new("serves");
    let _running = demo.start();
    let before = demo.pids();
    let killed = Command::new("kill").args(["-9", &before[1].unwrap().to_string()]).status().unwrap();
    assert!(killed.success());
    wait_for(SOON, "another bd", || demo.pids()[1].is_some_and(|pid| Some(pid) != before[1]));
    let after = demo.pids();
    assert_eq!([after[0], after[2], after[3]], [before[0], before[2], before[3]]);
    assert!(demo.said("bd has ended (signal: 9 (SIGKILL))"), "{}", read(&demo.output));
}

#[test]
fn the_next_supervisor_adopts_what_a_killed_one_has_left_and_two_at_once_are_refused() {
    let demo = Demo::new("serves");
    let mut running = demo.start();
    let before = demo.pids();
    let second = demo.command().output().unwrap();
    assert!(!second.status.success());
    let told = format!("runs already (process {})", running.0.id());
    assert!(text(&second).contains(&told), "{}", text(&second));
    running.kill();
    assert_eq!(demo.pids(), before);
    let mut running = demo.start();
    assert_eq!(demo.pids(), before);
    interrupt(&running);
    running.end(Duration::from_secs(8));
    assert_eq!(demo.pids(), [None; 4]);
}

#[test]
fn a_bd_that_does_not_end_is_killed_in_time_and_the_servers_end_well() {
    let demo = Demo::new("hangs");
    let mut running = demo.start();
    let begin = Instant::now();
    interrupt(&running);
    running.end(Duration::from_secs(8));
    assert!(begin.elapsed() > Duration::from_secs(4));
    assert!(demo.said("bd (process"), "{}", read(&demo.output));
    assert!(demo.place.log("mariadb").contains("Shutdown complete"), "{}", demo.place.log("mariadb"));
    assert_eq!(demo.pids(), [None; 4]);
}

#[test]
fn a_second_ctrl_c_ends_at_once() {
    let demo = Demo::new("hangs");
    let mut running = demo.start();
    interrupt(&running);
    wait_for(SOON, "the first one", || demo.said("ending ..."));
    interrupt(&running);
    assert_eq!(running.end(Duration::from_secs(2)).code(), Some(130));
    assert_eq!(demo.pids(), [None; 4]);
}

#[test]
fn of_a_bd_that_dies_again_and_again_the_last_lines_are_shown_and_it_is_tried_on() {
    let demo = Demo::new("dies");
    let mut running = demo.begin();
    wait_for(SOON, "two deaths", || read(&demo.output).matches("bd has ended (exit status: 1)").count() >= 2);
    assert_eq!(read(&demo.output).matches("bd: error: no such thing as a pipeline").count(), 1);
    demo.mode("serves");
    wait_for(SOON, "the URL", || demo.said("The dashboard shows data"));
    interrupt(&running);
    running.end(Duration::from_secs(8));
}

#[test]
fn another_world_is_refused_while_one_runs_and_ends_what_a_killed_one_has_left() {
    let demo = Demo::new("serves");
    let mut first = demo.start();
    let other = demo.beside();
    let refused = other.command().output().unwrap();
    assert!(!refused.status.success());
    let told = format!("the demo in {} runs (process {})", demo.place.layout.data.display(), first.0.id());
    assert!(text(&refused).contains(&told), "{}", text(&refused));
    first.kill();
    let mut second = other.start();
    assert!(other.said("ending what was left running"), "{}", read(&other.output));
    assert_eq!(demo.pids(), [None; 4]);
    interrupt(&second);
    second.end(Duration::from_secs(8));
}

#[test]
fn a_replay_refuses_the_folder_of_a_simulated_world() {
    let demo = Demo::new("serves");
    tv_world::layout::Identity::Live { seed: 7, users: 50 }.claim(&demo.place.layout).unwrap();
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixture");
    let output = demo.command().args(["--replay", fixture]).output().unwrap();
    assert!(!output.status.success());
    let text = text(&output);
    assert!(
        text.contains("holds another world: a simulated world (seed 7, 50 users), not the replay of"),
        "{text}"
    );
    assert_eq!(demo.pids(), [None; 4]);
}

#[test]
fn a_port_that_somebody_else_has_is_told_before_anything_starts() {
    let demo = Demo::new("serves");
    let _taken = std::net::TcpListener::bind(("127.0.0.1", demo.place.ports.mariadb_port)).unwrap();
    let output = demo.command().output().unwrap();
    let text = text(&output);
    assert!(!output.status.success());
    assert!(text.contains(&format!("(MariaDB) is taken by process {}", std::process::id())), "{text}");
    assert!(text.contains("TV_MARIADB_PORT"), "{text}");
    assert_eq!(demo.pids(), [None; 4]);
}
