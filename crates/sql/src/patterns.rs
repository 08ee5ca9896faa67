//! Patterns of Java's `DateTimeFormatter`: which are valid, and how fine they are.

/// The letters that have a meaning here.
const LETTERS: &str = "yuMLdDEahKkHmsSnAXxZzVO";

/// A part of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// A letter and how often it stands there.
    Field(char, usize),
    /// Anything else.
    Literal,
}

/// Whether the pattern is valid, or message and hint.
pub(crate) fn check(pattern: &str) -> Result<(), (String, String)> {
    parts(pattern).map(|_| ())
}

fn parts(pattern: &str) -> Result<Vec<Part>, (String, String)> {
    let mut out = Vec::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\'' {
            let mut closed = false;
            while let Some(c) = chars.next() {
                if c == '\'' && chars.next_if_eq(&'\'').is_none() {
                    closed = true;
                    break;
                }
            }
            if !closed {
                let hint =
                    "literal text stands between two quotes; in SQL each is doubled: 'yyyy-MM-dd''T''HH:mm'";
                return Err((format!("the pattern '{pattern}' has a quote that is not closed"), hint.into()));
            }
            out.push(Part::Literal);
        } else if c.is_ascii_alphabetic() {
            if !LETTERS.contains(c) {
                let letters: Vec<String> = LETTERS.chars().map(String::from).collect();
                let hint = format!(
                    "letters: {}; literal text stands in quotes, doubled in SQL: 'yyyy-MM-dd''T''HH:mm:ssX'",
                    letters.join(" ")
                );
                return Err((format!("the letter {c} has no meaning in the pattern '{pattern}'"), hint));
            }
            let mut count = 1;
            while chars.next_if_eq(&c).is_some() {
                count += 1;
            }
            out.push(Part::Field(c, count));
        } else if "[]{}#".contains(c) {
            let hint =
                "patterns with optional parts are not supported; write the pattern in full".to_string();
            return Err((format!("{c} cannot stand in the pattern '{pattern}'"), hint));
        } else {
            out.push(Part::Literal);
        }
    }
    if out.iter().all(|p| *p == Part::Literal) {
        return Err((format!("the pattern '{pattern}' has no field"), "as in 'yyyy-MM-dd HH:mm:ss'".into()));
    }
    Ok(out)
}

/// How fine the instants are that a pattern can tell apart, ms; `None` where it does not tell an instant.
pub(crate) fn precision_ms(pattern: &str) -> Option<i64> {
    let parts = parts(pattern).ok()?;
    let has = |letters: &str| parts.iter().any(|p| matches!(p, Part::Field(c, _) if letters.contains(*c)));
    if !has("yu") || !(has("D") || (has("ML") && has("d"))) {
        return None;
    }
    let fraction = parts.iter().find_map(|p| match p {
        Part::Field('S', n) => Some(*n),
        _ => None,
    });
    if has("A") {
        return Some(1);
    }
    if !(has("Hk") || (has("hK") && has("a"))) {
        return Some(86_400_000);
    }
    if !has("m") {
        return Some(3_600_000);
    }
    if !has("s") {
        return Some(60_000);
    }
    Some(match fraction {
        _ if has("n") => 1,
        None => 1000,
        Some(1) => 100,
        Some(2) => 10,
        Some(_) => 1,
    })
}

/// Whether the text names its zone, so that it tells the same instant wherever it was formatted.
pub(crate) fn has_zone(pattern: &str) -> bool {
    parts(pattern).is_ok_and(|parts| parts.iter().any(|p| matches!(p, Part::Field('X' | 'x' | 'Z', _))))
}

/// Whether texts that were formatted in UTC sort as the instants they stand for (years 0 to 9999).
pub(crate) fn sortable(pattern: &str) -> bool {
    let Ok(parts) = parts(pattern) else { return false };
    let mut wanted = ["yu", "ML", "d", "H", "m", "s", "S"].iter();
    for part in parts {
        let Part::Field(letter, count) = part else { continue };
        if "XxZ".contains(letter) {
            continue;
        }
        let wide = match letter {
            'y' | 'u' => count == 4,
            'S' => true,
            _ => count == 2,
        };
        if !wide || !wanted.next().is_some_and(|w| w.contains(letter)) {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_have_a_precision() {
        for (pattern, precision, sorts) in [
            ("yyyy-MM-dd'T'HH:mm:ssX", Some(1000), true),
            ("yyyy-MM-dd'T'HH:mm:ss.SSSX", Some(1), true),
            ("yyyy-MM-dd HH:mm", Some(60_000), true),
            ("dd-MM-yyyy", Some(86_400_000), false),
            ("HH:mm:ss", None, false),
            ("yyyy-MM-dd hh:mm", Some(86_400_000), false),
        ] {
            assert_eq!(precision_ms(pattern), precision, "{pattern}");
            assert_eq!(sortable(pattern), sorts, "{pattern}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for (pattern, part) in [
            ("yyyy-MM-ddTHH", "the letter T"),
            ("yyyy'", "not closed"),
            ("yyyy[MM]", "[ cannot stand"),
            ("--", "has no field"),
        ] {
            assert!(check(pattern).unwrap_err().0.contains(part), "{pattern}");
        }
        assert!(check("yyyy-MM-dd'T'HH:mm:ss.SSS''X").is_ok());
    }
}
