//! A plan as a graph: a node for each part of each change, and an edge where one waits for another.

use std::collections::BTreeSet;
use std::fmt;

use super::{Node, Phase, Plan};
use crate::address::Address;
use crate::graph::Graph;

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

impl From<Vec<Node>> for Cycle {
    fn from(circle: Vec<Node>) -> Self {
        let mut addresses: Vec<Address> = circle.into_iter().map(|node| node.address).collect();
        addresses.dedup();
        if addresses.len() > 1 && addresses.first() == addresses.last() {
            addresses.pop();
        }
        Self { addresses }
    }
}

impl Plan {
    /// What waits for what: the plan's edges, and each change's quiescing before its main part.
    ///
    /// What edges mention and the plan has no change for is a node too, so that order goes through it.
    pub fn graph(&self) -> Result<Graph<Node>, Cycle> {
        let mut nodes: BTreeSet<Node> = BTreeSet::new();
        for (address, change) in &self.changes {
            if !change.quiesce.is_empty() {
                nodes.insert(Node::new(address, Phase::Quiesce));
            }
            nodes.insert(Node::new(address, Phase::Main));
        }
        for (before, after) in &self.edges {
            nodes.extend([before.clone(), after.clone()]);
        }
        let own: Vec<(Node, Node)> = nodes
            .iter()
            .filter(|quiesce| quiesce.phase == Phase::Quiesce)
            .map(|quiesce| (quiesce.clone(), Node::new(&quiesce.address, Phase::Main)))
            .filter(|(_, main)| nodes.contains(main))
            .collect();
        let edges: BTreeSet<(Node, Node)> = self.edges.iter().cloned().chain(own).collect();
        Ok(Graph::new(nodes, &edges)?)
    }

    /// The parts of the changes in the order in which one thread executes them; those without a change are left out.
    pub fn order(&self) -> Result<Vec<Node>, Cycle> {
        let graph = self.graph()?;
        let has_part = |node: &&Node| match (self.changes.get(&node.address), node.phase) {
            (Some(change), Phase::Quiesce) => !change.quiesce.is_empty(),
            (Some(_), Phase::Main) => true,
            (None, Phase::Quiesce | Phase::Main) => false,
        };
        let order = graph.order().into_iter().filter(has_part).cloned();
        Ok(order.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Name;
    use crate::diagnostic::Diagnostics;
    use std::collections::BTreeMap;

    fn at(text: &str) -> Node {
        let (address, phase) = match text.strip_suffix('!') {
            Some(address) => (address, Phase::Quiesce),
            None => (text, Phase::Main),
        };
        Node::new(&address.parse().unwrap(), phase)
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
        let graph = plan(edges).graph().unwrap();
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
        assert!(plan.order().unwrap().is_empty());
        assert_eq!(
            ordered(&[("guest.z", "guest.m"), ("guest.m", "guest.a")]),
            ["guest.z", "guest.m", "guest.a"]
        );
    }

    #[test]
    fn a_cycle_names_its_addresses() {
        let cycle = plan(&[
            ("guest.c", "guest.a"),
            ("guest.a", "guest.b"),
            ("guest.b", "guest.c"),
            ("guest.b", "guest.d"),
            ("network.a", "guest.b"),
        ])
        .graph()
        .unwrap_err();
        assert_eq!(
            cycle.to_string(),
            "these wait for each other: guest.a -> guest.b -> guest.c -> guest.a"
        );
        // The part that every change has: its quiescing comes first.
        let cycle = plan(&[("guest.a", "pool.p"), ("pool.p", "guest.a!")])
            .graph()
            .unwrap_err();
        assert_eq!(cycle.addresses.len(), 2);
        let cycle = plan(&[("guest.a", "guest.a")]).graph().unwrap_err();
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
}
