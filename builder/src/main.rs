//! The `kolla` program: hands its arguments and its environment to the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    // A helper is a process of one thread, so nothing may come before this.
    let mut arguments = std::env::args_os().peekable();
    let status = arguments
        .peek()
        .and_then(|name| kolla::engine::native::helper_main(name));
    if let Some(status) = status {
        std::process::exit(status);
    }
    kolla::cli::main(arguments, kolla::cli::Environment::of_process())
}
