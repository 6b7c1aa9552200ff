use crate::engine::{self, Engine, RunRequest};
use crate::model::ImageId;

/// The last lines of a test's output that are told.
const TOLD: usize = 20;

/// How a smoke test went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmokeFailure {
    /// What is wrong, "ended with status 3: keystone-manage --version".
    pub message: String,
    /// The end of its output.
    pub output: Vec<String>,
}

/// Runs an image's smoke test in a container without a network; `None` where it succeeded.
///
/// # Errors
/// When the engine could not run it, which says nothing of the image.
pub async fn smoke_test(
    engine: &dyn Engine,
    image: &ImageId,
    command: &[String],
) -> Result<Option<SmokeFailure>, engine::Error> {
    let request = RunRequest {
        image: image.clone(),
        command: command.to_vec(),
        network: false,
    };
    let ended = engine.run(&request).await?;
    if ended.status == 0 {
        return Ok(None);
    }
    let lines = ended.output.lines().filter(|line| !line.trim().is_empty());
    let lines: Vec<&str> = lines.collect();
    let tail = &lines[lines.len().saturating_sub(TOLD)..];
    Ok(Some(SmokeFailure {
        message: format!("ended with status {}: {}", ended.status, command.join(" ")),
        output: tail.iter().map(|line| (*line).to_owned()).collect(),
    }))
}
