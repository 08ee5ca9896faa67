//! What the end-to-end tests share: a log with an engine in this process, cases loaded into it, outputs read back.

pub mod demo;
pub mod small;

use anyhow::{Context, Result, bail};
use bd_cluster::{Cluster, NewTopic, OffsetSpec, ReaderConfig, RecordsBuilder, TopicPartition, WriterConfig};
use bd_cluster_kafka::{KafkaCluster, KafkaConfig};
use bd_engine::runtime::engine::Engine;
use bd_engine::runtime::query::QueryConfig;
use bd_engine::runtime::status::QueryState;
use bd_registry::{Registry, RegistryConfig};
use bd_schema::{Codecs, NewSchema, SchemaRegistry};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tv_cases::avro::{ADS_DEAD, Encoded, Encoder, Register};
use tv_cases::{CaseError, Report, Topic};

const PATIENCE: Duration = Duration::from_secs(120);

/// The repository's root.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A log on disk below `dir`, opened as bd does.
///
/// # Errors
/// The broker's.
pub fn open_cluster(dir: &Path) -> Result<Arc<dyn Cluster>> {
    let broker = bd_broker::Broker::open(bd_broker::BrokerConfig::new(dir))?;
    Ok(Arc::new(bd_cluster_embedded::EmbeddedCluster::new(broker)))
}

/// The same log behind its socket, over librdkafka.
///
/// # Errors
/// The broker's.
pub fn open_cluster_over_socket(dir: &Path) -> Result<Arc<dyn Cluster>> {
    let runtime = Box::leak(Box::new(tokio::runtime::Builder::new_multi_thread().enable_all().build()?));
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
    let port = listener.local_addr()?.port();
    let config = bd_broker::BrokerConfig::new(dir);
    let advertised = bd_broker::Endpoint { host: "127.0.0.1".into(), port };
    let listening = bd_broker::server::ListenerConfig::plaintext(advertised);
    let broker = {
        let _in_runtime = runtime.enter();
        bd_broker::Broker::open(config)?
    };
    runtime.spawn(bd_broker::server::serve(broker, listener, listening, std::future::pending()));
    Ok(Arc::new(KafkaCluster::connect(KafkaConfig::new(format!("127.0.0.1:{port}")))?))
}

/// The statements of the digital-TV case, file by file.
///
/// # Errors
/// A file that cannot be read.
pub fn tv_sql() -> Result<Vec<String>> {
    let folder = root().join("demo/tv/sql");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&folder)?.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>()?;
    files.sort();
    files.iter().map(|f| std::fs::read_to_string(f).with_context(|| f.display().to_string())).collect()
}

/// Records of a batch as [`load`] writes them: few, so that a run has many points at which it can be cut.
const BATCH: usize = 20;

/// The registry that keeps its schemas on this log.
///
/// # Errors
/// The cluster's.
pub fn registry(cluster: &Arc<dyn Cluster>) -> Result<Arc<Registry>> {
    Ok(Arc::new(Registry::open(cluster.clone(), &RegistryConfig::default())?))
}

/// The formats of an engine over this log.
///
/// # Errors
/// The cluster's.
pub fn codecs(cluster: &Arc<dyn Cluster>) -> Result<Codecs> {
    let registry: Arc<dyn SchemaRegistry> = registry(cluster)?;
    Ok(Codecs::new(Some(registry)))
}

struct Embedded(Arc<Registry>);

impl Register for Embedded {
    fn register(&mut self, subject: &str, schema: &str) -> Result<u32, CaseError> {
        self.0
            .register(subject, &NewSchema::avro(schema))
            .map_err(|e| CaseError::Registry { url: "the embedded registry".into(), reason: e.to_string() })
    }
}

/// Writes the inputs of a case into topics with `partitions` partitions, topic by topic in this order.
///
/// # Errors
/// The cluster's, or a file that cannot be read.
pub fn load(cluster: &Arc<dyn Cluster>, case: &Path, order: &[Topic], partitions: i32) -> Result<()> {
    let mut encoder = Encoder::new(Embedded(registry(cluster)?));
    let mut writer = cluster.open_writer(WriterConfig::default())?;
    if order.contains(&Topic::Ads) {
        cluster.create_topic(&NewTopic::new(ADS_DEAD, 1))?;
    }
    for topic in order {
        // A table's rows of one key lie in one partition all the same.
        cluster.create_topic(&NewTopic::new(topic.name(), partitions))?;
        let mut builders: BTreeMap<usize, RecordsBuilder> = BTreeMap::new();
        for record in tv_cases::records(case, *topic)? {
            let record = match encoder.encode(record?)? {
                Encoded::Record(record) => record,
                Encoded::Dead(record) => {
                    let mut dead = RecordsBuilder::new();
                    dead.push(None, Some(&record.value), 0, &[]);
                    writer.append(&TopicPartition::new(ADS_DEAD, 0), dead)?;
                    continue;
                }
            };
            let partition = record.partition(partitions as usize);
            let builder = builders.entry(partition).or_default();
            builder.push(record.key.as_deref(), Some(&record.value), 0, &[]);
            if builder.len() == BATCH {
                let records = builder.take();
                writer.append(&TopicPartition::new(topic.name(), partition as i32), records)?;
            }
        }
        for (partition, records) in builders.into_iter().filter(|(_, b)| !b.is_empty()) {
            writer.append(&TopicPartition::new(topic.name(), partition as i32), records)?;
        }
    }
    Ok(writer.flush(PATIENCE)?)
}

/// Starts the case's queries over the cluster, drains them and stops the engine.
///
/// # Errors
/// A query that fails, or does not end in time.
pub fn run_and_drain(cluster: Arc<dyn Cluster>, config: QueryConfig) -> Result<()> {
    let config = QueryConfig { codecs: codecs(&cluster)?, ..config };
    let engine = Engine::open(cluster, config)?;
    for file in tv_sql()? {
        engine.ensure(&file)?;
    }
    engine.drain()?;
    wait_completed(&engine)?;
    engine.close();
    Ok(())
}

/// Waits until all queries are completed.
///
/// # Errors
/// A query that fails, or does not end in time.
pub fn wait_completed(engine: &Engine) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let queries = engine.queries();
        for query in &queries {
            if let QueryState::Error(error) = query.status.state() {
                bail!("query {}: {error}", query.status.id);
            }
        }
        let Some(open) = queries.iter().find(|q| q.status.state() != QueryState::Completed) else {
            return Ok(());
        };
        if Instant::now() > deadline {
            bail!("query {} is {} after {PATIENCE:?}", open.status.id, open.status.state());
        }
        open.status.wait_change(Duration::from_millis(20));
    }
}

/// A record's key and value.
pub type KeyAndValue = (Option<Vec<u8>>, Option<Vec<u8>>);

/// All records of a topic as read_committed readers see them: key and value.
///
/// # Errors
/// The cluster's, or a reader that does not come to the end.
pub fn read_topic(cluster: &dyn Cluster, topic: &str) -> Result<Vec<KeyAndValue>> {
    let info = cluster.topic(topic)?.with_context(|| format!("no topic {topic}"))?;
    let mut reader = cluster.open_reader(ReaderConfig::default())?;
    let mut ends = BTreeMap::new();
    for p in 0..info.partitions {
        let tp = TopicPartition::new(topic, p);
        reader.assign(&tp, cluster.offset(&tp, OffsetSpec::Earliest)?)?;
        ends.insert(tp.clone(), cluster.offset(&tp, OffsetSpec::Latest)?);
    }
    let mut rows = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    while ends.iter().any(|(tp, end)| reader.position(tp).unwrap_or(0) < *end) {
        if Instant::now() > deadline {
            bail!("a reader of {topic} never gets to its end");
        }
        if let Some(records) = reader.poll(4 << 20, Duration::from_millis(100))? {
            rows.extend(records.iter().map(|r| (r.key.map(<[u8]>::to_vec), r.value.map(<[u8]>::to_vec))));
        }
    }
    Ok(rows)
}

/// The rows of a stream's topic.
///
/// # Errors
/// As [`read_topic`]'s; a value that is not JSON.
pub fn stream_rows(cluster: &dyn Cluster, topic: &str) -> Result<Vec<Value>> {
    let rows = read_topic(cluster, topic)?;
    rows.iter().map(|(_, v)| Ok(serde_json::from_slice(v.as_deref().unwrap_or_default())?)).collect()
}

/// The rows of a table's topic as they are now.
///
/// # Errors
/// As [`read_topic`]'s; a value that is not JSON.
pub fn table_rows(cluster: &dyn Cluster, topic: &str) -> Result<Vec<Value>> {
    let mut rows = BTreeMap::new();
    for (key, value) in read_topic(cluster, topic)? {
        match value {
            Some(value) => rows.insert(key, value),
            None => rows.remove(&key),
        };
    }
    rows.values().map(|v| Ok(serde_json::from_slice(v)?)).collect()
}

/// Compares all outputs of a case with what it expects, and says what differs.
///
/// # Errors
/// The differences.
pub fn check_outputs(cluster: &dyn Cluster, case: &Path) -> Result<()> {
    let outputs = [
        ("sessions", "expected_sessions.jsonl", false),
        ("show_views", "expected_show_views.jsonl", false),
        ("ad_views", "expected_ad_views.jsonl", false),
        ("shows", "expected_shows_schedule.jsonl", true),
    ];
    let mut wrong = Vec::new();
    for (topic, file, is_table) in outputs {
        let got = if is_table { table_rows(cluster, topic)? } else { stream_rows(cluster, topic)? };
        let report: Report = tv_cases::compare(tv_cases::read_rows(&case.join(file))?, got);
        if !report.is_equal() {
            wrong.push(format!("{topic}: {report}"));
        }
    }
    if !wrong.is_empty() {
        bail!("case {}:\n{}", case.display(), wrong.join("\n"));
    }
    Ok(())
}

/// The number of records in a topic.
///
/// # Errors
/// As [`read_topic`]'s.
pub fn count(cluster: &dyn Cluster, topic: &str) -> Result<usize> {
    Ok(read_topic(cluster, topic)?.len())
}

/// The `bd` binary of this build, built if need be.
///
/// # Errors
/// A build that fails.
pub fn bd_binary() -> Result<PathBuf> {
    Ok(binaries()?.join("bd"))
}

/// The `tv-cases` binary of this build, built if need be.
///
/// # Errors
/// A build that fails.
pub fn cases_binary() -> Result<PathBuf> {
    Ok(binaries()?.join("tv-cases"))
}

/// The `tv-world` binary of this build, built if need be.
///
/// # Errors
/// A build that fails.
pub fn world_binary() -> Result<PathBuf> {
    Ok(binaries()?.join("tv-world"))
}

fn binaries() -> Result<PathBuf> {
    static BUILT: std::sync::OnceLock<std::result::Result<PathBuf, String>> = std::sync::OnceLock::new();
    let build = || -> Result<PathBuf> {
        // .../debug/deps/crash-0123 -> .../debug
        let test = std::env::current_exe()?;
        let folder = test.parent().and_then(Path::parent).context("where tests are built")?.to_path_buf();
        // `make test` has built them with everything else; building them alone would choose other features, and take minutes.
        if std::env::var_os("BD_TEST_BINARIES_BUILT").is_some() {
            return Ok(folder);
        }
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = std::process::Command::new(cargo);
        let status = build
            .args(["build", "-q", "-p", "bd", "-p", "tv-cases", "-p", "tv-world"])
            .current_dir(root())
            .status()?;
        if !status.success() {
            bail!("cargo build -p bd -p tv-cases -p tv-world: {status}");
        }
        Ok(folder)
    };
    let built = BUILT.get_or_init(|| build().map_err(|e| format!("{e:#}")));
    built.clone().map_err(anyhow::Error::msg)
}

/// A bd process on free ports with its own data folder, ended when dropped.
pub struct Bd {
    /// The address of its log.
    pub cluster: String,
    /// The URL of its SQL; empty where it has not this role.
    pub engine: String,
    /// The URL of its schema registry; likewise.
    pub registry: String,
    child: std::process::Child,
    _data: tempfile::TempDir,
}

impl Bd {
    /// Starts `bd up` with further arguments and waits until its last role says where it is.
    ///
    /// # Errors
    /// A process that ends, or is not ready in time.
    pub fn start(args: &[&str]) -> Result<Self> {
        use std::io::{BufRead, BufReader};
        let data = tempfile::tempdir()?;
        let mut child = std::process::Command::new(bd_binary()?)
            .args(["up", "--free-ports", "--data"])
            .arg(data.path())
            .args(args)
            .stdout(std::process::Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().context("its output")?;
        let (mut cluster, mut engine, mut registry) = (None, String::new(), String::new());
        for line in BufReader::new(stdout).lines() {
            let line = line?;
            let mut words = line.split_whitespace();
            match (words.next(), words.next()) {
                (Some("cluster"), Some(address)) => cluster = Some(address.to_string()),
                (Some("engine"), Some(address)) => engine = address.to_string(),
                (Some("registry"), Some(address)) => registry = address.to_string(),
                // The last line: a reader that leaves before it would end the process.
                (Some("metrics"), _) => break,
                _ => {}
            }
        }
        let cluster = cluster.context("bd ended before it was ready")?;
        Ok(Self { cluster, engine, registry, child, _data: data })
    }
}

impl Drop for Bd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The Python in which `make setup` has installed the client.
///
/// # Errors
/// Where there is none.
pub fn python() -> Result<PathBuf> {
    let cache = std::env::var_os("BD_CACHE").map(PathBuf::from);
    let home = std::env::var_os("HOME").map(|h| PathBuf::from(h).join(".cache/bd"));
    let python = cache.or(home).context("neither BD_CACHE nor HOME is set")?.join("venv/bin/python");
    if !python.exists() {
        bail!("{} is not there: run `make setup`", python.display());
    }
    Ok(python)
}
