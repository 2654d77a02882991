//! What the catalog holds: nodes, services, checks. Indexes are stamped by the catalog alone.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A machine, or whatever carries services.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// A UUID, or empty for nodes that were registered without one.
    pub id: String,
    /// Its name, unique in the datacenter.
    pub name: String,
    /// Address of services without their own.
    pub address: String,
    /// Further addresses; absent and empty are different answers.
    pub tagged_addresses: Option<BTreeMap<String, String>>,
    /// Free pairs; absent and empty are different answers.
    pub meta: Option<BTreeMap<String, String>>,
    /// Index of the write that made it.
    pub create_index: u64,
    /// Index of the last write that changed it.
    pub modify_index: u64,
}

/// An address of a service under a tag (`lan`, `wan`, …).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ServiceAddress {
    /// Host.
    pub address: String,
    /// Port.
    pub port: i64,
}

/// How much of the traffic an instance takes while passing and while warning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Weights {
    /// While passing.
    pub passing: i64,
    /// While warning.
    pub warning: i64,
}

impl Default for Weights {
    fn default() -> Self {
        Weights { passing: 1, warning: 1 }
    }
}

/// One instance of a service on one node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// What the client calls it; anything, kept as it is.
    pub kind: String,
    /// Unique on its node.
    pub id: String,
    /// The service it is an instance of.
    pub name: String,
    /// Tags, in the order given.
    pub tags: Vec<String>,
    /// Empty: the node's.
    pub address: String,
    /// Further addresses.
    pub tagged_addresses: BTreeMap<String, ServiceAddress>,
    /// Free pairs; absent and empty are different answers.
    pub meta: Option<BTreeMap<String, String>>,
    /// Not checked, as in the original.
    pub port: i64,
    /// Weights.
    pub weights: Weights,
    /// Whether others may change the tags.
    pub enable_tag_override: bool,
    /// Index of the write that made it.
    pub create_index: u64,
    /// Index of the last write that changed it.
    pub modify_index: u64,
}

/// The state of a check. The catalog takes any word.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Status {
    /// All is well.
    Passing,
    /// Something is not.
    Warning,
    /// Not usable.
    Critical,
    /// A word of the client's own.
    Other(String),
}

impl Status {
    /// The word.
    pub fn as_str(&self) -> &str {
        match self {
            Status::Passing => "passing",
            Status::Warning => "warning",
            Status::Critical => "critical",
            Status::Other(word) => word,
        }
    }

    /// How bad it is: higher is worse.
    pub fn severity(&self) -> u8 {
        match self {
            Status::Passing => 0,
            Status::Warning => 1,
            Status::Critical | Status::Other(_) => 2,
        }
    }
}

impl From<String> for Status {
    fn from(word: String) -> Self {
        match word.as_str() {
            "passing" => Status::Passing,
            "warning" => Status::Warning,
            "critical" => Status::Critical,
            _ => Status::Other(word),
        }
    }
}

impl From<Status> for String {
    fn from(status: Status) -> Self {
        status.as_str().to_owned()
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The outcome of one check, of a node or of a service on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// The node it is about.
    pub node: String,
    /// Unique on its node.
    pub id: String,
    /// For people.
    pub name: String,
    /// Its state.
    pub status: Status,
    /// For people.
    pub notes: String,
    /// What the last run said.
    pub output: String,
    /// The service it is about; empty for the node itself.
    pub service_id: String,
    /// Name of that service when the check was registered.
    pub service_name: String,
    /// Tags of that service when the check was registered.
    pub service_tags: Vec<String>,
    /// `http`, `ttl`, …; empty where a client did not say.
    pub kind: String,
    /// What a client told about how it checks; nothing acts on it.
    pub definition: serde_json::Map<String, serde_json::Value>,
    /// Index of the write that made it.
    pub create_index: u64,
    /// Index of the last write that changed it.
    pub modify_index: u64,
}

impl Check {
    /// A check of a node or service, critical until told otherwise.
    pub fn new(node: &str, id: &str, name: &str) -> Self {
        Check {
            node: node.to_owned(),
            id: id.to_owned(),
            name: name.to_owned(),
            status: Status::Critical,
            notes: String::new(),
            output: String::new(),
            service_id: String::new(),
            service_name: String::new(),
            service_tags: Vec::new(),
            kind: String::new(),
            definition: serde_json::Map::new(),
            create_index: 0,
            modify_index: 0,
        }
    }
}
