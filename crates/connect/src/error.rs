//! What the worker refuses, with the codes and words of Kafka Connect's REST interface.

use bd_cluster::{ClusterError, CommitError};

/// A call on the worker failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// No such connector, task or plugin (404).
    #[error("{0}")]
    NotFound(String),
    /// It is there already, or the worker is busy with it (409).
    #[error("{0}")]
    Conflict(String),
    /// A configuration or a request that does not fit (400).
    #[error("{0}")]
    BadRequest(String),
    /// The cluster or the worker itself failed (500).
    #[error("{0}")]
    Internal(String),
}

impl ConnectError {
    /// The HTTP status, which is also Connect's `error_code`.
    pub fn status(&self) -> u16 {
        match self {
            Self::NotFound(_) => 404,
            Self::Conflict(_) => 409,
            Self::BadRequest(_) => 400,
            Self::Internal(_) => 500,
        }
    }

    pub(crate) fn no_connector(name: &str) -> Self {
        Self::NotFound(format!("Connector {name} not found"))
    }
}

impl From<ClusterError> for ConnectError {
    fn from(error: ClusterError) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<CommitError> for ConnectError {
    fn from(error: CommitError) -> Self {
        Self::Internal(error.to_string())
    }
}
