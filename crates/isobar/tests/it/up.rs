//! `isobar up`: starts without a configuration, answers, takes a user's jobs, stops cleanly and comes back with its data.

use crate::binary;
use std::process::Command;
use std::time::Duration;
use testkit::harness::exporter::{Exporter, Reply};
use testkit::harness::http::{self, Client};
use testkit::harness::isobar;
use testkit::harness::place::{self, Scratch};
use testkit::harness::process::{self, wait_for};

const LIMIT: Duration = Duration::from_secs(20);

#[test]
fn up_answers_reloads_and_comes_back_with_its_data() {
    let folder = Scratch::new("up").expect("a folder");
    let exporter = Exporter::start(0, |_| Reply::Page("of_the_user 7\n".to_owned())).expect("a port");
    let config = folder.join("mine.yml");
    let jobs = |name: &str| {
        let target = format!("static_configs: [{{targets: ['127.0.0.1:{}']}}]", exporter.port);
        format!("global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: {name}\n  {target}\n")
    };
    std::fs::write(&config, jobs("mine")).expect("writable");
    let flag = format!("--config={}", config.display());
    let mut up = isobar::start_up(&binary(), folder.path(), &[&flag]).expect("it starts");
    let mut api = up.role.api();
    for query in ["node_load1", "of_the_user == 7", "up{job=\"isobar\"} == 1"] {
        wait_for(query, LIMIT, || api.count(query).ok().filter(|n| *n == 1)).expect("a sample");
    }
    for path in ["/", "/ui/overview", "/ui/services", "/v1/catalog/services", "/api/v1/targets", "/metrics"] {
        assert_eq!(http::get(up.role.port, path).expect("an answer").status, 200, "{path}");
    }
    let registry = http::get(up.registry, "/v1/catalog/services").expect("an answer").json().expect("JSON");
    assert!(registry.get("node-exporter").is_some(), "{registry}");
    assert!(http::get(up.exporter, "/metrics").expect("an answer").text().contains("node_load1 "));

    std::fs::write(&config, jobs("renamed")).expect("writable");
    up.role.process.signal("HUP").expect("it runs");
    let renamed = "of_the_user{job=\"renamed\"}";
    wait_for(renamed, LIMIT, || api.count(renamed).ok().filter(|n| *n == 1)).expect("the new job");

    let status = up.role.process.terminate(Duration::from_secs(15)).expect("it stops");
    assert!(status.success(), "{status}: {}", up.role.process.output());
    up.role.restart().expect("it comes back");
    let mut api = up.role.api();
    let old = "count_over_time(of_the_user{job=\"mine\"}[5m])";
    assert!(api.value(old).expect("an answer").is_some_and(|count| count >= 1.0), "the first run's samples are there");
}

#[test]
fn the_printed_configuration_passes_promtool() {
    const NAME: &str = "the_printed_configuration_passes_promtool";
    let folder = Scratch::new("print-config").expect("a folder");
    let mut command = Command::new(binary());
    command.args(["up", "--print-config"]).current_dir(folder.path());
    let printed = process::run("up", command, &folder.join("printed.log"), LIMIT).expect("it ends");
    assert_eq!(printed.code, Some(0), "{}", printed.output);
    assert!(!folder.join("isobar-data").exists(), "nothing is made");
    let file = folder.join("prometheus.yml");
    std::fs::write(&file, &printed.output).expect("writable");
    // Debian's newer promtool lacks consul_sd_configs
    let Some(programs) = place::peer("prometheus-2.24") else {
        return place::skip(NAME, "Prometheus 2.24.1 is not to be had (ISOBAR_PEERS)");
    };
    let promtool = programs.iter().find(|path| path.to_string_lossy().contains("promtool")).expect("it has promtool");
    let mut check = Command::new(promtool);
    check.args(["check", "config"]).arg(&file);
    let said = process::run("promtool", check, &folder.join("promtool.log"), LIMIT).expect("it ends");
    assert_eq!(said.code, Some(0), "{}", said.output);
}

#[test]
fn the_page_talks_to_its_own_origin_alone() {
    let folder = Scratch::new("origin").expect("a folder");
    let up = isobar::start_up(&binary(), folder.path(), &[]).expect("it starts");
    let mut client = Client::new(up.role.port);
    let page = client.get("/").expect("an answer");
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    for (path, to) in [("/graph?g0.expr=up", "/explore?g0.expr=up"), ("/targets", "/system/targets")] {
        let answer = client.get(path).expect("an answer");
        assert_eq!((answer.status, answer.header("location")), (302, Some(to)), "{path}");
    }
    for port in [up.role.port, up.registry, up.exporter] {
        let answer = Client::new(port).request("GET", "/metrics", &[("Host", "evil.example")], b"").expect("an answer");
        assert_eq!(answer.status, 421, "port {port}");
    }
}

#[test]
fn a_server_by_itself_shows_what_its_discovery_found() {
    let folder = Scratch::new("server-joins").expect("a folder");
    let exporter = Exporter::start(0, |_| Reply::Page("of_the_user 7\n".to_owned())).expect("a port");
    let config = isobar::scrape_config("1s", exporter.port, 2);
    let server = isobar::server(&binary(), folder.path(), &config, &[]).expect("a port").start().expect("it starts");
    let services = || http::get(server.port, "/ui/services").expect("an answer").json().expect("JSON");
    wait_for("the targets", LIMIT, || Some(services()).filter(|s| s["services"][0]["targets_up"] == 2)).expect("found");
    let found = services();
    assert_eq!(
        (&found["registry"], &found["services"][0]["how"]),
        (&false.into(), &"static_configs".into()),
        "{found}"
    );
    let overview = http::get(server.port, "/ui/overview").expect("an answer").json().expect("JSON");
    assert!(overview["server"]["data_from_ms"].as_i64().is_some_and(|at| at > 1_700_000_000_000), "{overview}");
    assert_eq!(overview["server"]["parts"][0]["name"], "server", "{overview}");
    assert_eq!(overview["ports"], serde_json::json!([]), "no registry, nothing to register at");
}

#[test]
fn an_unknown_path_is_a_page_for_people_and_a_line_for_programs() {
    let folder = Scratch::new("unknown-path").expect("a folder");
    let up = isobar::start_up(&binary(), folder.path(), &[]).expect("it starts");
    let mut client = Client::new(up.role.port);
    for (path, accept, html) in [
        ("/nope", "text/html,*/*;q=0.8", true),
        ("/services/", "text/html", true),
        ("/nope", "*/*", false),
        ("/api/v1/nope", "text/html", false),
        ("/assets/nope.js", "text/html", false),
    ] {
        let answer = client.request("GET", path, &[("Accept", accept)], b"").expect("an answer");
        assert_eq!(answer.status, 404, "{path}");
        let is_html = answer.header("content-type").is_some_and(|kind| kind.starts_with("text/html"));
        assert_eq!(is_html, html, "{path} for {accept}");
    }
}
