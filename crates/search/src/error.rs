//! Errors: of opening the role, and of requests as Elasticsearch words them.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

/// Why the role cannot be opened or closed.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// The operating system refused something.
    #[error("search: cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process has the folder open.
    #[error("search: {} is in use by another process; stop it or choose another folder", path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// A file does not hold what it should.
    #[error("search: {} is damaged: {reason}; restore it or delete the index it belongs to", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The index library failed.
    #[error("search: index {index}: {source}")]
    Index {
        /// Name of the index.
        index: String,
        /// What it said.
        source: tantivy::TantivyError,
    },
    /// A thread could not be started.
    #[error("search: index {index}: cannot start its thread: {source}")]
    Thread {
        /// Name of the index.
        index: String,
        /// What the system said.
        source: io::Error,
    },
}

impl SearchError {
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SearchError {
        let path = path.to_owned();
        move |source| SearchError::Io { what, path, source }
    }
}

/// An error of a request: status, type and reason as Elasticsearch gives them.
#[derive(Debug, Clone)]
pub(crate) struct EsError {
    pub(crate) status: u16,
    pub(crate) kind: &'static str,
    pub(crate) reason: String,
    /// Further members, such as `index`, `line`, `col`.
    pub(crate) extra: Box<Map<String, Value>>,
    pub(crate) caused_by: Option<Box<EsError>>,
    /// The error is one of the query phase on shards (`search_phase_execution_exception` around it).
    pub(crate) shard: bool,
}

pub(crate) type EsResult<T> = Result<T, EsError>;

impl EsError {
    pub(crate) fn new(status: u16, kind: &'static str, reason: impl Into<String>) -> EsError {
        EsError { status, kind, reason: reason.into(), extra: Box::default(), caused_by: None, shard: false }
    }

    pub(crate) fn illegal(reason: impl Into<String>) -> EsError {
        EsError::new(400, "illegal_argument_exception", reason)
    }

    pub(crate) fn parsing(reason: impl Into<String>) -> EsError {
        EsError::new(400, "parsing_exception", reason).with("line", json!(1)).with("col", json!(1))
    }

    pub(crate) fn x_content(reason: impl Into<String>) -> EsError {
        EsError::new(400, "x_content_parse_exception", reason)
    }

    pub(crate) fn validation(reason: impl AsRef<str>) -> EsError {
        let reason = format!("Validation Failed: 1: {};", reason.as_ref());
        EsError::new(400, "action_request_validation_exception", reason)
    }

    pub(crate) fn mapper(reason: impl Into<String>) -> EsError {
        EsError::new(400, "mapper_parsing_exception", reason)
    }

    pub(crate) fn document(reason: impl Into<String>) -> EsError {
        EsError::new(400, "document_parsing_exception", reason)
    }

    /// A failure of ours or of the disk while reading.
    pub(crate) fn internal(reason: impl Into<String>) -> EsError {
        EsError::new(500, "exception", reason)
    }

    pub(crate) fn no_index(name: &str) -> EsError {
        EsError::new(404, "index_not_found_exception", format!("no such index [{name}]"))
            .with("resource.type", json!("index_or_alias"))
            .with("resource.id", json!(name))
            .with("index_uuid", json!("_na_"))
            .with("index", json!(name))
    }

    /// The block that a full disk puts on an index.
    pub(crate) fn disk_full(index: &str) -> EsError {
        let reason = format!(
            "index [{index}] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, \
             index has read-only-allow-delete block; for more information, see \
             https://www.elastic.co/docs/troubleshoot/elasticsearch/fix-watermark-errors];"
        );
        EsError::new(429, "cluster_block_exception", reason).with("index", json!(index))
    }

    pub(crate) fn with(mut self, key: &str, value: Value) -> EsError {
        self.extra.insert(key.to_owned(), value);
        self
    }

    pub(crate) fn because(mut self, cause: EsError) -> EsError {
        self.caused_by = Some(Box::new(cause));
        self
    }

    /// Marks it as met by a shard while it queried.
    pub(crate) fn on_shard(mut self) -> EsError {
        self.shard = true;
        self
    }

    /// `{type, reason, ...}`.
    pub(crate) fn cause(&self) -> Value {
        let mut object = Map::new();
        object.insert("type".into(), json!(self.kind));
        object.insert("reason".into(), json!(self.reason));
        object.extend((*self.extra).clone());
        if let Some(cause) = &self.caused_by {
            object.insert("caused_by".into(), cause.cause());
        }
        Value::Object(object)
    }

    fn root(&self) -> Value {
        // An error that only repeats its cause is not the root.
        if let Some(cause) = self.caused_by.as_ref().filter(|cause| cause.kind == self.kind) {
            return cause.root();
        }
        let mut object = Map::new();
        object.insert("type".into(), json!(self.kind));
        object.insert("reason".into(), json!(self.reason));
        object.extend((*self.extra).clone());
        Value::Object(object)
    }

    /// The whole body of an answer.
    pub(crate) fn body(&self, index: &str) -> Value {
        if !self.shard {
            let mut error = Map::new();
            error.insert("root_cause".into(), json!([self.root()]));
            if let Value::Object(cause) = self.cause() {
                error.extend(cause);
            }
            return json!({"error": error, "status": self.status});
        }
        json!({"error": {
            "root_cause": [self.root()],
            "type": "search_phase_execution_exception",
            "reason": "all shards failed",
            "phase": "query",
            "grouped": true,
            "failed_shards": [{"shard": 0, "index": index, "node": "bd", "reason": self.cause()}],
            "caused_by": {"type": self.kind, "reason": self.reason, "caused_by": self.root()},
        }, "status": self.status})
    }
}

impl From<tantivy::TantivyError> for EsError {
    fn from(error: tantivy::TantivyError) -> EsError {
        EsError::internal(format!("the index could not be read: {error}"))
    }
}

impl From<io::Error> for EsError {
    fn from(error: io::Error) -> EsError {
        EsError::internal(format!("the index could not be read: {error}"))
    }
}
