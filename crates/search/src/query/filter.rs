//! A query over columns: which documents have a value that passes.

use std::ops::RangeInclusive;

use tantivy::columnar::Column;
use tantivy::query::{BitSetDocSet, ConstScorer, EnableScoring, Explanation, Query, Scorer, Weight};
use tantivy::{BitSet, DocId, Score, SegmentReader, TantivyError};

use super::columns::{Values, open};
use crate::mapping::Field;
use crate::search::matches_pattern;

/// What a value must be.
#[derive(Debug, Clone)]
pub(super) enum Test {
    /// In one of the ranges.
    Ints(Vec<RangeInclusive<i64>>),
    Floats(Vec<RangeInclusive<f64>>),
    /// From, to (each: text, whether itself passes).
    Strings(Option<(String, bool)>, Option<(String, bool)>),
    Prefix(String),
    /// `*` and `?` stand for anything and any character; whether case matters.
    Wildcard {
        pattern: String,
        ignore_case: bool,
    },
    Any,
}

/// Documents with such a value, each with the score 1.
#[derive(Debug, Clone)]
pub(super) struct ColumnQuery {
    pub(super) field: Field,
    pub(super) test: Test,
}

impl Query for ColumnQuery {
    fn weight(&self, _: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(self.clone()))
    }
}

fn ranges<T>(column: &Column<T>, ranges: &[RangeInclusive<T>], max_doc: DocId, docs: &mut BitSet)
where
    T: PartialOrd + Copy + std::fmt::Debug + Send + Sync + 'static,
{
    let mut found = Vec::new();
    let (min, max) = (column.min_value(), column.max_value());
    for range in ranges {
        // Tantivy's columns answer wrongly for ranges that lie outside of their values.
        let from = if *range.start() > min { *range.start() } else { min };
        let to = if *range.end() < max { *range.end() } else { max };
        if from > to || *range.start() > *range.end() {
            continue;
        }
        let range = from..=to;
        // Parts, so that the list of documents stays short.
        for start in (0..max_doc).step_by(1 << 16) {
            found.clear();
            let part = start..max_doc.min(start + (1 << 16));
            column.get_docids_for_value_range(range.clone(), part, &mut found);
            for doc in &found {
                docs.insert(*doc);
            }
        }
    }
}

impl ColumnQuery {
    fn documents(&self, segment: &SegmentReader) -> tantivy::Result<BitSet> {
        let max_doc = segment.max_doc();
        let mut docs = BitSet::with_max_value(max_doc);
        let values = open(segment, &self.field).map_err(|e| TantivyError::InternalError(e.reason))?;
        match (&values, &self.test) {
            (Values::Ints(column), Test::Ints(wanted)) => ranges(column, wanted, max_doc, &mut docs),
            (Values::Floats(column), Test::Floats(wanted)) => ranges(column, wanted, max_doc, &mut docs),
            (Values::Ints(column), Test::Any) => ranges(column, &[i64::MIN..=i64::MAX], max_doc, &mut docs),
            (Values::Floats(column), Test::Any) => {
                ranges(column, &[f64::NEG_INFINITY..=f64::INFINITY], max_doc, &mut docs);
            }
            (Values::Strings(strings), test) => {
                let wanted = ordinals(strings, test).map_err(|e| TantivyError::InternalError(e.reason))?;
                ranges(&strings.ords, &wanted, max_doc, &mut docs);
            }
            _ => {}
        }
        Ok(docs)
    }
}

/// The ordinals that pass, as ranges.
fn ordinals(
    strings: &super::columns::Strings,
    test: &Test,
) -> crate::error::EsResult<Vec<RangeInclusive<u64>>> {
    let len = strings.len();
    let until = |end: u64| end.checked_sub(1);
    let range = |start: u64, end: Option<u64>| {
        end.filter(|end| start <= *end).map(|end| start..=end).into_iter().collect()
    };
    Ok(match test {
        Test::Any => range(0, until(len)),
        Test::Strings(from, to) => {
            let start = match from {
                None => 0,
                Some((text, true)) => strings.lower(text)?,
                // The next string after it is itself with a zero behind.
                Some((text, false)) => strings.lower(&format!("{text}\0"))?,
            };
            let end = match to {
                None => len,
                Some((text, true)) => strings.lower(&format!("{text}\0"))?,
                Some((text, false)) => strings.lower(text)?,
            };
            range(start, until(end))
        }
        Test::Prefix(prefix) => {
            let start = strings.lower(prefix)?;
            let end = match after_prefix(prefix) {
                Some(next) => strings.lower(&next)?,
                None => len,
            };
            range(start, until(end))
        }
        Test::Wildcard { pattern, ignore_case } => {
            let mut found: Vec<RangeInclusive<u64>> = Vec::new();
            let pattern = if *ignore_case { pattern.to_lowercase() } else { pattern.clone() };
            strings.all(|ord, text| {
                let text =
                    if *ignore_case { std::borrow::Cow::Owned(text.to_lowercase()) } else { text.into() };
                if !matches_wildcard(&pattern, &text) {
                    return;
                }
                match found.last_mut() {
                    Some(last) if *last.end() + 1 == ord => *last = *last.start()..=ord,
                    _ => found.push(ord..=ord),
                }
            })?;
            found
        }
        _ => Vec::new(),
    })
}

/// The least text that is greater than all that begin so.
fn after_prefix(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        let next = if last == '\u{d7ff}' { Some('\u{e000}') } else { char::from_u32(last as u32 + 1) };
        if let Some(next) = next {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

fn matches_wildcard(pattern: &str, text: &str) -> bool {
    if !pattern.contains(['?', '\\']) {
        return matches_pattern(pattern, text);
    }
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        let (literal, width) = match pattern.get(p) {
            Some('\\') => (pattern.get(p + 1), 2),
            other => (other, 1),
        };
        if width == 1 && literal == Some(&'*') {
            star = Some((p, t));
            p += 1;
        } else if literal.is_some() && ((width == 1 && literal == Some(&'?')) || literal == text.get(t)) {
            p += width;
            t += 1;
        } else if let Some((star_p, star_t)) = star {
            p = star_p + 1;
            t = star_t + 1;
            star = Some((star_p, star_t + 1));
        } else {
            return false;
        }
    }
    pattern.get(p..).unwrap_or_default().iter().all(|c| *c == '*')
}

impl Weight for ColumnQuery {
    fn scorer(&self, segment: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let docs = self.documents(segment)?;
        Ok(Box::new(ConstScorer::new(BitSetDocSet::from(docs), boost)))
    }

    fn explain(&self, _: &SegmentReader, _: DocId) -> tantivy::Result<Explanation> {
        Ok(Explanation::new("a value of the column passes", 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_any_and_single_characters() {
        let table = [
            ("a*c", "abc", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*", "", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxc", false),
            ("?*?", "ab", true),
            ("a\\*c", "a*c", true),
            ("a\\*c", "abc", false),
            ("\\?", "?", true),
        ];
        for (pattern, text, expected) in table {
            assert_eq!(matches_wildcard(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn the_text_after_a_prefix_is_greater_than_all_with_it() {
        assert_eq!(after_prefix("ab").as_deref(), Some("ac"));
        assert_eq!(after_prefix("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(after_prefix("\u{10ffff}"), None);
    }
}
