//! The engine over a real log in this process: what its queries, tables and statements do, restarts included.

mod drains;
mod lateness;
mod pushes;
mod rejects;
mod restarts;
mod statements;
mod tables;
mod watermarks;
mod windows;
