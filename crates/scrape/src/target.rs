//! A target: where to ask, and the labels of what it answers; made from what discovery said by relabelling.
//!
//! ```text
//! group labels + target labels + job's defaults ─► discovered labels ─ relabel ─► labels (no `__…`) + URL
//!                                                                        └─► dropped
//! ```
//! Order, defaults and errors are the original's (`PopulateLabels`). Labels that begin with `__` live until here alone.

use crate::config::{JobConfig, shown};
use model::duration::parse_duration;
use model::relabel;
use model::{Labels, LabelsBuilder, TargetGroup};
use net::client::Url;
use std::time::Duration;

/// One target of a job. Equal labels and URL: the same target, whose loop goes on over a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Labels put on every series.
    pub labels: Labels,
    /// Everything known before relabelling, for the page.
    pub discovered: Labels,
    /// Where to ask.
    pub url: Url,
    /// Time between two visits.
    pub interval: Duration,
    /// Time a visit may take.
    pub timeout: Duration,
}

/// What became of one discovered label set.
#[derive(Debug)]
pub enum Made {
    /// A target.
    Target(Target),
    /// Dropped by relabelling.
    Dropped(Labels),
    /// Not usable: what is wrong, and its labels.
    Bad(String, Labels),
}

impl Target {
    /// What tells two targets apart: the same for the same labels and URL, in every process.
    pub fn hash(&self) -> u64 {
        let text = format!("{}{}", self.labels, self.url);
        xxhash_rust::xxh64::xxh64(text.as_bytes(), 0)
    }
}

/// Makes the targets of one group.
pub fn make(job: &JobConfig, group: &TargetGroup) -> Vec<Made> {
    group.targets.iter().map(|own| make_one(job, &group.labels, own)).collect()
}

fn make_one(job: &JobConfig, shared: &Labels, own: &Labels) -> Made {
    let mut labels = LabelsBuilder::new();
    // the target's own labels win over the group's
    for (name, value) in shared.iter().chain(own.iter()) {
        labels.set(name, value);
    }
    let defaults = [
        ("job", job.name.clone()),
        ("__scrape_interval__", shown(job.interval)),
        ("__scrape_timeout__", shown(job.timeout)),
        ("__metrics_path__", job.metrics_path.clone()),
        ("__scheme__", job.scheme.clone()),
    ];
    for (name, value) in defaults {
        if labels.value(name).is_empty() {
            labels.set(name, &value);
        }
    }
    for (name, values) in &job.params {
        if let Some(first) = values.first() {
            let name = format!("__param_{name}");
            if labels.value(&name).is_empty() {
                labels.set(&name, first);
            }
        }
    }
    let discovered = labels.build();
    if !relabel::process(&mut labels, job.relabel.list()) {
        return Made::Dropped(discovered);
    }
    match finish(job, labels, &discovered) {
        Ok(target) => Made::Target(target),
        Err(reason) => Made::Bad(reason, discovered),
    }
}

fn finish(job: &JobConfig, mut labels: LabelsBuilder, discovered: &Labels) -> Result<Target, String> {
    let address = labels.value("__address__").to_owned();
    if address.is_empty() {
        return Err("no address".to_owned());
    }
    if address.contains('/') {
        return Err(format!("\"{address}\" is not a valid hostname"));
    }
    let time = |name: &str, what: &str| -> Result<Duration, String> {
        let millis = parse_duration(labels.value(name)).map_err(|e| format!("error parsing scrape {what}: {e}"))?;
        match u64::try_from(millis.0) {
            Ok(millis) if millis > 0 => Ok(Duration::from_millis(millis)),
            _ => Err(format!("scrape {what} cannot be 0")),
        }
    };
    let (interval, timeout) = (time("__scrape_interval__", "interval")?, time("__scrape_timeout__", "timeout")?);
    if timeout > interval {
        return Err(format!(
            "scrape timeout cannot be greater than scrape interval (\"{}\" > \"{}\")",
            shown(timeout),
            shown(interval)
        ));
    }
    let url = url(job, &labels, &address)?;
    if labels.value("instance").is_empty() {
        labels.set("instance", &address);
    }
    labels.retain(|name, _| !name.starts_with("__"));
    Ok(Target { labels: labels.build(), discovered: discovered.clone(), url, interval, timeout })
}

fn url(job: &JobConfig, labels: &LabelsBuilder, address: &str) -> Result<Url, String> {
    let text = format!("{}://{address}", labels.value("__scheme__"));
    let mut url = Url::parse(&text).map_err(|e| format!("\"{text}\" is not a URL: {e}"))?;
    let (path, fixed) = match labels.value("__metrics_path__").split_once('?') {
        Some((path, query)) => (path.to_owned(), query.to_owned()),
        None => (labels.value("__metrics_path__").to_owned(), String::new()),
    };
    url.set_path(&path);
    // parameters in name order; a label replaces the first value of its parameter
    let mut params = job.params.clone();
    for (name, value) in url::form_urlencoded::parse(fixed.as_bytes()) {
        params.entry(name.into_owned()).or_default().push(value.into_owned());
    }
    for (name, value) in labels.iter() {
        if let Some(name) = name.strip_prefix("__param_") {
            let values = params.entry(name.to_owned()).or_default();
            match values.first_mut() {
                Some(first) => value.clone_into(first),
                None => values.push(value.to_owned()),
            }
        }
    }
    if !params.is_empty() {
        let pairs = params.iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value)));
        url.query_pairs_mut().extend_pairs(pairs);
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{GlobalDefaults, ScrapeBlock};
    use serde::de::IgnoredAny;

    fn job(yaml: &str) -> JobConfig {
        let block: ScrapeBlock<IgnoredAny, IgnoredAny, IgnoredAny> = serde_saphyr::from_str(yaml).expect("legal yaml");
        block.resolve(&GlobalDefaults::default()).expect("a legal job").job
    }

    fn one(yaml: &str, pairs: &[(&str, &str)]) -> Made {
        let group = TargetGroup {
            source: "0".to_owned(),
            targets: vec![Labels::from_pairs(pairs.iter().copied())],
            labels: Labels::from_pairs([("env", "prod")]),
        };
        make(&job(yaml), &group).remove(0)
    }

    #[test]
    fn defaults_make_url_and_labels() {
        let Made::Target(target) =
            one("job_name: j\nparams: {a: [x, y]}", &[("__address__", "h:1"), ("__param_b", "2")])
        else {
            panic!("a target");
        };
        assert_eq!(target.url.as_str(), "http://h:1/metrics?a=x&a=y&b=2");
        assert_eq!(target.labels.to_string(), r#"{env="prod", instance="h:1", job="j"}"#);
        assert_eq!((target.interval.as_secs(), target.timeout.as_secs()), (60, 10));
        assert_eq!(target.discovered.value("__scrape_interval__"), "1m");
    }

    #[test]
    fn relabelling_drops_and_rewrites() {
        let yaml = "job_name: j\nrelabel_configs:\n- {source_labels: [drop], regex: 'yes', action: drop}\n- {source_labels: [__meta_port], target_label: __address__, replacement: 'x:$1'}";
        assert!(matches!(one(yaml, &[("__address__", "h:1"), ("drop", "yes")]), Made::Dropped(_)));
        let Made::Target(target) = one(yaml, &[("__address__", "h:1"), ("__meta_port", "9")]) else {
            panic!("a target")
        };
        assert_eq!(target.url.as_str(), "http://x:9/metrics");
        assert_eq!(target.labels.value("instance"), "x:9");
    }

    #[test]
    fn what_is_no_target_says_why() {
        for (pairs, expected) in [
            (vec![("env", "x")], "no address"),
            (vec![("__address__", "http://h/")], "\"http://h/\" is not a valid hostname"),
            (
                vec![("__address__", "h"), ("__scrape_timeout__", "2m")],
                "scrape timeout cannot be greater than scrape interval (\"2m\" > \"1m\")",
            ),
            (vec![("__address__", "h"), ("__scrape_interval__", "0s")], "scrape interval cannot be 0"),
        ] {
            let Made::Bad(reason, _) = one("job_name: j", &pairs) else { panic!("{expected}") };
            assert_eq!(reason, expected);
        }
    }
}
