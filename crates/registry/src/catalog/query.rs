//! Reading the catalog: every function gives the answer and the index it carries.

use super::{Catalog, Check, Folded, Key, Node, NodeEntry, Service, Status};
use std::collections::BTreeMap;

/// One instance with what decides about its health.
#[derive(Clone, Copy, Debug)]
pub struct Instance<'a> {
    /// The node it is on.
    pub node: &'a Node,
    /// The instance.
    pub service: &'a Service,
    entry: &'a NodeEntry,
}

impl<'a> Instance<'a> {
    /// The node's own checks by id, then the instance's.
    pub fn checks(&self) -> impl Iterator<Item = &'a Check> {
        let id = &self.service.id;
        let of_node = self.entry.checks.values().filter(|check| check.service_id.is_empty());
        of_node.chain(self.entry.checks.values().filter(move |check| Folded::same(&check.service_id, id)))
    }

    /// No check is anything but passing.
    pub fn is_passing(&self) -> bool {
        self.checks().all(|check| check.status == Status::Passing)
    }

    /// Has every one of the tags, in any case.
    pub fn has_tags(&self, tags: &[String]) -> bool {
        tags.iter().all(|wanted| self.service.tags.iter().any(|tag| tag.eq_ignore_ascii_case(wanted)))
    }
}

/// A node with its services.
#[derive(Clone, Copy, Debug)]
pub struct NodeServices<'a> {
    /// The node.
    pub node: &'a Node,
    /// By id.
    pub services: &'a BTreeMap<Folded, Service>,
}

impl Node {
    /// Has every one of these pairs.
    pub fn has_meta(&self, pairs: &BTreeMap<String, String>) -> bool {
        pairs.iter().all(|(key, value)| self.meta.as_ref().is_some_and(|meta| meta.get(key) == Some(value)))
    }
}

impl Catalog {
    /// All nodes by name.
    pub fn nodes(&self) -> (u64, impl Iterator<Item = &Node>) {
        (self.tables.nodes, self.nodes.values().map(|entry| &entry.node))
    }

    /// Every service name with the tags of its instances, in the order they are met.
    pub fn services(&self, meta: &BTreeMap<String, String>) -> (u64, BTreeMap<&str, Vec<&str>>) {
        let mut answer: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for entry in self.nodes.values().filter(|entry| entry.node.has_meta(meta)) {
            for service in entry.services.values() {
                let tags = answer.entry(&service.name).or_default();
                for tag in &service.tags {
                    if !tags.contains(&tag.as_str()) {
                        tags.push(tag);
                    }
                }
            }
        }
        let by_node = if meta.is_empty() { 0 } else { self.tables.nodes };
        (self.tables.services.max(by_node), answer)
    }

    /// The instances of a service, by node and id, with the keys a query for them looks at.
    /// `with_checks`: the query shows checks too.
    pub fn instances(&self, name: &str, with_checks: bool) -> (u64, Vec<Key>, Vec<Instance<'_>>) {
        let name = Folded::of(name);
        let look = if with_checks { Key::Health(name.clone()) } else { Key::Instances(name.clone()) };
        let Some(entry) = self.names.get(&name) else {
            let tables = if with_checks {
                self.tables.nodes.max(self.tables.services).max(self.tables.checks)
            } else {
                self.tables.nodes.max(self.tables.services)
            };
            let index = if self.tables.extinction > 0 { self.tables.extinction } else { tables };
            return (index, vec![look, Key::Extinction], Vec::new());
        };
        let instances = entry.instances.iter().filter_map(|(node, id)| {
            let entry = self.nodes.get(node)?;
            Some(Instance { node: &entry.node, service: entry.services.get(id)?, entry })
        });
        let index = self.name_index.get(&name).copied().unwrap_or(self.index);
        (index, vec![look], instances.collect())
    }

    /// One node and its services. The index is that of the tables, 1 when there is no such node.
    pub fn node_services(&self, node: &str) -> (u64, Option<NodeServices<'_>>) {
        match self.nodes.get(&Folded::of(node)) {
            None => (1, None),
            Some(entry) => {
                let index = self.tables.nodes.max(self.tables.services);
                (index, Some(NodeServices { node: &entry.node, services: &entry.services }))
            }
        }
    }

    /// The checks of a node and its services, by id.
    pub fn node_checks(&self, node: &str) -> (u64, impl Iterator<Item = &Check>) {
        (self.tables.checks, self.nodes.get(&Folded::of(node)).into_iter().flat_map(|entry| entry.checks.values()))
    }

    /// The checks of all nodes with these pairs, by node and id.
    pub fn checks<'a>(&'a self, meta: &'a BTreeMap<String, String>) -> (u64, impl Iterator<Item = &'a Check>) {
        let nodes = self.nodes.values().filter(move |entry| entry.node.has_meta(meta));
        (self.tables.checks, nodes.flat_map(|entry| entry.checks.values()))
    }
}
