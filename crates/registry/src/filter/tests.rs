//! Filters against one thing, as data.

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn thing() -> Value {
    json!({
        "Node": {"Node": "n1", "Meta": {"rack": "r1"}},
        "Service": {"ID": "api-1", "Service": "api", "Tags": ["blue", "prod"], "Port": 9000, "Meta": null,
                    "Weights": {"Passing": 1, "Warning": 1}, "EnableTagOverride": false,
                    "TaggedAddresses": {"lan": {"Address": "10.0.0.1", "Port": 5}}},
        "Checks": [{"CheckID": "a", "Status": "passing"}, {"CheckID": "b", "Status": "critical"}],
    })
}

#[test]
fn filters_hold_or_not() {
    for (filter, expected) in [
        (r#"Service.Tags contains "blue""#, true),
        (r#""prod" in Service.Tags and Service.Port != 9001"#, true),
        ("prod not in Service.Tags", false),
        ("Service.Meta.m == 1", false),
        ("Service.Meta.m != 1", true),
        ("Node.Meta.rack == r1", true),
        (r#"Node.Meta["rack"] == r1"#, true),
        ("Service.Meta is empty", true),
        ("Service.Tags is not empty", true),
        ("rack in Node.Meta", true),
        (r#"Service.ID matches "api-[12]""#, true),
        (r#"not Service.ID matches "api-[12]""#, false),
        ("Service.ID not matches `^x`", true),
        ("Service.Port == 9000 or Service.Port == 1", true),
        ("not (Service.Port == 9000 or Service.Port == 1)", false),
        ("Checks.Status == passing", true),
        ("Checks.Status != passing", true),
        ("not Checks.Status == critical", false),
        ("Checks is not empty", true),
        ("Service.Weights.Passing == 1", true),
        ("Service.EnableTagOverride == false", true),
        ("Service.TaggedAddresses.lan.Port == 5", true),
        ("Service.Service contains p", true),
        ("Service.TaggedAddresses.wan.Address == \"\"", false),
        // fields that an answer leaves out stand for empty ones
        ("Service.Kind == \"\"", true),
        ("Service.Kind not matches ``", false),
        ("Service.Proxy.LocalServicePort == 0", true),
        ("Service.Connect.Native == true", false),
        ("Service.Proxy.Upstreams is empty", true),
        ("Service.Port == 1 and Service.Port == 2 or Service.Port == 9000", true),
    ] {
        let compiled = Filter::compile(filter, &schema::INSTANCE).unwrap_or_else(|e| panic!("{filter}: {e}"));
        assert_eq!(compiled.holds(&thing()), expected, "{filter}");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    for (filter, message) in [
        ("Service.Nope == 1", "Selector \"Service.Nope\" is not valid"),
        ("Service.Meta.m is not empty", "Invalid match operator \"Is Not Empty\" for selector \"Service.Meta.m\""),
        ("Service.Port matches \"9\"", "Invalid match operator \"Matches\" for selector \"Service.Port\""),
        ("Service.Tags == x", "Invalid match operator \"Equal\" for selector \"Service.Tags\""),
        ("Service.Port == abc", "Failed to coerce value \"abc\" for selector \"Service.Port\": not an integer"),
        ("Service.Port ==", "1:16 (15): no match found, expected: a value, a selector, \"(\" or \"not\""),
        ("((", "1:3 (2): no match found, expected: a value, a selector, \"(\" or \"not\""),
    ] {
        let error = Filter::compile(filter, &schema::INSTANCE).unwrap_err().to_string();
        assert_eq!(error, format!("Failed to create boolean expression evaluator: {message}"), "{filter}");
    }
    for filter in [
        "a b",
        "Service.Tags not is empty",
        "\"x\" == Service.ID",
        "Service.ID matches \"(\"",
        "\"x",
        "Service.ID == api-1",
        "Service.Meta.a-b == x",
        "Service.ID == \"a\"and Service.Port == 1",
    ] {
        assert!(Filter::compile(filter, &schema::INSTANCE).is_err(), "{filter}");
    }
    assert!(Filter::compile(&"not ".repeat(100), &schema::NODE).is_err());
    assert!(Filter::compile(&"(".repeat(5000), &schema::NODE).is_err());
}

proptest! {
    #[test]
    fn arbitrary_filters_never_panic(text in "[ -~é]{0,40}") {
        if let Ok(filter) = Filter::compile(&text, &schema::INSTANCE) {
            filter.holds(&thing());
        }
    }

    #[test]
    fn mutated_filters_never_panic(at in 0usize..60, with in "[ -~]{0,3}") {
        let mut text = r#"(Service.Tags contains "blue" and not Node.Meta["rack"] == `r1`) or 9 in Service.Tags"#.to_owned();
        text.replace_range(at..at + 1, &with);
        if let Ok(filter) = Filter::compile(&text, &schema::INSTANCE) {
            filter.holds(&thing());
        }
    }
}
