//! The parameters every read takes: consistency, blocking, datacenter, node metadata, filter; and the headers of its answer.

use super::Call;
use super::answer::{Answer, CACHE, CONSISTENCY, INDEX, KNOWN_LEADER, LAST_CONTACT, to_json};
use crate::catalog::Key;
use crate::decode::parse_go_duration;
use crate::filter::Filter;
use crate::filter::schema::Schema;
use crate::state::State;
use crate::store::Wait;
use axum::http::header;
use net::form::Params;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// Keys remembered for `?cached`.
const CACHED_MAX: usize = 4096;

/// What a read asked for.
#[derive(Debug)]
pub(crate) struct Read {
    wait: Wait,
    consistency: &'static str,
    is_cached: bool,
    /// `node-meta=key:value`, all of which a node must have.
    pub(crate) node_meta: BTreeMap<String, String>,
    pub(crate) filter: Option<Filter>,
}

/// Namespaces and partitions are of the original's paid edition.
pub(crate) fn check_edition(params: &Params) -> Result<(), Answer> {
    for (name, what) in [("ns", "Namespaces"), ("partition", "Partitions")] {
        if params.has(name) {
            let what = format!("Invalid query parameter: {name:?} - {what} are a Consul Enterprise feature");
            return Err(Answer::bad(format!("Bad request: {what}")));
        }
    }
    Ok(())
}

impl Read {
    /// Reads the parameters; `schema` where the endpoint takes a filter.
    pub(crate) fn of(call: &Call, schema: Option<&Schema>) -> Result<Read, Answer> {
        let params = &call.params;
        let consistency = consistency(params)?;
        let is_cached = params.has("cached");
        check_cache_control(call.cache_control.as_deref())?;
        let wait = wait(params)?;
        if params.get("dc") != call.registry.0.config.datacenter && !params.get("dc").is_empty() {
            return Err(Answer::failed_read("No path to datacenter"));
        }
        let filter = match (params.get("filter"), schema) {
            ("", _) | (_, None) => None,
            (text, Some(schema)) => {
                Some(Filter::compile(text, schema).map_err(|error| Answer::failed_read(error.to_string()))?)
            }
        };
        let node_meta = params.all("node-meta").map(|pair| {
            let (key, value) = pair.split_once(':').unwrap_or((pair, ""));
            (key.to_owned(), value.to_owned())
        });
        Ok(Read { wait, consistency, is_cached, node_meta: node_meta.collect(), filter })
    }

    /// Evaluates until there is something newer than the index asked with, and answers with it.
    pub(crate) async fn answer(&self, call: &Call, evaluate: impl Fn(&State) -> (u64, Vec<Key>, Vec<u8>)) -> Answer {
        match call.registry.0.store.blocking(self.wait, evaluate).await {
            Err(too_many) => too_many.into(),
            Ok((index, body)) => Answer::raw_json(body)
                .with(INDEX, &index.to_string())
                .with(KNOWN_LEADER, "true")
                .with(LAST_CONTACT, "0")
                .with(CONSISTENCY, self.consistency),
        }
    }

    /// As [`Read::answer`], and says with `?cached` whether the same was asked for before. There is no cache behind it:
    /// the one server's view is always current, so a hit has the age 0.
    pub(crate) async fn answer_cached(
        &self,
        call: &Call,
        key: String,
        evaluate: impl Fn(&State) -> (u64, Vec<Key>, Vec<u8>),
    ) -> Answer {
        let answer = self.answer(call, evaluate).await;
        if !self.is_cached {
            return answer;
        }
        let now = call.registry.0.store.clock().instant();
        let mut cached = call.registry.0.cached.lock();
        if cached.len() >= CACHED_MAX {
            let oldest = cached.iter().min_by_key(|(_, asked)| **asked).map(|(key, _)| key.clone());
            oldest.map(|key| cached.remove(&key));
        }
        match cached.insert(key, now) {
            None => answer.with(CACHE, "MISS"),
            Some(_) => answer.with(CACHE, "HIT").with(header::AGE, "0"),
        }
    }

    /// The items that pass the filter, as a JSON list.
    pub(crate) fn list<T: Serialize>(&self, items: impl Iterator<Item = T>) -> Vec<u8> {
        match &self.filter {
            None => to_json(&items.collect::<Vec<_>>()),
            Some(filter) => {
                let values = items.filter_map(|item| serde_json::to_value(item).ok());
                to_json(&values.filter(|value| filter.holds(value)).collect::<Vec<_>>())
            }
        }
    }
}

fn consistency(params: &Params) -> Result<&'static str, Answer> {
    let is_stale = params.has("stale") || params.has("max_stale");
    let conflict = |a: &str| Answer::bad(format!("Cannot specify ?{a} with ?consistent, conflicting semantics."));
    match (is_stale, params.has("consistent")) {
        (true, true) => Err(conflict("stale")),
        (_, true) if params.has("cached") => Err(conflict("cached")),
        (_, true) => Ok("consistent"),
        (true, false) => Ok("stale"),
        (false, false) => Ok("leader"),
    }
}

fn check_cache_control(header: Option<&str>) -> Result<(), Answer> {
    let refused = || Answer::bad("Invalid Cache-Control header.");
    for directive in header.unwrap_or_default().split(',') {
        if let Some((name, value)) = directive.trim().split_once('=')
            && matches!(name, "max-age" | "stale-if-error")
        {
            value.parse::<u32>().map_err(|_| refused())?;
        }
    }
    Ok(())
}

pub(super) fn wait(params: &Params) -> Result<Wait, Answer> {
    let index = match params.get("index") {
        "" => 0,
        text => text.parse().map_err(|_| Answer::bad("Invalid index"))?,
    };
    let longest = match params.get("wait") {
        "" => 0,
        text => parse_go_duration(text).ok_or_else(|| Answer::bad("Invalid wait time"))?,
    };
    // zero and less mean the default
    Ok(Wait { index, longest: Duration::from_nanos(u64::try_from(longest).unwrap_or(0)) })
}
