//! Errors with Confluent's codes and words.

use bd_cluster::ClusterError;

/// A request failed. [`Error::code`] is Confluent's `error_code`; its first three digits are the HTTP status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// 40401.
    #[error("Subject '{0}' not found.")]
    SubjectNotFound(String),
    /// 40402.
    #[error("Version {0} not found.")]
    VersionNotFound(i64),
    /// 40403, by id.
    #[error("Schema {0} not found")]
    SchemaNotFound(u32),
    /// 40403, by its text.
    #[error("Schema not found")]
    SchemaTextNotFound,
    /// 40404.
    #[error("Subject '{0}' was soft deleted. Set permanent=true to delete permanently")]
    SubjectSoftDeleted(String),
    /// 40405.
    #[error("Subject '{0}' was not deleted first before being permanently deleted")]
    SubjectNotSoftDeleted(String),
    /// 40407.
    #[error("Subject '{0}' Version {1} was not deleted first before being permanently deleted")]
    VersionNotSoftDeleted(String, i64),
    /// 40408.
    #[error("Subject '{0}' does not have subject-level compatibility configured")]
    NoSubjectLevel(String),
    /// 409.
    #[error(
        "Schema being registered is incompatible with an earlier schema for subject \"{subject}\", details: [{details}]"
    )]
    Incompatible {
        /// The subject.
        subject: String,
        /// What breaks which rule.
        details: String,
    },
    /// 42201.
    #[error("Invalid schema {schema}, details: {reason}")]
    InvalidSchema {
        /// The start of its text.
        schema: String,
        /// What is wrong.
        reason: String,
    },
    /// 42202.
    #[error(
        "The specified version '{0}' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \"latest\""
    )]
    InvalidVersion(String),
    /// 42203.
    #[error(
        "Invalid compatibility level. Valid values are none, backward, forward, full, backward_transitive, forward_transitive, \
         and full_transitive"
    )]
    InvalidLevel,
    /// 42208.
    #[error("The specified subject '{0}' is not a valid.")]
    InvalidSubject(String),
    /// 422: the request's body.
    #[error("{0}")]
    InvalidRequest(String),
    /// 404: no such path.
    #[error("HTTP 404 Not Found")]
    NoSuchPath,
    /// 405.
    #[error("HTTP 405 Method Not Allowed")]
    NoSuchMethod,
    /// 50001: the topic cannot be read or written.
    #[error("Error while forwarding to or writing the schemas topic: {0}")]
    Store(String),
}

impl Error {
    /// Confluent's error code.
    pub fn code(&self) -> u32 {
        match self {
            Self::SubjectNotFound(_) => 40401,
            Self::VersionNotFound(_) => 40402,
            Self::SchemaNotFound(_) | Self::SchemaTextNotFound => 40403,
            Self::SubjectSoftDeleted(_) => 40404,
            Self::SubjectNotSoftDeleted(_) => 40405,
            Self::VersionNotSoftDeleted(..) => 40407,
            Self::NoSubjectLevel(_) => 40408,
            Self::Incompatible { .. } => 409,
            Self::InvalidSchema { .. } => 42201,
            Self::InvalidVersion(_) => 42202,
            Self::InvalidLevel => 42203,
            Self::InvalidSubject(_) => 42208,
            Self::InvalidRequest(_) => 422,
            Self::NoSuchPath => 404,
            Self::NoSuchMethod => 405,
            Self::Store(_) => 50001,
        }
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        let code = self.code();
        (if code < 1000 { code } else { code / 100 }) as u16
    }
}

impl From<ClusterError> for Error {
    fn from(error: ClusterError) -> Self {
        Self::Store(error.to_string())
    }
}
