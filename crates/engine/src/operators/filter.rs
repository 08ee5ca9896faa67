//! `Filter`: the rows that meet all conditions; those that fail only the counted one are counted.

use crate::chunk::Chunk;
use crate::error::EngineError;
use crate::expr::Compiled;
use crate::operator::{Operator, OperatorStats, Output};
use bd_sql::expr::Expr;

pub(crate) struct Filter {
    predicate: Vec<Compiled>,
    counted: Option<Compiled>,
    errors: u64,
    dropped: u64,
}

impl Filter {
    pub(crate) fn new(predicate: &[Expr], counted: Option<&Expr>) -> Result<Self, EngineError> {
        Ok(Self {
            predicate: predicate.iter().map(Compiled::new).collect::<Result<_, _>>()?,
            counted: counted.map(Compiled::new).transpose()?,
            errors: 0,
            dropped: 0,
        })
    }
}

impl Operator for Filter {
    fn on_batch(&mut self, _port: usize, mut chunk: Chunk, out: &mut Output) -> Result<(), EngineError> {
        // One condition after the other on what is left: each narrows what the next has to look at, and a row that an
        // earlier condition excludes (a division guarded by `x <> 0 AND`) costs no processing error.
        for condition in &self.predicate {
            let met = condition.eval_condition(&chunk.columns, chunk.len, &mut self.errors)?;
            chunk = chunk.filter(&met)?;
            if chunk.len == 0 {
                return Ok(());
            }
        }
        if let Some(counted) = &self.counted {
            let met = counted.eval_condition(&chunk.columns, chunk.len, &mut self.errors)?;
            let before = chunk.len;
            chunk = chunk.filter(&met)?;
            self.dropped += (before - chunk.len) as u64;
        }
        out.push(chunk);
        Ok(())
    }

    fn stats(&self) -> OperatorStats {
        OperatorStats { processing_errors: self.errors, dropped: self.dropped, ..OperatorStats::default() }
    }
}
