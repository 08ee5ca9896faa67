//! From the typed expression to the compiled tree: types are checked, constants folded, patterns parsed.

use super::node::{Form, Kernel, Node};
use super::operand::Operand;
use super::{arithmetic, cast, compare, functions, like, literal, logic, nested};
use crate::error::EngineError;
use bd_schema::{DataType, Value};
use bd_sql::expr::{BinaryOp, Expr, ExprKind};

/// Compiles an expression.
///
/// # Errors
/// Types that do not agree, a wrong pattern, what is not supported.
pub(super) fn compile(expr: &Expr) -> Result<Node, EngineError> {
    let wanted = &expr.data_type;
    match &expr.kind {
        ExprKind::Column(index) => Ok(Node::new(Form::Column(*index), wanted.clone())),
        ExprKind::Literal(value) => constant(value, wanted),
        ExprKind::Binary { op, left, right } => binary(*op, compile(left)?, compile(right)?, wanted),
        ExprKind::Not(x) => {
            let x = condition(compile(x)?)?;
            Node::apply(logic::not(), vec![x], DataType::Boolean)
        }
        ExprKind::Negate(x) => {
            let x = coerce(compile(x)?, wanted)?;
            Node::apply(arithmetic::negate(wanted)?, vec![x], wanted.clone())
        }
        ExprKind::IsNull(x) => Node::apply(logic::is_null(), vec![compile(x)?], DataType::Boolean),
        ExprKind::InList { value, list } => in_list(compile(value)?, list),
        ExprKind::Like { value, pattern, escape } => {
            let args = vec![text(compile(value)?)?, text(compile(pattern)?)?];
            Node::apply(like::kernel(args[1].literal(), *escape)?, args, DataType::Boolean)
        }
        ExprKind::Case { branches, otherwise } => {
            let branches = branches
                .iter()
                .map(|(c, v)| Ok((condition(compile(c)?)?, coerce(compile(v)?, wanted)?)))
                .collect::<Result<Vec<_>, EngineError>>()?;
            let otherwise = match otherwise {
                Some(x) => Some(Box::new(coerce(compile(x)?, wanted)?)),
                None => None,
            };
            Node::new(Form::Case { branches, otherwise }, wanted.clone()).folded()
        }
        ExprKind::Cast(x) => cast_to(compile(x)?, wanted),
        ExprKind::Call { function, args } => {
            let args = args.iter().map(compile).collect::<Result<Vec<_>, _>>()?;
            functions::call(*function, args, wanted)
        }
        ExprKind::Field { value, index } => {
            let value = compile(value)?;
            let kernel = nested::field(&value.data_type, *index, wanted)?;
            Node::apply(kernel, vec![value], wanted.clone())
        }
        ExprKind::Index { value, index } => {
            let value = compile(value)?;
            let index = match &value.data_type {
                DataType::Map(_) => text(compile(index)?)?,
                _ => coerce(compile(index)?, &DataType::BigInt)?,
            };
            Node::apply(nested::index(&value.data_type, wanted)?, vec![value, index], wanted.clone())
        }
    }
}

/// A constant's node.
pub(super) fn constant(value: &Value, data_type: &DataType) -> Result<Node, EngineError> {
    let operand = Operand::scalar(literal::one(value, data_type)?);
    Ok(Node::new(Form::Literal(operand), data_type.clone()))
}

/// `CAST(x AS type)`.
pub(super) fn cast_to(node: Node, wanted: &DataType) -> Result<Node, EngineError> {
    if node.data_type == *wanted {
        return Ok(node);
    }
    if node.literal().is_some_and(Operand::is_null_scalar) {
        return constant(&Value::Null, wanted);
    }
    let kernel = cast::kernel(&node.data_type, wanted)?;
    Node::apply(kernel, vec![node], wanted.clone())
}

/// The operand as the type that an operation needs, where SQL widens to it without being told; NULL fits any type.
pub(super) fn coerce(node: Node, wanted: &DataType) -> Result<Node, EngineError> {
    let null = node.literal().is_some_and(Operand::is_null_scalar);
    let widens = match (&node.data_type, wanted) {
        (a, b) if a == b => return Ok(node),
        (DataType::Integer, DataType::BigInt | DataType::Double | DataType::Decimal(..)) => true,
        (DataType::BigInt, DataType::Double | DataType::Decimal(..) | DataType::Timestamp) => true,
        (DataType::Decimal(..), DataType::Double | DataType::Decimal(..)) => true,
        (DataType::Timestamp, DataType::BigInt) => true,
        (DataType::Array(_), DataType::Array(_)) | (DataType::Map(_), DataType::Map(_)) => true,
        (DataType::Struct(_), DataType::Struct(_)) => true,
        _ => false,
    };
    if !null && !widens {
        let found = &node.data_type;
        return Err(EngineError::Unsupported(format!("{found} where {wanted} is needed, without a CAST,")));
    }
    cast_to(node, wanted)
}

/// A condition.
pub(super) fn condition(node: Node) -> Result<Node, EngineError> {
    coerce(node, &DataType::Boolean)
}

/// A string.
pub(super) fn text(node: Node) -> Result<Node, EngineError> {
    coerce(node, &DataType::Varchar)
}

/// The type to which both sides of a comparison widen.
pub(super) fn common(a: &DataType, b: &DataType) -> Option<DataType> {
    use DataType::{BigInt, Decimal, Double, Integer, Timestamp};
    let digits = |t: &DataType| match t {
        Integer => Some((10i16, 0i16)),
        BigInt => Some((19, 0)),
        Decimal(precision, scale) => Some((i16::from(*precision), i16::from(*scale))),
        _ => None,
    };
    match (a, b) {
        (a, b) if a == b => Some(a.clone()),
        (Timestamp, BigInt | Integer) | (BigInt | Integer, Timestamp) => Some(BigInt),
        (Integer, BigInt) | (BigInt, Integer) => Some(BigInt),
        (Double, x) | (x, Double) if x.is_numeric() => Some(Double),
        (x, y) => {
            let ((p1, s1), (p2, s2)) = (digits(x)?, digits(y)?);
            let scale = s1.max(s2);
            let precision = ((p1 - s1).max(p2 - s2) + scale).clamp(1, 38);
            Some(Decimal(u8::try_from(precision).ok()?, i8::try_from(scale).ok()?))
        }
    }
}

/// Both sides of a comparison, of one type.
fn aligned(left: Node, right: Node) -> Result<(Node, Node), EngineError> {
    let null = |n: &Node| n.literal().is_some_and(Operand::is_null_scalar);
    let wanted = if null(&right) {
        left.data_type.clone()
    } else if null(&left) {
        right.data_type.clone()
    } else {
        common(&left.data_type, &right.data_type).ok_or_else(|| {
            let (l, r) = (&left.data_type, &right.data_type);
            EngineError::Unsupported(format!("a comparison of {l} with {r}"))
        })?
    };
    // INTEGER reaches a comparison with TIMESTAMP as BIGINT; both widen without failing.
    Ok((cast_to(left, &wanted)?, cast_to(right, &wanted)?))
}

fn binary(op: BinaryOp, left: Node, right: Node, wanted: &DataType) -> Result<Node, EngineError> {
    match op {
        BinaryOp::And | BinaryOp::Or => {
            let (left, right) = (Box::new(condition(left)?), Box::new(condition(right)?));
            Node::new(Form::Logic { or: op == BinaryOp::Or, left, right }, DataType::Boolean).folded()
        }
        BinaryOp::Add | BinaryOp::Subtract | BinaryOp::Multiply | BinaryOp::Divide | BinaryOp::Modulo => {
            let as_decimal = |node: Node| match node.data_type {
                DataType::Decimal(..) => Ok(node),
                DataType::Integer => cast_to(node, &DataType::Decimal(10, 0)),
                _ => coerce(node, &DataType::Decimal(19, 0)),
            };
            let (left, right) = match wanted {
                // Times are computed as their milliseconds.
                DataType::Timestamp => (coerce(left, &DataType::BigInt)?, coerce(right, &DataType::BigInt)?),
                DataType::Decimal(..) => (as_decimal(left)?, as_decimal(right)?),
                _ => (coerce(left, wanted)?, coerce(right, wanted)?),
            };
            let kernel = arithmetic::kernel(op, [&left.data_type, &right.data_type], wanted)?;
            Node::apply(kernel, vec![left, right], wanted.clone())
        }
        BinaryOp::IsDistinctFrom => {
            let (left, right) = aligned(left, right)?;
            Node::apply(compare::is_distinct(), vec![left, right], DataType::Boolean)
        }
        _ => {
            let (left, right) = aligned(left, right)?;
            Node::apply(compare::comparison(op), vec![left, right], DataType::Boolean)
        }
    }
}

fn in_list(value: Node, list: &[Expr]) -> Result<Node, EngineError> {
    let wanted = value.data_type.clone();
    let list =
        list.iter().map(|item| coerce(compile(item)?, &wanted)).collect::<Result<Vec<_>, EngineError>>()?;
    let constants: Option<Vec<Operand>> = list.iter().map(|n| n.literal().cloned()).collect();
    if let Some(constants) = constants
        && let Some(kernel) = compare::in_set(&wanted, &constants)?
    {
        return Node::apply(kernel, vec![value], DataType::Boolean);
    }
    let kernel: Kernel = compare::in_operands();
    let args = std::iter::once(value).chain(list).collect();
    Node::apply(kernel, args, DataType::Boolean)
}
