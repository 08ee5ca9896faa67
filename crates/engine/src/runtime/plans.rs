//! Walks over plans.

use bd_sql::catalog::SourceDef;
use bd_sql::plan::{Node, Plan};
use std::sync::Arc;

/// The sources that a plan reads, in its order.
pub(crate) fn sources_of(plan: &Plan) -> Vec<Arc<SourceDef>> {
    let mut sources = Vec::new();
    walk(plan, &mut |node| {
        if let Node::StreamScan { source, .. } | Node::TableScan { source, .. } = node {
            sources.push(source.clone());
        }
    });
    sources
}

fn walk(plan: &Plan, f: &mut impl FnMut(&Node)) {
    f(&plan.node);
    match &plan.node {
        Node::StreamScan { .. } | Node::TableScan { .. } => {}
        Node::Project { input, .. }
        | Node::Filter { input, .. }
        | Node::Unnest { input, .. }
        | Node::LeadLag { input, .. }
        | Node::Aggregate { input, .. } => walk(input, f),
        Node::IntervalJoin { left, right, .. } | Node::TableJoin { left, right, .. } => {
            walk(left, f);
            walk(right, f);
        }
    }
}

/// The sources whose rows drive a plan: all but those that rows are only looked up in.
pub(super) fn driving_sources(plan: &Plan) -> Vec<Arc<SourceDef>> {
    let mut lookups = Vec::new();
    lookup_sources(plan, false, &mut lookups);
    let mut sources = sources_of(plan);
    sources.retain(|s| !lookups.iter().any(|l| l.name == s.name));
    sources
}

/// The tables that a plan looks rows up in.
pub(super) fn lookup_sources(plan: &Plan, lookup: bool, into: &mut Vec<Arc<SourceDef>>) {
    match &plan.node {
        Node::StreamScan { .. } => {}
        Node::TableScan { source, .. } => into.extend(lookup.then(|| source.clone())),
        Node::Project { input, .. }
        | Node::Filter { input, .. }
        | Node::Unnest { input, .. }
        | Node::LeadLag { input, .. }
        | Node::Aggregate { input, .. } => lookup_sources(input, lookup, into),
        Node::IntervalJoin { left, right, .. } => {
            lookup_sources(left, lookup, into);
            lookup_sources(right, lookup, into);
        }
        Node::TableJoin { left, right, .. } => {
            lookup_sources(left, lookup, into);
            lookup_sources(right, true, into);
        }
    }
}
