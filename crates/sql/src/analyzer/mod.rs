//! AST to plan: names, types, time bounds, joins, aggregates, sinks.

pub(crate) mod aggregates;
mod expressions;
pub(crate) mod formats;
mod insert;
mod joins;
mod names;
pub(crate) mod optimize;
pub(crate) mod properties;
mod prune;
mod relations;
mod select;
mod sinks;
mod sources;
pub(crate) mod types;
mod windows;

use crate::ast::{self, Emit};
use crate::build;
use crate::catalog::{Catalog, SourceKind};
use crate::error::{Res, SqlError, fail};
use crate::parser::ParsedStatement;
use crate::plan::{ChangelogMode, Node, Plan, Statement};
use optimize::simplify;

/// What a statement asks for, given what is declared.
///
/// # Errors
/// Names that are not there, types that do not fit, what is not supported, a query whose lag cannot be bounded; placed in the
/// text that was parsed.
pub fn analyze(statement: &ParsedStatement, catalog: &Catalog) -> Result<Statement, SqlError> {
    analyze_ast(&statement.ast, statement, catalog).map_err(|fault| fault.place(&statement.source))
}

fn analyze_ast(ast: &ast::Statement, statement: &ParsedStatement, catalog: &Catalog) -> Res<Statement> {
    let text = &statement.text;
    match ast {
        ast::Statement::Create(create) => match &create.query {
            None => sources::create(create, text, &statement.source, catalog),
            Some(select) => sinks::create_as(create, select, text, catalog),
        },
        ast::Statement::Insert { name, columns, values, span } => {
            insert::insert(name, columns.as_deref(), values, *span, catalog)
        }
        ast::Statement::Drop { kind, name, if_exists, delete_topic } => {
            if *if_exists && catalog.get(&name.name).is_none() {
                return Ok(Statement::Drop { name: None, delete_topic: *delete_topic });
            }
            let def = relations::source(catalog, name)?;
            if def.kind != *kind {
                let is = if def.kind == SourceKind::Stream { "STREAM" } else { "TABLE" };
                return fail(
                    name.span,
                    format!("{} is a {is}", def.name),
                    format!("write DROP {is} {}", def.name),
                );
            }
            Ok(Statement::Drop { name: Some(def.name.clone()), delete_topic: *delete_topic })
        }
        ast::Statement::Terminate(query) => Ok(Statement::Terminate { query: query.name.clone() }),
        ast::Statement::Show(show) => Ok(Statement::Show(*show)),
        ast::Statement::Describe { name, extended } => {
            Ok(Statement::Describe { source: relations::source(catalog, name)?.clone(), extended: *extended })
        }
        ast::Statement::ExplainQuery(query) => {
            Ok(Statement::Explain { plan: None, query: Some(query.name.clone()) })
        }
        ast::Statement::Explain(inner) => match analyze_ast(inner, statement, catalog)? {
            Statement::CreateAs { plan, .. }
            | Statement::Push { plan, .. }
            | Statement::Pull { plan, .. } => {
                Ok(Statement::Explain { plan: Some(Box::new(plan)), query: None })
            }
            _ => fail(
                crate::error::Span::new(statement.offset, statement.offset + 7),
                "this has no plan",
                "EXPLAIN takes a SELECT, or CREATE .. AS SELECT",
            ),
        },
        ast::Statement::Select(select) => select_statement(select, catalog),
    }
}

/// SELECT alone: a push query with EMIT, else a pull query.
fn select_statement(select: &ast::Select, catalog: &Catalog) -> Res<Statement> {
    let query = select::statement_query(select, catalog)?;
    if let Some(first) = select.partition_by.first() {
        let hint = "remove it; CREATE STREAM .. AS SELECT .. PARTITION BY writes records by that key";
        return fail(first.span, "PARTITION BY is for CREATE .. AS SELECT", hint);
    }
    let limit = select.limit.map(|(n, _)| n);
    if matches!(select.emit, Some((Emit::Changes | Emit::Final, _))) {
        if let Some(order) = select.order_by.first() {
            return fail(
                order.expr.span,
                "rows that are still to come cannot be sorted",
                "remove ORDER BY, or EMIT CHANGES",
            );
        }
        let plan = sinks::finished(visible(&query), select.span)?;
        return Ok(Statement::Push { plan, limit });
    }
    let plan = simplify(prune::prune(simplify(visible(&query))));
    if plan.mode == ChangelogMode::Append || reads_stream(&plan) {
        return fail(
            select.span,
            "a SELECT over a stream has no end",
            "add EMIT CHANGES to get rows as they come, and LIMIT n to stop; or SELECT from a table",
        );
    }
    check_pull(&plan, select.span)?;
    let mut order = Vec::new();
    for item in &select.order_by {
        order.push((order_column(&item.expr, &query)?, item.descending));
    }
    Ok(Statement::Pull { plan, order, limit })
}

/// The items, and a stream's time; a table's key only where it is an item.
fn visible(query: &select::Query) -> Plan {
    let plan = &query.rel.plan;
    let mut all: Vec<usize> = (0..query.items.len()).collect();
    let time = plan.time.map(|t| {
        all.iter().position(|c| *c == t).unwrap_or_else(|| {
            all.push(t);
            all.len() - 1
        })
    });
    let key: Vec<usize> = build::key_of(plan);
    let key = if key.iter().all(|k| *k < query.items.len()) { key } else { Vec::new() };
    let exprs = all.iter().map(|c| (plan.columns[*c].name.clone(), query.rel.column(*c))).collect();
    build::project(plan.clone(), exprs, time, key)
}

fn reads_stream(plan: &Plan) -> bool {
    match &plan.node {
        Node::StreamScan { .. } | Node::IntervalJoin { .. } | Node::TableJoin { .. } => true,
        Node::TableScan { .. } => false,
        Node::Project { input, .. }
        | Node::Filter { input, .. }
        | Node::Unnest { input, .. }
        | Node::LeadLag { input, .. }
        | Node::Aggregate { input, .. } => reads_stream(input),
    }
}

fn check_pull(plan: &Plan, span: crate::error::Span) -> Res<()> {
    match &plan.node {
        Node::TableScan { .. } => Ok(()),
        Node::Project { input, .. } | Node::Filter { input, .. } | Node::Aggregate { input, .. } => {
            check_pull(input, span)
        }
        _ => fail(
            span,
            "a SELECT of a table's rows takes WHERE, GROUP BY, HAVING, ORDER BY and LIMIT only",
            "make a table of the rest first: CREATE TABLE .. AS SELECT; or add EMIT CHANGES",
        ),
    }
}

/// The item that ORDER BY names: by name, by the same expression, or by its number from 1.
fn order_column(e: &ast::Expr, query: &select::Query) -> Res<usize> {
    if let ast::ExprKind::Integer(digits) = &e.kind {
        return match digits.parse::<usize>() {
            Ok(n) if (1..=query.items.len()).contains(&n) => Ok(n - 1),
            _ => fail(e.span, format!("there is no column {digits} in the SELECT"), "count from 1"),
        };
    }
    if let ast::ExprKind::Path(path) = &e.kind
        && let [name] = &path[..]
        && let Some(place) = query.items.iter().position(|i| name.is(&i.name))
    {
        return Ok(place);
    }
    let typed = expressions::Scope::of(&query.base, "ORDER BY").expr(e)?;
    match query.items.iter().position(|i| i.expr == typed) {
        Some(place) => Ok(place),
        None => fail(e.span, "ORDER BY takes columns of the SELECT", "add this one to the SELECT"),
    }
}
