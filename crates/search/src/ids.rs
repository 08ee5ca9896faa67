//! Ids that nobody else makes: of indices and of documents without one.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn base64(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let bits = (0..3).fold(0u32, |bits, i| bits << 8 | u32::from(chunk.get(i).copied().unwrap_or(0)));
        for i in 0..=chunk.len() {
            let digit = DIGITS.get((bits >> (18 - 6 * i) & 63) as usize).copied().unwrap_or(b'A');
            out.push(digit.into());
        }
    }
    out
}

/// 64 bits from the operating system's randomness.
fn random() -> u64 {
    RandomState::new().hash_one(0u64)
}

/// The uuid of an index, 22 characters. Begins with a letter, so that it is a good folder name.
pub(crate) fn index_uuid() -> String {
    let mut bytes = random().to_be_bytes().to_vec();
    bytes.extend((random() ^ random().rotate_left(17)).to_be_bytes());
    if let Some(first) = bytes.first_mut() {
        *first &= 0x7f;
    }
    base64(&bytes)
}

/// The id of a document that came without, 20 characters: time, process and a count.
pub(crate) fn document_id() -> String {
    static PROCESS: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let process = PROCESS.get_or_init(random);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64);
    let mut bytes = Vec::with_capacity(15);
    bytes.extend(millis.to_be_bytes().iter().skip(2));
    bytes.extend(process.to_be_bytes().iter().skip(3));
    bytes.extend(count.to_be_bytes().iter().skip(4));
    base64(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_long_enough_and_differ() {
        assert_eq!(index_uuid().len(), 22);
        assert_ne!(index_uuid(), index_uuid());
        assert_eq!(document_id().len(), 20);
        assert_ne!(document_id(), document_id());
        assert_eq!(base64(b"any carnal pleas"), "YW55IGNhcm5hbCBwbGVhcw");
    }
}
