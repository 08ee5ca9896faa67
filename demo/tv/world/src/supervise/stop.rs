//! The end of everything, in good order and in time.

use super::{NAMES, say};
use crate::layout::Layout;
use crate::process::Process;
use std::time::{Duration, Instant};

/// The simulator writes its state.
const WORLD_WITHIN: Duration = Duration::from_millis(1500);
/// bd's queries end with a last commit; the servers are told at the latest then.
const BD_UNTIL: Duration = Duration::from_millis(5500);
/// What runs after that is killed.
const ALL_UNTIL: Duration = Duration::from_millis(7000);

/// Ends the simulator, then bd, then the servers.
pub(super) fn in_order(mut world: Vec<Process>, mut bd: Vec<Process>, mut servers: Vec<Process>) {
    let begin = Instant::now();
    let left = |until: Duration| until.saturating_sub(begin.elapsed());
    let end = |processes: &mut [Process], within: Duration| {
        processes.iter_mut().for_each(Process::terminate);
        let end = Instant::now() + within;
        processes.iter_mut().for_each(|p| {
            p.wait(end.saturating_duration_since(Instant::now()));
        });
    };
    end(&mut world, WORLD_WITHIN);
    end(&mut bd, left(BD_UNTIL));
    end(&mut servers, left(ALL_UNTIL));
    let mut all: Vec<&mut Process> = world.iter_mut().chain(&mut bd).chain(&mut servers).collect();
    for process in &mut all {
        if process.is_running() {
            say(&format!("{} (process {}) does not end: it is killed", process.name(), process.pid()));
            process.kill();
        }
    }
    for process in &mut all {
        process.wait(Duration::from_millis(500));
    }
    say(&format!("ended after {:.1} s", begin.elapsed().as_secs_f64()));
}

/// Ends what runs of a world whose supervisor is gone.
pub(super) fn leftovers(layout: &Layout) {
    let of = |names: &[&'static str]| -> Vec<Process> {
        names.iter().filter_map(|name| Process::running(name, &layout.run()).ok().flatten()).collect()
    };
    in_order(of(&NAMES[..1]), of(&NAMES[1..2]), of(&NAMES[2..]));
}

/// Kills everything at once; waits only until the system has let go of it.
pub(super) fn kill_all(layout: &Layout) {
    let mut all: Vec<Process> =
        NAMES.iter().filter_map(|name| Process::running(name, &layout.run()).ok().flatten()).collect();
    all.iter_mut().for_each(Process::kill);
    let end = Instant::now() + Duration::from_secs(1);
    for process in &mut all {
        process.wait(end.saturating_duration_since(Instant::now()));
    }
}
