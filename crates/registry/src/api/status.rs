//! What the agent says about itself: `self`, `members`, `metrics`, and who leads.

use super::Call;
use super::answer::Answer;
use crate::config::CONSUL_VERSION;
use axum::http::header;
use runtime::instrument::{Family, Value};
use serde_json::{Value as Json, json};

/// Where the leader's servers would be reached; the one server leads.
pub(super) fn leader(call: &Call) -> String {
    let config = &call.registry.0.config;
    std::net::SocketAddr::new(config.advertise, config.server_port).to_string()
}

pub(super) fn agent_self(call: &Call) -> Answer {
    let inner = &call.registry.0;
    let config = &inner.config;
    let stats = inner.store.stats();
    let runner = inner.runner.stats();
    let mut meta = config.node_meta.clone();
    meta.insert("consul-network-segment".to_owned(), String::new());
    Answer::json(&json!({
        "Config": {
            "Datacenter": config.datacenter,
            "NodeName": config.node_name,
            "NodeID": inner.node_id,
            "Revision": "",
            "Server": true,
            "Version": CONSUL_VERSION,
        },
        "DebugConfig": {
            "BindAddr": config.advertise.to_string(),
            "ClientAddrs": [config.client.to_string()],
            "CheckOutputMaxSize": config.check_output_max_size,
            "DataDir": config.data_dir.display().to_string(),
            "Datacenter": config.datacenter,
            "HTTPPort": config.http_port,
            "NodeID": inner.node_id,
            "NodeMeta": config.node_meta,
            "NodeName": config.node_name,
            "ServerMode": true,
            "ServerPort": config.server_port,
            "Version": CONSUL_VERSION,
            "IsobarVersion": env!("CARGO_PKG_VERSION"),
        },
        "Coord": { "Vec": [0, 0, 0, 0, 0, 0, 0, 0], "Error": 1.5, "Adjustment": 0, "Height": 1e-5 },
        "Member": member(call, false),
        "Stats": {
            "agent": {
                "check_monitors": runner.tasks.to_string(),
                "checks": stats.agent.1.to_string(),
                "services": stats.agent.0.to_string(),
            },
            "build": { "version": CONSUL_VERSION, "isobar": env!("CARGO_PKG_VERSION") },
            "consul": { "acl": "disabled", "known_datacenters": "1", "leader": "true", "leader_addr": leader(call), "server": "true" },
            "raft": { "applied_index": stats.index.to_string(), "last_log_index": stats.index.to_string(), "num_peers": "0", "state": "Leader" },
        },
        "Meta": meta,
        // a remnant of the mesh that the original's own tools decode
        "xDS": { "SupportedProxies": { "envoy": ["1.14.5", "1.13.6", "1.12.7", "1.11.2"] } },
    }))
}

/// Since 1.11. The version is the one of the API; ours stands beside.
pub(super) fn version() -> Answer {
    Answer::json(&json!({
        "SHA": "", "BuildDate": "", "HumanVersion": CONSUL_VERSION, "FIPS": "", "IsobarVersion": env!("CARGO_PKG_VERSION"),
    }))
}

pub(super) fn members(call: &Call) -> Answer {
    let wan =
        !matches!(call.params.get("wan"), "" | "0") || (call.params.has("wan") && call.params.get("wan").is_empty());
    Answer::json(&[member(call, wan)])
}

fn member(call: &Call, wan: bool) -> Json {
    let inner = &call.registry.0;
    let config = &inner.config;
    let mut tags = json!({
        "acls": "0",
        "build": format!("{CONSUL_VERSION}:"),
        "dc": config.datacenter,
        "ft_fs": "1",
        "id": inner.node_id,
        "port": config.server_port.to_string(),
        "raft_vsn": "3",
        "role": "consul",
        "segment": "",
        "vsn": "2",
        "vsn_max": "3",
        "vsn_min": "2",
    });
    let name = if wan { format!("{}.{}", config.node_name, config.datacenter) } else { config.node_name.clone() };
    if !wan {
        tags["wan_join_port"] = json!(config.serf_wan_port.to_string());
    }
    json!({
        "Name": name,
        "Addr": config.advertise.to_string(),
        "Port": if wan { config.serf_wan_port } else { config.serf_lan_port },
        "Tags": tags,
        "Status": 1,
        "ProtocolMin": 1,
        "ProtocolMax": 5,
        "ProtocolCur": 2,
        "DelegateMin": 2,
        "DelegateMax": 5,
        "DelegateCur": 4,
    })
}

/// The registry's own instruments. The original keeps ten seconds of them; ours are totals, so `Rate` is over the life
/// of the process.
pub(super) fn metrics(call: &Call) -> Answer {
    let own: Vec<Family> =
        call.registry.0.instruments.gather().into_iter().filter(|family| family.name.starts_with("consul_")).collect();
    if call.params.get("format") == "prometheus" {
        return Answer::text(axum::http::StatusCode::OK, exposition(&own))
            .with(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8");
    }
    let (mut gauges, mut counters) = (Vec::new(), Vec::new());
    for family in &own {
        let name = family.name.replacen('_', ".", 2);
        for series in &family.series {
            let Value::Number(number) = series.value else { continue };
            let labels: serde_json::Map<String, Json> =
                series.labels.iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
            if family.kind == model::MetricType::Counter {
                counters.push(json!({
                    "Name": name, "Count": number, "Rate": 0, "Sum": number, "Min": 0, "Max": 0, "Mean": 0, "Stddev": 0,
                    "Labels": labels,
                }));
            } else {
                gauges.push(json!({ "Name": name, "Value": number, "Labels": labels }));
            }
        }
    }
    let seconds = call.registry.0.store.clock().now().millis().div_euclid(1000);
    Answer::json(&json!({
        "Timestamp": utc(seconds), "Gauges": gauges, "Points": [], "Counters": counters, "Samples": [],
    }))
}

fn exposition(families: &[Family]) -> String {
    let mut text = String::new();
    for family in families {
        let kind = if family.kind == model::MetricType::Counter { "counter" } else { "gauge" };
        text.push_str(&format!("# HELP {0} {1}\n# TYPE {0} {kind}\n", family.name, family.help));
        for series in &family.series {
            let Value::Number(number) = series.value else { continue };
            let labels: Vec<String> =
                series.labels.iter().map(|(name, value)| format!("{name}={}", model::go_text::quote(value))).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            text.push_str(&format!("{}{labels} {}\n", family.name, model::go_text::format_float(number)));
        }
    }
    text
}

/// `2026-11-21 01:34:40 +0000 UTC`, from seconds since the epoch.
fn utc(seconds: i64) -> String {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // days to civil date, counted in years that begin in March
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} +0000 UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00 +0000 UTC"),
            (951_782_400, "2000-02-29 00:00:00 +0000 UTC"),
            (1_795_224_880, "2026-11-21 01:34:40 +0000 UTC"),
        ] {
            assert_eq!(utc(seconds), text);
        }
    }
}
