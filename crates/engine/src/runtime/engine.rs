//! The engine: the catalog, kept in the log, and the queries that run.
//!
//! Statements that change something are records of the internal topic [`COMMANDS`]; at its start an engine applies them in order and
//! starts the queries. One engine at a time writes a command topic.

use super::inference::inferred;
use super::input::check_formats;
use super::insert::insert;
use super::janitor;
use super::plans::sources_of;
use super::pull::Tables;
use super::push::Push;
use super::query::{QueryConfig, QueryContext, RejectsOf, changelog_topic, ensure_topic};
use super::state::{Command, Inner};
use super::status::{QueryState, QueryStatus};
use super::supervise::{spawn, supervise};
use super::watermarks;
use crate::error::EngineError;
use bd_cluster::{Cluster, ClusterError, NewTopic, OffsetSpec, ReaderConfig, TopicPartition, WriterConfig};
use bd_schema::{Field, Row};
use bd_sql::catalog::{Catalog, SourceDef, SourceKind};
use bd_sql::plan::{Plan, Statement};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// The internal topic of statements.
pub const COMMANDS: &str = "_bd_commands";
pub(super) const ACK_WAIT: Duration = Duration::from_secs(60);

/// A persistent query.
#[derive(Clone)]
pub struct Query {
    /// State, counters.
    pub status: Arc<QueryStatus>,
    /// What it fills.
    pub sink: Arc<SourceDef>,
    /// What it does.
    pub plan: Arc<Plan>,
    pub(super) rejects_of: Vec<RejectsOf>,
    pub(super) thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

/// What a statement gave.
pub enum Outcome {
    /// It was done.
    Done {
        /// What was done.
        message: String,
        /// The query that it started.
        query: Option<String>,
    },
    /// A list.
    Listing {
        /// The columns' names.
        columns: Vec<&'static str>,
        /// One string a cell.
        rows: Vec<Vec<String>>,
    },
    /// A plan or a description.
    Text(String),
    /// The rows of a pull query.
    Rows {
        /// The columns.
        columns: Vec<Field>,
        /// The rows.
        rows: Vec<Row>,
    },
    /// A push query at work.
    Push(Push),
}

/// See the module's documentation. Cheap to clone; all clones are one engine.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

struct Shared {
    cluster: Arc<dyn Cluster>,
    config: QueryConfig,
    inner: Mutex<Inner>,
    tables: Tables,
    janitor: Arc<janitor::Stop>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.janitor.stop();
    }
}

impl Engine {
    /// Reads the commands and starts their queries.
    ///
    /// # Errors
    /// The cluster's; a command that can no longer be applied.
    pub fn open(cluster: Arc<dyn Cluster>, config: QueryConfig) -> Result<Self, EngineError> {
        let keep = |topic: &str| NewTopic::new(topic, 1).with("retention.ms", "-1");
        ensure_topic(cluster.as_ref(), keep(COMMANDS))?;
        ensure_topic(cluster.as_ref(), keep(watermarks::TOPIC).with("cleanup.policy", "compact"))?;
        let client_id = "bd-engine".to_string();
        let writer = cluster.open_writer(WriterConfig { client_id, ..WriterConfig::default() })?;
        let inner = Inner {
            catalog: Catalog::default(),
            queries: BTreeMap::new(),
            next: 0,
            writer,
            former: HashMap::new(),
            closed: false,
        };
        let tables = Tables::new(cluster.clone(), config.codecs.clone());
        let janitor = Arc::new(janitor::Stop::default());
        let of_thread = (cluster.clone(), janitor.clone());
        spawn("bd-janitor", move || janitor::run(&of_thread.0, &of_thread.1))?;
        let shared = Shared { cluster, config, inner: Mutex::new(inner), tables, janitor };
        let engine = Self { shared: Arc::new(shared) };
        engine.replay()?;
        Ok(engine)
    }

    fn replay(&self) -> Result<(), EngineError> {
        let shared = &self.shared;
        let commands = TopicPartition::new(COMMANDS, 0);
        let mut position = shared.cluster.offset(&commands, OffsetSpec::Earliest)?;
        let end = shared.cluster.offset(&commands, OffsetSpec::Stable)?;
        let mut reader = shared.cluster.open_reader(ReaderConfig::default())?;
        reader.assign(&commands, position)?;
        let mut inner = shared.inner.lock();
        while position < end {
            let Some(records) = reader.poll(1 << 20, Duration::from_secs(5))? else { continue };
            for record in records.iter() {
                let corrupt = |reason: String| EngineError::Corrupt {
                    what: format!("{COMMANDS} at offset {}", record.offset),
                    reason,
                };
                let command = serde_json::from_slice(record.value.unwrap_or_default());
                let command: Command = command.map_err(|e| corrupt(e.to_string()))?;
                inner.apply(&command).map_err(|e| corrupt(e.to_string()))?;
                inner.next += 1;
            }
            position = records.next_offset;
        }
        let ids: Vec<u64> = inner.queries.keys().copied().collect();
        for id in ids {
            self.start(&mut inner, id);
        }
        Ok(())
    }

    /// Carries out all statements of `text`, in order, up to the first that fails.
    ///
    /// # Errors
    /// With line, column and a hint where the text is wrong.
    pub fn execute(&self, text: &str, from_beginning: bool) -> Result<Vec<Outcome>, EngineError> {
        let statements = bd_sql::parse(text).map_err(|e| EngineError::Sql(e.to_string()))?;
        statements.iter().map(|s| self.execute_one(s, from_beginning)).collect()
    }

    /// As [`Engine::execute`], but a CREATE that is there already in the same words is left as it is: what a pipeline's files do at
    /// every start.
    ///
    /// # Errors
    /// As [`Engine::execute`]'s; a source of that name that was created in other words.
    pub fn ensure(&self, text: &str) -> Result<Vec<Outcome>, EngineError> {
        let statements = bd_sql::parse(text).map_err(|e| EngineError::Sql(e.to_string()))?;
        let mut outcomes = Vec::new();
        for statement in &statements {
            let there =
                created(statement).and_then(|name| self.shared.inner.lock().catalog.get(name).cloned());
            match there {
                Some(def) if same_words(&def.sql, &statement.text) => outcomes.push(Outcome::Done {
                    message: format!("{} is there already", def.name),
                    query: def.query.clone(),
                }),
                Some(def) => {
                    return Err(EngineError::Statement(format!(
                        "{} is there already, created by another statement:\n{}\nDROP it first, or give the new one another name",
                        def.name, def.sql
                    )));
                }
                None => outcomes.push(self.execute_one(statement, true)?),
            }
        }
        Ok(outcomes)
    }

    fn execute_one(
        &self,
        parsed: &bd_sql::ParsedStatement,
        from_beginning: bool,
    ) -> Result<Outcome, EngineError> {
        // Asked for without the lock: the registry may take its time.
        let with_columns = inferred(parsed, &self.shared.config.codecs)?;
        let mut inner = self.shared.inner.lock();
        if inner.closed {
            return Err(EngineError::Statement("the engine is closed".into()));
        }
        let statement = bd_sql::analyze(with_columns.as_ref().unwrap_or(parsed), &inner.catalog)
            .map_err(|e| EngineError::Sql(e.to_string()))?;
        let text = parsed.text.trim().to_string();
        match statement {
            Statement::CreateSource { exists: true, def, .. }
            | Statement::CreateAs { exists: true, def, .. } => {
                Ok(Outcome::Done { message: format!("{} is there already", def.name), query: None })
            }
            Statement::CreateSource { def, partitions, .. } => {
                check_formats(&def, &self.shared.config.codecs)?;
                self.create_topic(&def, partitions, 1)?;
                let message = format!("{} created", kind_name(&def));
                let inferred = with_columns.map(|statement| statement.text);
                inner.record(Command::Statement { text, query: None, inferred })?;
                Ok(Outcome::Done { message, query: None })
            }
            Statement::CreateAs { def, plan, partitions, .. } => {
                let of_source = self.source_partitions(&plan)?;
                // Fails before anything is there.
                check_formats(&def, &self.shared.config.codecs)?;
                super::chain::Chain::new(&plan)?;
                if let Some(other) = inner.queries.values().find(|q| q.sink.topic == def.topic) {
                    return Err(EngineError::Statement(format!(
                        "Topic {} is written by query {} already: name another one in kafka_topic",
                        def.topic, other.status.id
                    )));
                }
                self.create_topic(&def, partitions, of_source)?;
                let number = inner.next;
                let prefix = if def.kind == SourceKind::Stream { "CSAS" } else { "CTAS" };
                let id = format!("{prefix}_{}_{number}", def.name.to_ascii_uppercase());
                inner.record(Command::Statement { text, query: Some(id.clone()), inferred: None })?;
                self.start(&mut inner, number);
                Ok(Outcome::Done { message: format!("Created query with ID {id}"), query: Some(id) })
            }
            Statement::InsertValues { source, values } => {
                let (cluster, codecs) = (self.shared.cluster.as_ref(), &self.shared.config.codecs);
                insert(inner.writer.as_mut(), cluster, codecs, &source, &values)?;
                Ok(Outcome::Done { message: String::new(), query: None })
            }
            Statement::Drop { name: None, .. } => {
                Ok(Outcome::Done { message: "There is no such source; nothing to do".into(), query: None })
            }
            Statement::Drop { name: Some(name), delete_topic } => {
                self.drop_source(&mut inner, text, &name, delete_topic)
            }
            Statement::Terminate { query } => {
                if !inner.queries.values().any(|q| q.status.id.eq_ignore_ascii_case(&query)) {
                    return Err(EngineError::Statement(format!("Unknown queryId: {query}")));
                }
                let stopped = inner.record(Command::Statement { text, query: None, inferred: None })?;
                self.settle(&mut inner, stopped)?;
                Ok(Outcome::Done { message: "Query terminated.".into(), query: None })
            }
            Statement::Show(show) => {
                super::listing::show(show, &inner.catalog, &inner.list(), self.shared.cluster.as_ref())
            }
            Statement::Describe { source, extended } => {
                super::listing::describe(&source, extended, &inner.list(), self.shared.cluster.as_ref())
            }
            Statement::Explain { plan: Some(plan), .. } => Ok(Outcome::Text(plan.to_string())),
            Statement::Explain { query, .. } => {
                let id = query.unwrap_or_default();
                let query = inner.queries.values().find(|q| q.status.id.eq_ignore_ascii_case(&id));
                let query = query.ok_or_else(|| EngineError::Statement(format!("Unknown queryId: {id}")))?;
                Ok(Outcome::Text(format!("{}\n\n{}", query.sink.sql, query.plan)))
            }
            Statement::Push { plan, limit } => {
                let producers = inner.producers_of(&plan);
                drop(inner);
                let (cluster, config) = (self.shared.cluster.clone(), self.shared.config.clone());
                let push = Push::start(cluster, config, plan, limit, producers, from_beginning)?;
                Ok(Outcome::Push(push))
            }
            Statement::Pull { plan, order, limit } => {
                drop(inner);
                let columns = plan.columns.clone();
                let rows = self.shared.tables.pull(&plan, &order, limit)?;
                Ok(Outcome::Rows { columns, rows })
            }
        }
    }

    fn create_topic(
        &self,
        def: &SourceDef,
        partitions: Option<i32>,
        default: i32,
    ) -> Result<(), EngineError> {
        let cluster = &self.shared.cluster;
        if let Some(info) = cluster.topic(&def.topic)? {
            return match partitions {
                Some(wanted) if wanted != info.partitions => Err(EngineError::Statement(format!(
                    "A Kafka topic with the name '{}' already exists, with different partition/replica configuration than \
                     required. It has {} partitions, the statement says {wanted}: leave `partitions` out to use it as it is",
                    def.topic, info.partitions
                ))),
                _ => Ok(()),
            };
        }
        let mut topic = NewTopic::new(&def.topic, partitions.unwrap_or(default));
        if def.kind == SourceKind::Table {
            topic = topic.with("cleanup.policy", "compact");
        }
        ensure_topic(cluster.as_ref(), topic)
    }

    /// The number of partitions of the plan's first source: what the output's topic gets by default.
    fn source_partitions(&self, plan: &Plan) -> Result<i32, EngineError> {
        let Some(source) = sources_of(plan).into_iter().next() else { return Ok(1) };
        Ok(self.shared.cluster.topic(&source.topic)?.map_or(1, |t| t.partitions))
    }

    fn drop_source(
        &self,
        inner: &mut Inner,
        text: String,
        name: &str,
        delete_topic: bool,
    ) -> Result<Outcome, EngineError> {
        let def = inner.catalog.get(name).cloned();
        let def = def.ok_or_else(|| EngineError::Statement(format!("Source {name} does not exist.")))?;
        let readers: Vec<String> = inner
            .queries
            .values()
            .filter(|q| sources_of(&q.plan).iter().any(|s| s.name.eq_ignore_ascii_case(name)))
            .map(|q| q.status.id.clone())
            .collect();
        if !readers.is_empty() {
            return Err(EngineError::Statement(format!(
                "Cannot drop {}.\nThe following queries read from this source: [{}].\nYou need to terminate them before dropping {}.",
                def.name,
                readers.join(", "),
                def.name
            )));
        }
        let stopped = inner.record(Command::Statement { text, query: None, inferred: None })?;
        self.settle(inner, stopped)?;
        self.shared.tables.forget(&def.name);
        if delete_topic {
            match self.shared.cluster.delete_topic(&def.topic) {
                Ok(()) | Err(ClusterError::UnknownTopic(_)) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(Outcome::Done {
            message: format!("Source `{}` (topic: {}) was dropped.", def.name, def.topic),
            query: None,
        })
    }

    /// After queries were taken out: waits for their threads, deletes their state, and lets others take over their rejects.
    fn settle(&self, inner: &mut Inner, stopped: Vec<Query>) -> Result<(), EngineError> {
        for query in stopped {
            query.join();
            // What it has written is all there will be: nobody waits for more.
            query.status.set_loaded();
            match self.shared.cluster.delete_topic(&changelog_topic(&query.status.id)) {
                Ok(()) | Err(ClusterError::UnknownTopic(_)) => {}
                Err(e) => return Err(e.into()),
            }
            let heirs: Vec<u64> = inner
                .queries
                .iter()
                .filter(|(_, q)| q.inherits(&query.rejects_of))
                .map(|(number, _)| *number)
                .collect();
            for number in heirs {
                if let Some(heir) = inner.queries.get(&number) {
                    heir.status.stop();
                    heir.join();
                    heir.status.restart();
                }
                self.start(inner, number);
            }
        }
        Ok(())
    }

    /// Starts (or starts again) the thread of a query.
    fn start(&self, inner: &mut Inner, number: u64) {
        if inner.closed {
            return;
        }
        let rejects_of = inner.rejects_for(number);
        let Some(query) = inner.queries.get_mut(&number) else { return };
        query.rejects_of = rejects_of.clone();
        let query = query.clone();
        let context = Arc::new(QueryContext {
            cluster: self.shared.cluster.clone(),
            config: self.shared.config.clone(),
            plan: (*query.plan).clone(),
            status: query.status.clone(),
            producers: inner.producers_of(&query.plan),
            feeders: inner.feeders_of(&query.plan),
            rejects_of,
        });
        let sink = query.sink.clone();
        let status = query.status.clone();
        match spawn(&status.id.clone(), move || supervise(&context, &sink)) {
            Ok(thread) => *query.thread.lock() = Some(thread),
            Err(e) => status.set_state(QueryState::Error(e.to_string())),
        }
    }

    /// Ends every query that is not drained yet at the ends that the topics have now (those that a query writes: where that query
    /// ends). Calling it again changes nothing.
    ///
    /// # Errors
    /// The cluster's.
    pub fn drain(&self) -> Result<(), EngineError> {
        let mut inner = self.shared.inner.lock();
        if inner.queries.values().all(|q| q.status.drain().is_some()) {
            return Ok(());
        }
        // A topic whose query was terminated ends as one that none ever wrote.
        let writers: HashSet<String> = inner.queries.values().map(|q| q.status.id.clone()).collect();
        let mut ends = BTreeMap::new();
        let topics: HashSet<String> = inner
            .queries
            .values()
            .flat_map(|q| sources_of(&q.plan))
            .filter(|s| !s.query.as_ref().is_some_and(|id| writers.contains(id)))
            .map(|s| s.topic.clone())
            .collect();
        for topic in topics {
            let partitions = self.shared.cluster.topic(&topic)?.map_or(0, |t| t.partitions);
            let of_topic = (0..partitions)
                .map(|p| {
                    self.shared.cluster.offset(&TopicPartition::new(topic.as_str(), p), OffsetSpec::Stable)
                })
                .collect::<Result<Vec<_>, _>>()?;
            ends.insert(topic, of_topic);
        }
        inner.record(Command::Drain { ends })?;
        Ok(())
    }

    /// All persistent queries, oldest first.
    pub fn queries(&self) -> Vec<Query> {
        self.shared.inner.lock().list()
    }

    /// The declared streams and tables.
    pub fn catalog(&self) -> Catalog {
        self.shared.inner.lock().catalog.clone()
    }

    /// Stops all queries after their last barrier, and waits for them. Statements are refused from then on.
    pub fn close(&self) {
        self.shared.janitor.stop();
        let queries = {
            let mut inner = self.shared.inner.lock();
            inner.closed = true;
            inner.list()
        };
        queries.iter().for_each(|q| q.status.stop());
        queries.iter().for_each(Query::join);
    }
}

impl Query {
    fn join(&self) {
        let thread = self.thread.lock().take();
        if thread.is_some_and(|t| t.join().is_err()) {
            self.status.set_state(QueryState::Error("its thread ended by a panic".into()));
        }
    }

    fn inherits(&self, rejects: &[RejectsOf]) -> bool {
        let is_of = |s: &SourceDef| rejects.iter().any(|r| r.source.eq_ignore_ascii_case(&s.name));
        sources_of(&self.plan).iter().any(|s| is_of(s))
    }
}

fn kind_name(def: &SourceDef) -> &'static str {
    match def.kind {
        SourceKind::Stream => "Stream",
        SourceKind::Table => "Table",
    }
}

/// The name of the source that a statement creates.
fn created(statement: &bd_sql::ParsedStatement) -> Option<&str> {
    match &statement.ast {
        bd_sql::ast::Statement::Create(create) => Some(&create.name.name),
        _ => None,
    }
}

/// Statements are the same when only white space differs.
fn same_words(a: &str, b: &str) -> bool {
    let words = |s: &str| s.trim().trim_end_matches(';').split_whitespace().collect::<Vec<_>>().join(" ");
    words(a) == words(b)
}
