//! Publishing: images sent to a registry, and releases of a namespace.
//!
//! Owns the order, the credentials' way and the retries of pushing; what a release is, and the moving
//! of its tags when everything they name is there. Refuses to build: what is published is at hand.

mod journal;
mod keep;
mod prune;
mod push;
mod release;
mod search;
mod tags;

pub use journal::Journal;
pub use keep::{ARTIFACT, Listing, REPOSITORY, Releases};
pub use prune::Surplus;
pub use push::{Holder, PushItem, Pushed, Pusher};
pub use release::{Content, Difference, Release, Released, differences};
pub use search::{Found, search};
pub use tags::{Move, Moved, current, missing, move_tags};
