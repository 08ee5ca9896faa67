//! The registry itself: the state in memory, and the topic that it is read from and written to.

use crate::compatibility::{self, Level};
use crate::error::Error;
use crate::record::{Change, SchemaValue};
use crate::state::{State, Stored, Version};
use apache_avro::Schema as AvroSchema;
use bd_cluster::{
    Cluster, ClusterError, NewTopic, OffsetSpec, Reader, ReaderConfig, RecordsBuilder, TopicPartition,
    Writer, WriterConfig,
};
use bd_schema::{NewSchema, RegisteredSchema, RegistryError, SchemaRegistry, SchemaText};
use parking_lot::{Mutex, RwLock};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// An answer of the cluster is waited for at most so long.
const WAIT: Duration = Duration::from_secs(30);
/// So many bytes are read at once.
const READ_BYTES: usize = 1 << 20;

/// How a registry runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryConfig {
    /// The topic, Confluent's `kafkastore.topic`. Created with one partition, compacted, where it is absent.
    pub topic: String,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self { topic: "_schemas".into() }
    }
}

/// A schema registry over a topic. Calls block.
pub struct Registry {
    state: RwLock<State>,
    log: Mutex<Log>,
    cluster: Arc<dyn Cluster>,
    partition: TopicPartition,
}

struct Log {
    reader: Box<dyn Reader>,
    writer: Box<dyn Writer>,
    position: i64,
}

/// A version with its schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) subject: String,
    pub(crate) version: u32,
    pub(crate) id: u32,
    pub(crate) text: Arc<str>,
    pub(crate) schema_type: Option<String>,
}

/// Which version of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    Latest,
    Number(u32),
}

impl Which {
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        match text.parse::<i64>() {
            _ if text.eq_ignore_ascii_case("latest") => Ok(Self::Latest),
            Ok(-1) => Ok(Self::Latest),
            Ok(n) if (1..=i64::from(i32::MAX)).contains(&n) => Ok(Self::Number(n as u32)),
            _ => Err(Error::InvalidVersion(text.into())),
        }
    }
}

impl Registry {
    /// Reads the topic to its end, creating it where it is absent.
    ///
    /// # Errors
    /// The cluster's; a topic of more than one partition.
    pub fn open(cluster: Arc<dyn Cluster>, config: &RegistryConfig) -> Result<Self, Error> {
        let topic = &config.topic;
        if cluster.topic(topic)?.is_none() {
            match cluster.create_topic(&NewTopic::new(topic, 1).with("cleanup.policy", "compact")) {
                Ok(()) | Err(ClusterError::TopicExists(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if let Some(info) = cluster.topic(topic)?.filter(|info| info.partitions != 1) {
            let count = info.partitions;
            return Err(Error::Store(format!(
                "topic {topic} has {count} partitions, a registry's topic has one, so that its order decides"
            )));
        }
        let partition = TopicPartition::new(topic.as_str(), 0);
        let position = cluster.offset(&partition, OffsetSpec::Earliest)?;
        let client_id = "bd-registry".to_owned();
        let mut reader =
            cluster.open_reader(ReaderConfig { client_id: client_id.clone(), ..ReaderConfig::default() })?;
        reader.assign(&partition, position)?;
        let writer = cluster.open_writer(WriterConfig { client_id, ..WriterConfig::default() })?;
        let log = Mutex::new(Log { reader, writer, position });
        let registry = Self { state: RwLock::default(), log, cluster, partition };
        registry.catch_up(&mut registry.log.lock())?;
        Ok(registry)
    }

    /// Applies what was written since the last call, by whomever.
    fn catch_up(&self, log: &mut Log) -> Result<(), Error> {
        let end = self.cluster.offset(&self.partition, OffsetSpec::Latest)?;
        let deadline = Instant::now() + WAIT;
        while log.position < end {
            let Some(records) = log.reader.poll(READ_BYTES, Duration::from_millis(100))? else {
                if Instant::now() > deadline {
                    let at = log.position;
                    return Err(Error::Store(format!("{} cannot be read from offset {at}", self.partition)));
                }
                continue;
            };
            let mut state = self.state.write();
            for record in records.iter() {
                match record.key.map(|key| Change::decode(key, record.value)) {
                    Some(Ok(Some(change))) => state.apply(change),
                    Some(Ok(None)) => {}
                    Some(Err(error)) => {
                        tracing::warn!("{} offset {}: passed over: {error}", self.partition, record.offset);
                    }
                    None => {
                        tracing::warn!("{} offset {}: passed over: no key", self.partition, record.offset)
                    }
                }
            }
            log.position = records.next_offset;
        }
        Ok(())
    }

    /// Writes a change; it is durable and applied when this returns.
    fn write(&self, log: &mut Log, change: &Change) -> Result<(), Error> {
        let (key, value) = change.encode().map_err(|e| Error::Store(e.to_string()))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64);
        let mut records = RecordsBuilder::new();
        records.push(Some(&key), value.as_deref(), now, &[]);
        log.writer.append(&self.partition, records)?.wait(WAIT)?;
        self.catch_up(log)
    }

    /// The state as of now.
    fn fresh<T>(&self, read: impl FnOnce(&State) -> T) -> Result<T, Error> {
        self.catch_up(&mut self.log.lock())?;
        Ok(read(&self.state.read()))
    }

    /// Registers an Avro schema; gives the id, the one it has if it is there already.
    ///
    /// # Errors
    /// [`Error::InvalidSchema`], [`Error::Incompatible`], [`Error::Store`].
    pub fn register_schema(&self, subject: &str, schema: &str) -> Result<u32, Error> {
        valid_subject(subject)?;
        let (parsed, text) = parse(schema)?;
        let mut log = self.log.lock();
        loop {
            self.catch_up(&mut log)?;
            let value = {
                let state = self.state.read();
                let id = state.id_of(&text);
                let versions = state.versions(subject, false);
                if let Some(id) = id.filter(|id| versions.iter().any(|v| v.id == *id)) {
                    return Ok(id);
                }
                let level = state.level(Some(subject));
                let faults = compatibility::check(&parsed, &earlier(&state, &versions)?, level);
                if !faults.is_empty() {
                    let details = faults.join(", ");
                    return Err(Error::Incompatible { subject: subject.into(), details });
                }
                SchemaValue {
                    subject: subject.into(),
                    version: state.next_version(subject),
                    id: id.unwrap_or_else(|| state.next_id()),
                    schema_type: None,
                    schema: text.clone(),
                    deleted: false,
                }
            };
            let (version, id) = (value.version, value.id);
            self.write(&mut log, &Change::Schema(value))?;
            // Another registry may have been faster in the log: then the number is not ours, and it goes round again.
            let state = self.state.read();
            let ours = state.versions(subject, false).iter().any(|v| v.version == version && v.id == id);
            if ours && state.id_of(&text) == Some(id) {
                return Ok(id);
            }
        }
    }

    /// The place of an equal schema under the subject.
    pub(crate) fn lookup(&self, subject: &str, schema: &str, deleted: bool) -> Result<Found, Error> {
        let (_, text) = parse(schema)?;
        self.fresh(|state| {
            let versions = state.versions(subject, deleted);
            if versions.is_empty() {
                return Err(Error::SubjectNotFound(subject.into()));
            }
            let id = state.id_of(&text).ok_or(Error::SchemaTextNotFound)?;
            let version = versions.iter().rev().find(|v| v.id == id).ok_or(Error::SchemaTextNotFound)?;
            found(state, subject, version)
        })?
    }

    pub(crate) fn subjects(&self, deleted: bool) -> Result<Vec<String>, Error> {
        self.fresh(|state| state.subjects(deleted))
    }

    pub(crate) fn versions(&self, subject: &str, deleted: bool) -> Result<Vec<u32>, Error> {
        let versions = self.fresh(|state| state.versions(subject, deleted))?;
        match versions.is_empty() {
            true => Err(Error::SubjectNotFound(subject.into())),
            false => Ok(versions.iter().map(|v| v.version).collect()),
        }
    }

    pub(crate) fn version(&self, subject: &str, which: Which, deleted: bool) -> Result<Found, Error> {
        self.fresh(|state| {
            let version = pick(state, subject, which, deleted)?;
            found(state, subject, &version)
        })?
    }

    /// The schema of that id, with its type (`None`: Avro).
    pub(crate) fn by_id(&self, id: u32) -> Result<Stored, Error> {
        if let Some(stored) = self.state.read().schema(id) {
            return Ok(stored.clone());
        }
        // Another registry may have written it since.
        self.fresh(|state| state.schema(id).cloned())?.ok_or(Error::SchemaNotFound(id))
    }

    pub(crate) fn places_of(&self, id: u32, deleted: bool) -> Result<Vec<(String, u32)>, Error> {
        self.fresh(|state| match state.schema(id) {
            Some(_) => Ok(state.places_of(id, deleted)),
            None => Err(Error::SchemaNotFound(id)),
        })?
    }

    /// Deletes a subject; gives its versions.
    pub(crate) fn delete_subject(&self, subject: &str, permanent: bool) -> Result<Vec<u32>, Error> {
        let mut log = self.log.lock();
        self.catch_up(&mut log)?;
        let (all, live) = {
            let state = self.state.read();
            (state.versions(subject, true), state.versions(subject, false))
        };
        let numbers = |versions: &[Version]| versions.iter().map(|v| v.version).collect::<Vec<_>>();
        match (all.last(), live.is_empty(), permanent) {
            (None, ..) => Err(Error::SubjectNotFound(subject.into())),
            (Some(_), true, false) => Err(Error::SubjectSoftDeleted(subject.into())),
            (Some(_), false, true) => Err(Error::SubjectNotSoftDeleted(subject.into())),
            (Some(_), true, true) => {
                for version in numbers(&all) {
                    self.write(&mut log, &Change::Purge { subject: subject.into(), version })?;
                }
                Ok(numbers(&all))
            }
            (Some(last), false, false) => {
                let change = Change::DeleteSubject { subject: subject.into(), version: last.version };
                self.write(&mut log, &change)?;
                Ok(numbers(&live))
            }
        }
    }

    /// Deletes a version; gives its number.
    pub(crate) fn delete_version(&self, subject: &str, which: Which, permanent: bool) -> Result<u32, Error> {
        let mut log = self.log.lock();
        self.catch_up(&mut log)?;
        let (version, found) = {
            let state = self.state.read();
            let version = pick(&state, subject, which, permanent)?;
            let found = found(&state, subject, &version)?;
            (version, found)
        };
        let number = version.version;
        let change = match permanent {
            true if !version.deleted => {
                return Err(Error::VersionNotSoftDeleted(subject.into(), number.into()));
            }
            true => Change::Purge { subject: subject.into(), version: number },
            false => Change::Schema(SchemaValue {
                subject: subject.into(),
                version: number,
                id: found.id,
                schema_type: found.schema_type,
                schema: found.text.to_string(),
                deleted: true,
            }),
        };
        self.write(&mut log, &change)?;
        Ok(number)
    }

    /// The level set for a subject (`None`: for all); with `or_global`, the one that holds.
    pub(crate) fn level(&self, subject: Option<&str>, or_global: bool) -> Result<Level, Error> {
        self.fresh(|state| match (subject, state.own_level(subject)) {
            (_, Some(level)) => Ok(level),
            (Some(subject), None) if !or_global => Err(Error::NoSubjectLevel(subject.into())),
            _ => Ok(state.level(subject)),
        })?
    }

    /// Sets a level, or takes a subject's own level away; gives the one that held.
    pub(crate) fn set_level(&self, subject: Option<&str>, level: Option<Level>) -> Result<Level, Error> {
        let mut log = self.log.lock();
        self.catch_up(&mut log)?;
        let before = {
            let state = self.state.read();
            match (subject, level, state.own_level(subject)) {
                (Some(subject), None, None) => return Err(Error::NoSubjectLevel(subject.into())),
                _ => state.level(subject),
            }
        };
        self.write(&mut log, &Change::Level { subject: subject.map(str::to_owned), level })?;
        Ok(before)
    }

    /// What keeps a schema from following the versions of a subject: one of them, or as the level says.
    pub(crate) fn check(
        &self,
        subject: &str,
        which: Option<Which>,
        schema: &str,
    ) -> Result<Vec<String>, Error> {
        let (parsed, _) = parse(schema)?;
        self.fresh(|state| {
            let versions = match which {
                Some(which) => vec![pick(state, subject, which, false)?],
                None => state.versions(subject, false),
            };
            Ok(compatibility::check(&parsed, &earlier(state, &versions)?, state.level(Some(subject))))
        })?
    }

    /// Prometheus text of what there is.
    pub fn metrics(&self) -> String {
        let state = self.state.read();
        format!(
            "# HELP bd_registry_schemas Schemas by id.\n# TYPE bd_registry_schemas gauge\nbd_registry_schemas {}\n\
             # HELP bd_registry_subjects Subjects with a version.\n# TYPE bd_registry_subjects gauge\n\
             bd_registry_subjects {}\n",
            state.len(),
            state.subjects(false).len()
        )
    }
}

impl SchemaRegistry for Registry {
    fn schema(&self, id: u32) -> Result<Arc<SchemaText>, RegistryError> {
        self.by_id(id)
            .map(|stored| Arc::new(SchemaText::avro(stored.text)))
            .map_err(|e| as_client_sees("", e))
    }

    fn register(&self, subject: &str, schema: &NewSchema) -> Result<u32, RegistryError> {
        self.register_schema(subject, &schema.text).map_err(|e| as_client_sees(subject, e))
    }

    fn latest(&self, subject: &str) -> Result<Option<RegisteredSchema>, RegistryError> {
        match self.version(subject, Which::Latest, false) {
            Ok(found) => Ok(Some(RegisteredSchema {
                id: found.id,
                version: found.version,
                schema: Arc::new(SchemaText::avro(found.text)),
            })),
            Err(Error::SubjectNotFound(_) | Error::VersionNotFound(_)) => Ok(None),
            Err(error) => Err(as_client_sees(subject, error)),
        }
    }
}

fn as_client_sees(subject: &str, error: Error) -> RegistryError {
    match error {
        Error::SchemaNotFound(id) => RegistryError::UnknownId(id),
        Error::Store(reason) => RegistryError::Unavailable { at: "embedded".into(), reason },
        other => {
            RegistryError::Refused { subject: subject.into(), code: other.code(), reason: other.to_string() }
        }
    }
}

/// The schema and its text without white space.
fn parse(schema: &str) -> Result<(AvroSchema, String), Error> {
    let invalid = |reason: String| {
        let schema: String = schema.chars().take(200).collect();
        Error::InvalidSchema { schema, reason }
    };
    // A primitive type may be given as its bare name.
    let json = serde_json::from_str(schema).or_else(|e| match schema.trim() {
        name if !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase()) => Ok(name.into()),
        _ => Err(invalid(e.to_string())),
    })?;
    let parsed = AvroSchema::parse(&json).map_err(|e| invalid(e.to_string()))?;
    Ok((parsed, json.to_string()))
}

fn valid_subject(subject: &str) -> Result<(), Error> {
    let bad = subject.is_empty() || subject.chars().any(char::is_control) || subject == "__GLOBAL";
    if bad { Err(Error::InvalidSubject(subject.into())) } else { Ok(()) }
}

fn pick(state: &State, subject: &str, which: Which, deleted: bool) -> Result<Version, Error> {
    let versions = state.versions(subject, deleted);
    let Some(last) = versions.last() else { return Err(Error::SubjectNotFound(subject.into())) };
    match which {
        Which::Latest => Ok(last.clone()),
        Which::Number(n) => {
            let found = versions.iter().find(|v| v.version == n);
            found.cloned().ok_or(Error::VersionNotFound(n.into()))
        }
    }
}

fn found(state: &State, subject: &str, version: &Version) -> Result<Found, Error> {
    let Stored { text, schema_type } =
        state.schema(version.id).ok_or(Error::SchemaNotFound(version.id))?.clone();
    Ok(Found { subject: subject.into(), version: version.version, id: version.id, text, schema_type })
}

/// The Avro schemas of these versions.
fn earlier(state: &State, versions: &[Version]) -> Result<Vec<(u32, AvroSchema)>, Error> {
    versions
        .iter()
        .map(|version| {
            let stored = state.schema(version.id).ok_or(Error::SchemaNotFound(version.id))?;
            if let Some(other) = &stored.schema_type {
                return Err(Error::InvalidRequest(format!(
                    "version {} is of type {other}, which this registry does not check yet",
                    version.version
                )));
            }
            Ok((version.version, parse(&stored.text)?.0))
        })
        .collect()
}
