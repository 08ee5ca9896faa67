//! AST expressions to typed ones.

use super::aggregates::Grouping;
use super::names::Rel;
use super::types::{
    arithmetic, big_int, boolean, call, cast, castable, children, is_null, is_null_test, mismatch, negate,
    not, unify, unify_all,
};
use crate::ast::{self, BinaryOp as Op};
use crate::error::{Fault, Res, Span, fail, nearest_hint};
use crate::expr::{BinaryOp, Expr, ExprKind, Function};
use crate::functions::{check_name, is_ordered, scalar};
use crate::parser::unit_ms;
use bd_schema::{DataType, Field, Value};
use std::sync::Arc;

/// What an expression may refer to.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) rel: &'a Rel,
    /// Behind GROUP BY: groups and aggregates.
    pub(crate) grouping: Option<&'a Grouping>,
    /// The columns of the window functions, by their place in the text.
    pub(crate) windows: &'a [(Span, Expr)],
    /// For messages.
    pub(crate) clause: &'static str,
}

impl<'a> Scope<'a> {
    pub(crate) fn of(rel: &'a Rel, clause: &'static str) -> Self {
        Self { rel, grouping: None, windows: &[], clause }
    }

    /// A condition: BOOLEAN.
    pub(crate) fn condition(&self, e: &ast::Expr) -> Res<Expr> {
        let expr = self.expr(e)?;
        if expr.data_type == DataType::Boolean || is_null(&expr) {
            return Ok(cast(expr, &DataType::Boolean));
        }
        let message = format!("a condition is BOOLEAN, and this is {}", expr.data_type);
        fail(e.span, message, "compare it with something")
    }

    pub(crate) fn expr(&self, e: &ast::Expr) -> Res<Expr> {
        if let Some(grouping) = self.grouping
            && let Some(found) = grouping.replace(self, e)?
        {
            return Ok(found);
        }
        match &e.kind {
            ast::ExprKind::Path(path) => self.path(path),
            ast::ExprKind::Null => Ok(Expr::literal(Value::Null, DataType::Varchar)),
            ast::ExprKind::Boolean(b) => Ok(Expr::literal(Value::Boolean(*b), DataType::Boolean)),
            ast::ExprKind::Integer(digits) => integer(e.span, digits),
            ast::ExprKind::Number(digits) => number(e.span, digits),
            ast::ExprKind::Text(text) => Ok(Expr::literal(Value::Varchar(text.clone()), DataType::Varchar)),
            ast::ExprKind::Interval(_) => fail(
                e.span,
                "an INTERVAL stands only behind + or - of a TIMESTAMP",
                "write timestamp + INTERVAL '1' HOUR",
            ),
            ast::ExprKind::Negate(x) => negate(x.span, self.expr(x)?),
            ast::ExprKind::Not(x) => self.condition(x).map(not),
            ast::ExprKind::Binary(op, left, right) => self.binary(e.span, *op, left, right),
            ast::ExprKind::IsNull { value, negated } => {
                Ok(negate_if(*negated, is_null_test(self.expr(value)?)))
            }
            ast::ExprKind::InList { value, list, negated } => self.in_list(e.span, value, list, *negated),
            ast::ExprKind::Between { value, low, high, negated } => {
                let value_expr = twice(value.span, self.expr(value)?)?;
                let span = value.span;
                let least = self.compare(span, BinaryOp::GreaterEq, value_expr.clone(), self.expr(low)?)?;
                let most = self.compare(span, BinaryOp::LessEq, value_expr, self.expr(high)?)?;
                Ok(negate_if(*negated, boolean(BinaryOp::And, least, most)))
            }
            ast::ExprKind::Like { value, pattern, escape, negated } => {
                let value = Box::new(self.text(value, "LIKE")?);
                let pattern = Box::new(self.text(pattern, "LIKE")?);
                let kind = ExprKind::Like { value, pattern, escape: *escape };
                Ok(negate_if(*negated, Expr { kind, data_type: DataType::Boolean }))
            }
            ast::ExprKind::Case { operand, branches, otherwise } => {
                self.case(e.span, operand.as_deref(), branches, otherwise.as_deref())
            }
            ast::ExprKind::Cast(x, to) => self.cast(x, to),
            ast::ExprKind::Call(c) => self.call(e.span, c),
            ast::ExprKind::Field(x, name) => field(self.expr(x)?, name),
            ast::ExprKind::Index(x, index) => self.index(x, index),
            ast::ExprKind::Array(list) => {
                let exprs = list.iter().map(|x| self.expr(x)).collect::<Res<Vec<_>>>()?;
                let (exprs, element) = unify_all(e.span, "the elements of an array", exprs)?;
                Ok(call(Function::MakeArray, exprs, DataType::Array(Arc::new(element))))
            }
            ast::ExprKind::Struct(fields) => self.structure(fields),
            ast::ExprKind::Map(_) => fail(
                e.span,
                "MAP(...) is for the values of INSERT only",
                "use STRUCT(name := x, ...) or ARRAY[...] in queries",
            ),
        }
    }

    fn path(&self, path: &[ast::Ident]) -> Res<Expr> {
        let (column, used) = self.rel.resolve(path)?;
        path[used..].iter().try_fold(self.rel.column(column), field)
    }

    fn text(&self, e: &ast::Expr, what: &str) -> Res<Expr> {
        let expr = self.expr(e)?;
        if expr.data_type == DataType::Varchar || is_null(&expr) {
            return Ok(cast(expr, &DataType::Varchar));
        }
        fail(
            e.span,
            format!("{what} takes VARCHAR, and this is {}", expr.data_type),
            "use CAST(x AS VARCHAR)",
        )
    }

    fn binary(&self, span: Span, op: Op, left: &ast::Expr, right: &ast::Expr) -> Res<Expr> {
        if let Op::And | Op::Or = op {
            let op = if op == Op::And { BinaryOp::And } else { BinaryOp::Or };
            return Ok(boolean(op, self.condition(left)?, self.condition(right)?));
        }
        if op == Op::Concat {
            return self.concat(left, right);
        }
        if let Some(shifted) = self.interval(span, op, left, right)? {
            return Ok(shifted);
        }
        let (l, r) = (self.expr(left)?, self.expr(right)?);
        match op {
            Op::Eq => self.compare(span, BinaryOp::Eq, l, r),
            Op::NotEq => self.compare(span, BinaryOp::NotEq, l, r),
            Op::Less => self.compare(span, BinaryOp::Less, l, r),
            Op::LessEq => self.compare(span, BinaryOp::LessEq, l, r),
            Op::Greater => self.compare(span, BinaryOp::Greater, l, r),
            Op::GreaterEq => self.compare(span, BinaryOp::GreaterEq, l, r),
            Op::IsDistinctFrom => self.compare(span, BinaryOp::IsDistinctFrom, l, r),
            Op::IsNotDistinctFrom => self.compare(span, BinaryOp::IsDistinctFrom, l, r).map(not),
            Op::Add => calculate(span, BinaryOp::Add, "+", l, r),
            Op::Subtract => calculate(span, BinaryOp::Subtract, "-", l, r),
            Op::Multiply => calculate(span, BinaryOp::Multiply, "*", l, r),
            Op::Divide => calculate(span, BinaryOp::Divide, "/", l, r),
            Op::Modulo => calculate(span, BinaryOp::Modulo, "%", l, r),
            Op::And | Op::Or | Op::Concat => self.concat(left, right),
        }
    }

    fn compare(&self, span: Span, op: BinaryOp, left: Expr, right: Expr) -> Res<Expr> {
        let (left, right) = unify(span, "these cannot be compared", left, right)?;
        let equality = matches!(op, BinaryOp::Eq | BinaryOp::NotEq | BinaryOp::IsDistinctFrom);
        if !equality && !is_ordered(&left.data_type) {
            let message = format!("{} has no order", left.data_type);
            return fail(span, message, "compare a field or an element");
        }
        Ok(boolean(op, left, right))
    }

    /// `a || b || c`: NULL where one is.
    fn concat(&self, left: &ast::Expr, right: &ast::Expr) -> Res<Expr> {
        let mut parts = Vec::new();
        let mut stack = vec![right, left];
        while let Some(e) = stack.pop() {
            match &e.kind {
                ast::ExprKind::Binary(Op::Concat, l, r) => stack.extend([r.as_ref(), l.as_ref()]),
                _ => parts.push(twice(e.span, self.text(e, "||")?)?),
            }
        }
        let nullable = parts.iter().filter(|p| !matches!(&p.kind, ExprKind::Literal(v) if *v != Value::Null));
        let tests: Vec<Expr> = nullable.map(|p| is_null_test(p.clone())).collect();
        let joined = call(Function::Concat, parts, DataType::Varchar);
        let Some(missing) = tests.into_iter().reduce(|a, b| boolean(BinaryOp::Or, a, b)) else {
            return Ok(joined);
        };
        let null = Expr::literal(Value::Null, DataType::Varchar);
        let kind = ExprKind::Case { branches: vec![(missing, null)], otherwise: Some(Box::new(joined)) };
        Ok(Expr { kind, data_type: DataType::Varchar })
    }

    /// `timestamp + INTERVAL`, `INTERVAL + timestamp`, `timestamp - INTERVAL`.
    fn interval(&self, span: Span, op: Op, left: &ast::Expr, right: &ast::Expr) -> Res<Option<Expr>> {
        let (ms, time) = match (&left.kind, op, &right.kind) {
            (_, Op::Add, ast::ExprKind::Interval(ms)) => (*ms, left),
            (ast::ExprKind::Interval(ms), Op::Add, _) => (*ms, right),
            (_, Op::Subtract, ast::ExprKind::Interval(ms)) => (-*ms, left),
            _ => return Ok(None),
        };
        let expr = self.expr(time)?;
        match expr.data_type {
            DataType::Timestamp => {
                Ok(Some(call(Function::TimestampAdd, vec![big_int(ms), expr], DataType::Timestamp)))
            }
            DataType::Date => {
                let expr = cast(expr, &DataType::Timestamp);
                Ok(Some(call(Function::TimestampAdd, vec![big_int(ms), expr], DataType::Timestamp)))
            }
            ref other => fail(
                span,
                format!("an INTERVAL is added to a TIMESTAMP, and this is {other}"),
                "FROM_UNIXTIME(ms) makes a TIMESTAMP of a number, PARSE_TIMESTAMP(text, pattern) of a text",
            ),
        }
    }

    fn in_list(&self, span: Span, value: &ast::Expr, list: &[ast::Expr], negated: bool) -> Res<Expr> {
        let mut all = vec![self.expr(value)?];
        for item in list {
            let item_expr = self.expr(item)?;
            if !is_null(&item_expr)
                && !is_null(&all[0])
                && super::types::common(&all[0].data_type, &item_expr.data_type).is_none()
            {
                return Err(mismatch(
                    item.span,
                    "IN compares one type",
                    &all[0].data_type,
                    &item_expr.data_type,
                ));
            }
            all.push(item_expr);
        }
        let (mut all, _) = unify_all(span, "IN compares one type", all)?;
        let list = all.split_off(1);
        let value = Box::new(all.swap_remove(0));
        let kind = ExprKind::InList { value, list };
        Ok(negate_if(negated, Expr { kind, data_type: DataType::Boolean }))
    }

    fn case(
        &self,
        span: Span,
        operand: Option<&ast::Expr>,
        branches: &[(ast::Expr, ast::Expr)],
        otherwise: Option<&ast::Expr>,
    ) -> Res<Expr> {
        let operand = operand.map(|o| twice(o.span, self.expr(o)?)).transpose()?;
        let (mut conditions, mut results) = (Vec::new(), Vec::new());
        for (when, then) in branches {
            conditions.push(match &operand {
                None => self.condition(when)?,
                Some(o) => self.compare(when.span, BinaryOp::Eq, o.clone(), self.expr(when)?)?,
            });
            results.push(self.expr(then)?);
        }
        let has_else = otherwise.is_some();
        if let Some(e) = otherwise {
            results.push(self.expr(e)?);
        }
        let (mut results, data_type) = unify_all(span, "the results of CASE", results)?;
        let otherwise = if has_else { results.pop().map(Box::new) } else { None };
        let branches = conditions.into_iter().zip(results).collect();
        Ok(Expr { kind: ExprKind::Case { branches, otherwise }, data_type })
    }

    fn cast(&self, x: &ast::Expr, to: &DataType) -> Res<Expr> {
        let expr = self.expr(x)?;
        if is_null(&expr) || castable(&expr.data_type, to) {
            return Ok(cast(expr, to));
        }
        let message = format!("{} cannot be cast to {to}", expr.data_type);
        fail(
            x.span,
            message,
            "CAST knows numbers, VARCHAR, BOOLEAN, and times to and from VARCHAR and BIGINT",
        )
    }

    fn index(&self, x: &ast::Expr, index: &ast::Expr) -> Res<Expr> {
        let value = self.expr(x)?;
        let position = self.expr(index)?;
        let (element, wanted) = match &value.data_type {
            DataType::Array(e) => (e.as_ref().clone(), DataType::Integer),
            DataType::Map(v) => (v.as_ref().clone(), DataType::Varchar),
            other => {
                let message = format!("[ ] takes an ARRAY or a MAP, and this is {other}");
                return fail(x.span, message, "-> picks a field of a STRUCT");
            }
        };
        let fits = position.data_type == wanted
            || (wanted == DataType::Integer && position.data_type == DataType::BigInt);
        if !fits {
            let message = format!("the index is {wanted}, and this is {}", position.data_type);
            return fail(index.span, message, format!("use CAST(x AS {wanted})"));
        }
        let kind = ExprKind::Index { value: Box::new(value), index: Box::new(cast(position, &wanted)) };
        Ok(Expr { kind, data_type: element })
    }

    fn structure(&self, fields: &[(ast::Ident, ast::Expr)]) -> Res<Expr> {
        let (mut types, mut args) = (Vec::new(), Vec::new());
        for (name, value) in fields {
            let expr = self.expr(value)?;
            types.push(Field::new(&name.name, expr.data_type.clone()));
            args.push(expr);
        }
        Ok(call(Function::MakeStruct, args, DataType::Struct(types.into())))
    }

    fn call(&self, span: Span, c: &ast::Call) -> Res<Expr> {
        if let Some((_, column)) = self.windows.iter().find(|(s, _)| *s == span) {
            return Ok(column.clone());
        }
        let name = c.name.name.to_ascii_uppercase();
        if c.over.is_some() || matches!(name.as_str(), "LEAD" | "LAG" | "ROW_NUMBER") {
            let message = format!("{name} OVER a window cannot stand in {}", self.clause);
            let hint = if c.over.is_none() {
                format!("write {name}(..) OVER (PARTITION BY .. ORDER BY ..) in the SELECT")
            } else {
                "compute it in a sub-query's SELECT and refer to its column here".to_string()
            };
            return fail(span, message, hint);
        }
        if super::aggregates::by_name(&name).is_some() {
            let message = format!("the aggregate {name} cannot stand in {}", self.clause);
            return fail(span, message, "aggregates stand in the SELECT and HAVING of a query with GROUP BY");
        }
        if c.star || c.distinct {
            return fail(
                span,
                format!("{name} takes neither * nor DISTINCT"),
                "SHOW FUNCTIONS lists them all",
            );
        }
        match name.as_str() {
            "TIMESTAMPADD" | "TIMESTAMPSUB" => self.timestamp_add(span, c, name == "TIMESTAMPSUB"),
            "AS_VALUE" => fail(
                span,
                "AS_VALUE stands as an item of the SELECT only",
                "write SELECT AS_VALUE(key column) to have the key in the value too",
            ),
            _ => {
                check_name(&c.name.name, c.name.span)?;
                let args = c.args.iter().map(|a| Ok((self.expr(a)?, a.span))).collect::<Res<Vec<_>>>()?;
                scalar(&c.name.name, span, args)
            }
        }
    }

    fn timestamp_add(&self, span: Span, c: &ast::Call, subtract: bool) -> Res<Expr> {
        let write = "write TIMESTAMPADD(HOURS, n, timestamp)";
        let [unit, n, time] = &c.args[..] else {
            return fail(span, format!("{} takes three arguments", c.name.name), write);
        };
        let factor = match &unit.kind {
            ast::ExprKind::Path(path) if path.len() == 1 => unit_ms(&path[0].name),
            _ => None,
        };
        let Some(factor) = factor else {
            return fail(unit.span, "this is no unit of time", crate::parser::UNITS);
        };
        let n_expr = self.expr(n)?;
        if !matches!(n_expr.data_type, DataType::Integer | DataType::BigInt) {
            return fail(n.span, format!("the amount is BIGINT, and this is {}", n_expr.data_type), write);
        }
        let n_expr = cast(n_expr, &DataType::BigInt);
        let factor = big_int(if subtract { -factor } else { factor });
        let ms = arithmetic(span, BinaryOp::Multiply, n_expr, factor)?;
        let at = self.expr(time)?;
        if at.data_type != DataType::Timestamp {
            return fail(time.span, format!("the time is TIMESTAMP, and this is {}", at.data_type), write);
        }
        Ok(call(Function::TimestampAdd, vec![ms, at], DataType::Timestamp))
    }
}

/// An expression that is written once and computed more than once, unless that makes it grow without measure.
fn twice(span: Span, expr: Expr) -> Res<Expr> {
    let (mut stack, mut size) = (vec![&expr], 0);
    while let Some(e) = stack.pop() {
        size += 1;
        if size > 500 {
            return fail(
                span,
                "this expression is too large here",
                "compute it in a sub-query, and name it there",
            );
        }
        stack.extend(children(e));
    }
    Ok(expr)
}

fn negate_if(negated: bool, expr: Expr) -> Expr {
    if negated { not(expr) } else { expr }
}

fn integer(span: Span, digits: &str) -> Res<Expr> {
    if let Ok(n) = digits.parse::<i32>() {
        return Ok(Expr::literal(Value::Integer(n), DataType::Integer));
    }
    match digits.parse::<i64>() {
        Ok(n) => Ok(Expr::literal(Value::BigInt(n), DataType::BigInt)),
        Err(_) => fail(span, format!("{digits} does not fit a BIGINT"), "write it as DOUBLE, with a point"),
    }
}

fn number(span: Span, digits: &str) -> Res<Expr> {
    match digits.parse::<f64>() {
        Ok(x) if x.is_finite() => Ok(Expr::literal(Value::Double(x), DataType::Double)),
        _ => fail(span, format!("{digits} does not fit a DOUBLE"), ""),
    }
}

fn calculate(span: Span, op: BinaryOp, sign: &str, left: Expr, right: Expr) -> Res<Expr> {
    let time = |e: &Expr| e.data_type == DataType::Timestamp;
    if op == BinaryOp::Subtract && time(&left) && time(&right) {
        return Ok(Expr::binary(op, left, right, DataType::BigInt));
    }
    for side in [&left, &right] {
        if !side.data_type.is_numeric() && !is_null(side) {
            let hint = match (&side.data_type, sign) {
                (DataType::Varchar, "+") => "|| joins texts; CAST(x AS BIGINT) makes a number of one",
                (DataType::Timestamp, "+" | "-") => "add an INTERVAL, as in ts + INTERVAL '1' HOUR",
                _ => "use CAST(x AS BIGINT) or CAST(x AS DOUBLE)",
            };
            let message = format!("{sign} takes numbers: {} {sign} {}", left.data_type, right.data_type);
            return Err(Fault::new(span, message, hint));
        }
    }
    let (left, right) = unify(span, "these cannot be calculated with", left, right)?;
    if !left.data_type.is_numeric() {
        return arithmetic(span, op, cast(left, &DataType::BigInt), cast(right, &DataType::BigInt));
    }
    arithmetic(span, op, left, right)
}

/// `struct->field`.
fn field(value: Expr, name: &ast::Ident) -> Res<Expr> {
    let DataType::Struct(fields) = &value.data_type else {
        let message = format!("{} is asked of {}, which has no fields", name.name, value.data_type);
        return fail(name.span, message, "-> and . pick a field of a STRUCT");
    };
    let Some(index) = fields.iter().position(|f| name.is(&f.name)) else {
        let hint = nearest_hint("fields", &name.name, fields.iter().map(|f| f.name.as_str()));
        return fail(name.span, format!("there is no field {}", name.name), hint);
    };
    let data_type = fields[index].data_type.clone();
    Ok(Expr { kind: ExprKind::Field { value: Box::new(value), index }, data_type })
}
