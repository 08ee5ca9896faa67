//! Recursive descent for statements and queries, operator precedence for expressions. Depth is bounded: a text nested too
//! deeply is an error, never a stack overflow.

mod expressions;
mod select;
mod statements;
mod types;

use crate::ast;
use crate::error::{Fault, Res, Span, SqlError, fail};
use crate::lexer::{Spanned, Token, tokens};
use std::sync::Arc;

/// A statement with its text.
#[derive(Debug, Clone, PartialEq)]
pub struct ParsedStatement {
    /// What it says.
    pub ast: ast::Statement,
    /// Its text, without the semicolon and comments around it.
    pub text: String,
    /// Where it starts in the text that was parsed, in bytes.
    pub offset: usize,
    /// The text that was parsed as a whole; errors of [`crate::analyze`] are placed in it.
    pub source: Arc<str>,
}

/// How deep expressions, types and sub-queries may nest.
pub(crate) const MAX_DEPTH: u16 = 100;

/// The statements of a text, separated by semicolons; the last one's may be missing.
///
/// # Errors
/// The first thing that cannot be read.
pub fn parse(text: &str) -> Result<Vec<ParsedStatement>, SqlError> {
    let source: Arc<str> = text.into();
    parse_all(&source).map_err(|fault| fault.place(text))
}

fn parse_all(source: &Arc<str>) -> Res<Vec<ParsedStatement>> {
    let mut parser = Parser { tokens: tokens(source)?, at: 0, depth: 0 };
    let mut out = Vec::new();
    loop {
        while parser.take_symbol(";") {}
        if *parser.peek() == Token::End {
            return Ok(out);
        }
        let start = parser.span().start;
        let ast = parser.statement()?;
        let end = parser.last_end();
        if *parser.peek() != Token::End && !parser.at_symbol(";") {
            return parser.unexpected("the end of the statement", "separate statements by a semicolon");
        }
        let text = source[start..end].to_string();
        out.push(ParsedStatement { ast, text, offset: start, source: source.clone() });
    }
}

/// Words that end an expression or a relation and so are names in quotes only.
const RESERVED: &[&str] = &[
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP",
    "HAVING",
    "WINDOW",
    "JOIN",
    "ON",
    "EMIT",
    "LIMIT",
    "ORDER",
    "UNION",
    "EXCEPT",
    "INTERSECT",
    "AS",
    "AND",
    "OR",
    "NOT",
    "IN",
    "LIKE",
    "BETWEEN",
    "IS",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "NULL",
    "TRUE",
    "FALSE",
    "WITH",
    "CREATE",
    "INTO",
    "PARTITION",
    "WITHIN",
    "DISTINCT",
    "INNER",
    "LEFT",
    "RIGHT",
    "FULL",
    "CROSS",
    "OUTER",
    "BY",
];

/// Words that follow an item or a relation and so are no alias without AS.
const NO_ALIAS: &[&str] =
    &["END", "ASC", "DESC", "GRACE", "ESCAPE", "USING", "NATURAL", "OVER", "OFFSET", "FETCH"];

struct Parser {
    tokens: Vec<Spanned>,
    at: usize,
    depth: u16,
}

impl Parser {
    fn peek(&self) -> &Token {
        self.peek_at(0)
    }

    fn peek_at(&self, ahead: usize) -> &Token {
        &self.tokens[(self.at + ahead).min(self.tokens.len() - 1)].token
    }

    fn span(&self) -> Span {
        self.tokens[self.at.min(self.tokens.len() - 1)].span
    }

    /// Where the last token taken ends.
    fn last_end(&self) -> usize {
        if self.at == 0 { 0 } else { self.tokens[self.at - 1].span.end }
    }

    fn since(&self, start: usize) -> Span {
        Span::new(start, self.last_end())
    }

    fn advance(&mut self) -> Spanned {
        let spanned = self.tokens[self.at.min(self.tokens.len() - 1)].clone();
        if self.at < self.tokens.len() - 1 {
            self.at += 1;
        }
        spanned
    }

    fn at_symbol(&self, symbol: &str) -> bool {
        matches!(self.peek(), Token::Symbol(s) if *s == symbol)
    }

    fn symbol_at(&self, ahead: usize, symbol: &str) -> bool {
        matches!(self.peek_at(ahead), Token::Symbol(s) if *s == symbol)
    }

    fn take_symbol(&mut self, symbol: &str) -> bool {
        let found = self.at_symbol(symbol);
        if found {
            self.advance();
        }
        found
    }

    fn need_symbol(&mut self, symbol: &str, place: &str) -> Res<()> {
        if self.take_symbol(symbol) {
            return Ok(());
        }
        self.unexpected(&format!("{symbol:?}"), &format!("write {symbol} {place}"))
    }

    fn word_at(&self, ahead: usize, word: &str) -> bool {
        matches!(self.peek_at(ahead), Token::Word(w) if w.eq_ignore_ascii_case(word))
    }

    fn at_word(&self, word: &str) -> bool {
        self.word_at(0, word)
    }

    fn at_words(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(i, w)| self.word_at(i, w))
    }

    fn at_any(&self, words: &[&str]) -> bool {
        words.iter().any(|w| self.at_word(w))
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.at_word(word);
        if found {
            self.advance();
        }
        found
    }

    /// Takes all of the words, or none.
    fn take_words(&mut self, words: &[&str]) -> bool {
        let found = self.at_words(words);
        if found {
            self.at += words.len();
        }
        found
    }

    fn need_word(&mut self, word: &str, example: &str) -> Res<()> {
        if self.take_word(word) {
            return Ok(());
        }
        self.unexpected(word, example)
    }

    /// The token here, for messages.
    fn here(&self) -> String {
        match self.peek() {
            Token::Word(w) => w.clone(),
            Token::Quoted(n) => format!("`{n}`"),
            Token::Text(t) => format!("'{t}'"),
            Token::Integer(n) | Token::Number(n) => n.clone(),
            Token::Symbol(s) => (*s).to_string(),
            Token::End => "the end".to_string(),
        }
    }

    fn unexpected<T>(&self, wanted: &str, hint: &str) -> Res<T> {
        fail(self.span(), format!("{wanted} is expected here, not {}", self.here()), hint)
    }

    /// A name: quoted, or any word that is not reserved.
    fn ident(&mut self, what: &str) -> Res<ast::Ident> {
        let span = self.span();
        match self.peek().clone() {
            Token::Word(name) if !is_one_of(&name, RESERVED) => {
                self.advance();
                Ok(ast::Ident { name, span })
            }
            Token::Quoted(name) => {
                self.advance();
                Ok(ast::Ident { name, span })
            }
            Token::Word(word) => fail(
                span,
                format!("{what} is expected here, and {word} is a word of the language"),
                format!("to use it as a name, put it in backticks: `{word}`"),
            ),
            _ => self.unexpected(what, ""),
        }
    }

    /// `[AS] alias`.
    fn alias(&mut self) -> Res<Option<ast::Ident>> {
        if self.take_word("AS") {
            return self.any_name("an alias").map(Some);
        }
        let named = match self.peek() {
            Token::Word(w) => !is_one_of(w, RESERVED) && !is_one_of(w, NO_ALIAS),
            Token::Quoted(_) => true,
            _ => false,
        };
        if named { self.ident("an alias").map(Some) } else { Ok(None) }
    }

    /// A name where no keyword can stand: any word.
    fn any_name(&mut self, what: &str) -> Res<ast::Ident> {
        let span = self.span();
        match self.peek().clone() {
            Token::Word(name) | Token::Quoted(name) => {
                self.advance();
                Ok(ast::Ident { name, span })
            }
            _ => self.unexpected(what, ""),
        }
    }

    fn text_literal(&mut self, what: &str) -> Res<String> {
        match self.peek().clone() {
            Token::Text(text) => {
                self.advance();
                Ok(text)
            }
            _ => self.unexpected(&format!("{what} in single quotes"), ""),
        }
    }

    /// `5 SECONDS`, `'5' SECONDS`: ms.
    fn duration(&mut self) -> Res<i64> {
        let span = self.span();
        let digits = match self.peek().clone() {
            Token::Integer(digits) | Token::Text(digits) => digits,
            _ => return self.unexpected("a number of time units", "such as 5 SECONDS"),
        };
        self.advance();
        let unit_span = self.span();
        let Token::Word(unit) = self.peek().clone() else {
            return self.unexpected("a unit of time", UNITS);
        };
        self.advance();
        duration_ms(&digits, &unit).map_err(|(message, hint)| {
            Fault::new(if hint == UNITS { unit_span } else { span }, message, hint)
        })
    }

    /// Runs `body` one level deeper.
    fn deeper<T>(&mut self, body: impl FnOnce(&mut Self) -> Res<T>) -> Res<T> {
        if self.depth >= MAX_DEPTH {
            return too_deep(self.span());
        }
        self.depth += 1;
        let result = body(self);
        self.depth -= 1;
        result
    }
}

fn too_deep<T>(span: Span) -> Res<T> {
    fail(
        span,
        format!("this is nested more than {MAX_DEPTH} deep"),
        "split it: name parts in sub-queries or other streams, or use IN for long lists of OR",
    )
}

pub(crate) const UNITS: &str = "units are MILLISECONDS, SECONDS, MINUTES, HOURS and DAYS";

/// The ms of a unit of fixed length.
pub(crate) fn unit_ms(unit: &str) -> Option<i64> {
    Some(match unit.to_ascii_uppercase().as_str() {
        "MILLISECOND" | "MILLISECONDS" => 1,
        "SECOND" | "SECONDS" => 1000,
        "MINUTE" | "MINUTES" => 60_000,
        "HOUR" | "HOURS" => 3_600_000,
        "DAY" | "DAYS" => 86_400_000,
        _ => return None,
    })
}

/// `digits` of `unit` in ms, or message and hint.
pub(crate) fn duration_ms(digits: &str, unit: &str) -> Result<i64, (String, &'static str)> {
    let Some(factor) = unit_ms(unit) else {
        return Err((format!("{unit} is no unit of a fixed length of time"), UNITS));
    };
    let number: i64 = digits.trim().parse().map_err(|_| {
        (format!("{digits} is no whole number of time units"), "write digits, such as 5 SECONDS")
    })?;
    number.checked_mul(factor).ok_or((format!("{digits} {unit} is out of range"), "use a shorter time"))
}

fn is_one_of(word: &str, words: &[&str]) -> bool {
    words.iter().any(|w| w.eq_ignore_ascii_case(word))
}
