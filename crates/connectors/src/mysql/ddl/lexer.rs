//! Text to tokens. Comments are left out, but the body of `/*!50100 ... */` and `/*M!100100 ... */` counts.

/// A piece of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// A word or a number, as it is written.
    Word(String),
    /// A name in backticks.
    Name(String),
    /// A name or text in double quotes: which of both is for the place to say.
    Double(String),
    /// Text in single quotes.
    Text(String),
    /// Any other character.
    Sign(char),
}

/// Cuts a statement into tokens.
pub(super) fn tokens(statement: &str) -> Vec<Token> {
    let chars: Vec<char> = statement.chars().collect();
    let mut out = Vec::new();
    let mut i = 0;
    while let Some(&c) = chars.get(i) {
        let next = chars.get(i + 1).copied();
        match c {
            _ if c.is_whitespace() => i += 1,
            '#' => i = line_end(&chars, i),
            '-' if next == Some('-') && chars.get(i + 2).is_none_or(|c| c.is_whitespace()) => {
                i = line_end(&chars, i)
            }
            '/' if next == Some('*') => i = comment(&chars, i),
            // The end of a comment whose body counts.
            '*' if next == Some('/') => i += 2,
            '`' | '"' | '\'' => {
                let (text, end) = quoted(&chars, i + 1, c);
                i = end;
                out.push(match c {
                    '`' => Token::Name(text),
                    '"' => Token::Double(text),
                    _ => Token::Text(text),
                });
            }
            _ if is_word(c) => {
                let start = i;
                while chars.get(i).is_some_and(|&c| is_word(c)) {
                    i += 1;
                }
                out.push(Token::Word(chars.get(start..i).unwrap_or_default().iter().collect()));
            }
            _ => {
                out.push(Token::Sign(c));
                i += 1;
            }
        }
    }
    out
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '$') || !c.is_ascii() && !c.is_whitespace()
}

fn line_end(chars: &[char], from: usize) -> usize {
    chars.iter().skip(from).position(|&c| c == '\n').map_or(chars.len(), |n| from + n + 1)
}

/// Where to go on after `/*` at `from`.
fn comment(chars: &[char], from: usize) -> usize {
    let at = |n: usize| chars.get(from + n).copied();
    let body = match (at(2), at(3)) {
        (Some('!'), _) => Some(from + 3),
        (Some('M'), Some('!')) => Some(from + 4),
        _ => None,
    };
    if let Some(body) = body {
        return body + chars.iter().skip(body).take_while(|c| c.is_ascii_digit()).count();
    }
    let end = chars.get(from + 2..).unwrap_or_default().windows(2).position(|w| w == ['*', '/']);
    end.map_or(chars.len(), |n| from + 2 + n + 2)
}

/// The text up to the closing quote, and where to go on after it.
fn quoted(chars: &[char], from: usize, quote: char) -> (String, usize) {
    let mut text = String::new();
    let mut i = from;
    while let Some(&c) = chars.get(i) {
        i += 1;
        if c == quote {
            if chars.get(i) != Some(&quote) {
                return (text, i);
            }
            i += 1;
            text.push(quote);
        } else if c == '\\' && quote != '`' {
            let escaped = chars.get(i).copied();
            i += 1;
            match escaped {
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some('r') => text.push('\r'),
                Some('0') => text.push('\0'),
                Some('b') => text.push('\u{8}'),
                Some('Z') => text.push('\u{1a}'),
                Some(other) => text.push(other),
                None => {}
            }
        } else {
            text.push(c);
        }
    }
    (text, i)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_left_out_unless_their_body_counts() {
        let text =
            "ALTER /* no */ TABLE -- not this\n `a``b` # nor this\n/*!50100 ADD c */ DEFAULT 'it''s \\' x'";
        let word = |w: &str| Token::Word(w.to_owned());
        let expected = vec![
            word("ALTER"),
            word("TABLE"),
            Token::Name("a`b".to_owned()),
            word("ADD"),
            word("c"),
            word("DEFAULT"),
            Token::Text("it's ' x".to_owned()),
        ];
        assert_eq!(tokens(text), expected);
    }

    #[test]
    fn an_open_end_is_no_trouble() {
        for text in ["'abc", "/* abc", "`", "/*!", "-", "--", "\\", "'\\"] {
            tokens(text);
        }
    }
}
