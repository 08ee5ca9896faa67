//! Rules for `allOf`, `anyOf` and `oneOf`: the parts of either side are matched, as many as can be.

use super::{Comparison, Found, Outcome, Pair};
use crate::json_schema::model::{Criterion, Model, NodeId};
use std::collections::VecDeque;

impl Comparison<'_> {
    pub(super) fn combined(
        &mut self,
        found: &mut Found,
        swapped: bool,
        (of, before): (Criterion, &[NodeId]),
        (to, after): (Criterion, &[NodeId]),
    ) {
        if of != to {
            let (one_before, one_after) = (before.len() == 1, after.len() == 1);
            let extended = to == Criterion::Any
                || (one_before && one_after)
                || (one_before && to == Criterion::One)
                || (one_after && of == Criterion::All);
            self.add(found, if extended { "COMBINED_TYPE_EXTENDED" } else { "COMBINED_TYPE_CHANGED" });
            if !extended {
                return;
            }
        }
        let (from, into) = self.sides(swapped);
        let (before, after) = (distinct(from, before), distinct(into, after));
        if before.len() < after.len() {
            let product = to == Criterion::All;
            self.add(found, if product { "PRODUCT_TYPE_EXTENDED" } else { "SUM_TYPE_EXTENDED" });
        } else if before.len() > after.len() {
            let product = of == Criterion::All;
            self.add(found, if product { "PRODUCT_TYPE_NARROWED" } else { "SUM_TYPE_NARROWED" });
        }
        // For each part of before, those of after that it is compatible with.
        let mut edges: Vec<Vec<(usize, Outcome)>> = Vec::with_capacity(before.len());
        for original in &before {
            let mut fitting = Vec::new();
            for (j, update) in after.iter().enumerate() {
                let outcome = self.tried(Pair { original: *original, update: *update, swapped });
                if !outcome.incompatible {
                    fitting.push((j, outcome));
                }
            }
            edges.push(fitting);
        }
        let graph: Vec<Vec<usize>> = edges.iter().map(|e| e.iter().map(|(j, _)| *j).collect()).collect();
        let matched = matching(&graph, after.len());
        let count = matched.iter().flatten().count();
        for (i, (edge, chosen)) in edges.iter().zip(matched).enumerate() {
            let Some((_, outcome)) = edge.iter().find(|(j, _)| Some(*j) == chosen) else { continue };
            found.within(format!("{}/{i}", of.keyword()), |found| self.take(found, outcome));
        }
        if count < before.len().min(after.len()) {
            self.add(found, "COMBINED_TYPE_SUBSCHEMAS_CHANGED");
        }
    }
}

/// The parts, equal ones once.
fn distinct(model: &Model, parts: &[NodeId]) -> Vec<NodeId> {
    let mut all: Vec<NodeId> = Vec::with_capacity(parts.len());
    for part in parts {
        if !all.iter().any(|other| model.node(*other).source == model.node(*part).source) {
            all.push(*part);
        }
    }
    all
}

/// A matching of most edges: for each on the left, which one on the right (augmenting paths, breadth first).
fn matching(graph: &[Vec<usize>], right: usize) -> Vec<Option<usize>> {
    let mut of_left: Vec<Option<usize>> = vec![None; graph.len()];
    let mut of_right: Vec<Option<usize>> = vec![None; right];
    for start in 0..graph.len() {
        // From which left each right was reached.
        let mut reached: Vec<Option<usize>> = vec![None; right];
        let mut queue = VecDeque::from([start]);
        let mut free = None;
        'search: while let Some(left) = queue.pop_front() {
            for &j in &graph[left] {
                if reached[j].is_some() {
                    continue;
                }
                reached[j] = Some(left);
                match of_right[j] {
                    Some(next) => queue.push_back(next),
                    None => {
                        free = Some(j);
                        break 'search;
                    }
                }
            }
        }
        while let Some(j) = free {
            let Some(left) = reached[j] else { break };
            of_right[j] = Some(left);
            free = of_left[left].replace(j);
        }
    }
    of_left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matching_gives_way_where_that_matches_more() {
        let count = |graph: &[Vec<usize>], right| matching(graph, right).iter().flatten().count();
        assert_eq!(count(&[vec![0, 1], vec![0]], 2), 2);
        assert_eq!(count(&[vec![0], vec![0]], 2), 1);
        assert_eq!(count(&[vec![0, 1], vec![0, 2], vec![0], vec![2]], 3), 3);
        assert_eq!(count(&[], 3), 0);
    }
}
