//! Automation: what `make` calls. `cargo xtask` alone lists the commands.
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a build tool, not part of the product")]

mod check;
mod edges;
mod fuzz;
mod machine;
mod page;
mod rust_tests;
mod step;
mod suite;
mod tidy;

use anyhow::{Result, bail};
use std::process::ExitCode;

const HELP: &str = "\
cargo xtask COMMAND

  up [FLAGS]     install what is missing, build page and binary, run `isobar up FLAGS`
  test [--fast]  everything CI runs, set-up included; --fast leaves out the browser and the originals
  check          format, lints, crate arrows, tidiness
  page           build the page into ui/dist
  fuzz [TARGET [SECONDS]]  run one fuzz target, or all, 60 s each; goes on where it stopped (`fuzz list`)
  show NAME      run one acceptance figure on the release build, append it to docs/evidence.md (`show list`)
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    std::env::set_current_dir(step::root())?;
    let rest = arguments.get(1..).unwrap_or_default();
    match arguments.first().map(String::as_str) {
        Some("up") => up(rest),
        Some("test") => suite::run(rest.iter().any(|a| a == "--fast")),
        Some("check") => check::run(),
        Some("page") => {
            machine::need("page")?;
            page::build()
        }
        Some("fuzz") => fuzz::run(rest),
        Some("show") => show(rest),
        None | Some("help" | "--help") => {
            println!("{HELP}");
            Ok(())
        }
        Some(other) => bail!("unknown command {other:?}; `cargo xtask help` lists them"),
    }
}

fn up(flags: &[String]) -> Result<()> {
    machine::need("up")?;
    page::build()?;
    step::run("binary", step::cargo(&["build", "--release", "--package", "isobar"]))?;
    let binary = step::target().join("release/isobar");
    step::replace(std::process::Command::new(binary).arg("up").args(flags))
}

fn show(arguments: &[String]) -> Result<()> {
    if matches!(arguments.first().map(String::as_str), None | Some("list")) {
        // the names are in the program: no release build for them
        return step::run(
            "show",
            step::cargo(&["run", "--quiet", "--package", "testkit", "--bin", "show", "--", "list"]),
        );
    }
    machine::need("test")?;
    page::build()?;
    step::run("binary", step::cargo(&["build", "--release", "--package", "isobar"]))?;
    let binary = step::target().join("release/isobar");
    let mut command = step::cargo(&["run", "--release", "--quiet", "--package", "testkit", "--bin", "show", "--"]);
    command.args(arguments).env("ISOBAR_BINARY", binary);
    step::run("show", command)
}
