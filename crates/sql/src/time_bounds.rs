//! How far the value of an expression may lie behind the watermark, by tracing it to the event time.
//!
//! ```text
//! FORMAT_TIMESTAMP(FROM_UNIXTIME(next_ts * 1000), 'yyyy-MM-dd''T''HH:mm:ssX')
//!   next_ts = LEAD(action_ts)         seconds, lag of the input: the row comes out when the watermark passes the next row
//!   next_ts * 1000                    ms, still a multiple of 1000
//!   FORMAT_TIMESTAMP(.., '..ssX')     text to the second: nothing is cut off
//! ```

use crate::analyzer::optimize::not_true;
use crate::catalog::TimeFormat;
use crate::expr::{BinaryOp, Expr, ExprKind, Function};
use crate::patterns;
use crate::plan::{JoinKind, Node, Plan, WindowFunctionKind};
use bd_schema::{DataType, Value};

/// A lag without a bound.
pub(crate) const UNBOUNDED: i64 = i64::MAX;

/// How a bounded value stands for an instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unit {
    Millis,
    Seconds,
    /// By a pattern.
    Text(String),
}

impl Unit {
    fn ms(&self) -> i64 {
        if *self == Unit::Seconds { 1000 } else { 1 }
    }
}

/// What is known of a value, read as an instant in ms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bound {
    pub(crate) unit: Unit,
    /// It is at least watermark - `lag`; [`UNBOUNDED`] where that is not known.
    pub(crate) lag: i64,
    /// It is at least its row's event time - `behind`; [`UNBOUNDED`] where that is not known.
    pub(crate) behind: i64,
    /// It is a multiple of so many ms.
    pub(crate) grain: i64,
    /// It may be NULL.
    pub(crate) nullable: bool,
    /// It is its row's event time.
    pub(crate) exact: bool,
    /// A text that sorts as its instants do.
    pub(crate) sortable: bool,
}

impl Bound {
    fn event_time(unit: Unit, grain: i64) -> Self {
        Self { unit, lag: 0, behind: 0, grain, nullable: false, exact: true, sortable: false }
    }

    /// The value plus `ms`.
    fn shift(mut self, ms: i64) -> Self {
        self.lag = plus(self.lag, -ms);
        self.behind = plus(self.behind, -ms);
        self.grain = gcd(self.grain, ms);
        self.exact &= ms == 0;
        self
    }

    /// The value cut to a multiple of `ms` (instants since 1970).
    fn cut(mut self, ms: i64) -> Self {
        if self.grain % ms != 0 {
            let lost = ms - gcd(self.grain, ms);
            self.lag = plus(self.lag, lost);
            self.behind = plus(self.behind, lost);
            self.exact = false;
            self.grain = ms;
        }
        self
    }
}

/// Addition that keeps [`UNBOUNDED`].
pub(crate) fn plus(lag: i64, by: i64) -> i64 {
    if lag == UNBOUNDED { UNBOUNDED } else { lag.saturating_add(by) }
}

fn gcd(a: i64, b: i64) -> i64 {
    let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    i64::try_from(a).unwrap_or(1).max(1)
}

/// The bound of an output column of a stream's plan.
pub(crate) fn of_column(plan: &Plan, column: usize) -> Option<Bound> {
    plan.time?;
    match &plan.node {
        Node::StreamScan { source, columns } => {
            let spec = source.timestamp.as_ref();
            let (unit, grain) = match spec.map(|s| &s.format) {
                None | Some(TimeFormat::EpochMillis) => (Unit::Millis, 1),
                Some(TimeFormat::EpochSeconds) => (Unit::Seconds, 1000),
                Some(TimeFormat::Pattern(p)) => {
                    (Unit::Text(p.clone()), patterns::precision_ms(p).unwrap_or(1))
                }
            };
            match columns.get(column) {
                None => Some(Bound::event_time(Unit::Millis, grain)),
                Some(c) if spec.is_some_and(|s| s.column == *c) => Some(Bound::event_time(unit, grain)),
                Some(_) => None,
            }
        }
        Node::TableScan { .. } | Node::Aggregate { .. } => None,
        Node::Project { input, exprs } => {
            let time = plan.time?;
            let mut bound = of_expr(&exprs[column], input)?;
            let passed_on = match exprs[time].kind {
                ExprKind::Column(c) if input.time == Some(c) => true,
                _ => of_expr(&exprs[time], input).is_some_and(|b| b.exact),
            };
            if !passed_on {
                // The event time is another one from here on.
                bound.exact = exprs[column] == exprs[time];
                bound.behind = if bound.exact { 0 } else { UNBOUNDED };
            }
            Some(bound)
        }
        Node::Filter { input, predicate, counted } => {
            let mut bound = of_column(input, column)?;
            // A condition that NULL does not meet leaves none.
            bound.nullable &= !predicate.iter().chain(counted).any(|p| not_true(p, &[column]));
            Some(bound)
        }
        Node::Unnest { input, .. } => within(input, column).and_then(|c| of_column(input, c)),
        Node::LeadLag { input, functions, .. } => match within(input, column) {
            Some(c) => {
                // The row was held back: what is known is known by its own time.
                let bound = of_column(input, c)?;
                Some(Bound { lag: plus_both(plan.lag_ms, bound.behind), ..bound })
            }
            None => {
                let function = &functions[column - input.columns.len()];
                let of = of_column(input, function.column)?;
                let leads = function.kind == WindowFunctionKind::Lead && of.exact;
                leads.then_some(Bound { lag: input.lag_ms, behind: 0, nullable: true, exact: false, ..of })
            }
        },
        Node::TableJoin { left, .. } => within(left, column).and_then(|c| of_column(left, c)),
        Node::IntervalJoin { left, right, kind, before_ms, after_ms, .. } => {
            // A row is held until its partner comes: left.time >= right.time - after_ms >= W - Lr - after_ms, and likewise
            // for right rows. The pair's time is the greater one.
            if let Some(c) = within(left, column) {
                let bound = of_column(left, c)?;
                let reach = (*after_ms).max(0);
                let lag = left.lag_ms.max(plus(right.lag_ms, reach));
                return held(bound, lag, reach, matches!(kind, JoinKind::Right | JoinKind::Full));
            }
            let column = column - left.columns.len();
            if let Some(c) = within(right, column) {
                let bound = of_column(right, c)?;
                let reach = (*before_ms).max(0);
                let lag = right.lag_ms.max(plus(left.lag_ms, reach));
                return held(bound, lag, reach, matches!(kind, JoinKind::Left | JoinKind::Full));
            }
            Some(Bound { lag: plan.lag_ms, ..Bound::event_time(Unit::Millis, 1) })
        }
    }
}

fn within(input: &Plan, column: usize) -> Option<usize> {
    (column < input.columns.len()).then_some(column)
}

fn plus_both(a: i64, b: i64) -> i64 {
    if b == UNBOUNDED { UNBOUNDED } else { plus(a, b) }
}

/// What is known of a joined row's value by its own row's time.
fn held(bound: Bound, lag: i64, reach: i64, nullable: bool) -> Option<Bound> {
    (bound.behind != UNBOUNDED).then(|| Bound {
        lag: plus_both(lag, bound.behind),
        behind: plus(bound.behind, reach),
        nullable: bound.nullable || nullable,
        exact: false,
        ..bound
    })
}

/// The whole number that an expression is, if it is one.
pub(crate) fn constant(expr: &Expr) -> Option<i64> {
    match &expr.kind {
        ExprKind::Literal(Value::Integer(n)) => Some(i64::from(*n)),
        ExprKind::Literal(Value::BigInt(n)) => Some(*n),
        _ => None,
    }
}

/// The text that an expression is, if it is one.
pub(crate) fn text(expr: &Expr) -> Option<&str> {
    match &expr.kind {
        ExprKind::Literal(Value::Varchar(text)) => Some(text),
        _ => None,
    }
}

/// The bound of an expression over a plan's columns.
pub(crate) fn of_expr(expr: &Expr, input: &Plan) -> Option<Bound> {
    match &expr.kind {
        ExprKind::Column(c) => of_column(input, *c),
        ExprKind::Cast(inner) => {
            let mut bound = of_expr(inner, input)?;
            bound.nullable |= expr.data_type == DataType::Integer;
            let whole =
                |t: &DataType| matches!(t, DataType::Integer | DataType::BigInt | DataType::Timestamp);
            (whole(&expr.data_type) && whole(&inner.data_type)).then_some(bound)
        }
        ExprKind::Binary { op, left, right } => arithmetic(*op, left, right, input),
        ExprKind::Case { branches, otherwise } => {
            let mut bounds: Vec<Bound> = Vec::new();
            for (_, result) in branches {
                bounds.push(of_expr(result, input)?);
            }
            let open = otherwise.is_none();
            if let Some(result) = otherwise {
                bounds.push(of_expr(result, input)?);
            }
            let mut bound = worst(bounds)?;
            bound.nullable |= open;
            Some(bound)
        }
        ExprKind::Call { function, args } => call(*function, args, input),
        _ => None,
    }
}

fn arithmetic(op: BinaryOp, left: &Expr, right: &Expr, input: &Plan) -> Option<Bound> {
    if let (BinaryOp::Add | BinaryOp::Multiply, Some(_)) = (op, constant(left)) {
        return arithmetic(op, right, left, input);
    }
    let number = constant(right)?;
    let mut bound = of_expr(left, input)?;
    if matches!(bound.unit, Unit::Text(_)) {
        return None;
    }
    match op {
        BinaryOp::Add => Some(number.checked_mul(bound.unit.ms()).map(|ms| bound.shift(ms))?),
        BinaryOp::Subtract => Some(number.checked_mul(-bound.unit.ms()).map(|ms| bound.shift(ms))?),
        BinaryOp::Multiply if number == 1000 && bound.unit == Unit::Seconds => {
            bound.unit = Unit::Millis;
            Some(bound)
        }
        BinaryOp::Divide if number == 1000 && bound.unit == Unit::Millis => {
            bound.unit = Unit::Seconds;
            Some(bound.cut(1000))
        }
        _ => None,
    }
}

fn call(function: Function, args: &[Expr], input: &Plan) -> Option<Bound> {
    match function {
        Function::FromUnixtime | Function::UnixTimestamp => {
            of_expr(args.first()?, input).filter(|b| b.unit == Unit::Millis)
        }
        Function::TimestampAdd => {
            let ms = constant(args.first()?)?;
            Some(of_expr(args.get(1)?, input).filter(|b| b.unit == Unit::Millis)?.shift(ms))
        }
        Function::FormatTimestamp => {
            let bound = of_expr(args.first()?, input).filter(|b| b.unit == Unit::Millis)?;
            let pattern = text(args.get(1)?)?;
            let utc = match args.get(2) {
                None => true,
                Some(zone) => matches!(text(zone), Some("UTC" | "Z" | "+00:00")),
            };
            if !utc && !patterns::has_zone(pattern) {
                return None;
            }
            let mut bound = bound.cut(patterns::precision_ms(pattern)?);
            bound.unit = Unit::Text(pattern.to_string());
            bound.sortable = utc && patterns::sortable(pattern);
            Some(bound)
        }
        Function::ParseTimestamp => {
            let mut bound = of_expr(args.first()?, input)?;
            let pattern = text(args.get(1)?)?;
            if bound.unit != Unit::Text(pattern.to_string())
                || (args.len() > 2 && !patterns::has_zone(pattern))
            {
                return None;
            }
            bound.unit = Unit::Millis;
            Some(bound)
        }
        Function::Coalesce => {
            let mut bounds = Vec::new();
            for arg in args {
                let bound = of_expr(arg, input)?;
                let last = !bound.nullable;
                bounds.push(bound);
                if last {
                    break;
                }
            }
            let nullable = bounds.iter().all(|b| b.nullable);
            worst(bounds).map(|b| Bound { nullable, ..b })
        }
        Function::Least => {
            let bounds = args.iter().map(|a| of_expr(a, input)).collect::<Option<Vec<_>>>()?;
            let nullable = bounds.iter().all(|b| b.nullable);
            worst(bounds).map(|b| Bound { nullable, ..b })
        }
        Function::Greatest => greatest(args, input),
        _ => None,
    }
}

/// At least each argument that is surely there; and at least the worst of all, when all have a bound.
fn greatest(args: &[Expr], input: &Plan) -> Option<Bound> {
    let bounds: Vec<Option<Bound>> = args.iter().map(|a| of_expr(a, input)).collect();
    let all: Option<Vec<Bound>> = bounds.iter().cloned().collect();
    let nullable = bounds.iter().all(|b| b.as_ref().is_none_or(|b| b.nullable));
    let mut best = all.and_then(worst).map(|b| Bound { nullable, ..b });
    // A text by which an argument sorts must be of the same form in all, which is known only where all have a bound.
    let comparable = |b: &Bound| !matches!(b.unit, Unit::Text(_)) || (b.sortable && best.is_some());
    let sure: Vec<Bound> = bounds.into_iter().flatten().filter(|b| !b.nullable && comparable(b)).collect();
    for bound in sure {
        best = Some(match best {
            Some(b) if b.unit == bound.unit => Bound {
                lag: b.lag.min(bound.lag),
                behind: b.behind.min(bound.behind),
                grain: gcd(b.grain, bound.grain),
                nullable: false,
                exact: false,
                sortable: b.sortable && bound.sortable,
                unit: b.unit,
            },
            Some(b) => b,
            None => Bound { grain: 1, exact: false, ..bound },
        });
    }
    best
}

/// What holds for each of the bounds; `None` where their units differ.
fn worst(bounds: Vec<Bound>) -> Option<Bound> {
    let mut bounds = bounds.into_iter();
    let mut all = bounds.next()?;
    for b in bounds {
        if b.unit != all.unit {
            return None;
        }
        all.lag = all.lag.max(b.lag);
        all.behind = all.behind.max(b.behind);
        all.grain = gcd(all.grain, b.grain);
        all.nullable |= b.nullable;
        all.exact &= b.exact;
        all.sortable &= b.sortable;
    }
    Some(all)
}
