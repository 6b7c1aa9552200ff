//! Tools run as processes: each in a process group of its own, which ends with the future that waits
//! for it.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, waitpid};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// How long a tool that was told to end has for taking its mounts and files away: ten seconds.
const TIDYING_TURNS: u32 = 500;
const TIDYING_TURN: Duration = Duration::from_millis(20);

/// The longest output that is read, and the longest line of it, in bytes. Then the pipe is closed,
/// which ends a tool that prints without end; a longer line comes in pieces.
const MAX_OUTPUT: u64 = 64 << 20;
const MAX_LINE: u64 = 16 << 10;

/// Dropped before the tool has ended, it tells the group to end, and ends it when it does not.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        let Some(pid) = self.0 else {
            return;
        };
        if kill_process_group(pid, Signal::TERM).is_err() {
            return;
        }
        // Its temporary files are below a folder that is removed next.
        for _ in 0..TIDYING_TURNS {
            match waitpid(Some(pid), WaitOptions::NOHANG) {
                Ok(None) => std::thread::sleep(TIDYING_TURN),
                _ => break,
            }
        }
        // What the tool itself has started may not have heard, or not have cared.
        let _ = kill_process_group(pid, Signal::KILL);
    }
}

/// Runs a tool to its end, with nothing to read, and hands over each line that it prints to standard
/// error as it comes. What it prints to standard output is thrown away.
///
/// # Errors
/// When it cannot be started, `NotFound` where there is none.
pub async fn run(
    command: Command,
    line: &mut (dyn FnMut(&str) + Send),
) -> std::io::Result<ExitStatus> {
    run_either(command, false, line).await
}

/// The same with what it prints to standard output; standard error is thrown away.
///
/// # Errors
/// As [`run`].
pub async fn output(command: Command) -> std::io::Result<(ExitStatus, String)> {
    let mut text = String::new();
    let mut line = |line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    let status = run_either(command, true, &mut line).await?;
    Ok((status, text))
}

/// How a tool ended and what it printed, to the byte.
#[derive(Debug)]
pub struct Captured {
    /// How it ended.
    pub status: ExitStatus,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

/// Runs a tool to its end with `input` to read, and keeps what it prints.
///
/// # Errors
/// As [`run`].
pub async fn capture(mut command: Command, input: Stdio) -> std::io::Result<Captured> {
    command.stdin(input);
    let (mut child, mut group) = start(command, Stdio::piped(), Stdio::piped())?;
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let (out, err) = (child.stdout.take(), child.stderr.take());
    tokio::try_join!(whole(out, &mut stdout), whole(err, &mut stderr))?;
    let status = child.wait().await;
    group.0 = None;
    Ok(Captured {
        status: status?,
        stdout,
        stderr,
    })
}

async fn whole(
    pipe: Option<impl tokio::io::AsyncRead + Unpin>,
    to: &mut Vec<u8>,
) -> std::io::Result<()> {
    if let Some(pipe) = pipe {
        pipe.take(MAX_OUTPUT).read_to_end(to).await?;
    }
    Ok(())
}

/// Starts a tool in a group of its own.
fn start(mut command: Command, stdout: Stdio, stderr: Stdio) -> std::io::Result<(Child, Group)> {
    command
        .stdout(stdout)
        .stderr(stderr)
        .env("LC_ALL", "C")
        .process_group(0);
    let child = command.spawn()?;
    let pid = child.id().and_then(|id| i32::try_from(id).ok());
    Ok((child, Group(pid.and_then(Pid::from_raw))))
}

async fn run_either(
    mut command: Command,
    standard_output: bool,
    line: &mut (dyn FnMut(&str) + Send),
) -> std::io::Result<ExitStatus> {
    let to = |wanted: bool| {
        if wanted {
            Stdio::piped()
        } else {
            Stdio::null()
        }
    };
    command.stdin(Stdio::null());
    let (mut child, mut group) = start(command, to(standard_output), to(!standard_output))?;
    if let Some(stdout) = child.stdout.take() {
        lines(stdout, line).await;
    }
    if let Some(stderr) = child.stderr.take() {
        lines(stderr, line).await;
    }
    let status = child.wait().await;
    group.0 = None;
    status
}

async fn lines(pipe: impl tokio::io::AsyncRead + Unpin, line: &mut (dyn FnMut(&str) + Send)) {
    let mut reader = BufReader::new(pipe.take(MAX_OUTPUT));
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let mut limited = (&mut reader).take(MAX_LINE);
        match limited.read_until(b'\n', &mut bytes).await {
            Ok(0) | Err(_) => return,
            Ok(_) => line(String::from_utf8_lossy(&bytes).trim_end_matches(['\n', '\r'])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn lines_come_one_by_one_and_the_status_after_them() -> std::io::Result<()> {
        let mut all = Vec::new();
        let status = run(
            sh("echo a >&2; echo b; printf c >&2; exit 3"),
            &mut |line| {
                all.push(line.to_owned());
            },
        )
        .await?;
        assert_eq!(
            (all, status.code()),
            (vec!["a".into(), "c".into()], Some(3))
        );
        let (status, text) = output(sh("echo out; echo err >&2")).await?;
        assert!(status.success());
        assert_eq!(text, "out\n");
        let input = tempfile::tempfile()?;
        let both = capture(sh("cat; printf 'o\\0u'; echo err >&2"), input.into()).await?;
        assert_eq!(
            (both.stdout.as_slice(), both.stderr.as_slice()),
            (&b"o\0u"[..], &b"err\n"[..])
        );
        Ok(())
    }

    #[tokio::test]
    async fn a_dropped_run_leaves_no_process() -> std::io::Result<()> {
        // The child of the shell does not listen to the first signal.
        let script = "echo $$ >&2; sh -c 'trap \"\" TERM; sleep 97531; sleep 97531' & wait";
        let mut pid = None;
        let mut note = |line: &str| pid = line.parse::<i32>().ok();
        let running = run(sh(script), &mut note);
        let ended = tokio::time::timeout(Duration::from_millis(500), running).await;
        assert!(ended.is_err());
        let group = pid
            .and_then(Pid::from_raw)
            .ok_or(std::io::ErrorKind::NotFound)?;
        for _ in 0..200 {
            if !members(group) {
                return Ok(());
            }
            std::thread::sleep(TIDYING_TURN);
        }
        panic!("the group {group:?} still has processes");
    }

    /// Whether a process group has a process that is no zombie.
    fn members(group: Pid) -> bool {
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let mut stats = entries.filter_map(|e| std::fs::read_to_string(e.path().join("stat")).ok());
        stats.any(|stat| {
            let rest = stat.rsplit(')').next().unwrap_or_default();
            let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
            fields.first() != Some(&"Z")
                && fields.get(2) == Some(&group.as_raw_nonzero().to_string().as_str())
        })
    }
}
