//! The operators: one a file, each a small state machine; see [`crate::operator`] for their contract.

use crate::error::EngineError;
use crate::operator::Operator;
use bd_sql::plan::Plan;

/// The operator of a plan's top node, which is no scan; its inputs are ports 0 and 1 in the node's order.
///
/// # Errors
/// [`EngineError::Unsupported`].
pub fn build(plan: &Plan) -> Result<Box<dyn Operator>, EngineError> {
    Err(EngineError::Unsupported(format!("a node with columns {:?}", plan.columns)))
}
