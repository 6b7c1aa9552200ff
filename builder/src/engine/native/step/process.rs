//! From a fresh pid namespace to the step's command.

use std::ffi::CString;
use std::io::{PipeWriter, Write as _};
use std::path::{Path, PathBuf};

use super::identity::Accounts;
use super::rootfs;
use super::spec::{Failure, Run, Spec};
use super::transfer::make_folder;
use crate::sys::{Kernel, die_with_parent, exec};

/// The capabilities that Docker leaves a container (`oci/caps` in moby/moby), by number:
/// CAP_CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP, NET_BIND_SERVICE,
/// NET_RAW, SYS_CHROOT, MKNOD, AUDIT_WRITE, SETFCAP.
const CAPABILITIES: [u32; 14] = [0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31];

/// Becomes the step's command; returns only when it cannot. `making` gets the list of what was made
/// to be mounted on.
pub(super) fn become_it(
    kernel: &dyn Kernel,
    spec: &Spec,
    run: &Run,
    mut making: PipeWriter,
) -> Failure {
    let mut ready = || -> Result<Command, Failure> {
        let wrong = |what: &'static str| move |e: std::io::Error| Failure::system(what, &e);
        die_with_parent().map_err(wrong("cannot tie the step to its parent"))?;
        let root = rootfs::mount(kernel, spec)?;
        let prepared = rootfs::prepare(kernel, spec, run)?;
        kernel
            .pivot_root(&root)
            .map_err(wrong("cannot enter the root file system"))?;
        // Before anything is mounted: it stays, unlike what is made to be mounted on.
        make_folder(&run.directory, None)?;
        let stubs = rootfs::furnish(kernel, run, &prepared)?;
        making
            .write_all(&stubs)
            .map_err(wrong("cannot tell what was made to be mounted on"))?;
        drop(prepared);
        kernel
            .set_hostname(&run.hostname)
            .map_err(wrong("cannot set the host name"))?;
        if run.isolated {
            kernel
                .loopback_up()
                .map_err(wrong("cannot turn the loopback device on"))?;
        }
        let (identity, home) = Accounts::read(Path::new("/")).identity(&run.user)?;
        std::env::set_current_dir(&run.directory)
            .map_err(|e| Failure::system(format!("cannot enter {}", run.directory), &e))?;
        kernel
            .limit_capabilities(&CAPABILITIES)
            .map_err(wrong("cannot give up capabilities"))?;
        kernel
            .become_user(&identity)
            .map_err(wrong("cannot become the step's user"))?;
        die_with_parent().map_err(wrong("cannot tie the step to its parent"))?;
        command(run, &home)
    };
    match ready() {
        Err(failure) => failure,
        Ok(command) => {
            rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
            let error = exec(&command.program, &command.arguments, &command.environment);
            let program = run
                .arguments
                .first()
                .map(String::as_str)
                .unwrap_or_default();
            let missing = error.kind() == std::io::ErrorKind::NotFound;
            Failure::command(
                if missing { 127 } else { 126 },
                format!("cannot execute `{program}`: {}", reason(&error)),
            )
        }
    }
}

/// The system's words without its number.
fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_lowercase(),
        None => text,
    }
}

/// What the kernel is given to execute.
struct Command {
    program: CString,
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

fn command(run: &Run, home: &str) -> Result<Command, Failure> {
    let program = run
        .arguments
        .first()
        .ok_or_else(|| Failure::asked("there is no command to run"))?;
    let mut environment = run.environment.clone();
    if !environment.iter().any(|e| e.starts_with("HOME=")) {
        environment.push(format!("HOME={home}"));
    }
    let path = environment
        .iter()
        .find_map(|e| e.strip_prefix("PATH="))
        .unwrap_or_default();
    let text =
        |text: &str| CString::new(text).map_err(|_| Failure::asked("a command holds a zero byte"));
    let all = |list: &[String]| list.iter().map(|t| text(t)).collect::<Result<Vec<_>, _>>();
    Ok(Command {
        program: text(&find(program, path)?.to_string_lossy())?,
        arguments: all(&run.arguments)?,
        environment: all(&environment)?,
    })
}

/// The file that a program's name means, by `PATH` where it holds no slash.
fn find(program: &str, path: &str) -> Result<PathBuf, Failure> {
    if program.contains('/') {
        return Ok(PathBuf::from(program));
    }
    let executable = |file: &PathBuf| {
        file.is_file() && rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok()
    };
    path.split(':')
        .filter(|folder| !folder.is_empty())
        .map(|folder| Path::new(folder).join(program))
        .find(executable)
        .ok_or_else(|| {
            Failure::command(
                127,
                format!(
                    "`{program}` is not in the image: no executable of that name in PATH ({path})"
                ),
            )
        })
}
