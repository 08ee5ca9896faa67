//! The scanner: JSON text (RFC 8259) token by token, every token checked in full, nothing built.
//!
//! What it accepts is valid JSON even where the value is skipped: numbers by the grammar, strings without raw control characters
//! and with escapes that name Unicode characters, literals, at most [`MAX_DEPTH`] nested arrays and objects.

use crate::failure::{Failure, Fallible, abridged};
use std::borrow::Cow;

/// How deep arrays and objects may nest; the recursion is as deep.
pub(crate) const MAX_DEPTH: u32 = 128;

/// A value that is neither array nor object, or the start of one.
#[derive(Debug)]
pub(super) enum Token<'a> {
    Null,
    Boolean(bool),
    /// As written.
    Number(&'a str),
    /// Without escapes.
    String(Cow<'a, str>),
    /// `{`, not consumed.
    Object,
    /// `[`, not consumed.
    Array,
}

impl Token<'_> {
    /// As an error names it.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Boolean(b) => format!("the boolean {b}"),
            Self::Number(text) => format!("the number {}", abridged(text)),
            Self::String(text) => format!("the string \"{}\"", abridged(text)),
            Self::Object => "an object".to_owned(),
            Self::Array => "an array".to_owned(),
        }
    }
}

/// A place in a text.
#[derive(Clone)]
pub(super) struct Scanner<'a> {
    text: &'a str,
    pos: usize,
    depth: u32,
}

impl<'a> Scanner<'a> {
    /// At the first byte of the payload's first token.
    ///
    /// # Errors
    /// The payload is not UTF-8.
    #[inline]
    pub(super) fn new(payload: &'a [u8]) -> Fallible<Self> {
        // Once for all: slices of a text at ASCII bytes are text again.
        let text = std::str::from_utf8(payload)
            .map_err(|e| Failure::new(format!("not UTF-8 at byte {}", e.valid_up_to())))?;
        let mut scanner = Self { text, pos: 0, depth: 0 };
        scanner.skip_space();
        Ok(scanner)
    }

    #[inline]
    pub(super) fn pos(&self) -> usize {
        self.pos
    }

    /// Goes to a place that was read before.
    pub(super) fn set_pos(&mut self, pos: usize) {
        self.pos = pos;
    }

    /// The bytes from `start` to here.
    #[inline]
    pub(super) fn since(&self, start: usize) -> &'a [u8] {
        &self.text.as_bytes()[start..self.pos]
    }

    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.pos).copied()
    }

    /// Consumes that byte if it is next.
    #[inline]
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let is = self.peek() == Some(byte);
        self.pos += usize::from(is);
        is
    }

    /// Consumes these bytes if they are next.
    #[inline]
    pub(super) fn take_all(&mut self, bytes: &[u8]) -> bool {
        let is = self.text.as_bytes()[self.pos..].starts_with(bytes);
        if is {
            self.pos += bytes.len();
        }
        is
    }

    #[inline]
    pub(super) fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.peek() {
            self.pos += 1;
        }
    }

    #[cold]
    pub(super) fn wrong(&self, wanted: &str) -> Box<Failure> {
        match self.text[..].get(self.pos..).and_then(|rest| rest.chars().next()) {
            Some(found) => {
                Failure::new(format!("not JSON: {wanted} wanted at byte {}, found {found:?}", self.pos))
            }
            None => Failure::new(format!("not JSON: {wanted} wanted at byte {}, found the end", self.pos)),
        }
    }

    /// Nothing but space may follow.
    #[inline]
    pub(super) fn end(&mut self) -> Fallible<()> {
        self.skip_space();
        if self.pos == self.text.len() { Ok(()) } else { Err(self.wrong("the end")) }
    }

    /// Consumes `{` or `[`.
    #[inline]
    pub(super) fn enter(&mut self, open: u8) -> Fallible<()> {
        if !self.take(open) {
            return Err(self.wrong(if open == b'{' { "an object" } else { "an array" }));
        }
        if self.depth == MAX_DEPTH {
            return Err(Failure::new(format!("nested deeper than {MAX_DEPTH} at byte {}", self.pos - 1)));
        }
        self.depth += 1;
        Ok(())
    }

    /// After [`Scanner::enter`] and after each element: whether another follows. Consumes the comma, or the closing byte. Does not
    /// consume space after it.
    #[inline]
    pub(super) fn more(&mut self, close: u8, first: bool) -> Fallible<bool> {
        if !first && self.take(b',') {
            return Ok(true);
        }
        let start = self.pos;
        self.skip_space();
        if self.take(close) {
            self.depth -= 1;
            return Ok(false);
        }
        if first {
            self.pos = start;
            return Ok(true);
        }
        if self.take(b',') {
            return Ok(true);
        }
        Err(self.wrong(if close == b'}' { "',' or '}'" } else { "',' or ']'" }))
    }

    /// A key with its colon and the space around them.
    pub(super) fn key(&mut self) -> Fallible<Cow<'a, str>> {
        self.skip_space();
        if self.peek() != Some(b'"') {
            return Err(self.wrong("a key in double quotes"));
        }
        let key = self.string()?;
        self.skip_space();
        if !self.take(b':') {
            return Err(self.wrong("':'"));
        }
        self.skip_space();
        Ok(key)
    }

    /// The next token, consumed unless it opens an array or object.
    #[inline]
    pub(super) fn token(&mut self) -> Fallible<Token<'a>> {
        match self.peek() {
            Some(b'"') => Ok(Token::String(self.string()?)),
            Some(b'-' | b'0'..=b'9') => Ok(Token::Number(self.number()?)),
            Some(b'{') => Ok(Token::Object),
            Some(b'[') => Ok(Token::Array),
            Some(b'n') if self.take_all(b"null") => Ok(Token::Null),
            Some(b't') if self.take_all(b"true") => Ok(Token::Boolean(true)),
            Some(b'f') if self.take_all(b"false") => Ok(Token::Boolean(false)),
            _ => Err(self.wrong("a value")),
        }
    }

    /// An integer of at most 18 digits, the common case; else nothing is consumed.
    #[inline]
    pub(super) fn small_integer(&mut self) -> Option<i64> {
        let bytes = self.text.as_bytes();
        let negative = self.peek() == Some(b'-');
        let first = self.pos + usize::from(negative);
        let mut at = first;
        let mut value: i64 = 0;
        while let Some(digit) = bytes.get(at).map(|b| b.wrapping_sub(b'0')).filter(|d| *d < 10) {
            value = value.wrapping_mul(10).wrapping_add(i64::from(digit));
            at += 1;
        }
        let digits = at - first;
        if digits == 0
            || digits > 18
            || (digits > 1 && bytes[first] == b'0')
            || matches!(bytes.get(at), Some(b'.' | b'e' | b'E'))
        {
            return None;
        }
        self.pos = at;
        Some(if negative { -value } else { value })
    }

    fn digits(&mut self) -> Fallible<()> {
        let start = self.pos;
        while let Some(b'0'..=b'9') = self.peek() {
            self.pos += 1;
        }
        if self.pos == start { Err(self.wrong("a digit")) } else { Ok(()) }
    }

    fn number(&mut self) -> Fallible<&'a str> {
        let start = self.pos;
        self.take(b'-');
        if self.take(b'0') {
            if let Some(b'0'..=b'9') = self.peek() {
                return Err(self.wrong("no digit after a leading zero"));
            }
        } else {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            if !self.take(b'+') {
                self.take(b'-');
            }
            self.digits()?;
        }
        Ok(&self.text[start..self.pos])
    }

    /// A string whose opening quote is next.
    #[inline]
    fn string(&mut self) -> Fallible<Cow<'a, str>> {
        let start = self.pos + 1;
        let at = special(self.text.as_bytes(), start);
        if self.text.as_bytes().get(at) == Some(&b'"') {
            self.pos = at + 1;
            return Ok(Cow::Borrowed(&self.text[start..at]));
        }
        self.escaped_string(start, at)
    }

    /// The rest of a string whose first special byte is at `at`.
    #[cold]
    fn escaped_string(&mut self, start: usize, at: usize) -> Fallible<Cow<'a, str>> {
        let bytes = self.text.as_bytes();
        let mut out = self.text[start..at].to_owned();
        self.pos = at;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.pos += 1;
                    return Ok(Cow::Owned(out));
                }
                Some(b'\\') => {
                    self.pos += 1;
                    out.push(self.escape()?);
                }
                Some(_) => return Err(self.wrong("an escape in place of a control character")),
                None => return Err(self.wrong("'\"'")),
            }
            let next = special(bytes, self.pos);
            out.push_str(&self.text[self.pos..next]);
            self.pos = next;
        }
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Fallible<char> {
        let plain = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            _ => return Err(self.wrong("an escape")),
        };
        self.pos += 1;
        Ok(plain)
    }

    fn unicode_escape(&mut self) -> Fallible<char> {
        let start = self.pos - 1;
        let high = self.unit()?;
        let code = match high {
            0xd800..=0xdbff if self.take(b'\\') => match self.unit()? {
                low @ 0xdc00..=0xdfff => 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00),
                _ => high,
            },
            _ => high,
        };
        char::from_u32(code)
            .ok_or_else(|| Failure::new(format!("not JSON: half a surrogate pair at byte {start}")))
    }

    /// `uXXXX`
    fn unit(&mut self) -> Fallible<u32> {
        if !self.take(b'u') {
            return Err(self.wrong("'u'"));
        }
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|b| char::from(b).to_digit(16));
            unit = unit * 16 + digit.ok_or_else(|| self.wrong("a hexadecimal digit"))?;
            self.pos += 1;
        }
        Ok(unit)
    }

    /// Checks a value and drops it.
    pub(super) fn skip_value(&mut self) -> Fallible<()> {
        let open = match self.token()? {
            Token::Object => b'{',
            Token::Array => b'[',
            _ => return Ok(()),
        };
        let close = if open == b'{' { b'}' } else { b']' };
        self.enter(open)?;
        let mut first = true;
        while self.more(close, first)? {
            first = false;
            if open == b'{' {
                self.key()?;
            } else {
                self.skip_space();
            }
            self.skip_value()?;
        }
        Ok(())
    }

    /// Checks a value and gives its text without the space between tokens.
    pub(super) fn compact_value(&mut self) -> Fallible<String> {
        let start = self.pos;
        self.skip_value()?;
        let text = &self.text[start..self.pos];
        let mut out = String::with_capacity(text.len());
        let (mut quoted, mut escaped) = (false, false);
        for c in text.chars() {
            if quoted {
                quoted = escaped || c != '"';
                escaped = c == '\\' && !escaped;
            } else if matches!(c, ' ' | '\n' | '\t' | '\r') {
                continue;
            } else {
                quoted = c == '"';
            }
            out.push(c);
        }
        Ok(out)
    }
}

/// The place from `at` on of the first byte that ends a plain run in a string: a quote, a backslash or a control character; else
/// the end. Eight bytes at a time.
#[inline]
pub(super) fn special(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGHS: u64 = ONES << 7;
    // Marks the bytes that equal `b`, or are less than it: exact up to the first one that is marked.
    let zero = |x: u64| x.wrapping_sub(ONES) & !x & HIGHS;
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let x = u64::from_le_bytes(*chunk);
        let control = x.wrapping_sub(ONES * 0x20) & !x & HIGHS;
        let found = zero(x ^ (ONES * b'"' as u64)) | zero(x ^ (ONES * b'\\' as u64)) | control;
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while let Some(b) = bytes.get(at) {
        if *b < 0x20 || *b == b'"' || *b == b'\\' {
            break;
        }
        at += 1;
    }
    at
}
