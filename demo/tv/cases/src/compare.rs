//! Rows against rows, in any order.

use std::{collections::HashMap, fmt};

use serde_json::{Map, Value};

/// At most so many rows of a kind are shown.
const EXAMPLES: usize = 5;

/// What two multisets of rows have not in common.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// How many rows were expected.
    pub expected: usize,
    /// How many rows there are.
    pub got: usize,
    /// Rows that are expected and not there; a row that is missing twice stands here twice.
    pub missing: Vec<Value>,
    /// Rows that are there and not expected (or once more than expected).
    pub unexpected: Vec<Value>,
}

impl Report {
    /// Whether the rows are the same, each as often.
    pub fn is_equal(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} expected, {} got, {} missing, {} unexpected",
            self.expected,
            self.got,
            self.missing.len(),
            self.unexpected.len()
        )?;
        for (sign, rows) in [('-', &self.missing), ('+', &self.unexpected)] {
            for row in rows.iter().take(EXAMPLES) {
                write!(f, "\n  {sign} {row}")?;
            }
            if rows.len() > EXAMPLES {
                write!(f, "\n  {sign} ... and {} more", rows.len() - EXAMPLES)?;
            }
        }
        Ok(())
    }
}

/// Compares two multisets of JSON values.
///
/// The order of rows and that of an object's members mean nothing; everything else does: a member more or less, null
/// against no member, an integer (`53`) against a double (`53.0`), the last bit of a double.
pub fn compare(expected: Vec<Value>, got: Vec<Value>) -> Report {
    let mut report = Report { expected: expected.len(), got: got.len(), missing: vec![], unexpected: vec![] };
    let mut open: HashMap<&str, usize> = HashMap::with_capacity(expected.len());
    let keys: Vec<String> = expected.iter().map(canonical).collect();
    for key in &keys {
        *open.entry(key).or_default() += 1;
    }
    for row in got {
        match open.get_mut(canonical(&row).as_str()) {
            Some(count) if *count > 0 => *count -= 1,
            _ => report.unexpected.push(row),
        }
    }
    for (row, key) in expected.into_iter().zip(&keys) {
        if let Some(count) = open.get_mut(key.as_str())
            && *count > 0
        {
            *count -= 1;
            report.missing.push(row);
        }
    }
    report
}

/// The same text for values that are the same. Numbers are written shortest: equal texts are equal values.
fn canonical(value: &Value) -> String {
    sorted(value).to_string()
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let mut members: Vec<_> = object.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            Value::Object(
                members.into_iter().map(|(name, v)| (name.clone(), sorted(v))).collect::<Map<_, _>>(),
            )
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn order_of_rows_and_columns_means_nothing() {
        let report = compare(
            vec![json!({"a": 1, "b": null}), json!({"a": 2})],
            vec![json!({"a": 2}), json!({"b": null, "a": 1})],
        );
        assert!(report.is_equal(), "{report}");
    }

    #[test]
    fn a_row_counts_as_often_as_it_stands_there() {
        let report = compare(vec![json!({"a": 1}), json!({"a": 1})], vec![json!({"a": 1})]);
        assert_eq!(report.missing, [json!({"a": 1})]);
        let report = compare(vec![json!({"a": 1})], vec![json!({"a": 1}), json!({"a": 1})]);
        assert_eq!((report.missing.len(), report.unexpected), (0, vec![json!({"a": 1})]));
    }

    #[test]
    fn columns_kinds_of_numbers_and_last_bits_matter() {
        for (expected, got) in [
            (r#"{"a": null}"#, "{}"),
            (r#"{"a": 1}"#, r#"{"a": 1, "b": 1}"#),
            (r#"{"a": 53}"#, r#"{"a": 53.0}"#),
            (r#"{"a": 40.7537}"#, r#"{"a": 40.75370000000001}"#),
            (r#"{"a": 1}"#, r#"{"a": "1"}"#),
            (r#"{"A": 1}"#, r#"{"a": 1}"#),
        ] {
            let (expected, got) =
                (serde_json::from_str(expected).unwrap(), serde_json::from_str(got).unwrap());
            assert!(!compare(vec![expected], vec![got]).is_equal());
        }
        let (expected, got) = (serde_json::from_str("53.0").unwrap(), serde_json::from_str("5.3e1").unwrap());
        assert!(compare(vec![expected], vec![got]).is_equal());
    }

    #[test]
    fn the_report_shows_a_few_rows_of_each_kind() {
        let report = compare((0..7).map(|i| json!({"i": i})).collect(), vec![json!({"i": 9})]);
        let text = report.to_string();
        assert!(text.starts_with("7 expected, 1 got, 7 missing, 1 unexpected\n  - {\"i\":0}\n"), "{text}");
        assert!(text.contains("- ... and 2 more") && text.ends_with("+ {\"i\":9}"), "{text}");
    }
}
