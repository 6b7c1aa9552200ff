//! Starting a helper, following what it prints, and ending it.

use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::helper::HELPER;
use super::spec::{Failure, Spec};
use rustix::process::{Pid, Signal};

/// Ends what goes on, from another thread.
#[derive(Debug, Default)]
pub(in super::super) struct Cancel {
    cancelled: AtomicBool,
    /// The helper that runs now; taken out before it is waited for, since its number is free then.
    helper: Mutex<Option<Pid>>,
}

impl Cancel {
    /// Ends the helper that runs now and lets no other start.
    pub(in super::super) fn cancel(&self) {
        self.cancelled.store(true, Ordering::SeqCst);
        let helper = self.helper.lock();
        if let Some(pid) = helper.ok().and_then(|helper| *helper) {
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
    }

    /// Whether it was called for.
    pub(in super::super) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::SeqCst)
    }

    fn set(&self, pid: Option<Pid>) {
        if let Ok(mut helper) = self.helper.lock() {
            *helper = pid;
        }
    }
}

/// Starts helpers.
#[derive(Debug, Clone)]
pub(in super::super) struct Launcher {
    program: PathBuf,
}

impl Launcher {
    /// `program` is this program, or another that hands its life to [`super::main`] when it is
    /// called [`HELPER`].
    pub(in super::super) fn new(program: PathBuf) -> Self {
        Self { program }
    }

    /// Runs a step to its end and returns its exit status; `output` gets what it prints. The
    /// calling thread must live as long: the helper ends with it.
    ///
    /// # Errors
    /// When it could not be run at all.
    pub(in super::super) fn run(
        &self,
        spec: &Spec,
        cancel: &Cancel,
        mut output: impl FnMut(&[u8]),
    ) -> Result<i32, Failure> {
        let wrong = |e: io::Error| Failure::system("cannot start a step", &e);
        for name in ["upper", "work", "root"] {
            std::fs::create_dir_all(spec.scratch.join(name)).map_err(wrong)?;
        }
        let (mut socket, theirs) = UnixStream::pair().map_err(wrong)?;
        let (mut printed, printing) = io::pipe().map_err(wrong)?;
        let mut command = Command::new(&self.program);
        command
            .arg0(HELPER)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(printing.try_clone().map_err(wrong)?)
            .stderr(printing)
            // A Ctrl-C on the terminal is for us to pass on.
            .process_group(0);
        let mut child = command.spawn().map_err(wrong)?;
        // With it, its copies of the sockets' and pipes' other ends.
        drop(command);
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        cancel.set(pid);
        if cancel.is_cancelled() {
            cancel.cancel();
        }
        let text = serde_json::to_vec(spec)
            .map_err(|e| Failure::asked(format!("a step cannot be described: {e}")))?;
        // Should it have died already, its status says so.
        let _ = u32::try_from(text.len())
            .map_err(io::Error::other)
            .and_then(|length| socket.write_all(&length.to_le_bytes()))
            .and_then(|()| socket.write_all(&text));
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count) = printed.read(&mut buffer) {
            if count == 0 {
                break;
            }
            output(&buffer[..count]);
        }
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer);
        cancel.set(None);
        let status = child.wait().map_err(wrong)?;
        if let Ok(failure) = serde_json::from_slice::<Failure>(&answer) {
            return Err(failure);
        }
        match status.code() {
            Some(status) => Ok(status),
            None => Err(Failure::asked(format!("the step was ended: {status}"))),
        }
    }
}
