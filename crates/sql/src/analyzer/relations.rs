//! FROM: scans, sub-queries, UNNEST.

use super::expressions::Scope;
use super::formats::FormatSpec;
use super::joins;
use super::names::{Name, Rel};
use super::select;
use crate::ast::{self, Ident, Join, RelationKind};
use crate::build;
use crate::catalog::{Catalog, ColumnPlace, SourceDef, SourceKind};
use crate::error::{Res, Span, fail, nearest_hint};
use bd_schema::{DataType, Field, FormatOptions};
use std::sync::Arc;

/// The source of that name.
pub(crate) fn source<'a>(catalog: &'a Catalog, name: &Ident) -> Res<&'a Arc<SourceDef>> {
    match catalog.get(&name.name) {
        Some(def) => Ok(def),
        None => {
            let hint =
                nearest_hint("streams and tables", &name.name, catalog.iter().map(|s| s.name.as_str()));
            fail(name.span, format!("there is no stream or table {}", name.name), hint)
        }
    }
}

/// FROM with its joins.
pub(crate) fn from(query: &ast::Select, catalog: &Catalog) -> Res<Rel> {
    let mut rel = relation(&query.from, catalog)?;
    for join in &query.joins {
        rel = match join {
            Join::On { kind, right, within, on, span } => {
                let right_rel = relation(right, catalog)?;
                let alias = right_rel
                    .rowtimes
                    .iter()
                    .map(|(q, _)| q)
                    .chain(right_rel.names.iter().map(|n| &n.qualifier));
                if let Some(alias) = alias.flatten().find(|a| rel.has_alias(a)) {
                    let message = format!("there are two sources {alias} in FROM");
                    return fail(right.span, message, "give one of them another alias");
                }
                joins::join(rel, right_rel, *kind, *within, on, *span)?
            }
            Join::Unnest { expr, alias, columns, span } => unnest(rel, expr, alias.as_ref(), columns, *span)?,
        };
    }
    Ok(rel)
}

fn relation(relation: &ast::Relation, catalog: &Catalog) -> Res<Rel> {
    let alias = relation.alias.as_ref().map(|a| a.name.clone());
    match &relation.kind {
        RelationKind::Source(name) => {
            let def = source(catalog, name)?;
            Ok(scan(def, alias.unwrap_or_else(|| def.name.clone())))
        }
        RelationKind::Query(query) => {
            let mut rel = select::sub_query(query, catalog)?;
            for name in &mut rel.names {
                name.qualifier.clone_from(&alias);
            }
            rel.rowtimes = rel.plan.time.map(|t| (alias, t)).into_iter().collect();
            rel.joined = false;
            Ok(rel)
        }
    }
}

/// All columns of a source, then ROWTIME; what is not used is removed later.
pub(crate) fn scan(def: &Arc<SourceDef>, alias: String) -> Rel {
    let columns: Vec<usize> = (0..def.columns.len()).collect();
    let width = columns.len();
    let mut names: Vec<Name> = def
        .columns
        .iter()
        .map(|c| Name {
            qualifier: Some(alias.clone()),
            name: c.name.clone(),
            hidden: false,
            key: c.place != ColumnPlace::Value,
        })
        .collect();
    names.push(Name {
        qualifier: Some(alias.clone()),
        name: build::ROWTIME.into(),
        hidden: true,
        key: false,
    });
    let plan = match def.kind {
        SourceKind::Stream => build::stream_scan(def.clone(), columns),
        SourceKind::Table => build::table_scan(def.clone(), columns, true),
    };
    let spec = |name: &String, options: &FormatOptions| {
        Some(FormatSpec { name: name.clone(), options: options.clone() })
    };
    let key_format = spec(&def.key_format, &def.key_options);
    let value_format = spec(&def.value_format, &def.value_options);
    Rel { plan, names, rowtimes: vec![(Some(alias), width)], key_format, value_format, joined: false }
}

fn unnest(rel: Rel, expr: &ast::Expr, alias: Option<&Ident>, columns: &[Ident], span: Span) -> Res<Rel> {
    let value = Scope::of(&rel, "UNNEST").expr(expr)?;
    let default = || alias.map_or("value".to_string(), |a| a.name.clone());
    let mut fields = match &value.data_type {
        DataType::Map(v) => {
            vec![Field::new("key", DataType::Varchar), Field::new("value", v.as_ref().clone())]
        }
        DataType::Array(e) => match e.as_ref() {
            DataType::Struct(fields) => fields.to_vec(),
            other => vec![Field::new(default(), other.clone())],
        },
        other => {
            let message = format!("UNNEST takes an ARRAY or a MAP, and this is {other}");
            return fail(expr.span, message, "-> picks a field of a STRUCT");
        }
    };
    if !columns.is_empty() && columns.len() != fields.len() {
        let has: Vec<&str> = fields.iter().map(|f| f.name.as_str()).collect();
        let message = format!("UNNEST gives {} column(s) here, not {}", fields.len(), columns.len());
        return fail(span, message, format!("name {}", has.join(", ")));
    }
    for (field, name) in fields.iter_mut().zip(columns) {
        field.name.clone_from(&name.name);
    }
    let qualifier = alias.map(|a| a.name.clone());
    if let Some(alias) = alias
        && rel.has_alias(&alias.name)
    {
        let message = format!("there are two sources {} in FROM", alias.name);
        return fail(alias.span, message, "give one of them another alias");
    }
    let mut out = rel;
    out.names.extend(fields.iter().map(|f| Name {
        qualifier: qualifier.clone(),
        name: f.name.clone(),
        hidden: false,
        key: false,
    }));
    out.plan = build::unnest(out.plan, value, fields);
    out.joined = true;
    Ok(out)
}
