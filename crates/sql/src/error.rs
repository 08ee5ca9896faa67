//! Errors of a statement: where, what, and what to do.

use std::fmt;

/// A range of bytes in the text that was parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// Behind the last byte.
    pub end: usize,
}

impl Span {
    /// A range.
    pub fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// From the start of `self` to the end of `other`.
    pub fn to(self, other: Span) -> Span {
        Span { start: self.start, end: other.end }
    }
}

/// Why a text is no statement, or a statement no plan.
///
/// ```text
/// line 2, column 8: there is no column chanel_id in actions
///   SELECT chanel_id FROM actions EMIT CHANGES
///          ^^^^^^^^^
///   did you mean channel_id? Columns: user_id, device_id, channel_id, action, action_ts
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlError {
    /// The line in the text, from 1.
    pub line: usize,
    /// The column in the line, in characters, from 1.
    pub column: usize,
    /// The offending line.
    pub text: String,
    /// How many characters of the line are at fault, at least 1.
    pub width: usize,
    /// What is wrong.
    pub message: String,
    /// What to do; may be empty.
    pub hint: String,
}

impl std::error::Error for SqlError {}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, text, width, message, hint } = self;
        writeln!(f, "line {line}, column {column}: {message}")?;
        writeln!(f, "  {text}")?;
        write!(f, "  {}{}", " ".repeat(column - 1), "^".repeat(*width))?;
        if !hint.is_empty() {
            write!(f, "\n  {hint}")?;
        }
        Ok(())
    }
}

/// An error before it is placed in its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) span: Span,
    pub(crate) message: String,
    pub(crate) hint: String,
}

pub(crate) type Res<T> = Result<T, Fault>;

impl Fault {
    pub(crate) fn new(span: Span, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { span, message: message.into(), hint: hint.into() }
    }

    /// Finds line and column in the text that was parsed.
    pub(crate) fn place(self, source: &str) -> SqlError {
        let mut start = self.span.start.min(source.len());
        while !source.is_char_boundary(start) {
            start -= 1;
        }
        let before = &source[..start];
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        let line_end = source[start..].find('\n').map_or(source.len(), |i| start + i);
        let text: String = source[line_start..line_end]
            .trim_end()
            .chars()
            .map(|c| if c == '\t' { ' ' } else { c })
            .collect();
        let mut end = self.span.end.clamp(start, line_end);
        while !source.is_char_boundary(end) {
            end -= 1;
        }
        SqlError {
            line: before.matches('\n').count() + 1,
            column: source[line_start..start].chars().count() + 1,
            text,
            width: source[start..end].trim_end().chars().count().max(1),
            message: self.message,
            hint: self.hint,
        }
    }
}

/// Shorthand for `Err(Fault)`.
pub(crate) fn fail<T>(span: Span, message: impl Into<String>, hint: impl Into<String>) -> Res<T> {
    Err(Fault::new(span, message, hint))
}

/// The hint for an unknown name: the nearest candidate, then all of them.
pub(crate) fn nearest_hint<'a>(
    what: &str,
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> String {
    let all: Vec<&str> = candidates.into_iter().collect();
    if all.is_empty() {
        return format!("there are no {what} yet");
    }
    let near = nearest(name, &all);
    let listed = if all.len() > 30 { format!("{}, ...", all[..30].join(", ")) } else { all.join(", ") };
    match near {
        Some(near) => format!("did you mean {near}? The {what}: {listed}"),
        None => format!("the {what}: {listed}"),
    }
}

/// The candidate with the least edit distance, if it is near enough to be a slip.
pub(crate) fn nearest<'a>(name: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let lower = name.to_lowercase();
    let best =
        candidates.iter().map(|c| (edit_distance(&lower, &c.to_lowercase()), *c)).min_by_key(|(d, _)| *d)?;
    let limit = (name.chars().count().max(3) / 3).max(1) + 1;
    if best.0 <= limit {
        return Some(best.1);
    }
    let begins = |c: &&&str| lower.chars().count() >= 3 && c.to_lowercase().starts_with(&lower);
    candidates.iter().find(begins).copied()
}

/// Edit distance with transpositions of neighbours (optimal string alignment), over the first 128 characters: how far a
/// misspelled name is from another.
pub fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(128).collect(), b.chars().take(128).collect());
    let mut before: Vec<usize> = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let cost = usize::from(a[i - 1] != b[j - 1]);
            row[j] = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + cost);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_a_slip_away() {
        assert_eq!(nearest("chanel_id", &["user_id", "channel_id"]), Some("channel_id"));
        assert_eq!(nearest("UESR", &["user", "use"]), Some("user"));
        assert_eq!(nearest("completely", &["other"]), None);
        assert_eq!(nearest("end", &["start_ts", "end_ts"]), Some("end_ts"));
    }

    #[test]
    fn a_caret_marks_the_fault_also_behind_non_ascii_text() {
        let text = "SELECT 'é',\n  'ö' x y FROM a";
        let at = text.find('y').unwrap();
        let error = Fault::new(Span::new(at, at + 1), "no", "do").place(text);
        assert_eq!((error.line, error.column), (2, 9));
        assert_eq!(error.to_string(), "line 2, column 9: no\n    'ö' x y FROM a\n          ^\n  do");
    }
}
