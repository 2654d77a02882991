//! What the program says about itself: help and version of every role, and what it says when the role is missing or wrong.

use crate::binary;
use std::process::{Command, Output};
use testkit::harness::place::Scratch;

fn said(folder: &Scratch, line: &str) -> Output {
    let mut command = Command::new(binary());
    command.args(line.split_whitespace()).current_dir(folder.path());
    command.output().expect("it starts")
}

#[test]
fn every_role_says_its_help_and_its_version_and_does_nothing_else() {
    let folder = Scratch::new("texts").expect("a folder");
    for role in ["", "up", "server", "registry", "exporter", "exporter node"] {
        for (flag, begin) in [("--help", "usage: isobar"), ("-h", "usage: isobar"), ("--version", "isobar ")] {
            let output = said(&folder, &format!("{role} {flag}"));
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert_eq!(output.status.code(), Some(0), "{role} {flag}");
            assert!(text.contains(begin) && output.stderr.is_empty(), "{role} {flag}: {text}");
            assert!(text.lines().next().is_some_and(|line| line.len() <= 100), "{role} {flag}: {text}");
        }
    }
    let made = std::fs::read_dir(folder.path()).expect("readable").count();
    assert_eq!(made, 0, "nothing is made");
}

#[test]
fn a_mistake_is_answered_with_what_to_type_instead() {
    let folder = Scratch::new("mistakes").expect("a folder");
    for (line, begin) in [
        ("", "isobar: error: a role is missing"),
        ("serve", "isobar: error: unknown role \"serve\", try isobar --help"),
        ("up --prot=1", "isobar up: error: unknown long flag '--prot', try --help"),
        ("up now", "isobar up: error: unexpected now, try --help"),
        ("exporter", "isobar exporter: error: an exporter is missing"),
        ("exporter disk", "isobar exporter: error: unknown exporter \"disk\", try isobar exporter --help"),
        ("registry -http-port=x", "isobar registry: error: -http-port \"x\" is no port"),
    ] {
        let output = said(&folder, line);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{line}: {text}");
        assert!(text.starts_with(begin) && output.stdout.is_empty(), "{line}: {text}");
    }
    let missing = said(&folder, "server");
    let text = String::from_utf8_lossy(&missing.stderr).into_owned();
    assert!(
        text.contains("cannot read configuration prometheus.yml: no such file; --config.file names another"),
        "{text}"
    );
    assert_eq!((missing.status.code(), text.lines().count()), (Some(1), 1), "{text}");
}
