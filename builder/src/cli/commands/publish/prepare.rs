use std::collections::BTreeMap;
use std::time::SystemTime;

use tokio_util::sync::CancellationToken;

use super::super::super::args::PublishArgs;
use super::super::super::fleet::{self, Fleet, Naming};
use super::super::super::keychain::DockerKeychain;
use super::super::super::page::Page;
use super::super::super::places::problem;
use super::super::super::{Invocation, keys, progress, version};
use super::super::attest::Attester;
use super::super::session::{self, BuiltImage, Session};
use crate::event::Tee;
use crate::inventory::Inventory;
use crate::model::{Diagnostic, Diagnostics, Digest, ImageName, Place, Reference, Tag};
use crate::plan;
use crate::publish::{self, Content, Holder, PushItem, Pusher, Release, Released, Releases};
use crate::report::{self, Status, Summary};
use crate::schedule::{self, Job, Outcome};

/// Publishing up to where tags move.
pub(super) struct Work<'a> {
    pub(super) fleet: &'a Fleet,
    pub(super) place: &'a Place,
    pub(super) releases: Releases<'a>,
    pub(super) page: &'a Page,
    pub(super) invocation: Invocation<'a>,
}

impl Work<'_> {
    /// Brings everything to the registry that a release names, and makes sure that it is there. Changes
    /// nothing that anybody pulls by a tag. None where it was interrupted.
    pub(super) async fn prepare(
        &self,
        args: &PublishArgs,
        naming: &Naming,
    ) -> Result<Option<(Release, Summary)>, Diagnostics> {
        let Self {
            fleet,
            place,
            releases,
            ..
        } = *self;
        let Invocation {
            settings,
            environment,
            console,
        } = self.invocation;
        let selection = fleet::select(&fleet.graph, &args.patterns.patterns)?;
        let session = Session::open(settings, environment).await?;
        let built = session
            .built(fleet, &selection, None, self.invocation)
            .await?;
        let cancel = session::cancel_on_signal(console);
        let client = releases.pusher.client();
        // Asked for its password before anything is sent.
        let key = args
            .key
            .as_deref()
            .map(|path| keys::secret(path, environment));
        let key = key.transpose()?;

        let wanted: Vec<_> = built.iter().map(|b| (&b.image, &b.fingerprint)).collect();
        let there = plan::look_up(client, std::slice::from_ref(place), &wanted);
        if let Some((_, error)) = there.silent.first() {
            return Err(problem(error).into());
        }
        let mut digests: BTreeMap<ImageName, Digest> = there
            .found
            .iter()
            .filter_map(|(image, at)| Some((image.clone(), at.digest()?.clone())))
            .collect();
        console.say(&format!(
            "{} of {} in {place} already",
            digests.len(),
            report::count(built.len(), "image")
        ));
        let Some(sent) = self.send(&built, &digests, &session, &cancel).await? else {
            return Ok(None);
        };
        digests.extend(sent);

        let at = |image: &ImageName| {
            Some(
                place
                    .path(image.as_str())
                    .ok()?
                    .at_digest(digests.get(image)?.clone()),
            )
        };
        let references: Vec<Reference> = built.iter().filter_map(|b| at(&b.image)).collect();
        let (missing, sizes) =
            publish::missing(client, &references).map_err(|error| problem(&error))?;
        if !missing.is_empty() {
            let mut lost = Diagnostic::environment(format!(
            "{place} lacks {} of what the release names",
            report::count(missing.len(), "part")
        ))
        .hint(
            "the registry took it and lost it: no tag was moved; see its log, then publish again",
        );
            for part in missing.iter().take(10) {
                lost = lost.note(part.clone());
            }
            return Err(lost.into());
        }
        let previous = releases.current()?;
        let contents =
            contents(&built, previous.as_ref(), &session, settings.jobs, &cancel).await?;
        session.engine.settle().await;
        if cancel.is_cancelled() {
            return Ok(None);
        }
        let tags: Vec<Reference> = built
            .iter()
            .flat_map(|b| naming.tags.iter().map(|tag| place.reference(&b.image, tag)))
            .collect();
        let before = publish::current(client, &tags).map_err(|error| problem(&error))?;
        let before: BTreeMap<&Reference, Option<Digest>> = tags.iter().zip(before).collect();

        let now = SystemTime::now();
        let created = humantime::format_rfc3339_seconds(now).to_string();
        let commit = version::commit(&settings.root);
        let id = unused(&id(&created, &naming.tags), &self.releases.ids()?);
        let mut release = Release::new(id, created, commit, &naming.tags);
        release.previous = previous.map(|previous| previous.id);
        for ((built, size), content) in built.iter().zip(sizes).zip(contents) {
            let Some(digest) = digests.get(&built.image) else {
                continue;
            };
            let before = naming.tags.iter().map(|tag| {
                let was = before.get(&place.reference(&built.image, tag));
                (tag.to_string(), was.cloned().flatten())
            });
            release.images.insert(
                built.image.to_string(),
                Released {
                    fingerprint: built.fingerprint.to_string(),
                    digest: digest.clone(),
                    size,
                    content,
                    before: before.collect(),
                },
            );
        }
        let attester = Attester {
            pusher: releases.pusher,
            place,
            fleet,
            platform: &settings.platform,
            key: key.as_ref(),
            builder: args.builder.as_deref(),
        };
        attester.attest(&release, &built)?;
        let mut images = session::reports(fleet, built, Status::Pushed);
        for image in &mut images {
            image.size = release.images.get(image.image.as_str()).map(|one| one.size);
        }
        let summary = Summary {
            schema: 1,
            command: "publish",
            ok: true,
            engine: session.engine_line(),
            seconds: 0.0,
            images,
        };
        Ok(Some((release, summary)))
    }

    /// Sends the images that the namespace does not have, under the tags of their fingerprints only.
    async fn send(
        &self,
        built: &[BuiltImage],
        there: &BTreeMap<ImageName, Digest>,
        session: &Session,
        cancel: &CancellationToken,
    ) -> Result<Option<BTreeMap<ImageName, Digest>>, Diagnostics> {
        let Invocation {
            settings,
            environment,
            console,
        } = self.invocation;
        let items: Vec<PushItem> = built
            .iter()
            .filter(|built| !there.contains_key(&built.image))
            .map(|built| PushItem {
                image: built.image.clone(),
                from: built.from.clone(),
                references: vec![
                    self.place
                        .reference(&built.image, &Tag::of_fingerprint(&built.fingerprint)),
                ],
            })
            .collect();
        let outcomes = {
            let progress = progress::sink(console, items.len());
            let sinks = Tee(vec![&*progress, self.page]);
            let pusher = Pusher {
                engine: &*session.engine,
                registry: session.registry.clone(),
                graph: &self.fleet.graph,
                keychain: &DockerKeychain::new(environment),
                retry: settings.retry,
                // Sending waits more than it works.
                jobs: settings.jobs.max(4),
                sink: &sinks,
            };
            pusher.run(&items, cancel).await
        };
        let mut digests = BTreeMap::new();
        let mut problems = Diagnostics::default();
        let mut cancelled = cancel.is_cancelled();
        for (item, outcome) in items.iter().zip(outcomes) {
            match outcome {
                Outcome::Done(pushed) => {
                    digests.extend(pushed.into_iter().map(|p| (item.image.clone(), p.digest)));
                }
                Outcome::Failed(problem) => problems.push(
                    problem
                        .in_image(&item.image)
                        .note("no tag was moved: what people pull is as it was")
                        .hint("publish again when that is mended: what arrived is not sent again"),
                ),
                // The image that it is blocked by has failed, and says so.
                Outcome::Blocked { .. } => {}
                Outcome::Cancelled => cancelled = true,
            }
        }
        if cancelled && problems.is_empty() {
            return Ok(None);
        }
        problems.or_ok(Some(digests))
    }
}

/// What is in each image: as the last release has it of the same fingerprint, else by its files. None of
/// an image that only a registry holds.
async fn contents(
    built: &[BuiltImage],
    previous: Option<&Release>,
    session: &Session,
    jobs: usize,
    cancel: &CancellationToken,
) -> Result<Vec<Option<Content>>, Diagnostics> {
    let known: BTreeMap<&str, &Content> = previous
        .iter()
        .flat_map(|release| release.images.values())
        .filter_map(|one| Some((one.fingerprint.as_str(), one.content.as_ref()?)))
        .collect();
    let work = async |i: usize| {
        let built: &BuiltImage = &built[i];
        if let Some(content) = known.get(built.fingerprint.to_string().as_str()) {
            return Ok::<_, Diagnostic>(Some((*content).clone()));
        }
        let Holder::Engine(id) = &built.from else {
            return Ok(None);
        };
        let taken = Inventory::of(&*session.engine, id).await;
        let (inventory, _) = taken.map_err(|e| e.diagnostic())?;
        Ok(Some(Content {
            size: inventory.size,
            packages: inventory.packages,
        }))
    };
    let all = vec![Job::default(); built.len()];
    let outcomes = schedule::run(&all, jobs, cancel, work).await;
    let mut problems = Diagnostics::default();
    let mut contents = Vec::new();
    for outcome in outcomes {
        contents.push(match outcome {
            Outcome::Done(content) => content,
            Outcome::Failed(problem) => {
                problems.push((*problem).clone());
                None
            }
            Outcome::Blocked { .. } | Outcome::Cancelled => None,
        });
    }
    problems.or_ok(contents)
}

/// The longest tag that there may be, and some room for a number.
const LONGEST: usize = 120;

/// A name that sorts by age and says what it is: `20261126T001500Z-2025.1`.
fn id(created: &str, tags: &[Tag]) -> String {
    let time: String = created.chars().filter(|c| !"-:".contains(*c)).collect();
    let tag = tags.first().map(Tag::as_str).unwrap_or_default();
    let mut id = format!("{time}-{tag}");
    id.truncate(LONGEST);
    id
}

/// The same with a number, where a release of this second has it already.
fn unused(id: &str, there: &[String]) -> String {
    let numbered = (2..).map(|n| {
        let number = format!("-{n}");
        let mut start = id.to_owned();
        start.truncate(LONGEST - number.len());
        start + &number
    });
    let mut all = std::iter::once(id.to_owned()).chain(numbered);
    all.find(|id| !there.contains(id)).unwrap_or_default()
}
