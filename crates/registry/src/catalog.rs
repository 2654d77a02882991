//! The catalog: nodes, the services on them, the checks of both, and the index each answer carries. No IO, no clock.
//!
//! ```text
//! nodes: name → { node, services: id → service, checks: id → check }
//! names: service name → { instances: (node, id), index }             index: last change of anything an answer shows
//! tables: index of the last write to nodes, services, checks; index at which a service name last vanished
//! ```
//!
//! Nodes, services and checks are found without regard to case ([`Folded`]), and lists are in that order.
//!
//! A command that changes something takes one index and stamps it on all it changed; one that changes nothing takes none.
//! What changed is told as [`Key`]s, so that exactly the queries that look at it are evaluated again. The index of an
//! answer is coarser than what wakes its query: a client may be answered at once with what it knows, as by the original.
//!
//! Source: `reference/consul.md` 1.2 and 1.5; the indexes are those of Consul 1.8.7 as seen running.

mod entry;
mod folded;
mod query;

pub use entry::{Check, Node, Service, ServiceAddress, Status, Weights};
pub use folded::Folded;
pub use query::{Instance, NodeServices};

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use thiserror::Error;

/// Something a query can look at; a write names those it touched.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// The list of nodes.
    Nodes,
    /// One node and the services on it.
    Node(Folded),
    /// The list of service names.
    Services,
    /// The instances of a service, and the nodes they are on.
    Instances(Folded),
    /// The above and the checks of both.
    Health(Folded),
    /// That some service name vanished.
    Extinction,
    /// The checks of a node and its services.
    NodeChecks(Folded),
    /// The checks of a service.
    ServiceChecks(Folded),
    /// The checks with a status.
    Status(Status),
    /// Any check.
    AnyCheck,
}

/// Why the catalog refused a write.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CatalogError {
    /// The name belongs to a node with another id.
    #[error(
        "failed inserting node: Error while renaming Node ID: {id:?}: Node name {name} is reserved by node {holder} with name {name} ({address})"
    )]
    NameReserved {
        /// Id in the request.
        id: String,
        /// The name both want.
        name: String,
        /// Id of the node that has it.
        holder: String,
        /// Its address.
        address: String,
    },
    /// A check names a service that the node does not have.
    #[error("failed inserting check: Missing service registration on node {0:?}")]
    MissingService(String),
    /// A check names another node than the request.
    #[error("check node {check:?} does not match node {node:?}")]
    OtherNode {
        /// Node of the check.
        check: String,
        /// Node of the request.
        node: String,
    },
    /// A check with neither id nor name.
    #[error("failed inserting check: object missing primary index on node {0:?}")]
    CheckWithoutId(String),
    /// An update of a node that is not there.
    #[error("node {0:?} is not registered")]
    MissingNode(String),
}

/// What to write for one node: the node itself (`None` leaves it), a service, checks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Registration {
    /// Name of the node.
    pub node_name: String,
    /// The node, unless it is to be left as it is.
    pub node: Option<Node>,
    /// The node, if there is none of that name yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_node: Option<Node>,
    /// A service on it.
    pub service: Option<Service>,
    /// Checks of the node or its services.
    pub checks: Vec<Check>,
}

/// What to remove: the whole node, or one service, or one check.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Deregistration {
    /// Name of the node.
    pub node: String,
    /// One service of it.
    pub service: Option<String>,
    /// One check of it.
    pub check: Option<String>,
}

/// See the module. Serializable: a snapshot is this.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Catalog {
    index: u64,
    nodes: BTreeMap<Folded, NodeEntry>,
    #[serde(skip)]
    names: BTreeMap<Folded, NameEntry>,
    /// Indexes of names; apart from `names`, which is rebuilt.
    name_index: BTreeMap<Folded, u64>,
    tables: Tables,
    #[serde(skip)]
    touched: HashSet<Key>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Tables {
    nodes: u64,
    services: u64,
    checks: u64,
    extinction: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct NodeEntry {
    node: Node,
    services: BTreeMap<Folded, Service>,
    checks: BTreeMap<Folded, Check>,
}

#[derive(Clone, Debug, Default)]
struct NameEntry {
    instances: BTreeSet<(Folded, Folded)>,
}

impl Catalog {
    /// An empty catalog. The first write takes index 10: 1 is what absent things carry, and a client that has seen 1
    /// must be behind everything.
    pub fn new() -> Self {
        Catalog { index: 9, ..Catalog::default() }
    }

    /// Rebuilds what a snapshot leaves out. Snapshots of the first version have their keys as they were given.
    pub fn restored(mut self) -> Self {
        for (_, entry) in std::mem::take(&mut self.nodes) {
            let services = entry.services.into_values().map(|service| (Folded::of(&service.id), service)).collect();
            let checks = entry.checks.into_values().map(|check| (Folded::of(&check.id), check)).collect();
            self.nodes.insert(Folded::of(&entry.node.name), NodeEntry { node: entry.node, services, checks });
        }
        for (name, index) in std::mem::take(&mut self.name_index) {
            let known = self.name_index.entry(name.folded()).or_default();
            *known = index.max(*known);
        }
        for (node_name, entry) in &self.nodes {
            for (id, service) in &entry.services {
                let name = self.names.entry(Folded::of(&service.name)).or_default();
                name.instances.insert((node_name.clone(), id.clone()));
            }
        }
        self
    }

    /// Index of the last write that changed something.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// How many (nodes, service instances, checks) there are.
    pub fn counts(&self) -> (usize, usize, usize) {
        let services = self.nodes.values().map(|entry| entry.services.len()).sum();
        let checks = self.nodes.values().map(|entry| entry.checks.len()).sum();
        (self.nodes.len(), services, checks)
    }

    /// What was touched since the last call.
    pub fn take_touched(&mut self) -> HashSet<Key> {
        std::mem::take(&mut self.touched)
    }

    /// A service of a node.
    pub fn service(&self, node: &str, id: &str) -> Option<&Service> {
        self.nodes.get(&Folded::of(node))?.services.get(&Folded::of(id))
    }

    /// A check of a node.
    pub fn check(&self, node: &str, id: &str) -> Option<&Check> {
        self.nodes.get(&Folded::of(node))?.checks.get(&Folded::of(id))
    }

    /// Says whether [`Catalog::register`] would take this. Changes nothing.
    pub fn admit(&self, registration: &Registration) -> Result<(), CatalogError> {
        let name = &registration.node_name;
        let entry = self.nodes.get(&Folded::of(name));
        match (&registration.node, entry) {
            (Some(node), Some(entry)) => {
                let holder = &entry.node;
                if !node.id.is_empty() && !holder.id.is_empty() && node.id != holder.id {
                    return Err(CatalogError::NameReserved {
                        id: node.id.clone(),
                        name: name.clone(),
                        holder: holder.id.clone(),
                        address: holder.address.clone(),
                    });
                }
            }
            (None, None) if registration.new_node.is_none() => return Err(CatalogError::MissingNode(name.clone())),
            _ => {}
        }
        for check in &registration.checks {
            if check.id.is_empty() {
                return Err(CatalogError::CheckWithoutId(name.clone()));
            }
            if check.node != *name {
                return Err(CatalogError::OtherNode { check: check.node.clone(), node: name.clone() });
            }
            let is_there = check.service_id.is_empty()
                || registration.service.as_ref().is_some_and(|service| Folded::same(&service.id, &check.service_id))
                || entry.is_some_and(|entry| entry.services.contains_key(&Folded::of(&check.service_id)));
            if !is_there {
                return Err(CatalogError::MissingService(name.clone()));
            }
        }
        Ok(())
    }

    /// Writes what differs; everything changed gets one new index. Must have been admitted.
    pub fn register(&mut self, registration: Registration) {
        let index = self.index + 1;
        let name = Folded::of(&registration.node_name);
        let mut changed = false;
        let new_node = registration.new_node.filter(|_| !self.nodes.contains_key(&name));
        if let Some(node) = registration.node.or(new_node) {
            changed |= self.put_node(&name, node, index);
        }
        if let Some(service) = registration.service {
            changed |= self.put_service(&name, service, index);
        }
        // a rename took an index of its own
        let index = index.max(self.index);
        for check in registration.checks {
            changed |= self.put_check(&name, check, index);
        }
        if changed {
            self.index = index;
        }
    }

    /// Removes a node with all that is on it, a service with its checks, or a check.
    pub fn deregister(&mut self, gone: &Deregistration) {
        let index = self.index + 1;
        let node = Folded::of(&gone.node);
        let changed = match (&gone.service, &gone.check) {
            (Some(id), _) => self.drop_service(&node, &Folded::of(id), index),
            (None, Some(id)) => self.drop_check(&node, &Folded::of(id), index),
            (None, None) => self.drop_node(&node, index),
        };
        if changed {
            self.index = index;
        }
    }

    fn put_node(&mut self, name: &Folded, mut node: Node, index: u64) -> bool {
        match self.nodes.get_mut(name) {
            Some(entry) => {
                (node.create_index, node.modify_index) = (entry.node.create_index, entry.node.modify_index);
                if node.id.is_empty() {
                    node.id.clone_from(&entry.node.id);
                }
                if node == entry.node {
                    return false;
                }
                node.modify_index = index;
                entry.node = node;
            }
            None => {
                (node.create_index, node.modify_index) = (index, index);
                let entry = NodeEntry { node, services: BTreeMap::new(), checks: BTreeMap::new() };
                self.nodes.insert(name.clone(), entry);
            }
        }
        self.tables.nodes = index;
        self.touched.extend([Key::Nodes, Key::Node(name.clone())]);
        self.touch_names_on(name, index, true);
        true
    }

    fn put_service(&mut self, node: &Folded, mut service: Service, index: u64) -> bool {
        let Some(entry) = self.nodes.get_mut(node) else { return false };
        (service.create_index, service.modify_index) = (index, index);
        let mut index = index;
        let (id, name) = (Folded::of(&service.id), Folded::of(&service.name));
        if let Some(old) = entry.services.get(&id) {
            (service.create_index, service.modify_index) = (old.create_index, old.modify_index);
            if *old == service {
                return false;
            }
            let old_name = Folded::of(&old.name);
            if old_name != name {
                // the old name lost an instance: its watchers learn that at an index of its own, before the new name's
                self.leave_name(&old_name, node, &id, index);
                index += 1;
                self.index = index;
            }
            service.modify_index = index;
        }
        let Some(entry) = self.nodes.get_mut(node) else { return false };
        entry.services.insert(id.clone(), service);
        self.names.entry(name.clone()).or_default().instances.insert((node.clone(), id));
        self.tables.services = index;
        self.touch_service(&name, node, index);
        true
    }

    fn put_check(&mut self, node: &Folded, mut check: Check, index: u64) -> bool {
        let Some(entry) = self.nodes.get_mut(node) else { return false };
        let id = Folded::of(&check.id);
        // a rename of the service reaches its checks when they are written next
        if let Some(service) = entry.services.get(&Folded::of(&check.service_id)) {
            check.service_name.clone_from(&service.name);
            check.service_tags.clone_from(&service.tags);
        }
        (check.create_index, check.modify_index) = (index, index);
        if let Some(old) = entry.checks.get(&id) {
            (check.create_index, check.modify_index) = (old.create_index, old.modify_index);
            if *old == check {
                return false;
            }
            check.modify_index = index;
            let old_name = Folded::of(&old.service_name);
            self.touched.extend([Key::Status(old.status.clone()), Key::ServiceChecks(old_name)]);
        }
        let touched = check.clone();
        entry.checks.insert(id, check);
        self.touch_check(node, &touched, index);
        true
    }

    fn drop_node(&mut self, node: &Folded, index: u64) -> bool {
        let Some(entry) = self.nodes.get(node) else { return false };
        let ids: Vec<Folded> = entry.services.keys().cloned().collect();
        for id in ids {
            self.drop_service(node, &id, index);
        }
        if let Some(entry) = self.nodes.remove(node) {
            for check in entry.checks.values() {
                self.touch_check(node, check, index);
            }
        }
        self.tables.nodes = index;
        self.touched.extend([Key::Nodes, Key::Node(node.clone())]);
        true
    }

    fn drop_service(&mut self, node: &Folded, id: &Folded, index: u64) -> bool {
        let Some(entry) = self.nodes.get_mut(node) else { return false };
        let Some(service) = entry.services.remove(id) else { return false };
        let mut checks = Vec::new();
        entry.checks.retain(|_, check| {
            let gone = Folded::of(&check.service_id) == *id;
            if gone {
                checks.push(check.clone());
            }
            !gone
        });
        for check in &checks {
            self.touch_check(node, check, index);
        }
        // the original moves the checks' index here even when the service had none
        self.tables.checks = index;
        self.tables.services = index;
        self.leave_name(&Folded::of(&service.name), node, id, index);
        true
    }

    fn drop_check(&mut self, node: &Folded, id: &Folded, index: u64) -> bool {
        let Some(check) = self.nodes.get_mut(node).and_then(|entry| entry.checks.remove(id)) else { return false };
        self.touch_check(node, &check, index);
        true
    }

    fn leave_name(&mut self, name: &Folded, node: &Folded, id: &Folded, index: u64) {
        self.touch_service(name, node, index);
        let Some(entry) = self.names.get_mut(name) else { return };
        entry.instances.remove(&(node.clone(), id.clone()));
        if entry.instances.is_empty() {
            self.names.remove(name);
            self.name_index.remove(name);
            self.tables.extinction = index;
            self.touched.insert(Key::Extinction);
        }
    }

    fn touch_service(&mut self, name: &Folded, node: &Folded, index: u64) {
        self.name_index.insert(name.clone(), index);
        self.touched.extend([
            Key::Services,
            Key::Instances(name.clone()),
            Key::Health(name.clone()),
            Key::Node(node.clone()),
        ]);
    }

    fn touch_check(&mut self, node: &Folded, check: &Check, index: u64) {
        self.tables.checks = index;
        self.touched.extend([
            Key::AnyCheck,
            Key::Status(check.status.clone()),
            Key::NodeChecks(node.clone()),
            Key::ServiceChecks(Folded::of(&check.service_name)),
        ]);
        if check.service_id.is_empty() {
            self.touch_names_on(node, index, false);
            return;
        }
        let now = self.nodes.get(node).and_then(|entry| entry.services.get(&Folded::of(&check.service_id)));
        let names = [Some(Folded::of(&check.service_name)), now.map(|service| Folded::of(&service.name))];
        for name in names.into_iter().flatten() {
            if self.names.contains_key(&name) {
                self.name_index.insert(name.clone(), index);
            }
            self.touched.insert(Key::Health(name));
        }
    }

    /// A change of a node, or of a check of the node itself, is a change of every service on it.
    fn touch_names_on(&mut self, node: &Folded, index: u64, instances_too: bool) {
        let Some(entry) = self.nodes.get(node) else { return };
        for service in entry.services.values() {
            let name = Folded::of(&service.name);
            self.name_index.insert(name.clone(), index);
            self.touched.insert(Key::Health(name.clone()));
            if instances_too {
                self.touched.insert(Key::Instances(name));
            }
        }
    }
}

#[cfg(test)]
mod tests;
