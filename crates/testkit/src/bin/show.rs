//! `show NAME`: one acceptance figure against the binary in `ISOBAR_BINARY`; `show list`: their names and bounds.
#![expect(clippy::print_stdout, reason = "a tool on the command line")]

use std::process::ExitCode;
use testkit::show;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.is_empty() || arguments == ["list"] {
        for show in show::SHOWS {
            println!("{:<18} {}", show.name, show.bound);
        }
        return ExitCode::SUCCESS;
    }
    let mut code = ExitCode::SUCCESS;
    for name in &arguments {
        if let Err(error) = show::run(name) {
            eprintln!("show {name}: {error:#}");
            code = ExitCode::FAILURE;
        }
    }
    code
}
