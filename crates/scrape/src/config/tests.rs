//! Blocks as data.

use super::*;

fn job(yaml: &str) -> Result<ScrapeConfig, String> {
    let block: ScrapeBlock = serde_saphyr::from_str(yaml).map_err(|e| e.to_string())?;
    block.resolve(&GlobalScrape::default()).map_err(|e| e.to_string())
}

#[test]
fn defaults_are_the_originals() {
    let config = job("job_name: x").expect("a job");
    assert_eq!((config.interval, config.timeout), (Duration::from_secs(60), Duration::from_secs(10)));
    assert_eq!((config.metrics_path.as_str(), config.scheme.as_str()), ("/metrics", "http"));
    assert!(config.honor_timestamps && config.compression && config.follow_redirects && !config.honor_labels);
    assert_eq!(config.limits, Limits { body_size: 256 << 20, ..Limits::default() });
    assert_eq!((config.refused, config.warnings), (None, Vec::new()));
    let short = job("{job_name: x, scrape_interval: 5s}").expect("a job");
    assert_eq!(short.timeout, Duration::from_secs(5));
}

#[test]
fn a_job_keeps_what_it_says() {
    let global: GlobalBlock =
        serde_saphyr::from_str("{scrape_interval: 15s, sample_limit: 100, label_limit: 30}").expect("a block");
    let global = global.resolve().expect("global");
    let block: ScrapeBlock = serde_saphyr::from_str(
        "{job_name: x, sample_limit: 5, body_size_limit: 50MB, params: {a: [b, c]}, relabel_configs: [{source_labels: \
         [a], target_label: b}]}",
    )
    .expect("a block");
    let config = block.resolve(&global).expect("a job");
    assert_eq!(config.interval, Duration::from_secs(15));
    assert_eq!((config.limits.samples, config.limits.labels, config.limits.body_size), (5, 30, 50 << 20));
    assert_eq!(config.params["a"], ["b", "c"]);
    assert_eq!(config.relabel.as_slice().len(), 1);
    assert_eq!(config, block.resolve(&global).expect("the same"));
}

#[test]
fn what_is_wrong_is_refused() {
    for (yaml, error) in [
        ("{}", "job_name is empty"),
        (
            "{job_name: x, scrape_interval: 5s, scrape_timeout: 6s}",
            "scrape timeout greater than scrape interval for scrape config with job name \"x\"",
        ),
        ("{job_name: x, scrape_interval: 5x}", "scrape_interval: unknown unit \"x\" in duration \"5x\""),
        ("{job_name: x, body_size_limit: '100'}", "units: unknown unit  in 100"),
        ("{job_name: x, relabel_configs: [null]}", "empty or null target relabeling rule in scrape config"),
        ("{job_name: x, metric_relabel_configs: [null]}", "empty or null metric relabeling rule in scrape config"),
        (
            "{job_name: x, relabel_configs: [{regex: 'abc(def', target_label: y}]}",
            "error parsing regexp: missing closing ): `^(?s:abc(def)$`",
        ),
        (
            "{job_name: x, scrape_protocols: [PrometheusProto, PrometheusProto]}",
            "duplicated protocol in scrape_protocols, got [PrometheusProto PrometheusProto] for scrape config with job name \"x\"",
        ),
    ] {
        assert_eq!(job(yaml).map(|_| ()), Err(error.to_owned()), "{yaml}");
    }
    let unknown = job("{job_name: x, scrap_interval: 5s}").expect_err("an unknown key");
    assert!(unknown.contains("scrap_interval"), "{unknown}");
    let unknown = job("{job_name: x, relabel_configs: [{sourcelabels: [a]}]}").expect_err("an unknown key");
    assert!(unknown.contains("sourcelabels"), "{unknown}");
}

#[test]
fn every_key_that_is_not_done_says_so() {
    for (key, instead) in NOT_DONE {
        assert!(ScrapeBlock::KEYS.contains(key), "{key}");
        let value = match *key {
            "scrape_protocols" => "[PrometheusText0.0.4]",
            "proxy_from_environment" | "scrape_native_histograms" => "true",
            "always_scrape_classic_histograms" | "convert_classic_histograms_to_nhcb" => "true",
            "native_histogram_bucket_limit" | "native_histogram_min_bucket_factor" => "3",
            _ => "x",
        };
        let config = job(&format!("{{job_name: x, {key}: {value}}}")).expect(key);
        assert!(config.warnings.iter().any(|warning| warning.contains(key)), "{key}: {:?}", config.warnings);
        let down = config.refused.is_some_and(|reason| reason.contains(key));
        assert_eq!(down, *instead == Instead::TargetsDown, "{key}");
    }
    assert!(job("{job_name: x, scheme: https}").expect("a job").refused.expect("refused").contains("https"));
}
