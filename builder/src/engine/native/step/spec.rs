//! What a helper is told, and what it answers.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// One step.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in super::super) struct Spec {
    /// The folder that names of layers are relative to.
    pub(in super::super) snapshots: PathBuf,
    /// The layers of the root file system, topmost first.
    pub(in super::super) lower: Vec<String>,
    /// Holds the folders `upper`, `work` and `root`, and whatever else the step wants.
    pub(in super::super) scratch: PathBuf,
    /// Whether overlayfs keeps its marks in the attributes that a user namespace may write.
    pub(in super::super) user_marks: bool,
    /// What is to be done there.
    pub(in super::super) action: Action,
}

/// What a step does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in super::super) enum Action {
    /// Runs a command.
    Run(Box<Run>),
    /// Copies files.
    Transfer(Transfer),
    /// Makes a folder and those above it, where they are missing.
    Folder {
        /// Absolute.
        path: String,
        /// Who is to own it.
        owner: Option<Owner>,
    },
}

/// A command and its surroundings.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in super::super) struct Run {
    /// The program and its arguments.
    pub(in super::super) arguments: Vec<String>,
    /// `name=value`, complete.
    pub(in super::super) environment: Vec<String>,
    /// Where it starts; made if missing.
    pub(in super::super) directory: String,
    /// `user[:group]`, by name or number; empty for the superuser.
    pub(in super::super) user: String,
    /// Whether it gets a network namespace with nothing but a loopback device.
    pub(in super::super) isolated: bool,
    /// The host name that it sees.
    pub(in super::super) hostname: String,
    /// What is mounted besides the usual.
    pub(in super::super) mounts: Vec<Mount>,
    /// Name servers, in the format of resolv.conf(5).
    pub(in super::super) resolv_conf: String,
}

/// One mount of a command.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in super::super) struct Mount {
    /// Absolute.
    pub(in super::super) target: String,
    /// What appears there.
    pub(in super::super) kind: MountKind,
}

/// What is mounted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in super::super) enum MountKind {
    /// A file or folder of a tree. What is written to it is lost with the step.
    Bind {
        /// Where from.
        tree: Tree,
        /// The path in it.
        source: String,
        /// Whether it can be written to at all.
        writable: bool,
    },
    /// A folder of the store that steps share.
    Cache {
        /// Where it is.
        folder: PathBuf,
        /// Whether it can only be read.
        readonly: bool,
    },
    /// Memory, of at most so many bytes.
    Tmpfs {
        /// Half of the memory if not given.
        size: Option<u64>,
    },
    /// A secret. Its content travels here alone, and is kept in memory.
    Secret {
        /// The bytes.
        content: Vec<u8>,
        /// Permissions.
        mode: u32,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
    },
}

/// A tree of files that is read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in super::super) enum Tree {
    /// A folder of ours, absolute.
    Folder(PathBuf),
    /// The root file system that these layers make, topmost first.
    Layers(Vec<String>),
}

/// `COPY` and `ADD`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in super::super) struct Transfer {
    /// What is copied, in order.
    pub(in super::super) sources: Vec<Source>,
    /// Absolute; with a slash at its end it is a folder.
    pub(in super::super) destination: String,
    /// Who is to own what is copied, if not who owns the source.
    pub(in super::super) owner: Option<Owner>,
    /// Permissions by `--chmod`, as written.
    pub(in super::super) mode: Option<String>,
    /// Whether the folders above a source are made below the destination.
    pub(in super::super) parents: bool,
    /// Patterns of what is left out.
    pub(in super::super) excludes: Vec<String>,
}

/// One source.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in super::super) struct Source {
    /// Where from.
    pub(in super::super) tree: Tree,
    /// The path in it.
    pub(in super::super) path: String,
    /// Whether `*`, `?` and `[` in the path stand for others.
    pub(in super::super) glob: bool,
    /// Whether an archive is unpacked.
    pub(in super::super) unpack: bool,
}

/// `user[:group]`, by name or number, as the image's own files know them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in super::super) struct Owner(pub(in super::super) String);

/// Why a step could not be done, apart from a command that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub(in super::super) struct Failure {
    /// In lower case.
    pub(in super::super) message: String,
    /// Whether what was asked for is wrong, rather than the machine.
    pub(in super::super) asked_wrong: bool,
    /// The number of the system's error, where one is behind it.
    pub(in super::super) code: Option<i32>,
    /// The status that a shell gives a command that cannot be started, if that is what failed.
    pub(in super::super) status: Option<i32>,
}

impl Failure {
    /// What was asked for cannot be done.
    pub(in super::super) fn asked(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            asked_wrong: true,
            code: None,
            status: None,
        }
    }

    /// A command cannot be started: 127 where there is none, else 126.
    pub(in super::super) fn command(status: i32, message: impl Into<String>) -> Self {
        Self {
            status: Some(status),
            ..Self::asked(message)
        }
    }

    /// The system refuses what should be possible.
    pub(in super::super) fn system(what: impl std::fmt::Display, error: &std::io::Error) -> Self {
        Self {
            message: format!("{what}: {error}"),
            asked_wrong: false,
            code: error.raw_os_error(),
            status: None,
        }
    }
}
