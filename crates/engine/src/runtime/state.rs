//! What an engine knows: the catalog and the queries, as the commands in the log make them.

use super::engine::{ACK_WAIT, COMMANDS, Query};
use super::plans::{driving_sources, lookup_sources, sources_of};
use super::query::RejectsOf;
use super::status::{DrainEnds, QueryStatus};
use crate::error::EngineError;
use bd_cluster::{RecordsBuilder, TopicPartition, Writer};
use bd_sql::catalog::{Catalog, SourceDef};
use bd_sql::plan::{Plan, Statement};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// A record of [`COMMANDS`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Command {
    /// A statement that changes the catalog; `query` is the id of the query that it starts, `inferred` the statement with the
    /// columns that the registry had for it.
    Statement {
        text: String,
        query: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        inferred: Option<String>,
    },
    /// End all queries that are there (and not drained yet) at these offsets, by topic and partition.
    Drain { ends: BTreeMap<String, Vec<i64>> },
}

/// The catalog, the queries and the writer of commands.
pub(super) struct Inner {
    pub(super) catalog: Catalog,
    pub(super) queries: BTreeMap<u64, Query>,
    /// The number of the next command.
    pub(super) next: u64,
    pub(super) writer: Box<dyn Writer>,
    /// By source (lower case): the queries, gone now, that wrote its dead and late records.
    pub(super) former: HashMap<String, Vec<String>>,
    /// The engine is closed: nothing starts any more.
    pub(super) closed: bool,
}

impl Inner {
    pub(super) fn list(&self) -> Vec<Query> {
        self.queries.values().cloned().collect()
    }

    /// Appends a command and applies it; gives the queries that it took out.
    pub(super) fn record(&mut self, command: Command) -> Result<Vec<Query>, EngineError> {
        let value = serde_json::to_vec(&command)
            .map_err(|e| EngineError::Corrupt { what: COMMANDS.into(), reason: e.to_string() })?;
        let mut records = RecordsBuilder::new();
        let key = self.next.to_string();
        records.push(Some(key.as_bytes()), Some(&value), now_ms(), &[]);
        self.writer.append(&TopicPartition::new(COMMANDS, 0), records)?.wait(ACK_WAIT)?;
        let stopped = self.apply(&command)?;
        self.next += 1;
        Ok(stopped)
    }

    /// What a command does to the catalog and the list of queries. The same at its first time and in a replay.
    pub(super) fn apply(&mut self, command: &Command) -> Result<Vec<Query>, EngineError> {
        let (text, query, inferred) = match command {
            Command::Drain { ends } => {
                let each = ends.iter().flat_map(|(topic, ends)| {
                    ends.iter()
                        .enumerate()
                        .map(|(p, end)| (TopicPartition::new(topic.as_str(), p as i32), *end))
                });
                let ends: DrainEnds = Arc::new(each.collect());
                self.queries.values().for_each(|q| q.status.set_drain(ends.clone()));
                return Ok(Vec::new());
            }
            Command::Statement { text, query, inferred } => (text, query, inferred),
        };
        let sql_error = |e: bd_sql::SqlError| EngineError::Sql(e.to_string());
        let parsed = bd_sql::parse(inferred.as_ref().unwrap_or(text)).map_err(sql_error)?;
        for statement in &parsed {
            match bd_sql::analyze(statement, &self.catalog).map_err(sql_error)? {
                Statement::CreateSource { mut def, .. } => {
                    def.sql.clone_from(text);
                    self.catalog.insert(def);
                }
                Statement::CreateAs { mut def, plan, .. } => {
                    def.query.clone_from(query);
                    def.sql.clone_from(text);
                    let sink = self.catalog.insert(def);
                    let status = QueryStatus::new(query.clone().unwrap_or_default());
                    let (plan, thread) = (Arc::new(plan), Arc::new(Mutex::new(None)));
                    self.queries
                        .insert(self.next, Query { status, sink, plan, rejects_of: Vec::new(), thread });
                }
                Statement::Drop { name: Some(name), .. } => {
                    let def = self.catalog.remove(&name);
                    let stopped = self.take_out(def.and_then(|d| d.query.clone()).as_deref());
                    self.former.remove(&name.to_ascii_lowercase());
                    return Ok(stopped);
                }
                Statement::Terminate { query } => return Ok(self.take_out(Some(&query))),
                _ => {}
            }
        }
        Ok(Vec::new())
    }

    pub(super) fn take_out(&mut self, id: Option<&str>) -> Vec<Query> {
        let Some(id) = id else { return Vec::new() };
        let of_id = |q: &Query| q.status.id.eq_ignore_ascii_case(id);
        let numbers: Vec<u64> = self.queries.iter().filter(|(_, q)| of_id(q)).map(|(n, _)| *n).collect();
        for number in &numbers {
            let Some(own_id) = self.queries.get(number).map(|q| q.status.id.clone()) else { continue };
            for rejects in self.rejects_for(*number) {
                self.former.entry(rejects.source).or_default().push(own_id.clone());
            }
        }
        let stopped: Vec<Query> = numbers.iter().filter_map(|n| self.queries.remove(n)).collect();
        stopped.iter().for_each(|q| q.status.stop());
        stopped
    }

    /// The sources whose rejects a query writes: those that no older query reads, or that older ones read only up to the end of a
    /// drain.
    pub(super) fn rejects_for(&self, number: u64) -> Vec<RejectsOf> {
        let names = |q: &Query| -> HashSet<String> {
            let sources = sources_of(&q.plan);
            sources.iter().filter(|s| s.query.is_none()).map(|s| s.name.to_ascii_lowercase()).collect()
        };
        let Some(query) = self.queries.get(&number) else { return Vec::new() };
        let mut own = Vec::new();
        for source in names(query) {
            let older = self.queries.range(..number).filter(|(_, q)| names(q).contains(&source));
            let ended: Option<Vec<DrainEnds>> = older.map(|(_, q)| q.status.drain()).collect();
            let Some(ended) = ended else { continue };
            let former = self.former.get(&source).cloned().unwrap_or_default();
            own.push(RejectsOf { source, ended, former });
        }
        own
    }

    /// The queries that fill the tables that a plan looks rows up in.
    pub(super) fn producers_of(&self, plan: &Plan) -> Vec<Arc<QueryStatus>> {
        let mut tables = Vec::new();
        lookup_sources(plan, false, &mut tables);
        self.writers_of(&tables)
    }

    /// The queries that write what drives a plan.
    pub(super) fn feeders_of(&self, plan: &Plan) -> Vec<Arc<QueryStatus>> {
        self.writers_of(&driving_sources(plan))
    }

    fn writers_of(&self, sources: &[Arc<SourceDef>]) -> Vec<Arc<QueryStatus>> {
        let by_id: HashMap<&str, &Query> = self.queries.values().map(|q| (q.status.id.as_str(), q)).collect();
        let ids = sources.iter().filter_map(|s| s.query.as_deref());
        ids.filter_map(|id| by_id.get(id)).map(|q| q.status.clone()).collect()
    }
}

/// Processing time, ms since epoch.
pub(super) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
}
