//! Answers that Prometheus 3.14 gave over recorded data, asked again: equal to the last digit.
//!
//! The data are the texts beside the recorded blocks (every sample with its bits), loaded into the model store. Series with native
//! histograms are left out, and so are the questions whose selectors match one of them. Order inside a vector and order of
//! annotations are not promised by the original and not compared.
#![expect(clippy::disallowed_methods, reason = "reads the conformance data")]

use crate::conformance;
use model::{Labels, Millis, Timestamp};
use promql::{Answer, Engine, EngineOptions, Features, QueryError, Switches, Value};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use storage::{Append, Durability, QueryContext, Tenant};
use testkit::model_store::ModelStore;
use testkit::promqltest::run::selects_any;

struct Data {
    store: ModelStore,
    native: Vec<Labels>,
}

fn unpacked(path: &Path) -> String {
    let bytes = std::fs::read(path).expect("the file is readable");
    let mut text = String::new();
    if path.extension().is_some_and(|extension| extension == "gz") {
        flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).expect("gzip of UTF-8");
    } else {
        text = String::from_utf8(bytes).expect("UTF-8");
    }
    text
}

/// `{"name"="value",…}` (or `series N {…}`) per series, then `time f bits` or a histogram per sample; other lines say
/// where things lie. A series may come again (in the next block).
fn load(path: &Path) -> Data {
    let mut data = Data { store: ModelStore::new(), native: Vec::new() };
    let mut all: BTreeMap<Labels, (Vec<(i64, f64)>, bool)> = BTreeMap::new();
    let mut current = None;
    for line in unpacked(path).lines() {
        if line.starts_with(['{', 's']) && line.contains('{') {
            let object = line[line.find('{').unwrap_or(0)..].replace("\"=\"", "\":\"");
            let object: BTreeMap<String, String> = serde_json::from_str(&object).expect("labels as JSON strings");
            current = Some(Labels::from_pairs(object));
            continue;
        }
        let (Some(labels), true) = (&current, line.starts_with("  ")) else { continue };
        let (samples, native) = all.entry(labels.clone()).or_default();
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            [time, "f", bits] => {
                let bits = u64::from_str_radix(bits, 16).expect("hexadecimal");
                samples.push((time.parse().expect("a time"), f64::from_bits(bits)));
            }
            [_, "h" | "fh", ..] => *native = true,
            _ => {}
        }
    }
    let mut appender = data.store.begin(Tenant::DEFAULT).expect("the default tenant");
    for (labels, (samples, native)) in all {
        if native {
            data.native.push(labels);
            continue;
        }
        let series = appender.declare(&labels).expect("legal labels");
        for (at, value) in samples {
            appender.sample(series, Timestamp(at), value, Timestamp(0)).expect("known series");
        }
    }
    let committed = appender.commit(Durability::Os).expect("a model store");
    assert_eq!(committed.refusals.total(), 0);
    data
}

fn engine(features: &str) -> Engine {
    let on = |name: &str| features.split(',').any(|feature| feature == name);
    Engine::new(EngineOptions {
        features: Features {
            language: Switches {
                experimental_functions: on("promql-experimental-functions"),
                extended_range_selectors: on("promql-extended-range-selectors"),
                fill_modifiers: on("promql-binop-fill-modifiers"),
            },
            delayed_name_removal: on("promql-delayed-name-removal"),
            type_and_unit_labels: on("type-and-unit-labels"),
            use_start_timestamps: on("use-start-timestamps"),
        },
        ..EngineOptions::default()
    })
}

fn millis(request: &Json, name: &str) -> i64 {
    let text = request[name].as_str().expect("a parameter as sent");
    match text.parse::<f64>() {
        Ok(seconds) => (seconds * 1000.0).round() as i64,
        Err(_) => match model::rfc3339::parse(text) {
            Some(at) => at.0,
            None => model::duration::parse_duration(text).expect("a duration").0,
        },
    }
}

fn ask(engine: &Engine, data: &Data, request: &Json) -> Result<Answer, QueryError> {
    let (query, context) = (request["query"].as_str().expect("a query"), QueryContext::default());
    if request["kind"] == "query" {
        return engine.instant(&data.store, &context, query, Timestamp(millis(request, "time")));
    }
    let range = (Timestamp(millis(request, "start")), Timestamp(millis(request, "end")));
    engine.range(&data.store, &context, query, range, Millis(millis(request, "step")))
}

type Shown = BTreeMap<String, Vec<(i64, String)>>;

fn shown_value(value: f64) -> String {
    model::go_text::format_float_json(value)
}

fn shown(value: &Value) -> Shown {
    let mut all = Shown::new();
    let mut add = |labels: String, samples: Vec<(i64, String)>| {
        assert!(all.insert(labels.clone(), samples).is_none(), "{labels} twice");
    };
    match value {
        Value::Scalar { at, value } => add("scalar".to_owned(), vec![(at.0, shown_value(*value))]),
        Value::String { at, value } => add("string".to_owned(), vec![(at.0, value.clone())]),
        Value::Vector { at, samples } => samples.iter().for_each(|sample| {
            add(sample.labels.to_string(), vec![(at.0, shown_value(sample.value))]);
        }),
        Value::Matrix(series) => series.iter().for_each(|series| {
            let samples = series.samples.iter().map(|(at, value)| (at.0, shown_value(*value))).collect();
            add(series.labels.to_string(), samples);
        }),
    }
    all
}

fn recorded(data: &Json) -> Shown {
    let pair = |pair: &Json| {
        let seconds = pair[0].as_f64().expect("a time");
        ((seconds * 1000.0).round() as i64, pair[1].as_str().expect("a value").to_owned())
    };
    let kind = data["resultType"].as_str().expect("a type");
    if matches!(kind, "scalar" | "string") {
        return Shown::from([(kind.to_owned(), vec![pair(&data["result"])])]);
    }
    let series = data["result"].as_array().expect("series").iter().map(|series| {
        let pairs = series["metric"].as_object().expect("labels");
        let labels = Labels::from_pairs(pairs.iter().map(|(name, value)| (name, value.as_str().unwrap_or_default())));
        let samples = match series.get("values") {
            Some(values) => values.as_array().expect("samples").iter().map(pair).collect(),
            None => vec![pair(&series["value"])],
        };
        (labels.to_string(), samples)
    });
    series.collect()
}

fn texts(reply: &Json, name: &str) -> Vec<String> {
    let list = reply.get(name).and_then(Json::as_array).cloned().unwrap_or_default();
    let mut texts: Vec<String> = list.iter().filter_map(|text| text.as_str().map(str::to_owned)).collect();
    texts.sort();
    texts
}

fn compare(request: &Json, outcome: Result<Answer, QueryError>) -> Result<(), String> {
    let answer = match (outcome, request["error"].as_str()) {
        (Err(error), Some(expected)) => {
            let got = match &error {
                QueryError::Parse(_) | QueryError::Duration(_) => format!("invalid parameter \"query\": {error}"),
                error => error.to_string(),
            };
            return if got == expected { Ok(()) } else { Err(format!("error {got}\n    instead {expected}")) };
        }
        (Err(error), None) => return Err(format!("error {error}")),
        (Ok(answer), Some(expected)) => return Err(format!("{:?}\n    instead of error {expected}", answer.value)),
        (Ok(answer), None) => answer,
    };
    let (got, expected) = (shown(&answer.value), recorded(&request["data"]));
    if !equal(request["query"].as_str().unwrap_or_default(), &got, &expected) {
        let differ = |key: &&String| got.get(*key) != expected.get(*key);
        let first = got.keys().chain(expected.keys()).find(differ).cloned().unwrap_or_default();
        let (got, expected) = (got.get(&first), expected.get(&first));
        return Err(format!("{first}: {got:?}\n    instead {expected:?}"));
    }
    for (name, got) in [("warnings", &answer.warnings), ("infos", &answer.infos)] {
        let expected = texts(request, name);
        if *got != expected {
            return Err(format!("{name} {got:?}\n    instead {expected:?}"));
        }
    }
    Ok(())
}

/// Functions that Go computes by its own library, ours by the system's: equal but for the last digits, and the logarithms of
/// numbers below 1e-308, which Go's assembly gets wrong.
const APPROXIMATE: [&str; 17] = [
    "ln(", "log2(", "log10(", "exp(", "sin(", "cos(", "tan(", "asin(", "acos(", "atan(", "sinh(", "cosh(", "tanh(",
    "asinh(", "acosh(", "atanh(", "atan2 ",
];

fn equal(query: &str, got: &Shown, expected: &Shown) -> bool {
    if !APPROXIMATE.iter().any(|function| query.contains(function)) {
        return got == expected;
    }
    let close = |got: &(i64, String), expected: &(i64, String)| {
        let number = |text: &str| text.parse::<f64>().unwrap_or(f64::NAN);
        let (a, b) = (number(&got.1), number(&expected.1));
        let subnormal_logarithm = query.starts_with("l") && b < -307.0 && a < b;
        got.0 == expected.0 && (got.1 == expected.1 || (a - b).abs() <= 1e-14 * b.abs().max(1.0) || subnormal_logarithm)
    };
    got.len() == expected.len()
        && got.iter().all(|(labels, samples)| {
            expected.get(labels).is_some_and(|expected| {
                samples.len() == expected.len()
                    && samples.iter().zip(expected).all(|(got, expected)| close(got, expected))
            })
        })
}

#[test]
fn recorded_answers_are_given_again() {
    const TEST: &str = "recorded_answers_are_given_again";
    let Some(openmetrics) = conformance::find(TEST, "tsdb/openmetrics/blocks.txt.gz") else { return };
    let Some(day) = conformance::find(TEST, "tsdb/blocks/day.read.txt.gz") else { return };
    let Some(answers) = conformance::find(TEST, "prometheus/answers-3.14") else { return };
    let data = BTreeMap::from([("openmetrics", load(&openmetrics)), ("day", load(&day))]);
    let mut failures = Vec::new();
    for (file, default_data, default_features) in [
        ("openmetrics.jsonl", "openmetrics", "promql-experimental-functions"),
        ("day.jsonl", "day", "promql-experimental-functions"),
        ("new-language.jsonl", "", ""),
    ] {
        let (mut equal, mut native, mut of_the_api, mut all) = (0, 0, 0, 0);
        for (at, line) in unpacked(&answers.join(file)).lines().enumerate() {
            let request: Json = serde_json::from_str(line).expect("one object a line");
            let data = &data[request["data_dir"].as_str().unwrap_or(default_data)];
            let engine = engine(request["features"].as_str().unwrap_or(default_features));
            let query = request["query"].as_str().expect("a query");
            all += 1;
            let refused = request["errorType"] == "bad_data"
                && !request["error"].as_str().is_some_and(|e| e.starts_with("invalid parameter \"query\": "));
            if refused {
                of_the_api += 1;
                continue;
            }
            if engine.parse(query).is_ok_and(|expr| selects_any(&expr, &data.native)) {
                native += 1;
                continue;
            }
            match compare(&request, ask(&engine, data, &request)) {
                Ok(()) => equal += 1,
                Err(difference) => failures.push(format!("{file}:{}: {query}\n    {difference}", at + 1)),
            }
        }
        println!(
            "{file}: {equal} of {all} equal, {native} touch native histograms, {of_the_api} refused before the engine"
        );
    }
    assert!(failures.is_empty(), "{} differ:\n{}", failures.len(), failures.join("\n"));
}
