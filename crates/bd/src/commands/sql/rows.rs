//! The rows of a query as a table that grows: aligned by what has come so far.

use super::client::message;
use crate::table;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::io::BufRead;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, sync_channel};
use std::time::{Duration, Instant};

/// Lines that are read ahead of printing.
const AHEAD: usize = 1000;
/// Columns are padded at most so far: one long text must not push all others off the screen.
const WIDEST: usize = 40;
const LOOK: Duration = Duration::from_millis(50);
const HEADER_WITHIN: Duration = Duration::from_millis(500);

/// Prints rows until the stream ends (`None`) or `stop` says so (the query's id).
pub(super) fn print(
    stream: impl BufRead + Send + 'static,
    stop: impl Fn() -> bool,
) -> Result<Option<String>> {
    let (send, lines) = sync_channel(AHEAD);
    let read = move || {
        for line in stream.lines() {
            if send.send(line).is_err() {
                return;
            }
        }
    };
    // Not joined: after an interrupt it ends when the server closes the stream.
    std::thread::Builder::new().name("bd-rows".into()).spawn(read).context("no thread")?;
    let mut table = Growing::default();
    let begin = Instant::now();
    loop {
        let mut rows = Vec::new();
        let over = take(&lines, &mut rows)?;
        let mut failed = None;
        let mut cells = Vec::new();
        for row in rows {
            match row {
                Value::Array(row) => cells.push(row.iter().map(cell).collect()),
                header if header.get("columnNames").is_some() => table.header(&header),
                error => failed = Some(message(&error)),
            }
        }
        // The first rows tell how wide the columns are; without any, the names are shown soon.
        if !cells.is_empty() || over || begin.elapsed() > HEADER_WITHIN {
            crate::commands::print(&table.rows(&cells))?;
        }
        if let Some(error) = failed {
            bail!("{error}");
        }
        if over {
            return Ok(None);
        }
        if stop() {
            return Ok(Some(table.id));
        }
    }
}

/// The lines that are there, at least one unless there is none for a while. True at the end.
fn take(lines: &Receiver<std::io::Result<String>>, rows: &mut Vec<Value>) -> Result<bool> {
    let mut next = match lines.recv_timeout(LOOK) {
        Ok(line) => Ok(line),
        Err(RecvTimeoutError::Timeout) => return Ok(false),
        Err(RecvTimeoutError::Disconnected) => return Ok(true),
    };
    loop {
        match next {
            Ok(line) => {
                let line = line.context("the answer broke off")?;
                if !line.is_empty() {
                    rows.push(
                        serde_json::from_str(&line)
                            .with_context(|| format!("the answer is not JSON: {line}"))?,
                    );
                }
            }
            Err(TryRecvError::Empty) => return Ok(false),
            Err(TryRecvError::Disconnected) => return Ok(true),
        }
        if rows.len() >= AHEAD {
            return Ok(false);
        }
        next = lines.try_recv();
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[derive(Default)]
struct Growing {
    id: String,
    names: Vec<String>,
    widths: Vec<usize>,
    shown: bool,
}

impl Growing {
    fn header(&mut self, header: &Value) {
        self.id = header["queryId"].as_str().unwrap_or_default().into();
        self.names = header["columnNames"].as_array().into_iter().flatten().map(cell).collect();
        self.widths = self.names.iter().map(|n| n.chars().count()).collect();
    }

    fn rows(&mut self, rows: &[Vec<String>]) -> String {
        for row in rows {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count().min(WIDEST));
            }
        }
        let mut out = String::new();
        if !self.shown && !self.names.is_empty() {
            self.shown = true;
            table::line(&mut out, &self.widths, self.names.iter().map(String::as_str));
            let rules: Vec<String> = self.widths.iter().map(|w| "-".repeat(*w)).collect();
            table::line(&mut out, &self.widths, rules.iter().map(String::as_str));
        }
        for row in rows {
            table::line(&mut out, &self.widths, row.iter().map(String::as_str));
        }
        out
    }
}
