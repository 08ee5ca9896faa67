//! File systems that fail on purpose, for the tests of this crate and of those above it.
//!
//! - [`MemFs`]: in memory, knows what was fsynced; [`MemFs::power_loss`] drops the rest.
//! - [`FaultFs`]: over any other one; full disk, failing fsync, short writes.
//! - [`KillFs`]: over the real one; ends its own process at the N-th append or fsync.

mod fault;
mod kill;
mod mem;

pub use fault::FaultFs;
pub use kill::{KillFs, KillSwitch};
pub use mem::{MemFs, PowerLoss};

use std::io;
use std::path::Path;

use crate::{Fs, OpenMode};

/// Flips the lowest bit of one byte of a file, as a failing disk would.
///
/// # Errors
/// If the file cannot be read or written, or is shorter.
pub fn flip_bit(fs: &dyn Fs, path: &Path, position: u64) -> io::Result<()> {
    let file = fs.open(path, OpenMode::ReadWrite)?;
    let mut byte = Vec::new();
    file.read_at(position, 1, &mut byte)?;
    let flipped = byte.first().ok_or(io::ErrorKind::UnexpectedEof)? ^ 1;
    file.write_all_at(position, &[flipped])?;
    file.sync()
}
