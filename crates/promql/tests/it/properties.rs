//! Properties of the language: what is printed is parsed again to the same, and no text makes the parser panic.

use promql::Switches;
use promql::syntax::{DEPTH_MAX, SeriesDescription, parse, parse_selector};
use proptest::prelude::*;

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z_:][a-zA-Z0-9_:]{0,8}".prop_filter("no words of the language", |name| {
            !matches!(name.to_ascii_lowercase().as_str(), "inf" | "nan" | "bool" | "on" | "ignoring" | "atan2")
                && !name.to_ascii_lowercase().starts_with("group_")
                && !name.to_ascii_lowercase().starts_with("fill")
        }),
        Just("sum".to_owned()),
        Just("offset".to_owned()),
        Just("start".to_owned()),
    ]
}

fn label() -> impl Strategy<Value = String> {
    prop_oneof!["[a-zA-Z_][a-zA-Z0-9_]{0,6}", Just("\"a b\"".to_owned()), Just("\"ü\"".to_owned())]
}

fn length() -> impl Strategy<Value = String> {
    prop_oneof![
        (1u32..100_000).prop_map(|ms| format!("{ms}ms")),
        (1u32..500).prop_map(|m| format!("{m}m")),
        (1u32..5000).prop_map(|s| s.to_string()),
        Just("1h30m".to_owned()),
        Just("step() + 1m".to_owned()),
        Just("(2 * range()) ^ 2".to_owned()),
        Just("max_of(step(), 5m) % 7".to_owned()),
        Just("(30s)".to_owned()),
    ]
}

fn modifiers() -> impl Strategy<Value = String> {
    let at = prop_oneof![
        Just(String::new()),
        (-100_000i64..100_000).prop_map(|t| format!(" @ {t}.5")),
        Just(" @ start()".to_owned()),
        Just(" @ end()".to_owned()),
    ];
    // not `offset (5m)`: an operator behind it would go on inside the offset, as upstream has it
    let offset = prop_oneof![
        Just(String::new()),
        (1u32..100).prop_map(|s| format!(" offset {s}s")),
        (1u32..100).prop_map(|s| format!(" offset -{s}m")),
        Just(" offset -(step() + 1)".to_owned()),
    ];
    (at, offset).prop_map(|(at, offset)| format!("{at}{offset}"))
}

fn selector() -> impl Strategy<Value = String> {
    let op = prop_oneof![Just("="), Just("!="), Just("=~"), Just("!~")];
    let matcher = (label(), op, "[a-z.|\\\\\"\n]{0,5}").prop_map(|(label, op, value)| {
        let value = if op.contains('~') { value.replace(['\\', '|', '"'], "") } else { value };
        format!("{label}{op}{}", model::go_text::quote(&value))
    });
    (name(), prop::collection::vec(matcher, 0..3)).prop_map(|(name, matchers)| {
        if matchers.is_empty() { name } else { format!("{name}{{{}}}", matchers.join(",")) }
    })
}

/// An expression that yields an instant vector.
fn vector() -> impl Strategy<Value = String> {
    let edges = prop_oneof![Just(""), Just(" smoothed"), Just(" anchored")];
    let leaf = prop_oneof![
        (selector(), modifiers()).prop_map(|(selector, modifiers)| format!("{selector}{modifiers}")),
        (selector(), length(), edges, modifiers())
            .prop_map(|(selector, length, edges, modifiers)| format!("rate({selector}[{length}]{edges}{modifiers})")),
        Just("vector(time())".to_owned()),
        Just("{\"quoted.name\"}".to_owned()),
    ];
    leaf.prop_recursive(5, 40, 3, |inner| {
        let arithmetic = prop_oneof![
            Just("+"),
            Just("-"),
            Just("*"),
            Just("/"),
            Just("%"),
            Just("^"),
            Just("atan2"),
            Just("== bool"),
            Just("< on (a, \"b c\") group_left (d)"),
            Just("> ignoring () group_right ()"),
            Just("</"),
            Just("+ on (a) fill_left (3) fill_right (-1.5)"),
            Just("* fill (+Inf)"),
        ];
        let set = prop_oneof![Just("and"), Just("or on (a)"), Just("unless ignoring (a, b)")];
        let grouping = prop_oneof![Just(""), Just(" by (a, \"b c\")"), Just(" without (x)"), Just(" by ()")];
        prop_oneof![
            (inner.clone(), arithmetic, inner.clone()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
            (inner.clone(), set, inner.clone()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
            (inner.clone(), -5i32..5).prop_map(|(a, n)| format!("{a} * {n}")),
            (inner.clone(), grouping.clone()).prop_map(|(a, by)| format!("sum{by} ({a})")),
            (inner.clone(), grouping).prop_map(|(a, by)| format!("quantile(0.5, {a}){by}")),
            inner.clone().prop_map(|a| format!("count_values(\"v\", {a})")),
            inner.clone().prop_map(|a| format!("-({a})")),
            inner.clone().prop_map(|a| format!("({a})")),
            inner.clone().prop_map(|a| format!("label_join({a}, \"x\", \",\", \"a\")")),
            (inner.clone(), length(), length(), modifiers())
                .prop_map(|(a, range, step, more)| format!("max_over_time(({a})[{range}:{step}]{more})")),
            inner.prop_map(|a| format!("clamp({a}, 1h, 0x1F)")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn printed_expressions_parse_to_the_same(query in vector()) {
        let first = parse(&query, Switches::ALL).map_err(|e| TestCaseError::fail(format!("{query}: {e}")))?;
        let printed = first.to_string();
        let second = parse(&printed, Switches::ALL).map_err(|e| TestCaseError::fail(format!("{printed}: {e}")))?;
        prop_assert_eq!(&second.to_string(), &printed);
        let pretty = second.pretty();
        let third = parse(&pretty, Switches::ALL).map_err(|e| TestCaseError::fail(format!("{pretty}: {e}")))?;
        prop_assert_eq!(third.to_string(), printed);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,60}") {
        let _ = parse(&text, Switches::ALL);
        let _ = parse_selector(&text);
        let _ = SeriesDescription::parse(&text);
    }

    #[test]
    fn no_heap_of_tokens_makes_the_parser_panic(words in prop::collection::vec(token(), 0..25)) {
        let text = words.join(" ");
        let _ = parse(&text, Switches::ALL);
        let _ = parse_selector(&text);
        let glued = words.concat();
        let _ = parse(&glued, Switches::default());
        let _ = SeriesDescription::parse(&glued);
    }
}

fn token() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "a",
        "sum",
        "by",
        "(",
        ")",
        "{",
        "}",
        "[",
        "]",
        "5m",
        "1",
        "-",
        "+",
        "^",
        "*",
        "offset",
        "@",
        "start()",
        "end",
        "step()",
        ":",
        ",",
        "=",
        "=~",
        "\"x\"",
        "'",
        "`y`",
        "on",
        "group_left",
        "fill(1)",
        "fill",
        "bool",
        "and",
        "atan2",
        "</",
        "rate",
        "info",
        "anchored",
        "smoothed",
        "inf",
        "0x1f",
        "1e",
        ".",
        "#c\n",
        "{{",
        "}}",
        "buckets:[1 2]",
        "x3",
        "_",
        "stale",
        "\\",
        "\u{e4}",
        "count_values",
        "min_of(1,2)",
    ])
}

#[test]
fn nesting_is_limited_not_fatal() {
    for (open, close) in [("(", ")"), ("-", ""), ("sum(", ")"), ("abs(", ")"), ("1 + ", ""), ("a[5m:1m] or ", "")] {
        for depth in [10, DEPTH_MAX / 2, 100 * DEPTH_MAX] {
            let query = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            let outcome = parse(&query, Switches::ALL);
            let too_deep = outcome.as_ref().err().is_some_and(|e| e.message.contains("levels deep"));
            assert_eq!(too_deep, depth > DEPTH_MAX, "{open} {depth}: {:?}", outcome.err());
        }
    }
    let lengths = format!("a[{}1{}]", "(".repeat(100_000), ")".repeat(100_000));
    assert!(parse(&lengths, Switches::ALL).is_err());
    // as long a chain as is allowed is evaluated on a thread's usual stack
    let chain = vec!["1"; DEPTH_MAX - 10].join(" + ");
    let sum = std::thread::spawn(move || {
        let engine = promql::Engine::default();
        let store = testkit::model_store::ModelStore::new();
        engine.instant(&store, &storage::QueryContext::default(), &chain, model::Timestamp(0)).map(|a| a.value)
    });
    let value = sum.join().expect("no overflow").expect("a legal query");
    assert_eq!(value, promql::Value::Scalar { at: model::Timestamp(0), value: (DEPTH_MAX - 10) as f64 });
}
