//! Files by patterns: `*` stands for any text, `?` for any character, within a name of the path.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// A file as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    /// Bytes.
    pub(super) size: u64,
    /// ms since epoch.
    pub(super) modified: i64,
}

/// The files that the patterns mean, by path in order. What cannot be read is left out, with the first reason.
pub(super) fn find(patterns: &[String]) -> (BTreeMap<String, Found>, Option<String>) {
    let mut found = BTreeMap::new();
    let mut trouble = None;
    for pattern in patterns {
        let mut paths = vec![PathBuf::new()];
        for part in Path::new(pattern).components() {
            let name = part.as_os_str().to_string_lossy();
            paths = if name.contains(['*', '?']) {
                paths.iter().flat_map(|p| matching(p, &name, &mut trouble)).collect()
            } else {
                paths.into_iter().map(|p| p.join(part)).collect()
            };
        }
        for path in paths {
            match fs::metadata(&path) {
                Ok(data) if data.is_file() => {
                    let since = data.modified().ok().and_then(|m| m.duration_since(UNIX_EPOCH).ok());
                    let modified = since.map_or(0, |d| d.as_millis() as i64);
                    found.insert(path.to_string_lossy().into_owned(), Found { size: data.len(), modified });
                }
                Ok(_) if path.as_os_str() == pattern.as_str() => {
                    trouble.get_or_insert(format!("{pattern} is no file; to read a folder's files add /*"));
                }
                Ok(_) => {}
                Err(e) => {
                    trouble.get_or_insert(format!("{} cannot be read: {e}", path.display()));
                }
            }
        }
    }
    (found, trouble)
}

/// The entries of a folder that match; hidden ones only if the pattern starts with a dot too.
fn matching(folder: &Path, pattern: &str, trouble: &mut Option<String>) -> Vec<PathBuf> {
    let place = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let entries = match fs::read_dir(place) {
        Ok(entries) => entries,
        Err(e) => {
            trouble.get_or_insert(format!("{} cannot be read: {e}", place.display()));
            return Vec::new();
        }
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with('.') == pattern.starts_with('.'))
        .filter(|name| matches(pattern.as_bytes(), name.as_bytes()))
        .map(|name| folder.join(name))
        .collect()
}

/// Whether the name fits the pattern; takes time of the product of their lengths at most.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    // Where to go on if what follows the last star does not fit.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(sign) if *sign == b'?' || *sign == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    n = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p.min(pattern.len())..].iter().all(|b| *b == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_patterns() {
        for (pattern, name, wanted) in [
            ("*.jsonl", "a.jsonl", true),
            ("*.jsonl", "a.json", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*", "", true),
            ("abc", "abc", true),
            ("abc", "abcd", false),
            ("a*", "a", true),
            ("*a*a*a*b", &"a".repeat(200), false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), wanted, "{pattern} {name}");
        }
    }

    #[test]
    fn files_come_in_the_order_of_their_paths() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b/2.csv", "a/9.csv", "a/1.csv", "a/.hidden.csv", "a/x.txt"] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        let root = dir.path().to_str().unwrap();
        let (found, trouble) =
            find(&[format!("{root}/?/*.csv"), format!("{root}/a/x.txt"), format!("{root}/none")]);
        let names: Vec<&str> = found.keys().map(|p| p.strip_prefix(root).unwrap()).collect();
        assert_eq!(names, ["/a/1.csv", "/a/9.csv", "/a/x.txt", "/b/2.csv"]);
        assert!(trouble.unwrap().contains("none cannot be read"));
        let (none, trouble) = find(&[root.to_owned()]);
        assert!(none.is_empty() && trouble.unwrap().contains("add /*"));
    }
}
