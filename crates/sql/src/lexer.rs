//! Text to tokens with positions.

use crate::error::{Res, Span, fail};

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    /// An unquoted word, as spelled: a keyword or a name.
    Word(String),
    /// A name in backticks or double quotes, without them.
    Quoted(String),
    /// A string, its quotes undone.
    Text(String),
    /// Digits only.
    Integer(String),
    /// With a point or an exponent.
    Number(String),
    /// An operator or a separator.
    Symbol(&'static str),
    /// The end of the text.
    End,
}

/// A token and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Spanned {
    pub(crate) token: Token,
    pub(crate) span: Span,
}

/// Longest first.
const SYMBOLS: [&str; 29] = [
    "->", "=>", ":=", "<=", ">=", "<>", "!=", "||", "::", "(", ")", "[", "]", "{", "}", ",", ";", ".", "+",
    "-", "*", "/", "%", "=", "<", ">", ":", "?", "@",
];

/// All tokens of a text, the last one [`Token::End`].
pub(crate) fn tokens(text: &str) -> Res<Vec<Spanned>> {
    let mut lexer = Lexer { text, at: 0 };
    let mut out = Vec::new();
    loop {
        let spanned = lexer.next()?;
        let end = spanned.token == Token::End;
        out.push(spanned);
        if end {
            return Ok(out);
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn next(&mut self) -> Res<Spanned> {
        self.skip_blank()?;
        let start = self.at;
        let Some(first) = self.rest().chars().next() else {
            return Ok(Spanned { token: Token::End, span: Span::new(start, start) });
        };
        let token = match first {
            '\'' => Token::Text(self.quoted('\'', "string")?),
            '`' | '"' => {
                let name = self.quoted(first, "name")?;
                if name.is_empty() {
                    return fail(
                        Span::new(start, self.at),
                        "an empty name",
                        "write a name between the quotes",
                    );
                }
                Token::Quoted(name)
            }
            c if c.is_ascii_digit() => self.number()?,
            '.' if self.rest()[1..].starts_with(|c: char| c.is_ascii_digit()) => self.number()?,
            c if c.is_alphabetic() || c == '_' => self.word(),
            _ => self.symbol()?,
        };
        Ok(Spanned { token, span: Span::new(start, self.at) })
    }

    fn skip_blank(&mut self) -> Res<()> {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start().len();
            if blank > 0 {
                self.at += blank;
            } else if rest.starts_with("--") {
                self.at += rest.find('\n').unwrap_or(rest.len());
            } else if rest.starts_with("/*") {
                let Some(end) = rest.find("*/") else {
                    let here = Span::new(self.at, self.at + 2);
                    return fail(here, "this comment has no end", "close it with */");
                };
                self.at += end + 2;
            } else {
                return Ok(());
            }
        }
    }

    /// Text between quotes; a doubled quote stands for one.
    fn quoted(&mut self, quote: char, what: &str) -> Res<String> {
        let start = self.at;
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = self.rest();
            let Some(end) = rest.find(quote) else {
                return fail(
                    Span::new(start, start + 1),
                    format!("this {what} has no end"),
                    format!("close it with {quote}; a {quote} in it is written twice"),
                );
            };
            out.push_str(&rest[..end]);
            let doubled = rest[end + 1..].starts_with(quote);
            self.at += end + 1;
            if !doubled {
                return Ok(out);
            }
            out.push(quote);
            self.at += 1;
        }
    }

    fn digits(&mut self) {
        let rest = self.rest();
        self.at += rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    }

    fn number(&mut self) -> Res<Token> {
        let start = self.at;
        let mut whole = true;
        self.digits();
        if self.rest().starts_with('.') {
            whole = false;
            self.at += 1;
            self.digits();
        }
        let exponent = self.rest().strip_prefix(['e', 'E']);
        if exponent.is_some_and(|r| {
            r.strip_prefix(['+', '-']).unwrap_or(r).starts_with(|c: char| c.is_ascii_digit())
        }) {
            whole = false;
            self.at += 1;
            if self.rest().starts_with(['+', '-']) {
                self.at += 1;
            }
            self.digits();
        }
        if self.rest().starts_with(|c: char| c.is_alphanumeric() || c == '_') {
            self.word();
            return fail(
                Span::new(start, self.at),
                format!("{} is neither a number nor a name", &self.text[start..self.at]),
                "put a name that starts with a digit in backticks",
            );
        }
        let digits = self.text[start..self.at].to_string();
        Ok(if whole { Token::Integer(digits) } else { Token::Number(digits) })
    }

    fn word(&mut self) -> Token {
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(rest.len());
        let word = rest[..end].to_string();
        self.at += end;
        Token::Word(word)
    }

    fn symbol(&mut self) -> Res<Token> {
        if let Some(symbol) = SYMBOLS.into_iter().find(|s| self.rest().starts_with(s)) {
            self.at += symbol.len();
            return Ok(Token::Symbol(symbol));
        }
        let c = self.rest().chars().next().unwrap_or(' ');
        let here = Span::new(self.at, self.at + c.len_utf8());
        fail(here, format!("unexpected character {c:?}"), "put a name with special characters in backticks")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_keep_their_spelling_and_place() {
        let all = tokens("Select `a b`, \"c\"\"d\" -- x\n/* y */ 'it''s' 1 1.5 .5 2e-3 a.b<=c->d").unwrap();
        let show: Vec<String> = all.iter().map(|s| format!("{:?}", s.token)).collect();
        assert_eq!(
            show.join(" "),
            "Word(\"Select\") Quoted(\"a b\") Symbol(\",\") Quoted(\"c\\\"d\") Text(\"it's\") Integer(\"1\") \
             Number(\"1.5\") Number(\".5\") Number(\"2e-3\") Word(\"a\") Symbol(\".\") Word(\"b\") Symbol(\"<=\") \
             Word(\"c\") Symbol(\"->\") Word(\"d\") End"
        );
        assert_eq!(all[1].span, Span::new(7, 12));
    }

    #[test]
    fn what_has_no_end_or_no_meaning_is_an_error() {
        for (text, message) in [
            ("'abc", "this string has no end"),
            ("`abc", "this name has no end"),
            ("a /* b", "this comment has no end"),
            ("12ab", "12ab is neither a number nor a name"),
            ("a # b", "unexpected character '#'"),
            ("``", "an empty name"),
        ] {
            assert_eq!(tokens(text).unwrap_err().message, message, "{text}");
        }
    }
}
