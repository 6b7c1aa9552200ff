//! Running work in the order that the graph allows, as many at once as permitted.
//!
//! `queue` knows neither images nor engines, only jobs that need other jobs; `retry` decides what is
//! tried again; `build` carries out a plan on an engine with the two of them.

mod build;
mod fetch;
mod queue;
mod retry;

pub use build::{BuildOptions, Builder, Built, Inspector, complete, labels, sent_dockerfile};
pub use fetch::Fetch;
pub use queue::{Job, Outcome, run};
pub use retry::{Failure, RetryPolicy, retrying};
