//! Small files of metadata, each replaced as a whole: written beside, fsynced, renamed, the folder fsynced. After a crash a file
//! is the old one or the new one.

use crate::error::BrokerError;
use bd_log::{Fs, OpenMode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use uuid::Uuid;

/// `meta/cluster.json`: who this cluster is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClusterFile {
    pub cluster_id: String,
}

/// `meta/producer-ids.json`: ids below `next` may have been given out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProducerIdsFile {
    pub next: i64,
}

/// `meta/topics.json`: which topics there are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TopicsFile {
    /// The changes up to this number are in it: see [`super::topics_file`].
    #[serde(default)]
    pub applied: u64,
    pub topics: BTreeMap<String, TopicEntry>,
}

/// One topic of [`TopicsFile`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TopicEntry {
    pub id: Uuid,
    pub partitions: i32,
    /// Kafka's topic configs that were set.
    #[serde(default)]
    pub configs: BTreeMap<String, String>,
}

/// The folder `meta`.
#[derive(Clone)]
pub(crate) struct MetaStore {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
}

impl MetaStore {
    pub(crate) fn open(fs: Arc<dyn Fs>, data_dir: &Path) -> Result<Self, BrokerError> {
        let dir = data_dir.join("meta");
        fs.create_dir_all(&dir).map_err(|source| BrokerError::Io {
            what: "cannot create",
            path: dir.clone(),
            source,
        })?;
        Ok(Self { fs, dir })
    }

    pub(crate) fn fs(&self) -> &Arc<dyn Fs> {
        &self.fs
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Reads a file; `None` where there is none.
    pub(crate) fn load<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, BrokerError> {
        let path = self.dir.join(name);
        let io = |source| BrokerError::Io { what: "cannot read", path: path.clone(), source };
        let file = match self.fs.open(&path, OpenMode::Read) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(io(e)),
        };
        let mut bytes = Vec::new();
        let len = file.len().map_err(io)?;
        file.read_at(0, len as usize, &mut bytes).map_err(io)?;
        let value = serde_json::from_slice(&bytes)
            .map_err(|e| BrokerError::Damaged { path: path.clone(), reason: e.to_string() })?;
        Ok(Some(value))
    }

    /// Where a file is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Replaces a file; durable when this returns.
    pub(crate) fn store<T: Serialize>(&self, name: &str, value: &T) -> Result<(), BrokerError> {
        self.replace(name, value, false)
    }

    /// As [`MetaStore::store`], for secrets: nobody but the owner reads the file, at no moment.
    pub(crate) fn store_private<T: Serialize>(&self, name: &str, value: &T) -> Result<(), BrokerError> {
        self.replace(name, value, true)
    }

    fn replace<T: Serialize>(&self, name: &str, value: &T, private: bool) -> Result<(), BrokerError> {
        let path = self.dir.join(name);
        let beside = self.dir.join(format!("{name}.tmp"));
        let bytes = serde_json::to_vec_pretty(value)
            .map_err(|e| BrokerError::Damaged { path: path.clone(), reason: e.to_string() })?;
        let write = || {
            let file = self.fs.open(&beside, OpenMode::Create)?;
            if private {
                self.fs.restrict(&beside)?;
            }
            file.write_all_at(0, &bytes)?;
            file.sync()?;
            self.fs.rename(&beside, &path)?;
            self.fs.sync_dir(&self.dir)
        };
        write().map_err(|source| BrokerError::Io { what: "cannot write", path: path.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bd_log::RealFs;

    #[test]
    fn a_stored_file_is_read_back_and_a_missing_one_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let meta = MetaStore::open(Arc::new(RealFs), dir.path()).unwrap();
        assert_eq!(meta.load::<ProducerIdsFile>("p.json").unwrap(), None);
        meta.store("p.json", &ProducerIdsFile { next: 7 }).unwrap();
        meta.store("p.json", &ProducerIdsFile { next: 8 }).unwrap();
        assert_eq!(meta.load("p.json").unwrap(), Some(ProducerIdsFile { next: 8 }));
    }

    #[test]
    fn a_damaged_file_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let meta = MetaStore::open(Arc::new(RealFs), dir.path()).unwrap();
        std::fs::write(dir.path().join("meta/p.json"), b"{").unwrap();
        let error = meta.load::<ProducerIdsFile>("p.json").unwrap_err();
        assert!(error.to_string().contains("p.json"), "{error}");
    }
}
