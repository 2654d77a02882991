//! Recorded answers, the corpus of the original's library, properties.
#![expect(clippy::disallowed_methods, reason = "conformance data is read from files")]

mod answers;

use super::*;
use answers::ANSWERS;
use model::{Labels, go_text};
use proptest::prelude::*;
use std::path::PathBuf;

/// The error's text, or samples: labels joined by unit separators, and the value.
type Answer = Result<&'static [(&'static str, &'static str)], &'static str>;

/// Everything a body says, or its first error.
fn read(body: &[u8]) -> Result<Vec<(Labels, f64, Option<i64>)>, String> {
    let mut parser = TextParser::new(body);
    let mut samples = Vec::new();
    while let Some(entry) = parser.next() {
        if let Entry::Series { series, value, at } = entry.map_err(|e| e.message)? {
            let mut labels = LabelsBuilder::new();
            read_labels(series, parser.kind(), &mut labels).map_err(|e| e.to_string())?;
            samples.push((labels.build(), value, at));
        }
    }
    Ok(samples)
}

#[test]
fn bodies_are_read_as_the_original_reads_them() {
    for (body, answer) in ANSWERS {
        let got = read(body);
        let shown = go_text::quote_bytes(body);
        match (answer, got) {
            (Err(error), got) => assert_eq!(got.map(|_| ()), Err((*error).to_owned()), "{shown}"),
            (Ok(expected), Ok(samples)) => {
                let mut got: Vec<(String, String)> = samples
                    .iter()
                    .filter(|(_, _, at)| at.is_none())
                    .map(|(labels, value, _)| {
                        let flat: Vec<&str> = labels.iter().flat_map(|(n, v)| [n, v]).collect();
                        (flat.join("\u{1f}"), go_text::format_float(*value))
                    })
                    .collect();
                let mut expected: Vec<_> = expected.iter().map(|(l, v)| ((*l).to_owned(), (*v).to_owned())).collect();
                got.sort();
                expected.sort();
                assert_eq!(got, expected, "{shown}");
            }
            (Ok(_), Err(error)) => panic!("{shown}: {error}"),
        }
    }
}

#[test]
fn entries_are_told_apart() {
    let body = b"# HELP a two\\nlines \\\\ \"x\"\n# TYPE a counter\n  a{b=\"c\"} 1 1700000000123\n# just so\n\nb 2";
    let entries: Vec<_> = TextParser::new(body).collect::<Result<_, _>>().expect("a good body");
    assert_eq!(
        entries,
        [
            Entry::Help { name: b"a", text: "two\\nlines \\\\ \"x\"" },
            Entry::Type { name: b"a", kind: MetricType::Counter },
            Entry::Series { series: b"a{b=\"c\"}", value: 1.0, at: Some(1_700_000_000_123) },
            Entry::Comment,
            Entry::Series { series: b"b", value: 2.0, at: None },
        ]
    );
    assert_eq!(unescape_help("two\\nlines \\\\ \"x\" \\\""), "two\nlines \\ \"x\" \\\"");
}

#[test]
fn errors_name_the_line_and_show_little() {
    let error = |body: &[u8]| TextParser::new(body).find_map(Result::err).expect("an error");
    assert_eq!(
        error(b"a 1\n\n# x\n<html>\n").to_string(),
        r#"expected a valid start token, got "<" ("INVALID") while parsing: "<" (line 4)"#
    );
    let mut endless = b"a 1\nb{c=\"".to_vec();
    endless.resize(1 << 20, b'x');
    let error = error(&endless);
    assert_eq!(error.line, 2);
    assert!(error.message.len() < 500, "{}", error.message.len());
}

#[test]
fn known_series_are_passed_over() {
    let body = b"a{b=\"c\"} 1\na{b=\"c\"} 2 5\nab 3\na {x=\"y\"} 4\na{b=\"c\"} x\n";
    let mut parser = TextParser::new(body);
    let series: &[u8] = b"a{b=\"c\"}";
    let mut known = |len: usize, of: &[u8]| parser.known(len, |bytes| bytes == of);
    assert_eq!(known(series.len(), series), Some(Ok((1.0, None))));
    assert_eq!(known(3, b"a{b"), None);
    assert_eq!(known(series.len(), series), Some(Ok((2.0, Some(5)))));
    assert_eq!(known(1, b"a"), None);
    assert_eq!(known(2, b"ab"), Some(Ok((3.0, None))));
    // the series is `a {x="y"}`, not `a`
    assert_eq!(known(1, b"a"), None);
    assert!(matches!(parser.next(), Some(Ok(Entry::Series { series: b"a {x=\"y\"}", .. }))));
    let error = parser.known(series.len(), |_| true).expect("the same series").expect_err("no number");
    assert_eq!(
        (error.line, error.message.as_str()),
        (5, "strconv.ParseFloat: parsing \"x\": invalid syntax while parsing: \"a{b=\\\"c\\\"} x\"")
    );
}

#[test]
fn errors_show_little_of_a_long_body() {
    let long = "x".repeat(1 << 20);
    let bodies =
        [format!("a {long}\n"), format!("a 1 {}\n", "9".repeat(1 << 20)), format!("a{{b='{long}"), long.clone()];
    for body in bodies {
        let error = TextParser::new(body.as_bytes()).find_map(Result::err).expect("refused");
        assert!(error.to_string().len() < 800, "{}", error.to_string().len());
    }
    let twice = format!("a{{{long}=\"1\",{long}=\"2\"}}");
    let error = read_labels(twice.as_bytes(), MetricType::Counter, &mut LabelsBuilder::new()).expect_err("twice");
    assert!(error.to_string().len() < 400);
}

#[test]
fn the_originals_samples_are_read() {
    let root = std::env::var_os("ISOBAR_CONFORMANCE")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance"), PathBuf::from);
    let dir = root.join("exposition");
    if !dir.is_dir() {
        println!("SKIP the_originals_samples_are_read: no conformance data at {}", dir.display());
        return;
    }
    let file = |path: &str| std::fs::read(dir.join(path)).expect("a readable file");
    let sample_lines =
        |body: &[u8]| body.split(|b| *b == b'\n').filter(|line| !line.is_empty() && !line.starts_with(b"#")).count();
    for path in ["prometheus-textparse/alltypes.237mfs.prom.txt", "common-expfmt/text"] {
        let body = file(path);
        assert_eq!(read(&body).expect(path).len(), sample_lines(&body), "{path}");
    }
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir.join("common-expfmt/text-corpus")).expect("the corpus") {
        let name = entry.expect("an entry").file_name().into_string().expect("a name");
        // negative timestamps: the library takes them, the server does not
        if !name.contains("error") && name != "from_test_parse_3" {
            read(&file(&format!("common-expfmt/text-corpus/{name}"))).unwrap_or_else(|e| panic!("{name}: {e}"));
        }
        names.push(name);
    }
    assert!(names.len() >= 15, "{names:?}");
}

/// A sample line in one of the forms a target may choose.
fn line() -> impl Strategy<Value = (String, Labels, f64)> {
    let pairs = proptest::collection::btree_map("[a-z_][a-z0-9_]{0,5}", "[ -~äλ\n]{1,8}", 0..4);
    ("[a-zA-Z_:][a-zA-Z0-9_:]{0,8}", pairs, any::<f64>().prop_filter("a NaN has many bits", |v| !v.is_nan())).prop_map(
        |(name, pairs, value)| {
            let escape = |text: &str| text.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"");
            let inner: Vec<String> = pairs.iter().map(|(n, v)| format!("{n}=\"{}\"", escape(v))).collect();
            let text = format!("{name}{{{}}} {}\n", inner.join(","), go_text::format_float_general(value));
            let labels = pairs.iter().map(|(n, v)| (n.as_str(), v.as_str()));
            (text, Labels::from_pairs(labels.chain([(METRIC_NAME, name.as_str())])), value)
        },
    )
}

proptest! {
    #[test]
    fn written_lines_are_read_back(lines in proptest::collection::vec(line(), 0..6)) {
        let body: String = lines.iter().map(|(text, _, _)| text.as_str()).collect();
        let expected: Vec<_> = lines.iter().map(|(_, labels, value)| (labels.clone(), *value, None)).collect();
        prop_assert_eq!(read(body.as_bytes()), Ok(expected));
    }

    #[test]
    fn any_bytes_are_read_or_refused(body: Vec<u8>) {
        let _ = read(&body);
    }

    #[test]
    fn damaged_bodies_are_read_or_refused(
        lines in proptest::collection::vec(line(), 1..4), at: prop::sample::Index, byte: u8, cut: prop::sample::Index,
    ) {
        let mut body: Vec<u8> = lines.iter().flat_map(|(text, _, _)| text.bytes()).collect();
        let at = at.index(body.len());
        body[at] = byte;
        body.truncate(cut.index(body.len()) + 1);
        let _ = read(&body);
    }

    #[test]
    fn syntax_soup_is_read_or_refused(body in "[a{}=\",\\\\\n \t#1.HELPTY]{0,40}") {
        let _ = read(body.as_bytes());
    }
}

/// A million labels in an order that is not theirs, within seconds; a name given twice is found among them.
#[test]
fn lines_of_very_many_labels_are_read() {
    let line = |names: &mut dyn Iterator<Item = usize>| {
        let labels: Vec<String> = names.map(|n| format!("l{n}=\"v\"")).collect();
        format!("a{{{}}}", labels.join(","))
    };
    let mut labels = LabelsBuilder::new();
    read_labels(line(&mut (0..1_000_000).rev()).as_bytes(), MetricType::Unknown, &mut labels).expect("no name twice");
    assert_eq!(labels.build().len(), 1_000_001);
    for again in [0, 300, 499] {
        let mut labels = LabelsBuilder::new();
        let text = line(&mut (0..500).chain([again]));
        let error = read_labels(text.as_bytes(), MetricType::Unknown, &mut labels).expect_err("a name twice");
        assert_eq!(error, SeriesError::Duplicate(format!("l{again}")));
    }
}
