//! Avro's binary encoding, read step by step from bytes that nobody has checked.
//!
//! Nothing is allocated by a length that a record states: lengths are checked against the bytes that are there, values that take no
//! bytes at all (nulls in an array) are counted, and so is the nesting of what is skipped.

use crate::failure::{Failure, Fallible};

/// Values that take no bytes may be so many in one record.
const MAX_FREE: u64 = 65_536;
/// What is skipped may nest so deep: types may refer to themselves.
const MAX_DEPTH: u32 = 256;

/// A datum being read.
pub(super) struct Wire<'a> {
    bytes: &'a [u8],
    free: u64,
    depth: u32,
}

/// The items of an array or a map: blocks of them until an empty one.
#[derive(Default)]
pub(super) struct Blocks {
    left: u64,
}

impl<'a> Wire<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, free: MAX_FREE, depth: 0 }
    }

    /// # Errors
    /// Bytes are left.
    pub(super) fn end(&self) -> Fallible<()> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        Err(Failure::new(format!("{} bytes are left after the datum of this schema", self.bytes.len())))
    }

    /// What is not read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    #[inline]
    pub(super) fn take(&mut self, count: usize) -> Fallible<&'a [u8]> {
        match self.bytes.split_at_checked(count) {
            Some((taken, rest)) => {
                self.bytes = rest;
                Ok(taken)
            }
            None => Err(self.cut_short(count)),
        }
    }

    #[cold]
    fn cut_short(&self, wanted: usize) -> Box<Failure> {
        Failure::new(format!("the datum is cut short: {wanted} bytes wanted, {} are left", self.bytes.len()))
    }

    #[inline]
    pub(super) fn array<const N: usize>(&mut self) -> Fallible<[u8; N]> {
        match self.bytes.split_first_chunk::<N>() {
            Some((taken, rest)) => {
                self.bytes = rest;
                Ok(*taken)
            }
            None => Err(self.cut_short(N)),
        }
    }

    /// `int` or `long`: zigzag, 7 bits a byte, least first.
    #[inline]
    pub(super) fn long(&mut self) -> Fallible<i64> {
        let raw = match self.bytes {
            [byte, rest @ ..] if *byte < 0x80 => {
                self.bytes = rest;
                u64::from(*byte)
            }
            _ => self.varint()?,
        };
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    #[inline]
    fn varint(&mut self) -> Fallible<u64> {
        let mut value = 0_u64;
        for (i, byte) in self.bytes.iter().take(10).enumerate() {
            let bits = u64::from(byte & 0x7f);
            if i == 9 && *byte > 1 {
                break;
            }
            value |= bits << (7 * i);
            if *byte < 0x80 {
                self.bytes = &self.bytes[i + 1..];
                return Ok(value);
            }
        }
        if self.bytes.len() < 10 {
            return Err(self.cut_short(self.bytes.len() + 1));
        }
        Err(Failure::new("a number takes more than 64 bits"))
    }

    pub(super) fn boolean(&mut self) -> Fallible<bool> {
        match self.array::<1>()? {
            [0] => Ok(false),
            [1] => Ok(true),
            [other] => Err(Failure::new(format!("a boolean is 0 or 1, found {other}"))),
        }
    }

    pub(super) fn float(&mut self) -> Fallible<f32> {
        Ok(f32::from_le_bytes(self.array()?))
    }

    pub(super) fn double(&mut self) -> Fallible<f64> {
        Ok(f64::from_le_bytes(self.array()?))
    }

    /// `bytes` or `string`: the length, then that many bytes.
    #[inline]
    pub(super) fn bytes(&mut self) -> Fallible<&'a [u8]> {
        let length = self.long()?;
        match usize::try_from(length) {
            Ok(length) => self.take(length),
            Err(_) => Err(Failure::new(format!("the length {length} is negative"))),
        }
    }

    #[inline]
    pub(super) fn string(&mut self) -> Fallible<&'a str> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes)
            .map_err(|e| Failure::new(format!("a string is not UTF-8 at byte {}", e.valid_up_to())))
    }

    /// The branch of a union, or the symbol of an enum, of which there are `count`.
    #[inline]
    pub(super) fn index(&mut self, count: usize, what: &str) -> Fallible<usize> {
        let index = self.long()?;
        match usize::try_from(index) {
            Ok(at) if at < count => Ok(at),
            _ => Err(Failure::new(format!("{what} {index} wanted, there are {count}"))),
        }
    }

    /// Whether another item follows. `free` items may take no bytes.
    #[inline]
    pub(super) fn next(&mut self, blocks: &mut Blocks, free: bool) -> Fallible<bool> {
        if blocks.left == 0 {
            blocks.left = self.block(free)?;
        }
        if blocks.left == 0 {
            return Ok(false);
        }
        blocks.left -= 1;
        Ok(true)
    }

    /// The number of items of the next block, 0 at the end.
    fn block(&mut self, free: bool) -> Fallible<u64> {
        let count = self.long()?;
        if count < 0 {
            // The block's size in bytes, for those who skip it.
            let size = self.long()?;
            if u64::try_from(size).map_or(true, |size| size > self.bytes.len() as u64) {
                return Err(Failure::new(format!("a block of {size} bytes, {} are left", self.bytes.len())));
            }
        }
        self.admit(count.unsigned_abs(), free)
    }

    fn admit(&mut self, count: u64, free: bool) -> Fallible<u64> {
        if !free {
            if count > self.bytes.len() as u64 {
                return Err(Failure::new(format!(
                    "a block of {count} items, {} bytes are left",
                    self.bytes.len()
                )));
            }
        } else if count > self.free {
            return Err(Failure::new(format!("more than {MAX_FREE} items that take no bytes")));
        } else {
            self.free -= count;
        }
        Ok(count)
    }

    /// Skips the blocks of an array or a map: those that state their size as a whole, others by `item`.
    pub(super) fn skip_blocks(
        &mut self,
        free: bool,
        mut item: impl FnMut(&mut Self) -> Fallible<()>,
    ) -> Fallible<()> {
        loop {
            let count = self.long()?;
            if count == 0 {
                return Ok(());
            }
            if count < 0 {
                self.bytes()?;
                continue;
            }
            for _ in 0..self.admit(count as u64, free)? {
                item(self)?;
            }
        }
    }

    /// Goes a level deeper for the time of `within`.
    pub(super) fn nested(&mut self, within: impl FnOnce(&mut Self) -> Fallible<()>) -> Fallible<()> {
        if self.depth == MAX_DEPTH {
            return Err(Failure::new(format!("values are nested deeper than {MAX_DEPTH}")));
        }
        self.depth += 1;
        within(self)?;
        self.depth -= 1;
        Ok(())
    }
}

/// Appends an `int` or `long`.
#[inline]
pub(super) fn put_long(out: &mut Vec<u8>, value: i64) {
    let mut raw = ((value << 1) ^ (value >> 63)) as u64;
    while raw >= 0x80 {
        out.push(raw as u8 | 0x80);
        raw >>= 7;
    }
    out.push(raw as u8);
}

/// Appends `bytes` or a `string`.
#[inline]
pub(super) fn put_bytes(out: &mut Vec<u8>, value: &[u8]) {
    put_long(out, value.len() as i64);
    out.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longs_are_zigzag_varints() {
        for (value, bytes) in [
            (0, &[0][..]),
            (-1, &[1]),
            (63, &[0x7e]),
            (64, &[0x80, 1]),
            (i64::MAX, &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
            (i64::MIN, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
        ] {
            let mut out = Vec::new();
            put_long(&mut out, value);
            assert_eq!(out, bytes, "{value}");
            let mut wire = Wire::new(&out);
            assert_eq!(wire.long().unwrap(), value);
            assert!(wire.end().is_ok());
        }
        assert!(Wire::new(&[0x80]).long().is_err());
        assert!(Wire::new(&[0xff; 12]).long().is_err());
        assert!(Wire::new(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]).long().is_err());
    }
}
