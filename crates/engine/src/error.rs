//! What can go wrong in the engine.

use bd_cluster::{ClusterError, CommitError};

/// A query cannot be built, started or run on.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The log said no.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The transaction of a barrier failed.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// An Arrow kernel refused its input: a plan whose types do not agree.
    #[error("in the plan: {0}")]
    Arrow(#[from] arrow_schema::ArrowError),
    /// The plan asks for something that the embedded engine does not do.
    #[error("{0} is not supported by the embedded engine")]
    Unsupported(String),
    /// Saved state or an internal record cannot be read.
    #[error("{what} cannot be read: {reason}")]
    Corrupt {
        /// Which state or topic.
        what: String,
        /// Why.
        reason: String,
    },
    /// Something that records need, such as the schema registry, is away: it may work when tried again.
    #[error("{0}")]
    Later(String),
    /// A statement cannot be carried out.
    #[error("{0}")]
    Statement(String),
    /// The statement's text is wrong: with line, column and a hint.
    #[error("{0}")]
    Sql(String),
}
