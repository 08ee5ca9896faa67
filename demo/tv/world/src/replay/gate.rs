//! What has to be so before the replay goes on; the error says what is missing.

use crate::bd::{Bd, Connector};
use crate::rest;
use crate::users::Row;
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A query that has read nothing for so long has read all that is there.
const QUIET: Duration = Duration::from_millis(400);

/// What the sources hold.
pub(super) struct Gate {
    pub(super) bd: Bd,
    /// The rows in MariaDB.
    pub(super) users: Vec<Row>,
    /// How many shows there are.
    pub(super) shows: usize,
    /// Lines.
    pub(super) actions: u64,
    /// Lines.
    pub(super) ads: u64,
    /// The size of the file of ads.
    pub(super) ads_bytes: u64,
    /// Lines.
    pub(super) places: usize,
}

impl Gate {
    /// The tables `users` and `shows` have no lag: their rows are all there, and the queries that look things up in them have read
    /// all of it.
    pub(super) fn tables(&self) -> Result<()> {
        let rows = self.bd.rows("SELECT user_id, name, age, gender FROM users;")?;
        let there: BTreeMap<i64, &Value> =
            rows.iter().filter_map(|row| Some((row.get(0)?.as_i64()?, row))).collect();
        let same = |row: &&Row| there.get(&row.id) == Some(&&json!([row.id, row.name, row.age, row.gender]));
        let users = self.users.iter().filter(same).count();
        if users < self.users.len() || there.len() > users {
            let states = self.failures()?;
            bail!("{users} of {} users are in the table{states}", self.users.len());
        }
        let shows = self.bd.rows("SELECT program_id FROM shows;")?.len();
        if shows != self.shows {
            let states = self.failures()?;
            bail!("{shows} of {} shows are in the table{states}", self.shows);
        }
        let mut readers = BTreeSet::new();
        for table in ["users", "shows"] {
            for (query, state) in self.bd.readers(table)? {
                if state != "RUNNING" && state != "COMPLETED" {
                    bail!("the query {query} is {state}");
                }
                readers.insert(query);
            }
        }
        let read = || -> Result<BTreeMap<String, String>> {
            Ok(self.bd.records_in()?.into_iter().filter(|(query, _)| readers.contains(query)).collect())
        };
        let before = read()?;
        std::thread::sleep(QUIET);
        if read()? != before {
            bail!("the queries that look up users and shows are still reading them");
        }
        Ok(())
    }

    /// How many actions bd's connector has committed.
    pub(super) fn messages(&self) -> Result<u64> {
        let connector = self.source("mqtt", None)?;
        Ok(total(&self.bd.offsets(&connector.name)?, "messages"))
    }

    /// All sources have their rows in their topics. `sent`: how many actions the broker has.
    pub(super) fn sources(&self, sent: u64) -> Result<()> {
        let messages = self.messages()?;
        let mut states = vec![format!("actions {messages} of {} ({sent} sent)", self.actions)];
        let mut all = messages >= self.actions;
        if self.ads > 0 {
            let connector = self.source("file", Some("ads"))?;
            let offsets = self.bd.offsets(&connector.name)?;
            // A file that may grow is never done.
            all &= offsets.iter().any(|(_, offset)| {
                offset.get("done").and_then(Value::as_bool) == Some(true)
                    || offset.get("position").and_then(Value::as_u64).is_some_and(|at| at >= self.ads_bytes)
            });
            states.push(format!("ads {} of {}", total(&offsets, "rows"), self.ads));
        }
        if self.places > 0 {
            let connector = self.source("http", None)?;
            let offsets = self.bd.offsets(&connector.name)?;
            let end = rest::cursor(self.places);
            all &= offsets.iter().any(|(_, offset)| holds(offset, &end));
            states.push(format!("places {} of {}", total(&offsets, "records"), self.places));
        }
        if all { Ok(()) } else { bail!("{} are in their topics{}", states.join(", "), self.failures()?) }
    }

    /// The connector of a kind that reads one of our sources.
    fn source(&self, kind: &str, what: Option<&str>) -> Result<Connector> {
        let mut connectors = self.bd.connectors()?.into_iter();
        let fits = |c: &Connector| c.is(kind) && !c.is("sink") && what.is_none_or(|what| c.fills(what));
        connectors.find(fits).with_context(|| format!("bd has no {kind} connector"))
    }

    /// The connectors that failed, for a message.
    fn failures(&self) -> Result<String> {
        let failed = self.bd.connectors()?.into_iter().filter(|c| c.state == "FAILED");
        let text = |c: Connector| {
            format!("; connector {} FAILED: {}", c.name, c.trace.lines().next().unwrap_or_default())
        };
        Ok(failed.map(text).collect())
    }
}

/// The sum of a number over all offsets.
fn total(offsets: &[(Value, Value)], field: &str) -> u64 {
    offsets.iter().filter_map(|(_, offset)| offset.get(field)?.as_u64()).sum()
}

/// Whether a text is anywhere in an offset.
fn holds(offset: &Value, text: &str) -> bool {
    match offset {
        Value::String(there) => there == text,
        Value::Object(fields) => fields.values().any(|value| holds(value, text)),
        Value::Array(items) => items.iter().any(|value| holds(value, text)),
        _ => false,
    }
}
