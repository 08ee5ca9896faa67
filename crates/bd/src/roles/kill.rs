//! For tests only: `BD_TEST_KILL=POINT:N` ends the process with SIGKILL at a chosen point of progress.
//!
//! | point | the N-th |
//! |---|---|
//! | `append` | write to a segment of the log, of which only the first half is done |
//! | `fsync` | fsync of the log or of a folder, before it is done |
//! | `barrier` | barrier of any query, before it |
//! | `commit` | commit of any query's transaction, before it |
//! | `committed` | the same, after it |

use anyhow::{Result, anyhow, bail};
use bd_log::testing::{KillFs, KillSwitch};
use bd_log::{Fs, RealFs};
use std::sync::Arc;

const VARIABLE: &str = "BD_TEST_KILL";
const POINTS: &[&str] = &["append", "fsync", "barrier", "commit", "committed"];

/// Told of each step of a query.
pub(super) type OnStep = Arc<dyn Fn(&str) + Send + Sync>;

/// The switch, set.
#[derive(Clone)]
pub(super) struct Kill(Arc<KillSwitch>);

/// The switch as the environment sets it.
pub(super) fn switch() -> Result<Option<Kill>> {
    std::env::var(VARIABLE).ok().map(|text| parse(&text)).transpose()
}

fn parse(text: &str) -> Result<Kill> {
    let switch = KillSwitch::parse(text).map_err(|e| anyhow!("{VARIABLE}: {e}"))?;
    let point = text.split(':').next().unwrap_or_default();
    if !POINTS.contains(&point) {
        bail!("{VARIABLE}={text}: {point} is not one of {}", POINTS.join(", "));
    }
    Ok(Kill(Arc::new(switch)))
}

impl Kill {
    /// The file system that passes the log's points.
    pub(super) fn fs(&self) -> Arc<dyn Fs> {
        Arc::new(KillFs::new(Arc::new(RealFs), self.0.clone()))
    }

    /// What passes a query's points.
    pub(super) fn on_step(&self) -> OnStep {
        let switch = self.0.clone();
        Arc::new(move |step| switch.hit(step))
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_point_that_is_not_there_is_refused() {
        for text in ["append:1", "fsync:20", "commit:3", "barrier:1"] {
            assert!(super::parse(text).is_ok(), "{text}");
        }
        for text in ["append", "append:0", "commits:1", ""] {
            assert!(super::parse(text).is_err(), "{text}");
        }
    }
}
