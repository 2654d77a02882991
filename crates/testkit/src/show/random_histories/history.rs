//! What a history is made of: requests drawn from small pools, so that names meet again.

use crate::harness::dice::Dice;
use crate::harness::http::encode;
use serde_json::{Map, Value, json};

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) body: Vec<u8>,
}

/// One step of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Something is written.
    Write(Request),
    /// Something is asked.
    Read(Request),
    /// Something is asked with the index of its last answer while something is written.
    Watch(Request, Request),
}

const SERVICES: &[&str] =
    &["web", "web", "web", "db", "db", "Web", "api.v1", "under_score", "with space", "é", "a/b", "q\"uote"];
const IDS: &[&str] = &["", "", "web-1", "web-1", "web-2", "db-1", "x", "with space", "é", "a/b", "web", "100%"];
const CHECKS: &[&str] = &[
    "",
    "service:web-1",
    "service:web",
    "service:web-1:1",
    "service:db-1",
    "c1",
    "c1",
    "c2",
    "check one",
    "é",
    "web-alive",
];
const TAGS: &[&str] = &["prod", "eu", "Prod", "a,b", "", "é", "v=1", "prod"];
const NODES: &[&str] = &["ext1", "ext1", "ext2", "n.dot", "bare node"];
const STATUSES: &[&str] = &["passing", "passing", "warning", "critical", ""];

/// A service registration at the agent. Without `renames` an id always comes with the same name.
fn service(dice: &mut Dice, renames: bool) -> Value {
    let mut body = Map::new();
    body.insert("Name".to_owned(), json!(dice.of(SERVICES)));
    // the original's agent tells ids apart by case and its catalog does not: two that differ so fight for ever
    let id = Some(dice.of(IDS)).filter(|id| !id.is_empty() || body["Name"] != "Web").unwrap_or("w");
    if !id.is_empty() {
        body.insert(["ID", "ID", "Id", "id"][dice.roll(4)].to_owned(), json!(id));
    }
    if !renames && !id.is_empty() {
        body.insert("Name".to_owned(), json!(name_of(id)));
    } else if !renames {
        // the name is the id: no other id may have it as its name
        body.insert("Name".to_owned(), json!(dice.of(&["web", "x", "é"])));
        let id = body["Name"].as_str().unwrap_or_default().to_owned();
        body.insert("ID".to_owned(), json!(id));
        body.insert("Name".to_owned(), json!(name_of(&id)));
    }
    if dice.one_in(2) {
        let tags: Vec<&str> = (0..dice.roll(4)).map(|_| dice.of(TAGS)).collect();
        body.insert("Tags".to_owned(), json!(tags));
    }
    if dice.one_in(2) {
        body.insert("Port".to_owned(), json!([80, 0, 8080, -1, 70_000, 443][dice.roll(6)]));
    }
    if dice.one_in(2) {
        let pool = ["10.0.0.1", "10.0.0.2", "host.example", "", "::1", "fe80::1%eth0", "0.0.0.0", "127.1"];
        body.insert("Address".to_owned(), json!(dice.of(&pool)));
    }
    if dice.one_in(3) {
        body.insert("Meta".to_owned(), meta(dice));
    }
    if dice.one_in(4) {
        let weights = [
            json!({"Passing": 3, "Warning": 1}),
            json!({"Passing": 5}),
            json!({"Warning": 2}),
            json!({}),
            json!(null),
            json!({"passing": 0, "warning": 1}),
        ];
        body.insert("Weights".to_owned(), weights[dice.roll(weights.len())].clone());
    }
    if dice.one_in(5) {
        let tagged = [
            json!({"lan": {"Address": "10.0.0.9", "Port": 80}}),
            json!({"wan": {"address": "198.51.100.1", "port": 81}, "lan": {"address": "10.1.1.1"}}),
            json!({}),
            json!({"lan_ipv4": {"Address": "10.9.9.9", "Port": 1}}),
            json!({"v": {"Address": "", "Port": 0}}),
        ];
        body.insert(
            ["TaggedAddresses", "tagged_addresses"][dice.roll(2)].to_owned(),
            tagged[dice.roll(tagged.len())].clone(),
        );
    }
    if dice.one_in(6) {
        body.insert(["EnableTagOverride", "enable_tag_override"][dice.roll(2)].to_owned(), json!(dice.one_in(2)));
    }
    match dice.roll(4) {
        0 => {
            body.insert("Check".to_owned(), check(dice, false));
        }
        1 => {
            let checks: Vec<Value> = (0..1 + dice.roll(3)).map(|_| check(dice, false)).collect();
            body.insert("Checks".to_owned(), Value::Array(checks));
        }
        _ => {}
    }
    if dice.one_in(25) {
        spoil(dice, &mut body);
    }
    Value::Object(body)
}

/// The one name of an id.
fn name_of(id: &str) -> &'static str {
    SERVICES[id.bytes().map(usize::from).sum::<usize>() % SERVICES.len()]
}

fn meta(dice: &mut Dice) -> Value {
    let pool = [
        json!({}),
        json!({"version": "1"}),
        json!({"version": "2", "a-b": ""}),
        json!({"bad key": "v"}),
        json!({"consul-x": "v"}),
        json!({"metrics_path": "/m"}),
        json!(null),
    ];
    pool[dice.roll(pool.len())].clone()
}

/// A check that changes only when told: a TTL longer than any history.
fn check(dice: &mut Dice, own: bool) -> Value {
    let mut body = Map::new();
    body.insert("TTL".to_owned(), [json!("10h"), json!("600m"), json!(36_000_000_000_000_u64)][dice.roll(3)].clone());
    let id = dice.of(CHECKS);
    if !id.is_empty() && (own || dice.one_in(2)) {
        body.insert(if own { "ID" } else { "CheckID" }.to_owned(), json!(id));
    }
    if own || dice.one_in(3) {
        body.insert("Name".to_owned(), json!(dice.of(&["alive", "check one", "é", "alive", ""])));
    }
    if dice.one_in(2) {
        body.insert("Status".to_owned(), json!(dice.of(STATUSES)));
    }
    if dice.one_in(4) {
        body.insert("Notes".to_owned(), json!(dice.of(&["note", "", "längere Notiz"])));
    }
    if own && dice.one_in(2) {
        body.insert(
            ["ServiceID", "service_id"][dice.roll(2)].to_owned(),
            json!(dice.of(&["web-1", "db-1", "web", "none"])),
        );
    }
    if dice.one_in(30) {
        spoil(dice, &mut body);
    }
    Value::Object(body)
}

/// One fault that a client could make.
fn spoil(dice: &mut Dice, body: &mut Map<String, Value>) {
    let faults = [
        ("Bogus", json!(1)),
        ("Port", json!("80")),
        ("Port", json!(1.5)),
        ("Tags", json!("prod")),
        ("Tags", json!([1])),
        ("Meta", json!({"a": 1})),
        ("Name", json!(7)),
        ("TTL", json!("5")),
        ("TTL", json!("-5s")),
        ("Status", json!("bogus")),
        ("Interval", json!("0s")),
        ("Weights", json!({"Passing": -1, "Warning": 1})),
        ("Weights", json!([1])),
        ("Check", json!([])),
        ("Checks", json!({})),
        ("EnableTagOverride", json!("true")),
        ("check_id", json!("x")),
        ("Address", json!(["a"])),
        ("Kind", json!("bogus")),
        ("Token", json!("t")),
    ];
    let (name, value) = faults[dice.roll(faults.len())].clone();
    body.insert(name.to_owned(), value);
}

/// A registration of another node, as an external program makes it.
fn external(dice: &mut Dice, renames: bool) -> Value {
    let mut body = Map::new();
    let node = dice.of(NODES);
    body.insert("Node".to_owned(), json!(node));
    if !dice.one_in(12) {
        body.insert("Address".to_owned(), json!(dice.of(&["192.0.2.1", "192.0.2.2", "host.example"])));
    }
    if dice.one_in(3) {
        let pool = [json!({"rack": "r1"}), json!({"rack": "r2", "az": "z1"}), json!({}), json!(null)];
        body.insert("NodeMeta".to_owned(), pool[dice.roll(4)].clone());
    }
    if dice.one_in(5) {
        body.insert(
            "TaggedAddresses".to_owned(),
            [json!({"lan": "192.0.2.9"}), json!({}), json!(null)][dice.roll(3)].clone(),
        );
    }
    if dice.one_in(8) {
        body.insert("SkipNodeUpdate".to_owned(), json!(true));
    }
    if dice.one_in(12) {
        body.insert("Datacenter".to_owned(), json!(dice.of(&["dc1", "dc9", ""])));
    }
    let service_id = dice.of(&["ext-web", "ext-db", ""]);
    let has_service = !dice.one_in(3);
    if has_service {
        let mut service = Map::new();
        let name = if renames { dice.of(SERVICES) } else { name_of(service_id) };
        service.insert("Service".to_owned(), json!(name));
        if !service_id.is_empty() {
            service.insert("ID".to_owned(), json!(service_id));
        }
        if dice.one_in(2) {
            let tags: Vec<&str> = (0..dice.roll(3)).map(|_| dice.of(TAGS)).collect();
            service.insert("Tags".to_owned(), json!(tags));
        }
        if dice.one_in(3) {
            service.insert("Port".to_owned(), json!(dice.roll(3) * 40));
        }
        if dice.one_in(3) {
            service.insert("Meta".to_owned(), [json!({"version": "1"}), json!({}), json!(null)][dice.roll(3)].clone());
        }
        if dice.one_in(4) {
            service.insert(
                "Weights".to_owned(),
                [json!({"Passing": 2, "Warning": 1}), json!({"Passing": 0, "Warning": 0}), json!({})][dice.roll(3)]
                    .clone(),
            );
        }
        if dice.one_in(4) {
            service.insert("Address".to_owned(), json!(dice.of(&["10.2.2.2", "", "svc.example"])));
        }
        body.insert("Service".to_owned(), Value::Object(service));
    }
    let check = |dice: &mut Dice| {
        let mut check = Map::new();
        check.insert("Name".to_owned(), json!(dice.of(&["alive", "é", ""])));
        if dice.one_in(2) {
            check.insert("CheckID".to_owned(), json!(dice.of(&["ec1", "ec2", ""])));
        }
        if dice.one_in(2) {
            check.insert("ServiceID".to_owned(), json!(dice.of(&["ext-web", "ext-db", "none"])));
        }
        if !dice.one_in(4) {
            check.insert("Status".to_owned(), json!(dice.of(&["passing", "warning", "critical", "odd"])));
        }
        if dice.one_in(3) {
            check.insert("Output".to_owned(), json!(dice.of(&["fine", "bad", ""])));
        }
        if dice.one_in(8) {
            check.insert("Node".to_owned(), json!(dice.of(NODES)));
        }
        Value::Object(check)
    };
    match dice.roll(5) {
        0 | 1 => {
            body.insert("Check".to_owned(), check(dice));
        }
        2 => {
            let checks: Vec<Value> = (0..1 + dice.roll(2)).map(|_| check(dice)).collect();
            body.insert("Checks".to_owned(), Value::Array(checks));
        }
        _ => {}
    }
    if dice.one_in(30) {
        spoil(dice, &mut body);
    }
    Value::Object(body)
}

fn put(path: String, body: &Value) -> Request {
    Request { method: "PUT", path, body: body.to_string().into_bytes() }
}

fn bare(method: &'static str, path: String) -> Request {
    Request { method, path, body: Vec::new() }
}

fn garbage(dice: &mut Dice) -> Vec<u8> {
    let pool: [&[u8]; 10] = [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\"x\"",
        b"7",
        b"{\"Name\":\"web\"} trailing",
        b"{\"Name\":\"web\",}",
        b"\xff\xfe",
        b"{\"Name\":\"a\",\"Name\":\"db\"}",
    ];
    pool[dice.roll(pool.len())].to_vec()
}

/// A request that writes.
pub(super) fn write(dice: &mut Dice, renames: bool) -> Request {
    match dice.roll(20) {
        0..=5 => {
            let replace =
                ["", "", "", "?replace-existing-checks=true", "?replace-existing-checks", "?replace-existing-checks=0"];
            put(format!("/v1/agent/service/register{}", dice.of(&replace)), &service(dice, renames))
        }
        6 | 7 => bare("PUT", format!("/v1/agent/service/deregister/{}", encode(dice.of(IDS)))),
        8 | 9 => put("/v1/agent/check/register".to_owned(), &check(dice, true)),
        10 => bare("PUT", format!("/v1/agent/check/deregister/{}", encode(dice.of(CHECKS)))),
        11..=13 => {
            let verb = dice.of(&["pass", "warn", "fail"]);
            let note = dice.of(&["", "?note=said", "?note=a%20b", "?note=%C3%A9"]);
            bare("PUT", format!("/v1/agent/check/{verb}/{}{note}", encode(dice.of(CHECKS))))
        }
        14 => {
            let body = json!({"Status": dice.of(&["passing", "warning", "critical", "bogus", ""]), "Output": dice.of(&["out", "", "ö"])});
            put(format!("/v1/agent/check/update/{}", encode(dice.of(CHECKS))), &body)
        }
        15 => {
            let enable =
                dice.of(&["?enable=true&reason=r", "?enable=true", "?enable=false", "?enable=0", "?enable=x", ""]);
            match dice.one_in(3) {
                true => bare("PUT", format!("/v1/agent/maintenance{enable}")),
                false => bare("PUT", format!("/v1/agent/service/maintenance/{}{enable}", encode(dice.of(IDS)))),
            }
        }
        16 | 17 => put("/v1/catalog/register".to_owned(), &external(dice, renames)),
        18 => {
            let mut body = json!({"Node": dice.of(NODES)});
            match dice.roll(4) {
                0 => body["ServiceID"] = json!(dice.of(&["ext-web", "ext-db", "web"])),
                1 => body["CheckID"] = json!(dice.of(&["ec1", "ec2", "alive"])),
                2 => body["Datacenter"] = json!(dice.of(&["dc1", "dc9"])),
                _ => {}
            }
            put("/v1/catalog/deregister".to_owned(), &body)
        }
        _ => {
            let path = dice.of(&[
                "/v1/agent/service/register",
                "/v1/agent/check/register",
                "/v1/catalog/register",
                "/v1/catalog/deregister",
                "/v1/agent/check/update/c1",
            ]);
            Request { method: "PUT", path: path.to_owned(), body: garbage(dice) }
        }
    }
}

/// A path that is asked, and whether its answers carry an index.
fn asked(dice: &mut Dice) -> (String, bool) {
    let service = encode(dice.of(SERVICES));
    let node = encode(dice.of(&["node1", "ext1", "ext2", "Ext1", "n.dot", "none"]));
    match dice.roll(17) {
        0 => ("/v1/agent/services".to_owned(), false),
        1 => ("/v1/agent/checks".to_owned(), false),
        2 => (format!("/v1/agent/service/{}", encode(dice.of(IDS))), false),
        3 => (format!("/v1/agent/health/service/id/{}", encode(dice.of(IDS))), false),
        4 => (format!("/v1/agent/health/service/name/{service}"), false),
        5 => ("/v1/catalog/nodes".to_owned(), true),
        6 => ("/v1/catalog/services".to_owned(), true),
        7 | 8 => (format!("/v1/catalog/service/{service}"), true),
        9 => (format!("/v1/catalog/node/{node}"), true),
        10 => (format!("/v1/catalog/node-services/{node}"), true),
        11 => (format!("/v1/health/node/{node}"), true),
        12 => (format!("/v1/health/checks/{service}"), true),
        13 => {
            (format!("/v1/health/state/{}", dice.of(&["any", "passing", "warning", "critical", "odd", "bogus"])), true)
        }
        _ => (format!("/v1/health/service/{service}"), true),
    }
}

/// A request that reads; the second part says whether it may wait.
pub(super) fn read(dice: &mut Dice) -> (Request, bool) {
    let (path, indexed) = asked(dice);
    let mut params: Vec<String> = Vec::new();
    for _ in 0..dice.roll(3) {
        params.push(param(dice, &path));
    }
    // the original takes any selector on agent/checks and finds nothing by it, and takes no filter on catalog/services:
    // ours finds what is asked for, as newer ones
    if dice.one_in(4) && path != "/v1/agent/checks" && path != "/v1/catalog/services" {
        params.push(format!("filter={}", encode(&filter(dice, &path))));
    }
    let query = if params.is_empty() { String::new() } else { format!("?{}", params.join("&")) };
    let method = match dice.roll(60) {
        0 => "POST",
        1 => "DELETE",
        2 => "OPTIONS",
        _ => "GET",
    };
    let plain = params.iter().all(|param| !param.starts_with("index") && !param.starts_with("wait"));
    (bare(method, format!("{path}{query}")), indexed && plain && method == "GET")
}

fn param(dice: &mut Dice, path: &str) -> String {
    let name = encode(dice.of(TAGS));
    match dice.roll(22) {
        0 | 1 => "passing".to_owned(),
        2 => format!("passing={}", dice.of(&["true", "false", "1", "bogus", "T", ""])),
        3 | 4 => format!("tag={name}"),
        5 => format!("tag={name}&tag={}", encode(dice.of(TAGS))),
        6 => "stale".to_owned(),
        7 => "consistent".to_owned(),
        8 => "stale=false".to_owned(),
        9 => "pretty".to_owned(),
        10 => format!("dc={}", dice.of(&["dc1", "dc1", "dc9", "", "DC1"])),
        11 | 12 => format!("node-meta={}", dice.of(&["rack:r1", "rack:r2", "az:z1", "rack", "none:x", ""])),
        13 => format!("index={}&wait=60ms", dice.of(&["0", "abc", "-1", "", "1", "99999999999999999999"])),
        14 => format!("wait={}", dice.of(&["5", "abc", "1s", "-1s", "", "0"])),
        15 if !path.starts_with("/v1/agent/health") => "ns=default".to_owned(),
        16 => "format=text".to_owned(),
        17 => "unknown=1".to_owned(),
        18 => "max_stale=10s".to_owned(),
        19 if path.starts_with("/v1/agent") => "token=abc".to_owned(),
        20 => "pretty=false".to_owned(),
        _ => "x=%zz".to_owned(),
    }
}

/// A filter: mostly one that fits the path, sometimes nonsense.
fn filter(dice: &mut Dice, path: &str) -> String {
    let selectors: &[&str] = if path.contains("health/service") {
        &[
            "Service.Service",
            "Service.ID",
            "Service.Tags",
            "Service.Meta",
            "Service.Meta.version",
            "Service.Port",
            "Node.Node",
            "Node.Meta",
            "Node.Meta.rack",
            "Checks",
            "Checks.Status",
            "Service.Weights.Passing",
            "Service.EnableTagOverride",
            "Service.TaggedAddresses",
            "Service.Bogus",
            "Service.Kind",
        ]
    } else if path.contains("catalog/service/") {
        &[
            "ServiceName",
            "ServiceID",
            "ServiceTags",
            "ServiceMeta",
            "ServiceMeta.version",
            "ServicePort",
            "Node",
            "NodeMeta.rack",
            "NodeMeta",
            "Address",
            "ServiceWeights.Warning",
            "ServiceEnableTagOverride",
            "Bogus",
            "TaggedAddresses",
            "Datacenter",
        ]
    } else if path.contains("catalog/nodes") {
        &["Node", "Address", "Meta", "Meta.rack", "TaggedAddresses", "TaggedAddresses.lan", "Datacenter", "Bogus"]
    } else if path.contains("agent/services") || path.contains("catalog/node") {
        // nothing of the mesh: the original falls over on agent/services
        &[
            "Service",
            "ID",
            "Tags",
            "Meta",
            "Meta.version",
            "Port",
            "Weights.Passing",
            "EnableTagOverride",
            "TaggedAddresses",
            "TaggedAddresses.lan.Address",
            "Kind",
            "Address",
            "Bogus",
        ]
    } else {
        &[
            "CheckID",
            "Name",
            "Status",
            "ServiceName",
            "ServiceID",
            "ServiceTags",
            "Notes",
            "Output",
            "Node",
            "Bogus",
            "Definition",
            "Type",
        ]
    };
    let term = |dice: &mut Dice| -> String {
        let selector = dice.of(selectors);
        let value = dice.of(&[
            "web",
            "prod",
            "1",
            "passing",
            "critical",
            "\"eu\"",
            "`r1`",
            "ext1",
            "true",
            "80",
            "\"with space\"",
            "web-1",
            "\"\"",
            "-1",
        ]);
        match dice.roll(12) {
            0 | 1 => format!("{selector} == {value}"),
            2 => format!("{selector} != {value}"),
            3 => format!("{value} in {selector}"),
            4 => format!("{value} not in {selector}"),
            5 => format!("{selector} contains {value}"),
            6 => format!("{selector} not contains {value}"),
            7 => format!("{selector} is empty"),
            8 => format!("{selector} is not empty"),
            // on a key that is not there the original says yes to these two
            9 | 10 if selector.contains("eta.") => format!("{selector} != {value}"),
            9 => format!("{selector} matches \"{}\"", dice.of(&["^w", "b$", "e", ".*", "[", "(?i)WEB", "\\\\d"])),
            10 => format!("{selector} not matches `{}`", dice.of(&["^w", "x", "", "\\d"])),
            _ => format!("{selector}=={value}"),
        }
    };
    match dice.roll(10) {
        0..=4 => term(dice),
        5 => format!("{} and {}", term(dice), term(dice)),
        6 => format!("{} or not {}", term(dice), term(dice)),
        7 => format!("not ({} or {}) and {}", term(dice), term(dice), term(dice)),
        8 => format!("({})", term(dice)),
        _ => dice
            .of(&[
                "(",
                "foo",
                "a ==",
                "and",
                "Node = x",
                "Node == \"x",
                "not",
                "Node == x y",
                "ServiceName ==== x",
                "not not ServiceName == web",
                "((ServiceName == web))",
            ])
            .to_owned(),
    }
}

/// The next step.
pub(super) fn step(dice: &mut Dice, renames: bool) -> Step {
    match dice.roll(20) {
        0..=7 => Step::Write(write(dice, renames)),
        8..=18 => Step::Read(read(dice).0),
        _ => {
            let (read, may_wait) = read(dice);
            if may_wait { Step::Watch(read, write(dice, renames)) } else { Step::Read(read) }
        }
    }
}
