//! References in configurations: `${env:NAME}`, `${file:PATH:KEY}` (a properties file), `${directory:PATH:FILE}`.

use crate::sdk::{Config, ConfigError};
use regex::{Captures, Regex};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Kafka's pattern of a reference: provider, optional path, key.
static REFERENCE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\$\{([^}:]*):(([^}]*):)?([^}]*)\}").ok());

/// Whether the value holds a reference.
pub(super) fn is_reference(value: &str) -> bool {
    REFERENCE.as_ref().is_some_and(|r| r.is_match(value))
}

/// The configuration with all references replaced. Those of providers that are not known stay as they are, as in Kafka Connect.
///
/// # Errors
/// A variable, file or key that is not there.
pub(super) fn resolve(config: &BTreeMap<String, String>) -> Result<Config, ConfigError> {
    let mut resolved = BTreeMap::new();
    for (key, value) in config {
        let value = value_of(value).map_err(|reason| ConfigError::new(key, reason))?;
        resolved.insert(key.clone(), value);
    }
    Ok(Config::new(resolved))
}

fn value_of(value: &str) -> Result<String, String> {
    let Some(pattern) = REFERENCE.as_ref().filter(|_| value.contains("${")) else {
        return Ok(value.to_owned());
    };
    let mut failed = None;
    let replaced = pattern.replace_all(value, |found: &Captures<'_>| {
        let part = |i| found.get(i).map_or("", |m| m.as_str());
        match look_up(part(1), part(3), part(4)) {
            Some(Ok(text)) => text,
            Some(Err(reason)) => {
                failed.get_or_insert(reason);
                String::new()
            }
            None => part(0).to_owned(),
        }
    });
    match failed {
        Some(reason) => Err(reason),
        None => Ok(replaced.into_owned()),
    }
}

fn look_up(provider: &str, path: &str, key: &str) -> Option<Result<String, String>> {
    match provider {
        "env" => Some(std::env::var(key).map_err(|_| format!("the environment variable {key} is not set"))),
        "file" => Some(of_file(path, key)),
        "directory" | "dir" => {
            if key.contains('/') || key == ".." {
                return Some(Err(format!("{key} is not the name of a file in {path}")));
            }
            let file = std::path::Path::new(path).join(key);
            Some(std::fs::read_to_string(&file).map_err(|e| format!("cannot read {}: {e}", file.display())))
        }
        _ => None,
    }
}

fn of_file(path: &str, key: &str) -> Result<String, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("cannot read {path}: {e}"))?;
    let lines = text.lines().map(str::trim_start).filter(|l| !l.starts_with(['#', '!']));
    let mut pairs = lines.filter_map(|line| {
        let at = line.find(['=', ':'])?;
        Some((line[..at].trim(), line[at + 1..].trim()))
    });
    let found = pairs.find(|(name, _)| *name == key).map(|(_, value)| value.to_owned());
    found.ok_or_else(|| format!("{path} has no key {key}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_replaced_and_others_stay() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("s.properties");
        std::fs::write(&file, "# a comment\nuser = tv\npassword=a=b\n").unwrap();
        let path = file.display();
        let config = BTreeMap::from([
            ("a".to_owned(), format!("${{file:{path}:user}}:${{file:{path}:password}}")),
            ("b".to_owned(), "${topic}-${vault:x:y}".to_owned()),
            ("c".to_owned(), format!("${{directory:{}:s.properties}}", dir.path().display())),
            ("d".to_owned(), "${env:PATH}".to_owned()),
        ]);
        let resolved = resolve(&config).unwrap();
        assert_eq!(resolved.get("a"), Some("tv:a=b"));
        assert_eq!(resolved.get("b"), Some("${topic}-${vault:x:y}"));
        assert!(resolved.get("c").unwrap().starts_with("# a comment"));
        assert_eq!(resolved.get("d"), std::env::var("PATH").ok().as_deref().map(str::trim));
    }

    #[test]
    fn a_reference_to_nothing_is_an_error_of_its_key() {
        let config = BTreeMap::from([("a".to_owned(), "${file:/nowhere/at-all:user}".to_owned())]);
        let error = resolve(&config).unwrap_err();
        assert_eq!(error.key, "a");
        assert!(error.reason.contains("/nowhere/at-all"), "{error}");
    }
}
