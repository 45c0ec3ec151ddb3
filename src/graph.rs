//! Dependencies and order.
//!
//! A [`Graph`] has a node for each part of each change of a plan, and an edge where one waits for another.
//! Nodes are numbered in the order of their addresses, so that ties are broken the same way every time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use petgraph::Direction;
use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};

use crate::address::Address;
use crate::plan::{Node, Phase, Plan};

/// What waits for what in a plan.
#[derive(Debug, Clone)]
pub struct Graph {
    graph: DiGraph<Node, ()>,
}

/// Names a node of a [`Graph`]; lower is an earlier address.
pub(crate) type Id = NodeIndex;

/// Says that resources wait for each other in a circle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("these wait for each other: {}", Circle(addresses))]
pub struct Cycle {
    /// The resources; each waits for the one before it, and the first for the last.
    pub addresses: Vec<Address>,
}

struct Circle<'a>(&'a [Address]);

impl fmt::Display for Circle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for address in self.0 {
            write!(f, "{address} -> ")?;
        }
        match self.0.first() {
            Some(first) => write!(f, "{first}"),
            None => Ok(()),
        }
    }
}

impl Graph {
    /// The graph of a plan: its edges, and each change's quiescing before its main part.
    ///
    /// What edges mention and the plan has no change for is a node too, so that order goes through it.
    pub fn new(plan: &Plan) -> Result<Self, Cycle> {
        let mut nodes: BTreeSet<Node> = BTreeSet::new();
        for (address, change) in &plan.changes {
            if !change.quiesce.is_empty() {
                nodes.insert(node(address, Phase::Quiesce));
            }
            nodes.insert(node(address, Phase::Main));
        }
        for (before, after) in &plan.edges {
            nodes.extend([before.clone(), after.clone()]);
        }
        let own: Vec<(Node, Node)> = nodes
            .iter()
            .filter(|quiesce| quiesce.phase == Phase::Quiesce)
            .map(|quiesce| (quiesce.clone(), node(&quiesce.address, Phase::Main)))
            .filter(|(_, main)| nodes.contains(main))
            .collect();
        let edges: BTreeSet<(Node, Node)> = plan.edges.iter().cloned().chain(own).collect();
        if let Some(circle) = find_cycle(&edges) {
            let mut addresses: Vec<Address> = circle.into_iter().map(|node| node.address).collect();
            addresses.dedup();
            if addresses.len() > 1 && addresses.first() == addresses.last() {
                addresses.pop();
            }
            return Err(Cycle { addresses });
        }
        Ok(Self {
            graph: build(nodes, &edges),
        })
    }

    /// Every node, such that each comes after what it waits for; among those that could be next, the one
    /// with the lowest address is.
    pub fn order(&self) -> Vec<&Node> {
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

    pub(crate) fn ids(&self) -> impl Iterator<Item = Id> + use<> {
        self.graph.node_indices()
    }

    pub(crate) fn node(&self, id: Id) -> &Node {
        &self.graph[id]
    }

    pub(crate) fn find(&self, address: &Address, phase: Phase) -> Option<Id> {
        let wanted = node(address, phase);
        // Numbered in their order, they can be searched by it.
        let nodes = self.graph.raw_nodes();
        let at = nodes.binary_search_by(|entry| entry.weight.cmp(&wanted));
        at.ok().map(NodeIndex::new)
    }

    /// What waits for a node.
    pub(crate) fn after(&self, id: Id) -> impl Iterator<Item = Id> {
        self.graph.neighbors_directed(id, Direction::Outgoing)
    }

    /// For each node by its number, how many it waits for.
    pub(crate) fn waiting(&self) -> Vec<usize> {
        let before = |id| self.graph.neighbors_directed(id, Direction::Incoming);
        self.ids().map(|id| before(id).count()).collect()
    }
}

/// The parts of a plan's changes in the order in which one thread executes them; those without a change are left out.
pub fn order(plan: &Plan) -> Result<Vec<Node>, Cycle> {
    let graph = Graph::new(plan)?;
    let has_part = |node: &&Node| match (plan.changes.get(&node.address), node.phase) {
        (Some(change), Phase::Quiesce) => !change.quiesce.is_empty(),
        (Some(_), Phase::Main) => true,
        (None, Phase::Quiesce | Phase::Main) => false,
    };
    Ok(graph
        .order()
        .into_iter()
        .filter(has_part)
        .cloned()
        .collect())
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

fn node(address: &Address, phase: Phase) -> Node {
    Node {
        address: address.clone(),
        phase,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Name;
    use crate::diagnostic::Diagnostics;

    fn at(text: &str) -> Node {
        let (address, phase) = match text.strip_suffix('!') {
            Some(address) => (address, Phase::Quiesce),
            None => (text, Phase::Main),
        };
        node(&address.parse().unwrap(), phase)
    }

    fn plan(edges: &[(&str, &str)]) -> Plan {
        Plan {
            lab: Name::new("shop").unwrap(),
            uri: String::new(),
            changes: BTreeMap::new(),
            moves: Vec::new(),
            edges: edges.iter().map(|(a, b)| (at(a), at(b))).collect(),
            problems: Diagnostics::default(),
        }
    }

    fn ordered(edges: &[(&str, &str)]) -> Vec<String> {
        let graph = Graph::new(&plan(edges)).unwrap();
        let name = |node: &&Node| match node.phase {
            Phase::Quiesce => format!("{}!", node.address),
            Phase::Main => node.address.to_string(),
        };
        graph.order().iter().map(name).collect()
    }

    #[test]
    fn ties_are_broken_by_kind_and_name() {
        let order = ordered(&[
            ("pool.p", "volume.b.root"),
            ("volume.b.root", "guest.b"),
            ("network.z", "guest.a"),
            ("network.z", "guest.b"),
        ]);
        assert_eq!(
            order,
            ["network.z", "pool.p", "volume.b.root", "guest.a", "guest.b"]
        );
    }

    #[test]
    fn quiescing_comes_before_the_main_part() {
        let order = ordered(&[("guest.a!", "volume.a.root"), ("volume.a.root", "guest.a")]);
        assert_eq!(order, ["guest.a!", "volume.a.root", "guest.a"]);
        assert_eq!(
            ordered(&[("guest.a!", "pool.p"), ("network.a", "guest.a")]).len(),
            4
        );
    }

    #[test]
    fn the_graph_orders_through_nodes_without_a_change() {
        let plan = plan(&[("guest.z", "guest.m"), ("guest.m", "guest.a")]);
        assert!(order(&plan).unwrap().is_empty());
        assert_eq!(
            ordered(&[("guest.z", "guest.m"), ("guest.m", "guest.a")]),
            ["guest.z", "guest.m", "guest.a"]
        );
    }

    #[test]
    fn a_cycle_names_its_addresses() {
        let cycle = Graph::new(&plan(&[
            ("guest.c", "guest.a"),
            ("guest.a", "guest.b"),
            ("guest.b", "guest.c"),
            ("guest.b", "guest.d"),
            ("network.a", "guest.b"),
        ]))
        .unwrap_err();
        assert_eq!(
            cycle.to_string(),
            "these wait for each other: guest.a -> guest.b -> guest.c -> guest.a"
        );
        // The part that every change has: its quiescing comes first.
        let cycle =
            Graph::new(&plan(&[("guest.a", "pool.p"), ("pool.p", "guest.a!")])).unwrap_err();
        assert_eq!(cycle.addresses.len(), 2);
        let cycle = Graph::new(&plan(&[("guest.a", "guest.a")])).unwrap_err();
        assert_eq!(cycle.addresses, ["guest.a".parse().unwrap()]);
    }

    #[test]
    fn every_order_respects_every_edge() {
        // Edges only from lower to higher in a fixed shuffle: no cycles, all sorts of shapes.
        let kinds = ["network", "pool", "image", "guest"];
        for seed in 0..200_u64 {
            let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            let mut random = |below: u64| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                usize::try_from(state % below).unwrap()
            };
            let names: Vec<String> = (0..12)
                .map(|i| format!("{}.n{}", kinds[random(4)], (i * 7 + 3) % 12))
                .collect();
            let mut edges = Vec::new();
            for _ in 0..random(30) {
                let (a, b) = (random(12), random(12));
                if names[a.min(b)] != names[a.max(b)] {
                    edges.push((names[a.min(b)].as_str(), names[a.max(b)].as_str()));
                }
            }
            let order = ordered(&edges);
            let place = |name: &str| order.iter().position(|other| other == name);
            for (before, after) in &edges {
                assert!(place(before) < place(after), "seed {seed}");
            }
            assert_eq!(order, ordered(&edges));
        }
    }

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
