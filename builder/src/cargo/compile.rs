//! A program compiled.

use std::collections::VecDeque;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::files;
use super::flags::{self, PROFILE};
use super::toolchain::{self, Toolchain};
use super::{Package, Program, elf};
use crate::model::{Class, Diagnostic, Location, Platform};
use crate::process;

/// How many of the last lines of cargo's are looked at for what a failure means.
const TAIL: usize = 40;

/// What the network says when it is at fault, by cargo and by git.
const OFFLINE: [&str; 8] = [
    "Could not resolve",
    "Couldn't resolve",
    "spurious network error",
    "Connection",
    "Timeout was reached",
    "timed out",
    "failed to get successful HTTP response",
    "download of config.json failed",
];

impl Program {
    /// The name that a compiled program is kept under: of what is compiled, for what, and by which
    /// compiler.
    ///
    /// # Errors
    /// Environment where there is no compiler, or it does not work.
    pub async fn key(
        &self,
        toolchain: Option<&Toolchain>,
        platform: &Platform,
    ) -> Result<String, Diagnostic> {
        let toolchain = toolchain.ok_or_else(|| toolchain::missing(&self.bin))?;
        Ok(format!(
            "{}-{}-{}",
            triple(platform)?,
            self.inputs.digest().hex(),
            &toolchain.compiler().await?.hex()[..16]
        ))
    }

    /// Compiles the program into `file`. Everything else that is written is below `scratch`. Each line
    /// that cargo prints is handed to `line`.
    ///
    /// # Errors
    /// Build where it does not compile, or comes out as it must not be; definition where the crate is
    /// not what it was read as; transient where a package cannot be downloaded; environment where the
    /// machine lacks something.
    pub async fn compile(
        &self,
        toolchain: Option<&Toolchain>,
        platform: &Platform,
        scratch: &Path,
        file: &Path,
        line: &(dyn Fn(&str) + Sync),
    ) -> Result<(), Diagnostic> {
        let toolchain = toolchain.ok_or_else(|| toolchain::missing(&self.bin))?;
        let triple = triple(platform)?;
        self.unchanged()?;
        self.in_workspace(toolchain).await?;
        let target = scratch
            .canonicalize()
            .map_err(|e| unwritable(scratch, &e))?
            .join("target");
        let home = toolchain.home();
        let real_home = home.canonicalize().unwrap_or_else(|_| home.to_path_buf());
        loop {
            let registries = toolchain::registries(home);
            let mut remapped = vec![
                (self.place.workspace.as_path(), "/source"),
                (real_home.as_path(), "/cargo"),
                (home, "/cargo"),
            ];
            remapped.extend(
                registries
                    .iter()
                    .map(|path| (path.as_path(), "/cargo/registry")),
            );
            remapped.push((target.as_path(), "/target"));
            self.build(toolchain, triple, &target, &flags::encoded(&remapped), line)
                .await?;
            // A registry that was reached for the first time is not yet among the flags.
            if toolchain::registries(home) != registries {
                continue;
            }
            let made = target.join(triple).join("release").join(&self.bin);
            self.reads_nothing_else(&made, &target)?;
            self.unchanged()?;
            let program = std::fs::read(&made).map_err(|e| {
                Diagnostic::environment(format!("cannot read {}: {e}", made.display()))
            })?;
            self.judge(&program, &remapped)?;
            return keep(&program, file).map_err(|e| unwritable(file, &e));
        }
    }

    async fn build(
        &self,
        toolchain: &Toolchain,
        triple: &str,
        target: &Path,
        flags: &std::ffi::OsStr,
        line: &(dyn Fn(&str) + Sync),
    ) -> Result<(), Diagnostic> {
        let mut command = toolchain.cargo();
        command
            .args(["build", "--release", "--locked"])
            .args(["--package", &self.package, "--bin", &self.bin])
            .args(["--target", triple])
            .arg("--manifest-path")
            .arg(self.place.folder.join("Cargo.toml"))
            .env("CARGO_TARGET_DIR", target)
            .env("CARGO_ENCODED_RUSTFLAGS", flags)
            .envs(PROFILE);
        let linker = toolchain::linker_variable(triple);
        if toolchain.host().await? != triple && toolchain.variable(&linker).is_none() {
            command.env(linker, cross_linker(triple));
        }
        let (mut tail, mut first_error) = (VecDeque::new(), None);
        let mut note = |text: &str| {
            line(text);
            if first_error.is_none() && text.starts_with("error") {
                first_error = Some(text.to_owned());
            }
            tail.push_back(text.to_owned());
            if tail.len() > TAIL {
                tail.pop_front();
            }
        };
        let status = process::run(command, &mut note)
            .await
            .map_err(|e| match e.kind() {
                std::io::ErrorKind::NotFound => toolchain::missing(&self.bin),
                _ => Diagnostic::environment(format!("cannot run cargo: {e}")),
            })?;
        if status.success() {
            return Ok(());
        }
        let problem = self.failed(triple, &tail.make_contiguous().join("\n"));
        // The rest stands in the image's log, whose end is shown.
        Err(first_error.into_iter().fold(problem, Diagnostic::note))
    }

    /// What it means that cargo failed, by what it says last.
    fn failed(&self, triple: &str, output: &str) -> Diagnostic {
        let says = |sign: &str| output.contains(sign);
        let (class, hint) = if OFFLINE.iter().any(|sign| says(sign)) {
            (
                Class::Transient,
                Some(
                    "cargo downloads the packages of Cargo.lock: a proxy is named by https_proxy"
                        .to_owned(),
                ),
            )
        } else if says("because --locked was passed") {
            (
                Class::Definition,
                Some("Cargo.lock is not what the Cargo.toml needs: `cargo update --workspace` there, and commit it".to_owned()),
            )
        } else if says("can't find crate for `core`")
            || says("can't find crate for `std`")
            || says("target may not be installed")
        {
            (
                Class::Environment,
                Some(format!("install the target: `rustup target add {triple}`")),
            )
        } else if says("linker `") && says("not found") {
            (
                Class::Environment,
                Some(format!(
                    "install a C compiler for {triple}, or name one with {}",
                    toolchain::linker_variable(triple)
                )),
            )
        } else if says("cannot find -lc") || says("unable to find library -lc") {
            (
                Class::Environment,
                Some("install the C library for static linking: on Debian `libc6-dev`".to_owned()),
            )
        } else if says("No space left on device") {
            (
                Class::Environment,
                Some("free some space there, or name another folder with --cache-dir".to_owned()),
            )
        } else {
            (Class::Build, None)
        };
        Diagnostic::new(class, format!("cargo cannot compile `{}`", self.bin)).maybe_hint(hint)
    }

    /// The crate is still as it was when its fingerprint was taken.
    fn unchanged(&self) -> Result<(), Diagnostic> {
        let now = Package::at(self.place.clone())?.program(Some(&self.bin))?;
        if now.inputs == self.inputs {
            return Ok(());
        }
        Err(Diagnostic::definition(format!(
            "the crate of `{}` changed while images were built",
            self.bin
        ))
        .hint("build once more: what is built then is what is there now"))
    }

    /// Cargo takes the Cargo.lock of the workspace, so that must be the one that was read.
    async fn in_workspace(&self, toolchain: &Toolchain) -> Result<(), Diagnostic> {
        let manifest = self.place.folder.join("Cargo.toml");
        let mut command = toolchain.cargo();
        command
            .args(["locate-project", "--workspace", "--message-format", "plain"])
            .arg("--manifest-path")
            .arg(&manifest);
        let cannot = |e: std::io::Error| match e.kind() {
            std::io::ErrorKind::NotFound => toolchain::missing(&self.bin),
            _ => Diagnostic::environment(format!("cannot run cargo: {e}")),
        };
        let (status, found) = process::output(command).await.map_err(cannot)?;
        let found = PathBuf::from(found.trim_end_matches('\n'));
        // A manifest that cargo cannot read is told by the compilation.
        if !status.success() || found.parent() == Some(&self.place.workspace) {
            return Ok(());
        }
        Err(Diagnostic::definition(format!(
            "cargo takes the Cargo.lock beside `{}`",
            self.place.shown(&found).display()
        ))
        .at(Location::file(
            self.place.shown(&self.place.workspace.join("Cargo.lock")),
        ))
        .hint("remove this one, or keep the crate out of that workspace with `exclude`"))
    }

    /// What the compiler has read of the repository are the crate's own files: all others would change
    /// the program and not the fingerprint.
    fn reads_nothing_else(&self, made: &Path, target: &Path) -> Result<(), Diagnostic> {
        let mut list = made.as_os_str().to_owned();
        list.push(".d");
        let text = std::fs::read_to_string(&list)
            .map_err(|e| Diagnostic::environment(format!("cannot read {}: {e}", list.display())))?;
        let foreign = read_files(&text).into_iter().find(|path| {
            let real = path.canonicalize().unwrap_or_else(|_| path.clone());
            let own = real.strip_prefix(&self.place.folder);
            !own.is_ok_and(files::counts) && !real.starts_with(target)
        });
        match foreign {
            None => Ok(()),
            Some(path) => Err(Diagnostic::definition(format!(
                "`{}` is made from a file that does not count for the image, {}",
                self.bin,
                self.place.shown(&path).display()
            ))
            .hint("move it into the crate, and out of its tests, benches and examples")),
        }
    }

    fn judge(&self, program: &[u8], remapped: &flags::Remapped<'_>) -> Result<(), Diagnostic> {
        if !elf::is_static(program) {
            return Err(Diagnostic::new(
                Class::Build,
                format!("`{}` came out with a need for shared libraries", self.bin),
            )
            .hint("a build script or the configuration in CARGO_HOME undoes static linking"));
        }
        match flags::held(program, remapped) {
            None => Ok(()),
            Some(path) => Err(Diagnostic::new(
                Class::Build,
                format!(
                    "`{}` came out with a path of this machine in it, {}",
                    self.bin,
                    path.display()
                ),
            )
            .hint("is `env!(\"CARGO_MANIFEST_DIR\")` or `env!(\"OUT_DIR\")` a text in it?")),
        }
    }
}

/// The files that stand behind the colon in what cargo writes beside a program; a space in a name is
/// `\ `.
fn read_files(text: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let all = text.lines().filter_map(|line| line.split_once(": "));
    for (_, list) in all {
        let mut name = String::new();
        let mut characters = list.chars();
        while let Some(c) = characters.next() {
            match c {
                '\\' => name.extend(characters.next()),
                ' ' => files.push(std::mem::take(&mut name)),
                c => name.push(c),
            }
        }
        files.push(name);
    }
    files.retain(|name| !name.is_empty());
    files.into_iter().map(PathBuf::from).collect()
}

/// The compiler's name for a platform.
fn triple(platform: &Platform) -> Result<&'static str, Diagnostic> {
    match platform.architecture() {
        "amd64" => Ok("x86_64-unknown-linux-gnu"),
        "arm64" => Ok("aarch64-unknown-linux-gnu"),
        _ => Err(
            Diagnostic::definition(format!("programs are not compiled for {platform}"))
                .hint("a `crate` source is for linux/amd64 and linux/arm64"),
        ),
    }
}

/// The linker as Debian calls it.
fn cross_linker(triple: &str) -> String {
    let architecture = triple.split('-').next().unwrap_or(triple);
    format!("{architecture}-linux-gnu-gcc")
}

fn keep(program: &[u8], file: &Path) -> std::io::Result<()> {
    let mut out = std::fs::File::create(file)?;
    std::io::Write::write_all(&mut out, program)?;
    out.set_permissions(std::fs::Permissions::from_mode(0o755))?;
    out.sync_all()
}

fn unwritable(path: &Path, error: &std::io::Error) -> Diagnostic {
    Diagnostic::environment(format!("cannot write {}: {error}", path.display()))
        .hint("free some space there, or name another folder with --cache-dir")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_spaces_are_read_whole() {
        let text = "/t/release/x: /a/src/main.rs /a\\ b/c.rs\n\n";
        assert_eq!(
            read_files(text),
            [PathBuf::from("/a/src/main.rs"), PathBuf::from("/a b/c.rs")]
        );
        assert!(read_files("/t/x:\n").is_empty());
    }
}
