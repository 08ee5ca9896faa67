//! Where statements end: at semicolons outside of quotes and comments. What they mean is the server's to say.

/// A statement of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Statement {
    /// From its first word on, with its semicolon.
    pub(super) text: String,
    /// The same with blanks for all that stands before it, so that errors name line and column of the whole text.
    pub(super) placed: String,
}

/// All statements of a text; the last one's semicolon may be missing.
pub(super) fn all(text: &str) -> Vec<Statement> {
    let mut statements = Vec::new();
    let mut start = 0;
    for end in ends(text).into_iter().chain([text.len()]) {
        let part = text.get(start..end).unwrap_or_default();
        let first = start + start_of_words(part);
        let words = text.get(first..end).unwrap_or_default();
        if !words.trim_matches(|c: char| c == ';' || c.is_whitespace()).is_empty() {
            let before = text.get(..first).unwrap_or_default();
            let mut placed: String = before.chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
            placed.push_str(words);
            statements.push(Statement { text: words.trim().into(), placed });
        }
        start = end;
    }
    statements
}

/// Where the first statement ends (behind its semicolon), if it does.
pub(super) fn end_of_first(text: &str) -> Option<usize> {
    ends(text).first().copied()
}

/// Where the last whole statement ends.
pub(super) fn last_end(text: &str) -> Option<usize> {
    ends(text).last().copied()
}

/// Words that a shell takes without a semicolon.
pub(super) fn is_command(line: &str) -> bool {
    ["exit", "quit", "help"].iter().any(|w| line.eq_ignore_ascii_case(w))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Words,
    /// Until this quote; a doubled one ends and begins again, which comes to the same.
    Quotes(char),
    Line,
    Block,
}

/// Walks over the characters, each with what it stands within.
fn walk(text: &str, mut f: impl FnMut(usize, char, Within)) {
    let mut within = Within::Words;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let next = chars.peek().map(|(_, c)| *c);
        match (within, c, next) {
            (Within::Words, '\'' | '"' | '`', _) => {
                f(at, c, Within::Words);
                within = Within::Quotes(c);
                continue;
            }
            (Within::Words, '-', Some('-')) => within = Within::Line,
            (Within::Words, '/', Some('*')) => {
                within = Within::Block;
                f(at, c, within);
                // The star is not also the end's.
                chars.next();
                continue;
            }
            _ => {}
        }
        f(at, c, within);
        within = match (within, c, next) {
            (Within::Quotes(quote), c, _) if c == quote => Within::Words,
            (Within::Line, '\n', _) => Within::Words,
            (Within::Block, '*', Some('/')) => {
                if let Some((at, c)) = chars.next() {
                    f(at, c, Within::Block);
                }
                Within::Words
            }
            (within, _, _) => within,
        };
    }
}

/// The places behind all semicolons that end statements.
fn ends(text: &str) -> Vec<usize> {
    let mut ends = Vec::new();
    walk(text, |at, c, within| {
        if c == ';' && within == Within::Words {
            ends.push(at + 1);
        }
    });
    ends
}

/// Where the first character stands that is neither blank nor comment.
fn start_of_words(text: &str) -> usize {
    let mut start = None;
    walk(text, |at, c, within| {
        if start.is_none() && !c.is_whitespace() && !matches!(within, Within::Line | Within::Block) {
            start = Some(at);
        }
    });
    start.unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_end_at_semicolons_outside_of_quotes_and_comments() {
        for (text, expected) in [
            ("", &[][..]),
            (" ; ;\n", &[]),
            ("-- only; a comment", &[]),
            ("SHOW STREAMS", &["SHOW STREAMS"]),
            ("a; b;", &["a;", "b;"]),
            ("INSERT 'x;''y';z", &["INSERT 'x;''y';", "z"]),
            ("a \"b;\" `c;`; d", &["a \"b;\" `c;`;", "d"]),
            ("-- first;\na; /* b; */ c;", &["a;", "c;"]),
            ("a - 1; /**/ b /*/ ; */;", &["a - 1;", "b /*/ ; */;"]),
        ] {
            let texts: Vec<String> = all(text).into_iter().map(|s| s.text).collect();
            assert_eq!(texts, expected, "{text}");
        }
    }

    #[test]
    fn a_statement_keeps_its_place() {
        let statements = all("a;\n  ébc; d");
        assert_eq!(statements[1].placed, "  \n  ébc;");
        assert_eq!(statements[2].placed, "  \n       d");
    }

    #[test]
    fn an_open_quote_waits() {
        assert_eq!(end_of_first("SELECT 'a;"), None);
        assert_eq!(end_of_first("SELECT 'a;'; b"), Some(12));
        assert_eq!(last_end("a; b; c"), Some(5));
    }
}
