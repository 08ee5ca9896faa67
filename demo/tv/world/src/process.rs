//! Processes that outlive whoever started them, and are found again.
//!
//! Each runs in a process group of its own, so that Ctrl-C in a terminal reaches only the supervisor. A record says which one it is:
//! `DATA/run/NAME.json` holds the pid, the start time that the kernel gives for it, the boot's id and the command line. A record
//! whose process is gone, or whose pid another process has now, counts for nothing.

use crate::files;
use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde::{Deserialize, Serialize};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The environment variable by which a process tells which world it belongs to.
pub const DATA_VARIABLE: &str = "TV_WORLD_DATA";
/// How often a process is looked at while it is waited for.
const LOOK: Duration = Duration::from_millis(20);

/// What to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// Its name: of its record and its log.
    pub name: &'static str,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Environment variables beside those of this process.
    pub environment: Vec<(String, String)>,
    /// The working folder.
    pub folder: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    pid: i32,
    /// Field 22 of `/proc/PID/stat`.
    start: u64,
    boot: String,
    command: Vec<String>,
    environment: Vec<(String, String)>,
}

/// A process that runs, or has run.
#[derive(Debug)]
pub struct Process {
    name: &'static str,
    pid: Pid,
    start: u64,
    record: PathBuf,
    /// Where this process started it: then its end is to be collected.
    child: Option<Child>,
    ended: Option<String>,
}

/// What [`Process::adopt`] found.
#[derive(Debug)]
pub enum Adopted {
    /// It runs as it would be started now.
    Same(Process),
    /// It runs, but another program or other arguments.
    Other(Process),
    /// It does not run.
    Gone,
}

impl Process {
    /// Starts it; its output goes to `DATA/logs/NAME.log`.
    ///
    /// # Errors
    /// The program cannot be started, or its record not be written (it is ended then).
    pub fn start(spec: &Spec, run: &Path, logs: &Path) -> Result<Self> {
        let (program, arguments) = spec.command.split_first().context("no program")?;
        let log = files::open_log(&logs.join(format!("{}.log", spec.name)))?;
        let errors = log.try_clone().context("cannot share a log")?;
        let mut child = Command::new(program)
            .args(arguments)
            .envs(spec.environment.iter().map(|(k, v)| (k, v)))
            .current_dir(&spec.folder)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {program}"))?;
        let started = Self::record(spec, run, &child);
        match started {
            Ok((pid, start, record)) => {
                Ok(Self { name: spec.name, pid, start, record, child: Some(child), ended: None })
            }
            Err(error) => {
                // Nobody would find it again.
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    fn record(spec: &Spec, run: &Path, child: &Child) -> Result<(Pid, u64, PathBuf)> {
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("no process id")?;
        let start = start_time(pid).with_context(|| format!("{} ended at once", spec.name))?;
        let path = run.join(format!("{}.json", spec.name));
        let record = Record {
            pid: pid.as_raw_nonzero().get(),
            start,
            boot: boot_id(),
            command: spec.command.clone(),
            environment: spec.environment.clone(),
        };
        files::write_json(&path, &record)?;
        Ok((pid, start, path))
    }

    /// Finds the process of that name which an earlier supervisor started.
    ///
    /// # Errors
    /// Its record cannot be read.
    pub fn adopt(spec: &Spec, run: &Path) -> Result<Adopted> {
        let Some((process, record)) = Self::find(spec.name, run)? else { return Ok(Adopted::Gone) };
        let replaced = std::fs::read_link(format!("/proc/{}/exe", record.pid))
            .is_ok_and(|program| program.to_string_lossy().ends_with(" (deleted)"));
        if record.command == spec.command && record.environment == spec.environment && !replaced {
            return Ok(Adopted::Same(process));
        }
        Ok(Adopted::Other(process))
    }

    /// The process of that name, whatever its arguments, if it runs.
    ///
    /// # Errors
    /// Its record cannot be read.
    pub fn running(name: &'static str, run: &Path) -> Result<Option<Self>> {
        Ok(Self::find(name, run)?.map(|(process, _)| process))
    }

    fn find(name: &'static str, run: &Path) -> Result<Option<(Self, Record)>> {
        let path = run.join(format!("{name}.json"));
        let Some(record) = files::read_json::<Record>(&path)? else { return Ok(None) };
        let Some(pid) = Pid::from_raw(record.pid) else { return Ok(None) };
        if record.boot != boot_id() || start_time(pid) != Some(record.start) {
            let _ = std::fs::remove_file(&path);
            return Ok(None);
        }
        let process = Self { name, pid, start: record.start, record: path, child: None, ended: None };
        Ok(Some((process, record)))
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// How it ended; `None` while it runs.
    pub fn ended(&mut self) -> Option<&str> {
        if self.ended.is_none() {
            let how = match &mut self.child {
                Some(child) => match child.try_wait() {
                    Ok(Some(status)) => Some(status.to_string()),
                    Ok(None) => None,
                    Err(error) => Some(format!("unknown: {error}")),
                },
                None => (start_time(self.pid) != Some(self.start)).then(|| "unknown".to_owned()),
            };
            if how.is_some() {
                let _ = std::fs::remove_file(&self.record);
            }
            self.ended = how;
        }
        self.ended.as_deref()
    }

    /// Whether it runs.
    pub fn is_running(&mut self) -> bool {
        self.ended().is_none()
    }

    /// Asks it to end.
    pub fn terminate(&mut self) {
        self.signal(Signal::TERM);
    }

    /// Sends it a signal.
    pub fn signal(&mut self, signal: Signal) {
        if self.is_running() {
            // It may have ended meanwhile.
            let _ = kill_process(self.pid, signal);
        }
    }

    /// Ends it and all that it has started.
    pub fn kill(&mut self) {
        if self.is_running() {
            let _ = kill_process_group(self.pid, Signal::KILL);
            let _ = kill_process(self.pid, Signal::KILL);
        }
    }

    /// Waits for its end; whether it came in time.
    pub fn wait(&mut self, within: Duration) -> bool {
        let end = Instant::now() + within;
        while self.is_running() {
            if Instant::now() >= end {
                return false;
            }
            std::thread::sleep(LOOK);
        }
        true
    }

    /// Asks it to end; kills it where it does not within that time.
    pub fn stop(&mut self, within: Duration) {
        self.terminate();
        if !self.wait(within) {
            self.kill();
            self.wait(Duration::from_secs(2));
        }
    }
}

/// When a process started, in clock ticks since boot; `None` where it does not run (one that has ended and that nobody has waited
/// for does not).
fn start_time(pid: Pid) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    // The second field is the program's name in brackets; it may hold anything.
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace();
    if matches!(fields.next()?, "Z" | "X" | "x") {
        return None;
    }
    // The state is the third field; the start time is the 22nd.
    fields.nth(18)?.parse().ok()
}

fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// Who listens on a port of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// The process, where this user may see it.
    pub pid: Option<i32>,
    /// Its command line.
    pub command: String,
    /// The DATA folder of the world that it belongs to.
    pub data: Option<PathBuf>,
}

impl std::fmt::Display for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "process {pid} ({})", self.command),
            None => f.write_str("another user's process"),
        }
    }
}

/// Who listens on that TCP port on loopback or all addresses; `None` where nobody does.
pub fn listener(port: u16) -> Option<Listener> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"].iter().find_map(|table| {
        let table = std::fs::read_to_string(table).ok()?;
        table.lines().skip(1).find_map(|line| {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let local = fields.get(1)?.rsplit(':').next()?;
            // 0A: LISTEN.
            let listens = *fields.get(3)? == "0A" && u16::from_str_radix(local, 16) == Ok(port);
            listens.then(|| fields.get(9).map(|inode| (*inode).to_owned()))?
        })
    })?;
    let socket = format!("socket:[{inode}]");
    let holds = |pid: &i32| {
        std::fs::read_dir(format!("/proc/{pid}/fd")).is_ok_and(|mut files| {
            files.any(|f| {
                f.is_ok_and(|f| {
                    std::fs::read_link(f.path()).is_ok_and(|to| to.as_os_str() == socket.as_str())
                })
            })
        })
    };
    let all = std::fs::read_dir("/proc").ok()?;
    let pid = all.filter_map(|e| e.ok()?.file_name().to_str()?.parse::<i32>().ok()).find(holds);
    let read = |what: &str| {
        pid.and_then(|pid| std::fs::read(format!("/proc/{pid}/{what}")).ok()).unwrap_or_default()
    };
    let command = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ").trim().to_owned();
    let environment = read("environ");
    let data = environment.split(|b| *b == 0).find_map(|variable| {
        let variable = std::str::from_utf8(variable).ok()?;
        variable.strip_prefix(DATA_VARIABLE)?.strip_prefix('=').map(PathBuf::from)
    });
    Some(Listener { pid, command, data })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(script: &str) -> Spec {
        Spec {
            name: "test",
            command: ["sh", "-c", script].map(str::to_owned).to_vec(),
            environment: vec![("X".into(), "1".into())],
            folder: "/".into(),
        }
    }

    #[test]
    fn a_process_is_found_again_and_one_with_other_arguments_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let mut process = Process::start(&spec("sleep 60"), dir.path(), dir.path()).unwrap();
        let Adopted::Same(mut adopted) = Process::adopt(&spec("sleep 60"), dir.path()).unwrap() else {
            panic!("not found");
        };
        assert_eq!(adopted.pid(), process.pid());
        assert!(matches!(Process::adopt(&spec("sleep 61"), dir.path()).unwrap(), Adopted::Other(_)));
        adopted.kill();
        assert!(process.wait(Duration::from_secs(5)));
        assert!(matches!(Process::adopt(&spec("sleep 60"), dir.path()).unwrap(), Adopted::Gone));
    }

    #[test]
    fn a_pid_that_another_process_has_now_is_not_trusted() {
        let dir = tempfile::tempdir().unwrap();
        let mut process = Process::start(&spec("sleep 60"), dir.path(), dir.path()).unwrap();
        let path = dir.path().join("test.json");
        let mut record: Record = files::read_json(&path).unwrap().unwrap();
        record.start += 1;
        files::write_json(&path, &record).unwrap();
        assert!(matches!(Process::adopt(&spec("sleep 60"), dir.path()).unwrap(), Adopted::Gone));
        assert!(process.is_running());
        process.kill();
        assert!(process.wait(Duration::from_secs(5)));
    }

    #[test]
    fn one_that_ignores_the_request_to_end_is_killed_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let script =
            format!("trap '' TERM; sleep 60 & echo $! >{0}/child; wait; sleep 60", dir.path().display());
        let mut process = Process::start(&spec(&script), dir.path(), dir.path()).unwrap();
        let child = dir.path().join("child");
        let end = Instant::now() + Duration::from_secs(5);
        let pid = loop {
            if let Ok(pid) = std::fs::read_to_string(&child).unwrap_or_default().trim().parse::<i32>() {
                break Pid::from_raw(pid).unwrap();
            }
            assert!(Instant::now() < end);
            std::thread::sleep(LOOK);
        };
        process.stop(Duration::from_millis(200));
        assert!(!process.is_running());
        while start_time(pid).is_some() {
            assert!(Instant::now() < end);
            std::thread::sleep(LOOK);
        }
    }

    #[test]
    fn who_listens_on_a_port_is_known() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        assert_eq!(listener(port).unwrap().pid, Some(std::process::id() as i32));
        drop(socket);
        assert_eq!(listener(port), None);
    }
}
