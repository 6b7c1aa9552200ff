//! Layers: the tar of an overlay's upper directory, and such a directory from a tar.
//!
//! Writing is normalised: the same tree gives the same bytes on every machine. Applying takes
//! nothing on trust: no name, link or number in a tar reaches outside of the directory it is
//! unpacked into. Both speak the two forms in which a layer hides what lies beneath: in a tar
//! `.wh.NAME` and `.wh..wh..opq` (image-spec, `layer.md`), in a directory a character device 0/0
//! and an attribute `overlay.opaque` (the kernel's `overlayfs.rst`). Mounting is not done here.

mod apply;
mod extract;
mod flat;
mod header;
mod normalise;
mod number;
mod pack;
mod pax;
mod read;
mod sparse;
mod target;
mod tree;
mod write;

pub use apply::{Applied, ApplyOptions, LeftOut, Refused, apply};
pub use flat::{File, FileKind, Listing, Visitor, flatten};
pub use normalise::normalise;
pub use pack::{Packed, pack};
pub use write::{WriteOptions, Written, write};

/// Before the name of what a layer removes.
const WHITEOUT: &[u8] = b".wh.";

/// Before names that are marks of the tar's own.
const WHITEOUT_META: &[u8] = b".wh..wh.";

/// In a directory that hides what the layers beneath have in it.
const OPAQUE: &[u8] = b".wh..wh..opq";

/// How deep directories may lie in each other: each level holds a file descriptor while a tree is
/// walked.
const MAX_DEPTH: usize = 400;

/// Whose extended attributes an overlay uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverlayAttributes {
    /// `trusted.overlay.*`, which takes `CAP_SYS_ADMIN` in the first user namespace.
    Trusted,
    /// `user.overlay.*`, for overlays mounted with `userxattr`.
    User,
}

impl OverlayAttributes {
    fn prefix(self) -> &'static [u8] {
        match self {
            Self::Trusted => b"trusted.overlay.",
            Self::User => b"user.overlay.",
        }
    }
}

/// Whether a layer's tar carries this extended attribute: file capabilities and what users set
/// themselves. Docker and containerd carry capabilities only. What belongs to the machine (labels
/// of security modules, the overlay's own marks, access lists) never travels.
fn travels(attribute: &[u8]) -> bool {
    attribute == b"security.capability"
        || (attribute.starts_with(b"user.")
            && !attribute.starts_with(OverlayAttributes::User.prefix()))
}
