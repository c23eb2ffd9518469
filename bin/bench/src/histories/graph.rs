//! The dependency graph of a history, and the cycles that strict serializability forbids.
//!
//! Vertices are transactions. An edge says that one took effect before another in every serial order that explains what
//! was seen. A cycle therefore shows that there is none. Kinds of edge and names of anomalies are Adya's (Weak
//! Consistency: A Generalized Theory, 1999), as Elle uses them (Kingsbury and Alvaro, VLDB 2020).

use std::collections::{BTreeSet, VecDeque};

/// Why one transaction is before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Edge {
    /// It wrote the version that the other replaced.
    WriteWrite,
    /// It wrote what the other read.
    WriteRead,
    /// It read a version that the other replaced.
    ReadWrite,
    /// It had ended before the other began.
    RealTime,
}

/// The graph. A vertex is a transaction's place in its history.
#[derive(Debug)]
pub struct Graph {
    edges: Vec<BTreeSet<(usize, Edge)>>,
}

/// A cycle: each vertex with the edge to the next one, the last one's edge leading to the first.
pub type Cycle = Vec<(usize, Edge)>;

/// Which edges a class of anomaly may use, strongest class first: a cycle is reported in the first class that has it.
const CLASSES: [(&str, &[Edge]); 6] = [
    ("G0", &[Edge::WriteWrite]),
    ("G1c", &[Edge::WriteWrite, Edge::WriteRead]),
    ("G2", &[Edge::WriteWrite, Edge::WriteRead, Edge::ReadWrite]),
    ("G0-realtime", &[Edge::WriteWrite, Edge::RealTime]),
    (
        "G1c-realtime",
        &[Edge::WriteWrite, Edge::WriteRead, Edge::RealTime],
    ),
    (
        "G2-realtime",
        &[
            Edge::WriteWrite,
            Edge::WriteRead,
            Edge::ReadWrite,
            Edge::RealTime,
        ],
    ),
];

impl Graph {
    /// A graph without edges.
    pub fn new(vertices: usize) -> Graph {
        Graph {
            edges: vec![BTreeSet::new(); vertices],
        }
    }

    /// Adds an edge; one to itself says nothing and is left out.
    pub fn add(&mut self, from: usize, to: usize, edge: Edge) {
        if from != to {
            self.edges[from].insert((to, edge));
        }
    }

    /// How many edges there are.
    pub fn len(&self) -> usize {
        self.edges.iter().map(BTreeSet::len).sum()
    }

    /// The name of the strongest anomaly that the graph has, with a short cycle that shows it.
    pub fn anomaly(&self) -> Option<(String, Cycle)> {
        CLASSES.iter().find_map(|(name, kinds)| {
            let component = self.component(kinds)?;
            let cycle = self.shortest_cycle(&component, kinds);
            let anti = cycle
                .iter()
                .filter(|(_, edge)| *edge == Edge::ReadWrite)
                .count();
            // One anti-dependency alone is read skew; snapshot isolation forbids it, and allows two.
            let name = match anti {
                1 => name.replace("G2", "G-single"),
                _ => (*name).to_string(),
            };
            Some((name, cycle))
        })
    }

    fn next<'g>(&'g self, from: usize, kinds: &'g [Edge]) -> impl Iterator<Item = (usize, Edge)> {
        self.edges[from]
            .iter()
            .copied()
            .filter(|(_, edge)| kinds.contains(edge))
    }

    /// A strongly connected component of more than one vertex (Tarjan 1972, with a stack of its own for deep graphs).
    fn component(&self, kinds: &[Edge]) -> Option<BTreeSet<usize>> {
        const NEW: usize = usize::MAX;
        let count = self.edges.len();
        let (mut index, mut low) = (vec![NEW; count], vec![0; count]);
        let (mut on_stack, mut stack) = (vec![false; count], Vec::new());
        let mut seen = 0;
        for root in 0..count {
            if index[root] != NEW {
                continue;
            }
            let mut calls = vec![(root, self.successors(root, kinds))];
            while let Some((vertex, rest)) = calls.last_mut() {
                let vertex = *vertex;
                if index[vertex] == NEW {
                    (index[vertex], low[vertex]) = (seen, seen);
                    seen += 1;
                    stack.push(vertex);
                    on_stack[vertex] = true;
                }
                match rest.pop() {
                    Some(next) if index[next] == NEW => {
                        calls.push((next, self.successors(next, kinds)));
                    }
                    Some(next) => {
                        if on_stack[next] {
                            low[vertex] = low[vertex].min(index[next]);
                        }
                    }
                    None => {
                        calls.pop();
                        if let Some((parent, _)) = calls.last() {
                            low[*parent] = low[*parent].min(low[vertex]);
                        }
                        if low[vertex] == index[vertex] {
                            let at = stack.iter().position(|v| *v == vertex).unwrap_or(0);
                            let component: BTreeSet<_> = stack.drain(at..).collect();
                            component.iter().for_each(|v| on_stack[*v] = false);
                            if component.len() > 1 {
                                return Some(component);
                            }
                        }
                    }
                }
            }
        }
        None
    }

    fn successors(&self, vertex: usize, kinds: &[Edge]) -> Vec<usize> {
        self.next(vertex, kinds).map(|(next, _)| next).collect()
    }

    /// A shortest cycle within a component, by a breadth-first search from each of its vertices.
    fn shortest_cycle(&self, component: &BTreeSet<usize>, kinds: &[Edge]) -> Cycle {
        /// A component of a long history has thousands of vertices: a few starts find a cycle that is short enough.
        const STARTS: usize = 64;
        let cycles = component
            .iter()
            .take(STARTS)
            .filter_map(|start| self.cycle_through(*start, component, kinds));
        cycles.min_by_key(Vec::len).unwrap_or_default()
    }

    fn cycle_through(
        &self,
        start: usize,
        component: &BTreeSet<usize>,
        kinds: &[Edge],
    ) -> Option<Cycle> {
        let mut from: Vec<Option<(usize, Edge)>> = vec![None; self.edges.len()];
        let mut queue = VecDeque::from([start]);
        while let Some(vertex) = queue.pop_front() {
            for (next, edge) in self.next(vertex, kinds) {
                if next == start {
                    let mut cycle = vec![(vertex, edge)];
                    let mut at = vertex;
                    while at != start {
                        let (before, edge) = from[at]?;
                        cycle.push((before, edge));
                        at = before;
                    }
                    cycle.reverse();
                    return Some(cycle);
                }
                if component.contains(&next) && from[next].is_none() {
                    from[next] = Some((vertex, edge));
                    queue.push_back(next);
                }
            }
        }
        None
    }
}
