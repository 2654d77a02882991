//! `consul_sd_configs` against a small Consul: what is asked, what is made of the answers, and what of wrong ones.

use crate::mini_consul::MiniConsul;
use crate::setting::{Setting, addresses, consul, eventually, until};
use discovery::ProviderConfig;
use std::time::Duration;

fn provider(server: &MiniConsul, more: &str) -> ProviderConfig {
    consul(&format!("server: 127.0.0.1:{}\nrefresh_interval: 10ms\n{more}", server.port))
}

#[tokio::test]
async fn services_come_change_and_go() {
    let server = MiniConsul::start();
    server.register("web", "web-1", "", 8080, &["metrics", "v2"]);
    let mut setting = Setting::new();
    let receiver = setting.job(vec![provider(&server, "")]);
    until(&receiver, &["10.0.0.1:8080"]).await;
    let groups = receiver.current().unwrap();
    assert_eq!(groups[0].labels.to_string(), r#"{__meta_consul_dc="dc7", __meta_consul_service="web"}"#);
    assert_eq!(
        groups[0].targets[0].to_string(),
        r#"{__address__="10.0.0.1:8080", __meta_consul_address="10.0.0.1", __meta_consul_health="passing", __meta_consul_metadata_rack_id="r1", __meta_consul_node="n1", __meta_consul_service_id="web-1", __meta_consul_service_metadata_metrics_path="/m", __meta_consul_service_port="8080", __meta_consul_tags=",metrics,v2,"}"#
    );
    server.register("web", "web-2", "::1", 8081, &[]);
    server.register("a/b c", "x", "db.local", 1, &[]);
    until(&receiver, &["10.0.0.1:8080", "[::1]:8081"]).await;
    eventually("names are escaped", || !server.asked("/v1/health/service/a%2Fb%20c?").is_empty()).await;
    server.deregister("web");
    eventually("web is gone", || addresses(&receiver).iter().all(|address| !address.contains("808"))).await;
    assert!(setting.value("prometheus_sd_consul_rpc_duration_seconds") >= 4.0);
}

#[tokio::test]
async fn queries_are_those_of_the_original() {
    let server = MiniConsul::start();
    server.register("web", "web-1", "", 1, &["a", "b"]);
    server.register("db", "db-1", "", 2, &["a"]);
    let mut setting = Setting::new();
    let more = "tags: [a, b]\nnode_meta: {rack: r1}\nfilter: 'x == 1'\nhealth_filter: 'y == 2'\ndatacenter: dc9\nnamespace: n\npartition: p";
    let receiver = setting.job(vec![provider(&server, more)]);
    until(&receiver, &["10.0.0.1:1"]).await;
    let first = |part: &str| server.asked(part).first().cloned().unwrap_or_default();
    let shared = "wait=120000ms&stale=&node-meta=rack%3Ar1&dc=dc9&ns=n&partition=p";
    assert_eq!(first("/v1/catalog/services"), format!("/v1/catalog/services?{shared}&filter=x+%3D%3D+1"));
    assert_eq!(
        first("/v1/health/service/web"),
        format!("/v1/health/service/web?{shared}&tag=a&tag=b&filter=y+%3D%3D+2")
    );
    assert!(server.asked("service/db").is_empty(), "db has not both tags");
    assert!(server.asked("agent/self").is_empty(), "the datacenter is given");
    eventually("the second query waits", || server.asked("service/web?").iter().any(|path| path.contains("index=102")))
        .await;
    assert_eq!(receiver.current().unwrap()[0].labels.value("__meta_consul_dc"), "dc9");
}

#[tokio::test]
async fn named_services_are_watched_without_the_catalogue() {
    let server = MiniConsul::start();
    server.register("web", "web-1", "", 1, &[]);
    server.register("db", "db-1", "", 2, &[]);
    let mut setting = Setting::new();
    let receiver = setting.job(vec![provider(&server, "services: [web, none]\nallow_stale: false")]);
    until(&receiver, &["10.0.0.1:1"]).await;
    assert!(server.asked("catalog").is_empty() && server.asked("stale").is_empty());
    let receiver = setting.job(vec![provider(&server, "services: [db]\nfilter: x")]);
    until(&receiver, &["10.0.0.1:2"]).await;
    assert!(!server.asked("catalog").is_empty(), "a filter can only be asked of the catalogue");
}

#[tokio::test]
async fn a_falling_index_begins_anew() {
    let server = MiniConsul::start();
    server.register("web", "web-1", "", 1, &[]);
    let mut setting = Setting::new();
    let receiver = setting.job(vec![provider(&server, "services: [web]")]);
    until(&receiver, &["10.0.0.1:1"]).await;
    eventually("it waits", || server.asked("index=101").len() == 1).await;
    server.restore(7, "web", 99);
    until(&receiver, &["10.9.9.9:99"]).await;
    let asked = server.asked("service/web");
    let waiting = asked.iter().position(|path| path.contains("index=101")).unwrap();
    eventually("it asks on", || server.asked("service/web").len() > waiting + 2).await;
    let asked = server.asked("service/web");
    assert!(!asked[waiting + 1].contains("index="), "{asked:?}");
    assert!(asked[waiting + 2].contains("index=7"), "{asked:?}");
}

#[tokio::test]
async fn an_answer_without_an_index_is_news() {
    let server = MiniConsul::start();
    server.forget_the_index();
    server.register("web", "web-1", "", 1, &[]);
    let mut setting = Setting::new();
    let receiver = setting.job(vec![provider(&server, "services: [web]")]);
    until(&receiver, &["10.0.0.1:1"]).await;
    server.register("web", "web-2", "", 2, &[]);
    until(&receiver, &["10.0.0.1:1", "10.0.0.1:2"]).await;
}

#[tokio::test]
async fn a_service_that_fails_holds_up_no_other_and_loses_nothing() {
    let server = MiniConsul::start();
    server.register("web", "web-1", "", 1, &[]);
    server.register("sick", "sick-1", "", 2, &[]);
    server.fail(Some("service/sick"));
    let mut setting = Setting::new();
    let receiver = setting.job(vec![provider(&server, "")]);
    until(&receiver, &["10.0.0.1:1"]).await;
    assert!(setting.value("prometheus_sd_consul_rpc_failures_total") >= 1.0);
    server.fail(None);
    until(&receiver, &["10.0.0.1:1", "10.0.0.1:2"]).await;
    server.fail(Some("/v1/"));
    let failures = setting.value("prometheus_sd_consul_rpc_failures_total");
    eventually("calls fail", || setting.value("prometheus_sd_consul_rpc_failures_total") > failures + 2.0).await;
    assert_eq!(addresses(&receiver), ["10.0.0.1:1", "10.0.0.1:2"]);
}

#[tokio::test]
async fn the_token_is_sent_and_what_we_lack_is_not_asked_without() {
    let server = MiniConsul::start();
    server.register("secret", "s", "", 1, &[]);
    let mut setting = Setting::new();
    let receiver = setting.job(vec![provider(&server, "services: [secret]\ntoken: s3cret")]);
    until(&receiver, &["10.0.0.1:1"]).await;
    for more in ["tls_config: {}", "basic_auth: {username: u}", "username: u", "scheme: https", "proxy_url: http://p"] {
        let receiver = setting.job(vec![provider(&server, more)]);
        until(&receiver, &[]).await;
        let asked = server.asked("catalog").len();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!((asked, server.asked("catalog").len()), (0, 0), "{more}: asked nevertheless");
    }
}
