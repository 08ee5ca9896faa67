//! What a console is made of.

use bd_cluster::Cluster;
use bd_schema::SchemaRegistry;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// What the console shows, and where the other roles are. A role that is `None` is shown as not there.
#[derive(Clone)]
pub struct ConsoleConfig {
    /// The log.
    pub cluster: Arc<dyn Cluster>,
    /// Streaming SQL: ksqlDB's REST.
    pub engine: Option<Endpoint>,
    /// Kafka Connect's REST.
    pub connect: Option<Endpoint>,
    /// Elasticsearch's or OpenSearch's REST.
    pub search: Option<Endpoint>,
    /// Schemas, to decode Avro messages.
    pub registry: Option<Arc<dyn SchemaRegistry>>,
    /// Dashboard files (YAML), or folders of them. The first one is what the UI opens.
    pub dashboards: Vec<PathBuf>,
}

impl ConsoleConfig {
    /// A console over a log alone.
    pub fn new(cluster: Arc<dyn Cluster>) -> Self {
        Self { cluster, engine: None, connect: None, search: None, registry: None, dashboards: Vec::new() }
    }
}

/// A role reached over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// `http://host:port` or `https://...`, with a path prefix if there is one, without a `/` at its end.
    pub url: String,
    /// How to say who we are.
    pub auth: Option<Auth>,
}

impl Endpoint {
    /// Without authentication.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into().trim_end_matches('/').to_owned(), auth: None }
    }

    /// The same with authentication.
    #[must_use]
    pub fn with_auth(mut self, auth: Auth) -> Self {
        self.auth = Some(auth);
        self
    }
}

/// Authentication towards a role. Secrets are not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub enum Auth {
    /// HTTP basic.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// Elasticsearch's `Authorization: ApiKey`, in its encoded form.
    ApiKey(String),
    /// `Authorization: Bearer`.
    Bearer(String),
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Auth::Basic { .. } => "Basic(..)",
            Auth::ApiKey(_) => "ApiKey(..)",
            Auth::Bearer(_) => "Bearer(..)",
        })
    }
}
