//! The `standard` analyzer: words by the rules of Unicode's UAX #29 as far as common scripts need them, lower case.

use tantivy::tokenizer::{LowerCaser, TextAnalyzer, Token, TokenStream, Tokenizer};

/// Longer words are cut here (`max_token_length`).
const MAX_TOKEN_CHARS: usize = 255;

/// The analyzer of text fields.
pub(crate) fn standard() -> TextAnalyzer {
    TextAnalyzer::builder(Words::default()).filter(LowerCaser).build()
}

/// The terms of a text, with their positions.
pub(crate) fn terms(text: &str) -> Vec<(usize, String)> {
    let mut analyzer = standard();
    let mut stream = analyzer.token_stream(text);
    let mut terms = Vec::new();
    while stream.advance() {
        terms.push((stream.token().position, stream.token().text.clone()));
    }
    terms
}

#[derive(Clone, Default)]
struct Words {
    token: Token,
}

struct WordStream<'a> {
    text: &'a str,
    at: usize,
    token: &'a mut Token,
}

impl Tokenizer for Words {
    type TokenStream<'a> = WordStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> WordStream<'a> {
        self.token.reset();
        WordStream { text, at: 0, token: &mut self.token }
    }
}

/// Scripts that are written without spaces: one word per character.
fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{2e80}'..='\u{2fdf}' | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}')
}

fn is_word(c: char) -> bool {
    (c.is_alphanumeric() || c == '_' || matches!(c, '\u{300}'..='\u{36f}')) && !is_ideograph(c)
}

/// Whether a character between two others keeps them in one word: `don't`, `example.com`, `3.14`, `1,000`.
fn joins(before: char, c: char, after: char) -> bool {
    let letters = before.is_alphabetic() && after.is_alphabetic();
    let digits = before.is_numeric() && after.is_numeric();
    match c {
        '.' | '\'' | '\u{2018}' | '\u{2019}' => letters || digits,
        ':' | '\u{b7}' => letters,
        ',' | ';' => digits,
        _ => false,
    }
}

impl WordStream<'_> {
    /// The end of the word that begins at `start`.
    fn end_of(&self, start: usize, first: char) -> usize {
        let rest = self.text.get(start..).unwrap_or_default();
        if is_ideograph(first) {
            return start + first.len_utf8();
        }
        let mut chars = rest.char_indices().peekable();
        let (mut before, mut count) = (first, 0);
        while let Some((at, c)) = chars.next() {
            let inside =
                is_word(c) || chars.peek().is_some_and(|(_, after)| at > 0 && joins(before, c, *after));
            if !inside || count == MAX_TOKEN_CHARS {
                return start + at;
            }
            before = c;
            count += 1;
        }
        self.text.len()
    }
}

impl TokenStream for WordStream<'_> {
    fn advance(&mut self) -> bool {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let Some((skip, first)) = rest.char_indices().find(|(_, c)| is_word(*c) || is_ideograph(*c)) else {
            return false;
        };
        let start = self.at + skip;
        let end = self.end_of(start, first);
        self.at = end;
        self.token.position = self.token.position.wrapping_add(1);
        self.token.offset_from = start;
        self.token.offset_to = end;
        self.token.text.clear();
        self.token.text.push_str(self.text.get(start..end).unwrap_or_default());
        true
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cut_as_the_standard_analyzer_cuts_them() {
        let table = [
            ("The QUICK brown-fox", "the quick brown fox"),
            ("don't stop: example.com, 3.14 or 1,000", "don't stop example.com 3.14 or 1,000"),
            ("snake_case a.b.c. x'", "snake_case a.b.c x"),
            ("日本 tv", "日 本 tv"),
            ("", ""),
            ("... !", ""),
        ];
        for (text, expected) in table {
            let words: Vec<String> = terms(text).into_iter().map(|(_, word)| word).collect();
            assert_eq!(words.join(" "), expected, "{text}");
        }
    }
}
