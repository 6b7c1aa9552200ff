use std::collections::HashMap;

use bollard::container::AttachContainerResults;
use bollard::errors::Error as Bollard;
use bollard::models::{ContainerCreateBody, HealthConfig, HostConfig};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptions, RemoveContainerOptionsBuilder,
    StartContainerOptions, WaitContainerOptions,
};
use futures_util::StreamExt;
use tokio_util::sync::CancellationToken;

use super::super::text::Tail;
use super::super::{Error, RunRequest, RunResult};
use super::{Docker, PATIENCE, classify};

/// Marks the containers that this program runs, so that any left behind can be told from others.
pub(super) const LABEL: &str = "org.openstack.kolla.run";

impl Docker {
    /// The container lives in a task of its own, which removes it whatever happens to the caller.
    pub(super) async fn run_container(&self, request: &RunRequest) -> Result<RunResult, Error> {
        let dropped = CancellationToken::new();
        let _guard = dropped.clone().drop_guard();
        let client = self.client.clone();
        let body = container(request);
        let image = request.image.to_string();
        let life = self.tasks.spawn(async move {
            let created = client
                .create_container(None::<CreateContainerOptions>, body)
                .await;
            let id = created
                .map_err(|error| classify::request(error, &image))?
                .id;
            let result = tokio::select! {
                result = live(&client, &id) => result,
                () = dropped.cancelled() => Err(Error::Connection {
                    message: "nobody waits for the container any more".to_owned(),
                }),
            };
            let removed = remove(&client, &id).await;
            let result = result?;
            removed.map(|()| result)
        });
        life.await.unwrap_or_else(|error| {
            Err(Error::Engine {
                message: format!("running the container was cut off: {error}"),
            })
        })
    }
}

fn container(request: &RunRequest) -> ContainerCreateBody {
    let (entrypoint, arguments) = match request.command.split_first() {
        Some((first, rest)) => (Some(vec![first.clone()]), Some(rest.to_vec())),
        None => (None, None),
    };
    ContainerCreateBody {
        image: Some(request.image.to_string()),
        entrypoint,
        cmd: arguments,
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        labels: Some(HashMap::from([(LABEL.to_owned(), "1".to_owned())])),
        // The image's own check would run beside the command.
        healthcheck: Some(HealthConfig {
            test: Some(vec!["NONE".to_owned()]),
            ..HealthConfig::default()
        }),
        network_disabled: (!request.network).then_some(true),
        host_config: Some(HostConfig {
            network_mode: (!request.network).then(|| "none".to_owned()),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}

/// From the start of a container to its end.
///
/// Its output is followed by attaching before it starts: logs can be read back only from some of
/// the log drivers an engine may be set to.
async fn live(client: &bollard::Docker, id: &str) -> Result<RunResult, Error> {
    let patient = client.clone().with_timeout(PATIENCE);
    let options = AttachContainerOptionsBuilder::default()
        .stream(true)
        .stdout(true)
        .stderr(true)
        .build();
    let attached = patient.attach_container(id, Some(options)).await;
    let attached = match attached {
        Ok(attached) => attached,
        // Podman prepares the command already here.
        Err(error) => return unstartable(&error).ok_or_else(|| failed(error)),
    };
    // The input stays open beside it: closing it would end the connection.
    let AttachContainerResults { mut output, input } = attached;
    let started = client
        .start_container(id, None::<StartContainerOptions>)
        .await;
    if let Err(error) = started {
        return unstartable(&error).ok_or_else(|| failed(error));
    }
    let mut tail = Tail::default();
    while let Some(piece) = output.next().await {
        tail.push(&piece.map_err(failed)?.into_bytes());
    }
    drop(input);
    let mut ends = std::pin::pin!(patient.wait_container(id, None::<WaitContainerOptions>));
    let status = match ends.next().await {
        Some(Ok(end)) => end.status_code,
        // The client library takes every status but 0 for an error.
        Some(Err(Bollard::DockerContainerWaitError { code, .. })) => code,
        Some(Err(error)) => return Err(failed(error)),
        None => {
            return Err(Error::Connection {
                message: "the engine did not say how the container ended".to_owned(),
            });
        }
    };
    Ok(RunResult {
        status,
        output: tail.finish(),
    })
}

/// A failed request about a container that is ours.
fn failed(error: Bollard) -> Error {
    match classify::request(error, "the container") {
        Error::NoSuchImage { .. } => Error::Engine {
            message: "the container was removed by somebody else".to_owned(),
        },
        other => other,
    }
}

/// The status that a shell gives a command that cannot be started, if that is why a container
/// was not: it says something about the image, not about the engine.
fn unstartable(error: &Bollard) -> Option<RunResult> {
    let Bollard::DockerResponseServerError { message, .. } = error else {
        return None;
    };
    let lower = message.to_lowercase();
    let status = if !lower.contains("exec") {
        return None;
    } else if lower.contains("not found") || lower.contains("no such file or directory") {
        127
    } else if lower.contains("permission denied") {
        126
    } else {
        return None;
    };
    let mut output = Tail::default();
    output.push(message.as_bytes());
    Some(RunResult {
        status,
        output: output.finish(),
    })
}

/// Removes a container with its volumes, running or not; one that is gone is as good as removed.
pub(super) async fn remove(client: &bollard::Docker, id: &str) -> Result<(), Error> {
    let options = RemoveContainerOptionsBuilder::default()
        .force(true)
        .v(true)
        .build();
    match client.remove_container(id, Some(options)).await {
        Ok(())
        | Err(Bollard::DockerResponseServerError {
            status_code: 404, ..
        }) => Ok(()),
        Err(error) => Err(classify::request(error, "the container")),
    }
}
