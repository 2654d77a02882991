//! `/v1/agent/…`: what this node's own clients register, report and ask.

use super::Call;
use super::answer::{Answer, CONTENT_HASH, REASON};
use super::shape::{AgentServiceShape, CheckShape, LocalCheckShape, LocalHealthShape};
use crate::agent::{LocalCheck, NODE_MAINTENANCE, service_maintenance as maintenance_id};
use crate::catalog::{Check, Folded, Key, Service, Status};
use crate::check::{Definition, Probe};
use crate::command::Command;
use crate::filter::Filter;
use crate::filter::schema::{self, Schema};
use crate::registration;
use crate::state::{Refusal, State};
use crate::store::{WAIT_DEFAULT, WAIT_MAX};
use axum::http::{StatusCode, header};
use rand::RngExt;
use serde::Serialize;
use std::collections::BTreeMap;

/// Why a service taken out of use without a word is.
const SERVICE_REASON: &str = "Maintenance mode is enabled for this service, but no reason was provided. \
                              This is a default message.";
/// The same for a node.
const NODE_REASON: &str = "Maintenance mode is enabled for this node, but no reason was provided. \
                           This is a default message.";

pub(super) fn services(call: &Call) -> Answer {
    let filter = match filter(call, &schema::SERVICE) {
        Ok(filter) => filter,
        Err(refused) => return refused,
    };
    call.registry.0.store.read(|state| {
        let services = state.agent.services.iter();
        by_id(services.map(|(id, service)| (id, AgentServiceShape::new(service))), filter.as_ref())
    })
}

pub(super) fn checks(call: &Call) -> Answer {
    let filter = match filter(call, &schema::CHECK) {
        Ok(filter) => filter,
        Err(refused) => return refused,
    };
    call.registry.0.store.read(|state| {
        let checks = state.agent.checks.iter();
        by_id(checks.map(|(id, local)| (id, CheckShape::new(&local.check))), filter.as_ref())
    })
}

fn filter(call: &Call, schema: &Schema) -> Result<Option<Filter>, Answer> {
    match call.params.get("filter") {
        "" => Ok(None),
        text => Filter::compile(text, schema).map(Some).map_err(|error| Answer::failed(error.to_string())),
    }
}

fn by_id<'a, T: Serialize>(items: impl Iterator<Item = (&'a String, T)>, filter: Option<&Filter>) -> Answer {
    let passes =
        |item: &T| filter.is_none_or(|filter| serde_json::to_value(item).is_ok_and(|value| filter.holds(&value)));
    Answer::json(&items.filter(|(_, item)| passes(item)).collect::<BTreeMap<_, _>>())
}

/// One service; with `hash` it waits until the definition is another.
pub(super) async fn service(call: &Call) -> Answer {
    let hash = call.params.get("hash");
    let longest = match super::query::wait(&call.params) {
        Ok(wait) if wait.longest.is_zero() => WAIT_DEFAULT,
        Ok(wait) => wait.longest.min(WAIT_MAX),
        Err(refused) => return refused,
    };
    let store = &call.registry.0.store;
    let look =
        |state: &State| state.agent.services.get(&call.name).map(|service| (content_hash(service), service.clone()));
    if !hash.is_empty() {
        let node = Folded::of(&call.registry.0.config.node_name);
        let until = store.clock().instant() + longest + longest.mul_f64(rand::rng().random_range(0.0..1.0 / 16.0));
        let changes = async {
            let differs = |state: &State| look(state).is_none_or(|(now, _)| now != hash);
            while !store.read(differs) {
                store.changed(vec![Key::Node(node.clone())], differs).await;
            }
        };
        // an end of the wait answers as a change does: with what is there
        let _ = store.clock().deadline(until, changes).await;
    }
    match store.read(look) {
        None => Answer::text(StatusCode::NOT_FOUND, format!("unknown service ID: {}", call.name)),
        Some((hash, service)) => {
            let mut shape = AgentServiceShape::new(&service);
            shape.content_hash = Some(hash.clone());
            Answer::json(&shape).with(CONTENT_HASH, &hash)
        }
    }
}

/// Sixteen hex digits that differ when the definition does.
fn content_hash(service: &Service) -> String {
    let text = super::answer::to_json(&AgentServiceShape::new(service));
    // FNV-1a, 64 bits: no secret, only a mark
    let hash = text
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    format!("{hash:016x}")
}

pub(super) async fn register_service(call: &Call) -> Answer {
    let config = &call.registry.0.config;
    let (service, checks) = match registration::service(&call.body, config.check_output_max_size) {
        Ok(decoded) => decoded,
        Err(error) => return error.into(),
    };
    let replace = match call.params.get("replace-existing-checks") {
        "" => call.params.has("replace-existing-checks"),
        text => matches!(text, "1" | "t" | "T" | "true" | "TRUE" | "True"),
    };
    propose(call, Command::ServiceUp { service, checks, replace }).await
}

pub(super) async fn deregister_service(call: &Call) -> Answer {
    if call.name.is_empty() {
        return Answer::failed("ServiceID missing");
    }
    propose(call, Command::ServiceDown { id: call.name.clone() }).await
}

pub(super) async fn register_check(call: &Call) -> Answer {
    match registration::check(&call.body, call.registry.0.config.check_output_max_size) {
        Ok(check) => propose(call, Command::CheckUp { check }).await,
        Err(error) => error.into(),
    }
}

pub(super) async fn deregister_check(call: &Call) -> Answer {
    if call.name.is_empty() {
        return Answer::failed("CheckID missing");
    }
    propose(call, Command::CheckDown { id: call.name.clone() }).await
}

/// `pass`, `warn`, `fail`.
pub(super) async fn report(call: &Call, status: Status) -> Answer {
    take_report(call, status, call.params.get("note").to_owned()).await
}

pub(super) async fn update(call: &Call) -> Answer {
    match registration::report(&call.body) {
        Ok((status, output)) => take_report(call, status, output).await,
        Err(error) => error.into(),
    }
}

async fn take_report(call: &Call, status: Status, output: String) -> Answer {
    let id = call.name.clone();
    let max = call.registry.0.store.read(|state| {
        let local = state.agent.checks.get(&id)?;
        matches!(local.definition.probe, Probe::Ttl(_)).then_some(local.definition.output_max_size)
    });
    let Some(max) = max else { return Answer::failed(Refusal::NoTtl(id).to_string()) };
    let mut output = output;
    output.truncate(output.floor_char_boundary(max));
    call.registry.0.runner.reported(&id);
    propose(call, Command::CheckState { id, status, output }).await
}

pub(super) async fn service_maintenance(call: &Call) -> Answer {
    if call.name.is_empty() {
        return Answer::bad("Missing service ID");
    }
    let enable = match enable(call) {
        Ok(enable) => enable,
        Err(refused) => return refused,
    };
    let Some(service) = call.registry.0.store.read(|state| state.agent.services.get(&call.name).cloned()) else {
        let what = format!("No service registered with ID {}", model::go_text::quote(&call.name));
        return Answer::text(StatusCode::NOT_FOUND, what);
    };
    let mut check = Check::new("", &maintenance_id(&service.id), "Service Maintenance Mode");
    check.service_id = service.id;
    set_maintenance(call, check, enable, SERVICE_REASON).await
}

pub(super) async fn node_maintenance(call: &Call) -> Answer {
    let enable = match enable(call) {
        Ok(enable) => enable,
        Err(refused) => return refused,
    };
    let check = Check::new("", NODE_MAINTENANCE, "Node Maintenance Mode");
    set_maintenance(call, check, enable, NODE_REASON).await
}

fn enable(call: &Call) -> Result<bool, Answer> {
    if !call.params.has("enable") {
        return Err(Answer::bad("Missing value for enable"));
    }
    match call.params.get("enable") {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        other => Err(Answer::bad(format!("Invalid value for enable: {}", model::go_text::quote(other)))),
    }
}

async fn set_maintenance(call: &Call, mut check: Check, enable: bool, default: &str) -> Answer {
    let id = check.id.clone();
    let is_there = call.registry.0.store.read(|state| state.agent.checks.contains_key(&id));
    match (enable, is_there) {
        // the first reason stays
        (true, true) | (false, false) => Answer::empty(),
        (false, true) => propose(call, Command::CheckDown { id }).await,
        (true, false) => {
            let reason = call.params.get("reason");
            check.notes = if reason.is_empty() { default } else { reason }.to_owned();
            let definition = Definition::new(Probe::Maintenance);
            definition.type_name().clone_into(&mut check.kind);
            propose(call, Command::CheckUp { check: LocalCheck { check, definition } }).await
        }
    }
}

async fn propose(call: &Call, command: Command) -> Answer {
    match call.registry.0.store.propose(command).await {
        Ok(()) => Answer::empty(),
        Err(error) => error.into(),
    }
}

pub(super) fn health_by_id(call: &Call) -> Answer {
    if call.name.is_empty() {
        return Answer::failed("Bad request: Missing serviceID");
    }
    call.registry.0.store.read(|state| match state.agent.services.get(&call.name) {
        None => {
            let shape = LocalHealthShape { aggregated_status: "critical", service: None, checks: None };
            let reason = format!("ServiceId {} not found", call.name);
            health_answer(call, "critical", Answer::json(&shape), Some(reason))
        }
        Some(service) => {
            let (status, shape) = local_health(state, service);
            health_answer(call, status, Answer::json(&shape), None)
        }
    })
}

pub(super) fn health_by_name(call: &Call) -> Answer {
    if call.name.is_empty() {
        return Answer::failed("Bad request: Missing service Name");
    }
    call.registry.0.store.read(|state| {
        let named = state.agent.services.values().filter(|service| service.name == call.name);
        let all: Vec<_> = named.map(|service| local_health(state, service)).collect();
        let rank = |status: &str| ["passing", "warning", "critical", "maintenance"].iter().position(|s| *s == status);
        let worst = all.iter().map(|(status, _)| *status).max_by_key(|status| rank(status));
        let shapes: Vec<_> = all.iter().map(|(_, shape)| shape).collect();
        let body = Answer::json(&shapes);
        match worst {
            None => health_answer(call, "critical", body, Some(format!("ServiceName {} Not Found", call.name))),
            Some(status) => health_answer(call, status, body, None),
        }
    })
}

fn local_health<'a>(state: &'a State, service: &'a Service) -> (&'static str, LocalHealthShape<'a>) {
    let checks: Vec<&Check> = state.agent.checks_of(&service.id).collect();
    let in_maintenance = checks.iter().any(|check| check.kind == "maintenance");
    let status = match checks.iter().map(|check| check.status.severity()).max() {
        _ if in_maintenance => "maintenance",
        None | Some(0) => "passing",
        Some(1) => "warning",
        Some(_) => "critical",
    };
    let shape = LocalHealthShape {
        aggregated_status: status,
        service: Some(AgentServiceShape::new(service)),
        checks: Some(checks.into_iter().map(LocalCheckShape::new).collect()),
    };
    (status, shape)
}

/// `not_found` is the reason of a 404.
fn health_answer(call: &Call, status: &'static str, body: Answer, not_found: Option<String>) -> Answer {
    let code = match (status, &not_found) {
        (_, Some(_)) => StatusCode::NOT_FOUND,
        ("passing", None) => StatusCode::OK,
        ("warning", None) => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    let (is_missing, reason) = (not_found.is_some(), not_found.unwrap_or_else(|| status.to_owned()));
    let answer = if call.params.get("format") == "text" && reason.starts_with("ServiceId ") {
        // the one text that is JSON
        Answer::json(&reason).status(code)
    } else if call.params.get("format") == "text" {
        let text = if is_missing { &reason } else { status };
        Answer::text(code, text.to_owned()).with(header::CONTENT_TYPE, "text/plain")
    } else {
        body.status(code)
    };
    answer.with(REASON, &reason)
}
