//! `bd run FILE [--drain]`: a pipeline played to its end.

use super::up::{self, INTERRUPTED};
use crate::cli::Run;
use crate::roles::{EngineRole, Node, Signals};
use crate::table;
use anyhow::{Result, anyhow};
use std::process::ExitCode;
use std::sync::atomic::Ordering;

pub(super) fn run(args: &Run) -> Result<ExitCode> {
    let drain = args.drain;
    up::serve(&args.files, &args.roles, &args.settings, async |node: &Node, signals: &mut Signals| {
        if !drain {
            signals.next().await;
            return Ok(ExitCode::SUCCESS);
        }
        let engine = node.engine().ok_or_else(|| anyhow!("no engine runs here"))?;
        match up::or_signal(engine.drain(), signals).await {
            None => {
                eprintln!("interrupted; the same command goes on from here");
                Ok(ExitCode::from(INTERRUPTED))
            }
            Some(drained) => {
                super::print(&summary(engine))?;
                drained.map(|()| ExitCode::SUCCESS)
            }
        }
    })
}

/// What each query has counted since this start.
fn summary(engine: &EngineRole) -> String {
    let rows = engine.queries().into_iter().map(|query| {
        let (metrics, stats) = (&query.status.metrics, query.status.stats());
        let counts = [&metrics.records_in, &metrics.rows_out, &metrics.late_rows, &metrics.dead_letters];
        let mut row = vec![query.sink.name.clone(), query.status.state().to_string()];
        row.extend(counts.iter().map(|n| n.load(Ordering::Relaxed).to_string()));
        row.push(stats.dropped.to_string());
        row
    });
    let rows: Vec<_> = rows.collect();
    table::render(&["query", "state", "rows in", "rows out", "late", "dead letters", "dropped"], &rows)
}
