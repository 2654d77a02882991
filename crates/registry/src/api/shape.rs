//! The JSON of the answers, field for field. Absent, `null`, `[]` and `{}` differ; clients depend on each.

use crate::catalog::{Check, Instance, Node, Service, ServiceAddress, Weights};
use serde::Serialize;
use std::collections::BTreeMap;

/// An empty object.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Empty {}

/// What the mesh left behind; clients decode it.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Proxy {
    mesh_gateway: Empty,
    expose: Empty,
}

/// A node.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct NodeShape<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    node: &'a str,
    address: &'a str,
    datacenter: &'a str,
    tagged_addresses: &'a Option<BTreeMap<String, String>>,
    meta: &'a Option<BTreeMap<String, String>>,
    create_index: u64,
    modify_index: u64,
}

impl<'a> NodeShape<'a> {
    pub(crate) fn new(node: &'a Node, datacenter: &'a str) -> Self {
        NodeShape {
            id: &node.id,
            node: &node.name,
            address: &node.address,
            datacenter,
            tagged_addresses: &node.tagged_addresses,
            meta: &node.meta,
            create_index: node.create_index,
            modify_index: node.modify_index,
        }
    }
}

/// A service as the catalog shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ServiceShape<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    kind: &'a str,
    #[serde(rename = "ID")]
    id: &'a str,
    service: &'a str,
    tags: &'a [String],
    address: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tagged_addresses: &'a BTreeMap<String, ServiceAddress>,
    meta: &'a Option<BTreeMap<String, String>>,
    port: i64,
    weights: &'a Weights,
    enable_tag_override: bool,
    proxy: Proxy,
    connect: Empty,
    create_index: u64,
    modify_index: u64,
}

impl<'a> ServiceShape<'a> {
    pub(crate) fn new(service: &'a Service) -> Self {
        ServiceShape {
            kind: &service.kind,
            id: &service.id,
            service: &service.name,
            tags: &service.tags,
            address: &service.address,
            tagged_addresses: &service.tagged_addresses,
            meta: &service.meta,
            port: service.port,
            weights: &service.weights,
            enable_tag_override: service.enable_tag_override,
            proxy: Proxy::default(),
            connect: Empty::default(),
            create_index: service.create_index,
            modify_index: service.modify_index,
        }
    }
}

/// A service as the agent shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AgentServiceShape<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    kind: &'a str,
    #[serde(rename = "ID")]
    id: &'a str,
    service: &'a str,
    tags: &'a [String],
    meta: BTreeMap<&'a str, &'a str>,
    port: i64,
    address: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tagged_addresses: &'a BTreeMap<String, ServiceAddress>,
    weights: &'a Weights,
    enable_tag_override: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_hash: Option<String>,
}

impl<'a> AgentServiceShape<'a> {
    pub(crate) fn new(service: &'a Service) -> Self {
        let meta = service.meta.iter().flatten();
        AgentServiceShape {
            kind: &service.kind,
            id: &service.id,
            service: &service.name,
            tags: &service.tags,
            meta: meta.map(|(key, value)| (key.as_str(), value.as_str())).collect(),
            port: service.port,
            address: &service.address,
            tagged_addresses: &service.tagged_addresses,
            weights: &service.weights,
            enable_tag_override: service.enable_tag_override,
            content_hash: None,
        }
    }
}

/// One line of `catalog/service/:name`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CatalogServiceShape<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    node: &'a str,
    address: &'a str,
    datacenter: &'a str,
    tagged_addresses: &'a Option<BTreeMap<String, String>>,
    node_meta: &'a Option<BTreeMap<String, String>>,
    service_kind: &'a str,
    #[serde(rename = "ServiceID")]
    service_id: &'a str,
    service_name: &'a str,
    service_tags: &'a [String],
    service_address: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    service_tagged_addresses: &'a BTreeMap<String, ServiceAddress>,
    service_weights: &'a Weights,
    service_meta: BTreeMap<&'a str, &'a str>,
    service_port: i64,
    service_enable_tag_override: bool,
    service_proxy: Proxy,
    service_connect: Empty,
    create_index: u64,
    modify_index: u64,
}

impl<'a> CatalogServiceShape<'a> {
    pub(crate) fn new(instance: &Instance<'a>, datacenter: &'a str) -> Self {
        let (node, service) = (instance.node, instance.service);
        let meta = service.meta.iter().flatten();
        CatalogServiceShape {
            id: &node.id,
            node: &node.name,
            address: &node.address,
            datacenter,
            tagged_addresses: &node.tagged_addresses,
            node_meta: &node.meta,
            service_kind: &service.kind,
            service_id: &service.id,
            service_name: &service.name,
            service_tags: &service.tags,
            service_address: &service.address,
            service_tagged_addresses: &service.tagged_addresses,
            service_weights: &service.weights,
            service_meta: meta.map(|(key, value)| (key.as_str(), value.as_str())).collect(),
            service_port: service.port,
            service_enable_tag_override: service.enable_tag_override,
            service_proxy: Proxy::default(),
            service_connect: Empty::default(),
            create_index: service.create_index,
            modify_index: service.modify_index,
        }
    }
}

/// A check.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CheckShape<'a> {
    node: &'a str,
    #[serde(rename = "CheckID")]
    check_id: &'a str,
    name: &'a str,
    status: &'a str,
    notes: &'a str,
    output: &'a str,
    #[serde(rename = "ServiceID")]
    service_id: &'a str,
    service_name: &'a str,
    service_tags: &'a [String],
    r#type: &'a str,
    definition: &'a serde_json::Map<String, serde_json::Value>,
    create_index: u64,
    modify_index: u64,
}

impl<'a> CheckShape<'a> {
    pub(crate) fn new(check: &'a Check) -> Self {
        CheckShape {
            node: &check.node,
            check_id: &check.id,
            name: &check.name,
            status: check.status.as_str(),
            notes: &check.notes,
            output: &check.output,
            service_id: &check.service_id,
            service_name: &check.service_name,
            service_tags: &check.service_tags,
            r#type: &check.kind,
            definition: &check.definition,
            create_index: check.create_index,
            modify_index: check.modify_index,
        }
    }
}

/// One line of `health/service/:name`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct InstanceShape<'a> {
    node: NodeShape<'a>,
    service: ServiceShape<'a>,
    checks: Vec<CheckShape<'a>>,
}

impl<'a> InstanceShape<'a> {
    pub(crate) fn new(instance: &Instance<'a>, datacenter: &'a str) -> Self {
        InstanceShape {
            node: NodeShape::new(instance.node, datacenter),
            service: ServiceShape::new(instance.service),
            checks: instance.checks().map(CheckShape::new).collect(),
        }
    }
}

/// `catalog/node/:name`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct NodeServicesShape<'a, S> {
    pub(crate) node: Option<NodeShape<'a>>,
    pub(crate) services: Option<S>,
}

/// A check in `agent/health/service`: the agent's own form, with an empty definition written out.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct LocalCheckShape<'a> {
    node: &'a str,
    #[serde(rename = "CheckID")]
    check_id: &'a str,
    name: &'a str,
    status: &'a str,
    notes: &'a str,
    output: &'a str,
    #[serde(rename = "ServiceID")]
    service_id: &'a str,
    service_name: &'a str,
    service_tags: Option<&'a [String]>,
    r#type: &'static str,
    definition: NoDefinition,
    create_index: u64,
    modify_index: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct NoDefinition {
    interval: &'static str,
    timeout: &'static str,
    deregister_critical_service_after: &'static str,
    #[serde(rename = "HTTP")]
    http: &'static str,
    header: Option<Empty>,
    method: &'static str,
    body: &'static str,
    #[serde(rename = "TLSSkipVerify")]
    tls_skip_verify: bool,
    #[serde(rename = "TCP")]
    tcp: &'static str,
}

impl<'a> LocalCheckShape<'a> {
    pub(crate) fn new(check: &'a Check) -> Self {
        LocalCheckShape {
            node: &check.node,
            check_id: &check.id,
            name: &check.name,
            status: check.status.as_str(),
            notes: &check.notes,
            output: &check.output,
            service_id: &check.service_id,
            service_name: &check.service_name,
            service_tags: Some(&check.service_tags[..]).filter(|tags| !tags.is_empty()),
            r#type: "",
            definition: NoDefinition {
                interval: "0s",
                timeout: "0s",
                deregister_critical_service_after: "0s",
                http: "",
                header: None,
                method: "",
                body: "",
                tls_skip_verify: false,
                tcp: "",
            },
            create_index: 0,
            modify_index: 0,
        }
    }
}

/// `agent/health/service`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct LocalHealthShape<'a> {
    pub(crate) aggregated_status: &'a str,
    pub(crate) service: Option<AgentServiceShape<'a>>,
    pub(crate) checks: Option<Vec<LocalCheckShape<'a>>>,
}
