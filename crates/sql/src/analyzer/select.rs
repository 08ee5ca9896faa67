//! Queries: FROM, WHERE, window functions or GROUP BY, the items.

use super::aggregates::{self, Grouping};
use super::expressions::Scope;
use super::names::{Name, Rel, groups};
use super::relations;
use super::types::{conjuncts, is_null};
use super::windows::{lead_lag, places};
use crate::ast::{self, Emit, SelectItem};
use crate::build::{self, ROWTIME};
use crate::catalog::Catalog;
use crate::error::{Res, Span, fail};
use crate::expr::{Expr, ExprKind};
use crate::plan::{ChangelogMode, Node, Plan};
use crate::time_bounds::UNBOUNDED;
use bd_schema::DataType;
use std::cell::RefCell;

/// One item of the SELECT, typed.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) name: String,
    pub(crate) expr: Expr,
    /// Part of the key of what it is taken from.
    pub(crate) key: bool,
    /// Also wanted in the value: `AS_VALUE(k)`.
    pub(crate) in_value: bool,
    pub(crate) span: Span,
}

/// An analyzed query. Its plan's first columns are the items; a time column or key columns that no item is follow.
pub(crate) struct Query {
    pub(crate) rel: Rel,
    pub(crate) items: Vec<Item>,
    /// Whether it groups.
    pub(crate) grouped: bool,
    /// Whether it groups by windows.
    pub(crate) windowed: bool,
    /// The plan below the items, to find PARTITION BY's expressions in.
    pub(crate) base: Rel,
}

/// A query in FROM.
pub(crate) fn sub_query(select: &ast::Select, catalog: &Catalog) -> Res<Rel> {
    let refused = [
        (select.emit.map(|(_, s)| s), "EMIT", "EMIT stands at the end of the whole statement"),
        (select.limit.map(|(_, s)| s), "LIMIT", "LIMIT stands at the end of the whole statement"),
        (select.order_by.first().map(|o| o.expr.span), "ORDER BY", "rows of a sub-query have no order"),
        (
            select.partition_by.first().map(|e| e.span),
            "PARTITION BY",
            "it stands at the end of the whole statement",
        ),
    ];
    for (found, clause, hint) in refused {
        if let Some(span) = found {
            return fail(span, format!("a sub-query takes no {clause}"), hint);
        }
    }
    query(select, catalog, false).map(|q| q.rel)
}

/// Any query; `emit_final` as its EMIT says.
pub(crate) fn query(select: &ast::Select, catalog: &Catalog, emit_final: bool) -> Res<Query> {
    let mut rel = relations::from(select, catalog)?;
    if let Some(condition) = &select.filter {
        let mut all = Vec::new();
        conjuncts(Scope::of(&rel, "WHERE").condition(condition)?, &mut all);
        rel.plan = build::filter(rel.plan, all, None);
    }
    if groups(select) {
        return grouped(select, rel, emit_final);
    }
    if let Some(span) = aggregates::first_aggregate(select) {
        return fail(span, "an aggregate needs GROUP BY", "add GROUP BY and the columns to group by");
    }
    if let Some(having) = &select.having {
        return fail(having.span, "HAVING needs GROUP BY", "use WHERE");
    }
    if let Some((_, span)) = &select.window {
        return fail(*span, "a window needs GROUP BY", "add GROUP BY and the columns to group by");
    }
    let (base, windows) = lead_lag(select, rel)?;
    let scope = Scope { windows: &windows, ..Scope::of(&base, "SELECT") };
    let items = items(select, &base, &scope)?;
    finish(base, items, false, false)
}

fn items(select: &ast::Select, base: &Rel, scope: &Scope<'_>) -> Res<Vec<Item>> {
    let mut out: Vec<Item> = Vec::new();
    for (place, item) in select.items.iter().enumerate() {
        match item {
            SelectItem::All { qualifier, span } => {
                if scope.grouping.is_some() {
                    return fail(
                        *span,
                        "* cannot stand in a query with GROUP BY",
                        "name groups and aggregates",
                    );
                }
                all_columns(base, qualifier.as_ref(), *span, &mut out)?;
            }
            SelectItem::Expr { expr, alias } => out.push(one(place, expr, alias.as_ref(), base, scope)?),
        }
    }
    for (i, item) in out.iter().enumerate() {
        if out[..i].iter().any(|other| other.name.eq_ignore_ascii_case(&item.name)) {
            let message = format!("there are two columns {} in the SELECT", item.name);
            return fail(item.span, message, "name one of them otherwise: x AS other");
        }
    }
    Ok(out)
}

/// `*`; behind a join names are prefixed by the alias, as in ksqlDB.
fn all_columns(base: &Rel, qualifier: Option<&ast::Ident>, span: Span, out: &mut Vec<Item>) -> Res<()> {
    if let Some(q) = qualifier
        && !base.has_alias(&q.name)
    {
        let mut aliases: Vec<&str> = base.names.iter().filter_map(|n| n.qualifier.as_deref()).collect();
        aliases.dedup();
        let hint = crate::error::nearest_hint("names in FROM", &q.name, aliases);
        return fail(q.span, format!("there is no source {} in FROM", q.name), hint);
    }
    for (i, name) in base.visible() {
        let of = name.qualifier.as_deref();
        if qualifier.is_some_and(|q| !of.is_some_and(|of| q.is(of))) {
            continue;
        }
        let spelled = match of {
            Some(of) if base.joined => format!("{of}_{}", name.name),
            _ => name.name.clone(),
        };
        out.push(Item { name: spelled, expr: base.column(i), key: name.key, in_value: false, span });
    }
    Ok(())
}

fn one(
    place: usize,
    expr: &ast::Expr,
    alias: Option<&ast::Ident>,
    base: &Rel,
    scope: &Scope<'_>,
) -> Res<Item> {
    let (inner, as_value) = match &expr.kind {
        ast::ExprKind::Call(c) if c.name.is("AS_VALUE") && c.over.is_none() => match &c.args[..] {
            [x] => (x, true),
            _ => return fail(expr.span, "AS_VALUE takes one column", "write AS_VALUE(key column)"),
        },
        _ => (expr, false),
    };
    let typed = scope.expr(inner)?;
    if is_null(&typed) {
        return fail(inner.span, "this NULL has no type", "write CAST(NULL AS type)");
    }
    let own = match &inner.kind {
        ast::ExprKind::Path(path) => path.last().map(|p| p.name.clone()),
        ast::ExprKind::Field(_, name) => Some(name.name.clone()),
        _ => None,
    };
    let is_key = match (&typed.kind, scope.grouping) {
        (ExprKind::Column(c), Some(g)) => *c < g.group.len() + if g.windowed { 2 } else { 0 },
        (ExprKind::Column(c), None) => base.names[*c].key,
        _ => false,
    };
    let window_bound = scope.grouping.is_some_and(|g| {
        g.windowed && matches!(typed.kind, ExprKind::Column(c) if c >= g.group.len() && c < g.group.len() + 2)
    });
    let renamed = alias.is_some_and(|a| own.as_ref().is_none_or(|o| !a.is(o)));
    let name = alias.map(|a| a.name.clone()).or(own).unwrap_or_else(|| format!("KSQL_COL_{place}"));
    Ok(Item {
        name,
        expr: typed,
        // A copy under another name is a value. A window's bound under another name is both, so that readers of values see it.
        key: is_key && !(as_value && renamed),
        in_value: as_value || (window_bound && renamed),
        span: expr.span,
    })
}

fn grouped(select: &ast::Select, rel: Rel, emit_final: bool) -> Res<Query> {
    if let Some((name, _)) = select.named_windows.first() {
        let message = "window functions cannot stand beside GROUP BY";
        return fail(name.span, message, "compute them in a sub-query, and group its rows");
    }
    let over_table = rel.plan.mode != ChangelogMode::Append;
    if let Some((_, span)) = &select.window {
        if over_table {
            return fail(
                *span,
                "a table's rows have no event time, so no windows",
                "group the stream instead",
            );
        }
        if super::optimize::simplify(rel.plan.clone()).lag_ms == UNBOUNDED {
            return fail(
                *span,
                "rows may come any time after the watermark, so no window closes",
                "bound LEAD's distance in the sub-query: WHERE next_time - time <= a constant",
            );
        }
    }
    let scope = Scope::of(&rel, "GROUP BY");
    let mut group = Vec::new();
    for e in &select.group_by {
        let expr = scope.expr(e)?;
        if matches!(expr.kind, ExprKind::Literal(_)) {
            return fail(
                e.span,
                "GROUP BY a constant makes one group of all rows",
                "name the columns to group by",
            );
        }
        if matches!(expr.data_type, DataType::Map(_)) {
            return fail(
                e.span,
                format!("rows cannot be grouped by {}", expr.data_type),
                "group by an entry of it",
            );
        }
        if !group.contains(&expr) {
            group.push(expr);
        }
    }
    let (rel, group_places) = places(rel, group);
    // From here on the groups are columns of the projection, and expressions over the input still mean the same columns.
    let group: Vec<Expr> =
        select.group_by.iter().map(|e| Scope::of(&rel, "GROUP BY").expr(e)).collect::<Res<_>>()?;
    let mut distinct: Vec<Expr> = Vec::new();
    for expr in group {
        if !distinct.contains(&expr) {
            distinct.push(expr);
        }
    }
    let windowed = select.window.is_some();
    let grouping = Grouping { group: distinct, windowed, over_table, aggregates: RefCell::new(Vec::new()) };
    let scope = Scope { grouping: Some(&grouping), ..Scope::of(&rel, "SELECT") };
    let items = items(select, &rel, &scope)?;
    let having = match &select.having {
        None => Vec::new(),
        Some(condition) => {
            let mut all = Vec::new();
            let scope = Scope { clause: "HAVING", ..scope };
            conjuncts(scope.condition(condition)?, &mut all);
            all
        }
    };
    let mut names: Vec<Name> =
        group_places.iter().map(|g| Name { key: true, ..rel.names[*g].clone() }).collect();
    let (list, labels): (Vec<_>, Vec<_>) = grouping.aggregates.into_inner().into_iter().unzip();
    let window = select.window.map(|(w, _)| w);
    let plain =
        |name: &str, hidden: bool, key: bool| Name { qualifier: None, name: name.into(), hidden, key };
    if windowed {
        names.extend([plain("WINDOWSTART", false, true), plain("WINDOWEND", false, true)]);
    }
    names.extend(labels.iter().map(|l| plain(l, true, false)));
    let key_format =
        if windowed { None } else { rel.key_format.clone().filter(|_| rel.names_are_key(&group_places)) };
    let value_format = rel.value_format;
    let mut plan = build::aggregate(rel.plan, group_places, list, window, emit_final, labels);
    if !having.is_empty() {
        plan = build::filter(plan, having, None);
    }
    let base = Rel { plan, names, rowtimes: Vec::new(), key_format, value_format, joined: false };
    finish(base, items, true, windowed)
}

impl Rel {
    /// Whether these columns are the source's key.
    fn names_are_key(&self, places: &[usize]) -> bool {
        let keys: Vec<usize> = (0..self.names.len()).filter(|i| self.names[*i].key).collect();
        !keys.is_empty() && keys == places
    }
}

/// The projection of the items, with the time and the key behind them where no item is those.
fn finish(base: Rel, items: Vec<Item>, grouped: bool, windowed: bool) -> Res<Query> {
    let mut exprs: Vec<(String, Expr)> = items.iter().map(|i| (i.name.clone(), i.expr.clone())).collect();
    let mut names: Vec<Name> = items
        .iter()
        .map(|i| Name { qualifier: None, name: i.name.clone(), hidden: false, key: i.key })
        .collect();
    let mut place_of = |column: usize, name: &str| {
        let found = exprs.iter().position(|(_, e)| e.kind == ExprKind::Column(column));
        found.unwrap_or_else(|| {
            exprs.push((name.to_string(), base.column(column)));
            names.push(Name { qualifier: None, name: name.to_string(), hidden: true, key: false });
            exprs.len() - 1
        })
    };
    let time = base.plan.time.map(|t| place_of(t, ROWTIME));
    let key: Vec<usize> =
        build::key_of(&base.plan).into_iter().map(|k| place_of(k, &base.plan.columns[k].name)).collect();
    let plan = build::project(base.plan.clone(), exprs, time, key);
    let rowtimes = time.map(|t| (None, t)).into_iter().collect();
    let (key_format, value_format) = (base.key_format.clone(), base.value_format.clone());
    let rel = Rel { plan, names, rowtimes, key_format, value_format, joined: false };
    Ok(Query { rel, items, grouped, windowed, base })
}

/// The query of a statement, its EMIT checked.
pub(crate) fn statement_query(select: &ast::Select, catalog: &Catalog) -> Res<Query> {
    let is_final = matches!(select.emit, Some((Emit::Final, _)));
    if let (Some((Emit::Final, span)), None) = (select.emit, &select.window) {
        return fail(
            span,
            "EMIT FINAL needs a windowed GROUP BY: other results are never final",
            "use EMIT CHANGES, or add WINDOW TUMBLING (SIZE 1 HOUR) behind FROM",
        );
    }
    query(select, catalog, is_final)
}

/// Whether an UNNEST makes rows of the table's records.
pub(crate) fn unnests(plan: &Plan) -> bool {
    match &plan.node {
        Node::Unnest { .. } => true,
        Node::Project { input, .. } | Node::Filter { input, .. } | Node::LeadLag { input, .. } => {
            unnests(input)
        }
        _ => false,
    }
}
