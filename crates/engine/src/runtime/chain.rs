//! A query's operators as a tree: rows and watermarks go in at the leaves (the scans) and come out at the root.

use crate::chunk::Chunk;
use crate::error::EngineError;
use crate::operator::{Operator, OperatorStats, Output, StateWriter};
use crate::operators;
use bd_sql::plan::{Node, Plan};

/// What a leaf of the plan reads.
#[derive(Debug, Clone)]
pub struct Leaf {
    /// The scan.
    pub plan: Plan,
    /// Whether a join looks rows up in it (the table side): it is loaded before the first stream row and drives nothing.
    pub lookup: bool,
}

struct ChainNode {
    /// `None` for scans.
    operator: Option<Box<dyn Operator>>,
    /// The node that takes its output, and on which port.
    parent: Option<(usize, usize)>,
    /// The stream scans below, by leaf index, whose least watermark is this node's.
    stream_leaves: Vec<usize>,
    lag_ms: i64,
    /// The watermark last handed to the parent.
    sent: i64,
}

/// The operators of one query.
pub struct Chain {
    /// Children stand before their parents; the root is the last.
    nodes: Vec<ChainNode>,
    /// Which node each leaf is.
    leaf_nodes: Vec<usize>,
    leaves: Vec<Leaf>,
    watermarks: Vec<i64>,
}

impl Chain {
    /// Builds the operators of a plan.
    ///
    /// # Errors
    /// A node that the engine does not know.
    pub fn new(plan: &Plan) -> Result<Self, EngineError> {
        let mut chain =
            Self { nodes: Vec::new(), leaf_nodes: Vec::new(), leaves: Vec::new(), watermarks: Vec::new() };
        chain.add(plan, false)?;
        chain.watermarks = vec![i64::MIN; chain.leaves.len()];
        Ok(chain)
    }

    fn add(&mut self, plan: &Plan, lookup: bool) -> Result<usize, EngineError> {
        let inputs: Vec<(&Plan, bool)> = match &plan.node {
            Node::StreamScan { .. } | Node::TableScan { .. } => Vec::new(),
            Node::Project { input, .. }
            | Node::Filter { input, .. }
            | Node::Unnest { input, .. }
            | Node::LeadLag { input, .. }
            | Node::Aggregate { input, .. } => vec![(input, lookup)],
            Node::IntervalJoin { left, right, .. } => vec![(left, lookup), (right, lookup)],
            Node::TableJoin { left, right, .. } => vec![(left, lookup), (right, true)],
        };
        let mut children = Vec::new();
        let mut stream_leaves = Vec::new();
        for (input, lookup_below) in inputs {
            let child = self.add(input, lookup_below)?;
            if !lookup_below {
                stream_leaves.extend_from_slice(&self.nodes[child].stream_leaves);
            }
            children.push(child);
        }
        let operator = match &plan.node {
            Node::StreamScan { .. } | Node::TableScan { .. } => {
                // A driving table counts as a leaf with a watermark too: it has none until its end.
                if !lookup {
                    stream_leaves.push(self.leaves.len());
                }
                self.leaf_nodes.push(self.nodes.len());
                self.leaves.push(Leaf { plan: plan.clone(), lookup });
                None
            }
            _ => Some(operators::build(plan)?),
        };
        let index = self.nodes.len();
        for (port, child) in children.into_iter().enumerate() {
            self.nodes[child].parent = Some((index, port));
        }
        let lag_ms = plan.lag_ms;
        self.nodes.push(ChainNode { operator, parent: None, stream_leaves, lag_ms, sent: i64::MIN });
        Ok(index)
    }

    /// The scans, in the plan's order.
    pub fn leaves(&self) -> &[Leaf] {
        &self.leaves
    }

    /// Rows of a leaf; what reaches the root is added to `out`.
    ///
    /// # Errors
    /// As [`Operator::on_batch`]'s.
    pub fn push(&mut self, leaf: usize, chunk: Chunk, out: &mut Vec<Chunk>) -> Result<(), EngineError> {
        if chunk.len == 0 {
            return Ok(());
        }
        self.pass_up(self.leaf_nodes[leaf], chunk, out)
    }

    /// Hands the output of `node` to its parent, and on up to the root.
    fn pass_up(&mut self, node: usize, chunk: Chunk, out: &mut Vec<Chunk>) -> Result<(), EngineError> {
        let Some((parent, port)) = self.nodes[node].parent else {
            out.push(chunk);
            return Ok(());
        };
        let mut emitted = Output::default();
        if let Some(operator) = &mut self.nodes[parent].operator {
            operator.on_batch(port, chunk, &mut emitted)?;
        }
        for chunk in emitted.chunks {
            self.pass_up(parent, chunk, out)?;
        }
        Ok(())
    }

    /// A leaf's watermark; only a rise does anything. `i64::MAX` is its end.
    ///
    /// # Errors
    /// As [`Operator::on_watermark`]'s.
    pub fn advance(&mut self, leaf: usize, watermark: i64, out: &mut Vec<Chunk>) -> Result<(), EngineError> {
        if watermark <= self.watermarks[leaf] {
            return Ok(());
        }
        self.watermarks[leaf] = watermark;
        let mut node = self.leaf_nodes[leaf];
        while let Some((parent, port)) = self.nodes[node].parent {
            let output = self.watermark_of(node);
            if output <= self.nodes[node].sent {
                return Ok(());
            }
            self.nodes[node].sent = output;
            let mut emitted = Output::default();
            if let Some(operator) = &mut self.nodes[parent].operator {
                operator.on_watermark(port, output, &mut emitted)?;
            }
            for chunk in emitted.chunks {
                self.pass_up(parent, chunk, out)?;
            }
            node = parent;
        }
        Ok(())
    }

    fn watermark_of(&self, node: usize) -> i64 {
        let node = &self.nodes[node];
        let least = node.stream_leaves.iter().map(|l| self.watermarks[*l]).min().unwrap_or(i64::MIN);
        if least == i64::MAX { least } else { least.saturating_sub(node.lag_ms) }
    }

    /// The root's watermark: no row with a lesser time follows.
    pub fn output_watermark(&self) -> i64 {
        self.watermark_of(self.nodes.len() - 1)
    }

    /// The watermark of a leaf.
    pub fn leaf_watermark(&self, leaf: usize) -> i64 {
        self.watermarks[leaf]
    }

    /// Puts a leaf's watermark back to where it stood at the last barrier: what the operators restored stands on it.
    ///
    /// # Errors
    /// A leaf that is not there.
    pub fn restore_watermark(&mut self, leaf: usize, watermark: i64) -> Result<(), EngineError> {
        let known = self.watermarks.get_mut(leaf).ok_or_else(|| EngineError::Corrupt {
            what: format!("the watermark of input {leaf}"),
            reason: "the plan has no such input".into(),
        })?;
        *known = watermark;
        Ok(())
    }

    /// Asks every operator, inputs first, for what it held back.
    ///
    /// # Errors
    /// As [`Operator::flush`]'s.
    pub fn flush(&mut self, out: &mut Vec<Chunk>) -> Result<(), EngineError> {
        for node in 0..self.nodes.len() {
            let mut emitted = Output::default();
            if let Some(operator) = &mut self.nodes[node].operator {
                operator.flush(&mut emitted)?;
            }
            for chunk in emitted.chunks {
                self.pass_up(node, chunk, out)?;
            }
        }
        Ok(())
    }

    /// Takes each operator's changed state (or all of it); `state` is told the node first.
    ///
    /// # Errors
    /// As [`Operator::snapshot`]'s.
    pub fn snapshot(&mut self, full: bool, state: &mut impl NodeStateWriter) -> Result<(), EngineError> {
        for (index, node) in self.nodes.iter_mut().enumerate() {
            if let Some(operator) = &mut node.operator {
                state.node(index as u16);
                operator.snapshot(full, state)?;
            }
        }
        Ok(())
    }

    /// Puts one entry of a node's state back.
    ///
    /// # Errors
    /// A node that is not there, or its own.
    pub fn restore(&mut self, node: u16, key: &[u8], value: Option<&[u8]>) -> Result<(), EngineError> {
        match self.nodes.get_mut(node as usize).and_then(|n| n.operator.as_mut()) {
            Some(operator) => operator.restore(key, value),
            None => Err(EngineError::Corrupt {
                what: format!("state of node {node}"),
                reason: "the plan has no such operator".into(),
            }),
        }
    }

    /// What all operators together hold and have done.
    pub fn stats(&self) -> OperatorStats {
        let mut sum = OperatorStats::default();
        for operator in self.nodes.iter().filter_map(|n| n.operator.as_ref()) {
            let stats = operator.stats();
            sum.state_rows += stats.state_rows;
            sum.state_bytes += stats.state_bytes;
            sum.processing_errors += stats.processing_errors;
            sum.dropped += stats.dropped;
        }
        sum
    }
}

/// A [`StateWriter`] that is told whose entries follow.
pub trait NodeStateWriter: StateWriter {
    /// The entries that follow belong to this node.
    fn node(&mut self, node: u16);
}
