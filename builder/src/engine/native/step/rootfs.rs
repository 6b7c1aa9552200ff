//! The root file system of a step: its overlay, and what is mounted in it for a command.

use std::io::Write as _;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::mount::UnmountFlags;

use super::super::store::EMPTY;
use super::spec::{Failure, Mount, MountKind, Run, Spec, Tree};
use super::transfer::follow;
use super::tree::Root;
use crate::sys::{Kernel, MountFlags};

/// mount(2) takes no more than a page of options, which is what limits the number of layers.
const MAX_OPTIONS: usize = 4095;

const QUIET: MountFlags = MountFlags::NOSUID
    .union(MountFlags::NODEV)
    .union(MountFlags::NOEXEC);

/// Files of the host that are devices in every container.
const DEVICES: [&str; 6] = ["full", "null", "random", "tty", "urandom", "zero"];

/// Links in `/dev`.
const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("ptmx", "pts/ptmx"),
    ("stderr", "/proc/self/fd/2"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
];

/// What of the kernel a container does not see (Docker's `MaskedPaths`).
const MASKED: [&str; 11] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/firmware",
];

/// What of the kernel it cannot change (Docker's `ReadonlyPaths`).
const READONLY: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// Mounts a step's overlay and returns where; the caller is in a mount namespace of its own.
pub(super) fn mount(kernel: &dyn Kernel, spec: &Spec) -> Result<PathBuf, Failure> {
    overlay(kernel, spec, &spec.lower, &spec.scratch)?;
    Ok(spec.scratch.join("root"))
}

/// An overlay of layers on `folder/root`, whose changes go to `folder/upper`.
fn overlay(
    kernel: &dyn Kernel,
    spec: &Spec,
    lower: &[String],
    folder: &Path,
) -> Result<(), Failure> {
    // Names relative to the layers, so that many of them fit into one page of options, and so that
    // the folder's own name may hold commas and colons.
    std::env::set_current_dir(&spec.snapshots)
        .map_err(|e| Failure::system(format!("cannot enter {}", spec.snapshots.display()), &e))?;
    let scratch = relative(folder, &spec.snapshots)?;
    let mut layers: Vec<&str> = lower.iter().map(String::as_str).collect();
    // For an image without layers.
    layers.push(EMPTY);
    let marks = if spec.user_marks {
        ",userxattr"
    } else {
        ",redirect_dir=off,metacopy=off"
    };
    let options = format!(
        "lowerdir={},upperdir={scratch}/upper,workdir={scratch}/work,volatile,index=off{marks}",
        layers.join(":"),
    );
    mount_overlay(kernel, &options, &folder.join("root"), lower.len())
}

fn mount_overlay(
    kernel: &dyn Kernel,
    options: &str,
    target: &Path,
    layers: usize,
) -> Result<(), Failure> {
    if options.len() > MAX_OPTIONS {
        return Err(Failure::asked(format!(
            "the image has {layers} layers, more than can be mounted at once: join some of its steps"
        )));
    }
    kernel
        // Whoever may make a device, as every step may, could else read any disk of the host.
        .mount("overlay", target, MountFlags::NODEV, options)
        .map_err(|e| Failure::system("cannot mount an overlay of the image's layers", &e))
}

fn relative(folder: &Path, snapshots: &Path) -> Result<String, Failure> {
    let store = snapshots.parent().unwrap_or(snapshots);
    let inside = folder.strip_prefix(store).ok().and_then(Path::to_str);
    inside
        .map(|inside| format!("../{inside}"))
        .ok_or_else(|| Failure::asked("the scratch folder is not in the store"))
}

/// Opens a tree to read from. `number` keeps the mounts of several apart.
pub(super) fn open_tree(
    kernel: &dyn Kernel,
    spec: &Spec,
    tree: &Tree,
    number: usize,
) -> Result<OwnedFd, Failure> {
    let path = match tree {
        Tree::Folder(folder) => folder.clone(),
        Tree::Layers(layers) => {
            std::env::set_current_dir(&spec.snapshots)
                .map_err(|e| Failure::system("cannot enter the layers' folder", &e))?;
            let target = spec.scratch.join(format!("tree-{number}"));
            make_dir(&target).map_err(|e| Failure::system("cannot make a mount point", &e))?;
            let mut names: Vec<&str> = layers.iter().map(String::as_str).collect();
            // Without a layer to write to, overlayfs wants two.
            names.push(EMPTY);
            let marks = if spec.user_marks { ",userxattr" } else { "" };
            let options = format!("lowerdir={}{marks}", names.join(":"));
            if layers.is_empty() {
                return open_folder(&spec.snapshots.join(EMPTY));
            }
            mount_overlay(kernel, &options, &target, layers.len())?;
            target
        }
    };
    open_folder(&path)
}

fn open_folder(path: &Path) -> Result<OwnedFd, Failure> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty())
        .map_err(|e| Failure::system(format!("cannot open {}", path.display()), &e.into()))
}

fn make_dir(path: &Path) -> std::io::Result<()> {
    match std::fs::DirBuilder::new().mode(0o755).create(path) {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// What is prepared outside the new root and put into place inside.
pub(super) struct Prepared {
    proc: OwnedFd,
    sys: OwnedFd,
    devices: Vec<(&'static str, OwnedFd)>,
    mounts: Vec<(Mount, Option<OwnedFd>)>,
}

/// Gets hold of everything of the host that the step is to see. Only what has been taken here can
/// be put into the new root: once inside, no path leads out.
pub(super) fn prepare(kernel: &dyn Kernel, spec: &Spec, run: &Run) -> Result<Prepared, Failure> {
    let host = |path: &str, recursive| {
        kernel
            .clone_tree(Path::new(path), recursive)
            .map_err(|e| Failure::system(format!("cannot bind {path}"), &e))
    };
    let proc = kernel
        .detached("proc")
        .map_err(|e| Failure::system("cannot mount proc", &e))?;
    // Its view is that of the network namespace, so only an owner of that may mount it.
    let sys = kernel.detached("sysfs").or_else(|_| host("/sys", true))?;
    let mut devices = Vec::new();
    for device in DEVICES {
        devices.push((device, host(&format!("/dev/{device}"), false)?));
    }
    let mut mounts = Vec::new();
    for (number, mount) in run.mounts.iter().enumerate() {
        let tree = match &mount.kind {
            MountKind::Bind {
                tree,
                source,
                writable,
            } => Some(bind(kernel, spec, tree, source, *writable, number)?),
            MountKind::Cache { folder, .. } => Some(
                kernel
                    .clone_tree(folder, false)
                    .map_err(|e| Failure::system("cannot bind a cache", &e))?,
            ),
            MountKind::Tmpfs { .. } | MountKind::Secret { .. } => None,
        };
        mounts.push((mount.clone(), tree));
    }
    Ok(Prepared {
        proc,
        sys,
        devices,
        mounts,
    })
}

fn bind(
    kernel: &dyn Kernel,
    spec: &Spec,
    tree: &Tree,
    source: &str,
    writable: bool,
    number: usize,
) -> Result<OwnedFd, Failure> {
    let root = if writable {
        let folder = spec.scratch.join(format!("bind-{number}"));
        for name in ["", "upper", "work", "root"] {
            make_dir(&folder.join(name))
                .map_err(|e| Failure::system("cannot make a mount point", &e))?;
        }
        match tree {
            Tree::Layers(layers) => overlay(kernel, spec, layers, &folder)?,
            // A step may write to what it mounts, but nobody else is to see that.
            Tree::Folder(below) => {
                let below = relative(below, &spec.snapshots)?;
                overlay(kernel, spec, &[below], &folder)?;
            }
        }
        open_folder(&folder.join("root"))?
    } else {
        open_tree(kernel, spec, tree, 1000 + number)?
    };
    let found = Root::new(root.as_fd()).open_path(source)?;
    let magic = format!("/proc/self/fd/{}", found.as_raw_fd());
    kernel
        .clone_tree(Path::new(&magic), false)
        .map_err(|e| Failure::system(format!("cannot bind {source}"), &e))
}

/// Puts everything into place, inside the new root; every path now is the step's own. Returns what
/// had to be made to be mounted on, as [`remove_stubs`] takes it.
pub(super) fn furnish(
    kernel: &dyn Kernel,
    run: &Run,
    prepared: &Prepared,
) -> Result<Vec<u8>, Failure> {
    let mut stubs = Stubs::default();
    let wrong = |what: &'static str| move |e: std::io::Error| Failure::system(what, &e);
    let attach = |tree: &OwnedFd, target: &str| {
        kernel
            .attach(tree, Path::new(target))
            .map_err(|e| Failure::system(format!("cannot mount {target}"), &e))
    };
    // These three stay in the image, as with BuildKit, where nothing is mounted below them.
    Stubs::default().folder("/proc")?;
    attach(&prepared.proc, "/proc")?;
    if run
        .mounts
        .iter()
        .any(|mount| mount.target.starts_with("/dev/"))
    {
        stubs.folder("/dev")?;
    } else {
        Stubs::default().folder("/dev")?;
    }
    let mount = |kind: &str, target: &str, flags, data: &str| {
        kernel
            .mount(kind, Path::new(target), flags, data)
            .map_err(|e| Failure::system(format!("cannot mount {target}"), &e))
    };
    let no_others = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::STRICTATIME;
    mount("tmpfs", "/dev", no_others, "mode=755,size=65536k")?;
    for folder in ["pts", "shm", "mqueue"] {
        make_dir(&Path::new("/dev").join(folder)).map_err(wrong("cannot make /dev"))?;
    }
    let pts = "newinstance,ptmxmode=0666,mode=0620,gid=5";
    mount(
        "devpts",
        "/dev/pts",
        MountFlags::NOSUID | MountFlags::NOEXEC,
        pts,
    )?;
    mount("tmpfs", "/dev/shm", QUIET, "mode=1777,size=65536k")?;
    mount("mqueue", "/dev/mqueue", QUIET, "")?;
    for (name, device) in &prepared.devices {
        let path = format!("/dev/{name}");
        std::fs::write(&path, "").map_err(wrong("cannot make /dev"))?;
        attach(device, &path)?;
    }
    for (name, target) in LINKS {
        std::os::unix::fs::symlink(target, Path::new("/dev").join(name))
            .map_err(wrong("cannot make /dev"))?;
    }
    Stubs::default().folder("/sys")?;
    attach(&prepared.sys, "/sys")?;
    kernel
        .remount(Path::new("/sys"), QUIET | MountFlags::RDONLY)
        .map_err(wrong("cannot protect /sys"))?;
    for path in READONLY.iter().filter(|path| Path::new(path).exists()) {
        let tree = kernel
            .clone_tree(Path::new(path), true)
            .map_err(wrong("cannot protect /proc"))?;
        attach(&tree, path)?;
        kernel
            .remount(Path::new(path), QUIET | MountFlags::RDONLY)
            .map_err(wrong("cannot protect /proc"))?;
    }
    for path in MASKED {
        match std::fs::metadata(path) {
            Ok(found) if found.is_dir() => {
                mount("tmpfs", path, QUIET | MountFlags::RDONLY, "size=0k")?;
            }
            Ok(_) => {
                let null = kernel
                    .clone_tree(Path::new("/dev/null"), false)
                    .map_err(wrong("cannot hide parts of /proc"))?;
                attach(&null, path)?;
            }
            Err(_) => {}
        }
    }
    // In the order of the targets, so that one below another is not covered by it.
    let mut mounts: Vec<_> = prepared.mounts.iter().collect();
    mounts.sort_by_key(|(mount, _)| mount.target.split('/').count());
    for (mount, tree) in mounts {
        place(kernel, mount, tree.as_ref(), &mut stubs)?;
    }
    for (path, text) in [
        ("/etc/resolv.conf", run.resolv_conf.clone()),
        ("/etc/hosts", hosts(&run.hostname)),
    ] {
        // In memory, under /dev, where nothing of the image is in the way.
        stubs.file(path)?;
        let source = format!("/dev/shm/{}", path.replace('/', "-"));
        std::fs::write(&source, text).map_err(wrong("cannot write to /dev/shm"))?;
        let tree = kernel
            .clone_tree(Path::new(&source), false)
            .map_err(wrong("cannot bind a file of /etc"))?;
        attach(&tree, path)?;
        kernel
            .remount(Path::new(path), MountFlags::RDONLY | QUIET)
            .map_err(wrong("cannot protect a file of /etc"))?;
        std::fs::remove_file(&source).map_err(wrong("cannot write to /dev/shm"))?;
    }
    Ok(stubs.list())
}

fn hosts(hostname: &str) -> String {
    format!("127.0.0.1\tlocalhost {hostname}\n::1\tlocalhost ip6-localhost ip6-loopback\n")
}

fn place(
    kernel: &dyn Kernel,
    mount: &Mount,
    tree: Option<&OwnedFd>,
    stubs: &mut Stubs,
) -> Result<(), Failure> {
    let target = Path::new(&mount.target);
    let wrong = |e: std::io::Error| Failure::system(format!("cannot mount {}", mount.target), &e);
    match (&mount.kind, tree) {
        (MountKind::Tmpfs { size }, _) => {
            stubs.folder(&mount.target)?;
            let size = size.map(|size| format!(",size={size}")).unwrap_or_default();
            kernel
                .mount(
                    "tmpfs",
                    target,
                    MountFlags::NOSUID | MountFlags::NODEV,
                    &format!("mode=1777{size}"),
                )
                .map_err(wrong)
        }
        (
            MountKind::Secret {
                content,
                mode,
                uid,
                gid,
            },
            _,
        ) => {
            stubs.file(&mount.target)?;
            // Memory that no path leads to once the file's name is gone.
            let source = Path::new("/dev/shm/.secret");
            let mut options = std::fs::OpenOptions::new();
            let mut file = options
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(source)
                .map_err(wrong)?;
            file.write_all(content).map_err(wrong)?;
            std::os::unix::fs::fchown(&file, Some(*uid), Some(*gid)).map_err(wrong)?;
            rustix::fs::fchmod(&file, rustix::fs::Mode::from_raw_mode(*mode))
                .map_err(|e| wrong(e.into()))?;
            let tree = kernel.clone_tree(source, false).map_err(wrong)?;
            kernel.attach(&tree, target).map_err(wrong)?;
            kernel
                .remount(target, QUIET | MountFlags::RDONLY)
                .map_err(wrong)?;
            std::fs::remove_file(source).map_err(wrong)
        }
        (kind, Some(tree)) => {
            let is_folder = rustix::fs::fstat(tree)
                .map(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir())
                .map_err(|e| wrong(e.into()))?;
            if is_folder {
                stubs.folder(&mount.target)?;
            } else {
                stubs.file(&mount.target)?;
            }
            kernel.attach(tree, target).map_err(wrong)?;
            let readonly = match kind {
                MountKind::Bind { writable, .. } => !writable,
                MountKind::Cache { readonly, .. } => *readonly,
                _ => false,
            };
            let mut flags = MountFlags::NODEV;
            flags.set(MountFlags::RDONLY, readonly);
            kernel.remount(target, flags).map_err(wrong)
        }
        (_, None) => Ok(()),
    }
}

/// Files and folders made to be mounted on, in the order they were made.
#[derive(Default)]
struct Stubs(Vec<PathBuf>);

impl Stubs {
    fn folder(&mut self, path: &str) -> Result<(), Failure> {
        let mut at = PathBuf::from("/");
        for part in Path::new(path).components().skip(1) {
            at.push(part);
            match std::fs::metadata(&at) {
                Ok(found) if found.is_dir() => continue,
                Ok(_) => {
                    return Err(Failure::asked(format!(
                        "cannot mount on {path}: {} is no folder in the image",
                        at.display()
                    )));
                }
                Err(_) => {}
            }
            make_dir(&at).map_err(|e| {
                Failure::system(format!("cannot make {} to mount on", at.display()), &e)
            })?;
            self.0.push(at.clone());
        }
        Ok(())
    }

    fn file(&mut self, path: &str) -> Result<(), Failure> {
        // A link that leads nowhere, as /etc/resolv.conf may be, is mounted on where it leads.
        let path = &follow(Path::new(path))?;
        if let Some(above) = path.parent().and_then(Path::to_str) {
            self.folder(above)?;
        }
        if std::fs::symlink_metadata(path).is_err() {
            std::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o644)
                .open(path)
                .map_err(|e| {
                    Failure::system(format!("cannot make {} to mount on", path.display()), &e)
                })?;
            self.0.push(path.to_path_buf());
        }
        Ok(())
    }

    fn list(&self) -> Vec<u8> {
        let mut list = Vec::new();
        for path in &self.0 {
            list.extend_from_slice(path.as_os_str().as_bytes());
            list.push(0);
        }
        list
    }
}

/// Takes away what was made to be mounted on, in so far as nothing was put into it. `root` is the
/// step's root, in which all its mounts still are.
pub(super) fn remove_stubs(root: &Path, list: &[u8]) {
    let paths: Vec<&[u8]> = list.split(|b| *b == 0).filter(|p| !p.is_empty()).collect();
    for path in paths.iter().rev() {
        let path = std::ffi::OsStr::from_bytes(path);
        let path = root.join(Path::new(path).strip_prefix("/").unwrap_or(Path::new(path)));
        let flags = UnmountFlags::DETACH | UnmountFlags::NOFOLLOW;
        while rustix::mount::unmount(&path, flags).is_ok() {}
        match std::fs::symlink_metadata(&path) {
            Ok(found) if found.is_dir() => drop(std::fs::remove_dir(&path)),
            Ok(found) if found.is_file() && found.len() == 0 => drop(std::fs::remove_file(&path)),
            _ => {}
        }
    }
}
