//! Comparing two answers: everything equal, but for what is known to differ.
//!
//! Values: text for text, unless the query sums, averages or measures deviations ([`ULPS_MAX`]) or uses functions whose last digits
//! are the mathematics library's ([`DIGITS`]). Order of series does not count but for range queries, order of annotations never.

use super::expression::Request;
use crate::harness::api::{Rows, parse, rows};
use crate::harness::http::Answer;
use serde_json::Value;
use std::collections::BTreeSet;

/// Two compensated sums of the same samples, each within 2 ulp of the exact one.
const ULPS_MAX: u64 = 4;
/// Relative difference of what the mathematics libraries of Go and Rust compute.
const DIGITS: f64 = 1e-9;

const SUMS: &str = "sum avg stddev stdvar sum_over_time avg_over_time stddev_over_time stdvar_over_time \
    deriv predict_linear double_exponential_smoothing";
const LIBRARY: &str = "exp sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh atan2";

type Holds = fn(&Sides<'_>) -> bool;

/// Why a difference is none: what 3.14 does otherwise than the 3.5.3 asked here, and where digits are nobody's promise.
const KNOWN: &[(&str, Holds)] = &[
    ("topk and its kin look at their parameter even if there is nothing to choose from", |s| {
        s.ours.status == 422 && s.ours_says(&["overflows int64", "underflows int64", "value is NaN"])
    }),
    ("comparisons count duplicates that they do not keep", |s| {
        s.both(422, 200) && s.ours_says(&["multiple matches for labels"]) && s.query.contains(['=', '<', '>'])
    }),
    ("start(), end(), step() are functions", |s| {
        s.has_word("start end") && (s.ours.status == 400 || s.theirs.status == 400)
    }),
    ("lengths may be computed", |s| {
        s.theirs_says(&["duration expression", "in subquery selector", "unexpected colon"])
            || (s.ours_says(&["expected ':'", "division by zero"]) && s.query.contains('['))
            || (s.has_word("offset") && s.query.contains("offset(") && s.theirs.status == 400)
    }),
    ("the place of what follows by () and without ()", |s| {
        s.both(400, 400)
            && ((s.has_word("by without") || s.ours_says(&["must not occur in ON and GROUP"]))
                && without_places(&s.error(s.ours)) == without_places(&s.error(s.theirs))
                || s.theirs_says(&["invalid parameter \\\"query\\\": unexpected error"]))
    }),
    ("trimming operators", |s| s.query.contains("</") || s.query.contains(">/")),
    ("a string in parentheses", |s| s.theirs_says(&["unexpected result in StepInvariantExpr"])),
    ("labels that need quotes get them", |s| s.path == "format_query" && s.query.contains('"')),
    ("mad_over_time of NaN and infinities", |s| s.has_word("mad_over_time")),
    ("info metrics that come and go", |s| s.path == "query_range" && s.has_word("info")),
    ("which series a limit cuts", |s| {
        s.ours_says(&["truncated due to limit"]) && s.theirs_says(&["truncated due to limit"])
    }),
    ("digits as labels", |s| {
        s.has_word("count_values") && (s.has_word(LIBRARY) || s.has_word(SUMS) || s.query.contains('^'))
    }),
];

struct Sides<'a> {
    path: &'a str,
    query: &'a str,
    ours: &'a Answer,
    theirs: &'a Answer,
}

impl Sides<'_> {
    fn both(&self, ours: u16, theirs: u16) -> bool {
        self.ours.status == ours && self.theirs.status == theirs
    }

    fn ours_says(&self, parts: &[&str]) -> bool {
        let text = self.ours.text();
        parts.iter().any(|part| text.contains(part))
    }

    fn theirs_says(&self, parts: &[&str]) -> bool {
        let text = self.theirs.text();
        parts.iter().any(|part| text.contains(part))
    }

    /// Whether one of the words stands in the query.
    fn has_word(&self, words: &str) -> bool {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        self.query.split(|c| !is_word(c)).any(|found| words.split_whitespace().any(|word| word == found))
    }

    fn error(&self, answer: &Answer) -> String {
        answer.json().ok().and_then(|body| Some(body["error"].as_str()?.to_owned())).unwrap_or_default()
    }
}

/// What comparing came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Equal,
    Known(&'static str),
    Differs(String),
}

pub(super) fn compare(request: &Request, ours: &Answer, theirs: &Answer) -> Verdict {
    if ours.status == theirs.status && ours.body == theirs.body {
        return Verdict::Equal;
    }
    let sides = Sides { path: &request.path, query: request.query(), ours, theirs };
    let Some(difference) = difference(&sides) else { return Verdict::Equal };
    let known = KNOWN.iter().find(|(_, holds)| holds(&sides));
    known.map_or(Verdict::Differs(difference), |(reason, _)| Verdict::Known(reason))
}

fn difference(sides: &Sides<'_>) -> Option<String> {
    let (ours, theirs) = (sides.ours, sides.theirs);
    let (Ok(a), Ok(b)) = (ours.json(), theirs.json()) else { return Some("no JSON".to_owned()) };
    if ours.status != theirs.status || a["errorType"] != b["errorType"] {
        let told = |answer: &Answer| answer.text().chars().take(300).collect::<String>();
        return Some(format!("{} {}\n    theirs {} {}", ours.status, told(ours), theirs.status, told(theirs)));
    }
    let (said, expected) = (plain_error(&sides.error(ours)), plain_error(&sides.error(theirs)));
    if said != expected {
        return Some(format!("{said}\n    theirs {expected}"));
    }
    for kind in ["warnings", "infos"] {
        let (said, expected) = (annotations(&a[kind], sides.query), annotations(&b[kind], sides.query));
        if said != expected {
            return Some(format!("{kind} {said:?}\n    theirs {expected:?}"));
        }
    }
    match (rows(&a["data"]), rows(&b["data"])) {
        (Ok(_), Ok(_)) if a["data"]["resultType"] != b["data"]["resultType"] => Some("another type".to_owned()),
        (Ok(found), Ok(expected)) => {
            let order = |data: &Value| data["result"].as_array().cloned().unwrap_or_default();
            let names =
                |data: &Value| order(data).iter().map(|series| series["metric"].to_string()).collect::<Vec<_>>();
            let ranged = sides.path == "query_range" && names(&a["data"]) != names(&b["data"]);
            values(sides, &found, &expected).or(ranged.then(|| "another order of series".to_owned()))
        }
        _ => {
            let sorted = |data: &Value| match data.as_array() {
                Some(list) => list.iter().map(Value::to_string).collect::<BTreeSet<_>>(),
                None => BTreeSet::from([data.to_string()]),
            };
            let (found, expected) = (sorted(&a["data"]), sorted(&b["data"]));
            (found != expected).then(|| format!("{found:?}\n    theirs {expected:?}").chars().take(800).collect())
        }
    }
}

fn values(sides: &Sides<'_>, ours: &Rows, theirs: &Rows) -> Option<String> {
    let only = |a: &Rows, b: &Rows| a.keys().find(|key| !b.contains_key(*key)).cloned().unwrap_or_default();
    if !ours.keys().eq(theirs.keys()) {
        return Some(format!("only ours has {:?}, only theirs {:?}", only(ours, theirs), only(theirs, ours)));
    }
    let library = sides.has_word(LIBRARY) || sides.query.contains('^');
    let sums = sides.has_word(SUMS);
    for ((labels, ours), theirs) in ours.iter().zip(theirs.values()) {
        if ours.len() != theirs.len() {
            return Some(format!("{labels}: {} samples, theirs {}", ours.len(), theirs.len()));
        }
        for (a, b) in ours.iter().zip(theirs) {
            let near = |x: f64, y: f64| {
                (x.is_nan() && y.is_nan())
                    || (library && (x - y).abs() <= DIGITS * x.abs().max(y.abs()))
                    || (sums && ulps(x, y) <= ULPS_MAX)
            };
            let equal = a.1 == b.1 || matches!((parse(&a.1), parse(&b.1)), (Some(x), Some(y)) if near(x, y));
            if a.0 != b.0 || !equal {
                return Some(format!("{labels}: {} @{}, theirs {} @{}", a.1, a.0, b.1, b.0));
            }
        }
    }
    None
}

fn ulps(a: f64, b: f64) -> u64 {
    let place = |x: f64| if x.is_sign_negative() { -((x.to_bits() & !(1 << 63)) as i128) } else { x.to_bits() as i128 };
    u64::try_from((place(a) - place(b)).abs()).unwrap_or(u64::MAX)
}

/// The texts without what 3.14 says otherwise, and without which of two series is named first.
fn plain_error(text: &str) -> String {
    let mut text = text
        .replace("unexpected \"<Item 57400>\" <op:@>", "unexpected <op:@>")
        .replace(", expected number, duration, step(), or range()", ", expected number or duration")
        .replace("Parameter value is NaN", "Scalar value NaN overflows int64")
        .replace("Ratio value is NaN", "Ratio value NaN is NaN");
    for (from, to) in [("for the match group {", " on the "), ("of the operation: [", "];many-to-many")] {
        if let Some((before, rest)) = text.split_once(from)
            && let Some((_, behind)) = rest.split_once(to)
        {
            text = format!("{before}{from}…{to}{behind}");
        }
    }
    text
}

/// A text without places like `1:26`.
fn without_places(text: &str) -> String {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let place = |word: &str| word.trim_matches(['(', ')', ':']).split(':').all(digits);
    text.split(' ').filter(|word| !place(word)).collect::<Vec<_>>().join(" ")
}

/// Annotations as a set, without what 3.14 adds and 3.5.3 adds. More than ten are cut anywhere; the place of a parameter in
/// parentheses has moved.
fn annotations(list: &Value, query: &str) -> BTreeSet<String> {
    let list: Vec<&str> = list.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if list.len() > 10 {
        return BTreeSet::from(["many".to_owned()]);
    }
    let plain = |text: &&str| {
        let mut text = (*text).to_owned();
        if let Some((before, rest)) = text.split_once(" for metric name \"")
            && let Some((_, behind)) = rest.split_once('"')
        {
            text = format!("{before}{behind}");
        }
        if let (Some(from), Some(to)) = (text.find(", from buckets"), text.rfind(" (")) {
            text.replace_range(from..to, "");
        }
        if let (Some(from), Some(to)) = (text.find(" got "), text.rfind(" (")) {
            // a quantile may have been computed
            text.replace_range(from..to, "");
        }
        if query.contains("((") || query.contains(", (") { without_places(&text) } else { text }
    };
    list.iter().filter(|text| !text.contains("sort is ineffective")).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(query: &str, ours: (u16, &str), theirs: (u16, &str)) -> Verdict {
        let request = Request { path: "query".to_owned(), form: vec![("query", query.to_owned())] };
        let answer =
            |(status, body): (u16, &str)| Answer { status, body: body.as_bytes().to_vec(), ..Answer::default() };
        compare(&request, &answer(ours), &answer(theirs))
    }

    #[test]
    fn what_differs_is_seen_and_what_is_known_is_named() {
        let vector = |value: &str| {
            format!(
                r#"{{"status":"success","data":{{"resultType":"vector","result":[{{"metric":{{}},"value":[1,"{value}"]}}]}}}}"#
            )
        };
        let (a, b, c) = (vector("0.3"), vector("0.30000000000000004"), vector("0.31"));
        assert!(matches!(verdict("g", (200, &a), (200, &b)), Verdict::Differs(_)));
        assert_eq!(verdict("sum(g)", (200, &a), (200, &b)), Verdict::Equal);
        assert!(matches!(verdict("sum(g)", (200, &a), (200, &c)), Verdict::Differs(_)));
        assert!(matches!(verdict("sumo", (200, &a), (200, &b)), Verdict::Differs(_)));
        let error = |text: &str| format!(r#"{{"status":"error","errorType":"execution","error":"{text}"}}"#);
        let (nan, empty) =
            (error("Parameter value is NaN"), vector("1").replace(r#"{"metric":{},"value":[1,"1"]}"#, ""));
        assert!(matches!(verdict("topk(NaN, nosuch)", (422, &nan), (200, &empty)), Verdict::Known(_)));
        assert!(matches!(verdict("topk(1, g)", (200, &empty), (200, &a)), Verdict::Differs(_)));
        assert!(matches!(verdict("g", (422, &error("x")), (422, &error("y"))), Verdict::Differs(_)));
    }
}
