//! What Consul's answers say, and the `__meta_consul_*` labels made of it.
//!
//! Names and forms as the original's: tags wrapped in separators, metadata keys sanitized, the service's own address
//! before the node's. Unknown keys of the answers are passed over: newer Consuls send more.

use model::{Labels, LabelsBuilder, TargetGroup};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct AgentSelf {
    #[serde(rename = "Config")]
    config: AgentConfig,
}

#[derive(Deserialize)]
struct AgentConfig {
    #[serde(rename = "Datacenter")]
    datacenter: String,
}

/// One instance of a service, of `health/service`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Instance {
    node: Node,
    service: Service,
    #[serde(default)]
    checks: Option<Vec<Check>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Node {
    node: String,
    #[serde(default)]
    address: String,
    #[serde(default)]
    tagged_addresses: Option<BTreeMap<String, String>>,
    #[serde(default)]
    meta: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Service {
    #[serde(rename = "ID")]
    id: String,
    #[serde(default)]
    address: String,
    #[serde(default)]
    port: i64,
    #[serde(default)]
    tags: Option<Vec<String>>,
    #[serde(default)]
    meta: Option<BTreeMap<String, String>>,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    partition: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Check {
    #[serde(default, rename = "CheckID")]
    check_id: String,
    #[serde(default)]
    status: String,
}

/// The agent's datacenter, of `agent/self`.
pub(super) fn datacenter(body: &[u8]) -> Result<String, String> {
    let own: AgentSelf =
        serde_json::from_slice(body).map_err(|e| format!("agent/self has no Config.Datacenter: {e}"))?;
    Ok(own.config.datacenter)
}

/// Services and their tags, of `catalog/services`.
pub(super) fn services(body: &[u8]) -> Result<BTreeMap<String, Vec<String>>, String> {
    let all: Option<BTreeMap<String, Option<Vec<String>>>> =
        serde_json::from_slice(body).map_err(|e| format!("catalog/services: {e}"))?;
    Ok(all.into_iter().flatten().map(|(name, tags)| (name, tags.unwrap_or_default())).collect())
}

/// Instances, of `health/service`.
pub(super) fn instances(body: &[u8]) -> Result<Vec<Instance>, String> {
    let all: Option<Vec<Instance>> = serde_json::from_slice(body).map_err(|e| format!("health/service: {e}"))?;
    Ok(all.unwrap_or_default())
}

/// The group of one service.
pub(super) fn group(name: &str, datacenter: &str, instances: &[Instance], separator: &str) -> TargetGroup {
    TargetGroup {
        source: name.to_owned(),
        targets: instances.iter().map(|instance| target(instance, separator)).collect(),
        labels: Labels::from_pairs([("__meta_consul_service", name), ("__meta_consul_dc", datacenter)]),
    }
}

fn target(instance: &Instance, separator: &str) -> Labels {
    let Instance { node, service, .. } = instance;
    let host = if service.address.is_empty() { &node.address } else { &service.address };
    let address = if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]:{}", service.port)
    } else {
        format!("{host}:{}", service.port)
    };
    let tags = service.tags.as_deref().unwrap_or_default().join(separator);
    let mut labels = LabelsBuilder::new();
    labels.set("__address__", &address);
    labels.set("__meta_consul_address", &node.address);
    labels.set("__meta_consul_node", &node.node);
    labels.set("__meta_consul_namespace", &service.namespace);
    labels.set("__meta_consul_partition", &service.partition);
    labels.set("__meta_consul_tags", &format!("{separator}{tags}{separator}"));
    labels.set("__meta_consul_service_address", &service.address);
    labels.set("__meta_consul_service_port", &service.port.to_string());
    labels.set("__meta_consul_service_id", &service.id);
    labels.set("__meta_consul_health", health(instance.checks.as_deref().unwrap_or_default()));
    let families = [
        ("__meta_consul_metadata_", &node.meta),
        ("__meta_consul_service_metadata_", &service.meta),
        ("__meta_consul_tagged_address_", &node.tagged_addresses),
    ];
    for (prefix, entries) in families {
        for (key, value) in entries.iter().flatten() {
            labels.set(&format!("{prefix}{}", sanitize(key)), value);
        }
    }
    labels.build()
}

/// The worst of the checks; maintenance before all.
fn health(checks: &[Check]) -> &'static str {
    let maintenance =
        |check: &Check| check.check_id == "_node_maintenance" || check.check_id.starts_with("_service_maintenance:");
    if checks.iter().any(maintenance) {
        return "maintenance";
    }
    ["critical", "warning"].into_iter().find(|s| checks.iter().any(|c| c.status == *s)).unwrap_or("passing")
}

/// A legacy label name: every other character becomes an underscore.
fn sanitize(key: &str) -> String {
    key.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_those_of_the_original() {
        let body = br#"[{"Node":{"ID":"x","Node":"n1","Address":"10.0.0.1","Datacenter":"dc1",
            "TaggedAddresses":{"lan":"10.0.0.1","wan_ipv4":"1.2.3.4"},"Meta":{"rack-id":"r1"}},
            "Service":{"ID":"web-1","Service":"web","Tags":["a","b"],"Address":"","Port":8080,"Meta":{"v.1":"x"},"Weights":{"Passing":1}},
            "Checks":[{"CheckID":"serfHealth","Status":"passing"},{"CheckID":"c","Status":"warning"}]},
            {"Node":{"Node":"n2","Address":"::1","Meta":null},"Service":{"ID":"web-2","Tags":null,"Address":"db.local","Port":0},"Checks":null}]"#;
        let found = group("web", "dc1", &instances(body).expect("an answer of Consul"), ",");
        assert_eq!(found.labels.to_string(), r#"{__meta_consul_dc="dc1", __meta_consul_service="web"}"#);
        assert_eq!(
            found.targets[0].to_string(),
            r#"{__address__="10.0.0.1:8080", __meta_consul_address="10.0.0.1", __meta_consul_health="warning", __meta_consul_metadata_rack_id="r1", __meta_consul_node="n1", __meta_consul_service_id="web-1", __meta_consul_service_metadata_v_1="x", __meta_consul_service_port="8080", __meta_consul_tagged_address_lan="10.0.0.1", __meta_consul_tagged_address_wan_ipv4="1.2.3.4", __meta_consul_tags=",a,b,"}"#
        );
        assert_eq!(
            found.targets[1].to_string(),
            r#"{__address__="db.local:0", __meta_consul_address="::1", __meta_consul_health="passing", __meta_consul_node="n2", __meta_consul_service_address="db.local", __meta_consul_service_id="web-2", __meta_consul_service_port="0", __meta_consul_tags=",,"}"#
        );
    }

    #[test]
    fn health_is_the_worst_check() {
        let check = |id: &str, status: &str| Check { check_id: id.to_owned(), status: status.to_owned() };
        assert_eq!(health(&[]), "passing");
        assert_eq!(health(&[check("a", "warning"), check("b", "critical")]), "critical");
        assert_eq!(health(&[check("_service_maintenance:web", "critical")]), "maintenance");
    }

    #[test]
    fn other_bodies_are_refused() {
        assert!(instances(b"{}").is_err());
        assert!(services(b"[]").is_err());
        assert!(datacenter(b"{}").is_err());
        assert_eq!(services(b"null"), Ok(BTreeMap::new()));
    }
}
