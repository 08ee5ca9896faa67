//! The compiled tree and how it is evaluated.

use super::operand::{Failures, Operand};
use super::{conditional, logic};
use crate::error::EngineError;
use arrow_array::{Array, ArrayRef, BooleanArray};
use arrow_buffer::BooleanBuffer;
use arrow_schema::{ArrowError, DataType as ArrowType};
use arrow_select::filter::FilterBuilder;
use bd_schema::DataType;

/// What runs over whole operands: one value a row, failed rows marked. With scalar operands only, `len` is one.
pub(super) type Run =
    Box<dyn Fn(&[Operand], usize, &mut Failures) -> Result<ArrayRef, EngineError> + Send + Sync>;

/// An operation that always evaluates all of its operands.
pub(super) struct Kernel {
    pub(super) run: Run,
    /// Whether it can mark a row as failed.
    pub(super) can_fail: bool,
    /// Whether a NULL operand makes the result NULL.
    pub(super) strict: bool,
}

impl Kernel {
    /// NULL for a NULL operand; never fails.
    pub(super) fn total(
        run: impl Fn(&[Operand], usize, &mut Failures) -> Result<ArrayRef, EngineError> + Send + Sync + 'static,
    ) -> Self {
        Self { run: Box::new(run), can_fail: false, strict: true }
    }

    /// NULL for a NULL operand; can fail.
    pub(super) fn partial(
        run: impl Fn(&[Operand], usize, &mut Failures) -> Result<ArrayRef, EngineError> + Send + Sync + 'static,
    ) -> Self {
        Self { run: Box::new(run), can_fail: true, strict: true }
    }

    /// Handles NULL operands itself; never fails.
    pub(super) fn lenient(
        run: impl Fn(&[Operand], usize, &mut Failures) -> Result<ArrayRef, EngineError> + Send + Sync + 'static,
    ) -> Self {
        Self { run: Box::new(run), can_fail: false, strict: false }
    }
}

/// A compiled expression.
pub(super) struct Node {
    pub(super) form: Form,
    pub(super) data_type: DataType,
    /// Whether a row can fail: such a node is evaluated only for the rows that need it.
    pub(super) can_fail: bool,
    /// The columns that it reads.
    columns: Vec<usize>,
}

/// The forms: those that choose what to evaluate, and all others.
pub(super) enum Form {
    /// A column of the input.
    Column(usize),
    /// A constant.
    Literal(Operand),
    /// AND, OR: the right side is evaluated where the left one does not decide.
    Logic { or: bool, left: Box<Node>, right: Box<Node> },
    /// CASE.
    Case { branches: Vec<(Node, Node)>, otherwise: Option<Box<Node>> },
    /// COALESCE.
    Coalesce(Vec<Node>),
    /// Anything else.
    Apply { kernel: Kernel, args: Vec<Node> },
}

/// The rows of one evaluation.
pub(super) struct Context<'a> {
    pub(super) columns: &'a [ArrayRef],
    pub(super) len: usize,
    pub(super) failures: Failures,
}

impl Node {
    pub(super) fn new(form: Form, data_type: DataType) -> Self {
        let mut columns = Vec::new();
        let mut can_fail = false;
        let mut child = |node: &Self| {
            columns.extend_from_slice(&node.columns);
            can_fail |= node.can_fail;
        };
        match &form {
            Form::Column(index) => columns.push(*index),
            Form::Literal(_) => {}
            Form::Logic { left, right, .. } => [left, right].into_iter().for_each(|n| child(n)),
            Form::Case { branches, otherwise } => {
                branches.iter().flat_map(|(c, v)| [c, v]).for_each(&mut child);
                otherwise.iter().for_each(|n| child(n));
            }
            Form::Coalesce(args) => args.iter().for_each(child),
            Form::Apply { kernel, args } => {
                args.iter().for_each(child);
                can_fail |= kernel.can_fail;
            }
        }
        columns.sort_unstable();
        columns.dedup();
        Self { form, data_type, can_fail, columns }
    }

    /// A kernel's node. Constant operands are folded, unless that fails: then each row is to be counted.
    pub(super) fn apply(kernel: Kernel, args: Vec<Self>, data_type: DataType) -> Result<Self, EngineError> {
        Self::new(Form::Apply { kernel, args }, data_type).folded()
    }

    /// The constant that it stands for, where it is one.
    pub(super) fn folded(self) -> Result<Self, EngineError> {
        if !self.columns.is_empty() || matches!(self.form, Form::Literal(_)) {
            return Ok(self);
        }
        let mut context = Context { columns: &[], len: 1, failures: Failures::new(1) };
        let value = self.eval(&mut context)?;
        if context.failures.any() {
            return Ok(self);
        }
        Ok(Self::new(Form::Literal(Operand::scalar(value.array)), self.data_type))
    }

    /// The constant, where it is one.
    pub(super) fn literal(&self) -> Option<&Operand> {
        match &self.form {
            Form::Literal(operand) => Some(operand),
            _ => None,
        }
    }

    pub(super) fn eval(&self, context: &mut Context<'_>) -> Result<Operand, EngineError> {
        match &self.form {
            Form::Column(index) => self.column(*index, context),
            Form::Literal(operand) => Ok(operand.clone()),
            Form::Logic { or, left, right } => logic::eval(*or, left, right, context),
            Form::Case { branches, otherwise } => {
                conditional::case(branches, otherwise.as_deref(), &self.data_type, context)
            }
            Form::Coalesce(args) => conditional::coalesce(args, &self.data_type, context),
            Form::Apply { kernel, args } => {
                let operands = args.iter().map(|a| a.eval(context)).collect::<Result<Vec<_>, _>>()?;
                self.apply_kernel(kernel, &operands, context)
            }
        }
    }

    fn apply_kernel(
        &self,
        kernel: &Kernel,
        operands: &[Operand],
        context: &mut Context<'_>,
    ) -> Result<Operand, EngineError> {
        if kernel.strict && operands.iter().any(Operand::is_null_scalar) {
            return Ok(Operand::scalar(super::literal::null(&self.data_type)));
        }
        if !operands.iter().all(|o| o.scalar) {
            let array = (kernel.run)(operands, context.len, &mut context.failures)?;
            return Ok(Operand::column(array));
        }
        let mut failures = Failures::new(1);
        let array = (kernel.run)(operands, 1, &mut failures)?;
        if failures.any() {
            context.failures.mark_all();
        }
        Ok(Operand::scalar(array))
    }

    fn column(&self, index: usize, context: &Context<'_>) -> Result<Operand, EngineError> {
        let error = |text: String| EngineError::Arrow(ArrowError::SchemaError(text));
        let array = context
            .columns
            .get(index)
            .ok_or_else(|| error(format!("column {index} of {} columns", context.columns.len())))?;
        let wanted = self.data_type.to_arrow();
        if !same_type(array.data_type(), &wanted) {
            return Err(error(format!("column {index} is {}, not {wanted}", array.data_type())));
        }
        if array.len() != context.len {
            let (found, wanted) = (array.len(), context.len);
            return Err(error(format!("column {index} has {found} rows, not {wanted}")));
        }
        Ok(Operand::column(array.clone()))
    }

    /// Evaluates the set rows of `rows` alone: a column of their values, or a scalar.
    pub(super) fn eval_selected(
        &self,
        context: &mut Context<'_>,
        rows: &BooleanBuffer,
    ) -> Result<Operand, EngineError> {
        let predicate = FilterBuilder::new(&BooleanArray::new(rows.clone(), None)).optimize().build();
        let select = |(i, column): (usize, &ArrayRef)| {
            if self.columns.binary_search(&i).is_ok() { predicate.filter(column) } else { Ok(column.clone()) }
        };
        let columns = context.columns.iter().enumerate().map(select).collect::<Result<Vec<_>, _>>()?;
        let len = predicate.count();
        let mut selected = Context { columns: &columns, len, failures: Failures::new(len) };
        let operand = self.eval(&mut selected)?;
        context.failures.merge(&selected.failures, rows);
        Ok(operand)
    }
}

/// Whether they are the same type, whatever nested fields are called and whether they may be NULL.
fn same_type(a: &ArrowType, b: &ArrowType) -> bool {
    match (a, b) {
        (ArrowType::List(a), ArrowType::List(b)) | (ArrowType::Map(a, _), ArrowType::Map(b, _)) => {
            same_type(a.data_type(), b.data_type())
        }
        (ArrowType::Struct(a), ArrowType::Struct(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_type(a.data_type(), b.data_type()))
        }
        (a, b) => a == b,
    }
}
