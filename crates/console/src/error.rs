//! What can go wrong when a console is opened.

use std::path::PathBuf;

/// A console cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// A dashboard file cannot be read.
    #[error("cannot read the dashboard {}: {reason}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        reason: String,
    },
    /// A dashboard does not say what it must; all its problems, each naming its key.
    #[error("the dashboard {} cannot be shown:\n  {}", file.display(), problems.join("\n  "))]
    Dashboard {
        /// The file.
        file: PathBuf,
        /// Each names the key and what is expected there.
        problems: Vec<String>,
    },
    /// Two dashboards have one name (their files' names without extension).
    #[error("two dashboards are named {name}: {} and {}; rename one of the files", first.display(), second.display())]
    Twice {
        /// The name.
        name: String,
        /// A file.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// A thread or client of the console cannot be made.
    #[error("the console cannot start: {0}")]
    Start(String),
}
