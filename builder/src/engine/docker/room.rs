use std::io;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

/// A runtime of its own for the connections of one build, which ends with it.
///
/// BuildKit's session is a connection that the client library leaves to a task nobody holds; it
/// would stay open, with what the engine keeps for it, until this program ends. Taking the runtime
/// away closes everything a build has opened, and that is also what stops a build that is dropped.
pub(super) struct Room(Option<Runtime>);

impl Room {
    pub(super) fn open() -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("kolla-build")
            .enable_all()
            .build()?;
        Ok(Self(Some(runtime)))
    }

    pub(super) fn spawn<F>(&self, future: F) -> Option<JoinHandle<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.0.as_ref().map(|runtime| runtime.spawn(future))
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // Waiting for it here would block whoever drops the build.
            runtime.shutdown_background();
        }
    }
}
