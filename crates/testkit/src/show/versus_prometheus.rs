//! Must show 3, second part: Prometheus 3.5.3 and ours over the same scripted exporters.
//!
//! Both scrape the same pages each second. Constant pages must give equal series and values, whatever the function; linear
//! counters, visited at other moments by each, rates within 1 %. Queries keep clear of what changed between 3.5 and 3.14.

use super::Run;
use crate::harness::api::{Api, difference, rows};
use crate::harness::exporter::{Exporter, Reply, target_of};
use crate::harness::isobar::{self, Role};
use crate::harness::machine::now_ms;
use crate::harness::place;
use crate::harness::process::wait_for;
use anyhow::{Result, bail};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::thread::sleep;
use std::time::Duration;

/// How long both scrape before they are asked.
const SCRAPED: Duration = Duration::from_secs(75);

/// Both servers, and what they scrape.
pub(super) struct Pair {
    pub(super) ours: Role,
    pub(super) theirs: Role,
    _exporter: Exporter,
}

impl Pair {
    /// Starts both and lets them scrape for `time`.
    pub(super) fn start(run: &Run, time: Duration) -> Result<Self> {
        let epoch = now_ms();
        let exporter = Exporter::start(0, move |path| match target_of(path) {
            Some(0) => Reply::Page(CONSTANT.to_owned()),
            Some(1) => Reply::Page(many()),
            Some(2) => Reply::Page(linear(now_ms() - epoch)),
            Some(3) => Reply::Status(503, "not today\n".to_owned()),
            Some(4) => Reply::Page("not ok\nok 1\n".to_owned()),
            Some(5) => Reply::Page(many()),
            _ => Reply::Page("plain 1\n".to_owned()),
        })?;
        let config = config(exporter.port);
        let theirs = place::original("prometheus")?;
        let theirs = isobar::prometheus(&theirs, &run.fresh_folder("theirs")?, &config, &[])?.start()?;
        let ours = isobar::server(&place::binary()?, &run.fresh_folder("ours")?, &config, &[])?.start()?;
        let mut api = ours.api();
        wait_for("ours scrapes", Duration::from_secs(20), || api.count("linear_total").ok().filter(|n| *n > 0))?;
        run.say(&format!("both scrape for {time:?}"));
        sleep(time);
        Ok(Pair { ours, theirs, _exporter: exporter })
    }
}

fn config(port: u16) -> String {
    let mut config = isobar::scrape_config("1s", port, 5);
    let _ = write!(
        config,
        "- job_name: honored\n  honor_labels: true\n  static_configs: [{{targets: ['127.0.0.1:{port}'], labels: {{__metrics_path__: /t/0/metrics, zone: z}}}}]\n\
         - job_name: relabelled\n  metrics_path: /t/1/metrics\n  static_configs: [{{targets: ['127.0.0.1:{port}']}}]\n  relabel_configs:\n  \
         - {{source_labels: [__address__], regex: '(.*):.*', target_label: instance, replacement: 'host-$1'}}\n  - {{target_label: fixed, replacement: value}}\n  \
         metric_relabel_configs:\n  - {{source_labels: [n], regex: '1.', action: drop}}\n  - {{regex: 'even', action: labeldrop}}\n  \
         - {{source_labels: [__name__], regex: 'many_(.*)', target_label: __name__, replacement: 'few_$1'}}\n\
         - job_name: limited\n  sample_limit: 10\n  metrics_path: /t/5/metrics\n  static_configs: [{{targets: ['127.0.0.1:{port}']}}]\n"
    );
    config
}

/// Every form a line may have, with values that do not change.
const CONSTANT: &str = r#"# HELP constant_gauge A gauge; with \\ and \n in its help.
# TYPE constant_gauge gauge
constant_gauge 3.25
constant_gauge{a="1"} -7
constant_gauge{a="2",b="x y"} 1e-9
constant_gauge{a="3",job="its own",instance="its own"} 12345678901
constant_special{v="nan"} NaN
constant_special{v="inf"} +Inf
constant_special{v="minus"} -Inf
constant_special{v="escaped \" \\ \n",u="üñï"} 0.1
# TYPE constant_seconds histogram
constant_seconds_bucket{le="0.1"} 10
constant_seconds_bucket{le="0.5"} 60
constant_seconds_bucket{le="1"} 90
constant_seconds_bucket{le="+Inf"} 100
constant_seconds_sum 41.5
constant_seconds_count 100
# TYPE constant_summary summary
constant_summary{quantile="0.5"} 0.2
constant_summary{quantile="0.99"} 0.9
constant_summary_sum 12
constant_summary_count 40
# TYPE constant_info gauge
constant_info{version="1.2.3",revision="abc"} 1
untyped_value 42
"#;

fn many() -> String {
    let mut page = String::from("# TYPE many_values gauge\n");
    for n in 0..40 {
        let _ = writeln!(page, "many_values{{n=\"{n}\",even=\"{}\"}} {}", n % 2 == 0, (n * n * 7) % 31);
    }
    page
}

fn linear(ms: i64) -> String {
    let mut page = String::from("# TYPE linear_total counter\n");
    for (n, slope) in [1.0, 2.5, 1000.0, 1e6, 0.125].iter().enumerate() {
        let _ = writeln!(page, "linear_total{{n=\"{n}\"}} {}", slope * ms as f64 / 1000.0 + 1e4);
    }
    page
}

/// Queries over constant pages: equal values.
const CONSTANT_QUERIES: &[&str] = &[
    "constant_gauge",
    "constant_special",
    "constant_gauge{a!=\"\"}",
    "{__name__=~\"constant_.*\",job=\"honored\"}",
    "sum(constant_gauge)",
    "sum by (a) (constant_gauge)",
    "avg without (instance) (many_values)",
    "count by (even) (many_values)",
    "min(many_values)",
    "max by (even, job) (many_values)",
    "stddev(many_values)",
    "stdvar by (even) (many_values)",
    "topk(3, many_values{target=\"1\"})",
    "bottomk by (even) (2, many_values{target=\"1\"})",
    "quantile(0.3, many_values)",
    "count_values(\"value\", many_values)",
    "group(few_values)",
    "few_values",
    "histogram_quantile(0.9, constant_seconds_bucket)",
    "histogram_quantile(0.5, sum by (le) (constant_seconds_bucket))",
    "constant_seconds_sum / constant_seconds_count",
    "constant_gauge * on (target, job) group_left (version) constant_info",
    "many_values + ignoring (even) many_values",
    "many_values > 10",
    "many_values > bool 10",
    "many_values{even=\"true\"} and ignoring (even) many_values{n=~\"2.?\"}",
    "many_values{even=\"true\"} or constant_gauge",
    "many_values unless many_values{n=~\"1.*\"}",
    "-constant_gauge ^ 2 % 5",
    "constant_gauge atan2 2",
    "abs(constant_gauge)",
    "ceil(constant_gauge / 3)",
    "floor(constant_gauge / 3)",
    "round(constant_gauge / 3, 0.01)",
    "clamp(many_values, 3, 12)",
    "exp(many_values / 10)",
    "ln(many_values + 1)",
    "log2(many_values + 1)",
    "log10(many_values + 1)",
    "sqrt(many_values)",
    "sgn(constant_gauge)",
    "sin(many_values) + cos(many_values) + tan(many_values)",
    "absent(constant_nothing{a=\"b\"})",
    "absent(constant_gauge)",
    "absent_over_time(constant_gauge[10s])",
    "scalar(untyped_value{job=\"honored\"})",
    "vector(7)",
    "sort_desc(many_values{target=\"1\"})",
    "label_replace(constant_info, \"major\", \"$1\", \"version\", \"(\\\\d+)\\\\..*\")",
    "label_join(constant_info, \"both\", \"-\", \"version\", \"revision\")",
    "max_over_time(constant_gauge[20s])",
    "min_over_time(many_values[20s])",
    "avg_over_time(many_values[20s])",
    "last_over_time(many_values[20s])",
    "quantile_over_time(0.5, many_values[20s])",
    "stddev_over_time(many_values[20s])",
    "present_over_time(constant_gauge[20s])",
    "changes(many_values[20s])",
    "resets(many_values[20s])",
    "rate(constant_summary_count[20s])",
    "delta(many_values[20s])",
    "deriv(many_values[20s])",
    "predict_linear(many_values[20s], 60)",
    "constant_gauge offset 10s",
    "max_over_time(sum(many_values)[20s:5s])",
    "sum(many_values) / count(many_values)",
    "up",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "count({__name__!=\"\"})",
    "count by (__name__) ({__name__!=\"\"})",
    "1 + 2 * 3 ^ 2",
    "\"text\"",
    "day_of_week(vector(1700000000)) + hour(vector(1700000000))",
];

/// Queries over linear counters: within 1 %.
const LINEAR_QUERIES: &[&str] = &[
    "rate(linear_total[30s])",
    "irate(linear_total[30s])",
    "increase(linear_total[30s])",
    "sum(rate(linear_total[20s]))",
    "sum by (job) (increase(linear_total[45s]))",
    "delta(linear_total[30s])",
    "deriv(linear_total[30s])",
    "rate(linear_total[30s] offset 10s)",
    "avg_over_time(rate(linear_total[20s])[20s:5s])",
    "idelta(linear_total[10s])",
];

pub(super) fn run(run: &mut Run) -> Result<()> {
    let pair = Pair::start(run, SCRAPED)?;
    let (mut ours, mut theirs) = (pair.ours.api(), pair.theirs.api());
    let end = now_ms() / 1000 - 3;
    let (start, end) = ((end - 30).to_string(), end.to_string());
    let (a, b) = (series(&mut ours, &start, &end)?, series(&mut theirs, &start, &end)?);
    let odd: Vec<&String> = a.symmetric_difference(&b).collect();
    odd.iter().take(5).for_each(|labels| run.say(&format!("on one side only: {labels}")));
    run.figure("series on one side only", odd.len().to_string(), "0", odd.is_empty());
    run.at_least("series in both", a.intersection(&b).count() as f64, "", 150.0);
    let ranges = ["constant_gauge", "sum by (even) (many_values)", "max_over_time(many_values[10s])", "up"];
    let equal = CONSTANT_QUERIES.iter().map(|query| (*query, None));
    let equal = equal.chain(ranges.iter().map(|query| (*query, Some(start.as_str()))));
    judge(run, "answers equal on constant pages", &mut ours, &mut theirs, &end, equal.collect(), 1e-12)?;
    let linear =
        LINEAR_QUERIES.iter().map(|query| (*query, None)).chain([("rate(linear_total[20s])", Some(start.as_str()))]);
    judge(run, "rates within 1 % on linear counters", &mut ours, &mut theirs, &end, linear.collect(), 0.01)?;
    let mut lists = 0;
    let paths = [
        "/api/v1/labels",
        "/api/v1/label/job/values",
        "/api/v1/label/__name__/values",
        "/api/v1/label/n/values",
        "/api/v1/metadata",
        "/api/v1/query_exemplars?query=up&start=0&end=1",
        "/api/v1/rules",
        "/api/v1/alerts",
    ];
    for path in paths {
        let (a, b) = (ours.get(path, &[])?, theirs.get(path, &[])?);
        if a == b {
            lists += 1;
        } else {
            run.say(&format!("{path}: {a}\n      theirs {b}"));
        }
    }
    run.at_least(&format!("lists equal, of {}", paths.len()), f64::from(lists), "", paths.len() as f64);
    let (a, b) = (targets(&mut ours)?, targets(&mut theirs)?);
    let odd: Vec<&String> = a.symmetric_difference(&b).collect();
    odd.iter().take(6).for_each(|target| run.say(&format!("target on one side only: {target}")));
    run.figure(&format!("targets that differ, of {}", b.len()), (odd.len() / 2).to_string(), "0", odd.is_empty());
    Ok(())
}

fn series(api: &mut Api, start: &str, end: &str) -> Result<BTreeSet<String>> {
    let list = api.get("/api/v1/series", &[("match[]", "{__name__!=\"\"}"), ("start", start), ("end", end)])?;
    Ok(list.as_array().into_iter().flatten().map(Value::to_string).collect())
}

/// What a target is, without when it was visited. Ours names the line or the limit behind the original's words.
fn targets(api: &mut Api) -> Result<BTreeSet<String>> {
    let keys =
        ["labels", "scrapePool", "scrapeUrl", "globalUrl", "health", "lastError", "scrapeInterval", "scrapeTimeout"];
    let said = |text: &str| {
        text.split(" (line ").next().and_then(|t| t.split(" (limit: ").next()).unwrap_or_default().to_owned()
    };
    let one = |target: &Value| {
        keys.map(|key| match key {
            // the global URL names the machine
            "globalUrl" => String::new(),
            "lastError" => said(target[key].as_str().unwrap_or_default()),
            _ => target[key].to_string(),
        })
    };
    Ok(api.targets()?.iter().map(|target| one(target).join(" ")).collect())
}

fn judge(
    run: &mut Run,
    what: &str,
    ours: &mut Api,
    theirs: &mut Api,
    end: &str,
    queries: Vec<(&str, Option<&str>)>,
    tolerance: f64,
) -> Result<()> {
    let mut good = 0;
    for (query, start) in &queries {
        match (ask(ours, query, *start, end), ask(theirs, query, *start, end)) {
            (Ok(a), Ok(b)) => match difference(&rows(&a)?, &rows(&b)?, tolerance) {
                None => good += 1,
                Some(difference) => run.say(&format!("{query}: {difference}")),
            },
            (Err(error), Ok(_)) => run.say(&format!("{query}: ours fails: {error:#}")),
            (_, Err(error)) => bail!("{query}: theirs fails: {error:#}"),
        }
    }
    run.at_least(&format!("{what}, of {}", queries.len()), f64::from(good), "", queries.len() as f64);
    Ok(())
}

fn ask(api: &mut Api, query: &str, start: Option<&str>, end: &str) -> Result<Value> {
    match start {
        Some(start) => api.query_range(query, start, end, "2"),
        None => api.query(query, end),
    }
}
