use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Error;

/// Requests that are on their way at once.
const AT_ONCE: usize = 16;

/// Asks for each of these, several at a time, and answers in their order. After a failure no further
/// ones are asked for.
///
/// # Errors
/// One of the failures.
pub fn each<I: Sync, T: Send>(
    items: &[I],
    ask: impl Fn(&I) -> Result<T, Error> + Sync,
) -> Result<Vec<T>, Error> {
    let next = AtomicUsize::new(0);
    let answers: Mutex<BTreeMap<usize, Result<T, Error>>> = Mutex::default();
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else {
                return;
            };
            let answer = ask(item);
            if answer.is_err() {
                next.store(items.len(), Ordering::Relaxed);
            }
            if let Ok(mut answers) = answers.lock() {
                answers.insert(at, answer);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..AT_ONCE.min(items.len()) {
            scope.spawn(work);
        }
        work();
    });
    answers
        .into_inner()
        .unwrap_or_default()
        .into_values()
        .collect()
}
