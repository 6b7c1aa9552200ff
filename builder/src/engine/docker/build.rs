use std::collections::HashMap;
use std::sync::atomic::Ordering;

use bollard::models::BuildInfo;
use bollard::query_parameters::{BuildImageOptions, BuilderVersion};
use futures_util::{Stream, StreamExt, stream};
use tokio::sync::mpsc;

use super::super::{BuildEvent, BuildRequest, Error};
use super::progress::Progress;
use super::room::Room;
use super::{Builder, Docker, PATIENCE, classify, feed};
use crate::model::ImageId;

type Events<'a> = &'a (dyn Fn(BuildEvent) + Send + Sync);

/// How one attempt to build failed.
enum Failed {
    /// BuildKit is not to be had here, and nothing was built yet.
    NoBuildKit,
    /// For this reason.
    Because(Error),
}

impl Docker {
    pub(super) async fn build_image(
        &self,
        request: &BuildRequest,
        events: Events<'_>,
    ) -> Result<ImageId, Error> {
        let built = match self.attempt(request, self.builder(), events).await {
            Err(Failed::NoBuildKit) => {
                self.no_buildkit.store(true, Ordering::Relaxed);
                self.attempt(request, Builder::Classic, events).await
            }
            other => other,
        };
        let image = built.map_err(|failed| match failed {
            Failed::Because(error) => error,
            Failed::NoBuildKit => Error::Engine {
                message: "it asks for BuildKit where none was used".to_owned(),
            },
        })?;
        // The builder says what it made. The reference is looked up all the same: some engines lose
        // it, and another build may have taken it meanwhile.
        match self.inspect(&request.reference.to_string()).await {
            Ok(id) if id == image => Ok(id),
            Ok(_) | Err(Error::NoSuchImage { .. }) => {
                let id = self.inspect(image.as_str()).await?;
                self.tag_image(&id, &request.reference).await?;
                Ok(id)
            }
            Err(error) => Err(error),
        }
    }

    async fn attempt(
        &self,
        request: &BuildRequest,
        builder: Builder,
        events: Events<'_>,
    ) -> Result<ImageId, Failed> {
        let client = self.address.client(PATIENCE, &self.client.client_version());
        let client = client.map_err(Failed::Because)?;
        let options = self.options(request, builder);
        let context = request.context.clone();
        let compress = !self.address.is_local();
        let (sender, mut messages) = mpsc::channel(64);
        let room = Room::open().map_err(no_room)?;
        let (body, fed) = feed::start(context, compress);
        drop(room.spawn(async move {
            let body = bollard::body_try_stream(body);
            let mut stream = std::pin::pin!(client.build_image(options, None, Some(body)));
            while let Some(message) = stream.next().await {
                if sender.send(message).await.is_err() {
                    return;
                }
            }
        }));
        let mut progress = Progress::new(events);
        let messages = stream::poll_fn(move |waker| messages.poll_recv(waker));
        match follow(messages, fed, &mut progress).await {
            Ok(()) => {
                progress.finish();
                // An engine that is shut down ends the stream as if all were well.
                let cut_off = || {
                    Failed::Because(Error::Connection {
                        message: "the engine ended the build without a result".to_owned(),
                    })
                };
                progress.image().map(ImageId::new).ok_or_else(cut_off)
            }
            Err(End::Context(error)) => Err(Failed::Because(error)),
            Err(End::Engine(error)) => {
                progress.finish();
                let nothing_built = progress.step().is_none();
                Err(explain(
                    error,
                    &progress,
                    builder == Builder::BuildKit && nothing_built,
                ))
            }
        }
    }

    fn options(&self, request: &BuildRequest, builder: Builder) -> BuildImageOptions {
        let map = |map: &std::collections::BTreeMap<String, String>| -> HashMap<_, _> {
            map.iter().map(|(k, v)| (k.clone(), v.clone())).collect()
        };
        let own = self.platform.to_string();
        let wanted = request.platform.to_string();
        let foreign = wanted != own && !wanted.starts_with(&format!("{own}/"));
        let buildkit = builder == Builder::BuildKit;
        BuildImageOptions {
            t: Some(request.reference.to_string()),
            nocache: !request.cache,
            rm: true,
            forcerm: true,
            buildargs: Some(map(&request.args)),
            labels: Some(map(&request.labels)),
            // An engine asked for its own platform by name may look for it in a registry.
            platform: if foreign { wanted } else { String::new() },
            version: if buildkit {
                BuilderVersion::BuilderBuildKit
            } else {
                BuilderVersion::BuilderV1
            },
            session: buildkit.then(|| format!("kolla-{:032x}", rand::random::<u128>())),
            ..BuildImageOptions::default()
        }
    }
}

/// How following a build ended.
enum End {
    Context(Error),
    Engine(bollard::errors::Error),
}

/// Hands every message to `progress` until the engine has nothing more to say or the context
/// cannot be read.
async fn follow<E: FnMut(BuildEvent)>(
    stream: impl Stream<Item = Result<BuildInfo, bollard::errors::Error>>,
    mut fed: feed::Fed,
    progress: &mut Progress<E>,
) -> Result<(), End> {
    let mut stream = std::pin::pin!(stream);
    let mut reading = true;
    loop {
        tokio::select! {
            biased;
            end = &mut fed, if reading => {
                reading = false;
                match end {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => return Err(End::Context(error)),
                    Err(_) => {
                        return Err(End::Context(Error::Context {
                            message: "reading it ended early".to_owned(),
                        }));
                    }
                }
            }
            message = stream.next() => match message {
                Some(Ok(message)) => progress.take(message),
                Some(Err(error)) => {
                    // Half a context also ends the connection: its cause is the better answer.
                    return match fed.try_recv() {
                        Ok(Err(cause)) => Err(End::Context(cause)),
                        _ => Err(End::Engine(error)),
                    };
                }
                None => return Ok(()),
            },
        }
    }
}

fn no_room(error: std::io::Error) -> Failed {
    Failed::Because(Error::Connection {
        message: format!("no thread can be started for it: {error}"),
    })
}

fn explain<E: FnMut(BuildEvent)>(
    error: bollard::errors::Error,
    progress: &Progress<E>,
    may_lack_buildkit: bool,
) -> Failed {
    use bollard::errors::Error as Bollard;
    let (message, refused) = match &error {
        Bollard::DockerStreamError { error } => (error, false),
        Bollard::DockerResponseServerError {
            status_code,
            message,
        } => (message, (400..500).contains(status_code)),
        _ => return Failed::Because(classify::request(error, "the build")),
    };
    if may_lack_buildkit && classify::lacks_buildkit(message) {
        return Failed::NoBuildKit;
    }
    let recent: Vec<_> = progress.recent().collect();
    Failed::Because(classify::build(&classify::Failure {
        message,
        refused,
        step: progress.step(),
        pulling: progress.pulling(),
        recent: &recent,
    }))
}
