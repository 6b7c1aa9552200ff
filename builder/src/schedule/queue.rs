use std::collections::BinaryHeap;
use std::sync::Arc;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio_util::sync::CancellationToken;

use crate::model::{Class, Diagnostic};

/// A piece of work and what it needs done before it, by position in the list of jobs.
#[derive(Debug, Clone, Default)]
pub struct Job {
    /// Jobs that must be done well before this one starts.
    pub needs: Vec<usize>,
    /// Of the jobs that are ready, the heaviest starts first.
    pub weight: u64,
}

/// How a job ended.
#[derive(Debug, Clone)]
pub enum Outcome<T> {
    /// Well.
    Done(T),
    /// Badly.
    Failed(Arc<Diagnostic>),
    /// Not started: a job it needs failed, perhaps at some distance.
    Blocked {
        /// The job that failed.
        by: usize,
    },
    /// Stopped or not started: the user, or a failure of the environment, ended the run.
    Cancelled,
}

impl<T> Outcome<T> {
    /// What came of it, if it ended well.
    pub fn done(&self) -> Option<&T> {
        match self {
            Self::Done(value) => Some(value),
            _ => None,
        }
    }
}

/// Runs every job once, at most `at_once` together, and says how each ended.
///
/// A failed job blocks only those that need it. After a failure of the environment nothing new is
/// started, since it would fail too; what runs may finish. When `cancel` fires, running work is
/// dropped. Jobs that need each other in a circle are never started and count as cancelled.
pub async fn run<T, F, W>(
    jobs: &[Job],
    at_once: usize,
    cancel: &CancellationToken,
    work: F,
) -> Vec<Outcome<T>>
where
    F: Fn(usize) -> W,
    W: Future<Output = Result<T, Diagnostic>>,
{
    let mut outcomes: Vec<Option<Outcome<T>>> = jobs.iter().map(|_| None).collect();
    let mut missing: Vec<usize> = jobs.iter().map(|job| job.needs.len()).collect();
    let mut needed_by: Vec<Vec<usize>> = vec![Vec::new(); jobs.len()];
    for (i, job) in jobs.iter().enumerate() {
        for need in &job.needs {
            needed_by[*need].push(i);
        }
    }
    let priority = |i: usize| (jobs[i].weight, std::cmp::Reverse(i));
    let mut ready: BinaryHeap<_> = (0..jobs.len())
        .filter(|i| missing[*i] == 0)
        .map(priority)
        .collect();
    let mut running = FuturesUnordered::new();
    let mut stopping = false;
    loop {
        while running.len() < at_once.max(1) && !stopping && !cancel.is_cancelled() {
            let Some((_, std::cmp::Reverse(i))) = ready.pop() else {
                break;
            };
            let future = work(i);
            running.push(async move { (i, future.await) });
        }
        if running.is_empty() {
            break;
        }
        let (i, result) = tokio::select! {
            biased;
            () = cancel.cancelled() => break,
            next = running.next() => match next {
                Some(ended) => ended,
                None => break,
            },
        };
        match result {
            Ok(value) => {
                outcomes[i] = Some(Outcome::Done(value));
                for child in &needed_by[i] {
                    missing[*child] -= 1;
                    if missing[*child] == 0 {
                        ready.push(priority(*child));
                    }
                }
            }
            Err(problem) => {
                stopping |= problem.class() == Class::Environment;
                outcomes[i] = Some(Outcome::Failed(Arc::new(problem)));
                let mut below = needed_by[i].clone();
                while let Some(child) = below.pop() {
                    if outcomes[child].is_none() {
                        outcomes[child] = Some(Outcome::Blocked { by: i });
                        below.extend(&needed_by[child]);
                    }
                }
            }
        }
    }
    drop(running);
    outcomes
        .into_iter()
        .map(|outcome| outcome.unwrap_or(Outcome::Cancelled))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn jobs(needs: &[&[usize]]) -> Vec<Job> {
        needs
            .iter()
            .map(|needs| Job {
                needs: needs.to_vec(),
                weight: 0,
            })
            .collect()
    }

    fn words<T>(outcomes: &[Outcome<T>]) -> Vec<String> {
        outcomes
            .iter()
            .map(|outcome| match outcome {
                Outcome::Done(_) => "done".to_owned(),
                Outcome::Failed(_) => "failed".to_owned(),
                Outcome::Blocked { by } => format!("blocked by {by}"),
                Outcome::Cancelled => "cancelled".to_owned(),
            })
            .collect()
    }

    #[tokio::test]
    async fn needs_come_first_and_limits_hold() {
        let order = Mutex::new(Vec::new());
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let jobs = jobs(&[&[], &[0], &[0], &[0], &[1, 2, 3]]);
        let outcomes = run(&jobs, 2, &CancellationToken::new(), async |i| {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            now.fetch_sub(1, Ordering::SeqCst);
            order.lock().map(|mut o| o.push(i)).ok();
            Ok(())
        })
        .await;
        assert_eq!(words(&outcomes), ["done"; 5]);
        let order = order.into_inner().unwrap_or_default();
        assert_eq!((order.first(), order.last()), (Some(&0), Some(&4)));
        assert_eq!(most.into_inner(), 2);
    }

    #[tokio::test]
    async fn the_heaviest_ready_job_starts_first() {
        let order = Mutex::new(Vec::new());
        let jobs: Vec<Job> = [1, 9, 5, 5]
            .map(|weight| Job {
                needs: Vec::new(),
                weight,
            })
            .to_vec();
        run(&jobs, 1, &CancellationToken::new(), async |i| {
            order.lock().map(|mut o| o.push(i)).ok();
            Ok(())
        })
        .await;
        assert_eq!(order.into_inner().unwrap_or_default(), [1, 2, 3, 0]);
    }

    #[tokio::test]
    async fn a_failure_blocks_its_descendants_alone() {
        let jobs = jobs(&[&[], &[0], &[1], &[], &[2, 3]]);
        let outcomes = run(&jobs, 4, &CancellationToken::new(), async |i| {
            if i == 0 {
                Err(Diagnostic::new(Class::Build, "no"))
            } else {
                Ok(())
            }
        })
        .await;
        assert_eq!(
            words(&outcomes),
            [
                "failed",
                "blocked by 0",
                "blocked by 0",
                "done",
                "blocked by 0"
            ]
        );
    }

    #[tokio::test]
    async fn a_failing_environment_starts_nothing_more() {
        let jobs = jobs(&[&[], &[], &[]]);
        let outcomes = run(&jobs, 1, &CancellationToken::new(), async |i| {
            if i == 0 {
                Err(Diagnostic::environment("disk full"))
            } else {
                Ok(())
            }
        })
        .await;
        assert_eq!(words(&outcomes), ["failed", "cancelled", "cancelled"]);
    }

    #[tokio::test]
    async fn cancelling_drops_what_runs() {
        struct Dropped<'a>(&'a AtomicUsize);
        impl Drop for Dropped<'_> {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let dropped = AtomicUsize::new(0);
        let cancel = CancellationToken::new();
        let outcomes = run(&jobs(&[&[], &[], &[0]]), 2, &cancel, async |i| {
            let _guard = Dropped(&dropped);
            if i == 1 {
                cancel.cancel();
            }
            std::future::pending::<()>().await;
            Ok(())
        })
        .await;
        assert_eq!(words(&outcomes), ["cancelled"; 3]);
        assert_eq!(dropped.into_inner(), 2);
    }

    #[tokio::test]
    async fn a_circle_is_not_waited_for() {
        let outcomes = run(
            &jobs(&[&[1], &[0]]),
            2,
            &CancellationToken::new(),
            async |_| Ok(()),
        )
        .await;
        assert_eq!(words(&outcomes), ["cancelled"; 2]);
    }
}
