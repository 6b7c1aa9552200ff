use super::retry::{Failure, RetryPolicy, retrying};
use crate::engine::Engine;
use crate::event::{Activity, Ending, Event, Sink};
use crate::model::{Class, Diagnostic, Fingerprint, ImageId, ImageName, Reference};
use crate::plan::{FINGERPRINT_LABEL, IMAGE_LABEL, engine_reference};
use crate::registry::{Keychain, Repository};

/// Brings published images into an engine.
pub struct Fetch<'a> {
    /// The engine.
    pub engine: &'a dyn Engine,
    /// Where credentials come from.
    pub keychain: &'a dyn Keychain,
    /// What is tried again.
    pub retry: RetryPolicy,
    /// Who is told.
    pub sink: &'a dyn Sink,
}

impl Fetch<'_> {
    /// Fetches an image by its digest, and gives it the name that the engine knows the fingerprint by.
    ///
    /// # Errors
    /// As the engine's; and of class build where it is another image than its tag promised.
    pub async fn run(
        &self,
        image: &ImageName,
        fingerprint: &Fingerprint,
        at: &Reference,
    ) -> Result<ImageId, Diagnostic> {
        let fetched = self.fetch(image, fingerprint, at).await;
        self.sink.emit(Event::Finished {
            image: image.clone(),
            activity: Activity::Fetch,
            ending: Ending::of(&fetched),
        });
        fetched
    }

    async fn fetch(
        &self,
        image: &ImageName,
        fingerprint: &Fingerprint,
        at: &Reference,
    ) -> Result<ImageId, Diagnostic> {
        let credentials = self.keychain.credentials_for(&Repository::of(at))?;
        let name = engine_reference(image, fingerprint);
        let id = retrying(&self.retry, image, self.sink, async |attempt| {
            self.sink.emit(Event::Started {
                image: image.clone(),
                activity: Activity::Fetch,
                attempt,
            });
            let fetched = self.engine.pull(at, credentials.as_ref(), &name).await;
            fetched.map_err(Failure::from)
        })
        .await?;
        // The tag is a promise of who has pushed it.
        let stored = self.engine.images(FINGERPRINT_LABEL).await;
        let stored = stored.map_err(|error| error.diagnostic())?;
        let fetched = stored.iter().find(|stored| stored.id == id);
        let label = |name| fetched.and_then(|stored| stored.labels.get(name)).cloned();
        let (kept, called) = (label(FINGERPRINT_LABEL), label(IMAGE_LABEL));
        if kept == Some(fingerprint.to_string()) && called == Some(image.to_string()) {
            return Ok(id);
        }
        let _ = self.engine.untag(&name).await;
        let nothing = || "nothing".to_owned();
        Err(Diagnostic::new(
            Class::Build,
            format!("{at} is not what its tag says, `{image}` of fingerprint {fingerprint}"),
        )
        .note(format!(
            "its labels say image {}, fingerprint {}",
            called.unwrap_or_else(nothing),
            kept.unwrap_or_else(nothing)
        ))
        .hint("see who writes to that namespace; --local builds without published images"))
    }
}
