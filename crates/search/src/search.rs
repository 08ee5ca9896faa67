//! The role: all indices of a folder.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use serde_json::{Map, Value, json};

use crate::config::SearchConfig;
use crate::engine::{Engine, IndexState, refresh_interval};
use crate::error::{EsError, EsResult, SearchError};
use crate::ids;
use crate::mapping::{Mapping, date};
use crate::metrics::{IndexMetrics, Metrics};

/// The open role. [`router`](crate::router) serves it.
///
/// ```
/// let dir = tempfile::tempdir()?;
/// let search = bd_search::Search::open(bd_search::SearchConfig::new(dir.path()))?;
/// let routes: axum::Router = bd_search::router(search.clone());
/// assert!(search.metrics().contains("bd_search_documents_indexed_total 0"));
/// search.close();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Search {
    pub(crate) config: Arc<SearchConfig>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) cluster_uuid: String,
    indices: RwLock<BTreeMap<String, Arc<Engine>>>,
    /// Held while indices are made or deleted.
    catalog: Mutex<()>,
    /// Keeps other processes out.
    _lock: File,
}

impl Search {
    /// Opens all indices of a folder, each brought to the end of its translog. Blocking.
    ///
    /// # Errors
    /// The folder cannot be used, is open in another process, or holds a damaged index.
    pub fn open(config: SearchConfig) -> Result<Arc<Search>, SearchError> {
        let config = Arc::new(config);
        let root = config.dir.join("indices");
        config.fs.create_dir_all(&root).map_err(SearchError::io("create", &root))?;
        let lock = lock(&config.dir)?;
        let metrics = Arc::new(Metrics::default());
        let mut indices = BTreeMap::new();
        for dir in folders(&root)? {
            if !dir.join("index.json").exists() {
                // The making or the deletion of an index was cut short.
                std::fs::remove_dir_all(&dir).map_err(SearchError::io("delete", &dir))?;
                continue;
            }
            let engine = Engine::open(&config, &metrics, &dir)?;
            indices.insert(engine.name.clone(), engine);
        }
        Ok(Arc::new(Search {
            config,
            metrics,
            cluster_uuid: ids::index_uuid(),
            indices: RwLock::new(indices),
            catalog: Mutex::new(()),
            _lock: lock,
        }))
    }

    /// Makes all indices durable and ends their threads; requests are refused from now on. Blocking.
    pub fn close(&self) {
        let engines: Vec<Arc<Engine>> = self.indices.read().values().cloned().collect();
        for engine in engines {
            engine.close();
        }
    }

    /// The role's metrics as Prometheus text.
    pub fn metrics(&self) -> String {
        let indices: Vec<IndexMetrics> = self
            .engines()
            .iter()
            .map(|engine| IndexMetrics {
                name: engine.name.clone(),
                docs: engine.snapshot().searcher.num_docs(),
                translog_bytes: engine.translog_bytes(),
            })
            .collect();
        self.metrics.text(&indices)
    }

    /// All indices, by name.
    pub(crate) fn engines(&self) -> Vec<Arc<Engine>> {
        self.indices.read().values().cloned().collect()
    }

    /// One index, by its name or by an alias that means only it.
    pub(crate) fn engine(&self, name: &str) -> EsResult<Arc<Engine>> {
        if let Some(engine) = self.indices.read().get(name) {
            return Ok(engine.clone());
        }
        let mut found = self.engines().into_iter().filter(|engine| engine.state().aliases.contains_key(name));
        match (found.next(), found.next()) {
            (Some(engine), None) => Ok(engine),
            (Some(_), Some(_)) => Err(EsError::illegal(format!(
                "no write index is defined for alias [{name}]. The write index may be explicitly disabled using is_write_index=false \
                 or the alias points to multiple indices without one being designated as a write index"
            ))),
            _ => Err(EsError::no_index(name)),
        }
    }

    /// The indices that an expression names: a comma list of names, aliases and patterns with `*`, `-` before what is taken
    /// out again; empty or `_all` for all.
    pub(crate) fn resolve(&self, expression: &str, ignore_unavailable: bool) -> EsResult<Vec<Arc<Engine>>> {
        if matches!(expression, "" | "_all" | "*") {
            return Ok(self.engines());
        }
        let mut found: BTreeMap<String, Arc<Engine>> = BTreeMap::new();
        for part in expression.split(',') {
            if let Some(excluded) = part.strip_prefix('-') {
                found.retain(|name, _| !matches_pattern(excluded, name));
                continue;
            }
            let exact = !part.contains('*');
            let mut any = false;
            for engine in self.engines() {
                let named = matches_pattern(part, &engine.name)
                    || engine.state().aliases.keys().any(|alias| matches_pattern(part, alias));
                if named {
                    any = true;
                    found.insert(engine.name.clone(), engine);
                }
            }
            if exact && !any && !ignore_unavailable {
                return Err(EsError::no_index(part));
            }
        }
        Ok(found.into_values().collect())
    }

    /// Makes an index of a request's `{settings, mappings, aliases}`.
    pub(crate) fn create_index(&self, name: &str, body: &Value) -> EsResult<Arc<Engine>> {
        check_name(name)?;
        let state = new_state(name, body, &self.config)?;
        let _catalog = self.catalog.lock();
        self.create_locked(state)
    }

    /// The index of a name; made if there is none and it may be.
    pub(crate) fn engine_for_write(&self, name: &str) -> EsResult<Arc<Engine>> {
        let error = match self.engine(name) {
            Err(error) if error.kind == "index_not_found_exception" => error,
            other => return other,
        };
        if !self.config.auto_create_index {
            let reason = format!("{} and [action.auto_create_index] is [false]", error.reason);
            return Err(EsError { reason, ..error });
        }
        check_name(name)?;
        let state = new_state(name, &Value::Null, &self.config)?;
        let _catalog = self.catalog.lock();
        // Another request may have made it meanwhile.
        match self.engine(name) {
            Ok(engine) => Ok(engine),
            Err(_) => self.create_locked(state),
        }
    }

    fn create_locked(&self, state: IndexState) -> EsResult<Arc<Engine>> {
        let name = state.name.clone();
        let engines = self.engines();
        if let Some(there) = engines.iter().find(|engine| engine.name == name) {
            let reason = format!("index [{name}/{}] already exists", there.uuid);
            return Err(EsError::new(400, "resource_already_exists_exception", reason)
                .with("index_uuid", json!(there.uuid))
                .with("index", json!(name)));
        }
        if engines.iter().any(|engine| engine.state().aliases.contains_key(&name)) {
            let reason = format!("Invalid index name [{name}], already exists as alias");
            return Err(EsError::new(400, "invalid_index_name_exception", reason));
        }
        if engines.len() >= self.config.max_indices {
            return Err(EsError::validation(format!(
                "this action would add [1] shards, but this cluster currently has [{}]/[{}] maximum normal shards open",
                engines.len(),
                self.config.max_indices
            )));
        }
        let dir = self.config.dir.join("indices").join(&state.uuid);
        let engine = Engine::create(&self.config, &self.metrics, &dir, &state).map_err(|error| {
            tracing::error!(%error, index = name, "cannot make an index");
            let _ = std::fs::remove_dir_all(&dir);
            match error {
                SearchError::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                    EsError::disk_full(&name)
                }
                other => EsError::internal(other.to_string()),
            }
        })?;
        self.indices.write().insert(name, engine.clone());
        Ok(engine)
    }

    /// Deletes indices with all they have.
    pub(crate) fn delete_indices(&self, engines: &[Arc<Engine>]) -> EsResult<()> {
        let _catalog = self.catalog.lock();
        for engine in engines {
            let dir = self.config.dir.join("indices").join(&engine.uuid);
            let fs = &self.config.fs;
            // Without this file the folder is nobody's, also after a crash.
            fs.remove(&dir.join("index.json"))
                .and_then(|()| fs.sync_dir(&dir))
                .map_err(|e| EsError::internal(format!("cannot delete index [{}]: {e}", engine.name)))?;
            self.indices.write().remove(&engine.name);
            engine.abandon();
            if let Err(error) = std::fs::remove_dir_all(&dir) {
                tracing::warn!(dir = %dir.display(), %error, "cannot delete the folder of a deleted index; done at the next start");
            }
        }
        Ok(())
    }
}

/// Whether a name fits a pattern in which `*` stands for anything.
pub(crate) fn matches_pattern(pattern: &str, name: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut left) = name.strip_prefix(head) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match left.find(part) {
            Some(at) => left = left.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    left.ends_with(last)
}

fn check_name(name: &str) -> EsResult<()> {
    let invalid = |reason: &str| {
        Err(EsError::new(
            400,
            "invalid_index_name_exception",
            format!("Invalid index name [{name}], {reason}"),
        )
        .with("index_uuid", json!("_na_"))
        .with("index", json!(name)))
    };
    if name.chars().any(char::is_uppercase) {
        return invalid("must be lowercase");
    }
    if let Some(c) = name.chars().find(|c| "\\/*?\"<>| ,#:".contains(*c) || c.is_control()) {
        return match c {
            '#' => invalid("must not contain '#'"),
            ':' => invalid("must not contain ':'"),
            _ => invalid(
                "must not contain the following characters [' ','\"','*',',','/','<','>','?','\\','|']",
            ),
        };
    }
    if name.starts_with(['_', '-', '+']) {
        return invalid("must not start with '_', '-', or '+'");
    }
    if name.is_empty() || name == "." || name == ".." {
        return invalid("must not be '.' or '..'");
    }
    if name.len() > 255 {
        return invalid(&format!("index name is too long, ({} > 255)", name.len()));
    }
    Ok(())
}

fn new_state(name: &str, body: &Value, config: &SearchConfig) -> EsResult<IndexState> {
    let mut mapping = Mapping::default();
    let mut settings = Map::new();
    let mut aliases = Map::new();
    for (key, value) in body.as_object().into_iter().flatten() {
        match key.as_str() {
            "mappings" => mapping.merge_json(value)?,
            "settings" => settings = parse_settings(value)?,
            "aliases" => {
                for (alias, options) in value.as_object().into_iter().flatten() {
                    if options.as_object().is_some_and(|options| !options.is_empty()) {
                        return Err(EsError::illegal(format!(
                            "options of alias [{alias}] are not supported"
                        )));
                    }
                    aliases.insert(alias.clone(), json!({}));
                }
            }
            _ => {
                return Err(EsError::parsing(format!("unknown key [{key}] for create index")));
            }
        }
    }
    refresh_interval(&settings, config)?;
    Ok(IndexState {
        name: name.into(),
        uuid: ids::index_uuid(),
        created: date::now(),
        settings,
        mapping,
        aliases,
    })
}

/// Settings that have an effect here, or none anywhere in one process.
const SETTINGS: &[&str] = &[
    "number_of_shards",
    "number_of_replicas",
    "refresh_interval",
    "auto_expand_replicas",
    "max_result_window",
    "mapping.total_fields.limit",
];

/// Settings of a request, nested or dotted, with or without `index.`, as dotted names without it.
pub(crate) fn parse_settings(value: &Value) -> EsResult<Map<String, Value>> {
    fn flatten(prefix: &str, value: &Value, out: &mut Map<String, Value>) {
        match value {
            Value::Object(members) => {
                for (key, member) in members {
                    let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                    flatten(&name, member, out);
                }
            }
            leaf => {
                out.insert(prefix.strip_prefix("index.").unwrap_or(prefix).to_owned(), leaf.clone());
            }
        }
    }
    let mut settings = Map::new();
    flatten("", value, &mut settings);
    if let Some(unknown) = settings.keys().find(|key| !SETTINGS.contains(&key.as_str())) {
        return Err(EsError::illegal(format!(
            "unknown setting [index.{unknown}] please check that any required plugins are installed, or check the breaking changes \
             documentation for removed settings"
        )));
    }
    let whole = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
    if let Some(shards) = settings.get("number_of_shards").and_then(whole)
        && shards != 1
    {
        return Err(EsError::illegal(format!(
            "number_of_shards [{shards}] is not supported: an index here has 1 shard"
        )));
    }
    Ok(settings)
}

fn folders(root: &Path) -> Result<Vec<PathBuf>, SearchError> {
    let listed = std::fs::read_dir(root).and_then(|entries| {
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()
    });
    let mut dirs = listed.map_err(SearchError::io("list", root))?;
    dirs.retain(|path| path.is_dir());
    dirs.sort();
    Ok(dirs)
}

fn lock(dir: &Path) -> Result<File, SearchError> {
    let path = dir.join("node.lock");
    let file = File::create(&path).map_err(SearchError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(SearchError::Locked { path: dir.to_owned() }),
        Err(std::fs::TryLockError::Error(e)) => Err(SearchError::io("lock", &path)(e)),
    }
}
