//! The words of a `.proto` text.

use crate::definition::InvalidSchema;

/// One word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// A name without points.
    Word(String),
    /// A number as written, without its sign.
    Number(String),
    /// A string, unescaped.
    Text(String),
    Symbol(char),
}

/// A text that is no `.proto` file, with the line where that shows.
pub(super) fn error(line: u32, reason: impl std::fmt::Display) -> InvalidSchema {
    InvalidSchema(format!("line {line}: {reason}"))
}

/// All words with their lines, from 1.
pub(super) fn tokens(text: &str) -> Result<Vec<(Token, u32)>, InvalidSchema> {
    let mut lexer = Lexer { rest: text, line: 1 };
    let mut tokens = Vec::new();
    loop {
        lexer.blank()?;
        let line = lexer.line;
        match lexer.next()? {
            Some(token) => tokens.push((token, line)),
            None => return Ok(tokens),
        }
    }
}

struct Lexer<'a> {
    rest: &'a str,
    line: u32,
}

impl<'a> Lexer<'a> {
    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.line += taken.bytes().filter(|b| *b == b'\n').count() as u32;
        self.rest = rest;
        taken
    }

    fn take_while(&mut self, is: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !is(c)).unwrap_or(self.rest.len());
        self.take(end)
    }

    /// Passes over white space and comments.
    fn blank(&mut self) -> Result<(), InvalidSchema> {
        loop {
            self.take_while(|c| c.is_whitespace() || c == '\u{feff}');
            if self.rest.starts_with("//") {
                self.take_while(|c| c != '\n');
            } else if self.rest.starts_with("/*") {
                let end = self.rest.find("*/");
                let end = end.ok_or_else(|| error(self.line, "a comment is not closed"))?;
                self.take(end + 2);
            } else {
                return Ok(());
            }
        }
    }

    fn next(&mut self) -> Result<Option<Token>, InvalidSchema> {
        let Some(first) = self.rest.chars().next() else { return Ok(None) };
        let digit_follows = self.rest.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
        Ok(Some(match first {
            'a'..='z' | 'A'..='Z' | '_' => {
                Token::Word(self.take_while(|c| c.is_ascii_alphanumeric() || c == '_').to_owned())
            }
            '0'..='9' => self.number(),
            '.' if digit_follows => self.number(),
            '"' | '\'' => self.text(first)?,
            other => {
                self.take(other.len_utf8());
                Token::Symbol(other)
            }
        }))
    }

    fn number(&mut self) -> Token {
        let start = self.rest;
        self.take_while(|c| c.is_ascii_alphanumeric() || c == '.' || c == '_');
        let taken = start.len() - self.rest.len();
        let hex = start.starts_with("0x") || start.starts_with("0X");
        if !hex && start[..taken].ends_with(['e', 'E']) && self.rest.starts_with(['+', '-']) {
            self.take(1);
            self.take_while(|c| c.is_ascii_digit());
        }
        Token::Number(start[..start.len() - self.rest.len()].to_owned())
    }

    fn text(&mut self, quote: char) -> Result<Token, InvalidSchema> {
        let line = self.line;
        self.take(1);
        let mut bytes = Vec::new();
        loop {
            let Some(c) = self.rest.chars().next().filter(|c| *c != '\n') else {
                return Err(error(line, "a string is not closed"));
            };
            let plain = self.take(c.len_utf8());
            if c == quote {
                break;
            }
            if c == '\\' {
                self.escape(&mut bytes)?;
            } else {
                bytes.extend_from_slice(plain.as_bytes());
            }
        }
        Ok(Token::Text(String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn escape(&mut self, bytes: &mut Vec<u8>) -> Result<(), InvalidSchema> {
        let Some(c) = self.rest.chars().next() else {
            return Err(error(self.line, "a string is not closed"));
        };
        let simple = match c {
            'a' => 7,
            'b' => 8,
            'f' => 12,
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            'v' => 11,
            'x' | 'X' => return self.coded(1, 16, 2).map(|code| bytes.push(code as u8)),
            '0'..='7' => return self.coded(0, 8, 3).map(|code| bytes.push(code as u8)),
            'u' | 'U' => {
                let digits = if c == 'u' { 4 } else { 8 };
                let c = char::from_u32(self.coded(1, 16, digits)?).unwrap_or(char::REPLACEMENT_CHARACTER);
                bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            other => {
                bytes.extend_from_slice(self.take(other.len_utf8()).as_bytes());
                return Ok(());
            }
        };
        self.take(1);
        bytes.push(simple);
        Ok(())
    }

    /// The number of up to `most` digits behind `skip` bytes.
    fn coded(&mut self, skip: usize, radix: u32, most: usize) -> Result<u32, InvalidSchema> {
        self.take(skip);
        let digits = self.rest.bytes().take(most).take_while(|b| char::from(*b).is_digit(radix)).count();
        let digits = self.take(digits);
        u32::from_str_radix(digits, radix)
            .map_err(|_| error(self.line, "an escape in a string has no digits"))
    }
}
