//! What ALTER TABLE makes of a definition.

use super::catalog::Table;
use super::ddl::{Change, Column, ColumnSpec, Place};

fn same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || a.to_lowercase() == b.to_lowercase()
}

/// Fills in what a declaration leaves open.
pub(super) fn settle(column: &mut Column, charset: &str, mariadb: bool) {
    if mariadb && column.type_name == "json" {
        column.type_name = "longtext".to_owned();
        column.charset = Some("utf8mb4".to_owned());
    }
    let text = ["char", "varchar", "tinytext", "text", "mediumtext", "longtext"]
        .contains(&column.type_name.as_str());
    if !text {
        column.charset = None;
    } else if column.charset.is_none() {
        column.charset = Some(charset.to_owned());
    }
}

/// Columns of the key cannot be null, said or not.
pub(super) fn require_key(table: &mut Table) {
    for column in &mut table.columns {
        if table.primary_key.iter().any(|k| same(k, &column.name)) {
            column.nullable = false;
        }
    }
}

/// A table while ALTER TABLE's changes are applied. Old names are those before the statement, so that it can swap two columns.
pub(super) struct Work {
    /// The name before the statement, and the column.
    columns: Vec<(Option<String>, Column)>,
    key: Vec<String>,
    /// The key's names are those before the statement.
    key_is_old: bool,
    charset: String,
    system_versioned: bool,
}

impl Work {
    /// Of the definition before the statement.
    pub(super) fn new(table: &Table) -> Self {
        Self {
            columns: table.columns.iter().map(|c| (Some(c.name.clone()), c.clone())).collect(),
            key: table.primary_key.clone(),
            key_is_old: true,
            charset: table.charset.clone(),
            system_versioned: table.system_versioned,
        }
    }

    fn old(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|(old, _)| old.as_deref().is_some_and(|old| same(old, name)))
    }

    fn insert(
        &mut self,
        old: Option<String>,
        column: Column,
        at: usize,
        place: &Place,
    ) -> Result<(), String> {
        let at = match place {
            Place::Default => at,
            Place::First => 0,
            Place::After(name) => {
                let after = self.columns.iter().position(|(_, c)| same(&c.name, name));
                after.ok_or_else(|| format!("there is no column {name}"))? + 1
            }
        };
        self.columns.insert(at.min(self.columns.len()), (old, column));
        Ok(())
    }

    /// Takes in a change.
    ///
    /// # Errors
    /// It names a column that is not there.
    pub(super) fn apply(&mut self, change: Change, mariadb: bool) -> Result<(), String> {
        match change {
            Change::Add { mut spec, if_not_exists } => {
                spec.column.added = true;
                if if_not_exists && self.columns.iter().any(|(_, c)| same(&c.name, &spec.column.name)) {
                    return Ok(());
                }
                self.place(None, spec, self.columns.len(), mariadb)?;
            }
            Change::Drop { name, if_exists } => match self.old(&name) {
                Some(at) => drop(self.columns.remove(at)),
                None if if_exists => {}
                None => return Err(format!("there is no column {name}")),
            },
            Change::Modify { old, mut spec, if_exists } => match self.old(&old) {
                Some(at) => {
                    let (old, before) = self.columns.remove(at);
                    spec.column.added = before.added;
                    self.place(old, spec, at, mariadb)?;
                }
                None if if_exists => {}
                None => return Err(format!("there is no column {old}")),
            },
            Change::RenameColumn { old, new, if_exists } => {
                match self.old(&old).and_then(|at| self.columns.get_mut(at)) {
                    Some((_, column)) => column.name = new,
                    None if if_exists => {}
                    None => return Err(format!("there is no column {old}")),
                }
            }
            Change::Default { name, default, if_exists } => {
                match self.old(&name).and_then(|at| self.columns.get_mut(at)) {
                    Some((_, column)) => column.default = default,
                    None if if_exists => {}
                    None => return Err(format!("there is no column {name}")),
                }
            }
            Change::PrimaryKey(key) => (self.key, self.key_is_old) = (key, false),
            Change::DropPrimaryKey => self.key.clear(),
            Change::DefaultCharset(charset) => self.charset = charset,
            Change::ConvertCharset(charset) => {
                for (_, column) in self
                    .columns
                    .iter_mut()
                    .filter(|(_, c)| c.charset.as_deref().is_some_and(|c| c != "binary"))
                {
                    column.charset = Some(charset.clone());
                }
                self.charset = charset;
            }
            Change::SystemVersioning(on) => self.system_versioned = on,
            Change::RenameTable(_) => {}
        }
        Ok(())
    }

    fn place(
        &mut self,
        old: Option<String>,
        spec: ColumnSpec,
        at: usize,
        mariadb: bool,
    ) -> Result<(), String> {
        let ColumnSpec { mut column, primary_key, place } = spec;
        settle(&mut column, &self.charset, mariadb);
        if primary_key {
            (self.key, self.key_is_old) = (vec![column.name.clone()], false);
        }
        self.insert(old, column, at, &place)
    }

    /// The definition after the statement.
    pub(super) fn finish(self) -> Table {
        let rename = |name: &String| {
            let found =
                self.columns.iter().find(|(old, _)| old.as_deref().is_some_and(|old| same(old, name)));
            found.map(|(_, column)| column.name.clone())
        };
        let primary_key =
            if self.key_is_old { self.key.iter().filter_map(rename).collect() } else { self.key.clone() };
        let mut table = Table {
            columns: self.columns.into_iter().map(|(_, c)| c).collect(),
            primary_key,
            charset: self.charset,
            system_versioned: self.system_versioned,
        };
        require_key(&mut table);
        table
    }
}
