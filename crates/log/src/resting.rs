//! One file that tells what many logs are like after a clean shutdown, so that a start need not look into their folders.
//!
//! A program that closes its logs writes it last ([`write`]); the next start takes it ([`take`]), which removes it durably, and
//! opens the logs in it with [`crate::Log::open_resting`]. After a kill there is none: each folder then tells for
//! itself ([`crate::Log::open_if_at_rest`]).
//!
//! Layout, big endian, behind a CRC-32C of it all: version u16, count u32, then per log: length of the name u16, the name, and
//! start offset, end offset, first offset of an open transaction, bytes, greatest timestamp of the first segment, and when compaction
//! may be due, i64 each.

use std::collections::HashMap;
use std::path::Path;

use crate::{Fs, LogError, Resting, files};

const VERSION: u16 = 2;

/// Writes the file durably; names are the caller's, such as `topic-0`. Names longer than 65535 bytes are left out.
///
/// # Errors
/// [`LogError::Io`], [`LogError::StorageFull`]; then there is no such file.
pub fn write<'a>(
    fs: &dyn Fs,
    path: &Path,
    logs: impl IntoIterator<Item = (&'a str, Resting)>,
) -> Result<(), LogError> {
    let (mut body, mut count) = (Vec::new(), 0_u32);
    for (name, resting) in logs {
        let Ok(length) = u16::try_from(name.len()) else { continue };
        count += 1;
        body.extend(length.to_be_bytes());
        body.extend(name.as_bytes());
        resting.numbers().iter().for_each(|number| body.extend(number.to_be_bytes()));
    }
    let content = [&VERSION.to_be_bytes()[..], &count.to_be_bytes(), &body].concat();
    files::replace(fs, path, &files::seal(&content))
}

/// Reads the file and removes it, before any of its logs is written to; empty if there is none, or it is damaged, which means
/// only that the start has more to do.
///
/// # Errors
/// [`LogError::Io`].
pub fn take(fs: &dyn Fs, path: &Path) -> Result<HashMap<String, Resting>, LogError> {
    let Some(sealed) = files::read(fs, path)? else { return Ok(HashMap::new()) };
    files::remove(fs, path)?;
    files::sync_dir(fs, path.parent().unwrap_or(path))?;
    let logs = files::unseal(&sealed).and_then(decode);
    if logs.is_none() {
        tracing::warn!(file = %path.display(), "does not match its checksum, all logs are looked into");
    }
    Ok(logs.unwrap_or_default())
}

fn decode(mut input: &[u8]) -> Option<HashMap<String, Resting>> {
    fn take<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
        let (taken, rest) = input.split_first_chunk::<N>()?;
        *input = rest;
        Some(*taken)
    }
    if u16::from_be_bytes(take(&mut input)?) != VERSION {
        return None;
    }
    let count = u32::from_be_bytes(take(&mut input)?);
    let mut logs = HashMap::new();
    for _ in 0..count {
        let length = usize::from(u16::from_be_bytes(take(&mut input)?));
        let (name, rest) = input.split_at_checked(length)?;
        input = rest;
        let mut numbers = [0; 6];
        for number in &mut numbers {
            *number = i64::from_be_bytes(take(&mut input)?);
        }
        let resting = Resting::from_numbers(numbers)?;
        logs.insert(String::from_utf8(name.to_vec()).ok()?, resting);
    }
    Some(logs)
}
