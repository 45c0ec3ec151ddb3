//! Order over any keys: what waits for what.
//!
//! Nodes are numbered in the order of their keys, so that ties are broken the same way every time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use petgraph::Direction;
use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};

/// What waits for what.
#[derive(Debug, Clone)]
pub struct Graph<N> {
    graph: DiGraph<N, ()>,
}

/// Names a node of a [`Graph`]; lower is an earlier key.
pub type Id = NodeIndex;

impl<N: Ord + Clone> Graph<N> {
    /// The graph of these nodes and edges, each `(before, after)`; what edges mention is a node, too. An error is a circle in which
    /// each waits for the one before it, and the first for the last.
    pub fn new(mut nodes: BTreeSet<N>, edges: &BTreeSet<(N, N)>) -> Result<Self, Vec<N>> {
        if let Some(circle) = find_cycle(edges) {
            return Err(circle);
        }
        for (before, after) in edges {
            nodes.extend([before.clone(), after.clone()]);
        }
        Ok(Self {
            graph: build(nodes, edges),
        })
    }

    /// Every node, such that each comes after what it waits for; among those that could be next, the one
    /// with the lowest key is.
    pub fn order(&self) -> Vec<&N> {
        let mut waiting = self.waiting();
        let mut ready: BTreeSet<Id> = self.ids().filter(|id| waiting[id.index()] == 0).collect();
        let mut order = Vec::with_capacity(waiting.len());
        while let Some(id) = ready.pop_first() {
            order.push(self.node(id));
            for after in self.after(id) {
                waiting[after.index()] -= 1;
                if waiting[after.index()] == 0 {
                    ready.insert(after);
                }
            }
        }
        order
    }

    /// All nodes.
    pub fn ids(&self) -> impl Iterator<Item = Id> + use<N> {
        self.graph.node_indices()
    }

    /// The key of a node.
    pub fn node(&self, id: Id) -> &N {
        &self.graph[id]
    }

    /// The node of a key.
    pub fn find(&self, key: &N) -> Option<Id> {
        // Numbered in their order, they can be searched by it.
        let nodes = self.graph.raw_nodes();
        let at = nodes.binary_search_by(|entry| entry.weight.cmp(key));
        at.ok().map(NodeIndex::new)
    }

    /// What waits for a node.
    pub fn after(&self, id: Id) -> impl Iterator<Item = Id> {
        self.graph.neighbors_directed(id, Direction::Outgoing)
    }

    /// For each node by its number, how many it waits for.
    pub fn waiting(&self) -> Vec<usize> {
        let before = |id| self.graph.neighbors_directed(id, Direction::Incoming);
        self.ids().map(|id| before(id).count()).collect()
    }
}

/// A circle in edges `(before, after)`, each after the one before it; `None` where there is none.
///
/// Of several it is the one through the lowest node, and of those a shortest.
pub fn find_cycle<'a, N: Ord + Clone + 'a>(
    edges: impl IntoIterator<Item = &'a (N, N)>,
) -> Option<Vec<N>> {
    let edges: BTreeSet<&(N, N)> = edges.into_iter().collect();
    let nodes: BTreeSet<N> = edges
        .iter()
        .flat_map(|(before, after)| [before.clone(), after.clone()])
        .collect();
    let graph = build(nodes, edges);
    let in_circle = |component: &Vec<Id>| match component.as_slice() {
        [] => false,
        [one] => graph.contains_edge(*one, *one),
        [_, _, ..] => true,
    };
    let start = tarjan_scc(&graph)
        .into_iter()
        .filter(in_circle)
        .flatten()
        .min()?;
    let circle = shortest_circle(&graph, start)?;
    Some(circle.into_iter().map(|id| graph[id].clone()).collect())
}

/// A shortest way from a node back to itself, by breadth first.
fn shortest_circle<N>(graph: &DiGraph<N, ()>, start: Id) -> Option<Vec<Id>> {
    let mut from: BTreeMap<Id, Id> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(id) = queue.pop_front() {
        let mut after: Vec<Id> = graph.neighbors(id).collect();
        after.sort();
        for next in after {
            if next == start {
                let mut circle = vec![id];
                let mut at = id;
                while at != start {
                    at = *from.get(&at)?;
                    circle.push(at);
                }
                circle.reverse();
                return Some(circle);
            }
            if let std::collections::btree_map::Entry::Vacant(unseen) = from.entry(next) {
                unseen.insert(id);
                queue.push_back(next);
            }
        }
    }
    None
}

/// Numbers the nodes in their order.
fn build<'a, N: Ord + Clone + 'a>(
    nodes: BTreeSet<N>,
    edges: impl IntoIterator<Item = &'a (N, N)>,
) -> DiGraph<N, ()> {
    let mut graph = DiGraph::new();
    let ids: BTreeMap<N, Id> = nodes
        .into_iter()
        .map(|node| (node.clone(), graph.add_node(node)))
        .collect();
    for (before, after) in edges {
        if let (Some(before), Some(after)) = (ids.get(before), ids.get(after)) {
            graph.update_edge(*before, *after, ());
        }
    }
    graph
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cycles_are_found_among_any_nodes() {
        assert_eq!(find_cycle(&[(1, 2), (2, 3), (3, 4)]), None);
        assert_eq!(
            find_cycle(&[(9, 8), (8, 9), (1, 2), (2, 3), (3, 1)]),
            Some(vec![1, 2, 3])
        );
        assert_eq!(find_cycle(&[(5, 5)]), Some(vec![5]));
    }
}
