//! Rules as data: a set, rules, what becomes of it.

use super::*;
use crate::labels::Labels;

/// `a=b, c=d` as a set.
fn set(text: &str) -> Labels {
    Labels::from_pairs(text.split(", ").filter_map(|pair| pair.split_once('=')))
}

/// A rule from `field=value` lines; `source` is a list separated by commas.
fn rule(text: &str) -> Result<Rule, RuleError> {
    let mut rule = RuleText::default();
    for (field, value) in text.split(", ").filter_map(|pair| pair.split_once('=')) {
        let value = value.to_owned();
        match field {
            "source" => rule.source_labels = value.split('+').map(str::to_owned).collect(),
            "separator" => rule.separator = value,
            "regex" => rule.regex = value,
            "modulus" => rule.modulus = value.parse().expect("a number"),
            "target" => rule.target_label = value,
            "replacement" => rule.replacement = value,
            "action" => rule.action = Action::parse(&value)?,
            other => panic!("no field {other}"),
        }
    }
    Rule::new(rule)
}

fn check_rules(before: &str, rules: &[&str], after: Option<&str>) {
    let rules: Vec<Rule> = rules.iter().map(|text| rule(text).expect("a rule")).collect();
    let mut builder = set(before).to_builder();
    let kept = process(&mut builder, &rules);
    assert_eq!(kept.then(|| builder.build()), after.map(set), "{before} {rules:?}");
}

#[test]
fn replace_writes_what_matched() {
    check_rules(
        "a=foo, b=bar",
        &["source=a, target=d, regex=f(.*), replacement=ch$1-ch$1"],
        Some("a=foo, b=bar, d=choo-choo"),
    );
    check_rules(
        "a=foo, b=bar",
        &["source=a+b, target=a, regex=f(.*);(.*)r, replacement=b${1}${2}m"],
        Some("a=boobam, b=bar"),
    );
    check_rules("a=foo", &["source=a, target=a, regex=no-match, replacement=x"], Some("a=foo"));
    check_rules("a=foo", &["source=a, target=a, regex=f, replacement=x"], Some("a=foo"));
    check_rules("a=foo", &["source=a, target=b"], Some("a=foo, b=foo"));
    check_rules("a=foo", &["target=b, replacement=constant"], Some("a=foo, b=constant"));
    check_rules("a=foo", &["source=none, target=b, replacement=constant"], Some("a=foo, b=constant"));
    check_rules("a=foo, b=x", &["source=none, target=b"], Some("a=foo"));
    check_rules("a=foo", &["source=a, target=${1}_x, regex=(.*), replacement=$1"], Some("a=foo, foo_x=foo"));
    check_rules("a=foo, b=x", &["source=a, target=b, regex=foo, replacement="], Some("a=foo"));
    check_rules(
        "a=line\nbreak",
        &["source=a, target=b, regex=line(.+)k, replacement=$1"],
        Some("a=line\nbreak, b=\nbrea"),
    );
    check_rules("a=1, b=2", &["source=a+b, separator=, target=c"], Some("a=1, b=2, c=12"));
}

#[test]
fn sets_are_kept_and_dropped() {
    check_rules("a=foo", &["source=a, regex=.*o.*, action=drop", "target=d, replacement=x"], None);
    check_rules("a=foo", &["source=a, regex=o, action=drop"], Some("a=foo"));
    check_rules("a=foo", &["source=a, regex=f.., action=keep"], Some("a=foo"));
    check_rules("a=foo", &["source=a, regex=f, action=Keep"], None);
    check_rules("a=foo", &["source=none, regex=, action=drop"], None);
    check_rules("port=80, want=80", &["source=want, target=port, action=keepequal"], Some("port=80, want=80"));
    check_rules("port=80, want=81", &["source=want, target=port, action=keepequal"], None);
    check_rules("port=80, want=80", &["source=want, target=port, action=dropequal"], None);
    check_rules("port=80, want=81", &["source=want, target=port, action=dropequal"], Some("port=80, want=81"));
}

#[test]
fn values_are_hashed_and_cased() {
    // the original's own examples: MD5 of "baz" and of "foo\nbar"
    check_rules("c=baz", &["source=c, target=d, action=hashmod, modulus=1000"], Some("c=baz, d=976"));
    check_rules("a=foo\nbar", &["source=a, target=b, action=hashmod, modulus=1000"], Some("a=foo\nbar, b=734"));
    check_rules(
        "a=Bäß",
        &["source=a, target=l, action=lowercase", "source=a, target=u, action=uppercase"],
        Some("a=Bäß, l=bäß, u=BÄß"),
    );
}

#[test]
fn names_are_mapped_dropped_and_kept() {
    check_rules(
        "a=foo, b1=bar, b2=baz",
        &["action=labelmap, regex=(b.*)", "action=labelmap, regex=(b.*), replacement=bar_${1}"],
        Some("a=foo, b1=bar, b2=baz, bar_b1=bar, bar_b2=baz"),
    );
    check_rules(
        "__meta_my_bar=aaa, __meta_my_baz=bbb, a=foo",
        &["action=labelmap, regex=__meta_(my.*)"],
        Some("__meta_my_bar=aaa, __meta_my_baz=bbb, a=foo, my_bar=aaa, my_baz=bbb"),
    );
    check_rules("a=foo, b1=bar, b2=baz", &["action=labeldrop, regex=(b.*)"], Some("a=foo"));
    check_rules("a=foo, b1=bar, b2=baz", &["action=labelkeep, regex=(b.*)"], Some("b1=bar, b2=baz"));
}

#[test]
fn rules_that_do_not_fit_are_refused_in_the_originals_words() {
    for (text, error) in [
        ("action=explode", "unknown relabel action \"explode\""),
        ("action=hashmod, source=a, target=b", "relabel configuration for hashmod requires non-zero modulus"),
        (
            "action=hashmod, modulus=8, source=a",
            "relabel configuration for hashmod action requires 'target_label' value",
        ),
        ("source=a", "relabel configuration for replace action requires 'target_label' value"),
        ("action=lowercase, source=a", "relabel configuration for lowercase action requires 'target_label' value"),
        ("action=uppercase, source=a, target=b, replacement=x", "'replacement' can not be set for uppercase action"),
        ("action=labelmap, regex=a, replacement=", "\"\" is invalid 'replacement' for labelmap action"),
        (
            "action=keepequal, source=a, target=b, regex=x",
            "keepequal action requires only 'source_labels' and `target_label`, and no other fields",
        ),
        ("action=labeldrop, source=a", "labeldrop action requires only 'regex', and no other fields"),
        ("action=labelkeep, regex=a, separator=-", "labelkeep action requires only 'regex', and no other fields"),
        ("source=a, target=b, regex=a(", "error parsing regexp: missing closing ): `^(?s:a()$`"),
    ] {
        assert_eq!(rule(text).map(|_| ()).map_err(|e| e.to_string()), Err(error.to_owned()), "{text}");
    }
}
