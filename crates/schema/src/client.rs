//! The client of a Confluent Schema Registry, or of one that speaks its REST protocol.
//!
//! Answers by id are kept, since an id's schema never changes; so are registrations. An id that the registry does not know is asked
//! for again after [`UNKNOWN_FOR`] only, so that a flood of bad records does not become a flood of requests.

mod properties;

pub use properties::PropertyError;

use crate::percent::{percent_decoded, percent_encoded};
use crate::{NewSchema, Referenced, RegisteredSchema, RegistryError, SchemaRegistry, SchemaText, SchemaType};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use properties::Credentials;
use serde_json::Value as Json;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hash;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use ureq::Agent;
use ureq::tls::TlsConfig;

/// So long an unknown id stays unknown.
const UNKNOWN_FOR: Duration = Duration::from_secs(2);
/// So many schemas, registrations and unknown ids are kept.
const KEPT: usize = 1000;
/// A schema that refers to more others is refused.
const MAX_REFERENCES: usize = 100;
/// A longer answer is refused.
const MAX_ANSWER: u64 = 8 << 20;
const CONNECT_WAIT: Duration = Duration::from_secs(3);
const ANSWER_WAIT: Duration = Duration::from_secs(5);
const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// A map that forgets all when it is full: what it holds can be asked for again.
struct Cache<K, V>(Mutex<HashMap<K, V>>);

impl<K: Hash + Eq, V: Clone> Cache<K, V> {
    fn new() -> Self {
        Self(Mutex::new(HashMap::new()))
    }

    fn get(&self, key: &K) -> Option<V> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn put(&self, key: K, value: V) {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if map.len() >= KEPT {
            map.clear();
        }
        map.insert(key, value);
    }
}

/// See the module's documentation.
pub struct RegistryClient {
    agent: Agent,
    wait: Duration,
    tls: TlsConfig,
    urls: Vec<String>,
    /// The URL that answered last.
    good: AtomicUsize,
    authorization: Option<String>,
    by_id: Cache<u32, Arc<SchemaText>>,
    unknown: Cache<u32, Instant>,
    /// By subject and schema.
    registered: Cache<(String, NewSchema), u32>,
}

/// An answer with a status of 400 or more.
pub(crate) struct Refusal {
    pub(crate) status: u16,
    /// Confluent's `error_code`; 0 where the answer is none of a registry.
    pub(crate) code: u32,
    pub(crate) message: String,
}

/// What is asked of a path.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Method<'a> {
    Get,
    /// With this body.
    Post(&'a str),
    Delete,
}

impl RegistryClient {
    /// For the registry at `url`, as `schema.registry.url`: several of one cluster by comma, each with or without a path;
    /// `user:password@` before the host is basic authentication. Servers of `https` URLs must have a certificate of an authority that
    /// the system believes, or that [`RegistryClient::with_properties`] names.
    pub fn new(url: &str) -> Self {
        let mut authorization = None;
        let urls = url.split(',').map(str::trim).filter(|u| !u.is_empty()).map(|url| {
            let url = url.trim_end_matches('/');
            let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
            let host_end = rest.find('/').unwrap_or(rest.len());
            match rest[..host_end].rsplit_once('@') {
                Some((user_info, host)) => {
                    authorization = Some(basic(&percent_decoded(user_info)));
                    format!("{scheme}://{host}{}", &rest[host_end..])
                }
                None => format!("{scheme}://{rest}"),
            }
        });
        let urls: Vec<String> = urls.collect();
        let tls = match urls.iter().any(|url| url.starts_with("https:")) {
            true => properties::tls(None),
            false => TlsConfig::default(),
        };
        Self {
            urls,
            agent: agent(ANSWER_WAIT, &tls),
            wait: ANSWER_WAIT,
            tls,
            good: AtomicUsize::new(0),
            authorization,
            by_id: Cache::new(),
            unknown: Cache::new(),
            registered: Cache::new(),
        }
    }

    /// The same with basic authentication, as `basic.auth.user.info`: `user:password`.
    #[must_use]
    pub fn with_basic_auth(mut self, user_info: &str) -> Self {
        self.authorization = Some(basic(user_info));
        self
    }

    /// The same with a token, as `bearer.auth.token`.
    #[must_use]
    pub fn with_bearer_token(mut self, token: &str) -> Self {
        self.authorization = Some(format!("Bearer {token}"));
        self
    }

    /// The same with properties by the names of Confluent's clients: `basic.auth.credentials.source`, `basic.auth.user.info`,
    /// `bearer.auth.credentials.source`, `bearer.auth.token`, `ssl.ca.location` (or `ssl.truststore.location`, with or without
    /// `schema.registry.` before it; PEM), `ssl.truststore.certificates`.
    ///
    /// # Errors
    /// A property that is not known, or that does not fit.
    pub fn with_properties(mut self, given: &BTreeMap<String, String>) -> Result<Self, PropertyError> {
        let properties = properties::parse(given)?;
        if let Some(roots) = properties.roots {
            self.tls = properties::tls(Some(roots));
            self.agent = agent(self.wait, &self.tls);
        }
        Ok(match properties.credentials {
            Some(Credentials::Basic(user_info)) => self.with_basic_auth(&user_info),
            Some(Credentials::Bearer(token)) => self.with_bearer_token(&token),
            None => self,
        })
    }

    /// Whether a key of something that has keys of its own, such as a converter, is one of [`RegistryClient::with_properties`].
    pub fn is_property(key: &str) -> bool {
        properties::is_one(key)
    }

    /// The same, waiting for an answer so long (5 s by default).
    #[must_use]
    pub fn with_timeout(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self.agent = agent(wait, &self.tls);
        self
    }

    pub(crate) fn unavailable(&self, reason: impl Into<String>) -> RegistryError {
        RegistryError::Unavailable { at: self.urls.join(","), reason: reason.into() }
    }

    /// Asks the URLs in turn, beginning with the one that answered last, until one answers for itself.
    pub(crate) fn ask(&self, path: &str, method: Method<'_>) -> Result<Result<Json, Refusal>, RegistryError> {
        let first = self.good.load(Ordering::Relaxed);
        let mut reason = "no URL is configured".to_owned();
        for i in 0..self.urls.len() {
            let at = (first + i) % self.urls.len();
            match self.ask_one(&format!("{}{path}", self.urls[at]), method) {
                Ok(answer) => {
                    self.good.store(at, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(why) => reason = why,
            }
        }
        Err(self.unavailable(reason))
    }

    /// The schema that an answer holds, with all that its `references` are to.
    fn whole(&self, answer: &Json) -> Result<Arc<SchemaText>, RegistryError> {
        let text = answer.get("schema").and_then(Json::as_str);
        let text = text.ok_or_else(|| self.unavailable("its answer holds no schema"))?;
        let schema_type = match answer.get("schemaType").and_then(Json::as_str) {
            None => SchemaType::Avro,
            Some(name) => SchemaType::parse(name)
                .ok_or_else(|| self.unavailable(format!("its answer holds a schema of type {name}")))?,
        };
        let mut found = Vec::new();
        self.follow(answer, &mut HashSet::new(), &mut found)?;
        Ok(Arc::new(SchemaText { schema_type, text: text.into(), referenced: found }))
    }

    /// Appends what a schema refers to, each after what it refers to itself.
    pub(crate) fn follow(
        &self,
        answer: &Json,
        seen: &mut HashSet<String>,
        found: &mut Vec<Referenced>,
    ) -> Result<(), RegistryError> {
        for (name, subject, version) in references(answer) {
            if !seen.insert(name.clone()) {
                continue;
            }
            let failed =
                |why: String| self.unavailable(format!("subject {subject}, version {version}: {why}"));
            if seen.len() > MAX_REFERENCES {
                return Err(failed(format!("the schema refers to more than {MAX_REFERENCES} others")));
            }
            let path = format!("/subjects/{}/versions/{version}", percent_encoded(&subject, ""));
            let answer = self.ask(&path, Method::Get)?.map_err(|refusal| failed(refusal.message))?;
            let text = answer.get("schema").and_then(Json::as_str);
            let text = text.ok_or_else(|| failed("its answer holds no schema".into()))?;
            self.follow(&answer, seen, found)?;
            found.push(Referenced { name, text: text.into() });
        }
        Ok(())
    }

    /// # Errors
    /// What may work when tried again, or elsewhere.
    fn ask_one(&self, url: &str, method: Method<'_>) -> Result<Result<Json, Refusal>, String> {
        let answer = match method {
            Method::Post(body) => {
                let mut request = self.agent.post(url).header("Content-Type", CONTENT_TYPE);
                request = request.header("Accept", CONTENT_TYPE);
                if let Some(authorization) = &self.authorization {
                    request = request.header("Authorization", authorization);
                }
                request.send(body)
            }
            Method::Get | Method::Delete => {
                let request = match method {
                    Method::Delete => self.agent.delete(url),
                    _ => self.agent.get(url),
                };
                let mut request = request.header("Accept", CONTENT_TYPE);
                if let Some(authorization) = &self.authorization {
                    request = request.header("Authorization", authorization);
                }
                request.call()
            }
        };
        let mut answer = answer.map_err(|e| failed(&e))?;
        let status = answer.status().as_u16();
        let text =
            answer.body_mut().with_config().limit(MAX_ANSWER).read_to_string().map_err(|e| e.to_string())?;
        let json: Option<Json> = serde_json::from_str(&text).ok();
        if status < 300 {
            return json.map(Ok).ok_or_else(|| format!("{url} answers {status} with what is no JSON"));
        }
        let code = json.as_ref().and_then(|j| j.get("error_code")).and_then(Json::as_u64);
        let message = json.as_ref().and_then(|j| j.get("message")).and_then(Json::as_str);
        let code = code.and_then(|c| u32::try_from(c).ok()).unwrap_or_default();
        let message = message.map_or_else(|| text.chars().take(200).collect(), str::to_owned);
        // Not of the schema: who asks, how often, or not a registry at all.
        if status >= 500 || matches!(status, 300..=399 | 401 | 403 | 408 | 429) || code == 0 {
            let hint = match (status, &self.authorization) {
                (401, None) => " (basic.auth.user.info or bearer.auth.token says who asks)",
                (401, Some(_)) => " (it does not know this user and password, or token)",
                _ => "",
            };
            return Err(format!("{url} answers {status} {message}{hint}"));
        }
        Ok(Err(Refusal { status, code, message }))
    }
}

/// Why there is no answer.
fn failed(error: &ureq::Error) -> String {
    let text = error.to_string();
    match text.contains("UnknownIssuer") {
        true => {
            format!("{text} (ssl.ca.location names the file of the authority that signed its certificate)")
        }
        false => text,
    }
}

fn agent(wait: Duration, tls: &TlsConfig) -> Agent {
    Agent::config_builder()
        .tls_config(tls.clone())
        .timeout_connect(Some(CONNECT_WAIT.min(wait)))
        .timeout_global(Some(wait))
        .http_status_as_error(false)
        .user_agent("bd")
        // As the JVM's client, which goes straight to the URL.
        .proxy(None)
        .build()
        .into()
}

fn basic(user_info: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(user_info))
}

/// The names, subjects and versions that a schema refers to.
pub(crate) fn references(answer: &Json) -> Vec<(String, String, u32)> {
    let all = answer.get("references").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
    let text = |json: &Json, key: &str| json.get(key).and_then(Json::as_str).map(str::to_owned);
    all.iter().filter_map(|r| Some((text(r, "name")?, text(r, "subject")?, number(r, "version")?))).collect()
}

pub(crate) fn number(json: &Json, field: &str) -> Option<u32> {
    json.get(field).and_then(Json::as_u64).and_then(|n| u32::try_from(n).ok())
}

/// The body of a request that registers.
pub(crate) fn body(schema: &NewSchema) -> String {
    let mut body = serde_json::json!({ "schema": &*schema.text });
    // As Confluent's client, which leaves out what is the default.
    if schema.schema_type != SchemaType::Avro {
        body["schemaType"] = schema.schema_type.name().into();
    }
    if !schema.references.is_empty() {
        let references = schema.references.iter();
        body["references"] = references
            .map(|r| serde_json::json!({"name": r.name, "subject": r.subject, "version": r.version}))
            .collect();
    }
    body.to_string()
}

impl SchemaRegistry for RegistryClient {
    fn schema(&self, id: u32) -> Result<Arc<SchemaText>, RegistryError> {
        if let Some(text) = self.by_id.get(&id) {
            return Ok(text);
        }
        if self.unknown.get(&id).is_some_and(|at| at.elapsed() < UNKNOWN_FOR) {
            return Err(RegistryError::UnknownId(id));
        }
        match self.ask(&format!("/schemas/ids/{id}"), Method::Get)? {
            Ok(answer) => {
                let schema = self.whole(&answer)?;
                self.by_id.put(id, schema.clone());
                Ok(schema)
            }
            Err(refusal) if refusal.code == 40403 => {
                self.unknown.put(id, Instant::now());
                Err(RegistryError::UnknownId(id))
            }
            Err(Refusal { status, code, message }) => {
                Err(self.unavailable(format!("schema {id}: it answers {status} ({code}) {message}")))
            }
        }
    }

    fn register(&self, subject: &str, schema: &NewSchema) -> Result<u32, RegistryError> {
        let key = (subject.to_owned(), schema.clone());
        if let Some(id) = self.registered.get(&key) {
            return Ok(id);
        }
        let body = body(schema);
        match self
            .ask(&format!("/subjects/{}/versions", percent_encoded(subject, "")), Method::Post(&body))?
        {
            Ok(answer) => {
                let id = number(&answer, "id");
                let id = id.ok_or_else(|| {
                    self.unavailable(format!("its answer for subject {subject} holds no id"))
                })?;
                self.registered.put(key, id);
                Ok(id)
            }
            Err(Refusal { code, message, .. }) => {
                Err(RegistryError::Refused { subject: subject.to_owned(), code, reason: message })
            }
        }
    }

    fn latest(&self, subject: &str) -> Result<Option<RegisteredSchema>, RegistryError> {
        match self.ask(&format!("/subjects/{}/versions/latest", percent_encoded(subject, "")), Method::Get)? {
            Ok(answer) => {
                let schema = self.whole(&answer)?;
                match (number(&answer, "id"), number(&answer, "version")) {
                    (Some(id), Some(version)) => Ok(Some(RegisteredSchema { id, version, schema })),
                    _ => Err(self.unavailable(format!("its answer for subject {subject} holds no version"))),
                }
            }
            Err(Refusal { code: 40401 | 40402, .. }) => Ok(None),
            Err(Refusal { status, code, message }) => {
                Err(self.unavailable(format!("subject {subject}: it answers {status} ({code}) {message}")))
            }
        }
    }
}
