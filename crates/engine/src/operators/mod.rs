//! The operators: one a file, each a small state machine; see [`crate::operator`] for their contract.
//!
//! Stateless: `project`, `filter`, `unnest`, `lead_lag_table`. With state: `lead_lag`, `interval_join`, `aggregate`. Over tables:
//! `table_join` and [`UpsertMap`], whose rows are read again at start.
//!
//! What they stand on:
//! * `row_store`: retained rows in columns; `logged_rows`: with what changed since the last snapshot;
//! * `key_index`: keys of several columns to dense ids;
//! * `time_queue`: rows by time, taken out at the watermark;
//! * `sorted_list`, `prune`, `pairs`: the rows of one join key with zone maps, and what both joins share.

mod aggregate;
mod filter;
mod interval_join;
mod key_index;
mod lead_lag;
mod lead_lag_table;
mod logged_rows;
mod pairs;
mod project;
mod prune;
mod row_store;
mod sorted_list;
mod table_join;
#[cfg(test)]
mod tests;
mod time_queue;
mod unnest;
mod upsert_map;

pub use upsert_map::UpsertMap;

use crate::error::EngineError;
use crate::operator::Operator;
use arrow_schema::DataType as ArrowType;
use bd_sql::plan::{ChangelogMode, JoinKind, Node, Plan};

/// The operator of a plan's top node, which is no scan; its inputs are ports 0 and 1 in the node's order.
///
/// # Errors
/// [`EngineError::Unsupported`].
pub fn build(plan: &Plan) -> Result<Box<dyn Operator>, EngineError> {
    Ok(match &plan.node {
        Node::StreamScan { .. } | Node::TableScan { .. } => {
            return Err(EngineError::Unsupported("a scan as an operator".into()));
        }
        Node::Project { exprs, .. } => Box::new(project::Project::new(exprs)?),
        Node::Filter { predicate, counted, .. } => {
            Box::new(filter::Filter::new(predicate, counted.as_ref())?)
        }
        Node::Unnest { expr, .. } => Box::new(unnest::Unnest::new(expr)?),
        Node::LeadLag { input, partition, order, functions, within_ms, drop_without_next } => {
            if input.mode != ChangelogMode::Append {
                let (partition, functions) = (partition.clone(), functions.clone());
                Box::new(lead_lag_table::LeadLagTable::new(&types(input), partition, *order, functions)?)
            } else {
                Box::new(lead_lag::LeadLag::new(lead_lag::LeadLagSpec {
                    types: types(input),
                    partition: partition.clone(),
                    time: event_time(input)?,
                    functions: functions.clone(),
                    within_ms: *within_ms,
                    drop_without_next: *drop_without_next,
                })?)
            }
        }
        Node::IntervalJoin { left, right, kind, keys, before_ms, after_ms, condition } => {
            let side = |plan| {
                Ok::<_, EngineError>(interval_join::SideSpec { types: types(plan), time: event_time(plan)? })
            };
            let range = (*before_ms, *after_ms);
            let (left, right) = (side(left)?, side(right)?);
            Box::new(interval_join::IntervalJoin::new(left, right, *kind, keys, range, condition.as_ref())?)
        }
        Node::TableJoin { left, right, kind, keys, condition } => {
            let outer = match kind {
                JoinKind::Inner => false,
                JoinKind::Left => true,
                JoinKind::Right | JoinKind::Full => {
                    return Err(EngineError::Unsupported(
                        "a RIGHT or FULL join of a stream with a table".into(),
                    ));
                }
            };
            Box::new(table_join::TableJoin::new(
                &types(left),
                &types(right),
                keys,
                condition.as_ref(),
                outer,
            )?)
        }
        Node::Aggregate { .. } => Box::new(aggregate::Aggregate::new(plan)?),
    })
}

fn types(plan: &Plan) -> Vec<ArrowType> {
    plan.columns.iter().map(|c| c.data_type.to_arrow()).collect()
}

fn event_time(plan: &Plan) -> Result<usize, EngineError> {
    plan.time.ok_or_else(|| EngineError::Unsupported("a stream without an event time".into()))
}
