//! Which role the command line asks for, and what a role gives back.

use crate::world::VERSION;
use crate::{exporter, registry_role, server, up};
use runtime::flags::FlagError;
use std::process::ExitCode;

const HELP: &str = "\
Isobar: discovers every service, collects its metrics, keeps them, answers queries and shows them.

usage: isobar <role> [<flags>]

  up               everything on this machine: registry, node exporter, server, page
  server           Prometheus: scrape, store, query (flags and configuration file as there)
  registry         Consul: service catalog and health checks over HTTP
  exporter node    node_exporter: metrics of this machine
  version          version of this program

`isobar <role> --help` lists a role's flags.
";

/// How a role ends that did not simply stop.
#[derive(Debug)]
pub(crate) enum Ending {
    /// A text was asked for.
    Text(String),
    /// The command line cannot be obeyed; one line.
    Usage(String),
    /// The role cannot start or go on; one line.
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for Ending {
    fn from(error: anyhow::Error) -> Self {
        Ending::Failed(error)
    }
}

/// What a flag error means for the role `name` with this help text.
pub(crate) fn flag_ending(error: FlagError, name: &str, help: impl FnOnce() -> String) -> Ending {
    match error {
        FlagError::Help => Ending::Text(help()),
        FlagError::Version => Ending::Text(version_line()),
        other => Ending::Usage(format!("isobar {name}: error: {other}")),
    }
}

/// What `--version` answers in every role.
pub(crate) fn version_line() -> String {
    format!("isobar {VERSION} (speaks Prometheus 3.14, Consul 1.22, node_exporter 1.11)\n")
}

/// Runs the role the arguments name.
pub(crate) fn run(arguments: &[String]) -> ExitCode {
    let rest = arguments.get(1..).unwrap_or_default();
    let outcome = match arguments.first().map(String::as_str) {
        Some("up") => up::run(rest),
        Some("server") => server::run(rest),
        Some("registry") => registry_role::run(rest),
        Some("exporter") => exporter::run(rest),
        Some("version" | "--version") => Err(Ending::Text(version_line())),
        Some("help" | "--help" | "-h") => Err(Ending::Text(HELP.to_owned())),
        None => Err(Ending::Usage(format!("isobar: error: a role is missing\n\n{HELP}"))),
        Some(other) => Err(Ending::Usage(format!("isobar: error: unknown role {other:?}, try isobar --help"))),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Ending::Text(text)) => {
            print(&text);
            ExitCode::SUCCESS
        }
        Err(Ending::Usage(line)) => {
            eprintln!("{}", line.trim_end());
            ExitCode::from(2)
        }
        Err(Ending::Failed(error)) => {
            eprintln!("isobar: error: {}", said_once(&error));
            ExitCode::FAILURE
        }
    }
}

/// Prints to standard output; a reader that went away is no error.
pub(crate) fn print(text: &str) {
    use std::io::Write;
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// An error and its causes in one line; a cause whose words the one above it ends with is not said again.
pub(crate) fn said_once(error: &anyhow::Error) -> String {
    let mut said = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if said.ends_with(&cause) {
            continue;
        }
        if !said.is_empty() {
            said.push_str(": ");
        }
        said.push_str(&cause);
    }
    said
}

#[cfg(test)]
mod tests {
    use super::said_once;

    #[test]
    fn causes_are_said_once() {
        let error = anyhow::anyhow!("denied").context("cannot open a: denied").context("cannot start");
        assert_eq!(said_once(&error), "cannot start: cannot open a: denied");
    }
}
