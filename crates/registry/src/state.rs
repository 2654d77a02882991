//! Everything a registry knows, and how a command changes it. No IO, no clock: the same commands give the same state.
//!
//! ```text
//! command ─► admit ─► (log) ─► apply ─┬─► agent     this node's services and checks
//!                                     ├─► catalog   all nodes; indexes; which keys were touched
//!                                     └─► Effects   which checks begin and end to run
//! ```

use crate::agent::{Agent, LocalCheck};
use crate::catalog::{Catalog, CatalogError, Check, Deregistration, Node, Registration, Service, Status};
use crate::check::Probe;
use crate::command::Command;
use crate::config::Limits;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a command is refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    /// The catalog would not take it.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A check for a service that this agent does not have.
    #[error("ServiceID {0:?} does not exist")]
    UnknownService(String),
    /// A report for a check that no client may report.
    #[error("CheckID {0:?} does not have associated TTL")]
    NoTtl(String),
    /// Too many of something.
    #[error("limit reached: {what}, at most {limit}")]
    Limit {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
}

/// What has to happen in the world after a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Checks to (re)start.
    pub start: Vec<String>,
    /// Checks to stop.
    pub stop: Vec<String>,
}

/// See the module. Serializable: a snapshot is this.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct State {
    /// Name of this node; empty before the first start.
    pub node_name: String,
    /// What is registered here.
    pub agent: Agent,
    /// What is known of all nodes.
    pub catalog: Catalog,
}

impl State {
    /// Nothing known yet.
    pub fn new() -> Self {
        State { catalog: Catalog::new(), ..State::default() }
    }

    /// Rebuilds what a snapshot leaves out.
    pub fn restored(self) -> Self {
        State { catalog: self.catalog.restored(), ..self }
    }

    /// Whether a command would be taken. Changes nothing.
    pub fn admit(&self, command: &Command, limits: &Limits) -> Result<(), Refusal> {
        match command {
            Command::Register(registration) => {
                let (_, services, checks) = self.catalog.counts();
                let room = services + usize::from(registration.service.is_some());
                below("services in the catalog", room, limits.services)?;
                below("checks in the catalog", checks + registration.checks.len(), limits.checks)?;
                Ok(self.catalog.admit(registration)?)
            }
            Command::ServiceUp { service, checks, .. } => {
                let is_new = !self.agent.services.contains_key(&service.id);
                below("services of this agent", self.agent.services.len() + usize::from(is_new), limits.services)?;
                let new = checks.iter().filter(|local| !self.agent.checks.contains_key(&local.check.id)).count();
                below("checks of this agent", self.agent.checks.len() + new, limits.checks)
            }
            Command::CheckUp { check: LocalCheck { check, .. } } => {
                let is_new = !self.agent.checks.contains_key(&check.id);
                below("checks of this agent", self.agent.checks.len() + usize::from(is_new), limits.checks)?;
                if !check.service_id.is_empty() && !self.agent.services.contains_key(&check.service_id) {
                    return Err(Refusal::UnknownService(check.service_id.clone()));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Whether a command changes nothing that must be on disk.
    pub fn is_settled(&self, command: &Command) -> bool {
        match command {
            Command::ServiceUp { service, checks, replace } => {
                let kept = |local: &LocalCheck| {
                    let prepared = self.prepared(local.clone(), Some(service));
                    self.agent.checks.get(&local.check.id) == Some(&prepared) && self.is_shown(&prepared.check)
                };
                let others = self.agent.checks.values().filter(|local| local.check.service_id == service.id).count();
                self.agent.services.get(&service.id) == Some(service)
                    && checks.iter().all(kept)
                    && (!replace || others == checks.len())
            }
            Command::ServiceDown { id } => !self.agent.services.contains_key(id),
            Command::CheckDown { id } => !self.agent.checks.contains_key(id),
            Command::CheckState { id, status, output } => self
                .agent
                .checks
                .get(id)
                .is_none_or(|local| local.check.status == *status && local.check.output == *output),
            _ => false,
        }
    }

    /// Whether the catalog has all that the agent knows of a check: nothing was held back.
    fn is_shown(&self, check: &Check) -> bool {
        self.catalog.check(&self.node_name, &check.id).is_some_and(|shown| {
            let same = Check { create_index: shown.create_index, modify_index: shown.modify_index, ..check.clone() };
            same == *shown
        })
    }

    /// Carries out a command that was admitted.
    pub fn apply(&mut self, command: Command) -> Effects {
        let mut effects = Effects::default();
        match command {
            Command::Start { node, server } => self.start(node, server),
            Command::Register(registration) => self.catalog.register(registration),
            Command::Deregister(gone) => self.catalog.deregister(&gone),
            Command::ServiceUp { service, checks, replace } => self.service_up(service, checks, replace, &mut effects),
            Command::ServiceDown { id } => self.service_down(&id, &mut effects),
            Command::CheckUp { check } => {
                let check = self.prepared(check, None);
                self.register_own(None, vec![check.check.clone()]);
                self.take_check(check, &mut effects);
            }
            Command::CheckDown { id } => self.check_down(&id, &mut effects),
            Command::CheckState { id, status, output } => self.check_state(&id, status, output),
            Command::SyncOutput { id, output } => {
                self.set_output(&id, output);
                let check = self.agent.checks.get(&id).map(|local| local.check.clone());
                self.register_own(None, check.into_iter().collect());
            }
        }
        effects
    }

    /// Keeps what a check said last. Not a command: an output alone is not worth a write to the log, the next run after
    /// a restart says it again.
    pub fn set_output(&mut self, id: &str, output: String) {
        if let Some(local) = self.agent.checks.get_mut(id) {
            local.check.output = output;
        }
    }

    fn start(&mut self, node: Node, server: Service) {
        let before = std::mem::replace(&mut self.node_name, node.name.clone());
        if !before.is_empty() && before != node.name {
            self.catalog.deregister(&Deregistration { node: before, ..Deregistration::default() });
            for local in self.agent.checks.values_mut() {
                local.check.node.clone_from(&node.name);
            }
        }
        let bare = Node { tagged_addresses: None, meta: None, ..node.clone() };
        let is_new = self.catalog.node_services(&node.name).1.is_none();
        let mut alive = Check::new(&node.name, "serfHealth", "Serf Health Status");
        alive.status = Status::Passing;
        "Agent alive and reachable".clone_into(&mut alive.output);
        let known = Registration {
            node_name: node.name.clone(),
            node: is_new.then_some(bare),
            new_node: None,
            service: Some(server),
            checks: vec![alive],
        };
        self.catalog.register(known);
        let node_name = node.name.clone();
        self.catalog.register(Registration { node_name, node: Some(node), ..Registration::default() });
        let ids: Vec<String> = self.agent.services.keys().cloned().collect();
        for id in ids {
            let service = self.agent.services.get(&id).cloned();
            self.register_own(service, Vec::new());
        }
        let ids: Vec<String> = self.agent.checks.keys().cloned().collect();
        for id in ids {
            let check = self.synced_check(&id);
            self.register_own(None, check.into_iter().collect());
        }
    }

    fn service_up(&mut self, service: Service, checks: Vec<LocalCheck>, replace: bool, effects: &mut Effects) {
        self.agent.services.insert(service.id.clone(), service.clone());
        // a check keeps the state it had before; of two with one id in this registration the last counts
        let checks: Vec<LocalCheck> = checks.into_iter().map(|local| self.prepared(local, Some(&service))).collect();
        let mut ids = Vec::with_capacity(checks.len());
        for local in checks {
            let id = self.take_check(local, effects);
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        let synced = ids.iter().filter_map(|id| self.agent.checks.get(id)).map(|local| local.check.clone()).collect();
        let service_id = service.id.clone();
        self.register_own(Some(service), synced);
        if replace {
            let of_service = self.agent.checks.values().filter(|local| local.check.service_id == service_id);
            let gone: Vec<String> =
                of_service.map(|local| local.check.id.clone()).filter(|id| !ids.contains(id)).collect();
            for id in gone {
                self.check_down(&id, effects);
            }
        }
    }

    /// Puts a check into the agent. Gives its id.
    fn take_check(&mut self, local: LocalCheck, effects: &mut Effects) -> String {
        let id = local.check.id.clone();
        self.agent.checks.insert(id.clone(), local);
        effects.start.push(id.clone());
        id
    }

    /// A check with what the agent knows: its node, its service, and its status if it was here before.
    fn prepared(&self, mut local: LocalCheck, service: Option<&Service>) -> LocalCheck {
        local.check.node.clone_from(&self.node_name);
        if let Some(service) = service.or_else(|| self.agent.services.get(&local.check.service_id)) {
            local.check.service_id.clone_from(&service.id);
            local.check.service_name.clone_from(&service.name);
            local.check.service_tags.clone_from(&service.tags);
        }
        if let Some(old) = self.agent.checks.get(&local.check.id)
            && !matches!(local.definition.probe, Probe::Maintenance)
        {
            local.check.status = old.check.status.clone();
            local.check.output.clone_from(&old.check.output);
        }
        local
    }

    fn service_down(&mut self, id: &str, effects: &mut Effects) {
        if self.agent.services.remove(id).is_none() {
            return;
        }
        self.agent.checks.retain(|check_id, local| {
            let gone = local.check.service_id == id;
            if gone {
                effects.stop.push(check_id.clone());
            }
            !gone
        });
        let node = self.node_name.clone();
        self.catalog.deregister(&Deregistration { node, service: Some(id.to_owned()), check: None });
    }

    fn check_down(&mut self, id: &str, effects: &mut Effects) {
        if self.agent.checks.remove(id).is_none() {
            return;
        }
        effects.stop.push(id.to_owned());
        let node = self.node_name.clone();
        self.catalog.deregister(&Deregistration { node, service: None, check: Some(id.to_owned()) });
    }

    fn check_state(&mut self, id: &str, status: Status, output: String) {
        let Some(local) = self.agent.checks.get_mut(id) else { return };
        local.check.output = output;
        // an output that changed alone is held back
        if local.check.status != status {
            local.check.status = status;
            let check = local.check.clone();
            self.register_own(None, vec![check]);
        }
    }

    /// A check as the catalog is to see it: an output that changed alone is held back.
    fn synced_check(&self, id: &str) -> Option<Check> {
        let mut check = self.agent.checks.get(id)?.check.clone();
        if let Some(shown) = self.catalog.check(&self.node_name, id)
            && shown.status == check.status
        {
            check.output.clone_from(&shown.output);
        }
        Some(check)
    }

    fn register_own(&mut self, service: Option<Service>, checks: Vec<Check>) {
        let registration =
            Registration { node_name: self.node_name.clone(), service, checks, ..Registration::default() };
        // a catalog client may have removed this node, or a service of it, behind the agent's back: then the agent
        // keeps its own entry and nothing is written for it
        if self.catalog.admit(&registration).is_ok() {
            self.catalog.register(registration);
        }
    }
}

fn below(what: &'static str, wanted: usize, limit: usize) -> Result<(), Refusal> {
    if wanted > limit { Err(Refusal::Limit { what, limit }) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
