//! Forms, configuration, and the bodies and filters of the registry.

use discovery::config::{ConsulBlock, FileBlock, StaticConfig};
use net::form::{Params, unescape};
use registry::decode::Fields;
use registry::filter::Filter;
use registry::filter::schema::{CATALOG_SERVICE, CHECK, INSTANCE, NODE, SERVICE, SERVICE_NAME};
use scrape::config::{GlobalDefaults, ScrapeBlock};
use serde_json::Value;

/// Query strings and form bodies.
pub(super) fn form(bytes: &[u8]) {
    let params = Params::parse(bytes);
    let held: usize = params.iter().map(|(name, value)| name.len() + value.len()).sum();
    // a byte that is no UTF-8 becomes U+FFFD, three bytes
    assert!(held <= 3 * bytes.len());
    for plus_is_space in [false, true] {
        if let Ok(plain) = unescape(bytes, plus_is_space) {
            assert!(plain.len() <= 3 * bytes.len());
        }
    }
}

pub(super) fn form_seeds() -> Vec<Vec<u8>> {
    super::texts(&["query=up%7Ba%3D%22b%22%7D&time=1.5&match[]=a&match%5B%5D=b+c", "a;b=%zz&=&&x", "%ff%00=%C3%A4"])
}

/// A job of `prometheus.yml`: resolved or refused with one line.
pub(super) fn scrape_config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(block) = serde_saphyr::from_str::<ScrapeBlock<StaticConfig, FileBlock, ConsulBlock>>(text) else { return };
    let _ = block.resolve(&GlobalDefaults::default());
    for written in block.static_configs.iter().flatten().flatten() {
        let _ = written.group("fuzz/0".to_owned());
    }
    for written in block.file_sd_configs.iter().flatten().flatten() {
        let _ = written.resolve(std::path::Path::new("fuzz"));
    }
    for written in block.consul_sd_configs.iter().flatten().flatten() {
        let _ = written.resolve();
    }
}

pub(super) fn scrape_config_seeds() -> Vec<Vec<u8>> {
    super::texts(&[
        "job_name: a\nscrape_interval: 15s\nstatic_configs:\n- targets: ['h:1', '[::1]:2']\n  labels: {x: y}\n",
        "job_name: b\nmetrics_path: /m\nparams: {a: [b]}\nbody_size_limit: 1MB\nrelabel_configs:\n- source_labels: [__address__]\n  regex: (.*):\\d+\n  target_label: i\n  action: replace\n",
        "job_name: c\nconsul_sd_configs:\n- server: localhost:8500\n  services: [x]\n  tags: &t [m]\n  refresh_interval: 1s\nfile_sd_configs:\n- files: ['*.json']\n",
        "job_name: d\nbasic_auth: {username: u, password: p}\ntls_config: {ca_file: c}\nhonor_labels: true\n",
    ])
}

/// A body of a PUT.
pub(super) fn registry_body(bytes: &[u8]) {
    let Ok(mut fields) = Fields::of_body(bytes) else { return };
    let _ = fields.string(&["ID", "id"]);
    let _ = fields.strings(&["Tags", "tags"]);
    let _ = fields.string_map(&["Meta", "meta"]);
    let _ = fields.integer(&["Port", "port"]);
    let _ = fields.duration(&["Interval", "interval"]);
    let _ = fields.header_map(&["Header", "header"]);
    for mut check in fields.objects(&["Checks", "checks"]).unwrap_or_default() {
        let _ = check.duration(&["TTL", "ttl"]);
        let _ = check.flag(&["TLSSkipVerify"]);
        let _ = check.end();
    }
    let _ = fields.end();
}

pub(super) fn registry_body_seeds() -> Vec<Vec<u8>> {
    super::texts(&[
        r#"{"ID":"a","Name":"web","Tags":["metrics"],"Port":80,"Meta":{"k":"v"},"Checks":[{"HTTP":"http://127.0.0.1/","Interval":"1s"},{"TTL":"1m30s"}]}"#,
        r#"{"id":"b","name":"db","Interval":10000000000,"Header":{"a":["b"]},"Weights":{"Passing":1}}"#,
        r#"{"Name":null,"Port":1e3,"Tags":"x","Meta":[]}"#,
    ])
}

/// Filters, over an answer of every shape.
pub(super) fn registry_filter(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let thing = serde_json::json!({
        "Node": {"Node": "n", "Meta": {"a": "b"}}, "Service": {"Service": "web", "Tags": ["x", ""], "Port": 80, "Meta": {"a.b": "c"}},
        "Checks": [{"Status": "passing", "Name": "c"}], "ServiceName": "web", "ServiceTags": [], "Port": 80, "Tags": ["x"],
    });
    for schema in [&NODE, &SERVICE, &CATALOG_SERVICE, &SERVICE_NAME, &CHECK, &INSTANCE] {
        if let Ok(filter) = Filter::compile(text, schema) {
            let _ = filter.holds(&thing);
            let _ = filter.holds(&Value::Null);
        }
    }
}

pub(super) fn registry_filter_seeds() -> Vec<Vec<u8>> {
    super::texts(&[
        r#"Service.Meta["a.b"] == "c" and not (Node.Meta.a != b or Checks.Status in passing)"#,
        r#""x" in Tags and Port == 80"#,
        r#"Service.Tags is not empty or Service.Service matches "^w.*""#,
        r"ServiceName contains `we` or ServiceMeta is empty",
    ])
}
