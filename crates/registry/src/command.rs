//! What is written to the log: every change of the registry's state is one command, and applying the commands in order
//! gives the same state again, index for index.
//!
//! A command is JSON, record kind [`KIND`]. Fields are only ever added, with a default.

use crate::agent::LocalCheck;
use crate::catalog::{Deregistration, Node, Registration, Service, Status};
use serde::{Deserialize, Serialize};

/// The log's record kind of a command.
pub const KIND: u8 = 1;

/// One change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// The process started as this node.
    Start {
        /// This node.
        node: Node,
        /// The server's own entry in the catalog.
        server: Service,
    },
    /// `catalog/register`.
    Register(Registration),
    /// `catalog/deregister`.
    Deregister(Deregistration),
    /// `agent/service/register`.
    ServiceUp {
        /// The service.
        service: Service,
        /// Its checks; those of the same id keep their status.
        checks: Vec<LocalCheck>,
        /// Remove the service's other checks.
        replace: bool,
    },
    /// `agent/service/deregister`.
    ServiceDown {
        /// The service.
        id: String,
    },
    /// `agent/check/register`.
    CheckUp {
        /// The check.
        check: LocalCheck,
    },
    /// `agent/check/deregister`.
    CheckDown {
        /// The check.
        id: String,
    },
    /// A check was run, or reported.
    CheckState {
        /// The check.
        id: String,
        /// Its status now.
        status: Status,
        /// What it said.
        output: String,
    },
    /// The output of a check is shown in the catalog too.
    SyncOutput {
        /// The check.
        id: String,
        /// What it said last.
        output: String,
    },
}
