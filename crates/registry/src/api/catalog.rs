//! `/v1/catalog/…`: what is known of all nodes.

use super::Call;
use super::answer::{Answer, to_json};
use super::query::Read;
use super::shape::{CatalogServiceShape, NodeServicesShape, NodeShape, ServiceShape};
use crate::catalog::{Folded, Key};
use crate::command::Command;
use crate::filter::schema;
use crate::registration;
use serde_json::json;
use std::collections::BTreeMap;

pub(super) async fn register(call: &Call) -> Answer {
    let (datacenter, registration) = match registration::registration(&call.body) {
        Ok(decoded) => decoded,
        Err(error) => return error.into(),
    };
    write(call, &datacenter, Command::Register(registration)).await
}

pub(super) async fn deregister(call: &Call) -> Answer {
    let (datacenter, gone) = match registration::deregistration(&call.body) {
        Ok(decoded) => decoded,
        Err(error) => return error.into(),
    };
    write(call, &datacenter, Command::Deregister(gone)).await
}

async fn write(call: &Call, datacenter: &str, command: Command) -> Answer {
    if !datacenter.is_empty() && datacenter != call.registry.0.config.datacenter {
        return Answer::failed("No path to datacenter");
    }
    match call.registry.0.store.propose(command).await {
        Ok(()) => Answer::json(&true),
        Err(error) => error.into(),
    }
}

pub(super) async fn nodes(call: &Call) -> Answer {
    let read = match Read::of(call, Some(&schema::NODE)) {
        Ok(read) => read,
        Err(refused) => return refused,
    };
    let datacenter = &call.registry.0.config.datacenter;
    read.answer(call, |state| {
        let (index, nodes) = state.catalog.nodes();
        let nodes = nodes.filter(|node| node.has_meta(&read.node_meta));
        (index, vec![Key::Nodes], read.list(nodes.map(|node| NodeShape::new(node, datacenter))))
    })
    .await
}

pub(super) async fn services(call: &Call) -> Answer {
    // 1.8.7 ignores a filter here, 1.14 and later obey it; one that can not be read is ignored as there
    let read = match Read::of(call, None) {
        Ok(read) => read,
        Err(refused) => return refused,
    };
    let filter = crate::filter::Filter::compile(call.params.get("filter"), &schema::SERVICE_NAME).ok();
    let key = format!("services {:?}", read.node_meta);
    read.answer_cached(call, key, |state| {
        let (index, mut services) = state.catalog.services(&read.node_meta);
        if let Some(filter) = &filter {
            services.retain(|name, tags| filter.holds(&json!({ "ServiceName": name, "ServiceTags": tags })));
        }
        let mut keys = vec![Key::Services];
        if !read.node_meta.is_empty() {
            keys.push(Key::Nodes);
        }
        (index, keys, to_json(&services))
    })
    .await
}

pub(super) async fn service(call: &Call) -> Answer {
    if call.name.is_empty() {
        return Answer::bad("Missing service name");
    }
    let read = match Read::of(call, Some(&schema::CATALOG_SERVICE)) {
        Ok(read) => read,
        Err(refused) => return refused,
    };
    let tags: Vec<String> = call.params.all("tag").map(str::to_owned).collect();
    let datacenter = &call.registry.0.config.datacenter;
    let key = format!("service {} {tags:?} {:?}", call.name, read.node_meta);
    read.answer_cached(call, key, |state| {
        let (index, keys, instances) = state.catalog.instances(&call.name, false);
        let wanted = instances.iter().filter(|i| i.has_tags(&tags) && i.node.has_meta(&read.node_meta));
        (index, keys, read.list(wanted.map(|instance| CatalogServiceShape::new(instance, datacenter))))
    })
    .await
}

/// The mesh's own instances: there are none.
pub(super) async fn connect(call: &Call) -> Answer {
    let read = match Read::of(call, Some(&schema::CATALOG_SERVICE)) {
        Ok(read) => read,
        Err(refused) => return refused,
    };
    read.answer(call, |state| {
        let (index, keys, _) = state.catalog.instances("", true);
        (index, keys, b"[]".to_vec())
    })
    .await
}

pub(super) async fn gateway_services(call: &Call) -> Answer {
    match Read::of(call, None) {
        Ok(read) => read.answer(call, |_| (1, Vec::new(), b"null".to_vec())).await,
        Err(refused) => refused,
    }
}

pub(super) async fn node(call: &Call) -> Answer {
    if call.name.is_empty() {
        return Answer::bad("Missing node name");
    }
    let read = match Read::of(call, Some(&schema::SERVICE)) {
        Ok(read) => read,
        Err(refused) => return refused,
    };
    let datacenter = &call.registry.0.config.datacenter;
    read.answer(call, |state| {
        let (index, found) = state.catalog.node_services(&call.name);
        let shape = found.map(|found| {
            let shown = found.services.values().filter(|service| {
                let Some(filter) = &read.filter else { return true };
                serde_json::to_value(ServiceShape::new(service)).is_ok_and(|value| filter.holds(&value))
            });
            let services: BTreeMap<_, _> = shown.map(|service| (&service.id, ServiceShape::new(service))).collect();
            NodeServicesShape { node: Some(NodeShape::new(found.node, datacenter)), services: Some(services) }
        });
        (index, vec![Key::Node(Folded::of(&call.name))], to_json(&shape))
    })
    .await
}

pub(super) async fn node_services(call: &Call) -> Answer {
    if call.name.is_empty() {
        return Answer::bad("Missing node name");
    }
    let read = match Read::of(call, Some(&schema::SERVICE)) {
        Ok(read) => read,
        Err(refused) => return refused,
    };
    let datacenter = &call.registry.0.config.datacenter;
    read.answer(call, |state| {
        let (index, found) = state.catalog.node_services(&call.name);
        let shape = match found {
            None => NodeServicesShape { node: None, services: None },
            Some(found) => {
                let services = read.list(found.services.values().map(ServiceShape::new));
                // none at all is null, none that passes a filter is an empty list
                let any = !found.services.is_empty() || read.filter.is_some();
                let services = serde_json::from_slice::<serde_json::Value>(&services).ok().filter(|_| any);
                NodeServicesShape { node: Some(NodeShape::new(found.node, datacenter)), services }
            }
        };
        (index, vec![Key::Node(Folded::of(&call.name))], to_json(&shape))
    })
    .await
}
