use std::time::Duration;

use super::Repository;
use super::error::Error;
use super::options::Options;

/// The longest pause, also where a registry asks for a longer one.
const LONGEST: Duration = Duration::from_secs(60);
/// The longest that grows by itself.
const LONGEST_OWN: Duration = Duration::from_secs(30);
/// A pause is cut into these, between which is looked whether all work was stopped.
const SLICE: Duration = Duration::from_millis(100);

/// The tries of one request.
pub(super) struct Backoff<'a> {
    options: &'a Options,
    failed: u32,
}

impl<'a> Backoff<'a> {
    pub(super) fn new(options: &'a Options) -> Self {
        Self { options, failed: 0 }
    }

    /// Something worth keeping was achieved: the next failure is the first again.
    pub(super) fn reset(&mut self) {
        self.failed = 0;
    }

    /// Waits before the next try.
    ///
    /// # Errors
    /// The failure itself, where trying again is of no use or was done often enough; cancelled.
    pub(super) fn pause(&mut self, error: Error) -> Result<(), Error> {
        if !error.is_transient() {
            return Err(error);
        }
        self.pause_anyway(error)
    }

    /// The same for a failure that is known to be worth another try.
    pub(super) fn pause_anyway(&mut self, error: Error) -> Result<(), Error> {
        self.failed += 1;
        if self.failed >= self.options.attempts {
            return Err(error);
        }
        let doubled = 1_u32.checked_shl(self.failed - 1).unwrap_or(u32::MAX);
        let own = self
            .options
            .pause
            .saturating_mul(doubled)
            .min(LONGEST_OWN)
            // So that many that were refused together do not come back together.
            .mul_f64(0.5 + rand::random::<f64>() / 2.0);
        let pause = own
            .max(error.retry_after().unwrap_or_default())
            .min(LONGEST);
        wait(self.options, error.repository(), pause)
    }
}

fn wait(options: &Options, repository: &Repository, pause: Duration) -> Result<(), Error> {
    let mut left = pause;
    loop {
        if options.cancelled() {
            return Err(Error::cancelled(repository));
        }
        if left.is_zero() {
            return Ok(());
        }
        let slice = left.min(SLICE);
        (options.sleep)(slice);
        left -= slice;
    }
}

/// Tries until it works, fails for good, or has failed often enough.
pub(super) fn retrying<T>(
    options: &Options,
    mut work: impl FnMut() -> Result<T, Error>,
) -> Result<T, Error> {
    let mut backoff = Backoff::new(options);
    loop {
        match work() {
            Ok(value) => return Ok(value),
            Err(error) => backoff.pause(error)?,
        }
    }
}
