//! How far a file is read, and what there is to do with it.

use super::config::Format;
use super::paths::Found;
use bd_connect::sdk::{SourceOffset, SourcePartition};
use serde_json::{Map, Value};

/// How far a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Progress {
    /// Rows of Parquet, lines of text: read, rejected ones included.
    pub(super) rows: u64,
    /// Of text: the byte at which the next line starts.
    pub(super) position: u64,
    /// The file as it stood.
    pub(super) size: u64,
    /// ms since epoch.
    pub(super) modified: i64,
    /// There is nothing more to read in it.
    pub(super) done: bool,
    /// It is rejected as a whole.
    pub(super) broken: bool,
}

/// What there is to do with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    Nothing,
    From(Progress),
}

impl Progress {
    /// The source partition of a file.
    pub(super) fn partition(path: &str) -> SourcePartition {
        Map::from_iter([("file".to_owned(), Value::from(path))])
    }

    /// As it is stored.
    pub(super) fn offset(&self) -> SourceOffset {
        let mut offset = Map::new();
        offset.insert("rows".to_owned(), self.rows.into());
        offset.insert("position".to_owned(), self.position.into());
        offset.insert("size".to_owned(), self.size.into());
        offset.insert("modified".to_owned(), self.modified.into());
        offset.insert("done".to_owned(), self.done.into());
        if self.broken {
            offset.insert("broken".to_owned(), true.into());
        }
        offset
    }

    /// From what is stored; what is missing is at the start.
    pub(super) fn of(offset: &SourceOffset) -> Self {
        let number = |key: &str| offset.get(key).and_then(Value::as_u64).unwrap_or_default();
        let flag = |key: &str| offset.get(key).and_then(Value::as_bool).unwrap_or_default();
        Self {
            rows: number("rows"),
            position: number("position"),
            size: number("size"),
            modified: offset.get("modified").and_then(Value::as_i64).unwrap_or_default(),
            done: flag("done"),
            broken: flag("broken"),
        }
    }

    /// What there is to do with a file that is read so far.
    pub(super) fn work(known: Option<&Self>, found: Found, format: Format, tail: bool) -> Work {
        let start = Self { size: found.size, modified: found.modified, ..Self::default() };
        let Some(known) = known else { return Work::From(start) };
        let same = (known.size, known.modified) == (found.size, found.modified);
        let on = Self { size: found.size, modified: found.modified, done: false, ..*known };
        if format == Format::Parquet {
            return match (known.done, known.broken) {
                (false, _) if same => Work::From(on),
                // It was written anew while it was read.
                (false, _) => Work::From(start),
                (true, true) if !same => Work::From(start),
                (true, _) => Work::Nothing,
            };
        }
        match (tail, known.done) {
            (false, true) => Work::Nothing,
            (false, false) => Work::From(on),
            (true, _) if found.size < known.position => Work::From(start),
            (true, _) if found.size > known.position => Work::From(on),
            (true, _) => Work::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_read_as_they_are_written() {
        let progress = Progress { rows: 3, position: 40, size: 50, modified: 7, done: true, broken: true };
        assert_eq!(Progress::of(&progress.offset()), progress);
        let text = serde_json::to_string(&Progress::default().offset()).unwrap();
        assert_eq!(text, r#"{"rows":0,"position":0,"size":0,"modified":0,"done":false}"#);
    }

    #[test]
    fn what_is_to_do_follows_from_what_is_known() {
        let found = Found { size: 100, modified: 5 };
        let at =
            |position, done, size| Progress { rows: 1, position, size, modified: 5, done, broken: false };
        let lines = Format::JsonLines;
        let from = |work| match work {
            Work::From(progress) => Some(progress.position),
            Work::Nothing => None,
        };
        for (known, tail, wanted) in [
            (None, true, Some(0)),
            (Some(at(60, false, 60)), true, Some(60)),
            (Some(at(100, false, 100)), true, None),
            (Some(at(120, false, 120)), true, Some(0)),
            (Some(at(60, true, 60)), true, Some(60)),
            (Some(at(60, false, 60)), false, Some(60)),
            (Some(at(100, false, 100)), false, Some(100)),
            (Some(at(60, true, 60)), false, None),
        ] {
            assert_eq!(from(Progress::work(known.as_ref(), found, lines, tail)), wanted, "{known:?} {tail}");
        }
        let parquet = |done, broken, size| {
            let known = Progress { rows: 9, position: 0, size, modified: 5, done, broken };
            match Progress::work(Some(&known), found, Format::Parquet, true) {
                Work::From(progress) => Some(progress.rows),
                Work::Nothing => None,
            }
        };
        assert_eq!(parquet(false, false, 100), Some(9));
        assert_eq!(parquet(false, false, 90), Some(0));
        assert_eq!(parquet(true, false, 90), None);
        assert_eq!(parquet(true, true, 100), None);
        assert_eq!(parquet(true, true, 90), Some(0));
    }
}
