//! `bd up`: the roles of a pipeline, until a signal.

use crate::cli::{RoleName, SettingsArgs, Up};
use crate::config::Config;
use crate::roles::{Node, Signals};
use anyhow::{Context, Result};
use std::future::Future;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// What a shell reports of a process that SIGINT ended.
pub(super) const INTERRUPTED: u8 = 130;

pub(super) fn run(args: &Up) -> Result<ExitCode> {
    serve(&args.files, &args.roles, &args.settings, async |_, signals| {
        signals.next().await;
        Ok(ExitCode::SUCCESS)
    })
}

/// Starts a node, says so, does `work` with it, and stops it.
pub(super) fn serve(
    files: &[PathBuf],
    roles: &[RoleName],
    settings: &SettingsArgs,
    work: impl AsyncFnOnce(&Node, &mut Signals) -> Result<ExitCode>,
) -> Result<ExitCode> {
    let begin = Instant::now();
    let config = Config::load(files, settings.data.as_deref(), &settings.set, settings.free_ports)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
    let result = runtime.block_on(async {
        let mut signals = Signals::new()?;
        let node = match or_signal(Node::start(&config, roles), &mut signals).await {
            Some(node) => node?,
            None => return Ok(ExitCode::from(INTERRUPTED)),
        };
        for (role, address) in &node.addresses {
            super::print(&format!("{role:<8} {address}\n"))?;
        }
        eprintln!("ready in {} ms", begin.elapsed().as_millis());
        let done = work(&node, &mut signals).await;
        // A second signal does not wait for the end.
        let stopped = or_signal(node.stop(), &mut signals).await;
        match stopped {
            None => Ok(ExitCode::from(INTERRUPTED)),
            Some(stopped) => {
                let code = done?;
                stopped?;
                Ok(code)
            }
        }
    });
    // A thread that still blocks must not hold up the end.
    runtime.shutdown_timeout(Duration::from_millis(200));
    result
}

/// The result of `work`, or `None` where a signal came first.
pub(super) async fn or_signal<T>(work: impl Future<Output = T>, signals: &mut Signals) -> Option<T> {
    tokio::select! {
        done = work => Some(done),
        () = signals.next() => None,
    }
}
