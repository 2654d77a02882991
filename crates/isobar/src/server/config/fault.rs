//! How a fault in a configuration file is said: one line with file, line, column, key and what is wrong there.
//!
//! ```text
//! cannot load configuration prometheus.yml:3:17: sample_limit: expected a whole number
//! cannot load configuration prometheus.yml:3:3: unknown key scrape_intervall; did you mean scrape_interval?
//! ```

use std::path::Path;

/// Names further away than this are no likely slip.
const SLIP_MAX: usize = 3;

/// The line for an error that `serde_saphyr` found in `text`.
pub(super) fn line(path: &Path, text: &str, error: &serde_saphyr::Error) -> String {
    let at = error.location();
    let place = at.map_or(String::new(), |at| format!(":{}:{}", at.line(), at.column()));
    let said = error.without_snippet().to_string();
    // the library says the place again at the end of its text
    let said = said.split(" at line ").next().unwrap_or_default().trim_end_matches(':').replace('\n', " ");
    let said = in_words(&said);
    let said = match unknown_key(&said) {
        Some(said) => said,
        None => match at.and_then(|at| key_at(text, at.line() as usize)).filter(|key| !said.contains(key)) {
            Some(key) => format!("{key}: {said}"),
            None => said,
        },
    };
    format!("cannot load configuration {}{place}: {said}", path.display())
}

/// The key of the line (counted from one), or of the nearest above it that has one.
fn key_at(text: &str, line: usize) -> Option<&str> {
    let lines: Vec<&str> = text.lines().take(line).collect();
    lines.iter().rev().find_map(|line| {
        let start = line.trim_start().trim_start_matches(['-', ' ', '{', '[']);
        let key = start.split(':').next().filter(|key| key.len() < start.len())?;
        let is_word = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        (!key.is_empty() && key.chars().all(is_word)).then_some(key)
    })
}

/// What the library says for its callers, said for who wrote the file.
const WORDS: &[(&str, &str)] = &[
    ("invalid u64", "expected a whole number"),
    ("invalid f64", "expected a number"),
    ("invalid boolean", "expected true or false"),
    ("expected mapping start", "expected a block of keys"),
    ("expected sequence start", "expected a list"),
    ("recursion limit exceeded", "nested too deeply"),
    (", set DuplicateKeyPolicy in Options if acceptable", ""),
    ("duplicate mapping key: ", "the key is there twice: "),
    (
        "multiple YAML documents detected; use from_str_multiple or from_str_multiple_with_options",
        "the file holds more than one YAML document",
    ),
];

fn in_words(said: &str) -> String {
    WORDS.iter().fold(said.to_owned(), |said, (library, ours)| said.replace(library, ours))
}

/// An unknown key by its name, with the known one it may be a slip of; the library lists all sixty.
fn unknown_key(said: &str) -> Option<String> {
    let rest = said.split_once("unknown field `")?.1;
    let (key, rest) = rest.split_once('`')?;
    let known = rest.split_once("expected ")?.1.trim_start_matches("one of ");
    let known = known.split(", ").map(|name| name.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '_'));
    let nearest = known
        .map(|name| (distance(key, name), name))
        .min()
        .filter(|(distance, _)| *distance <= SLIP_MAX.min(key.len() / 2));
    Some(match nearest {
        Some((_, name)) => format!("unknown key {key}; did you mean {name}?"),
        None => format!("unknown key {key}"),
    })
}

/// Single-letter changes between two words (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut before = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = before + usize::from(x != y);
            before = row[j + 1];
            row[j + 1] = replaced.min(before + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Sample {
        sample_limit: u64,
        target_limit: Option<u64>,
        nested: Option<Box<Sample>>,
    }

    #[test]
    fn faults_name_place_and_key() {
        let cases = [
            ("sample_limit: many\n", "p.yml:1:15: sample_limit: expected a whole number"),
            ("nested: 7\n", "p.yml:1:9: nested: expected a block of keys"),
            ("sample_limit: 1\nsample_limit: 2\n", "p.yml:2:1: the key is there twice: sample_limit"),
            (
                "sample_limit: 1\n---\nsample_limit: 2\n",
                "p.yml:3:1: sample_limit: the file holds more than one YAML document",
            ),
            ("sample_limit: 1\nsampel_limit: 2\n", "p.yml:2:1: unknown key sampel_limit; did you mean sample_limit?"),
            ("sample_limit: 1\nzzz: 2\n", "p.yml:2:1: unknown key zzz"),
        ];
        for (text, expected) in cases {
            let error = serde_saphyr::from_str::<Sample>(text).expect_err(text);
            assert_eq!(line(Path::new("p.yml"), text, &error), format!("cannot load configuration {expected}"));
        }
    }

    #[test]
    fn a_line_without_key_takes_the_one_above() {
        assert_eq!(key_at("a: 1\ntargets:\n- x y\n", 3), Some("targets"));
        assert_eq!(key_at("- job_name: a\n", 1), Some("job_name"));
        assert_eq!(key_at("plain\n", 1), None);
    }

    #[test]
    fn distances() {
        assert_eq!(["same", "sane", "sam", "xsame", ""].map(|word| distance("same", word)), [0, 1, 1, 1, 4]);
    }
}
