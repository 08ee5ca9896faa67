//! `bd sql`: a client of ksqlDB's REST interface; statements of an option, a file or a shell.

mod client;
mod interrupt;
mod rows;
mod show;
mod split;

use crate::cli::Sql;
use anyhow::{Context, Result, bail};
use client::{Answer, Client};
use interrupt::Interrupt;
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;
use split::Statement;
use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;

const PROMPT: &str = "bd> ";
const CONTINUED: &str = "  > ";
const HELP: &str = "Statements end with a semicolon and may span lines. Ctrl-C ends a push query, Ctrl-D or EXIT the shell.\n\
    SET 'auto.offset.reset' = 'earliest';   push queries read topics from their beginning\n\
    SHOW STREAMS | TABLES | TOPICS | QUERIES | FUNCTIONS;   DESCRIBE name [EXTENDED];   EXPLAIN SELECT ...;\n";

pub(super) fn run(args: &Sql) -> Result<ExitCode> {
    let mut session = Session {
        client: Client::new(&args.server),
        from_beginning: args.from_beginning,
        interrupt: Interrupt::watch()?,
    };
    match (&args.execute, &args.file) {
        (Some(text), _) => session.all(text),
        (None, Some(path)) => {
            let text =
                std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            session.all(&text)
        }
        (None, None) if std::io::stdin().is_terminal() => session.shell(),
        (None, None) => session.lines(),
    }
}

struct Session {
    client: Client,
    from_beginning: bool,
    interrupt: Interrupt,
}

/// What a statement led to.
enum Next {
    Go,
    /// Ctrl-C ended a push query.
    Interrupted,
    Exit,
}

impl Session {
    /// All statements of a text, up to the first that fails.
    fn all(&mut self, text: &str) -> Result<ExitCode> {
        for statement in split::all(text) {
            match self.one(&statement)? {
                Next::Go => {}
                Next::Interrupted => return Ok(ExitCode::from(crate::commands::up::INTERRUPTED)),
                Next::Exit => break,
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Statements of standard input, each as soon as it is whole.
    fn lines(&mut self) -> Result<ExitCode> {
        let mut buffer = String::new();
        for line in std::io::stdin().lock().lines() {
            buffer.push_str(&line?);
            buffer.push('\n');
            // All whole statements; the rest waits for its semicolon.
            let Some(end) = split::last_end(&buffer) else { continue };
            let rest = buffer.split_off(end);
            let text = std::mem::replace(&mut buffer, rest);
            for statement in split::all(&text) {
                if matches!(self.one(&statement)?, Next::Exit) {
                    return Ok(ExitCode::SUCCESS);
                }
            }
            // Errors name line and column of the whole input: blanks stand for what was carried out.
            let lines = text.matches('\n').count();
            let columns = text.chars().rev().take_while(|c| *c != '\n').count();
            buffer.insert_str(0, &format!("{}{}", "\n".repeat(lines), " ".repeat(columns)));
        }
        self.all(&buffer)
    }

    /// A shell with editing and history.
    fn shell(&mut self) -> Result<ExitCode> {
        let mut editor = DefaultEditor::new().context("no terminal")?;
        let history = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".bd_sql_history"));
        if let Some(history) = &history {
            // There is none at the first time.
            let _ = editor.load_history(history);
        }
        super::print(&format!("Streaming SQL at {}. HELP; shows help.\n", self.client.server()))?;
        let mut buffer = String::new();
        loop {
            let prompt = if buffer.trim().is_empty() { PROMPT } else { CONTINUED };
            match editor.readline(prompt) {
                Ok(line) => {
                    buffer.push_str(&line);
                    buffer.push('\n');
                }
                // Drops what was typed so far, as other shells do.
                Err(ReadlineError::Interrupted) => {
                    buffer.clear();
                    continue;
                }
                Err(ReadlineError::Eof) => break,
                Err(error) => return Err(error.into()),
            }
            let is_word = split::is_command(buffer.trim());
            if split::end_of_first(&buffer).is_none() && !is_word {
                continue;
            }
            // A history that cannot be kept is no reason to stop.
            let _ = editor.add_history_entry(buffer.trim());
            let text = std::mem::take(&mut buffer);
            match split::all(&text).iter().try_for_each(|s| match self.one(s) {
                Ok(Next::Go | Next::Interrupted) => Ok(()),
                Ok(Next::Exit) => Err(None),
                Err(error) => Err(Some(error)),
            }) {
                Ok(()) => {}
                Err(None) => break,
                Err(Some(error)) => eprintln!("{error:#}"),
            }
        }
        if let Some(history) = &history {
            let _ = editor.save_history(history);
        }
        Ok(ExitCode::SUCCESS)
    }

    fn one(&mut self, statement: &Statement) -> Result<Next> {
        let words: Vec<String> =
            statement.text.split_whitespace().take(2).map(str::to_ascii_uppercase).collect();
        match words.first().map(|w| w.trim_end_matches(';')) {
            None => {}
            Some("EXIT" | "QUIT") => return Ok(Next::Exit),
            Some("HELP") => super::print(HELP)?,
            Some("SET") => self.set(&statement.text)?,
            Some("SELECT") => return self.query(statement),
            Some(_) => match self.client.statement(&statement.placed)? {
                Answer::Done(entities) => super::print(&show::entities(&entities))?,
                Answer::Refused(message) => bail!("{message}"),
            },
        }
        Ok(Next::Go)
    }

    fn query(&mut self, statement: &Statement) -> Result<Next> {
        let stream = self.client.query(&statement.placed, self.from_beginning)?;
        let active = self.interrupt.arm();
        let id = rows::print(stream, || active.hit())?;
        match id {
            None => Ok(Next::Go),
            Some(id) => {
                self.client.close(&id)?;
                Ok(Next::Interrupted)
            }
        }
    }

    /// `SET 'auto.offset.reset' = 'earliest'`: a property of this session.
    fn set(&mut self, text: &str) -> Result<()> {
        let parts: Vec<&str> = text.split('\'').map(str::trim).collect();
        match parts.as_slice() {
            [_, "auto.offset.reset", "=", value @ ("earliest" | "latest"), _] => {
                self.from_beginning = *value == "earliest";
                super::print(&format!("push queries read from the {value} offset\n"))
            }
            [_, "auto.offset.reset", "=", value, _] => {
                bail!("auto.offset.reset: expected earliest or latest, not {value}")
            }
            _ => bail!("expected SET 'auto.offset.reset' = 'earliest' (or 'latest')"),
        }
    }
}
