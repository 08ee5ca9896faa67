//! Which databases, tables and columns are captured.

use regex::Regex;

/// A list of regular expressions, each for the whole name, without regard to case.
#[derive(Debug, Clone, Default)]
pub(super) struct Patterns(Vec<Regex>);

impl Patterns {
    /// Reads a list separated by commas; a comma after a backslash is part of an expression.
    ///
    /// # Errors
    /// An expression that is none.
    pub(super) fn new(list: &str) -> Result<Self, regex::Error> {
        let mut parts = vec![String::new()];
        let mut chars = list.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                ',' => parts.push(String::new()),
                '\\' if chars.peek() == Some(&',') => {
                    chars.next();
                    parts.iter_mut().last().into_iter().for_each(|p| p.push(','));
                }
                '\\' => parts.iter_mut().last().into_iter().for_each(|p| {
                    p.push('\\');
                    p.extend(chars.next());
                }),
                c => parts.iter_mut().last().into_iter().for_each(|p| p.extend(c.to_lowercase())),
            }
        }
        let parts = parts.iter().map(|p| p.trim()).filter(|p| !p.is_empty());
        parts.map(|p| Regex::new(&format!("^(?:{p})$"))).collect::<Result<_, _>>().map(Self)
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them matches; the name is in lower case.
    fn matches(&self, name: &str) -> bool {
        self.0.iter().any(|p| p.is_match(name))
    }
}

/// The include and exclude lists.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    pub(super) database_include: Patterns,
    pub(super) database_exclude: Patterns,
    pub(super) table_include: Patterns,
    pub(super) table_exclude: Patterns,
    pub(super) column_include: Patterns,
    pub(super) column_exclude: Patterns,
}

const BUILT_IN: &[&str] = &["mysql", "performance_schema", "sys", "information_schema"];

impl Filter {
    /// Whether tables of that database may be captured.
    pub(super) fn database(&self, database: &str) -> bool {
        let name = database.to_lowercase();
        !BUILT_IN.contains(&name.as_str())
            && (self.database_include.is_empty() || self.database_include.matches(&name))
            && !self.database_exclude.matches(&name)
    }

    /// Whether that table is captured.
    pub(super) fn table(&self, database: &str, table: &str) -> bool {
        let name = format!("{database}.{table}").to_lowercase();
        self.database(database)
            && (self.table_include.is_empty() || self.table_include.matches(&name))
            && !self.table_exclude.matches(&name)
    }

    /// Whether that column is in the records.
    pub(super) fn column(&self, database: &str, table: &str, column: &str) -> bool {
        if self.column_include.is_empty() && self.column_exclude.is_empty() {
            return true;
        }
        let name = format!("{database}.{table}.{column}").to_lowercase();
        (self.column_include.is_empty() || self.column_include.matches(&name))
            && !self.column_exclude.matches(&name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_whole_names_in_any_case() {
        let patterns = Patterns::new(r"tv\.users, tv\.Show\d+ ,a{1\,2}").unwrap();
        assert!(patterns.matches("tv.users") && patterns.matches("tv.show12") && patterns.matches("aa"));
        assert!(
            !patterns.matches("tv.users2") && !patterns.matches("xtv.users") && !patterns.matches("tvxusers")
        );
    }

    #[test]
    fn built_in_databases_are_never_captured() {
        let filter = Filter::default();
        assert!(filter.table("tv", "users"));
        assert!(!filter.table("mysql", "user") && !filter.table("sys", "x"));
    }
}
