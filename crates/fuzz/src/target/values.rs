//! Regular expressions, relabelling rules, and the literals of flags, files and queries.

use model::duration::{format_bytes, format_duration, parse_bytes, parse_duration};
use model::go_text::{format_float, quote, unquote};
use model::relabel::{Action, Rule, RuleText, process};
use model::{LabelsBuilder, regex::Regex, rfc3339};

/// The parts of an input, cut at newlines.
fn lines(bytes: &[u8]) -> Option<Vec<&str>> {
    Some(std::str::from_utf8(bytes).ok()?.split('\n').collect())
}

/// `expression \n text \n text…`: the short cuts (literals, prefix, suffix) agree with the automaton.
pub(super) fn regex(bytes: &[u8]) {
    let Some(lines) = lines(bytes) else { return };
    let Some((source, texts)) = lines.split_first() else { return };
    let Ok(regex) = Regex::anchored(source) else { return };
    // the same language, out of reach of the short cuts
    let Ok(plain) = Regex::for_relabel(source) else { return };
    let known = regex.literal_set().unwrap_or_default().iter().map(String::as_str);
    for text in texts.iter().copied().chain(known).chain([regex.prefix(), regex.suffix(), ""]) {
        let matches = regex.is_match(text);
        assert_eq!(matches, plain.captures(text).is_some(), "{source:?} on {text:?}");
        if matches {
            assert!(text.starts_with(regex.prefix()) && text.ends_with(regex.suffix()), "{source:?} on {text:?}");
        }
        if let Some(set) = regex.literal_set() {
            assert_eq!(matches, set.iter().any(|known| known == text), "{source:?} on {text:?}");
        }
    }
}

pub(super) fn regex_seeds() -> Vec<Vec<u8>> {
    super::texts(&[
        "foo|bar.*\nfoo\nbarbar",
        "(?i:ab+c)?.+\\.example\\.org\nABBC.example.org",
        "(a|b)(c|d)|[x-z]{2,3}\nac\nzzz",
        "^$|\\d+\\pL\\x{10FFFF}(?P<n>.)\n\n1ä",
        "(?s).*\\Qa.b\\E(?-s:.)\nxa.b\n",
        ".*a.*b.*|[[:alpha:]]*?\nzaab",
    ])
}

/// `action \n source \n separator \n regex \n target \n replacement \n value…` over a small label set.
pub(super) fn relabel(bytes: &[u8]) {
    let Some(lines) = lines(bytes) else { return };
    let [action, source, separator, regex, target, replacement, values @ ..] = &lines[..] else { return };
    let Ok(action) = Action::parse(action) else { return };
    let text = RuleText {
        source_labels: source.split(',').map(str::to_owned).collect(),
        separator: (*separator).to_owned(),
        regex: (*regex).to_owned(),
        modulus: separator.len() as u64,
        target_label: (*target).to_owned(),
        replacement: (*replacement).to_owned(),
        action,
    };
    let Ok(rule) = Rule::new(text) else { return };
    let mut labels = LabelsBuilder::new();
    for (name, value) in ["__address__", "job", "a", "ä.b"].iter().zip(values) {
        labels.set(name, value);
    }
    let before = labels.build();
    if process(&mut labels, &[rule]) {
        let built = labels.build();
        assert!(built.iter().all(|(_, value)| !value.is_empty()));
        assert!(built.len() <= 2 * before.len() + 1);
    }
}

pub(super) fn relabel_seeds() -> Vec<Vec<u8>> {
    super::texts(&[
        "replace\n__address__,job\n;\n([^:]+)(?::\\d+)?;(.*)\ninstance\n$2-${1}\nhost:9100\nnode\nx\ny",
        "labelmap\n\n;\n(.+)\n\nmeta_$1\n1\n2\n3",
        "hashmod\njob\n;;;\n(.*)\nshard\n$1\n\nnode",
        "keep\na\n;\nx|y\n\n\n1\n2\nx",
        "keepequal\na\n\n(.*)\njob\n$1\n1\nx\nx",
        "uppercase\nä.b\n;\n(.*)\nup\n$1\n1\n2\n3\nß",
    ])
}

/// What is printed reads back to the same.
pub(super) fn literals(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(length) = parse_duration(text) {
        assert_eq!(parse_duration(&format_duration(length)), Ok(length), "{text:?}");
    }
    if let Ok(size) = parse_bytes(text) {
        let printed = format_bytes(size);
        assert!(parse_bytes(&printed).is_ok(), "{text:?}: {printed}");
    }
    if let Some(at) = rfc3339::parse(text) {
        assert_eq!(rfc3339::parse(&rfc3339::format_millis(at)), Some(at), "{text:?}");
    }
    assert_eq!(unquote(&quote(text)).as_deref(), Ok(text));
    let _ = unquote(text);
    if let Some(bits) = bytes.first_chunk::<8>() {
        let value = f64::from_bits(u64::from_le_bytes(*bits));
        let printed = format_float(value);
        let read: f64 = printed.parse().unwrap_or_else(|e| panic!("{printed}: {e}"));
        assert!(value.is_nan() && read.is_nan() || value.to_bits() == read.to_bits(), "{printed}");
    }
}

pub(super) fn literal_seeds() -> Vec<Vec<u8>> {
    super::texts(&[
        "1h30m5s12ms",
        "15d",
        "512MiB",
        "1.5GB",
        "2026-01-31T23:59:59.999+05:30",
        "\"a\\u00e4\\x41\\n\"",
        "`raw`",
    ])
}
