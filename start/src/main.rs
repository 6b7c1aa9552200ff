//! The program: hands its arguments, its environment and the container's file tree to the library.

#![forbid(unsafe_code)]

use std::path::Path;
use std::process::ExitCode;

use kolla_start::Host;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    let mut to = std::io::stderr();
    let status = match Host::new(Path::new("/"), std::env::vars_os().collect()) {
        Ok(mut host) => kolla_start::main(&mut host, &arguments, &mut to),
        Err(error) => error.status(),
    };
    ExitCode::from(status)
}
