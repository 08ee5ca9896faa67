//! Types of operands: widening, casts, constant folding.

use crate::error::{Fault, Res, Span, fail};
use crate::expr::{BinaryOp, Expr, ExprKind, Function};
use bd_schema::{DataType, Value};

/// Whether it is the literal NULL, which takes any type.
pub(crate) fn is_null(expr: &Expr) -> bool {
    matches!(expr.kind, ExprKind::Literal(Value::Null))
}

pub(crate) fn big_int(value: i64) -> Expr {
    Expr::literal(Value::BigInt(value), DataType::BigInt)
}

pub(crate) fn call(function: Function, args: Vec<Expr>, data_type: DataType) -> Expr {
    Expr { kind: ExprKind::Call { function, args }, data_type }
}

pub(crate) fn not(expr: Expr) -> Expr {
    Expr { kind: ExprKind::Not(Box::new(expr)), data_type: DataType::Boolean }
}

pub(crate) fn is_null_test(expr: Expr) -> Expr {
    Expr { kind: ExprKind::IsNull(Box::new(expr)), data_type: DataType::Boolean }
}

pub(crate) fn boolean(op: BinaryOp, left: Expr, right: Expr) -> Expr {
    Expr::binary(op, left, right, DataType::Boolean)
}

/// All of the conditions as one; `None` of none.
pub(crate) fn all_of(conditions: Vec<Expr>) -> Option<Expr> {
    conditions.into_iter().reduce(|a, b| boolean(BinaryOp::And, a, b))
}

/// The conjuncts of a condition.
pub(crate) fn conjuncts(expr: Expr, out: &mut Vec<Expr>) {
    match expr.kind {
        ExprKind::Binary { op: BinaryOp::And, left, right } => {
            conjuncts(*left, out);
            conjuncts(*right, out);
        }
        kind => out.push(Expr { kind, ..expr }),
    }
}

/// The type that both widen to.
pub(crate) fn common(a: &DataType, b: &DataType) -> Option<DataType> {
    use DataType::{BigInt, Date, Decimal, Double, Integer, Timestamp};
    Some(match (a, b) {
        _ if a == b => a.clone(),
        (Integer, BigInt) | (BigInt, Integer) => BigInt,
        (Double, x) | (x, Double) if x.is_numeric() => Double,
        (Decimal(p, s), Decimal(q, t)) => {
            let whole = (i16::from(*p) - i16::from(*s)).max(i16::from(*q) - i16::from(*t));
            let scale = (*s).max(*t);
            Decimal(u8::try_from((whole + i16::from(scale)).min(38)).unwrap_or(38), scale)
        }
        (Decimal(..), x) | (x, Decimal(..)) if x.is_numeric() => {
            let digits = if *x == Integer { 10 } else { 19 };
            let decimal = if matches!(a, Decimal(..)) { a } else { b };
            return common(decimal, &Decimal(digits, 0));
        }
        (Timestamp, BigInt | Integer) | (BigInt | Integer, Timestamp) => BigInt,
        (Timestamp, Date) | (Date, Timestamp) => Timestamp,
        _ => return None,
    })
}

/// Both in their common type, or a fault that names both types.
pub(crate) fn unify(span: Span, what: &str, left: Expr, right: Expr) -> Res<(Expr, Expr)> {
    if is_null(&left) || is_null(&right) {
        let data_type = if is_null(&left) { right.data_type.clone() } else { left.data_type.clone() };
        return Ok((cast(left, &data_type), cast(right, &data_type)));
    }
    let (left, right) = decimal_literals(left, right);
    match common(&left.data_type, &right.data_type) {
        Some(data_type) => Ok((cast(left, &data_type), cast(right, &data_type))),
        None => Err(mismatch(span, what, &left.data_type, &right.data_type)),
    }
}

/// `1.5` beside a DECIMAL is a DECIMAL.
fn decimal_literals(left: Expr, right: Expr) -> (Expr, Expr) {
    let exact = |literal: Expr, other: &Expr| match (&literal.kind, &other.data_type) {
        (ExprKind::Literal(Value::Double(x)), DataType::Decimal(..)) => decimal_of(*x).unwrap_or(literal),
        _ => literal,
    };
    let left = exact(left, &right);
    let right = exact(right, &left);
    (left, right)
}

fn decimal_of(x: f64) -> Option<Expr> {
    let text = format!("{x}");
    let digits = text.trim_start_matches('-').split_once('.').map_or(0, |(_, f)| f.len());
    let unscaled: i128 = text.replace('.', "").parse().ok()?;
    let precision = text.chars().filter(char::is_ascii_digit).count();
    let data_type = DataType::Decimal(u8::try_from(precision).ok()?, i8::try_from(digits).ok()?);
    (precision <= 38).then(|| Expr::literal(Value::Decimal(unscaled), data_type))
}

pub(crate) fn mismatch(span: Span, what: &str, left: &DataType, right: &DataType) -> Fault {
    let hint = match (left, right) {
        (DataType::Timestamp, DataType::Varchar) | (DataType::Varchar, DataType::Timestamp) => {
            "turn the text into a time with PARSE_TIMESTAMP(text, 'yyyy-MM-dd HH:mm:ss')".to_string()
        }
        (DataType::Varchar, other) | (other, DataType::Varchar) => format!("use CAST(x AS {other})"),
        _ => "use CAST(x AS type) to make them one type".to_string(),
    };
    Fault::new(span, format!("{what}: one side is {left}, the other {right}"), hint)
}

/// All in their common type.
pub(crate) fn unify_all(span: Span, what: &str, exprs: Vec<Expr>) -> Res<(Vec<Expr>, DataType)> {
    let mut data_type: Option<DataType> = None;
    for expr in exprs.iter().filter(|e| !is_null(e)) {
        data_type = Some(match data_type {
            None => expr.data_type.clone(),
            Some(t) => {
                common(&t, &expr.data_type).ok_or_else(|| mismatch(span, what, &t, &expr.data_type))?
            }
        });
    }
    let data_type = data_type.unwrap_or(DataType::Varchar);
    Ok((exprs.into_iter().map(|e| cast(e, &data_type)).collect(), data_type))
}

/// The expression in another type; a literal is converted here. The pair of types must be castable.
pub(crate) fn cast(expr: Expr, to: &DataType) -> Expr {
    if expr.data_type == *to {
        return expr;
    }
    if let ExprKind::Literal(value) = &expr.kind
        && let Some(value) = cast_value(value, to)
    {
        return Expr::literal(value, to.clone());
    }
    match (&expr.data_type, to) {
        (DataType::Timestamp, DataType::BigInt) => {
            call(Function::UnixTimestamp, vec![expr], DataType::BigInt)
        }
        (DataType::BigInt, DataType::Timestamp) => {
            call(Function::FromUnixtime, vec![expr], DataType::Timestamp)
        }
        (DataType::Integer, DataType::Timestamp) => cast(cast(expr, &DataType::BigInt), to),
        _ => Expr { kind: ExprKind::Cast(Box::new(expr)), data_type: to.clone() },
    }
}

/// A constant in another type, where that is exact and needs no rule of texts.
fn cast_value(value: &Value, to: &DataType) -> Option<Value> {
    let whole = match value {
        Value::Null => return Some(Value::Null),
        Value::Integer(n) => i64::from(*n),
        Value::BigInt(n) => *n,
        _ => return None,
    };
    match to {
        DataType::Integer => i32::try_from(whole).ok().map(Value::Integer),
        DataType::BigInt => Some(Value::BigInt(whole)),
        // Exact up to 2^53; beyond, the row's cast decides.
        DataType::Double => (whole.unsigned_abs() <= 1 << 53).then_some(Value::Double(whole as f64)),
        DataType::Decimal(p, s) => {
            let unscaled = i128::from(whole).checked_mul(10i128.checked_pow(u32::try_from(*s).ok()?)?)?;
            (unscaled.unsigned_abs() < 10u128.checked_pow(u32::from(*p))?).then_some(Value::Decimal(unscaled))
        }
        _ => None,
    }
}

/// Whether CAST knows the pair.
pub(crate) fn castable(from: &DataType, to: &DataType) -> bool {
    use DataType::{BigInt, Boolean, Bytes, Date, Integer, Time, Timestamp, Varchar};
    match (from, to) {
        _ if from == to => true,
        (a, b) if a.is_numeric() && b.is_numeric() => true,
        (Varchar, Boolean | Date | Time | Timestamp | Bytes) => true,
        (Varchar, b) => b.is_numeric(),
        (Boolean | Date | Time | Timestamp, Varchar) => true,
        (a, Varchar) => a.is_numeric(),
        (Timestamp, BigInt | Date | Time) | (BigInt | Integer | Date, Timestamp) => true,
        _ => false,
    }
}

/// `left op right` of one numeric type; constants are computed.
pub(crate) fn arithmetic(span: Span, op: BinaryOp, left: Expr, right: Expr) -> Res<Expr> {
    let data_type = match (&left.data_type, &right.data_type) {
        (DataType::Decimal(p, s), _) => decimal_result(op, i16::from(*p), i16::from(*s)),
        (t, _) => t.clone(),
    };
    if let (ExprKind::Literal(a), ExprKind::Literal(b)) = (&left.kind, &right.kind)
        && let Some(result) = fold(op, a, b)
    {
        let value = result.map_err(|message| {
            Fault::new(
                span,
                format!("{message} in {data_type}"),
                "write one of them as CAST(x AS BIGINT) or as DOUBLE (1.0)",
            )
        })?;
        return Ok(Expr::literal(value, data_type));
    }
    Ok(Expr::binary(op, left, right, data_type))
}

/// The type of an operation on two DECIMAL(p, s), as in ksqlDB.
fn decimal_result(op: BinaryOp, p: i16, s: i16) -> DataType {
    let (precision, scale) = match op {
        BinaryOp::Add | BinaryOp::Subtract => (p + 1, s),
        BinaryOp::Multiply => (2 * p + 1, 2 * s),
        BinaryOp::Divide => {
            let scale = (s + p + 1).max(6);
            (p + scale, scale)
        }
        _ => (p, s),
    };
    let precision = precision.min(38);
    DataType::Decimal(u8::try_from(precision).unwrap_or(38), i8::try_from(scale.min(precision)).unwrap_or(38))
}

/// Two constants of one type; `None` where the row's rules decide.
fn fold(op: BinaryOp, a: &Value, b: &Value) -> Option<Result<Value, &'static str>> {
    let whole = |a: i64, b: i64| match op {
        BinaryOp::Add => a.checked_add(b),
        BinaryOp::Subtract => a.checked_sub(b),
        BinaryOp::Multiply => a.checked_mul(b),
        BinaryOp::Divide => a.checked_div(b),
        BinaryOp::Modulo => a.checked_rem(b),
        _ => None,
    };
    let zero = matches!(op, BinaryOp::Divide | BinaryOp::Modulo);
    let overflow = "the constant is out of range";
    Some(match (a, b) {
        (Value::Integer(_), Value::Integer(0)) | (Value::BigInt(_), Value::BigInt(0)) if zero => {
            Err("division of a constant by zero")
        }
        (Value::Integer(a), Value::Integer(b)) => whole(i64::from(*a), i64::from(*b))
            .and_then(|n| i32::try_from(n).ok())
            .map(Value::Integer)
            .ok_or(overflow),
        (Value::BigInt(a), Value::BigInt(b)) => whole(*a, *b).map(Value::BigInt).ok_or(overflow),
        (Value::Double(a), Value::Double(b)) => Ok(Value::Double(match op {
            BinaryOp::Add => a + b,
            BinaryOp::Subtract => a - b,
            BinaryOp::Multiply => a * b,
            BinaryOp::Divide if *b != 0.0 => a / b,
            _ => return None,
        })),
        _ => return None,
    })
}

/// `-x`; a constant is computed.
pub(crate) fn negate(span: Span, expr: Expr) -> Res<Expr> {
    if !expr.data_type.is_numeric() && !is_null(&expr) {
        return fail(
            span,
            format!("- needs a number, and this is {}", expr.data_type),
            "use CAST(x AS BIGINT)",
        );
    }
    let value = match &expr.kind {
        ExprKind::Literal(Value::Integer(n)) => n.checked_neg().map(Value::Integer),
        ExprKind::Literal(Value::BigInt(n)) => n.checked_neg().map(Value::BigInt),
        ExprKind::Literal(Value::Double(x)) => Some(Value::Double(-x)),
        _ => None,
    };
    let data_type = expr.data_type.clone();
    Ok(match value {
        Some(value) => Expr::literal(value, data_type),
        None => Expr { kind: ExprKind::Negate(Box::new(expr)), data_type },
    })
}

/// Calls `f` with each column that the expression reads.
pub(crate) fn each_column(expr: &Expr, f: &mut impl FnMut(usize)) {
    if let ExprKind::Column(c) = expr.kind {
        f(c);
    }
    for child in children(expr) {
        each_column(child, f);
    }
}

/// The expressions directly below.
pub(crate) fn children(expr: &Expr) -> Vec<&Expr> {
    match &expr.kind {
        ExprKind::Column(_) | ExprKind::Literal(_) => Vec::new(),
        ExprKind::Binary { left, right, .. } => vec![left, right],
        ExprKind::Not(x) | ExprKind::Negate(x) | ExprKind::IsNull(x) | ExprKind::Cast(x) => vec![x],
        ExprKind::InList { value, list } => std::iter::once(value.as_ref()).chain(list).collect(),
        ExprKind::Like { value, pattern, .. } => vec![value, pattern],
        ExprKind::Case { branches, otherwise } => {
            branches.iter().flat_map(|(c, v)| [c, v]).chain(otherwise.as_deref()).collect()
        }
        ExprKind::Call { args, .. } => args.iter().collect(),
        ExprKind::Field { value, .. } => vec![value],
        ExprKind::Index { value, index } => vec![value, index],
    }
}

/// The expression with each column replaced.
pub(crate) fn replace_columns(expr: &Expr, f: &impl Fn(usize, &DataType) -> Expr) -> Expr {
    let go = |e: &Expr| replace_columns(e, f);
    let boxed = |e: &Expr| Box::new(replace_columns(e, f));
    let kind = match &expr.kind {
        ExprKind::Column(c) => return f(*c, &expr.data_type),
        ExprKind::Literal(v) => ExprKind::Literal(v.clone()),
        ExprKind::Binary { op, left, right } => {
            ExprKind::Binary { op: *op, left: boxed(left), right: boxed(right) }
        }
        ExprKind::Not(x) => ExprKind::Not(boxed(x)),
        ExprKind::Negate(x) => ExprKind::Negate(boxed(x)),
        ExprKind::IsNull(x) => ExprKind::IsNull(boxed(x)),
        ExprKind::Cast(x) => ExprKind::Cast(boxed(x)),
        ExprKind::InList { value, list } => {
            ExprKind::InList { value: boxed(value), list: list.iter().map(go).collect() }
        }
        ExprKind::Like { value, pattern, escape } => {
            ExprKind::Like { value: boxed(value), pattern: boxed(pattern), escape: *escape }
        }
        ExprKind::Case { branches, otherwise } => ExprKind::Case {
            branches: branches.iter().map(|(c, v)| (go(c), go(v))).collect(),
            otherwise: otherwise.as_ref().map(|e| boxed(e)),
        },
        ExprKind::Call { function, args } => {
            ExprKind::Call { function: *function, args: args.iter().map(go).collect() }
        }
        ExprKind::Field { value, index } => ExprKind::Field { value: boxed(value), index: *index },
        ExprKind::Index { value, index } => ExprKind::Index { value: boxed(value), index: boxed(index) },
    };
    Expr { kind, data_type: expr.data_type.clone() }
}
