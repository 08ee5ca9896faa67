//! Errors with Confluent's codes and words.

use bd_cluster::ClusterError;

/// A request failed. [`Error::code`] is Confluent's `error_code`; its first three digits are the HTTP status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// 400: the request's body is no JSON, or not what is wanted.
    #[error("{0}")]
    BadRequest(String),
    /// 401: who asks is not known.
    #[error("Unauthorized")]
    Unauthorized,
    /// 40301: who asks is known and may not do that.
    #[error("{0}")]
    Denied(String),
    /// 404: no such path.
    #[error("HTTP 404 Not Found")]
    NoSuchPath,
    /// 405.
    #[error("HTTP 405 Method Not Allowed")]
    NoSuchMethod,
    /// 406: no content type that the caller takes.
    #[error("HTTP 406 Not Acceptable")]
    NotAcceptable,
    /// 413: the request's body is too large.
    #[error("HTTP 413 Request Entity Too Large")]
    BodyTooLarge,
    /// 415: the request's body is of another content type.
    #[error("HTTP 415 Unsupported Media Type")]
    UnsupportedMediaType,
    /// 40401.
    #[error("Subject '{0}' not found.")]
    SubjectNotFound(String),
    /// 40402.
    #[error("Version {0} not found.")]
    VersionNotFound(i64),
    /// 40403, by id.
    #[error("Schema {0} not found")]
    SchemaNotFound(u32),
    /// 40403, by guid.
    #[error("Schema {0} not found")]
    GuidNotFound(String),
    /// 40403, by its text.
    #[error("Schema not found")]
    SchemaTextNotFound,
    /// 40404. As Confluent writes it, without a space.
    #[error("Subject '{0}' was soft deleted.Set permanent=true to delete permanently")]
    SubjectSoftDeleted(String),
    /// 40405.
    #[error("Subject '{0}' was not deleted first before being permanently deleted")]
    SubjectNotSoftDeleted(String),
    /// 40406. As Confluent writes it, without a space.
    #[error("Subject '{0}' Version {1} was soft deleted.Set permanent=true to delete permanently")]
    VersionSoftDeleted(String, i64),
    /// 40407.
    #[error("Subject '{0}' Version {1} was not deleted first before being permanently deleted")]
    VersionNotSoftDeleted(String, i64),
    /// 40408.
    #[error("Subject '{0}' does not have subject-level compatibility configured")]
    NoSubjectLevel(String),
    /// 40409.
    #[error("Subject '{0}' does not have subject-level mode configured")]
    NoSubjectMode(String),
    /// 40901.
    #[error(
        "Schema being registered is incompatible with an earlier schema for subject \"{subject}\", details: [{details}]"
    )]
    Incompatible {
        /// The subject.
        subject: String,
        /// What breaks which rule.
        details: String,
    },
    /// 422: the request's body is missing.
    #[error("{0}")]
    InvalidRequest(String),
    /// 42201: the text is no schema.
    #[error("{0}")]
    InvalidSchema(String),
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
    /// 42204.
    #[error("{0}")]
    InvalidMode(&'static str),
    /// 42205: the mode does not allow it.
    #[error("{0}")]
    NotPermitted(String),
    /// 42206: other schemas refer to it.
    #[error(
        "One or more references exist to the schema {{magic=1,keytype=SCHEMA,subject={subject},version={version}}}."
    )]
    ReferenceExists {
        /// Of the schema that is referred to.
        subject: String,
        /// Of the schema that is referred to.
        version: u32,
    },
    /// 42208.
    #[error("The specified subject '{0}' is not a valid.")]
    InvalidSubject(String),
    /// 42209.
    #[error("Register operation failed because schema is too large")]
    SchemaTooLarge,
    /// 42210.
    #[error("{0}")]
    InvalidRuleSet(String),
    /// 42211.
    #[error("The specified context '{0}' is not empty.")]
    ContextNotEmpty(String),
    /// 50001: the topic cannot be read or written.
    #[error("Error from the backend Kafka store: {0}")]
    Store(String),
    /// 50004: this registry does not write.
    #[error("Leader not known.")]
    NoLeader,
}

impl Error {
    /// Confluent's error code.
    pub fn code(&self) -> u32 {
        match self {
            Self::BadRequest(_) => 400,
            Self::Unauthorized => 401,
            Self::Denied(_) => 40301,
            Self::NoSuchPath => 404,
            Self::NoSuchMethod => 405,
            Self::NotAcceptable => 406,
            Self::BodyTooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::SubjectNotFound(_) => 40401,
            Self::VersionNotFound(_) => 40402,
            Self::SchemaNotFound(_) | Self::GuidNotFound(_) | Self::SchemaTextNotFound => 40403,
            Self::SubjectSoftDeleted(_) => 40404,
            Self::SubjectNotSoftDeleted(_) => 40405,
            Self::VersionSoftDeleted(..) => 40406,
            Self::VersionNotSoftDeleted(..) => 40407,
            Self::NoSubjectLevel(_) => 40408,
            Self::NoSubjectMode(_) => 40409,
            Self::Incompatible { .. } => 40901,
            Self::InvalidRequest(_) => 422,
            Self::InvalidSchema(_) => 42201,
            Self::InvalidVersion(_) => 42202,
            Self::InvalidLevel => 42203,
            Self::InvalidMode(_) => 42204,
            Self::NotPermitted(_) => 42205,
            Self::ReferenceExists { .. } => 42206,
            Self::InvalidSubject(_) => 42208,
            Self::SchemaTooLarge => 42209,
            Self::InvalidRuleSet(_) => 42210,
            Self::ContextNotEmpty(_) => 42211,
            Self::Store(_) => 50001,
            Self::NoLeader => 50004,
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
