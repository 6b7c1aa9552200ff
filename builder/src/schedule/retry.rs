use std::time::Duration;

use crate::engine;
use crate::event::{Event, Sink};
use crate::model::{Class, Diagnostic, ImageName};

/// How often and how patiently a transient failure is tried again.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// Tries after the first.
    pub retries: u32,
    /// The first pause; each further one is twice as long, up to [`Self::longest`].
    pub pause: Duration,
    /// The longest pause, also where a server asks for a longer one.
    pub longest: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            retries: 3,
            pause: Duration::from_secs(1),
            longest: Duration::from_secs(60),
        }
    }
}

impl RetryPolicy {
    /// The pause before a retry, counted from 1; what the server asked for counts where it is longer.
    fn before(&self, retry: u32, asked: Option<Duration>) -> Duration {
        let doubled = self
            .pause
            .saturating_mul(1_u32.checked_shl(retry - 1).unwrap_or(u32::MAX));
        doubled.max(asked.unwrap_or_default()).min(self.longest)
    }
}

/// A failure of one try.
#[derive(Debug)]
pub struct Failure {
    problem: Diagnostic,
    retry_after: Option<Duration>,
}

impl From<Diagnostic> for Failure {
    fn from(problem: Diagnostic) -> Self {
        Self {
            problem,
            retry_after: None,
        }
    }
}

impl From<engine::Error> for Failure {
    fn from(error: engine::Error) -> Self {
        Self {
            retry_after: error.retry_after(),
            problem: error.diagnostic(),
        }
    }
}

/// Tries until it works, fails for good, or has failed transiently too often. The work is told
/// which try it is, from 1.
///
/// # Errors
/// The last failure; where it was tried more than once it says so.
pub async fn retrying<T>(
    policy: &RetryPolicy,
    image: &ImageName,
    sink: &dyn Sink,
    mut work: impl AsyncFnMut(u32) -> Result<T, Failure>,
) -> Result<T, Diagnostic> {
    let mut attempt = 1;
    loop {
        let failure = match work(attempt).await {
            Ok(value) => return Ok(value),
            Err(failure) => failure,
        };
        if failure.problem.class() != Class::Transient {
            return Err(failure.problem);
        }
        if attempt > policy.retries {
            return Err(failure.problem.note(format!("tried {attempt} times")));
        }
        let pause = policy.before(attempt, failure.retry_after);
        attempt += 1;
        sink.emit(Event::Retrying {
            image: image.clone(),
            attempt,
            pause_ms: u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
            reason: failure.problem.message().to_owned(),
        });
        tokio::time::sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Record;

    async fn tries(class: Class, good_at: u32) -> (Result<u32, Diagnostic>, usize) {
        let policy = RetryPolicy {
            pause: Duration::ZERO,
            ..RetryPolicy::default()
        };
        let (Ok(image), record) = (ImageName::new("x"), Record::default()) else {
            panic!("a valid name")
        };
        let result = retrying(&policy, &image, &record, async |attempt| {
            if attempt == good_at {
                Ok(attempt)
            } else {
                Err(Diagnostic::new(class, "no").into())
            }
        })
        .await;
        (result, record.events().len())
    }

    #[tokio::test]
    async fn only_transient_failures_are_tried_again() {
        assert!(matches!(tries(Class::Transient, 3).await, (Ok(3), 2)));
        assert!(matches!(tries(Class::Build, 2).await, (Err(_), 0)));
        let (last, retries) = tries(Class::Transient, 9).await;
        assert_eq!(retries, 3);
        assert!(last.is_err_and(|p| p.notes().iter().any(|(n, _)| n == "tried 4 times")));
    }

    #[test]
    fn pauses_double_and_a_server_may_ask_for_more() {
        let policy = RetryPolicy::default();
        let seconds = |retry, asked: Option<u64>| {
            policy
                .before(retry, asked.map(Duration::from_secs))
                .as_secs()
        };
        assert_eq!(
            (seconds(1, None), seconds(3, None), seconds(40, None)),
            (1, 4, 60)
        );
        assert_eq!((seconds(1, Some(20)), seconds(1, Some(999))), (20, 60));
    }
}
