use super::super::super::text::{Lines, clean};
use super::{BuildEvent, Report, Stages, fraction};

/// What Docker's classic builder puts around what containers print to their standard error.
const STANDARD_ERROR: &str = "\u{1b}[91m";

/// The text messages of Docker's classic builder, and of Podman's.
///
/// The engine's own remarks and what containers print come in the same field. A remark is always a
/// message of its own, and steps are counted without a gap, so output that merely looks like one
/// is not taken for it.
#[derive(Debug, Default)]
pub(super) struct Stream {
    stages: Stages,
    steps: u32,
    output: Lines,
    errors: Lines,
}

impl Stream {
    pub(super) fn take<E: FnMut(BuildEvent)>(&mut self, text: &str, report: &mut Report<E>) {
        if let Some((stage, number, steps, instruction)) = step(text) {
            self.stages.learn(stage, steps);
            let (number, total) = self.stages.place(stage, number);
            if number == self.steps + 1 {
                self.finish(report);
                self.steps = number;
                report.step(
                    number,
                    total,
                    &clean(instruction.replace('\n', " ").as_bytes()),
                );
                return;
            }
        }
        if is_chatter(text) {
            return;
        }
        let lines = if text.starts_with(STANDARD_ERROR) {
            &mut self.errors
        } else {
            &mut self.output
        };
        lines.push(text.as_bytes(), |line| report.line(line));
    }

    pub(super) fn finish<E: FnMut(BuildEvent)>(&mut self, report: &mut Report<E>) {
        self.output.finish(|line| report.line(line));
        self.errors.finish(|line| report.line(line));
    }
}

/// Reads `Step 3/10 : RUN x` (Docker), `STEP 3/10: RUN x` and `[2/3] STEP 3/10: RUN x` (Podman):
/// the stage, the number in it, how many it has, and the instruction.
fn step(text: &str) -> Option<(&str, u32, u32, &str)> {
    let (stage, rest) = match text.strip_prefix('[') {
        Some(rest) => rest
            .split_once("] ")
            .filter(|(stage, _)| fraction(stage).is_some())?,
        None => ("", text),
    };
    let (numbers, instruction) = match rest.strip_prefix("Step ") {
        Some(rest) => rest.split_once(" : ")?,
        None => rest.strip_prefix("STEP ")?.split_once(": ")?,
    };
    let (number, steps) = fraction(numbers)?;
    Some((stage, number, steps, instruction))
}

/// Remarks about layers and containers that say nothing to a person.
fn is_chatter(text: &str) -> bool {
    let line = text.trim();
    let id = |s: &str| s.len() >= 11 && s.bytes().all(|b| b.is_ascii_hexdigit());
    // Between two remarks Docker sends a bare line break.
    text == "\n"
        || line == "--->"
        || id(line) && line.len() == 64
        || [
            "---> Running in ",
            "---> ",
            "--> ",
            "Removing intermediate container ",
            "Successfully built ",
        ]
        .iter()
        .any(|prefix| line.strip_prefix(prefix).is_some_and(id))
        || text.starts_with("Successfully tagged ")
        || text.starts_with("COMMIT ")
        || text.starts_with("[Warning] One or more build-args ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::Progress;
    use super::*;
    use bollard::models::BuildInfo;

    /// The events of messages as an engine sent them, one JSON object a line.
    fn events(messages: &str) -> Vec<BuildEvent> {
        let mut events = Vec::new();
        let mut progress = Progress::new(|event| events.push(event));
        for line in messages.lines().filter(|l| !l.trim().is_empty()) {
            let info: BuildInfo = serde_json::from_str(line).unwrap();
            progress.take(info);
        }
        progress.finish();
        drop(progress);
        events
    }

    fn step(number: u32, total: u32, instruction: &str) -> BuildEvent {
        BuildEvent::Step {
            number,
            total,
            instruction: instruction.to_owned(),
        }
    }

    fn log(line: &str) -> BuildEvent {
        BuildEvent::Log(line.to_owned())
    }

    #[test]
    fn docker_20_10_classic() {
        let messages = r#"
{"stream":"Step 1/3 : FROM kollaglue/base:x"}
{"stream":"\n"}
{"stream":" ---\u003e 5c9bd960a28b\n"}
{"stream":"Step 2/3 : ADD rootfs.tar /"}
{"stream":"\n"}
{"stream":" ---\u003e Using cache\n"}
{"stream":" ---\u003e 735f5b226a6b\n"}
{"stream":"Step 3/3 : RUN echo one; echo two \u003e\u00262; printf part; sleep 1; printf 'ial\\n'"}
{"stream":"\n"}
{"stream":" ---\u003e Running in 9fd4ed534a18\n"}
{"stream":"one\npart"}
{"stream":"\u001b[91mtwo\n\u001b[0m"}
{"stream":"ial\r50%\r100%\nesc \u001b[31mred\u001b[0m\n"}
{"stream":"Step 9/9 : not a step\n"}
{"stream":"Removing intermediate container 9fd4ed534a18\n"}
{"stream":" ---\u003e dad1559e6724\n"}
{"aux":{"ID":"sha256:5c9bd960a28b2ef838d1e52f760abd4f3851477afe4ad79777f4646ee07de013"}}
{"stream":"Successfully built 5c9bd960a28b\n"}
{"stream":"Successfully tagged kollaglue/base:x\n"}"#;
        assert_eq!(
            events(messages),
            [
                step(1, 3, "FROM kollaglue/base:x"),
                step(2, 3, "ADD rootfs.tar /"),
                log(" ---> Using cache"),
                step(
                    3,
                    3,
                    "RUN echo one; echo two >&2; printf part; sleep 1; printf 'ial\\n'"
                ),
                log("one"),
                log("two"),
                log("100%"),
                log("esc red"),
                log("Step 9/9 : not a step"),
            ]
        );
    }

    #[test]
    fn podman_4_with_two_stages() {
        let messages = r#"
{"stream":"[1/2] STEP 1/2: FROM kollaglue/base:x AS a\n"}
{"stream":"[1/2] STEP 2/2: RUN true\n"}
{"stream":"--\u003e 2d7566b4870\n"}
{"stream":"[2/2] STEP 1/2: FROM kollaglue/base:x\n"}
{"stream":"[2/2] STEP 2/2: COPY --from=a /bin/busybox /b\n"}
{"stream":"COMMIT docker.io/kollaglue/base:x\n"}
{"stream":"--\u003e 1835639ef54\n"}
{"stream":"Successfully tagged docker.io/kollaglue/base:x\n"}
{"stream":"1835639ef54741f596dcf94a908e41d4472666f6bf53b8a3f8e626972951ece9\n"}
{"aux":{"ID":"sha256:1835639ef54741f596dcf94a908e41d4472666f6bf53b8a3f8e626972951ece9"}}
{"stream":"Successfully built 1835639ef547\n"}"#;
        assert_eq!(
            events(messages),
            [
                step(1, 2, "FROM kollaglue/base:x AS a"),
                step(2, 2, "RUN true"),
                step(3, 4, "FROM kollaglue/base:x"),
                step(4, 4, "COPY --from=a /bin/busybox /b"),
            ]
        );
    }

    #[test]
    fn what_moves_while_a_base_image_is_pulled_is_left_out() {
        let messages = r#"
{"status":"Pulling from library/debian","id":"13"}
{"status":"Downloading","progressDetail":{"current":1,"total":2},"progress":"[=>","id":"a"}
{"status":"Pull complete","progressDetail":{},"id":"a"}
{"status":"Status: Downloaded newer image for debian:13"}"#;
        assert_eq!(
            events(messages),
            [
                log("Pulling from library/debian"),
                log("Status: Downloaded newer image for debian:13"),
            ]
        );
    }
}
