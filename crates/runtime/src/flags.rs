//! Command-line flags as kingpin reads them: the originals' programs all do, so their command lines work unchanged.
//!
//! ```text
//! --name=value  --name value     a value; once, unless the flag may be repeated
//! --name        --no-name        a switch; `--name=true` is refused, as there
//! -h  --help  --version          end the parsing, whatever follows
//! @file                          one argument per line, read by the caller ([`expand`])
//! --                             nothing after it is a flag
//! ```
//!
//! A table of [`Flag`]s describes the program; [`parse`] gives the values, [`help`] the text of `--help`.
//! Names are never abbreviated. Messages are kingpin's own, so that scripts that look for them still find them.
//! Limits: none of its own; the operating system limits the length of a command line.

use std::collections::BTreeMap;
use std::fmt::Write;

/// What follows a flag's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagKind {
    /// Nothing: `--name` or `--no-name`.
    Switch,
    /// One value, at most once.
    Value,
    /// One value, any number of times.
    List,
}

/// One flag of a program.
#[derive(Clone, Copy, Debug)]
pub struct Flag {
    /// The name without the dashes.
    pub name: &'static str,
    /// A letter that stands for the name.
    pub short: Option<char>,
    /// What follows the name.
    pub kind: FlagKind,
    /// The value when the flag is not given; `"true"` or `"false"` for a switch; empty for a list: no entry.
    pub default: &'static str,
    /// What it means, for `--help`.
    pub help: &'static str,
    /// Left out of `--help`, as the original does.
    pub hidden: bool,
}

impl Flag {
    /// A switch.
    pub const fn switch(name: &'static str, default: bool, help: &'static str) -> Self {
        let default = if default { "true" } else { "false" };
        Flag { name, short: None, kind: FlagKind::Switch, default, help, hidden: false }
    }

    /// A flag with one value.
    pub const fn value(name: &'static str, default: &'static str, help: &'static str) -> Self {
        Flag { name, short: None, kind: FlagKind::Value, default, help, hidden: false }
    }

    /// A flag that may be given several times.
    pub const fn list(name: &'static str, default: &'static str, help: &'static str) -> Self {
        Flag { name, short: None, kind: FlagKind::List, default, help, hidden: false }
    }

    /// The same, not shown by `--help`.
    pub const fn hidden(self) -> Self {
        Flag { hidden: true, ..self }
    }

    /// The same, with a letter.
    pub const fn short(self, letter: char) -> Self {
        Flag { short: Some(letter), ..self }
    }
}

/// A command line that can not be obeyed, or one that asks for a text instead of a run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FlagError {
    /// No flag has this name.
    #[error("unknown long flag '--{0}', try --help")]
    UnknownLong(String),
    /// No flag has this letter.
    #[error("unknown short flag '-{0}', try --help")]
    UnknownShort(char),
    /// Something that is no flag.
    #[error("unexpected {0}, try --help")]
    Unexpected(String),
    /// A value is missing.
    #[error("expected argument for flag '--{0}', try --help")]
    ValueMissing(String),
    /// Given twice.
    #[error("flag '{0}' cannot be repeated, try --help")]
    Repeated(String),
    /// The value can not be read, or two flags contradict each other: the whole message.
    #[error("{0}, try --help")]
    Refused(String),
    /// `--help` was given.
    #[error("help asked for")]
    Help,
    /// `--version` was given.
    #[error("version asked for")]
    Version,
}

/// The flags of one command line, with defaults for those not given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given {
    values: BTreeMap<&'static str, Vec<String>>,
    defaults: BTreeMap<&'static str, &'static str>,
}

impl Given {
    /// The value of a flag, or its default. Asking for a flag that is not in the table is a programming error and
    /// answers the empty text.
    pub fn value(&self, name: &str) -> &str {
        match self.values.get(name).and_then(|values| values.last()) {
            Some(value) => value,
            None => self.default_of(name),
        }
    }

    /// All values of a flag that may be repeated; its default, unless that is empty, when it was not given.
    pub fn list(&self, name: &str) -> Vec<String> {
        match self.values.get(name) {
            Some(values) => values.clone(),
            None => Some(self.default_of(name)).filter(|d| !d.is_empty()).map(str::to_owned).into_iter().collect(),
        }
    }

    /// Whether a switch is on.
    pub fn switch(&self, name: &str) -> bool {
        self.value(name) == "true"
    }

    /// Whether the command line named the flag (or its `no-` form).
    pub fn is_given(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// Name and value of every flag of the table that has one value or none, in name order; lists are joined by commas.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, String)> + '_ {
        self.defaults.keys().map(|name| {
            let given = self.values.get(name).map(|values| values.join(","));
            (*name, given.unwrap_or_else(|| self.default_of(name).to_owned()))
        })
    }

    fn default_of(&self, name: &str) -> &str {
        debug_assert!(self.defaults.contains_key(name), "flag {name:?} is not in the table");
        self.defaults.get(name).copied().unwrap_or("")
    }
}

/// Reads a command line (without the program's name).
pub fn parse<S: AsRef<str>>(table: &[Flag], args: impl IntoIterator<Item = S>) -> Result<Given, FlagError> {
    let mut given = Given { values: BTreeMap::new(), defaults: table.iter().map(|f| (f.name, f.default)).collect() };
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let arg = arg.as_ref();
        let (flag, on, joined) = find(table, arg)?;
        let value = match (flag.kind, joined) {
            (FlagKind::Switch, Some(value)) => return Err(FlagError::Unexpected(value.to_owned())),
            (FlagKind::Switch, None) => on.to_string(),
            (_, Some(value)) => value.to_owned(),
            (_, None) => match args.next() {
                Some(value) if !looks_like_flag(value.as_ref()) => value.as_ref().to_owned(),
                _ => return Err(FlagError::ValueMissing(flag.name.to_owned())),
            },
        };
        let values = given.values.entry(flag.name).or_default();
        if flag.kind != FlagKind::List && !values.is_empty() {
            return Err(FlagError::Repeated(flag.name.to_owned()));
        }
        values.push(value);
    }
    Ok(given)
}

/// The flag an argument names, whether it is switched on, and the value joined to it.
fn find<'t, 'a>(table: &'t [Flag], arg: &'a str) -> Result<(&'t Flag, bool, Option<&'a str>), FlagError> {
    let Some(long) = arg.strip_prefix("--").filter(|long| !long.is_empty()) else {
        let Some(letter) = arg.strip_prefix('-').and_then(|rest| rest.chars().next()).filter(|c| *c != '-') else {
            return Err(FlagError::Unexpected(arg.to_owned()));
        };
        let rest = &arg[1 + letter.len_utf8()..];
        let flag = table.iter().find(|flag| flag.short == Some(letter));
        return match flag {
            _ if letter == 'h' && rest.is_empty() => Err(FlagError::Help),
            Some(flag) => Ok((flag, true, Some(rest).filter(|rest| !rest.is_empty()))),
            None => Err(FlagError::UnknownShort(letter)),
        };
    };
    let (name, value) = match long.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (long, None),
    };
    if let Some(flag) = table.iter().find(|flag| flag.name == name) {
        // a table may list it, for `--help` and `status/flags`
        let asks_version = name == "version" && flag.kind == FlagKind::Switch && value.is_none();
        return if asks_version { Err(FlagError::Version) } else { Ok((flag, true, value)) };
    }
    let negated = name
        .strip_prefix("no-")
        .and_then(|positive| table.iter().find(|flag| flag.kind == FlagKind::Switch && flag.name == positive));
    match (negated, name, value) {
        (Some(flag), _, value) => Ok((flag, false, value)),
        (None, "help" | "help-long" | "help-man", None) => Err(FlagError::Help),
        (None, "version", None) => Err(FlagError::Version),
        (None, "help" | "help-long" | "help-man" | "version", Some(value)) => {
            Err(FlagError::Unexpected(value.to_owned()))
        }
        _ => Err(FlagError::UnknownLong(name.to_owned())),
    }
}

fn looks_like_flag(arg: &str) -> bool {
    arg.len() > 1 && arg.starts_with('-')
}

/// Replaces each `@path` by the lines of that file, as `read` gives it.
pub fn expand<E>(
    args: impl IntoIterator<Item = String>,
    mut read: impl FnMut(&str) -> Result<String, E>,
) -> Result<Vec<String>, E> {
    let mut out = Vec::new();
    for arg in args {
        match arg.strip_prefix('@') {
            Some(path) => out.extend(read(path)?.lines().filter(|line| !line.starts_with('#')).map(str::to_owned)),
            None => out.push(arg),
        }
    }
    Ok(out)
}

/// The text of `--help`: a line on how to call the program, then the flags in the table's order.
pub fn help(usage: &str, table: &[Flag]) -> String {
    help_saying(usage, table, |flag| flag.help.to_owned())
}

/// As [`help`], with what `says` makes of each flag's text.
pub fn help_saying(usage: &str, table: &[Flag], says: impl Fn(&Flag) -> String) -> String {
    const COLUMN: usize = 33;
    let mut text = format!("usage: {usage}\n\nFlags:\n");
    let end = [
        Flag::switch("help", false, "Show this text.").short('h'),
        Flag::switch("version", false, "Show the version."),
    ];
    // the tables that know the original's own name them too
    let end = end.iter().filter(|own| table.iter().all(|flag| flag.name != own.name));
    for flag in table.iter().filter(|flag| !flag.hidden).chain(end) {
        let mut head = match flag.short {
            Some(letter) => format!("  -{letter}, --"),
            None => "      --".to_owned(),
        };
        if flag.kind == FlagKind::Switch && flag.default == "true" {
            head.push_str("[no-]");
        }
        head.push_str(flag.name);
        if flag.kind != FlagKind::Switch {
            let shown = if flag.default.is_empty() { flag.name.to_uppercase() } else { flag.default.to_owned() };
            let _ = write!(head, "={}{}", shown, if flag.kind == FlagKind::List { " ..." } else { "" });
        }
        wrap(&mut text, &head, &says(flag), COLUMN);
    }
    text
}

/// One entry in two columns, wrapped at 100.
fn wrap(text: &mut String, head: &str, body: &str, column: usize) {
    const WIDTH: usize = 100;
    text.push_str(head);
    let mut at = head.chars().count();
    if at + 2 > column {
        text.push('\n');
        at = 0;
    }
    let indent = |text: &mut String, from: usize| text.extend(std::iter::repeat_n(' ', column - from));
    indent(text, at);
    at = column;
    for word in body.split_whitespace() {
        let len = word.chars().count();
        if at > column && at + 1 + len > WIDTH {
            text.push('\n');
            indent(text, 0);
            at = column;
        }
        if at > column {
            text.push(' ');
            at += 1;
        }
        text.push_str(word);
        at += len;
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[Flag] = &[
        Flag::switch("collector.cpu", true, "Enable the cpu collector (default: enabled)."),
        Flag::switch("collector.cpu.guest", true, "Guest."),
        Flag::switch("collector.disable-defaults", false, "None unless named."),
        Flag::value("path.procfs", "/proc", "procfs mountpoint."),
        Flag::list("dir", "", "Directories."),
        Flag::list("listen", ":9100", "Addresses."),
        Flag::value("quiet", "", "A letter.").short('q'),
    ];

    fn given(line: &str) -> Result<Given, String> {
        parse(TABLE, line.split_whitespace()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_kingpin_takes() {
        let flags = given("--no-collector.cpu --path.procfs=/p --dir a --dir=b --quiet=").unwrap();
        assert!(!flags.switch("collector.cpu") && flags.switch("collector.cpu.guest"));
        assert!(flags.is_given("collector.cpu") && !flags.is_given("collector.cpu.guest"));
        assert_eq!(flags.value("path.procfs"), "/p");
        assert_eq!(flags.list("dir"), ["a", "b"]);
        assert_eq!(flags.list("listen"), [":9100"]);
        assert_eq!((flags.value("quiet"), flags.is_given("quiet")), ("", true));
        let none = given("").unwrap();
        assert!(none.list("dir").is_empty() && !none.switch("collector.disable-defaults"));
        assert_eq!(given("-qx").unwrap().value("quiet"), "x");
        assert_eq!(given("-q x").unwrap().value("quiet"), "x");
    }

    #[test]
    fn what_kingpin_refuses_and_how() {
        for (line, message) in [
            ("--foo", "unknown long flag '--foo', try --help"),
            ("--no-collector.bogus", "unknown long flag '--no-collector.bogus', try --help"),
            ("--no-path.procfs", "unknown long flag '--no-path.procfs', try --help"),
            ("--collector.c", "unknown long flag '--collector.c', try --help"),
            ("--collector.cpu=true", "unexpected true, try --help"),
            ("extra", "unexpected extra, try --help"),
            ("--", "unexpected --, try --help"),
            ("-x", "unknown short flag '-x', try --help"),
            ("--path.procfs", "expected argument for flag '--path.procfs', try --help"),
            ("--path.procfs --collector.cpu", "expected argument for flag '--path.procfs', try --help"),
            ("--path.procfs=a --path.procfs=b", "flag 'path.procfs' cannot be repeated, try --help"),
            ("--collector.cpu --no-collector.cpu", "flag 'collector.cpu' cannot be repeated, try --help"),
            ("--help=1", "unexpected 1, try --help"),
        ] {
            assert_eq!(given(line).unwrap_err(), message, "{line}");
        }
        assert_eq!(parse(TABLE, ["--version", "--foo"]), Err(FlagError::Version));
        assert_eq!(parse(TABLE, ["-h"]), Err(FlagError::Help));
        let own = [Flag::switch("version", false, "Listed by the table itself.")];
        assert_eq!(parse(&own, ["--version", "--foo"]), Err(FlagError::Version));
    }

    #[test]
    fn help_names_every_flag() {
        let text = help("isobar exporter node [<flags>]", TABLE);
        for flag in TABLE {
            assert!(text.contains(flag.name), "{text}");
        }
        assert!(text.contains("--[no-]collector.cpu  "), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    }

    #[test]
    fn files_of_arguments() {
        let read = |path: &str| if path == "f" { Ok("--a\n# no\n--b=c d\n".to_owned()) } else { Err(path.to_owned()) };
        assert_eq!(expand(["x".to_owned(), "@f".to_owned()], read).unwrap(), ["x", "--a", "--b=c d"]);
        assert_eq!(expand(["@g".to_owned()], read), Err("g".to_owned()));
    }
}
