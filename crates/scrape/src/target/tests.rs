//! Discovered sets as data.

use super::*;
use crate::config::{GlobalScrape, ScrapeBlock};

fn config(yaml: &str) -> ScrapeConfig {
    let block: ScrapeBlock = serde_saphyr::from_str(yaml).expect("a block");
    block.resolve(&GlobalScrape::default()).expect("a job")
}

fn set(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied())
}

fn active(own: &[(&str, &str)], group: &[(&str, &str)], yaml: &str) -> Target {
    match resolve(&set(own), &set(group), &config(yaml)).expect("a target") {
        Resolved::Active(target) => *target,
        Resolved::Dropped(labels) => panic!("dropped: {labels}"),
    }
}

#[test]
fn a_plain_target_gets_job_and_instance() {
    let target = active(&[("__address__", "h:80")], &[("env", "x"), ("__meta_a", "b")], "job_name: j");
    assert_eq!(target.labels.to_string(), r#"{env="x", instance="h:80", job="j"}"#);
    assert_eq!(target.url.as_str(), "http://h/metrics");
    assert_eq!((target.interval, target.timeout), (Duration::from_secs(60), Duration::from_secs(10)));
    let expected = "{__address__=\"h:80\", __always_scrape_classic_histograms__=\"false\", \
                    __convert_classic_histograms_to_nhcb__=\"false\", __meta_a=\"b\", __metrics_path__=\"/metrics\", \
                    __scheme__=\"http\", __scrape_interval__=\"1m\", __scrape_native_histograms__=\"false\", \
                    __scrape_timeout__=\"10s\", env=\"x\", job=\"j\"}";
    assert_eq!(target.discovered().to_string(), expected);
}

#[test]
fn rules_may_change_where_and_how_often() {
    let yaml = "
job_name: j
params: {module: [http, x], target: [y]}
relabel_configs:
- {source_labels: [__address__], target_label: __param_target}
- {source_labels: [__param_target], target_label: instance}
- {target_label: __address__, replacement: 'prober:9115'}
- {target_label: __metrics_path__, replacement: /probe}
- {target_label: __scrape_interval__, replacement: 5s}
- {target_label: __scrape_timeout__, replacement: 1500ms}
- {target_label: job, replacement: probes}
";
    let target = active(&[("__address__", "a&b")], &[], yaml);
    assert_eq!(target.url.as_str(), "http://prober:9115/probe?module=http&module=x&target=a%26b");
    assert_eq!(target.labels.to_string(), r#"{instance="a&b", job="probes"}"#);
    assert_eq!((target.interval, target.timeout), (Duration::from_secs(5), Duration::from_millis(1500)));
}

#[test]
fn sets_that_are_no_target_say_why() {
    let refused = |own: &[(&str, &str)], yaml: &str| match resolve(&set(own), &Labels::empty(), &config(yaml)) {
        Err(reason) => reason,
        Ok(resolved) => panic!("{resolved:?}"),
    };
    assert_eq!(refused(&[("a", "b")], "job_name: j"), "no address");
    assert_eq!(refused(&[("__address__", "http://h:80")], "job_name: j"), "\"http://h:80\" is not a valid hostname");
    let with = |label, value| refused(&[("__address__", "h:1"), (label, value)], "job_name: j");
    assert_eq!(with("__scrape_interval__", "x"), "error parsing scrape interval: not a valid duration string: \"x\"");
    assert_eq!(with("__scrape_timeout__", "0"), "scrape timeout cannot be 0");
    assert_eq!(
        with("__scrape_timeout__", "2m"),
        "scrape timeout cannot be greater than scrape interval (\"2m\" > \"1m\")"
    );
}

#[test]
fn dropped_targets_keep_what_was_discovered() {
    let yaml = "{job_name: j, relabel_configs: [{source_labels: [__meta_x], regex: y, action: drop}]}";
    let own = set(&[("__address__", "h:1"), ("__meta_x", "y")]);
    let Ok(Resolved::Dropped(labels)) = resolve(&own, &Labels::empty(), &config(yaml)) else { panic!("not dropped") };
    assert_eq!(labels.value("__meta_x"), "y");
}

#[test]
fn identity_follows_labels_and_url_and_spreads() {
    let one = active(&[("__address__", "h:1")], &[], "job_name: j");
    assert_eq!(one.hash, active(&[("__address__", "h:1")], &[], "job_name: j").hash);
    assert_ne!(one.hash, active(&[("__address__", "h:1")], &[("a", "b")], "job_name: j").hash);
    let offsets: Vec<Duration> =
        (0..100).map(|n| active(&[("__address__", &format!("h:{n}"))], &[], "job_name: j").offset(7)).collect();
    let early = offsets.iter().filter(|offset| **offset < Duration::from_secs(30)).count();
    assert!((30..=70).contains(&early), "{early} of 100 in the first half");
}
