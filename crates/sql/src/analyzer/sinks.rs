//! CREATE .. AS SELECT: the sink's columns, key and event time.

use super::expressions::Scope;
use super::optimize::{project_onto, simplify};
use super::properties::Properties;
use super::prune::prune;
use super::select::{Item, Query, statement_query, unnests};
use super::sources::{check_column_name, exists};
use super::types::{big_int, call, cast, replace_columns};
use crate::ast::{self, Create};
use crate::build;
use crate::catalog::{Catalog, ColumnDef, ColumnPlace, SourceDef, SourceKind, TimeFormat, TimestampSpec};
use crate::error::{Res, Span, fail};
use crate::expr::{BinaryOp, Expr, ExprKind, Function};
use crate::patterns;
use crate::plan::{ChangelogMode, Node, Plan, Statement};
use crate::time_bounds::{self, UNBOUNDED, Unit};
use bd_schema::DataType;

pub(crate) fn create_as(
    create: &Create,
    select: &ast::Select,
    text: &str,
    catalog: &Catalog,
) -> Res<Statement> {
    if create.or_replace {
        return fail(
            create.name.span,
            "OR REPLACE of CREATE .. AS SELECT is not supported: the query's state belongs to its old form",
            format!("DROP {} first", create.name.name),
        );
    }
    let exists = exists(create, catalog)?;
    let properties = Properties::read(&create.properties)?;
    refuse_clauses(select)?;
    let query = statement_query(select, catalog)?;
    check_kind(create, &query)?;
    if create.kind == SourceKind::Table {
        properties.of_table()?;
    }
    let of_sources = [
        ("lateness", properties.lateness_ms.map(|p| p.1)),
        ("late_topic", properties.late_topic.as_ref().map(|p| p.1)),
        ("idle_timeout", properties.idle_timeout_ms.map(|p| p.1)),
    ];
    for (name, span) in of_sources {
        if let Some(span) = span {
            return fail(
                span,
                format!("{name} is for streams that no query writes: a query's rows are never late"),
                format!("set {name} at the sources that the query reads"),
            );
        }
    }
    for item in &query.items {
        check_column_name(&item.name, item.span)?;
    }
    let key = key_columns(create, select, &query)?;
    let (columns, plan) = sink_columns(&query, &key);
    let timestamp = properties.timestamp_spec(&columns)?;
    let (name, at) = (&create.name.name, create.name.span);
    let of_key = query.rel.key_format.as_ref().filter(|_| select.partition_by.is_empty());
    let key = properties.key.of_key(name, &columns, of_key, at)?;
    let value = properties.value.of_value(&columns, query.rel.value_format.as_ref(), at)?;
    let topic = properties.topic.clone().unwrap_or_else(|| create.name.name.clone());
    let def = SourceDef {
        name: name.clone(),
        kind: create.kind,
        key_format: key.name,
        key_options: key.options,
        value_format: value.name,
        value_options: value.options,
        columns,
        timestamp,
        lateness_ms: 0,
        late_topic: properties.late_topic_of(&topic),
        dead_letter_topic: properties.dead_letter_topic_of(&topic),
        topic,
        checks: Vec::new(),
        idle_timeout_ms: properties.idle_timeout_ms.map(|(ms, _)| ms),
        query: None,
        sql: text.to_string(),
    };
    let plan = timed(simplify(plan), &def, properties.timestamp.as_ref().map_or(select.span, |(_, s)| *s))?;
    Ok(Statement::CreateAs {
        def,
        plan: finished(plan, select.span)?,
        partitions: properties.partitions,
        exists,
    })
}

fn refuse_clauses(select: &ast::Select) -> Res<()> {
    if let Some((_, span)) = select.limit {
        return fail(span, "CREATE .. AS SELECT takes no LIMIT: it runs until it is dropped", "remove it");
    }
    if let Some(order) = select.order_by.first() {
        return fail(
            order.expr.span,
            "CREATE .. AS SELECT takes no ORDER BY",
            "order the rows where they are read",
        );
    }
    Ok(())
}

fn check_kind(create: &Create, query: &Query) -> Res<()> {
    let span = create.name.span;
    match (create.kind, query.rel.plan.mode == ChangelogMode::Append) {
        (SourceKind::Stream, false) if query.grouped => {
            fail(span, "GROUP BY makes a table", format!("write CREATE TABLE {} AS SELECT", create.name.name))
        }
        (SourceKind::Stream, false) => fail(
            span,
            "a SELECT from a table makes a table",
            format!("write CREATE TABLE {} AS SELECT", create.name.name),
        ),
        (SourceKind::Table, true) => fail(
            span,
            "a SELECT from a stream without GROUP BY makes a stream",
            format!("write CREATE STREAM {}, or add GROUP BY", create.name.name),
        ),
        _ => Ok(()),
    }
}

/// The places of the key's columns among the plan's: PARTITION BY, else GROUP BY, else the source's key.
fn key_columns(create: &Create, select: &ast::Select, query: &Query) -> Res<Vec<usize>> {
    let plan = &query.rel.plan;
    let table = create.kind == SourceKind::Table;
    if let Some(first) = select.partition_by.first() {
        if query.grouped {
            return fail(first.span, "GROUP BY says the key already", "remove PARTITION BY");
        }
        if table && !unnests(&query.base.plan) {
            return fail(
                first.span,
                "the rows of a table keep its key",
                "remove PARTITION BY; with UNNEST it names the columns that identify the rows made of one record",
            );
        }
        return select.partition_by.iter().map(|e| partition_column(e, query)).collect();
    }
    if table && unnests(&query.base.plan) {
        return fail(
            create.name.span,
            "UNNEST makes several rows of a record, and nothing says which columns identify each",
            "add PARTITION BY and those columns of the SELECT",
        );
    }
    if !table {
        // All of the source's key columns, or none.
        let wanted = query.base.names.iter().filter(|n| n.key).count();
        let keys: Vec<usize> = (0..query.items.len()).filter(|i| query.items[*i].key).collect();
        return Ok(if keys.len() >= wanted { keys } else { Vec::new() });
    }
    let key = build::key_of(plan);
    for k in &key {
        let as_key = query.items.get(*k).is_none_or(|i| i.key);
        let hidden_window =
            query.windowed && *k >= query.items.len() && is_window_bound(&plan.columns[*k].name);
        if (*k >= query.items.len() && !hidden_window) || !as_key {
            let name = &plan.columns[*k].name;
            let whose = if query.grouped { "GROUP BY" } else { "the source's key" };
            return fail(
                select.items.first().map_or(select.span, item_span),
                format!("{name} of {whose} is not in the SELECT, and is the table's key"),
                format!("add {name} to the SELECT; AS_VALUE({name}) has it in the value too"),
            );
        }
    }
    Ok(key)
}

fn is_window_bound(name: &str) -> bool {
    matches!(name, "WINDOWSTART" | "WINDOWEND")
}

fn item_span(item: &ast::SelectItem) -> Span {
    match item {
        ast::SelectItem::All { span, .. } => *span,
        ast::SelectItem::Expr { expr, .. } => expr.span,
    }
}

/// The item that an expression of PARTITION BY names.
fn partition_column(e: &ast::Expr, query: &Query) -> Res<usize> {
    let by_name = |item: &Item| match &e.kind {
        ast::ExprKind::Path(path) if path.len() == 1 => path[0].is(&item.name),
        _ => false,
    };
    if let Some(place) = query.items.iter().position(by_name) {
        return Ok(place);
    }
    let typed = Scope::of(&query.base, "PARTITION BY").expr(e)?;
    match query.items.iter().position(|item| item.expr == typed) {
        Some(place) => Ok(place),
        None => fail(e.span, "PARTITION BY takes columns of the SELECT", "add this one to the SELECT"),
    }
}

/// The sink's columns, and the plan with exactly them in front, then the time.
fn sink_columns(query: &Query, key: &[usize]) -> (Vec<ColumnDef>, Plan) {
    let plan = &query.rel.plan;
    // The bounds of a window that no item names are part of the key all the same.
    let hidden = key.iter().copied().filter(|k| *k >= query.items.len());
    let places: Vec<usize> = (0..query.items.len()).chain(hidden).collect();
    let columns = places
        .iter()
        .map(|place| {
            let item = query.items.get(*place);
            let in_value = item.is_some_and(|i| i.in_value);
            ColumnDef {
                name: plan.columns[*place].name.clone(),
                data_type: plan.columns[*place].data_type.clone(),
                place: match (key.contains(place), in_value) {
                    (true, true) => ColumnPlace::KeyAndValue,
                    (true, false) => ColumnPlace::Key,
                    (false, _) => ColumnPlace::Value,
                },
                not_null: false,
            }
        })
        .collect();
    let exprs = |all: &[usize]| {
        all.iter().map(|c| (plan.columns[*c].name.clone(), query.rel.column(*c))).collect::<Vec<_>>()
    };
    let mut all = places.clone();
    let time = plan.time.map(|t| {
        all.iter().position(|c| *c == t).unwrap_or_else(|| {
            all.push(t);
            all.len() - 1
        })
    });
    let new_key = match plan.mode {
        ChangelogMode::Append => Vec::new(),
        ChangelogMode::Upsert { .. } => {
            key.iter().filter_map(|k| places.iter().position(|place| place == k)).collect()
        }
    };
    (columns, build::project(plan.clone(), exprs(&all), time, new_key))
}

/// The plan with the event time that `timestamp` says, proven to be bounded.
fn timed(plan: Plan, def: &SourceDef, span: Span) -> Res<Plan> {
    let Some(TimestampSpec { column, format }) = &def.timestamp else { return Ok(plan) };
    let name = &def.columns[*column].name;
    let unit = match format {
        TimeFormat::EpochMillis => Unit::Millis,
        TimeFormat::EpochSeconds => Unit::Seconds,
        TimeFormat::Pattern(p) => Unit::Text(p.clone()),
    };
    match time_bounds::of_column(&plan, *column) {
        Some(bound) if bound.unit != unit => {
            let is = match bound.unit {
                Unit::Millis => "milliseconds".to_string(),
                Unit::Seconds => "seconds".to_string(),
                Unit::Text(p) => format!("text by the pattern '{p}'"),
            };
            let hint = match unit {
                Unit::Millis if is == "seconds" => "add timestamp_format = 'epoch_seconds'".to_string(),
                _ => "give timestamp_format the pattern or unit that the column has".to_string(),
            };
            return fail(
                span,
                format!("{name} holds the time in {is}, and timestamp_format says otherwise"),
                hint,
            );
        }
        Some(bound) if bound.lag != UNBOUNDED => {}
        _ => {
            return fail(
                span,
                format!(
                    "nothing bounds how far {name} may lie behind the watermark, so it cannot be the event time"
                ),
                "take it from ROWTIME or the source's time column by LEAD, + and - of constants, COALESCE, GREATEST or \
                 FORMAT_TIMESTAMP; of a row that waits for LEAD, bound the distance: WHERE next_time - time <= a constant",
            );
        }
    }
    let width = def.columns.len();
    let value = Expr::column(*column, def.columns[*column].data_type.clone());
    let ms = match format {
        TimeFormat::EpochMillis => cast(value, &DataType::BigInt),
        TimeFormat::EpochSeconds => {
            let seconds = cast(value, &DataType::BigInt);
            Expr::binary(BinaryOp::Multiply, seconds, big_int(1000), DataType::BigInt)
        }
        TimeFormat::Pattern(p) => {
            let pattern = Expr::literal(bd_schema::Value::Varchar(p.clone()), DataType::Varchar);
            let parsed = call(Function::ParseTimestamp, vec![value, pattern], DataType::Timestamp);
            call(Function::UnixTimestamp, vec![parsed], DataType::BigInt)
        }
    };
    Ok(with_time(plan, width, ms))
}

/// The first `width` columns and `ms`, over those, as the event time.
fn with_time(plan: Plan, width: usize, ms: Expr) -> Plan {
    let named = |exprs: Vec<Expr>| -> Vec<(String, Expr)> {
        let names =
            plan.columns.iter().take(width).map(|c| c.name.clone()).chain([build::ROWTIME.to_string()]);
        names.zip(exprs).collect()
    };
    if let ExprKind::Column(c) = ms.kind {
        let columns = (0..width).map(|i| Expr::column(i, plan.columns[i].data_type.clone())).collect();
        let exprs = named(columns);
        return project_onto(plan, exprs, Some(c), Vec::new());
    }
    if let Node::Project { input, exprs } = &plan.node {
        // Rather from what the column is made of than by undoing it.
        let direct = undo(&replace_columns(&ms, &|c, _| exprs[c].clone()), input);
        if !formats(&direct) {
            let all = named(exprs.iter().take(width).cloned().chain([direct]).collect());
            return build::project(input.as_ref().clone(), all, Some(width), Vec::new());
        }
    }
    let columns =
        (0..width).map(|i| Expr::column(i, plan.columns[i].data_type.clone())).chain([ms]).collect();
    let exprs = named(columns);
    build::project(plan, exprs, Some(width), Vec::new())
}

fn formats(expr: &Expr) -> bool {
    matches!(expr.kind, ExprKind::Call { function: Function::FormatTimestamp | Function::ParseTimestamp, .. })
        || super::types::children(expr).into_iter().any(formats)
}

/// `UNIX_TIMESTAMP(PARSE_TIMESTAMP(FORMAT_TIMESTAMP(x, p), p))` is `UNIX_TIMESTAMP(x)` where the pattern cuts nothing off x;
/// `UNIX_TIMESTAMP(FROM_UNIXTIME(x))` is x.
fn undo(expr: &Expr, input: &Plan) -> Expr {
    let ExprKind::Call { function, args } = &expr.kind else { return expr.clone() };
    let args: Vec<Expr> = args.iter().map(|a| undo(a, input)).collect();
    match (function, &args[..]) {
        (
            Function::UnixTimestamp,
            [Expr { kind: ExprKind::Call { function: Function::FromUnixtime, args: x }, .. }],
        ) => x[0].clone(),
        (
            Function::ParseTimestamp,
            [Expr { kind: ExprKind::Call { function: Function::FormatTimestamp, args: inner }, .. }, pattern],
        ) if inner.len() == 2 && inner[1] == *pattern => {
            let precision = time_bounds::text(pattern).and_then(patterns::precision_ms);
            let grain = time_bounds::of_expr(&inner[0], input).map(|b| b.grain);
            match (precision, grain) {
                (Some(p), Some(g)) if g % p == 0 => inner[0].clone(),
                _ => call(*function, args, expr.data_type.clone()),
            }
        }
        _ => call(*function, args, expr.data_type.clone()),
    }
}

/// A plan ready to run: rewritten, without unused columns, its lag bounded.
pub(crate) fn finished(plan: Plan, span: Span) -> Res<Plan> {
    let plan = simplify(prune(simplify(plan)));
    if plan.time.is_some() && plan.lag_ms == UNBOUNDED {
        return fail(
            span,
            "rows wait for LEAD without a bound, so nothing bounds how far their time lies behind the watermark",
            "bound the distance: WHERE next_time - time <= a constant; or take the event time from LEAD: \
             WITH (timestamp = 'next_time')",
        );
    }
    Ok(plan)
}
