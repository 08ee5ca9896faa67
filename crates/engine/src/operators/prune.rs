//! The parts of a join's condition that can pass over rows without looking at them: conjuncts that compare an expression of the
//! left side only with one of the right side only.
//!
//! Values are encoded as 128 bits in the order of the type: exact for numbers and times, the first 16 bytes for strings. A
//! strict comparison is tested as its inclusive one. So a test is a necessary condition; the whole condition still decides.

use super::sorted_list::{Relation, Test};
use crate::error::EngineError;
use crate::expr::Compiled;
use arrow_array::types::{Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type};
use arrow_array::types::{Time32MillisecondType, TimestampMillisecondType};
use arrow_array::{Array, ArrayRef, cast::AsArray};
use arrow_schema::{DataType as ArrowType, TimeUnit};
use bd_sql::expr::{BinaryOp, Expr, ExprKind};

/// A side of a join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SideOf {
    Left,
    Right,
}

/// The expressions of both sides and how they relate.
pub(crate) struct Pruner {
    left: Vec<Compiled>,
    right: Vec<Compiled>,
    /// (left's place, right's place, how right must relate to left).
    relations: Vec<(usize, usize, Relation)>,
}

/// The encoded values of some rows: `stride` a row; `None`: NULL.
pub(crate) struct Values {
    columns: Vec<Vec<Option<u128>>>,
}

impl Values {
    /// A row's values as stored: NULL, which matches nothing, as 0.
    pub(crate) fn stored(&self, row: usize, into: &mut Vec<u128>) {
        into.clear();
        into.extend(self.columns.iter().map(|c| c[row].unwrap_or(0)));
    }
}

impl Pruner {
    /// What of `condition` (over `left_columns` columns of the left side, then the right's) can prune.
    pub(crate) fn new(condition: Option<&Expr>, left_columns: usize) -> Result<Self, EngineError> {
        let mut sides: [Vec<Expr>; 2] = [Vec::new(), Vec::new()];
        let mut relations = Vec::new();
        for conjunct in condition.map(conjuncts).unwrap_or_default() {
            let ExprKind::Binary { op, left, right } = &conjunct.kind else { continue };
            let relation = match op {
                BinaryOp::Less | BinaryOp::LessEq => Relation::AtLeast,
                BinaryOp::Greater | BinaryOp::GreaterEq => Relation::AtMost,
                BinaryOp::Eq => Relation::Equal,
                _ => continue,
            };
            if !encodable(&left.data_type.to_arrow()) || !same_order(left, right) {
                continue;
            }
            let (a, b, relation) = match (side(left, left_columns), side(right, left_columns)) {
                (Some(SideOf::Left), Some(SideOf::Right)) => (left, right, relation),
                (Some(SideOf::Right), Some(SideOf::Left)) => (right, left, flip(relation)),
                _ => continue,
            };
            let mut b = b.as_ref().clone();
            visit_mut(&mut b, &mut |place| *place -= left_columns);
            relations.push((add(&mut sides[0], a.as_ref().clone()), add(&mut sides[1], b), relation));
        }
        let compile = |exprs: &[Expr]| exprs.iter().map(Compiled::new).collect::<Result<Vec<_>, _>>();
        Ok(Self { left: compile(&sides[0])?, right: compile(&sides[1])?, relations })
    }

    /// The values of one side's rows.
    pub(crate) fn values(
        &self,
        of: SideOf,
        columns: &[ArrayRef],
        len: usize,
        errors: &mut u64,
    ) -> Result<Values, EngineError> {
        let exprs = if of == SideOf::Left { &self.left } else { &self.right };
        let encode_one = |e: &Compiled| Ok(encode(&e.eval(columns, len, errors)?));
        Ok(Values { columns: exprs.iter().map(encode_one).collect::<Result<_, EngineError>>()? })
    }

    /// The tests on the other side's stored rows for row `row` of side `of`; false: nothing can match it.
    pub(crate) fn tests(&self, of: SideOf, values: &Values, row: usize, into: &mut Vec<Test>) -> bool {
        into.clear();
        for (left, right, relation) in &self.relations {
            let (own, place, relation) = match of {
                SideOf::Left => (*left, *right, *relation),
                SideOf::Right => (*right, *left, flip(*relation)),
            };
            let Some(value) = values.columns[own][row] else { return false };
            into.push(Test { place, relation, value });
        }
        true
    }
}

fn add(exprs: &mut Vec<Expr>, expr: Expr) -> usize {
    exprs.iter().position(|e| *e == expr).unwrap_or_else(|| {
        exprs.push(expr);
        exprs.len() - 1
    })
}

fn flip(relation: Relation) -> Relation {
    match relation {
        Relation::AtLeast => Relation::AtMost,
        Relation::AtMost => Relation::AtLeast,
        Relation::Equal => Relation::Equal,
    }
}

/// The parts of an AND.
fn conjuncts(expr: &Expr) -> Vec<&Expr> {
    let mut parts = Vec::new();
    let mut open = vec![expr];
    while let Some(expr) = open.pop() {
        match &expr.kind {
            ExprKind::Binary { op: BinaryOp::And, left, right } => {
                open.extend([right.as_ref(), left.as_ref()])
            }
            _ => parts.push(expr),
        }
    }
    parts
}

/// Which side all of an expression's columns are of.
fn side(expr: &Expr, left_columns: usize) -> Option<SideOf> {
    let columns = columns_of(expr);
    if columns.is_empty() {
        return None;
    }
    match columns.iter().filter(|c| **c < left_columns).count() {
        0 => Some(SideOf::Right),
        n if n == columns.len() => Some(SideOf::Left),
        _ => None,
    }
}

/// The columns that an expression uses, each once.
pub(crate) fn columns_of(expr: &Expr) -> Vec<usize> {
    let mut columns = Vec::new();
    visit_mut(&mut expr.clone(), &mut |place| columns.push(*place));
    columns.sort_unstable();
    columns.dedup();
    columns
}

/// Calls `f` with the place of every column of an expression.
fn visit_mut(expr: &mut Expr, f: &mut dyn FnMut(&mut usize)) {
    let mut open = vec![expr];
    while let Some(expr) = open.pop() {
        match &mut expr.kind {
            ExprKind::Column(place) => f(place),
            ExprKind::Literal(_) => {}
            ExprKind::Binary { left, right, .. } => open.extend([left.as_mut(), right.as_mut()]),
            ExprKind::Not(x) | ExprKind::Negate(x) | ExprKind::IsNull(x) | ExprKind::Cast(x) => open.push(x),
            ExprKind::InList { value, list } => {
                open.push(value);
                open.extend(list);
            }
            ExprKind::Like { value, pattern, .. } => open.extend([value.as_mut(), pattern.as_mut()]),
            ExprKind::Case { branches, otherwise } => {
                open.extend(branches.iter_mut().flat_map(|(c, v)| [c, v]));
                open.extend(otherwise.iter_mut().map(|e| e.as_mut()));
            }
            ExprKind::Call { args, .. } => open.extend(args),
            ExprKind::Field { value, .. } => open.push(value),
            ExprKind::Index { value, index } => open.extend([value.as_mut(), index.as_mut()]),
        }
    }
}

/// Whether both encode to the same order: equal types, or integers and times as ms.
fn same_order(left: &Expr, right: &Expr) -> bool {
    let is_int = |t: &ArrowType| {
        matches!(t, ArrowType::Int32 | ArrowType::Int64 | ArrowType::Timestamp(TimeUnit::Millisecond, None))
    };
    let (left, right) = (left.data_type.to_arrow(), right.data_type.to_arrow());
    left == right || is_int(&left) && is_int(&right)
}

fn encodable(data_type: &ArrowType) -> bool {
    matches!(
        data_type,
        ArrowType::Int32
            | ArrowType::Int64
            | ArrowType::Float64
            | ArrowType::Decimal128(..)
            | ArrowType::Utf8
            | ArrowType::Binary
            | ArrowType::Date32
            | ArrowType::Time32(TimeUnit::Millisecond)
            | ArrowType::Timestamp(TimeUnit::Millisecond, None)
    )
}

const fn int(value: i64) -> u128 {
    (value as u64 ^ 1 << 63) as u128
}

fn double(value: f64) -> u128 {
    // +0.0 makes the zeros equal; NaN is the greatest.
    let bits = if value.is_nan() { f64::NAN.to_bits() & !(1 << 63) } else { (value + 0.0).to_bits() };
    u128::from(if bits >> 63 == 1 { !bits } else { bits | 1 << 63 })
}

fn prefix(bytes: &[u8]) -> u128 {
    let mut first = [0; 16];
    let n = bytes.len().min(16);
    first[..n].copy_from_slice(&bytes[..n]);
    u128::from_be_bytes(first)
}

/// Values in an order that keeps the type's; anything else as equal.
fn encode(array: &ArrayRef) -> Vec<Option<u128>> {
    let wide = |v: Option<i32>| v.map(|v| int(i64::from(v)));
    match array.data_type() {
        ArrowType::Int32 => array.as_primitive::<Int32Type>().iter().map(wide).collect(),
        ArrowType::Date32 => array.as_primitive::<Date32Type>().iter().map(wide).collect(),
        ArrowType::Time32(TimeUnit::Millisecond) => {
            array.as_primitive::<Time32MillisecondType>().iter().map(wide).collect()
        }
        ArrowType::Int64 => array.as_primitive::<Int64Type>().iter().map(|v| v.map(int)).collect(),
        ArrowType::Timestamp(TimeUnit::Millisecond, _) => {
            array.as_primitive::<TimestampMillisecondType>().iter().map(|v| v.map(int)).collect()
        }
        ArrowType::Float64 => array.as_primitive::<Float64Type>().iter().map(|v| v.map(double)).collect(),
        ArrowType::Decimal128(..) => {
            array.as_primitive::<Decimal128Type>().iter().map(|v| v.map(|v| v as u128 ^ 1 << 127)).collect()
        }
        ArrowType::Utf8 => array.as_string::<i32>().iter().map(|v| v.map(|v| prefix(v.as_bytes()))).collect(),
        ArrowType::Binary => array.as_binary::<i32>().iter().map(|v| v.map(prefix)).collect(),
        _ => vec![Some(0); array.len()],
    }
}
