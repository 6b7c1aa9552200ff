//! Whether an engine builds a Dockerfile as BuildKit does: images are reduced to reports, and
//! reports are compared.
//!
//! Owns the cases of `tests/conformance/cases`, the judge that `tests/conformance/judge` starts, the
//! reduction of an image to what it says and holds, and the differences that are tolerated, each
//! with its reason. Refuses to tolerate anything else: a field that neither side explains is a
//! difference.

mod candidate;
mod case;
mod compare;
mod git;
mod image;
mod judge;
mod layers;
mod report;
mod rootfs;
mod server;

pub use candidate::Candidate;
pub use case::{Case, Expected, Prepared, cases};
pub use compare::{Difference, Skips, differences};
pub use image::Image;
pub use judge::Judge;
pub use report::report;
pub use server::Server;
