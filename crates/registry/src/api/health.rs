//! `/v1/health/…`: the catalog with its checks.

use super::Call;
use super::answer::Answer;
use super::query::Read;
use super::shape::{CheckShape, InstanceShape};
use crate::catalog::{Folded, Instance, Key, Status};
use crate::filter::schema;

pub(super) async fn node(call: &Call) -> Answer {
    if call.name.is_empty() {
        return Answer::bad("Missing node name");
    }
    let read = match Read::of(call, Some(&schema::CHECK)) {
        Ok(read) => read,
        Err(refused) => return refused,
    };
    read.answer(call, |state| {
        let (index, checks) = state.catalog.node_checks(&call.name);
        (index, vec![Key::NodeChecks(Folded::of(&call.name))], read.list(checks.map(CheckShape::new)))
    })
    .await
}

pub(super) async fn checks(call: &Call) -> Answer {
    if call.name.is_empty() {
        return Answer::bad("Missing service name");
    }
    let read = match Read::of(call, Some(&schema::CHECK)) {
        Ok(read) => read,
        Err(refused) => return refused,
    };
    read.answer(call, |state| {
        let (index, checks) = state.catalog.checks(&read.node_meta);
        let checks = checks.filter(|check| Folded::same(&check.service_name, &call.name));
        (index, vec![Key::ServiceChecks(Folded::of(&call.name))], read.list(checks.map(CheckShape::new)))
    })
    .await
}

pub(super) async fn state(call: &Call) -> Answer {
    if call.name.is_empty() {
        return Answer::bad("Missing check state");
    }
    let read = match Read::of(call, Some(&schema::CHECK)) {
        Ok(read) => read,
        Err(refused) => return refused,
    };
    let wanted = (call.name != "any").then(|| Status::from(call.name.clone()));
    read.answer(call, |state| {
        let (index, checks) = state.catalog.checks(&read.node_meta);
        let checks = checks.filter(|check| wanted.as_ref().is_none_or(|wanted| check.status == *wanted));
        let key = wanted.clone().map_or(Key::AnyCheck, Key::Status);
        (index, vec![key], read.list(checks.map(CheckShape::new)))
    })
    .await
}

pub(super) async fn service(call: &Call) -> Answer {
    if call.name.is_empty() {
        return Answer::bad("Missing service name");
    }
    let read = match Read::of(call, Some(&schema::INSTANCE)) {
        Ok(read) => read,
        Err(refused) => return refused,
    };
    let Ok(only_passing) = passing(call) else { return Answer::bad("Invalid value for ?passing") };
    let tags: Vec<String> = call.params.all("tag").map(str::to_owned).collect();
    let datacenter = &call.registry.0.config.datacenter;
    let key = format!("health {} {tags:?} {:?}", call.name, read.node_meta);
    read.answer_cached(call, key, |state| {
        let (index, keys, mut instances) = state.catalog.instances(&call.name, true);
        instances.retain(|instance| instance.has_tags(&tags) && instance.node.has_meta(&read.node_meta));
        if only_passing {
            keep_passing(&mut instances);
        }
        (index, keys, read.list(instances.iter().map(|instance| InstanceShape::new(instance, datacenter))))
    })
    .await
}

/// Takes out what is not passing. The last one fills each gap, as in the original: clients that show the first of the
/// list show the same one.
fn keep_passing(instances: &mut Vec<Instance<'_>>) {
    let mut at = 0;
    while let Some(instance) = instances.get(at) {
        if instance.is_passing() {
            at += 1;
        } else {
            instances.swap_remove(at);
        }
    }
}

/// `?passing`, alone or with a truth value as Go writes them.
fn passing(call: &Call) -> Result<bool, ()> {
    if !call.params.has("passing") {
        return Ok(false);
    }
    match call.params.get("passing") {
        "" | "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(()),
    }
}

/// The mesh's own instances: there are none.
pub(super) async fn connect(call: &Call) -> Answer {
    if call.name.is_empty() {
        return Answer::bad("Missing service name");
    }
    let read = match Read::of(call, Some(&schema::INSTANCE)) {
        Ok(read) => read,
        Err(refused) => return refused,
    };
    read.answer(call, |state| {
        let (index, keys, _) = state.catalog.instances("", true);
        (index, keys, b"[]".to_vec())
    })
    .await
}

pub(super) async fn ingress(call: &Call) -> Answer {
    if call.name.is_empty() {
        return Answer::bad("Missing service name");
    }
    match Read::of(call, None) {
        Ok(read) => read.answer(call, |_| (1, Vec::new(), b"[]".to_vec())).await,
        Err(refused) => refused,
    }
}
