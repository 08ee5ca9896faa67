//! Expressions over Arrow: a translation of `bd_sql::expr`, whose rules hold here.
//!
//! ```text
//!  Expr ─ compile ─▶ Node (types checked, constants folded, patterns parsed) ─ eval ─▶ one value a row
//! ```
//! * A constant stays one value: comparing a column with a literal makes no array of the literal.
//! * An operation that fails (overflow, division by zero, a cast or parse) gives NULL in its place, and the row counts as one error
//!   however many of its operations failed.
//! * CASE, COALESCE, AND and OR evaluate an operand that can fail only for the rows that need it, so its errors count for those rows
//!   alone. An operand that cannot fail is evaluated for all rows, which is cheaper.
//! * DOUBLE follows IEEE 754, but for division by zero, which is an error as for integers; in comparisons `-0.0 = 0.0`, and NaN
//!   equals itself and is greater than all others.
//!
//! Not here: parsing and typing of expressions (`bd-sql`), aggregates and window functions ([`crate::operators`]).

mod arithmetic;
mod cast;
mod compare;
mod compile;
mod conditional;
mod decimal;
mod functions;
mod like;
mod literal;
mod logic;
mod math;
mod nested;
mod node;
mod operand;
mod strings;

#[cfg(test)]
mod tests;
mod time;

use crate::error::EngineError;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray};
use bd_sql::expr::Expr;
use node::{Context, Node};
use operand::Failures;

/// An expression ready to be evaluated over chunks.
pub struct Compiled {
    node: Node,
}

impl Compiled {
    /// Prepares an expression: constant parts are folded, patterns parsed.
    ///
    /// # Errors
    /// An expression whose types do not agree (a flaw of the analyzer), a pattern that is wrong.
    pub fn new(expr: &Expr) -> Result<Self, EngineError> {
        Ok(Self { node: compile::compile(expr)? })
    }

    /// One value a row. A row whose evaluation fails gives NULL and adds one to `errors`.
    ///
    /// # Errors
    /// Columns that are not of the types that the expression was analyzed for.
    pub fn eval(&self, columns: &[ArrayRef], len: usize, errors: &mut u64) -> Result<ArrayRef, EngineError> {
        let mut context = Context { columns, len, failures: Failures::new(len) };
        let array = self.node.eval(&mut context)?.into_array(len)?;
        *errors += context.failures.count();
        Ok(array)
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
        let Some(condition) = array.as_boolean_opt() else {
            return Err(EngineError::Unsupported(format!("a condition of type {}", array.data_type())));
        };
        Ok(match condition.nulls() {
            Some(nulls) => BooleanArray::new(condition.values() & nulls.inner(), None),
            None => condition.clone(),
        })
    }
}
