//! Says when the dashboard has something to show, and where it is.

use super::keeper::Keeper;
use super::say;
use crate::bd::{Bd, Urls};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const LOOK: Duration = Duration::from_millis(50);
/// After so long without data it is said that there is none yet.
const PATIENCE: Duration = Duration::from_secs(30);

/// Looks at bd from a thread of its own, so that a slow answer holds nothing up.
pub(super) struct Watch {
    url: String,
    seen: Arc<AtomicBool>,
    told: Cell<bool>,
    hinted: Cell<bool>,
}

impl Watch {
    pub(super) fn start(urls: Urls) -> Self {
        let url = urls.console_url.clone();
        let seen = Arc::new(AtomicBool::new(false));
        let found = seen.clone();
        std::thread::spawn(move || {
            let bd = Bd::new(urls);
            let has_rows =
                || bd.rows("SELECT viewers FROM current_viewers;").is_ok_and(|rows| !rows.is_empty());
            while !(has_rows() && bd.console_serves()) {
                std::thread::sleep(LOOK);
            }
            found.store(true, Ordering::Release);
        });
        Self { url, seen, told: Cell::new(false), hinted: Cell::new(false) }
    }

    /// Says it once.
    pub(super) fn tick(&self, bd: &Keeper, begun: Instant) {
        if self.told.get() {
            return;
        }
        if self.seen.load(Ordering::Acquire) {
            self.told.set(true);
            let after = bd.started().unwrap_or(begun).elapsed().as_secs_f64();
            say(&format!(
                "\n  The dashboard shows data, {after:.1} s after bd's start:  {}\n\n  Ctrl-C ends everything.\n",
                self.url
            ));
        } else if begun.elapsed() > PATIENCE && !self.hinted.get() {
            self.hinted.set(true);
            say(
                "no viewers are known yet; bd's connectors and queries tell why: http://127.0.0.1:8083/connectors?expand=status",
            );
        }
    }
}
