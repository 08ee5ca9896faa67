//! Opening an index: from its files, then from its translog.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex, RwLock};
use tantivy::{IndexSettings, ReloadPolicy};

use super::directory::{FlushDirectory, write_atomically};
use super::indexer::Indexer;
use super::schema::{Fields, STANDARD};
use super::translog::{EntryKind, Translog};
use super::versions::{Known, Versions};
use super::{Core, Engine, IndexState, Snapshot, analysis, failed, refresh_interval};
use crate::config::SearchConfig;
use crate::error::SearchError;
use crate::metrics::Metrics;

impl Engine {
    /// Makes the folder of a new index. It exists when this returns.
    pub(crate) fn create(
        config: &Arc<SearchConfig>,
        metrics: &Arc<Metrics>,
        dir: &Path,
        state: &IndexState,
    ) -> Result<Arc<Engine>, SearchError> {
        config.fs.create_dir_all(dir).map_err(SearchError::io("create", dir))?;
        let path = dir.join("index.json");
        let text = serde_json::to_vec(state).map_err(|e| SearchError::io("write", &path)(e.into()))?;
        write_atomically(&*config.fs, &path, &text).map_err(SearchError::io("write", &path))?;
        Engine::open(config, metrics, dir)
    }

    /// Opens an index and brings it to the end of its translog.
    pub(crate) fn open(
        config: &Arc<SearchConfig>,
        metrics: &Arc<Metrics>,
        dir: &Path,
    ) -> Result<Arc<Engine>, SearchError> {
        let state = read_state(dir)?;
        let refresh_interval = refresh_interval(&state.settings, config)
            .map_err(|e| SearchError::Corrupt { path: dir.join("index.json"), reason: e.reason })?;
        let fields = Fields::new();
        let (index, directory) = open_index(config, &fields, &state.name, &dir.join("data"))?;
        let meta = index.load_metas().map_err(failed(&state.name))?;
        let committed: u64 = meta.payload.as_deref().and_then(|text| text.parse().ok()).unwrap_or(0);
        let reader = index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .doc_store_cache_num_blocks(10)
            .try_into()
            .map_err(failed(&state.name))?;
        let snapshot = Snapshot::new(reader.searcher()).map_err(failed(&state.name))?;
        let (translog, versions, next_seq) = open_translog(config, dir, committed)?;
        let core = Core {
            next_seq,
            visible: committed,
            versions,
            translog,
            queue: Default::default(),
            queue_bytes: 0,
            refresh_to: 0,
            flush: false,
            failed: None,
            closing: false,
            refresh_interval,
            disk: None,
        };
        let engine = Arc::new(Engine {
            name: state.name.clone(),
            uuid: state.uuid.clone(),
            created: state.created,
            config: config.clone(),
            fields,
            metrics: metrics.clone(),
            dir: dir.to_owned(),
            mapping: RwLock::new(Arc::new(state.mapping.clone())),
            state: Mutex::new(state),
            index,
            directory,
            reader,
            snapshot: RwLock::new(Arc::new(snapshot)),
            core: Mutex::new(core),
            changed: Condvar::new(),
            thread: Mutex::new(None),
        });
        let mut indexer = Indexer::new(engine.clone(), committed);
        indexer.replay().map_err(|error| match error {
            super::indexer::Trouble::Index(source) => {
                SearchError::Index { index: engine.name.clone(), source }
            }
            super::indexer::Trouble::Io(source) => {
                SearchError::Io { what: "bring up to its translog", path: dir.to_owned(), source }
            }
            super::indexer::Trouble::Other(reason) => SearchError::Corrupt { path: dir.to_owned(), reason },
        })?;
        let thread = std::thread::Builder::new()
            .name(format!("search-{}", engine.name))
            .spawn(move || indexer.run())
            .map_err(|source| SearchError::Thread { index: engine.name.clone(), source })?;
        *engine.thread.lock() = Some(thread);
        Ok(engine)
    }
}

fn read_state(dir: &Path) -> Result<IndexState, SearchError> {
    let path = dir.join("index.json");
    let text = std::fs::read(&path).map_err(SearchError::io("read", &path))?;
    let damaged = |reason: String| SearchError::Corrupt { path: path.clone(), reason };
    let mut state: IndexState = serde_json::from_slice(&text).map_err(|e| damaged(e.to_string()))?;
    state.mapping.prepare().map_err(|e| damaged(e.reason))?;
    Ok(state)
}

fn open_index(
    config: &SearchConfig,
    fields: &Fields,
    name: &str,
    data: &Path,
) -> Result<(tantivy::Index, FlushDirectory), SearchError> {
    let directory = FlushDirectory::open(config.fs.clone(), data).map_err(SearchError::io("open", data))?;
    let settings = IndexSettings { docstore_compress_dedicated_thread: false, ..IndexSettings::default() };
    let index = tantivy::Index::builder()
        .schema(fields.schema.clone())
        .settings(settings)
        .open_or_create(directory.clone())
        .map_err(failed(name))?;
    index.tokenizers().register(STANDARD, analysis::standard());
    Ok((index, directory))
}

/// The translog, what it says of versions, and the next sequence number. `committed`: all before it is in the index.
fn open_translog(
    config: &SearchConfig,
    dir: &Path,
    committed: u64,
) -> Result<(Translog, Versions, u64), SearchError> {
    let mut versions = Versions::default();
    let mut next_seq = committed;
    let translog = Translog::open(config.fs.clone(), dir, &mut |entry| {
        match entry.kind {
            // What the index has needs no more, but deletes are remembered.
            EntryKind::Delete | EntryKind::Remembered => {
                let known = Known { seq: entry.seq, version: entry.version, source: None, time: entry.time };
                versions.remember(&Arc::from(entry.id), known);
            }
            // Also of one that the index has already: the delete before it is no longer what counts.
            EntryKind::Index => versions.forget(entry.id, entry.seq),
        }
        if entry.kind == EntryKind::Remembered || entry.seq < committed {
            return Ok(());
        }
        if entry.seq != next_seq {
            let reason = format!("change {next_seq} is missing before change {}", entry.seq);
            return Err(SearchError::Corrupt { path: dir.to_owned(), reason });
        }
        next_seq += 1;
        if entry.kind == EntryKind::Index {
            // Until it is indexed again, below, reads and versions need it; then the index has it.
            let source = Some(Bytes::new());
            let known = Known { seq: entry.seq, version: entry.version, source, time: entry.time };
            versions.set(&Arc::from(entry.id), known);
        }
        Ok(())
    })?;
    Ok((translog, versions, next_seq))
}
