//! The `kolla` program: hands its arguments and its environment to the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    kolla::cli::main(std::env::args_os(), kolla::cli::Environment::of_process())
}
