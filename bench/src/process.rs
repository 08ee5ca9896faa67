//! What processes took, from `/proc`: user and system time, resident memory; of one process or of a whole tree.
//!
//! A process that ended stays readable until its parent has asked for its exit status. So [`run`] waits for its child to
//! become such a zombie, reads its last figures, which then include those of all descendants that were waited for, and
//! only then collects it.

use anyhow::{Context, Result, anyhow, bail};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How often a running program is looked at: its end is seen so late at most.
const LOOK: Duration = Duration::from_millis(20);

/// Memory is added up at every so manieth look.
const LOOKS_PER_SAMPLE: u32 = 5;

/// What the kernel tells of a process in `/proc/PID/stat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    parent: u32,
    /// Clock ticks from the machine's start to the process's.
    started: u64,
    zombie: bool,
    /// Clock ticks of the process itself, user and system.
    own: u64,
    /// Clock ticks of its children that were waited for, and of theirs.
    children: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The name stands in parentheses and may hold anything, also parentheses.
        let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace();
        let zombie = matches!(fields.next()?, "Z" | "X");
        let parent = fields.next()?.parse().ok()?;
        let mut ticks = fields.skip(9).map_while(|field| field.parse::<i64>().ok()).map(i64::unsigned_abs);
        let own = ticks.next()? + ticks.next()?;
        let children = ticks.next()? + ticks.next()?;
        // Priority, niceness, threads and an unused one lie between.
        let started = ticks.nth(4)?;
        Some(Self { parent, started, zombie, own, children })
    }

    fn of(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }
}

fn seconds(ticks: u64) -> Duration {
    Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// User and system time of a running process.
pub(crate) fn cpu(pid: u32) -> Result<Duration> {
    let stat = Stat::of(pid).ok_or_else(|| anyhow!("process {pid} is not there"))?;
    Ok(seconds(stat.own))
}

/// When a running process began, to a hundredth of a second.
pub(crate) fn began(pid: u32) -> Result<Instant> {
    let stat = Stat::of(pid).ok_or_else(|| anyhow!("process {pid} is not there"))?;
    let uptime = fs::read_to_string("/proc/uptime").context("no /proc/uptime")?;
    let uptime: f64 = uptime.split_ascii_whitespace().next().unwrap_or_default().parse().context("uptime")?;
    let age = Duration::from_secs_f64(uptime).saturating_sub(seconds(stat.started));
    Instant::now().checked_sub(age).context("the process is older than the machine")
}

/// Asks a process to end.
pub(crate) fn terminate(pid: u32) -> Result<()> {
    let id = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).context("no process id")?;
    rustix::process::kill_process(id, rustix::process::Signal::TERM)
        .with_context(|| format!("cannot end process {pid}"))
}

/// Bytes of a process that are resident now, and the most that ever were.
pub(crate) fn rss(pid: u32) -> Result<(u64, u64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).with_context(|| format!("process {pid}"))?;
    Ok((kilobytes(&text, "VmRSS:") * 1024, kilobytes(&text, "VmHWM:") * 1024))
}

fn kilobytes(status: &str, field: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|rest| rest.split_ascii_whitespace().next()?.parse().ok()).unwrap_or_default()
}

/// The processes below `root`, itself first.
fn tree(root: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        if let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok())
            && let Some(stat) = Stat::of(pid)
        {
            children.entry(stat.parent).or_default().push(pid);
        }
    }
    let (mut found, mut seen) = (vec![root], HashSet::from([root]));
    let mut next = 0;
    while let Some(&pid) = found.get(next) {
        found.extend(children.get(&pid).into_iter().flatten().filter(|&&child| seen.insert(child)));
        next += 1;
    }
    found
}

/// What a program took from its start to its end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) wall: Duration,
    /// User and system time of it and all its descendants that were waited for.
    pub(crate) cpu: Duration,
    /// Bytes: the most that its processes held together, as sampled; of one process alone, as the kernel kept it.
    pub(crate) peak_rss: u64,
    pub(crate) succeeded: bool,
}

/// Runs a program to its end; kills its whole tree after `timeout`.
pub(crate) fn run(command: &[String], timeout: Duration) -> Result<Usage> {
    let (program, arguments) = command.split_first().ok_or_else(|| anyhow!("no program given"))?;
    let began = Instant::now();
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot start {program}"))?;
    let watched = watch(child.id(), began, timeout);
    if watched.is_err() {
        end(&mut child);
    }
    let (wall, ticks, peak_rss) = watched.with_context(|| program.clone())?;
    let status = child.wait().with_context(|| format!("cannot wait for {program}"))?;
    Ok(Usage { wall, cpu: seconds(ticks), peak_rss, succeeded: status.success() })
}

fn watch(pid: u32, began: Instant, timeout: Duration) -> Result<(Duration, u64, u64)> {
    let mut peak = 0;
    for look in 0_u32.. {
        let stat = Stat::of(pid).ok_or_else(|| anyhow!("its process {pid} vanished"))?;
        if stat.zombie {
            return Ok((began.elapsed(), stat.own + stat.children, peak));
        }
        if look.is_multiple_of(LOOKS_PER_SAMPLE) {
            let each: Vec<_> = tree(pid).into_iter().filter_map(|pid| rss(pid).ok()).collect();
            let together = each.iter().map(|(now, _)| now).sum();
            let alone = each.iter().map(|(_, most)| *most).max().unwrap_or_default();
            peak = peak.max(together).max(alone);
        }
        if began.elapsed() > timeout {
            bail!("not done after {} s", timeout.as_secs());
        }
        thread::sleep(LOOK);
    }
    bail!("not done")
}

/// Kills the child and what it started, children before they could be given to another parent.
fn end(child: &mut Child) {
    for pid in tree(child.id()).into_iter().rev() {
        if let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
            // It may be gone already.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Vec<String> {
        ["sh", "-c", script].map(String::from).to_vec()
    }

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let line = "42 (a) Z 9 (b) S 7 42 42 0 -1 4194304 1 2 3 4 500 60 70 8 20 0 1 0 1234 0 0";
        let expected = Stat { parent: 7, started: 1234, zombie: false, own: 560, children: 78 };
        assert_eq!(Stat::parse(line), Some(expected));
    }

    #[test]
    fn the_time_of_children_counts() {
        let busy = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done";
        let usage = run(&shell(&format!("sh -c '{busy}'; true")), Duration::from_secs(60)).unwrap();
        assert!(usage.succeeded);
        assert!(usage.cpu > Duration::from_millis(20), "{usage:?}");
        assert!(usage.peak_rss > 0, "{usage:?}");
    }

    #[test]
    fn a_process_began_when_it_was_started() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let age = began(child.id()).unwrap().elapsed();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(age < Duration::from_secs(5), "{age:?}");
    }

    #[test]
    fn a_failure_is_seen() {
        assert!(!run(&shell("exit 3"), Duration::from_secs(60)).unwrap().succeeded);
    }

    #[test]
    fn a_program_that_takes_too_long_is_ended_with_its_children() {
        let began = Instant::now();
        let error = run(&shell("sleep 1000 & sleep 1000; true"), Duration::from_millis(200)).unwrap_err();
        assert!(format!("{error:#}").contains("not done after"), "{error:#}");
        assert!(began.elapsed() < Duration::from_secs(60));
    }
}
