//! What this node's own clients registered: services and their checks, before they are in the catalog.
//!
//! The agent is the truth about its node: every change here is written to the catalog in the same step. Only a change of
//! a check's output alone is held back (`check_update_interval`), so that chatty checks cost the catalog nothing.

use crate::catalog::{Check, Service};
use crate::check::Definition;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A check of this agent: its outcome and how it is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LocalCheck {
    /// The outcome; its output may be ahead of the catalog's.
    pub check: Check,
    /// How it is done.
    pub definition: Definition,
}

/// See the module.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Agent {
    /// By id.
    pub services: BTreeMap<String, Service>,
    /// By id.
    pub checks: BTreeMap<String, LocalCheck>,
}

/// Id of the check that takes a node out of use.
pub const NODE_MAINTENANCE: &str = "_node_maintenance";

/// Id of the check that takes a service out of use.
pub fn service_maintenance(id: &str) -> String {
    format!("_service_maintenance:{id}")
}

impl Agent {
    /// The checks that decide about a service: its own and the node's, by id.
    pub fn checks_of<'a>(&'a self, service: &'a str) -> impl Iterator<Item = &'a Check> {
        let checks = self.checks.values().map(|local| &local.check);
        checks.filter(move |check| check.service_id.is_empty() || check.service_id == service)
    }
}
