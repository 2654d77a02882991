//! Bodies in, samples out, against a store that keeps lists.

use super::*;
use crate::config::{GlobalDefaults, ScrapeBlock};
use crate::target::{Made, make};
use model::{Labels, TargetGroup, is_stale};
use runtime::clock::Clock;
use runtime::instrument::Registry;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use storage::{Abilities, Committed, Refusals};

/// A store that keeps every sample, refuses nothing, and can forget its refs.
#[derive(Default)]
struct Lists(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    series: Vec<Labels>,
    samples: BTreeMap<(String, i64), f64>,
    declared: usize,
    forgotten_below: u64,
}

struct Transaction {
    kept: Arc<Mutex<Kept>>,
    fresh: Vec<Labels>,
    staged: Vec<(SeriesRef, i64, f64)>,
}

impl Append for Lists {
    fn begin(&self, _: Tenant) -> Result<Box<dyn Appender>, AppendError> {
        Ok(Box::new(Transaction { kept: self.0.clone(), fresh: Vec::new(), staged: Vec::new() }))
    }
    fn abilities(&self) -> Abilities {
        Abilities::default()
    }
}

impl Appender for Transaction {
    fn declare(&mut self, labels: &Labels) -> Result<SeriesRef, AppendError> {
        let mut kept = self.kept.lock().expect("kept");
        kept.declared += 1;
        let below = kept.forgotten_below as usize;
        if let Some(at) = kept.series.iter().skip(below).position(|known| known == labels) {
            return Ok(SeriesRef((below + at) as u64));
        }
        let at = self.fresh.iter().position(|known| known == labels).unwrap_or_else(|| {
            self.fresh.push(labels.clone());
            self.fresh.len() - 1
        });
        Ok(SeriesRef::provisional(at))
    }

    fn row(&mut self, row: Row<'_>) -> Result<(), AppendError> {
        let below = self.kept.lock().expect("kept").forgotten_below;
        if let Some(unknown) = row.series.iter().find(|s| !s.is_provisional() && s.0 < below) {
            return Err(AppendError::UnknownSeries(*unknown));
        }
        let mut sorted = row.series.to_vec();
        sorted.sort();
        sorted.dedup();
        assert_eq!(sorted.len(), row.series.len(), "a row holds a series twice");
        self.staged.extend(row.series.iter().zip(row.values).map(|(series, value)| (*series, row.at.0, *value)));
        Ok(())
    }

    fn sample(&mut self, series: SeriesRef, at: Timestamp, value: f64, _: Timestamp) -> Result<(), AppendError> {
        let below = self.kept.lock().expect("kept").forgotten_below;
        if !series.is_provisional() && series.0 < below {
            return Err(AppendError::UnknownSeries(series));
        }
        self.staged.push((series, at.0, value));
        Ok(())
    }

    fn commit(self: Box<Self>, _: Durability) -> Result<Committed, CommitError> {
        let mut kept = self.kept.lock().expect("kept");
        let first = kept.series.len() as u64;
        kept.series.extend(self.fresh.iter().cloned());
        let born: Vec<_> = (0..self.fresh.len() as u64).map(|n| Some(SeriesRef(first + n))).collect();
        for (series, at, value) in &self.staged {
            let at_index = series.provisional_index().map_or(series.0 as usize, |n| first as usize + n);
            let name = kept.series[at_index].to_string();
            kept.samples.insert((name, *at), *value);
        }
        let accepted = self.staged.len() as u64;
        Ok(Committed { ticket: runtime::ticket::Ticket::settled(), accepted, refusals: Refusals::default(), born })
    }
}

struct Bench {
    store: Lists,
    intake: Intake,
    families: FamilyTable,
    target: Target,
    config: JobConfig,
    now: i64,
}

fn config(yaml: &str) -> JobConfig {
    let block: ScrapeBlock<IgnoredAny, IgnoredAny, IgnoredAny> = serde_saphyr::from_str(yaml).expect("a block");
    block.resolve(&GlobalDefaults::default()).expect("a job").job
}

impl Bench {
    fn new(yaml: &str) -> Self {
        let config = config(yaml);
        let own = Labels::from_pairs([("__address__", "h:1"), ("instance", "i")]);
        let group = TargetGroup { source: "0".to_owned(), targets: vec![own], labels: Labels::empty() };
        let Made::Target(target) = make(&config, &group).remove(0) else { panic!("no target") };
        let instruments = Instruments::new(&Registry::new(Clock::manual(Timestamp(0))));
        Bench {
            store: Lists::default(),
            intake: Intake::new(LaneKey(42), instruments),
            families: FamilyTable::default(),
            target,
            config,
            now: 0,
        }
    }

    /// One visit, one second after the last, as the loop does it; `Err` is a visit without a body.
    fn visit(&mut self, body: Result<&str, &str>) -> Option<String> {
        self.now += 1000;
        let at = Timestamp(self.now);
        let visit = Visit {
            at,
            duration: Duration::from_millis(5),
            body: body.map(str::as_bytes),
            target: &self.target,
            job: &self.config,
            store: &self.store,
        };
        self.intake.take(visit, &mut self.families).expect("the store takes everything").err()
    }

    /// Samples of the last visit, without report series: `a{x="1"} 5`, stale ones as `stale`, target labels left out.
    fn last(&self) -> Vec<String> {
        self.at(self.now).into_iter().filter(|line| !line.starts_with("scrape_") && !line.starts_with("up")).collect()
    }

    fn at(&self, at: i64) -> Vec<String> {
        let kept = self.store.0.lock().expect("kept");
        let here = kept.samples.iter().filter(|((_, t), _)| *t == at);
        here.map(|((labels, _), value)| {
            let labels = labels.replace("instance=\"i\"", "").replace("job=\"j\"", "");
            let shown = if is_stale(*value) { "stale".to_owned() } else { model::go_text::format_float(*value) };
            let mut name = String::new();
            let inner: Vec<&str> = labels
                .trim_matches(['{', '}'])
                .split(", ")
                .filter(|pair| match pair.strip_prefix("__name__=") {
                    Some(quoted) => {
                        name = quoted.trim_matches('"').to_owned();
                        false
                    }
                    None => !pair.is_empty(),
                })
                .collect();
            format!("{name}{{{}}} {shown}", inner.join(","))
        })
        .collect()
    }

    fn reported(&self, name: &str) -> f64 {
        let kept = self.store.0.lock().expect("kept");
        let wanted = format!("__name__=\"{name}\"");
        let found = kept.samples.iter().find(|((labels, at), _)| *at == self.now && labels.contains(&wanted));
        *found.unwrap_or_else(|| panic!("no {name}")).1
    }

    fn declared(&self) -> usize {
        self.store.0.lock().expect("kept").declared
    }
}

#[test]
fn known_lines_are_not_declared_again() {
    let mut bench = Bench::new("job_name: j");
    let body = "# TYPE a counter\na{x=\"1\"} 1\na{x=\"2\"} 2\nb 3\n";
    assert_eq!(bench.visit(Ok(body)), None);
    assert_eq!(bench.last(), ["a{x=\"1\"} 1", "a{x=\"2\"} 2", "b{} 3"]);
    assert_eq!((bench.reported("scrape_series_added"), bench.reported("up")), (3.0, 1.0));
    let declared = bench.declared();
    assert_eq!(bench.visit(Ok("# TYPE a counter\na{x=\"1\"} 4\na{x=\"2\"} 5\nb 6\n")), None);
    assert_eq!(bench.last(), ["a{x=\"1\"} 4", "a{x=\"2\"} 5", "b{} 6"]);
    // moved, one gone, one new: only the new one is declared
    assert_eq!(bench.visit(Ok("b 7\nc 9\na{x=\"1\"} 8\n")), None);
    assert_eq!(bench.last(), ["a{x=\"1\"} 8", "a{x=\"2\"} stale", "b{} 7", "c{} 9"]);
    assert_eq!(bench.reported("scrape_series_added"), 1.0);
    assert_eq!(bench.visit(Ok("b 7\nc 9\na{x=\"1\"} 8\n")), None);
    assert_eq!(bench.last(), ["a{x=\"1\"} 8", "b{} 7", "c{} 9"]);
    assert_eq!(bench.declared(), declared + 1);
    let metadata = &bench.families;
    assert_eq!(metadata.get("a").expect("known").kind, model::MetricType::Counter);
}

#[test]
fn a_failed_visit_ends_every_series_once() {
    let mut bench = Bench::new("job_name: j");
    bench.visit(Ok("a 1\nb 2\n"));
    assert_eq!(bench.visit(Err("connection refused")), Some("connection refused".to_owned()));
    assert_eq!(bench.last(), ["a{} stale", "b{} stale"]);
    assert_eq!(bench.reported("up"), 0.0);
    bench.visit(Err("connection refused"));
    assert_eq!(bench.last(), Vec::<String>::new());
    assert_eq!(bench.visit(Ok("a 1\nb 2\n")), None);
    assert_eq!(bench.last(), ["a{} 1", "b{} 2"]);
    // known all the time
    assert_eq!(bench.reported("scrape_series_added"), 0.0);
}

#[test]
fn a_body_that_is_not_metrics_leaves_nothing() {
    let mut bench = Bench::new("job_name: j");
    bench.visit(Ok("a 1\n"));
    let error = bench.visit(Ok("a 2\nnew 3\n<html>\n")).expect("an error");
    assert_eq!(error, r#"expected a valid start token, got "<" ("INVALID") while parsing: "<" (line 3)"#);
    // as in the original: lines before the fault are not stored, and their series not marked yet
    assert_eq!(bench.last(), Vec::<String>::new());
    assert_eq!(bench.reported("scrape_samples_scraped"), 2.0);
    assert!(!bench.store.0.lock().expect("kept").series.iter().any(|labels| labels.metric_name() == "new"));
    bench.visit(Ok("a 2\nnew 3\n"));
    assert_eq!(bench.last(), ["a{} 2", "new{} 3"]);
    bench.visit(Ok("new 2\n<html>\na 3\n"));
    assert_eq!(bench.last(), ["a{} stale"], "behind the fault");
    bench.visit(Err("connection refused"));
    assert_eq!(bench.last(), ["new{} stale"]);
}

#[test]
fn limits_fail_the_whole_visit() {
    for (limit, body, error) in [
        ("sample_limit: 2", "a 1\nb 2\nc 3\n", "sample limit exceeded (limit: 2)"),
        ("label_limit: 4", "a{x=\"1\",y=\"2\"} 1\n", "label_limit exceeded (metric: a, number of labels: 5, limit: 4)"),
        (
            "label_name_length_limit: 8",
            "a{ninechars=\"1\"} 1\n",
            "label_name_length_limit exceeded (metric: a, label name: ninechars, length: 9, limit: 8)",
        ),
        (
            "label_value_length_limit: 3",
            "a{x=\"four\"} 1\n",
            "label_value_length_limit exceeded (metric: a, label name: x, value: \"four\", length: 4, limit: 3)",
        ),
        (
            "metric_relabel_configs: [{regex: __name__, action: labeldrop}]",
            "a 1\n",
            "missing metric name (__name__ label)",
        ),
    ] {
        let mut bench = Bench::new(&format!("{{job_name: j, {limit}}}"));
        assert_eq!(bench.visit(Ok(body)), Some(error.to_owned()), "{limit}");
        assert_eq!(bench.last(), Vec::<String>::new(), "{limit}");
    }
    let mut bench = Bench::new("{job_name: j, sample_limit: 2}");
    bench.visit(Ok("a 1\nb 2\n"));
    assert_eq!(bench.visit(Ok("a 1\nb 2\nc 3\nd 4\n")), Some("sample limit exceeded (limit: 2)".to_owned()));
    assert_eq!(
        (bench.reported("scrape_samples_scraped"), bench.reported("scrape_samples_post_metric_relabeling")),
        (4.0, 4.0)
    );
    assert_eq!(bench.last(), Vec::<String>::new(), "before the fault");
    bench.visit(Ok("c 1\nd 2\na 1\nb 4\n"));
    assert_eq!(bench.last(), ["a{} stale", "b{} stale"], "behind the fault");
}

#[test]
fn metric_rules_drop_and_rename() {
    let yaml = "{job_name: j, metric_relabel_configs: [{source_labels: [__name__], regex: 'no.*', action: drop}, \
                {source_labels: [x], target_label: y}, {regex: x, action: labeldrop}]}";
    let mut bench = Bench::new(yaml);
    for _ in 0..2 {
        bench.visit(Ok("nope 1\na{x=\"1\"} 2\nnothing 3\nb 4\n"));
        assert_eq!(bench.last(), ["a{y=\"1\"} 2", "b{} 4"]);
        assert_eq!(
            (bench.reported("scrape_samples_scraped"), bench.reported("scrape_samples_post_metric_relabeling")),
            (4.0, 2.0)
        );
    }
    // a reload with other rules: what they no longer name is stale
    bench.intake.forget_lines();
    bench.config =
        config("{job_name: j, metric_relabel_configs: [{source_labels: [__name__], regex: b, action: drop}]}");
    bench.visit(Ok("nope 1\na{x=\"1\"} 2\nb 4\n"));
    assert_eq!(bench.last(), ["a{x=\"1\"} 2", "a{y=\"1\"} stale", "b{} stale", "nope{} 1"]);
}

#[test]
fn labels_of_the_body_are_renamed_or_honored() {
    let body = "a{job=\"x\",exported_job=\"y\",instance=\"z\"} 1\n";
    let mut bench = Bench::new("job_name: j");
    bench.visit(Ok(body));
    assert_eq!(bench.last(), ["a{exported_exported_job=\"x\",exported_instance=\"z\",exported_job=\"y\"} 1"]);
    let mut bench = Bench::new("{job_name: j, honor_labels: true}");
    bench.visit(Ok(body));
    assert_eq!(bench.last(), ["a{exported_job=\"y\",instance=\"z\",job=\"x\"} 1"]);
}

#[test]
fn an_empty_label_is_no_label_and_honored() {
    let table = [
        (false, "a{job=\"\",x=\"\"} 1\n", r#"{__name__="a", instance="i", job="j"}"#),
        (true, "a{z=\"1\",instance=\"\"} 1\n", r#"{__name__="a", job="j", z="1"}"#),
        (false, "a{x=\"\",x=\"1\",y=\"2\"} 1\n", r#"{__name__="a", instance="i", job="j", y="2"}"#),
        (false, "a{x=\"1\",x=\"\"} 1\n", r#"{__name__="a", instance="i", job="j"}"#),
    ];
    for (honor, body, expected) in table {
        let mut bench = Bench::new(&format!("{{job_name: j, honor_labels: {honor}}}"));
        bench.visit(Ok(body));
        let kept = bench.store.0.lock().expect("kept");
        let named = kept.series.iter().find(|labels| labels.metric_name() == "a").expect("stored").to_string();
        assert_eq!(named, expected, "honor_labels: {honor}, {body}");
    }
}

#[test]
fn lines_are_counted_as_the_original_counts() {
    // body, rules, outcome: scraped and kept
    let table = [
        ("a 1\nb 2\n", "", [2.0, 2.0]),
        ("a 1\na 1\na 3\n", "", [3.0, 3.0]),
        ("a 1 99999999999\nb 2\n", "", [2.0, 2.0]),
        ("a 1\na 1\n", ", sample_limit: 1", [2.0, 2.0]),
        ("a 1\nb 1\nb 1\n", ", sample_limit: 1", [3.0, 3.0]),
        ("a 1\nb{l=\"1\",l=\"2\"} 1\nc 1\n", "", [2.0, 1.0]),
        ("a 1\nb{l=\"1\",m=\"2\"} 1\n", ", label_limit: 4", [2.0, 1.0]),
        ("a 1\nb{\n", "", [1.0, 1.0]),
    ];
    for (body, rules, counts) in table {
        let mut bench = Bench::new(&format!("{{job_name: j{rules}}}"));
        bench.visit(Ok(body));
        let names = ["scrape_samples_scraped", "scrape_samples_post_metric_relabeling"];
        assert_eq!(names.map(|name| bench.reported(name)), counts, "{body:?}{rules}");
    }
}

#[test]
fn lines_of_failed_visits_are_new_once() {
    let mut bench = Bench::new("{job_name: j, label_limit: 4}");
    for (body, added) in [
        ("a 1\nb 1\nc{x=\"1\",y=\"2\"} 1\n", 2.0),
        ("a 1\nb 1\nc{x=\"1\",y=\"2\"} 1\n", 0.0),
        ("a 1\nd 1\nc{x=\"1\",y=\"2\"} 1\n", 1.0),
        ("a 1\nb 1\ne 1\n", 1.0),
        ("a 1\nb 1\nd 1\n", 1.0),
    ] {
        bench.visit(Ok(body));
        assert_eq!(bench.reported("scrape_series_added"), added, "{body:?}");
    }
}

#[test]
fn the_same_series_twice_is_counted_and_appended_once() {
    let mut bench = Bench::new("job_name: j");
    for visit in 1..4 {
        bench.visit(Ok("a{x=\"1\",y=\"2\"} 1\na{x=\"1\",y=\"2\"} 1\na{y=\"2\",x=\"1\"} 3\nb 2\n"));
        assert_eq!(bench.last(), ["a{x=\"1\",y=\"2\"} 1", "b{} 2"]);
        assert_eq!(bench.intake.instruments.duplicate.value(), f64::from(2 * visit));
    }
    // the other spelling alone takes the series over, without a marker between
    bench.visit(Ok("a{y=\"2\",x=\"1\"} 4\nb 2\n"));
    bench.visit(Ok("a{y=\"2\",x=\"1\"} 5\nb 2\n"));
    assert_eq!(bench.last(), ["a{x=\"1\",y=\"2\"} 5", "b{} 2"]);
}

#[test]
fn times_of_the_body_are_honored_and_not_tracked() {
    let mut bench = Bench::new("job_name: j");
    bench.visit(Ok("a 1 500\nb 2\n"));
    assert_eq!(bench.at(500), ["a{} 1"]);
    bench.visit(Ok("b 2\n"));
    assert_eq!(bench.last(), ["b{} 2"], "no marker for a");
    bench.visit(Ok("a 1 99999999999\nb 2\n"));
    assert_eq!(bench.intake.instruments.out_of_bounds.value(), 1.0);
    // with and without a time in one body: tracked, whichever comes first
    for body in ["a 1\na 1 500\n", "a 1 500\na 1\n"] {
        let mut bench = Bench::new("job_name: j");
        bench.visit(Ok(body));
        bench.visit(Ok("b 2\n"));
        assert_eq!(bench.last(), ["a{} stale", "b{} 2"], "{body:?}");
    }
    let mut bench = Bench::new("{job_name: j, honor_timestamps: false}");
    bench.visit(Ok("a 1 500\n"));
    assert_eq!(bench.last(), ["a{} 1"]);
    let mut bench = Bench::new("{job_name: j, track_timestamps_staleness: true}");
    bench.visit(Ok("a 1 500\n"));
    bench.visit(Ok(""));
    assert_eq!(bench.last(), ["a{} stale"]);
}

#[test]
fn series_the_store_forgot_are_named_again() {
    let mut bench = Bench::new("job_name: j");
    bench.visit(Ok("a 1\nb 2\n"));
    {
        let mut kept = bench.store.0.lock().expect("kept");
        kept.forgotten_below = kept.series.len() as u64;
    }
    assert_eq!(bench.visit(Ok("a 3\nb 4\n")), None);
    assert_eq!(bench.last(), ["a{} 3", "b{} 4"]);
}

#[test]
fn a_removed_target_ends_everything_it_fed() {
    let mut bench = Bench::new("{job_name: j, extra_scrape_metrics: true}");
    bench.visit(Ok("a 1\n"));
    bench.now += 1000;
    bench.intake.end(&bench.store, Timestamp(bench.now)).expect("the store takes everything");
    let ended = bench.at(bench.now);
    assert!(ended.len() == 9 && ended.iter().all(|line| line.ends_with("stale")), "{ended:?}");
}

#[test]
fn a_series_the_store_forgot_does_not_keep_others_from_ending() {
    let mut bench = Bench::new("job_name: j");
    bench.visit(Ok("a 1\nb 2\n"));
    // the first one born is forgotten
    bench.store.0.lock().expect("kept").forgotten_below = 1;
    bench.now += 1000;
    bench.intake.end(&bench.store, Timestamp(bench.now)).expect("the store takes the rest");
    let ended = bench.at(bench.now);
    assert!(ended.len() == 6 && ended.iter().all(|line| line.ends_with("stale")), "{ended:?}");
}

mod random {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever lines come and go: the last visit's series hold its values, those of the visit before that are gone
        /// are stale, and nothing else was touched.
        #[test]
        fn the_store_follows_the_bodies(bodies in proptest::collection::vec(proptest::collection::vec(0u8..30, 0..40), 1..8), fail in proptest::collection::vec(any::<bool>(), 8)) {
            let mut bench = Bench::new("job_name: j");
            let mut live: BTreeMap<u8, ()> = BTreeMap::new();
            for (body, fail) in bodies.iter().zip(fail) {
                let text: String = body.iter().map(|n| format!("m{{n=\"{n}\"}} {n}\n")).collect();
                let now: BTreeMap<u8, ()> = if fail { BTreeMap::new() } else { body.iter().map(|n| (*n, ())).collect() };
                bench.visit(if fail { Err("x") } else { Ok(&text) });
                let mut expected: Vec<String> = now.keys().map(|n| format!("m{{n=\"{n}\"}} {n}")).collect();
                expected.extend(live.keys().filter(|n| !now.contains_key(n)).map(|n| format!("m{{n=\"{n}\"}} stale")));
                expected.sort();
                let mut got = bench.last();
                got.sort();
                prop_assert_eq!(got, expected);
                live = now;
            }
        }
    }
}
