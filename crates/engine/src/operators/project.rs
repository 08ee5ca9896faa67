//! `Project`: one output column an expression.

use crate::chunk::Chunk;
use crate::error::EngineError;
use crate::expr::Compiled;
use crate::operator::{Operator, OperatorStats, Output};
use bd_sql::expr::Expr;

pub(crate) struct Project {
    exprs: Vec<Compiled>,
    errors: u64,
}

impl Project {
    pub(crate) fn new(exprs: &[Expr]) -> Result<Self, EngineError> {
        Ok(Self { exprs: exprs.iter().map(Compiled::new).collect::<Result<_, _>>()?, errors: 0 })
    }
}

impl Operator for Project {
    fn on_batch(&mut self, _port: usize, chunk: Chunk, out: &mut Output) -> Result<(), EngineError> {
        let errors = &mut self.errors;
        let columns =
            self.exprs.iter().map(|e| e.eval(&chunk.columns, chunk.len, errors)).collect::<Result<_, _>>()?;
        out.push(chunk.with_columns(columns));
        Ok(())
    }

    fn stats(&self) -> OperatorStats {
        OperatorStats { processing_errors: self.errors, ..OperatorStats::default() }
    }
}
