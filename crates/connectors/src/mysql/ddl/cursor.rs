//! Walking through the tokens of a statement.

use super::TableName;
use super::lexer::Token;

/// A statement that was not understood: what stood where something else was wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{wanted} was wanted at \"{found}\"")]
pub(in super::super) struct SyntaxError {
    wanted: &'static str,
    found: String,
}

/// A place in tokens.
#[derive(Clone)]
pub(super) struct Cursor<'a> {
    tokens: &'a [Token],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(tokens: &'a [Token]) -> Self {
        Self { tokens, at: 0 }
    }

    pub(super) fn is_end(&self) -> bool {
        self.at >= self.tokens.len()
    }

    pub(super) fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at)
    }

    pub(super) fn next(&mut self) -> Option<&'a Token> {
        let token = self.tokens.get(self.at);
        self.at += 1;
        token
    }

    /// The word `ahead` tokens from here, in upper case.
    pub(super) fn word_at(&self, ahead: usize) -> Option<String> {
        match self.tokens.get(self.at + ahead) {
            Some(Token::Word(word)) => Some(word.to_ascii_uppercase()),
            _ => None,
        }
    }

    /// Whether these words come next.
    pub(super) fn looks_at(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(i, w)| self.word_at(i).as_deref() == Some(*w))
    }

    /// Passes these words if they come next.
    pub(super) fn accept(&mut self, words: &[&str]) -> bool {
        let here = self.looks_at(words);
        if here {
            self.at += words.len();
        }
        here
    }

    /// Passes one of these words if it comes next.
    pub(super) fn accept_any(&mut self, words: &[&str]) -> bool {
        words.iter().any(|w| self.accept(&[w]))
    }

    pub(super) fn accept_sign(&mut self, sign: char) -> bool {
        let here = self.peek() == Some(&Token::Sign(sign));
        if here {
            self.at += 1;
        }
        here
    }

    pub(super) fn error(&self, wanted: &'static str) -> SyntaxError {
        let rest = self.tokens.get(self.at.min(self.tokens.len())..).unwrap_or_default();
        let words = rest.iter().take(4).map(|t| match t {
            Token::Word(w) | Token::Name(w) | Token::Double(w) | Token::Text(w) => w.clone(),
            Token::Sign(c) => c.to_string(),
        });
        SyntaxError { wanted, found: words.collect::<Vec<_>>().join(" ") }
    }

    /// A name: bare or quoted.
    pub(super) fn name(&mut self) -> Result<String, SyntaxError> {
        match self.peek() {
            Some(Token::Word(n) | Token::Name(n) | Token::Double(n)) => {
                self.at += 1;
                Ok(n.clone())
            }
            _ => Err(self.error("a name")),
        }
    }

    /// `table` or `database.table`.
    pub(super) fn table_name(&mut self) -> Result<TableName, SyntaxError> {
        let first = self.name()?;
        if !self.accept_sign('.') {
            return Ok((None, first));
        }
        Ok((Some(first), self.name()?))
    }

    /// What stands in the brackets that open here, and goes past them.
    pub(super) fn group(&mut self) -> Result<Cursor<'a>, SyntaxError> {
        if !self.accept_sign('(') {
            return Err(self.error("("));
        }
        let start = self.at;
        let mut depth = 1_usize;
        while let Some(token) = self.next() {
            match token {
                Token::Sign('(') => depth += 1,
                Token::Sign(')') => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Ok(Cursor::new(self.tokens.get(start..self.at - 1).unwrap_or_default()));
            }
        }
        Err(self.error(")"))
    }

    /// Goes past brackets, where they open here.
    pub(super) fn skip_group(&mut self) {
        if self.peek() == Some(&Token::Sign('(')) {
            let _ = self.group();
        }
    }

    /// The rest, cut at the commas outside of brackets.
    pub(super) fn split(&self) -> Vec<Cursor<'a>> {
        let rest = self.tokens.get(self.at.min(self.tokens.len())..).unwrap_or_default();
        let mut depth = 0_usize;
        let parts = rest.split(|token| {
            match token {
                Token::Sign('(') => depth += 1,
                Token::Sign(')') => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 && *token == Token::Sign(',')
        });
        parts.map(Cursor::new).collect()
    }

    /// The names in the brackets that open here; lengths and directions of index columns are left out.
    pub(super) fn name_list(&mut self) -> Result<Vec<String>, SyntaxError> {
        self.group()?.split().iter_mut().map(Cursor::name).collect()
    }
}
