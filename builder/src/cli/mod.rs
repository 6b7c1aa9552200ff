//! The command line: flags, settings, progress, how errors look, and exit statuses.
//!
//! The only room that prints, reads the environment, or looks at the clock.

mod args;
mod commands;
mod console;
mod diagnostics;
mod durations;
mod engine;
mod fleet;
mod git;
mod keychain;
mod keys;
mod cache_lock;
mod logs;
mod mirrors;
mod network;
mod page;
mod places;
mod progress;
mod published;
mod rootless;
mod settings;
mod since;
mod timing;
mod toolchain;
mod version;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use crate::model::{Class, Diagnostics};
use args::{Cli, Command};
use console::Console;
use settings::Settings;

/// What the program knows of the process it runs in.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// Environment variables; those that are not UTF-8 are left out.
    pub variables: BTreeMap<String, String>,
    /// The working directory.
    pub working_directory: PathBuf,
    /// What the program was started with, its own name first.
    pub arguments: Vec<OsString>,
}

impl Environment {
    /// That of this process.
    pub fn of_process() -> Self {
        let text = |(name, value): (OsString, OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self {
            variables: std::env::vars_os().filter_map(text).collect(),
            working_directory: std::env::current_dir().unwrap_or_default(),
            arguments: std::env::args_os().collect(),
        }
    }

    fn get(&self, name: &str) -> Option<String> {
        self.variables
            .get(name)
            .filter(|value| !value.is_empty())
            .cloned()
    }

    fn home(&self) -> Option<PathBuf> {
        self.get("HOME").map(PathBuf::from)
    }

    /// Where users keep configuration (XDG base directories).
    fn config_home(&self) -> Option<PathBuf> {
        let named = self.get("XDG_CONFIG_HOME").map(PathBuf::from);
        named.or_else(|| Some(self.home()?.join(".config")))
    }

    /// Where users keep what can be made again.
    fn cache_home(&self) -> Option<PathBuf> {
        let named = self.get("XDG_CACHE_HOME").map(PathBuf::from);
        named.or_else(|| Some(self.home()?.join(".cache")))
    }
}

/// What every part of a command is told.
#[derive(Clone, Copy)]
struct Invocation<'a> {
    settings: &'a Settings,
    environment: &'a Environment,
    console: &'a Console,
}

/// How a command ended, short of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Good,
    /// An image failed.
    Failed(Class),
    Interrupted,
    /// A container ended with this status.
    Status(u8),
}

/// Runs the program: parses `arguments`, the first of which is its own name.
pub fn main(arguments: impl IntoIterator<Item = OsString>, environment: Environment) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    if rootless::is_it(arguments.first().map(OsString::as_os_str)) {
        let console = Console::new(args::ColorWhen::Auto, false, false);
        let Err(problem) = rootless::enter(&arguments);
        let status = exit_status(problem.class());
        console.problems(&problem.into());
        return ExitCode::from(status);
    }
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let status = if error.use_stderr() { 2 } else { 0 };
            return match error.print() {
                Ok(()) => ExitCode::from(status),
                Err(_) => ExitCode::from(3),
            };
        }
    };
    let console = Console::new(cli.global.color, cli.global.quiet, cli.global.verbose);
    let ended = run(&cli, &environment, &console);
    let status = match &ended {
        Ok(Ending::Good) => 0,
        Ok(Ending::Failed(class)) => exit_status(*class),
        Ok(Ending::Interrupted) => 130,
        Ok(Ending::Status(status)) => *status,
        Err(problems) => {
            console.problems(problems);
            problems
                .iter()
                .map(|p| exit_status(p.class()))
                .max()
                .unwrap_or(3)
        }
    };
    ExitCode::from(status)
}

/// The exit statuses, as `kolla --help` tells them. A panic's would be 101.
fn exit_status(class: Class) -> u8 {
    match class {
        Class::Build => 1,
        Class::Definition => 2,
        Class::Transient | Class::Environment => 3,
        Class::Interrupted => 130,
        Class::Internal => 70,
    }
}

fn run(cli: &Cli, environment: &Environment, console: &Console) -> Result<Ending, Diagnostics> {
    if let Command::Completions { shell } = &cli.command {
        let mut text = Vec::new();
        clap_complete::generate(*shell, &mut Cli::command(), "kolla", &mut text);
        return console
            .result(&String::from_utf8_lossy(&text))
            .map(|()| Ending::Good);
    }
    let settings = Settings::resolve(&cli.global, environment)?;
    let invocation = Invocation {
        settings: &settings,
        environment,
        console,
    };
    match &cli.command {
        Command::Completions { .. } => Ok(Ending::Good),
        Command::Config(args) => commands::config::run(args, &settings, console),
        Command::Keygen(args) => commands::keygen::run(args, environment, console),
        Command::Verify(args) => commands::verify::run(args, &settings, environment, console),
        Command::Lock(args) => commands::lock::run(args, invocation),
        Command::Check => commands::check::run(&settings, console),
        Command::Affected(args) => in_runtime(commands::affected::run(
            args,
            &cli.global,
            &settings,
            environment,
            console,
        )),
        Command::List(args) => commands::list::run(args, &settings, console),
        Command::Graph(args) => commands::graph::run(args, &settings, console),
        Command::Render(args) => in_runtime(commands::render::run(args, invocation)),
        Command::Plan(args) => in_runtime(commands::plan::run(args, invocation)),
        Command::Build(args) => in_runtime(commands::build::run(args, invocation)),
        Command::Push(args) => in_runtime(commands::push::run(args, invocation)),
        Command::Publish(args) => in_runtime(commands::publish::run(args, invocation)),
        Command::Rollback(args) => commands::rollback::run(args, &settings, environment, console),
        Command::Prune(args) => commands::prune::run(args, &settings, environment, console),
        Command::Releases(args) => commands::releases::run(args, &settings, environment, console),
        Command::Test(args) => in_runtime(commands::test::run(args, invocation)),
        Command::Gate(args) => in_runtime(commands::gate::run(args, &cli.global, invocation)),
        Command::Export(args) => in_runtime(commands::export::run(args, invocation)),
        Command::ExportPlan(args) => in_runtime(commands::export_plan::run(args, invocation)),
        Command::Search(args) => {
            in_runtime(commands::search::run(args, &settings, environment, console))
        }
        Command::Run(args) => in_runtime(commands::run::run(args, invocation)),
        Command::Clean(args) => {
            in_runtime(commands::clean::run(args, &settings, environment, console))
        }
    }
}

fn in_runtime(
    command: impl Future<Output = Result<Ending, Diagnostics>>,
) -> Result<Ending, Diagnostics> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| crate::model::Diagnostic::environment(format!("cannot start: {e}")))?;
    let ended = runtime.block_on(command);
    // A context that nobody reads any more may be blocked in a read; it ends with the process.
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    ended
}
