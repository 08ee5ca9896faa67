//! The tokens of a `.proto` text, one after the other.

use super::lexer::{self, Token, error};
use crate::definition::InvalidSchema;

/// Deeper messages and option values are refused.
pub(super) const MAX_NESTING: usize = 32;

pub(super) type Parsed<T> = Result<T, InvalidSchema>;

/// A file's tokens on their way to what they say.
pub(super) struct Parser {
    tokens: Vec<(Token, u32)>,
    pub(super) at: usize,
    depth: usize,
}

fn describe(token: Option<&Token>) -> String {
    match token {
        None => "the end".into(),
        Some(Token::Word(w) | Token::Number(w)) => format!("'{w}'"),
        Some(Token::Text(t)) => format!("\"{t}\""),
        Some(Token::Symbol(s)) => format!("'{s}'"),
    }
}

impl Parser {
    pub(super) fn new(text: &str) -> Parsed<Self> {
        Ok(Self { tokens: lexer::tokens(text)?, at: 0, depth: 0 })
    }

    pub(super) fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(token, _)| token)
    }

    /// The token so many after the next one.
    pub(super) fn ahead(&self, count: usize) -> Option<&Token> {
        self.tokens.get(self.at + count).map(|(token, _)| token)
    }

    pub(super) fn line(&self) -> u32 {
        self.tokens.get(self.at).or(self.tokens.last()).map_or(1, |(_, line)| *line)
    }

    pub(super) fn unexpected<T>(&self, wanted: &str) -> Parsed<T> {
        Err(error(self.line(), format!("{wanted} expected, found {}", describe(self.peek()))))
    }

    pub(super) fn is_symbol(&self, symbol: char) -> bool {
        self.peek() == Some(&Token::Symbol(symbol))
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Token::Word(w)) if w == word)
    }

    /// Takes the symbol if it is next.
    pub(super) fn took(&mut self, symbol: char) -> bool {
        let is = self.is_symbol(symbol);
        self.at += usize::from(is);
        is
    }

    pub(super) fn took_word(&mut self, word: &str) -> bool {
        let is = self.is_word(word);
        self.at += usize::from(is);
        is
    }

    pub(super) fn symbol(&mut self, symbol: char) -> Parsed<()> {
        if self.took(symbol) { Ok(()) } else { self.unexpected(&format!("'{symbol}'")) }
    }

    pub(super) fn word(&mut self) -> Parsed<String> {
        match self.peek() {
            Some(Token::Word(word)) => {
                let word = word.clone();
                self.at += 1;
                Ok(word)
            }
            _ => self.unexpected("a name"),
        }
    }

    /// `a.b.c`, or `.a.b.c`.
    pub(super) fn path(&mut self) -> Parsed<String> {
        let mut path = String::new();
        if self.took('.') {
            path.push('.');
        }
        path.push_str(&self.word()?);
        while self.took('.') {
            path.push('.');
            path.push_str(&self.word()?);
        }
        Ok(path)
    }

    pub(super) fn text(&mut self) -> Parsed<String> {
        let mut text = match self.peek() {
            Some(Token::Text(text)) => text.clone(),
            _ => return self.unexpected("a string"),
        };
        self.at += 1;
        while let Some(Token::Text(more)) = self.peek() {
            text.push_str(more);
            self.at += 1;
        }
        Ok(text)
    }

    pub(super) fn integer(&mut self) -> Parsed<i32> {
        let negative = self.took('-');
        let Some(Token::Number(number)) = self.peek() else { return self.unexpected("a number") };
        let lower = number.to_ascii_lowercase();
        let value = match lower.strip_prefix("0x") {
            Some(hex) => i64::from_str_radix(hex, 16),
            None if lower.len() > 1 && lower.starts_with('0') => i64::from_str_radix(&lower, 8),
            None => lower.parse(),
        };
        let value = value.ok().map(|v| if negative { -v } else { v }).and_then(|v| i32::try_from(v).ok());
        let Some(value) = value else {
            return Err(error(self.line(), format!("'{number}' is no 32-bit number")));
        };
        self.at += 1;
        Ok(value)
    }

    pub(super) fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= MAX_NESTING {
            return Err(error(self.line(), format!("nested more than {MAX_NESTING} levels deep")));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }
}
