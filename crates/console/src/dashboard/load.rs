//! Dashboard files from the disk.

use super::{Dashboard, parse};
use crate::error::ConsoleError;
use indexmap::IndexMap;
use std::path::{Path, PathBuf};

/// A longer file is no dashboard.
const MAX_FILE: u64 = 1 << 20;

/// Reads files, and all `*.yaml` and `*.yml` of folders by name; the order stays.
///
/// # Errors
/// A file that cannot be read or is not valid; two of one name.
pub(crate) fn load(paths: &[PathBuf]) -> Result<IndexMap<String, Dashboard>, ConsoleError> {
    let mut found: IndexMap<String, (PathBuf, Dashboard)> = IndexMap::new();
    for file in files(paths)? {
        let unreadable = |reason: String| ConsoleError::Unreadable { file: file.clone(), reason };
        let name = file.file_stem().and_then(|n| n.to_str()).unwrap_or("dashboard").to_owned();
        let size = std::fs::metadata(&file).map_err(|e| unreadable(e.to_string()))?.len();
        if size > MAX_FILE {
            return Err(unreadable(format!("it has {size} bytes; a dashboard has at most {MAX_FILE}")));
        }
        let text = std::fs::read_to_string(&file).map_err(|e| unreadable(e.to_string()))?;
        let dashboard = parse(&name, &text)
            .map_err(|problems| ConsoleError::Dashboard { file: file.clone(), problems })?;
        if let Some((first, _)) = found.insert(name.clone(), (file.clone(), dashboard)) {
            return Err(ConsoleError::Twice { name, first, second: file });
        }
    }
    Ok(found.into_iter().map(|(name, (_, dashboard))| (name, dashboard)).collect())
}

fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, ConsoleError> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let unreadable =
            |e: std::io::Error| ConsoleError::Unreadable { file: path.clone(), reason: e.to_string() };
        let mut inside = Vec::new();
        for entry in std::fs::read_dir(path).map_err(unreadable)? {
            inside.push(entry.map_err(unreadable)?.path());
        }
        inside.retain(|f| is_yaml(f));
        inside.sort();
        files.append(&mut inside);
    }
    Ok(files)
}

fn is_yaml(file: &Path) -> bool {
    file.extension().is_some_and(|e| e == "yaml" || e == "yml")
}
