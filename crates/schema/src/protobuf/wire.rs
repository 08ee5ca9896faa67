//! Protobuf's wire format: tags, varints, lengths. Nothing is allocated from a claimed length.

use crate::failure::{Failure, Fallible};

/// The value of one field as it stands on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Raw<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 1.
    Fixed64(u64),
    /// Wire type 2; of a group (type 3) what is in it.
    Bytes(&'a [u8]),
    /// Wire type 5.
    Fixed32(u32),
}

/// Groups in groups, deeper than this, are refused.
const MAX_GROUPS: usize = 64;

#[cold]
fn ended() -> Box<Failure> {
    Failure::new("the bytes end within a value")
}

/// What is left to read of a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wire<'a> {
    rest: &'a [u8],
}

impl<'a> Wire<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    pub(super) fn varint(&mut self) -> Fallible<u64> {
        match self.rest {
            [byte @ 0..0x80, rest @ ..] => {
                self.rest = rest;
                Ok(u64::from(*byte))
            }
            [low, high @ 0..0x80, rest @ ..] => {
                self.rest = rest;
                Ok(u64::from(*low & 0x7f) | u64::from(*high) << 7)
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Fallible<u64> {
        let mut value = 0;
        for (at, byte) in self.rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * at);
            if *byte < 0x80 {
                self.rest = &self.rest[at + 1..];
                return Ok(value);
            }
        }
        Err(if self.rest.len() < 10 { ended() } else { Failure::new("a varint of more than 10 bytes") })
    }

    pub(super) fn fixed32(&mut self) -> Fallible<u32> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or_else(ended)?;
        self.rest = rest;
        Ok(u32::from_le_bytes(*bytes))
    }

    pub(super) fn fixed64(&mut self) -> Fallible<u64> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or_else(ended)?;
        self.rest = rest;
        Ok(u64::from_le_bytes(*bytes))
    }

    #[inline]
    pub(super) fn bytes(&mut self) -> Fallible<&'a [u8]> {
        let len = self.varint()?;
        match usize::try_from(len).ok().and_then(|len| self.rest.split_at_checked(len)) {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(bytes)
            }
            None => {
                let left = self.rest.len();
                Err(Failure::new(format!("a length of {len} bytes, of which {left} are there")))
            }
        }
    }

    /// The next field: its number and value.
    #[inline]
    pub(super) fn field(&mut self) -> Fallible<(u32, Raw<'a>)> {
        let tag = self.varint()?;
        let number = match u32::try_from(tag >> 3) {
            Ok(number @ 1..=0x1fff_ffff) => number,
            _ => return Err(Failure::new(format!("{} is no number of a field", tag >> 3))),
        };
        let raw = match tag & 7 {
            0 => Raw::Varint(self.varint()?),
            1 => Raw::Fixed64(self.fixed64()?),
            2 => Raw::Bytes(self.bytes()?),
            3 => Raw::Bytes(self.group(number)?),
            5 => Raw::Fixed32(self.fixed32()?),
            4 => return Err(Failure::new(format!("group {number} ends that has not begun"))),
            other => return Err(Failure::new(format!("field {number} is of the unknown wire type {other}"))),
        };
        Ok((number, raw))
    }

    /// What is in the group of that number, up to its end.
    fn group(&mut self, number: u32) -> Fallible<&'a [u8]> {
        let start = self.rest;
        let mut open = vec![number];
        loop {
            let before = self.rest.len();
            let tag = self.varint()?;
            match tag & 7 {
                0 => drop(self.varint()?),
                1 => drop(self.fixed64()?),
                2 => drop(self.bytes()?),
                5 => drop(self.fixed32()?),
                3 if open.len() < MAX_GROUPS => open.push((tag >> 3) as u32),
                4 if open.pop() == u32::try_from(tag >> 3).ok() => {
                    if open.is_empty() {
                        return Ok(&start[..start.len() - before]);
                    }
                }
                _ => return Err(Failure::new(format!("group {number} is broken"))),
            }
        }
    }
}

/// Zig-zag: 0, -1, 1, -2, ...
pub(super) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

pub(super) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

#[inline]
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Writes what `body` writes, with its length before it.
pub(super) fn put_delimited(
    out: &mut Vec<u8>,
    body: impl FnOnce(&mut Vec<u8>) -> Fallible<()>,
) -> Fallible<()> {
    let at = out.len();
    out.push(0);
    body(out)?;
    let len = out.len() - at - 1;
    if len < 0x80 {
        out[at] = len as u8;
        return Ok(());
    }
    // The length takes more than the one byte that was left for it.
    let mut prefix = Vec::with_capacity(10);
    put_varint(&mut prefix, len as u64);
    out.splice(at..=at, prefix);
    Ok(())
}

pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}
