//! The definitions of tables as of the place in the binlog: read once, changed by the DDL that the binlog holds, kept in source
//! offsets.

use super::alter::{Work, require_key, settle};
use super::config::Settings;
use super::ddl::{self, Change, Column, Statement, TableBody, TableName};
use bd_connect::sdk::{SourceOffset, SourcePartition, TaskContext, TaskError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A table's columns.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Table {
    /// In order; texts have their character set filled in.
    pub(super) columns: Vec<Column>,
    pub(super) primary_key: Vec<String>,
    /// The default of columns to come.
    pub(super) charset: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) system_versioned: bool,
}

/// What a source offset is of: a table, or a database's defaults.
type Key = (String, Option<String>);

/// All definitions.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    prefix: String,
    tables: BTreeMap<(String, String), Table>,
    /// Default character sets of databases.
    charsets: BTreeMap<String, String>,
    /// Changed since the last [`Catalog::take_changes`].
    changed: BTreeSet<Key>,
    /// JSON is LONGTEXT there.
    pub(super) mariadb: bool,
    /// The binlog tells definitions with its rows (`binlog_row_metadata=FULL`): what a statement does need not be understood.
    pub(super) described: bool,
    /// Names of databases and tables are in lower case, whatever a statement says.
    pub(super) lower_case: bool,
}

impl Catalog {
    /// As the offsets of a task have it.
    pub(super) fn load(context: &TaskContext, prefix: &str) -> Self {
        let mut catalog = Self { prefix: prefix.to_owned(), ..Self::default() };
        for (partition, offset) in &context.offsets {
            let Ok(Value::Object(partition)) = serde_json::from_str(partition) else { continue };
            let text = |key: &str| partition.get(key).and_then(Value::as_str).map(str::to_owned);
            if text("server").as_deref() != Some(prefix) {
                continue;
            }
            match (text("database"), text("table")) {
                (Some(database), Some(table)) => {
                    if let Ok(definition) = serde_json::from_value(Value::Object(offset.clone())) {
                        catalog.tables.insert((database, table), definition);
                    }
                }
                (Some(database), None) => {
                    if let Some(charset) = offset.get("charset").and_then(Value::as_str) {
                        catalog.charsets.insert(database, charset.to_owned());
                    }
                }
                _ => {}
            }
        }
        catalog
    }

    /// Forgets all, to be filled anew.
    pub(super) fn clear(&mut self) {
        self.changed.extend(self.tables.keys().map(|(d, t)| (d.clone(), Some(t.clone()))));
        self.changed.extend(self.charsets.keys().map(|d| (d.clone(), None)));
        self.tables.clear();
        self.charsets.clear();
    }

    /// A table's definition.
    pub(super) fn table(&self, database: &str, table: &str) -> Option<&Table> {
        self.tables.get(&(database.to_owned(), table.to_owned()))
    }

    /// All definitions: database, table, definition.
    pub(super) fn tables(&self) -> impl Iterator<Item = (&str, &str, &Table)> {
        self.tables
            .iter()
            .map(|((database, table), definition)| (database.as_str(), table.as_str(), definition))
    }

    /// What changed, as source offsets; `None`: it is gone.
    pub(super) fn take_changes(&mut self) -> Vec<(SourcePartition, Option<SourceOffset>)> {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().map(|key| (self.partition(&key), self.offset(&key))).collect()
    }

    /// Whether there is something to take.
    pub(super) fn has_changes(&self) -> bool {
        !self.changed.is_empty()
    }

    fn partition(&self, (database, table): &Key) -> SourcePartition {
        let mut partition = SourcePartition::new();
        partition.insert("server".to_owned(), json!(self.prefix));
        partition.insert("database".to_owned(), json!(database));
        if let Some(table) = table {
            partition.insert("table".to_owned(), json!(table));
        }
        partition
    }

    fn offset(&self, (database, table): &Key) -> Option<SourceOffset> {
        let value = match table {
            Some(table) => serde_json::to_value(self.table(database, table)?).ok()?,
            None => json!({"charset": self.charsets.get(database)?}),
        };
        match value {
            Value::Object(map) => Some(map),
            _ => None,
        }
    }

    /// Sets a database's default character set.
    pub(super) fn set_charset(&mut self, database: &str, charset: &str) {
        self.charsets.insert(database.to_owned(), charset.to_owned());
        self.changed.insert((database.to_owned(), None));
    }

    /// Sets a table's definition.
    pub(super) fn put(&mut self, database: &str, table: &str, definition: Table) {
        self.tables.insert((database.to_owned(), table.to_owned()), definition);
        self.changed.insert((database.to_owned(), Some(table.to_owned())));
    }

    fn remove(&mut self, database: &str, table: &str) -> Option<Table> {
        let removed = self.tables.remove(&(database.to_owned(), table.to_owned()))?;
        self.changed.insert((database.to_owned(), Some(table.to_owned())));
        Some(removed)
    }

    /// Takes in a statement of the binlog, run with that database as the default one.
    ///
    /// # Errors
    /// Fatal: it changes a captured table in a way that is not understood, or a captured table's rows by a statement.
    pub(super) fn apply(&mut self, settings: &Settings, default: &str, text: &str) -> Result<(), TaskError> {
        let fatal = |table: &str, reason: &str| {
            let short: String = text.chars().take(1000).collect();
            TaskError::Fatal(format!(
                "The definition of table {table} is no longer known: the binlog holds a statement that is not understood \
                 ({reason}): {short}. Remove the connector's offsets and create it again for a new snapshot, or leave the \
                 table out with table.exclude.list"
            ))
        };
        let statement = match ddl::parse(text) {
            Ok(statement) => statement,
            Err((Some(name), error)) => {
                let (database, table) = self.resolve(default, &name);
                self.remove(&database, &table);
                if !self.described && settings.filter.table(&database, &table) {
                    return Err(fatal(&format!("{database}.{table}"), &error.to_string()));
                }
                return Ok(());
            }
            Err((None, error)) if !self.described && settings.filter.database(default) => {
                return Err(fatal(&format!("in {default}"), &error.to_string()));
            }
            Err(_) => return Ok(()),
        };
        match statement {
            Statement::AlterTable { name, changes, if_exists } => {
                let (database, table) = self.resolve(default, &name);
                if !settings.tracks(&database, &table) && !renames(&changes) {
                    return Ok(());
                }
                if let Err(reason) = self.alter(settings, default, (&database, &table), changes) {
                    self.remove(&database, &table);
                    if !self.described && settings.filter.table(&database, &table) && !if_exists {
                        return Err(fatal(&format!("{database}.{table}"), &reason));
                    }
                }
            }
            Statement::Dml(name) => return self.dml(settings, default, name.as_ref(), text),
            other => self.simple(settings, default, other),
        }
        Ok(())
    }

    /// The statements that cannot fail.
    fn simple(&mut self, settings: &Settings, default: &str, statement: Statement) {
        match statement {
            Statement::CreateTable { name, body, if_not_exists } => {
                let (database, table) = self.resolve(default, &name);
                let known = if_not_exists && self.table(&database, &table).is_some();
                if !known && settings.tracks(&database, &table) {
                    let definition = self.definition(&database, body);
                    self.put(&database, &table, definition);
                }
            }
            Statement::CreateTableLike { name, like, if_not_exists } => {
                let (database, table) = self.resolve(default, &name);
                let (like_database, like_table) = self.resolve(default, &like);
                let known = if_not_exists && self.table(&database, &table).is_some();
                if !known && settings.tracks(&database, &table) {
                    match self.table(&like_database, &like_table).cloned() {
                        Some(definition) => self.put(&database, &table, definition),
                        None => drop(self.remove(&database, &table)),
                    }
                }
            }
            Statement::DropTables(names) => {
                for name in &names {
                    let (database, table) = self.resolve(default, name);
                    self.remove(&database, &table);
                }
            }
            Statement::RenameTables(pairs) => {
                for (old, new) in &pairs {
                    self.rename(settings, self.resolve(default, old), self.resolve(default, new));
                }
            }
            Statement::DatabaseCharset { name, charset, create } => {
                let database = self.fold(name.as_deref().unwrap_or(default));
                if settings.filter.database(&database) {
                    match charset {
                        Some(charset) => self.set_charset(&database, &charset),
                        // The server's default then; most servers run with utf8mb4.
                        None if create => self.set_charset(&database, "utf8mb4"),
                        None => {}
                    }
                }
            }
            Statement::DropDatabase(name) => {
                let database = self.fold(&name);
                let names: Vec<_> = self.tables.keys().filter(|(d, _)| *d == database).cloned().collect();
                for (database, table) in names {
                    self.remove(&database, &table);
                }
                if self.charsets.remove(&database).is_some() {
                    self.changed.insert((database, None));
                }
            }
            Statement::AlterTable { .. } | Statement::Dml(_) | Statement::Other => {}
        }
    }

    /// Takes in what SHOW CREATE TABLE gave.
    ///
    /// # Errors
    /// Why it is not understood.
    pub(super) fn show_create(&mut self, database: &str, table: &str, text: &str) -> Result<(), String> {
        match ddl::parse(text) {
            Ok(Statement::CreateTable { body, .. }) => {
                let definition = self.definition(database, body);
                self.put(database, table, definition);
                Ok(())
            }
            Ok(_) => Err("it is no CREATE TABLE".to_owned()),
            Err((_, error)) => Err(error.to_string()),
        }
    }

    fn fold(&self, name: &str) -> String {
        if self.lower_case { name.to_lowercase() } else { name.to_owned() }
    }

    fn resolve(&self, default: &str, (database, table): &TableName) -> (String, String) {
        (self.fold(database.as_deref().unwrap_or(default)), self.fold(table))
    }

    fn definition(&self, database: &str, body: TableBody) -> Table {
        let of_database = || self.charsets.get(database).cloned().unwrap_or_else(|| "utf8mb4".to_owned());
        let charset = body.charset.unwrap_or_else(of_database);
        let mut table = Table {
            columns: body.columns,
            primary_key: body.primary_key,
            charset,
            system_versioned: body.system_versioned,
        };
        for column in &mut table.columns {
            settle(column, &table.charset, self.mariadb);
        }
        require_key(&mut table);
        table
    }

    fn rename(&mut self, settings: &Settings, old: (String, String), new: (String, String)) {
        let definition = self.remove(&old.0, &old.1);
        if settings.tracks(&new.0, &new.1) {
            match definition {
                Some(definition) => self.put(&new.0, &new.1, definition),
                // From where nothing is known: rows of the new name will say so.
                None => drop(self.remove(&new.0, &new.1)),
            }
        }
    }

    fn alter(
        &mut self,
        settings: &Settings,
        default: &str,
        (database, name): (&str, &str),
        changes: Vec<Change>,
    ) -> Result<(), String> {
        let mut new_name = None;
        if let Some(definition) = self.table(database, name) {
            let mut work = Work::new(definition);
            for change in changes {
                match change {
                    Change::RenameTable(name) => new_name = Some(name),
                    change => work.apply(change, self.mariadb)?,
                }
            }
            let definition = work.finish();
            self.put(database, name, definition);
        } else if let Some(Change::RenameTable(name)) =
            changes.into_iter().find(|c| matches!(c, Change::RenameTable(_)))
        {
            new_name = Some(name);
        }
        if let Some(new_name) = new_name {
            let new = match new_name {
                (None, table) => (database.to_owned(), self.fold(&table)),
                name => self.resolve(default, &name),
            };
            self.rename(settings, (database.to_owned(), name.to_owned()), new);
        }
        Ok(())
    }

    fn dml(
        &self,
        settings: &Settings,
        default: &str,
        name: Option<&TableName>,
        text: &str,
    ) -> Result<(), TaskError> {
        let captured = match name {
            Some(name) => {
                let (database, table) = self.resolve(default, name);
                settings.filter.table(&database, &table)
            }
            None => settings.filter.database(default),
        };
        if !captured {
            return Ok(());
        }
        let short: String = text.chars().take(200).collect();
        Err(TaskError::Fatal(format!(
            "Received DML '{short}' for processing, binlog probably contains events generated with statement or mixed based \
             replication format. Set binlog_format=ROW for all sessions and take a new snapshot"
        )))
    }
}

fn renames(changes: &[Change]) -> bool {
    changes.iter().any(|c| matches!(c, Change::RenameTable(_)))
}

#[cfg(test)]
#[path = "catalog_tests.rs"]
mod tests;
