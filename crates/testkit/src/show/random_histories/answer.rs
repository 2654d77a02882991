//! What of two answers must be equal, and what may differ.
//!
//! Volatile: indexes (their order within an answer must be the same), the id of the own node, content hashes, the version. Ours may say
//! more where newer versions do ([`EXTRA`]); a bad filter may be 400 instead of 500; texts of errors are free but for the
//! sentences clients look for ([`EXACT`]).

use super::history::Request;
use crate::harness::http::Answer;
use serde_json::Value;

/// One difference.
#[derive(Clone, Debug)]
pub(super) struct Differs {
    pub(super) what: String,
    pub(super) ours: String,
    pub(super) theirs: String,
}

/// Keys that newer versions send too.
const EXTRA: &[&str] = &[
    "SocketPath",
    "Locality",
    "PeerName",
    "Partition",
    "Namespace",
    "Interval",
    "Timeout",
    "ExposedPort",
    "Ports",
    "Datacenter",
];

/// What clients look for in a text.
const EXACT: &[&str] =
    &["No path to datacenter", "does not have associated TTL", "unknown service ID", "ACL support disabled"];

const HEADERS: &[&str] = &[
    "content-type",
    "x-consul-effective-consistency",
    "x-consul-knownleader",
    "x-consul-lastcontact",
    "x-consul-reason",
    "x-cache",
    "location",
    "allow",
];

/// Compares; also gives theirs without what is volatile, to see whether it changes.
pub(super) fn compare(
    request: &Request,
    ours: &Answer,
    theirs: &Answer,
    ids: (&str, &str),
    with_indexes: bool,
) -> (Vec<Differs>, Value) {
    let mut differs = Vec::new();
    let mut note =
        |what: &str, ours: String, theirs: String| differs.push(Differs { what: what.to_owned(), ours, theirs });
    let both = |answer: &Answer| format!("{} {}", answer.status, cut(&answer.text()));
    let filter_refused = theirs.status == 500 && ours.status == 400 && request.path.contains("filter=");
    if ours.status != theirs.status && !filter_refused {
        note("status", both(ours), both(theirs));
        return (differs, Value::Null);
    }
    for name in HEADERS {
        if ours.header(name) != theirs.header(name) && !filter_refused {
            note(&format!("header {name}"), format!("{:?}", ours.header(name)), format!("{:?}", theirs.header(name)));
        }
    }
    for name in ["x-consul-index", "x-consul-contenthash"] {
        if ours.header(name).is_some() != theirs.header(name).is_some() && !filter_refused {
            note(&format!("header {name}"), format!("{:?}", ours.header(name)), format!("{:?}", theirs.header(name)));
        }
    }
    let parsed = (serde_json::from_slice::<Value>(&ours.body), serde_json::from_slice::<Value>(&theirs.body));
    let (Ok(mut our_value), Ok(mut their_value)) = parsed else {
        let (a, b) = (ours.text(), theirs.text());
        let sentence = EXACT.iter().find(|sentence| b.contains(**sentence) && !a.contains(**sentence));
        if a.is_empty() != b.is_empty() || sentence.is_some() || (ours.status == 200 && a != b) {
            note("text", both(ours), both(theirs));
        }
        return (differs, Value::Null);
    };
    let ranks = (ranks(&our_value, ours, ids.0), ranks(&their_value, theirs, ids.1));
    normalize(&mut our_value, ids.0);
    normalize(&mut their_value, ids.1);
    if request.path.starts_with("/v1/agent/health/") {
        // maps in random order
        [&mut our_value, &mut their_value].into_iter().for_each(sort_checks);
    }
    if request.path.starts_with("/v1/catalog/services") {
        // tags in random order
        let lists = |value: &mut Value| value.as_object_mut().into_iter().flatten().for_each(|(_, tags)| sort(tags));
        [&mut our_value, &mut their_value].into_iter().for_each(lists);
    }
    drop_extra(&mut our_value, &their_value);
    if our_value != their_value {
        let place = first_difference("", &our_value, &their_value);
        note(&format!("body{}", place.0), place.1, place.2);
    } else if with_indexes && ranks.0 != ranks.1 {
        note("order of the indexes", format!("{:?}", ranks.0), format!("{:?}", ranks.1));
    } else if request.path.contains("pretty") && pretty(ours) != pretty(theirs) {
        note("form of the JSON", both(ours), both(theirs));
    }
    (differs, their_value)
}

fn pretty(answer: &Answer) -> bool {
    answer.body.ends_with(b"\n")
}

/// Sorts the checks of one service or of a list of them, and that list. Tags that were given as an empty list and tags
/// that were not given are one here.
fn sort_checks(value: &mut Value) {
    if let Some(checks) = value.get_mut("Checks") {
        for check in checks.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
            check.retain(|key, value| key != "ServiceTags" || value.as_array().is_some_and(|tags| !tags.is_empty()));
        }
        sort(checks);
    }
    value.as_array_mut().into_iter().flatten().for_each(sort_checks);
    sort(value);
}

fn sort(value: &mut Value) {
    if let Some(items) = value.as_array_mut() {
        items.sort_by_key(Value::to_string);
    }
}

fn cut(text: &str) -> String {
    text.chars().take(400).collect()
}

/// The indexes of an answer in the order met, each as its rank among them. Those of the own node are left out: the original
/// writes it once or twice at its start.
fn ranks(value: &Value, answer: &Answer, node_id: &str) -> Vec<usize> {
    let mut all = Vec::new();
    collect(value, node_id, &mut all);
    if let Some(index) = answer.header("x-consul-index").and_then(|index| index.parse().ok())
        && !all.is_empty()
    {
        all.push(index);
    }
    let mut sorted = all.clone();
    sorted.sort_unstable();
    sorted.dedup();
    all.iter().map(|index| sorted.binary_search(index).unwrap_or(0)).collect()
}

fn collect(value: &Value, node_id: &str, into: &mut Vec<u64>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, node_id, into)),
        Value::Object(map) => {
            let own = map.get("ID").is_some_and(|id| id == node_id) && !map.contains_key("ServiceID");
            for key in ["CreateIndex", "ModifyIndex"].into_iter().filter(|_| !own) {
                into.extend(map.get(key).and_then(Value::as_u64));
            }
            map.values().for_each(|item| collect(item, node_id, into));
        }
        _ => {}
    }
}

fn normalize(value: &mut Value, node_id: &str) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| normalize(item, node_id)),
        Value::Object(map) => {
            for key in ["CreateIndex", "ModifyIndex", "ContentHash"] {
                map.remove(key);
            }
            if map.get("Service").is_some_and(|name| name == "consul") {
                // its version, its port
                map.retain(|key, _| key != "Meta" && key != "Port");
            }
            map.values_mut().for_each(|item| normalize(item, node_id));
        }
        Value::String(text) if text == node_id => "OWN".clone_into(text),
        _ => {}
    }
}

/// Takes out of ours what theirs does not say and newer versions do.
fn drop_extra(ours: &mut Value, theirs: &Value) {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            ours.retain(|key, _| theirs.contains_key(key) || !EXTRA.contains(&key.as_str()));
            for (key, value) in ours.iter_mut() {
                if let Some(theirs) = theirs.get(key) {
                    drop_extra(value, theirs);
                }
            }
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.iter_mut().zip(theirs).for_each(|(ours, theirs)| drop_extra(ours, theirs));
        }
        _ => {}
    }
}

/// Where two values differ first, as a path, and both parts there.
fn first_difference(place: &str, ours: &Value, theirs: &Value) -> (String, String, String) {
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys().chain(b.keys()) {
                let (x, y) = (a.get(key), b.get(key));
                if x != y {
                    let place = format!("{place}.{key}");
                    return match (x, y) {
                        (Some(x), Some(y)) => first_difference(&place, x, y),
                        (x, y) => (place, shown(x), shown(y)),
                    };
                }
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            if let Some((x, y)) = a.iter().zip(b).find(|(x, y)| x != y) {
                return first_difference(&format!("{place}[]"), x, y);
            }
        }
        _ => {}
    }
    (place.to_owned(), shown(Some(ours)), shown(Some(theirs)))
}

fn shown(value: Option<&Value>) -> String {
    value.map_or("(absent)".to_owned(), |value| cut(&value.to_string()))
}

/// The kind of a request: its path without names and parameters.
pub(super) fn template(asked: &str) -> String {
    let mut words = asked.split(' ');
    let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let path = path.split('?').next().unwrap_or(path);
    let kept: Vec<&str> = path.split('/').take(if path.contains("/agent/health/") { 6 } else { 4 }).collect();
    format!("{method} {}", kept.join("/"))
}
