//! Settings of the role.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bd_log::{Fs, RealFs};

/// Settings of [`Search::open`](crate::Search::open). [`SearchConfig::new`] gives the defaults.
#[derive(Clone)]
pub struct SearchConfig {
    /// The folder that holds all indices; created if absent, locked while open.
    pub dir: PathBuf,
    /// How long a document waits at most until searches see it (`index.refresh_interval`; 1 s).
    pub refresh_interval: Duration,
    /// Bytes of memory of the indexing thread of each index that is being written (15 MB, the least tantivy takes).
    pub writer_memory: usize,
    /// An index that was not written for so long gives its writer's memory and threads back (5 s).
    pub writer_idle: Duration,
    /// Bytes of documents per index that are in the translog and wait to be indexed; writers wait above it (16 MB).
    pub queue_bytes: usize,
    /// How long a write waits for room in that queue until it is refused with 429 (10 s).
    pub queue_wait: Duration,
    /// An index is made durable, and its translog begun anew, after so many bytes of translog (64 MB).
    pub flush_bytes: u64,
    /// ... and after this time, if it was written (30 s).
    pub flush_interval: Duration,
    /// How long the version of a deleted document is remembered (`index.gc_deletes`; 60 s).
    pub gc_deletes: Duration,
    /// Writes are refused while the disk has fewer free bytes (32 MiB), so that what is accepted can be indexed.
    pub disk_floor: u64,
    /// Longest request body (`http.max_content_length`; 100 MB).
    pub max_body: usize,
    /// Bytes of request bodies that are worked on at once; further requests wait (64 MB).
    pub body_budget: usize,
    /// Whether a write to an absent index creates it (`action.auto_create_index`; true).
    pub auto_create_index: bool,
    /// Most indices that may exist (`cluster.max_shards_per_node`; 1000).
    pub max_indices: usize,
    /// The file system that is written through.
    pub fs: Arc<dyn Fs>,
}

impl SearchConfig {
    /// The defaults, over a folder.
    pub fn new(dir: impl Into<PathBuf>) -> SearchConfig {
        SearchConfig {
            dir: dir.into(),
            refresh_interval: Duration::from_secs(1),
            writer_memory: 15_000_000,
            writer_idle: Duration::from_secs(5),
            queue_bytes: 16 << 20,
            queue_wait: Duration::from_secs(10),
            flush_bytes: 64 << 20,
            flush_interval: Duration::from_secs(30),
            gc_deletes: Duration::from_secs(60),
            disk_floor: 32 << 20,
            max_body: 100 << 20,
            body_budget: 64 << 20,
            auto_create_index: true,
            max_indices: 1000,
            fs: Arc::new(RealFs),
        }
    }
}

impl std::fmt::Debug for SearchConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SearchConfig")
            .field("dir", &self.dir)
            .field("refresh_interval", &self.refresh_interval)
            .finish_non_exhaustive()
    }
}
