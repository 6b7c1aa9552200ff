//! `kolla` as a person runs it, with a home and a cache of its own and nothing of ours around it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::{Docker, Fleet};

/// A person at a fleet.
#[derive(Debug)]
pub struct Kolla {
    folder: PathBuf,
    home: TempDir,
    variables: Vec<(OsString, OsString)>,
}

/// The variables that say where cargo and rustup keep things, for a program that sees another home than
/// the tests.
pub fn rust_homes() -> [(&'static str, String); 2] {
    let home = std::env::var("HOME").unwrap();
    [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")].map(|(name, usual)| {
        let place = std::env::var(name).unwrap_or_else(|_| format!("{home}/{usual}"));
        (name, place)
    })
}

impl Kolla {
    /// In a fleet's folder, with an engine, tagging in the fleet's own namespace.
    pub fn new(fleet: &Fleet, docker: &Docker) -> Self {
        Self::without_engine(fleet)
            .with("DOCKER_HOST", &docker.host)
            .with("KOLLA_NAMESPACE", &fleet.namespace)
    }

    /// In a fleet's folder, on a machine without any engine.
    pub fn without_engine(fleet: &Fleet) -> Self {
        Self::at(fleet.root())
    }

    /// In any folder, on a machine without any engine.
    pub fn at(folder: &Path) -> Self {
        let home = tempfile::tempdir().unwrap();
        let nowhere = format!("unix://{}", home.path().join("no-engine.sock").display());
        let path = std::env::var("PATH").unwrap();
        fs::create_dir(home.path().join("tmp")).unwrap();
        Self {
            folder: folder.to_path_buf(),
            home,
            variables: Vec::new(),
        }
        .with("PATH", &path)
        .with("DOCKER_HOST", &nowhere)
        .with_rust()
    }

    fn with_rust(mut self) -> Self {
        for (name, place) in rust_homes() {
            self = self.with(name, &place);
        }
        self
    }

    /// With an environment variable; a later one counts.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// The home folder.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Where it keeps what it can make again.
    pub fn cache(&self) -> PathBuf {
        self.home().join(".cache/kolla")
    }

    /// Writes Docker's configuration.
    pub fn docker_config(&self, config: &Value) {
        let folder = self.home().join(".docker");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("config.json"), config.to_string()).unwrap();
    }

    /// The command line, to be run in some special way.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command
            .args(arguments)
            .current_dir(&self.folder)
            .env_clear()
            .env("HOME", self.home())
            .env("TMPDIR", self.home().join("tmp"))
            .env("LC_ALL", "C.UTF-8")
            // A backtrace would show even where none was asked for.
            .env("RUST_BACKTRACE", "1")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    /// Runs it to its end. However that is, it leaves nothing half done behind.
    pub fn run(&self, arguments: &[&str]) -> Run {
        let run = Run::new(arguments, self.command(arguments).output().unwrap());
        let temporary = fs::read_dir(self.home().join("tmp")).unwrap().count();
        assert_eq!(temporary, 0, "temporary files are left behind by\n{run}");
        for source in fs::read_dir(self.cache().join("sources"))
            .into_iter()
            .flatten()
        {
            let name = source.unwrap().file_name();
            assert!(
                !name.to_string_lossy().starts_with("partial-"),
                "{name:?} is left behind by\n{run}"
            );
        }
        run
    }

    /// Runs it to its end, which must be good.
    pub fn ok(&self, arguments: &[&str]) -> Run {
        self.run(arguments).exits(0)
    }

    /// Starts it, to be disturbed.
    pub fn start(&self, arguments: &[&str]) -> Started {
        let mut command = self.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Started {
            arguments: arguments.iter().map(|a| (*a).to_owned()).collect(),
            child: Some(command.spawn().unwrap()),
        }
    }
}

/// The program, beside these tests unless `KOLLA_TEST_PROGRAM` names another.
pub fn program() -> PathBuf {
    if let Some(program) = std::env::var_os("KOLLA_TEST_PROGRAM") {
        return program.into();
    }
    let test = std::env::current_exe().unwrap();
    let program = test.parent().and_then(Path::parent).unwrap().join("kolla");
    assert!(
        program.exists(),
        "{} is missing: cargo build --release first",
        program.display()
    );
    program
}

/// A run that is under way; it ends with the test at the latest.
#[derive(Debug)]
pub struct Started {
    arguments: Vec<String>,
    child: Option<Child>,
}

impl Drop for Started {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Started {
    /// Sends a signal by its name, such as `INT`.
    pub fn signal(&self, name: &str) {
        let id = self.child.as_ref().unwrap().id().to_string();
        let status = Command::new("kill").args(["-s", name, &id]).status();
        assert!(status.unwrap().success());
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.as_mut().unwrap().try_wait().unwrap().is_none()
    }

    /// Waits for its end. One that does not end by itself is killed, which shows in its status.
    pub fn wait(mut self) -> Run {
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        let child = self.child.take().unwrap();
        let id = child.id().to_string();
        let (ended, ends) = std::sync::mpsc::channel::<()>();
        let guard = std::thread::spawn(move || {
            if ends.recv_timeout(Duration::from_secs(120)) == Err(RecvTimeoutError::Timeout) {
                Command::new("kill")
                    .args(["-s", "KILL", &id])
                    .status()
                    .unwrap();
            }
        });
        let output = child.wait_with_output().unwrap();
        drop(ended);
        guard.join().unwrap();
        Run::new(&arguments, output)
    }
}

/// How a run ended and what it said.
#[derive(Debug, Clone)]
pub struct Run {
    line: String,
    /// The exit status; none where a signal ended it.
    pub status: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Run {
    fn new(arguments: &[&str], output: Output) -> Self {
        let run = Self {
            line: format!("kolla {}", arguments.join(" ")),
            status: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        };
        // Whatever happens, it is told in the program's own words.
        for sign in [
            "panicked",
            "RUST_BACKTRACE",
            "stack backtrace",
            "internal error",
        ] {
            assert!(!run.all().contains(sign), "{run}");
        }
        run
    }

    /// Both streams.
    pub fn all(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// Asserts the exit status.
    pub fn exits(self, status: i32) -> Self {
        assert_eq!(self.status, Some(status), "{self}");
        self
    }

    /// Asserts that standard error has a text.
    pub fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "no {text:?} in\n{self}");
        self
    }

    /// Asserts that standard error is this message and no other.
    pub fn says_only(self, text: &str) {
        assert_eq!(self.stderr.trim_end(), text.trim_end(), "{self}");
    }

    /// Asserts that neither stream has a text.
    pub fn hides(self, text: &str) -> Self {
        assert!(!self.all().contains(text), "{text:?} in\n{self}");
        self
    }

    /// Standard output as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}\n{self}"))
    }

    /// Of a summary: the names of the images that ended so, in its order.
    pub fn images(&self, status: &str) -> Vec<String> {
        self.named(&self.json(), "status", status)
    }

    /// Of a plan: the names of the images for which it has this action, in its order.
    pub fn planned(&self, action: &str) -> Vec<String> {
        self.named(&self.json(), "action", action)
    }

    fn named(&self, json: &Value, key: &str, value: &str) -> Vec<String> {
        let images = json["images"]
            .as_array()
            .unwrap_or_else(|| panic!("{self}"));
        let chosen = images.iter().filter(|image| image[key] == value);
        chosen
            .map(|image| image["image"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Of a summary: what it says of an image.
    pub fn image(&self, name: &str) -> Value {
        let json = self.json();
        let mut images = json["images"].as_array().unwrap().iter();
        let found = images.find(|image| image["image"] == name);
        found.unwrap_or_else(|| panic!("no {name}\n{self}")).clone()
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "$ {}", self.line)?;
        writeln!(
            f,
            "--- exit status: {:?}\n--- standard output:\n{}",
            self.status, self.stdout
        )?;
        write!(f, "--- standard error:\n{}", self.stderr)
    }
}
