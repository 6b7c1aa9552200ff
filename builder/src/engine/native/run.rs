//! Containers of images, run to their end.

use std::sync::Arc;

use super::super::text::Tail;
use super::super::{Error, RunRequest, RunResult};
use super::build::{Shared, with_path};
use super::step::{Action, Cancel, Run, Spec};
use super::store::Image;

/// Runs a container on a throw-away layer over the image's.
pub(super) fn run(
    shared: &Shared,
    request: &RunRequest,
    cancel: &Cancel,
) -> Result<RunResult, Error> {
    let missing = || Error::NoSuchImage {
        reference: request.image.to_string(),
    };
    let store = &shared.store;
    let image: Arc<Image> = store.image(&request.image)?.ok_or_else(missing)?;
    let layers = store.layers_of(&image).ok_or_else(missing)?;
    let scratch = store.scratch()?;
    let config = &image.config.config;
    let mut environment = config.env.clone();
    with_path(&mut environment);
    let hostname = format!("{:012x}", rand::random::<u64>() >> 16);
    environment.push(format!("HOSTNAME={hostname}"));
    let directory = match config.working_dir.as_str() {
        "" => "/".to_owned(),
        path => path.to_owned(),
    };
    let arguments = if request.command.is_empty() {
        let words = [&config.entrypoint, &config.cmd]
            .into_iter()
            .flatten()
            .flatten();
        words.cloned().collect()
    } else {
        request.command.clone()
    };
    let spec = Spec {
        snapshots: store.snapshots(),
        lower: layers
            .iter()
            .rev()
            .map(|layer| layer.snapshot.clone())
            .collect(),
        scratch: scratch.path().to_path_buf(),
        user_marks: store.user_marks,
        action: Action::Run(Box::new(Run {
            arguments,
            environment,
            directory,
            user: config.user.clone(),
            isolated: !request.network,
            hostname,
            mounts: Vec::new(),
            resolv_conf: shared.resolv_conf.clone(),
        })),
    };
    let mut tail = Tail::default();
    let ended = shared.launcher.run(&spec, cancel, |bytes| tail.push(bytes));
    match ended {
        Ok(status) => Ok(RunResult {
            status: i64::from(status),
            output: tail.finish(),
        }),
        // It says something about the image, not about the engine.
        Err(failure) if failure.status.is_some() => {
            tail.push(failure.message.as_bytes());
            Ok(RunResult {
                status: i64::from(failure.status.unwrap_or(127)),
                output: tail.finish(),
            })
        }
        Err(failure) => Err(
            match failure.code.map(rustix::io::Errno::from_raw_os_error) {
                Some(rustix::io::Errno::NOSPC) => Error::DiskFull {
                    message: failure.message,
                },
                _ => Error::Engine {
                    message: failure.message,
                },
            },
        ),
    }
}
