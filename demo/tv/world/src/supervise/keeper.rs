//! Keeps one process running.

use super::{adopt, say};
use crate::files;
use crate::layout::Layout;
use crate::process::{Process, Spec};
use anyhow::Result;
use std::time::{Duration, Instant};

/// The pauses before a process is started again; the last one holds from there on.
const PAUSES: [Duration; 6] = [
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
];
/// Who has run for so long has not failed to start.
const LONG: Duration = Duration::from_secs(5);
/// So many lines of the log are shown of a process that ended.
const LINES: usize = 12;

/// A process that is to run.
pub(super) struct Keeper {
    name: &'static str,
    title: &'static str,
    layout: Layout,
    spec: Option<Spec>,
    pub(super) process: Option<Process>,
    started: Instant,
    due: Instant,
    failures: usize,
    ready: bool,
    has_been_ready: bool,
    /// Where its log stood when it was started.
    log_from: u64,
    shown: Vec<String>,
}

impl Keeper {
    pub(super) fn new(name: &'static str, title: &'static str, layout: &Layout) -> Self {
        let now = Instant::now();
        Self {
            name,
            title,
            layout: layout.clone(),
            spec: None,
            process: None,
            started: now,
            due: now,
            failures: 0,
            ready: false,
            has_been_ready: false,
            log_from: 0,
            shown: Vec::new(),
        }
    }

    /// What to run from now on; takes the process that runs it already.
    pub(super) fn adopt(&mut self, spec: Spec) -> Result<()> {
        self.process = adopt(&spec, &self.layout)?;
        if let Some(process) = &self.process {
            say(&format!("{} runs already (process {})", self.title, process.pid()));
        }
        self.spec = Some(spec);
        Ok(())
    }

    pub(super) fn has_spec(&self) -> bool {
        self.spec.is_some()
    }

    pub(super) fn has_been_ready(&self) -> bool {
        self.has_been_ready
    }

    /// When it was started by this supervisor, if it runs.
    pub(super) fn started(&self) -> Option<Instant> {
        self.process.is_some().then_some(self.started)
    }

    /// Starts it where it does not run and its time has come; says what happened to it.
    pub(super) fn tick(&mut self, is_ready: impl Fn() -> Result<()>) -> Result<()> {
        if let Some(process) = &mut self.process {
            match process.ended().map(str::to_owned) {
                None => {
                    if !self.ready && is_ready().is_ok() {
                        (self.ready, self.has_been_ready) = (true, true);
                    }
                    return Ok(());
                }
                Some(how) => self.ended(&how),
            }
        }
        let Some(spec) = self.spec.as_ref().filter(|_| Instant::now() >= self.due) else { return Ok(()) };
        self.log_from = self.log().metadata().map_or(0, |about| about.len());
        self.started = Instant::now();
        if self.failures == 0 {
            say(&format!("starting {} ...", self.title));
        }
        match Process::start(spec, &self.layout.run(), &self.layout.logs()) {
            Ok(process) => self.process = Some(process),
            Err(error) => self.ended(&format!("{error:#}")),
        }
        Ok(())
    }

    fn ended(&mut self, how: &str) {
        self.process = None;
        self.ready = false;
        if self.started.elapsed() > LONG {
            self.failures = 0;
        }
        let pause = PAUSES[self.failures.min(PAUSES.len() - 1)];
        self.due = Instant::now() + pause;
        self.failures += 1;
        let again = format!("starting it again in {} s", pause.as_secs_f64());
        say(&format!("{} has ended ({how}); {again}", self.title));
        let lines = files::tail(&self.log(), self.log_from, LINES);
        // The same lines again tell nothing.
        if lines != self.shown {
            lines.iter().for_each(|line| say(&format!("  {}: {line}", self.name)));
            if self.failures > 1 {
                say(&format!("  all of it: {}", self.log().display()));
            }
            self.shown = lines;
        }
    }

    fn log(&self) -> std::path::PathBuf {
        self.layout.logs().join(format!("{}.log", self.name))
    }
}
