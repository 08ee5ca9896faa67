//! CREATE STREAM|TABLE of a topic.

use super::expressions::Scope;
use super::names::Rel;
use super::properties::Properties;
use super::relations::scan;
use crate::ast::{self, Create};
use crate::catalog::{Catalog, Check, ColumnDef, ColumnPlace, SourceDef, SourceKind};
use crate::error::{Res, Span, fail};
use crate::plan::Statement;
use std::sync::Arc;

/// Whether the name is taken: `true` where IF NOT EXISTS makes that fine.
pub(crate) fn exists(create: &Create, catalog: &Catalog) -> Res<bool> {
    let Some(old) = catalog.get(&create.name.name) else { return Ok(false) };
    let what = match old.kind {
        SourceKind::Stream => "stream",
        SourceKind::Table => "table",
    };
    if create.if_not_exists || create.or_replace {
        if create.or_replace && old.kind != create.kind {
            return fail(
                create.name.span,
                format!("{} is a {what}", old.name),
                format!("DROP {what} {} first", old.name),
            );
        }
        return Ok(create.if_not_exists);
    }
    fail(
        create.name.span,
        format!("there is a {what} {} already", old.name),
        format!("choose another name, DROP {what} {}, or write IF NOT EXISTS", old.name),
    )
}

/// What no column may be called.
pub(crate) fn check_column_name(name: &str, span: Span) -> Res<()> {
    let reserved = ["ROWTIME", "ROWPARTITION", "ROWOFFSET"];
    if reserved.iter().any(|r| r.eq_ignore_ascii_case(name)) {
        return fail(span, format!("{name} is what every source has of itself"), "choose another name");
    }
    Ok(())
}

pub(crate) fn create(create: &Create, text: &str, source: &str, catalog: &Catalog) -> Res<Statement> {
    let exists = exists(create, catalog)?;
    let properties = Properties::read(&create.properties)?;
    if create.columns.is_empty() {
        return fail(
            create.name.span,
            format!("{} has no columns", create.name.name),
            "write (column type, ...) behind the name, or AS SELECT",
        );
    }
    let Some(topic) = properties.topic.clone() else {
        return fail(
            create.name.span,
            format!("which topic is {} in?", create.name.name),
            "add WITH (kafka_topic = '...', value_format = 'JSON')",
        );
    };
    if create.kind == SourceKind::Table {
        properties.of_table()?;
    }
    let columns = columns(create)?;
    let timestamp = properties.timestamp_spec(&columns)?;
    let (name, at) = (&create.name.name, create.name.span);
    let key = properties.key.of_key(name, &columns, None, at)?;
    let value = properties.value.of_value(&columns, None, at)?;
    if create.kind == SourceKind::Table && value.name == "NONE" {
        let hint = "a record without a value deletes its row; use JSON";
        return fail(at, "a table's value_format cannot be NONE", hint);
    }
    let mut def = SourceDef {
        name: name.clone(),
        kind: create.kind,
        key_format: key.name,
        key_options: key.options,
        value_format: value.name,
        value_options: value.options,
        columns,
        timestamp,
        lateness_ms: properties.lateness_ms.map_or(0, |(ms, _)| ms),
        late_topic: properties.late_topic_of(&topic),
        dead_letter_topic: properties.dead_letter_topic_of(&topic),
        topic,
        checks: Vec::new(),
        idle_timeout_ms: properties.idle_timeout_ms.map(|(ms, _)| ms),
        query: None,
        sql: text.to_string(),
    };
    def.checks = checks(create, &def, source)?;
    Ok(Statement::CreateSource {
        def,
        partitions: properties.partitions,
        or_replace: create.or_replace,
        exists,
    })
}

fn columns(create: &Create) -> Res<Vec<ColumnDef>> {
    let mut columns: Vec<ColumnDef> = Vec::new();
    for c in &create.columns {
        check_column_name(&c.name.name, c.name.span)?;
        if columns.iter().any(|other| c.name.is(&other.name)) {
            return fail(c.name.span, format!("there are two columns {}", c.name.name), "rename one");
        }
        if let Some(key) = c.key {
            match (create.kind, key.primary) {
                (SourceKind::Stream, true) => {
                    return fail(key.span, "a stream has no primary key", "write KEY, or CREATE TABLE");
                }
                (SourceKind::Table, false) => {
                    return fail(key.span, "a table's key is its primary key", "write PRIMARY KEY");
                }
                _ => {}
            }
        }
        columns.push(ColumnDef {
            name: c.name.name.clone(),
            data_type: c.data_type.clone(),
            place: if c.key.is_some() { ColumnPlace::Key } else { ColumnPlace::Value },
            not_null: c.not_null,
        });
    }
    if create.kind == SourceKind::Table && columns.iter().all(|c| c.place == ColumnPlace::Value) {
        return fail(
            create.name.span,
            format!("the table {} has no primary key", create.name.name),
            "write PRIMARY KEY behind the type of each column that is in the record's key",
        );
    }
    Ok(columns)
}

fn checks(create: &Create, def: &SourceDef, source: &str) -> Res<Vec<Check>> {
    let all: Vec<&ast::Expr> = create.columns.iter().flat_map(|c| &c.checks).chain(&create.checks).collect();
    if let (SourceKind::Table, Some(first)) = (create.kind, all.first()) {
        let hint = "remove it, and use WHERE in the queries that read the table";
        return fail(first.span, "CHECK is for streams", hint);
    }
    // Over the columns alone: ROWTIME is not known yet when a record is checked.
    let mut rel: Rel = scan(&Arc::new(def.clone()), def.name.clone());
    rel.plan.time = None;
    rel.rowtimes.clear();
    let scope = Scope::of(&rel, "CHECK");
    all.into_iter()
        .map(|e| {
            let condition = scope.condition(e)?;
            Ok(Check {
                condition,
                text: source.get(e.span.start..e.span.end).unwrap_or_default().to_string(),
            })
        })
        .collect()
}
