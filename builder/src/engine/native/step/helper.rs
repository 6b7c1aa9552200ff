//! What the helper process does, from its start to the step's end.

use std::io::{self, PipeReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::spec::{Action, Failure, Spec};
use super::{process, rootfs, transfer};
use crate::sys::{
    Forked, Kernel, Linux, Namespaces, close_inherited, die_with_parent, exit, fork,
    leave_session_keyring, wait,
};

/// The name under which the program starts itself as a helper.
pub(in super::super) const HELPER: &str = "kolla-step";

/// A step that could not be done; why is in the answer.
const FAILED: i32 = 125;

/// The largest description of a step taken.
const MAX_SPEC: u32 = 64 << 20;

/// The whole life of a helper; its status is the step's. To be called first of all in a process
/// whose standard input is the socket of [`super::Launcher`].
pub(in super::super) fn main() -> i32 {
    // Before anything else; should our parent be gone by then, the socket shows it.
    let _ = die_with_parent();
    let Ok(socket) = socket() else {
        return FAILED;
    };
    match step(&socket) {
        Ok(status) => status,
        Err(failure) => {
            answer(&socket, &failure);
            FAILED
        }
    }
}

/// The socket, moved out of the way of the step's standard input, which is an empty pipe.
fn socket() -> io::Result<UnixStream> {
    let socket = rustix::io::fcntl_dupfd_cloexec(io::stdin(), 10)?;
    close_inherited(socket.as_fd())?;
    let (empty, _) = io::pipe()?;
    rustix::stdio::dup2_stdin(&empty)?;
    Ok(UnixStream::from(socket))
}

fn receive(mut socket: &UnixStream) -> io::Result<Spec> {
    let mut length = [0; 4];
    socket.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if length > MAX_SPEC {
        return Err(io::Error::other("it is too long"));
    }
    let mut text = vec![0; length as usize];
    socket.read_exact(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

/// Whether nobody has the other end any more.
fn is_closed(end: impl AsFd) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut asked = [PollFd::new(&end, PollFlags::empty())];
    let at_once = Timespec::default();
    poll(&mut asked, Some(&at_once)).is_ok() && asked[0].revents().contains(PollFlags::HUP)
}

pub(super) fn answer(mut socket: &UnixStream, failure: &Failure) {
    if let Ok(text) = serde_json::to_vec(failure) {
        let _ = socket.write_all(&text);
    }
}

fn step(socket: &UnixStream) -> Result<i32, Failure> {
    let spec = receive(socket).map_err(|e| Failure::system("no step was given", &e))?;
    if is_closed(socket) {
        return Err(Failure::asked("nobody waits for the step"));
    }
    let kernel = Linux;
    match &spec.action {
        Action::Run(run) => {
            let failed = |e: &io::Error| Failure::system("cannot make namespaces", e);
            kernel.unshare(Namespaces::NEWPID).map_err(|e| failed(&e))?;
            // Its processes end with this one: it stays what it is, while the step's own first
            // process may become another user, and then would outlive us.
            let (ours, alive) = io::pipe().map_err(|e| failed(&e))?;
            let warden = fork().map_err(|e| failed(&e))?;
            match warden {
                Forked::Parent(pid) => {
                    let ended = wait(pid).map_err(|e| failed(&e))?;
                    drop(alive);
                    Ok(ended.status())
                }
                Forked::Child => {
                    drop(alive);
                    let done = warden_main(&kernel, &spec, run, socket, ours);
                    let status = done.unwrap_or_else(|f| {
                        answer(socket, &f);
                        FAILED
                    });
                    exit(status)
                }
            }
        }
        Action::Transfer(copy) => {
            let trees = confine(&kernel, &spec, Some(copy))?;
            transfer::run(copy, &trees)?;
            Ok(0)
        }
        Action::Folder { path, owner } => {
            confine(&kernel, &spec, None)?;
            transfer::make_folder(path, owner.as_ref())?;
            Ok(0)
        }
    }
}

/// Moves into the root file system of a step that runs no command.
fn confine(
    kernel: &dyn Kernel,
    spec: &Spec,
    copy: Option<&super::Transfer>,
) -> Result<Vec<std::os::fd::OwnedFd>, Failure> {
    let unshared = kernel
        .unshare(Namespaces::NEWNS)
        .and_then(|()| kernel.make_private());
    unshared.map_err(|e| Failure::system("cannot make namespaces", &e))?;
    let root = rootfs::mount(kernel, spec)?;
    let mut trees = Vec::new();
    for (number, source) in copy.iter().flat_map(|copy| &copy.sources).enumerate() {
        trees.push(rootfs::open_tree(kernel, spec, &source.tree, number)?);
    }
    kernel
        .pivot_root(&root)
        .map_err(|e| Failure::system("cannot enter the root file system", &e))?;
    Ok(trees)
}

/// The first process of the outer pid namespace: it makes the inner ones, waits, and takes away
/// what was only there to be mounted on.
fn warden_main(
    kernel: &dyn Kernel,
    spec: &Spec,
    run: &super::Run,
    socket: &UnixStream,
    parent: PipeReader,
) -> Result<i32, Failure> {
    let failed = |e: &io::Error| Failure::system("cannot make namespaces", e);
    die_with_parent().map_err(|e| failed(&e))?;
    if is_closed(&parent) {
        return Err(Failure::asked("the helper was ended"));
    }
    drop(parent);
    // No terminal: a step could type on it what it likes, and read what its user types.
    rustix::process::setsid().map_err(|e| failed(&e.into()))?;
    leave_session_keyring().map_err(|e| Failure::system("cannot leave the session keyring", &e))?;
    let mut namespaces =
        Namespaces::NEWNS | Namespaces::NEWPID | Namespaces::NEWIPC | Namespaces::NEWUTS;
    if run.isolated {
        namespaces |= Namespaces::NEWNET;
    }
    kernel.unshare(namespaces).map_err(|e| failed(&e))?;
    kernel.make_private().map_err(|e| failed(&e))?;
    let (mut made, making) = io::pipe().map_err(|e| failed(&e))?;
    match fork().map_err(|e| failed(&e))? {
        Forked::Child => {
            drop(made);
            let failure = process::become_it(kernel, spec, run, making);
            answer(socket, &failure);
            exit(FAILED)
        }
        Forked::Parent(pid) => {
            drop(making);
            let mut stubs = Vec::new();
            made.read_to_end(&mut stubs).map_err(|e| failed(&e))?;
            let ended = wait(pid).map_err(|e| failed(&e))?;
            rootfs::remove_stubs(Path::new("/"), &stubs);
            Ok(ended.status())
        }
    }
}
