//! GROUP BY: groups and aggregates below, expressions over them above.

use super::expressions::Scope;
use super::names::Rel;
use super::types::cast;
use crate::ast;
use crate::error::{Res, Span, fail};
use crate::expr::Expr;
use crate::functions::is_ordered;
use crate::plan::{Aggregate, AggregateFunction};
use bd_schema::DataType;
use std::cell::RefCell;
use std::sync::Arc;

/// The groups of a query, and the aggregates met so far.
pub(crate) struct Grouping {
    /// The groups' expressions, over the input.
    pub(crate) group: Vec<Expr>,
    /// Whether WINDOWSTART and WINDOWEND follow the groups.
    pub(crate) windowed: bool,
    /// Whether the input is a table, so that rows are also taken back.
    pub(crate) over_table: bool,
    /// In the order they were met, with their names for messages.
    pub(crate) aggregates: RefCell<Vec<(Aggregate, String)>>,
}

/// The aggregate function of that name.
pub(crate) fn by_name(name: &str) -> Option<AggregateFunction> {
    Some(match name.to_ascii_uppercase().as_str() {
        "COUNT" => AggregateFunction::Count,
        "COUNT_DISTINCT" => AggregateFunction::CountDistinct,
        "SUM" => AggregateFunction::Sum,
        "AVG" => AggregateFunction::Avg,
        "MIN" => AggregateFunction::Min,
        "MAX" => AggregateFunction::Max,
        "LATEST_BY_OFFSET" => AggregateFunction::LatestByOffset,
        "EARLIEST_BY_OFFSET" => AggregateFunction::EarliestByOffset,
        "MAX_BY" => AggregateFunction::MaxBy,
        "MIN_BY" => AggregateFunction::MinBy,
        "COLLECT_LIST" => AggregateFunction::CollectList,
        _ => return None,
    })
}

/// Whether the items or HAVING hold an aggregate.
pub(crate) fn first_aggregate(select: &ast::Select) -> Option<Span> {
    let mut found = None;
    let mut visit = |e: &ast::Expr| {
        if let ast::ExprKind::Call(c) = &e.kind
            && c.over.is_none()
            && by_name(&c.name.name).is_some()
        {
            found.get_or_insert(e.span);
        }
    };
    for item in &select.items {
        if let ast::SelectItem::Expr { expr, .. } = item {
            super::windows::walk(expr, &mut visit);
        }
    }
    if let Some(having) = &select.having {
        super::windows::walk(having, &mut visit);
    }
    found
}

impl Grouping {
    /// The column behind GROUP BY that an expression is: a group, an aggregate, a window's bound.
    pub(crate) fn replace(&self, scope: &Scope<'_>, e: &ast::Expr) -> Res<Option<Expr>> {
        let plain = Scope::of(scope.rel, scope.clause);
        match &e.kind {
            ast::ExprKind::Call(c) if c.over.is_none() => {
                if let Some(function) = by_name(&c.name.name) {
                    return self.aggregate(function, c, e.span, scope.rel).map(Some);
                }
            }
            ast::ExprKind::Path(path) => {
                let window = match &path[..] {
                    [name] if name.is("WINDOWSTART") => Some(0),
                    [name] if name.is("WINDOWEND") => Some(1),
                    _ => None,
                };
                if let (Some(offset), true) = (window, self.windowed) {
                    return Ok(Some(Expr::column(self.group.len() + offset, DataType::BigInt)));
                }
                if window.is_some() && scope.rel.resolve(path).is_err() {
                    return fail(
                        e.span,
                        format!("{} needs a window", path[0].name),
                        "add WINDOW TUMBLING (SIZE 1 HOUR), HOPPING or SESSION behind FROM",
                    );
                }
                let expr = plain.expr(e)?;
                return match self.group_of(&expr) {
                    Some(column) => Ok(Some(column)),
                    None => fail(
                        e.span,
                        format!("{} is neither in GROUP BY nor in an aggregate", path[path.len() - 1].name),
                        "add it to GROUP BY, or choose a row's value by LATEST_BY_OFFSET(x) or MAX_BY(x, time)",
                    ),
                };
            }
            ast::ExprKind::Integer(_)
            | ast::ExprKind::Number(_)
            | ast::ExprKind::Text(_)
            | ast::ExprKind::Boolean(_)
            | ast::ExprKind::Null => return Ok(None),
            _ => {}
        }
        // A group by an expression: the same expression is the group.
        Ok(plain.expr(e).ok().and_then(|expr| self.group_of(&expr)))
    }

    fn group_of(&self, expr: &Expr) -> Option<Expr> {
        let place = self.group.iter().position(|g| g == expr)?;
        Some(Expr::column(place, expr.data_type.clone()))
    }

    fn aggregate(&self, function: AggregateFunction, c: &ast::Call, span: Span, rel: &Rel) -> Res<Expr> {
        use AggregateFunction as F;
        let name = c.name.name.to_ascii_uppercase();
        let mut function = function;
        if c.distinct {
            if function != F::Count {
                return fail(span, format!("{name}(DISTINCT x) is not supported"), "use COUNT(DISTINCT x)");
            }
            function = F::CountDistinct;
        }
        let wanted = match function {
            F::MaxBy | F::MinBy => 2,
            F::Count if c.star => 0,
            _ => 1,
        };
        if c.args.len() != wanted || (c.star && function != F::Count) {
            let message = format!("{name} does not take {} argument(s)", c.args.len());
            let hint = if wanted == 2 {
                format!("write {name}(x, y): x of the row with that y")
            } else {
                format!("write {name}(x); COUNT(*) counts rows")
            };
            return fail(span, message, hint);
        }
        let undoes = matches!(function, F::Count | F::CountDistinct | F::Sum | F::Avg);
        if self.over_table && !undoes {
            return fail(
                span,
                format!(
                    "{name} over a table is not supported: it cannot take back the row that an update replaces"
                ),
                "over tables use COUNT, COUNT_DISTINCT, SUM or AVG; or aggregate the stream that the table is made of",
            );
        }
        let scope = Scope::of(rel, "the argument of an aggregate");
        let mut args = c.args.iter().map(|a| scope.expr(a)).collect::<Res<Vec<_>>>()?;
        let data_type = match function {
            F::Count | F::CountDistinct => DataType::BigInt,
            F::Sum | F::Avg => {
                let t = args[0].data_type.clone();
                if !t.is_numeric() {
                    return fail(
                        c.args[0].span,
                        format!("{name} takes a number, and this is {t}"),
                        "use CAST(x AS BIGINT)",
                    );
                }
                match (function, t) {
                    (F::Avg, _) => DataType::Double,
                    (_, DataType::Integer | DataType::BigInt) => DataType::BigInt,
                    (_, t) => t,
                }
            }
            F::CollectList => DataType::Array(Arc::new(args[0].data_type.clone())),
            _ => args[0].data_type.clone(),
        };
        let compared = match function {
            F::Min | F::Max => Some(0),
            F::MinBy | F::MaxBy => Some(1),
            _ => None,
        };
        if let Some(i) = compared
            && !is_ordered(&args[i].data_type)
        {
            let message = format!("{name} cannot compare {}", args[i].data_type);
            return fail(c.args[i].span, message, "pick a field or an element");
        }
        if function == F::Sum && args[0].data_type == DataType::Integer {
            args[0] = cast(args[0].clone(), &DataType::BigInt);
        }
        let aggregate = Aggregate { function, args, data_type: data_type.clone() };
        let mut all = self.aggregates.borrow_mut();
        let place = match all.iter().position(|(a, _)| *a == aggregate) {
            Some(place) => place,
            None => {
                let place = all.len();
                all.push((aggregate, format!("{name}_{place}")));
                place
            }
        };
        let first = self.group.len() + if self.windowed { 2 } else { 0 };
        Ok(Expr::column(first + place, data_type))
    }
}
