//! Walks a request by its layout.

use super::{LayoutError, MAX_ELEMENTS};

/// Where in a request the walk is.
pub(super) struct Walk<'a> {
    body: &'a [u8],
    at: usize,
    elements: usize,
    version: i16,
    flexible: bool,
}

/// A field of a layout.
pub(super) struct Field<'t> {
    /// What it is: the character with which it begins.
    pub(super) kind: u8,
    /// What is between its brackets.
    pub(super) inner: &'t [u8],
    /// Whether it is in this version.
    pub(super) present: bool,
}

/// Splits the first field off: the field, and the rest.
pub(super) fn next_field(text: &[u8], version: i16) -> Option<(Field<'_>, &[u8])> {
    let start = text.iter().position(|c| *c != b' ')?;
    let text = &text[start..];
    let kind = text[0];
    let mut end = 1;
    if matches!(kind, b'[' | b'(' | b'<' | b'{') {
        let mut depth = 1;
        while depth > 0 && end < text.len() {
            match text[end] {
                b'[' | b'(' | b'<' | b'{' => depth += 1,
                b']' | b')' | b'>' | b'}' => depth -= 1,
                _ => {}
            }
            end += 1;
        }
    }
    let inner = &text[1..end.max(2) - 1];
    let mut rest = &text[end..];
    let mut present = true;
    if rest.first() == Some(&b'@') {
        let stop = rest.iter().position(|c| *c == b' ').unwrap_or(rest.len());
        let range = std::str::from_utf8(&rest[1..stop]).unwrap_or("");
        let (low, high) = range.split_once('-').unwrap_or((range, "99"));
        present =
            low.parse().is_ok_and(|l: i16| version >= l) && high.parse().is_ok_and(|h: i16| version <= h);
        rest = &rest[stop..];
    }
    Some((Field { kind, inner, present }, rest))
}

/// Splits a tagged field into its number and its fields.
pub(super) fn tag_of(inner: &[u8]) -> (usize, &[u8]) {
    let end = inner.iter().position(|c| *c == b' ').unwrap_or(inner.len());
    let (number, fields) = inner.split_at(end);
    (std::str::from_utf8(number).ok().and_then(|n| n.parse().ok()).unwrap_or(usize::MAX), fields)
}

impl<'a> Walk<'a> {
    pub(super) fn new(body: &'a [u8], version: i16, flexible: bool) -> Self {
        Self { body, at: 0, elements: 0, version, flexible }
    }

    /// The fields and the tagged fields of a struct.
    pub(super) fn structure(&mut self, text: &[u8]) -> Result<(), LayoutError> {
        self.fields(text)?;
        self.tags(text)
    }

    fn element(&mut self) -> Result<(), LayoutError> {
        self.elements += 1;
        if self.elements > MAX_ELEMENTS { Err(LayoutError::TooMany) } else { Ok(()) }
    }

    fn skip(&mut self, n: usize) -> Result<(), LayoutError> {
        if n > self.body.len() - self.at {
            return Err(LayoutError::PastEnd(self.at));
        }
        self.at += n;
        Ok(())
    }

    fn int(&mut self, size: usize) -> Result<i64, LayoutError> {
        let start = self.at;
        self.skip(size)?;
        let bytes = &self.body[start..self.at];
        let first = bytes.first().map_or(0, |b| i64::from(*b as i8));
        Ok(bytes.iter().skip(1).fold(first, |n, b| (n << 8) | i64::from(*b)))
    }

    fn varint(&mut self) -> Result<usize, LayoutError> {
        let mut value: u64 = 0;
        for shift in 0..5 {
            let byte = self.int(1)? as u8;
            value |= u64::from(byte & 0x7f) << (7 * shift);
            if byte & 0x80 == 0 {
                return Ok(value as usize);
            }
        }
        Err(LayoutError::PastEnd(self.at))
    }

    /// The length of a string, bytes or array; null counts as 0. `width` is that of the length in inflexible versions.
    fn length(&mut self, width: usize) -> Result<usize, LayoutError> {
        if self.flexible {
            return Ok(self.varint()?.saturating_sub(1));
        }
        match self.int(width)? {
            -1 => Ok(0),
            n => usize::try_from(n).map_err(|_| LayoutError::PastEnd(self.at)),
        }
    }

    /// The tagged fields of a struct with this layout.
    fn tags(&mut self, text: &[u8]) -> Result<(), LayoutError> {
        if !self.flexible {
            return Ok(());
        }
        for _ in 0..self.varint()? {
            self.element()?;
            let tag = self.varint()?;
            let size = self.varint()?;
            let start = self.at;
            if let Some(fields) = self.known_tag(text, tag) {
                self.fields(fields)?;
                // A struct of its own, unless it is one primitive.
                if fields.iter().filter(|c| **c == b' ').count() > 1 {
                    self.tags(fields)?;
                }
                if self.at - start != size {
                    return Err(LayoutError::Tag(self.at));
                }
            } else {
                self.skip(size)?;
            }
        }
        Ok(())
    }

    fn known_tag<'t>(&self, mut text: &'t [u8], tag: usize) -> Option<&'t [u8]> {
        while let Some((field, rest)) = next_field(text, self.version) {
            text = rest;
            if field.kind == b'<'
                && let (number, fields) = tag_of(field.inner)
                && number == tag
            {
                return Some(fields);
            }
        }
        None
    }

    fn fields(&mut self, mut text: &[u8]) -> Result<(), LayoutError> {
        while let Some((Field { kind, inner, present }, rest)) = next_field(text, self.version) {
            text = rest;
            if !present {
                continue;
            }
            match kind {
                b's' | b'b' => {
                    let n = self.length(if kind == b's' { 2 } else { 4 })?;
                    self.skip(n)?;
                }
                b'u' => self.skip(16)?,
                b'{' => {
                    if self.int(1)? >= 0 {
                        self.element()?;
                        self.structure(inner)?;
                    }
                }
                b'[' | b'(' => {
                    for _ in 0..self.length(4)? {
                        self.element()?;
                        if kind == b'[' { self.structure(inner)? } else { self.fields(inner)? }
                    }
                }
                // Tagged: behind the others.
                b'<' => {}
                digit => self.skip(usize::from(digit.saturating_sub(b'0')))?,
            }
        }
        Ok(())
    }
}
