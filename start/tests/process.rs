//! The real program in a container of its own: as process 1, beside one, with and without rights.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what went wrong by failing

mod common;

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

/// Mounts what programs need around the test's tree and becomes what it is told there. The
/// directories are the test's own; only /usr is the machine's, and read-only.
const ENTER: &str = r#"set -e
root=$1; program=$2; how=$3; shift 3
mount --make-rprivate /
if [ "$how" = unprivileged ]; then
    mount --bind "$root" "$root"
    mount -o remount,bind,ro "$root"
fi
mount --bind /usr "$root/usr"
mount -o remount,bind,ro "$root/usr"
mount --bind "$root/local" "$root/usr/local"
mount --bind "$program" "$root/usr/local/bin/kolla_start"
mount -t proc proc "$root/proc"
mount --bind /dev/null "$root/dev/null"
if [ "$how" = unprivileged ]; then
    exec chroot "$root" setpriv --reuid=42436 --regid=42436 --clear-groups --no-new-privs \
        --bounding-set=-all --inh-caps=-all "$@"
fi
exec chroot "$root" "$@"
"#;

struct Sandbox {
    dir: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

#[derive(Debug)]
struct Run {
    status: Option<i32>,
    out: String,
    err: String,
}

impl Sandbox {
    /// None where namespaces cannot be had.
    fn new() -> Option<Self> {
        if !common::superuser() {
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let directories = ["usr", "local/bin", "proc", "dev", "tmp", "etc"];
        for path in directories.iter().chain(&["var/lib/kolla/config_files"]) {
            fs::create_dir_all(dir.path().join(path)).unwrap();
        }
        fs::set_permissions(dir.path().join("tmp"), PermissionsExt::from_mode(0o777)).unwrap();
        for name in ["bin", "sbin", "lib", "lib64"] {
            let target = format!("usr/{name}");
            std::os::unix::fs::symlink(target, dir.path().join(name)).unwrap();
        }
        fs::write(dir.path().join("dev/null"), "").unwrap();
        fs::write(dir.path().join("local/bin/kolla_start"), "").unwrap();
        for name in ["kolla_set_configs", "kolla_copy_cacerts", "kolla_init"] {
            let link = dir.path().join("local/bin").join(name);
            std::os::unix::fs::symlink("kolla_start", link).unwrap();
        }
        let sandbox = Self {
            dir,
            variables: Vec::new(),
        };
        sandbox.write("etc/passwd", "root:x:0:0::/:\nnova:x:42436:42436::/:\n");
        sandbox.write("etc/group", "root:x:0:\nnova:x:42436:\n");
        Some(sandbox)
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        fs::write(self.path(path), text).unwrap();
    }

    /// Written by a process of its own: what this one has open for writing while another test
    /// forks cannot be executed until that child has let go of it.
    fn script(&self, path: &str, text: &str) {
        let mut writer = Command::new("sh")
            .args(["-c", "cat > \"$1\" && chmod 755 \"$1\"", "script"])
            .arg(self.path(path))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        writer
            .stdin
            .take()
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        assert!(writer.wait().unwrap().success());
    }

    fn extend(&self, text: &str) {
        self.write("local/bin/kolla_extend_start", text);
    }

    fn command(&self, command: &str) {
        let config = json!({"command": command});
        self.config(&config);
    }

    fn config(&self, config: &serde_json::Value) {
        self.write(
            "var/lib/kolla/config_files/config.json",
            &config.to_string(),
        );
    }

    fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    fn prepare(&self, how: &str, words: &[&str]) -> Command {
        // Whatever a test does wrong, it ends.
        let mut command = Command::new("timeout");
        command
            .args([
                "--signal=KILL",
                "120",
                "unshare",
                "--mount",
                "--pid",
                "--fork",
                "--kill-child",
            ])
            .args(["sh", "-c", ENTER, "enter"])
            .arg(self.dir.path())
            .args([env!("CARGO_BIN_EXE_kolla_start"), how])
            .args(words)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/sbin:/usr/bin")
            .env("KOLLA_CONFIG_STRATEGY", "COPY_ALWAYS")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// These words as process 1, and what came of it.
    fn run_as(&self, how: &str, words: &[&str]) -> Run {
        let output = self.prepare(how, words).output().unwrap();
        Run {
            status: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// `kolla_start` with these arguments, as process 1 and superuser.
    fn start(&self, arguments: &[&str]) -> Run {
        let words: Vec<&str> = std::iter::once(&"kolla_start")
            .chain(arguments)
            .copied()
            .collect();
        self.run_as("superuser", &words)
    }

    fn start_unprivileged(&self, arguments: &[&str]) -> Run {
        let words: Vec<&str> = std::iter::once(&"kolla_start")
            .chain(arguments)
            .copied()
            .collect();
        self.run_as("unprivileged", &words)
    }

    fn eventually(&self, path: &str, text: &str) {
        let start = Instant::now();
        let read = || fs::read_to_string(self.path(path)).unwrap_or_default();
        while read() != text {
            let limit = start.elapsed() < Duration::from_secs(60);
            assert!(
                limit,
                "not within a minute: {path} has {text:?}, but {:?}",
                read()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Process 1 of a running sandbox, as the machine knows it: the child of the child of `timeout`.
fn first_process(child: &Child) -> Pid {
    let mut pid = child.id().to_string();
    for _ in 0..2 {
        let path = format!("/proc/{pid}/task/{pid}/children");
        let children = fs::read_to_string(path).unwrap();
        pid = children.split_whitespace().next().unwrap().to_owned();
    }
    Pid::from_raw(pid.parse().unwrap()).unwrap()
}

macro_rules! sandbox {
    () => {
        match Sandbox::new() {
            Some(sandbox) => sandbox,
            None => return,
        }
    };
}

#[test]
fn the_status_is_the_commands_or_the_signals() {
    let sandbox = sandbox!();
    for (script, status) in [
        ("exit 0", 0),
        ("exit 7", 7),
        ("kill -KILL $$", 137),
        ("kill -TERM $$", 143),
        ("sleep 1000 & exit 3", 3),
    ] {
        let run = sandbox.start(&["sh", "-c", script]);
        assert_eq!(run.status, Some(status), "{script}: {run:?}");
    }
}

#[test]
fn a_command_that_cannot_be_run_ends_as_in_a_shell() {
    let sandbox = sandbox!();
    sandbox.write("etc/data", "");
    for (words, status) in [(&["no-such-program"][..], 127), (&["/etc/data"], 126)] {
        let run = sandbox.start(words);
        assert_eq!(run.status, Some(status), "{run:?}");
        assert!(
            run.err.contains(&format!("{} cannot be run", words[0])),
            "{run:?}"
        );
    }
}

#[test]
fn the_command_is_not_process_1_and_has_no_signal_blocked_or_ignored() {
    let sandbox = sandbox!();
    let run = sandbox.start(&["grep", "-E", "^(Pid|SigBlk|SigIgn):", "/proc/self/status"]);
    let values: Vec<&str> = run.out.split_whitespace().skip(1).step_by(2).collect();
    assert_ne!(values[0], "1");
    assert_eq!(values[1], "0000000000000000");
    // Rust ignores SIGPIPE in itself.
    assert_eq!(u64::from_str_radix(values[2], 16).unwrap() & 0x1000, 0);
}

const TRAPS: &str = r#"#!/bin/bash
for signal in HUP INT QUIT USR1 USR2 ALRM CONT WINCH; do
    trap "echo $signal >> /tmp/got" $signal
done
trap 'echo TERM >> /tmp/got; exit 5' TERM
echo > /tmp/ready
while :; do sleep 0.01; done
"#;

#[test]
fn signals_reach_the_command() {
    let sandbox = sandbox!();
    sandbox.script("traps", TRAPS);
    let child = sandbox
        .prepare("superuser", &["kolla_start", "/traps"])
        .spawn()
        .unwrap();
    sandbox.eventually("tmp/ready", "\n");
    let first = first_process(&child);
    let mut expected = String::new();
    for (signal, name) in [
        (Signal::HUP, "HUP"),
        (Signal::INT, "INT"),
        (Signal::QUIT, "QUIT"),
        (Signal::USR1, "USR1"),
        (Signal::USR2, "USR2"),
        (Signal::ALARM, "ALRM"),
        (Signal::CONT, "CONT"),
        (Signal::WINCH, "WINCH"),
        (Signal::TERM, "TERM"),
    ] {
        kill_process(first, signal).unwrap();
        expected += &format!("{name}\n");
        sandbox.eventually("tmp/got", &expected);
    }
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(5));
}

/// A parent and its child that tell of SIGUSR1; the parent hands SIGUSR2 to the child, which shows
/// that whatever came before has been dealt with.
const FAMILY: &str = r#"#!/bin/bash
(
    trap 'echo child >> /tmp/child' USR1
    trap 'echo end >> /tmp/child; exit' USR2
    echo > /tmp/ready
    while :; do sleep 0.01; done
) &
child=$!
trap 'echo parent >> /tmp/parent' USR1
trap 'kill -USR2 $child' USR2
trap 'exit 6' TERM
until [[ -e /tmp/ready ]]; do sleep 0.01; done
echo > /tmp/all-ready
while :; do sleep 0.01; done
"#;

#[test]
fn signals_are_for_the_command_alone_unless_its_group_is_asked_for() {
    for (name, group) in [
        ("kolla_start", false),
        ("kolla_start", true),
        ("kolla_init", true),
    ] {
        let mut sandbox = sandbox!();
        if group {
            sandbox = sandbox.set("KOLLA_SIGNAL_GROUP", "1");
        }
        sandbox.script("family", FAMILY);
        let child = sandbox
            .prepare("superuser", &[name, "/family"])
            .spawn()
            .unwrap();
        sandbox.eventually("tmp/all-ready", "\n");
        let first = first_process(&child);
        kill_process(first, Signal::USR1).unwrap();
        sandbox.eventually("tmp/parent", "parent\n");
        if group {
            sandbox.eventually("tmp/child", "child\n");
        } else {
            kill_process(first, Signal::USR2).unwrap();
            sandbox.eventually("tmp/child", "end\n");
        }
        kill_process(first, Signal::TERM).unwrap();
        assert_eq!(child.wait_with_output().unwrap().status.code(), Some(6));
    }
}

#[test]
fn a_signal_that_comes_while_the_configuration_is_put_in_place_is_not_lost() {
    let sandbox = sandbox!();
    sandbox.extend("echo > /tmp/extending; until [[ -e /tmp/go ]]; do sleep 0.01; done\n");
    let child = sandbox
        .prepare("superuser", &["kolla_start", "true"])
        .spawn()
        .unwrap();
    sandbox.eventually("tmp/extending", "\n");
    kill_process(first_process(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(143));
}

#[test]
fn orphans_are_reaped() {
    let sandbox = sandbox!();
    let script = r#"#!/bin/bash
for i in 1 2 3 4 5; do ( bash -c "echo \$\$ > /tmp/pid$i.new; mv /tmp/pid$i.new /tmp/pid$i" & ); done
for i in 1 2 3 4 5; do
    until [[ -e /tmp/pid$i ]]; do sleep 0.01; done
    while [[ -e /proc/$(< /tmp/pid$i) ]]; do sleep 0.01; done
done
echo none left
exit 4
"#;
    sandbox.script("orphans", script);
    let run = sandbox.start(&["/orphans"]);
    assert_eq!(
        (run.status, run.out.as_str()),
        (Some(4), "none left\n"),
        "{run:?}"
    );
}

#[test]
fn beside_a_process_1_it_becomes_the_command() {
    let sandbox = sandbox!();
    sandbox.script(
        "inner",
        "#!/bin/sh\necho $$\nexec kolla_start sh -c 'echo $$'\n",
    );
    let run = sandbox.run_as("superuser", &["sh", "-c", "/inner; exit $?"]);
    let pids: Vec<&str> = run.out.lines().collect();
    assert_eq!(pids.len(), 2, "{run:?}");
    assert_eq!(pids[0], pids[1]);
}

#[test]
fn a_configuration_is_put_in_place_and_its_command_run() {
    let sandbox = sandbox!();
    sandbox.write("var/lib/kolla/config_files/nova.conf", "hunter2");
    sandbox.config(&json!({
        "command": "  stat   -c %U:%G,%a,%n /etc/nova.conf ",
        "config_files": [{"source": "/var/lib/kolla/config_files/nova.conf",
            "dest": "/etc/nova.conf", "owner": "nova", "perm": "0600"}],
    }));
    // The image's own command.
    let run = sandbox.start(&["false"]);
    assert_eq!(run.status, Some(0), "{run:?}");
    assert_eq!(run.out, "nova:nova,600,/etc/nova.conf\n");
    assert!(!run.err.contains("hunter2"));
    assert_eq!(
        fs::read_to_string(sandbox.path("etc/nova.conf")).unwrap(),
        "hunter2"
    );
    let check = sandbox.run_as("superuser", &["kolla_set_configs", "--check"]);
    assert_eq!(check.status, Some(0), "{check:?}");
    sandbox.write("etc/nova.conf", "other");
    let check = sandbox.run_as("superuser", &["kolla_set_configs", "--check"]);
    assert_eq!(check.status, Some(1), "{check:?}");
}

/// What kolla-ansible does: `kolla_start` is the image's command, and jobs bring their own, with a
/// configuration whose command they do not want.
#[test]
fn behind_kolla_init_a_command_stands_in_for_kolla_start() {
    let sandbox = sandbox!();
    sandbox.command("echo service");
    let run = sandbox.run_as(
        "superuser",
        &["kolla_init", "kolla_start", "the-images-own"],
    );
    assert_eq!(
        (run.status, run.out.as_str()),
        (Some(0), "service\n"),
        "{run:?}"
    );
    let job = "kolla_set_configs && echo job, not process $$; exit 3";
    let run = sandbox.run_as("superuser", &["kolla_init", "bash", "-c", job]);
    assert_eq!(run.status, Some(3), "{run:?}");
    assert!(run.out.starts_with("job, not process ") && run.out != "job, not process 1\n");
    let run = sandbox.run_as(
        "superuser",
        &["sh", "-c", "kolla_init echo beside; exit $?"],
    );
    assert_eq!(
        (run.status, run.out.as_str()),
        (Some(0), "beside\n"),
        "{run:?}"
    );
    let run = sandbox.run_as("superuser", &["kolla_init"]);
    assert_eq!(run.status, Some(1), "{run:?}");
}

#[test]
fn a_broken_configuration_is_told_and_nothing_runs() {
    let sandbox = sandbox!();
    sandbox.write(
        "var/lib/kolla/config_files/config.json",
        "{\"command\": hunter2",
    );
    let run = sandbox.start(&["echo", "ran"]);
    assert_eq!((run.status, run.out.as_str()), (Some(1), ""), "{run:?}");
    let expected = "kolla_start: /var/lib/kolla/config_files/config.json: expected JSON";
    assert!(
        run.err.starts_with(expected) && !run.err.contains("hunter2"),
        "{run:?}"
    );
}

#[test]
fn what_the_images_script_sets_reaches_the_command() {
    let sandbox = sandbox!().set("FROM_OUTSIDE", "outside");
    sandbox.script(
        "show",
        "#!/bin/sh\necho \"$FROM_OUTSIDE $EXPORTED\" \"$@\"\n",
    );
    sandbox.extend("export EXPORTED=exported\nARGS='more  args *'\n");
    sandbox.command("/show one *");
    let run = sandbox.start(&[]);
    assert_eq!(run.out, "outside exported one * more args *\n", "{run:?}");
    sandbox.extend("if [[ $CMD == '/show one *' ]]; then CMD='/show two'; fi\n");
    assert_eq!(sandbox.start(&[]).out, "outside  two\n");
}

#[test]
fn arguments_stay_as_they_are_with_the_images_script_and_without() {
    let sandbox = sandbox!();
    let words = ["printf", "<%s>", "two words", "", "*", "$HOME", "-x"];
    let expected = "<two words><><*><$HOME><-x>";
    assert_eq!(sandbox.start(&words).out, expected);
    sandbox.extend("");
    assert_eq!(sandbox.start(&words).out, expected);
    sandbox.extend("export X=1\n");
    assert_eq!(sandbox.start(&words).out, expected);
    sandbox.extend("ARGS=last\n");
    assert_eq!(sandbox.start(&words).out, format!("{expected}<last>"));
}

#[test]
fn bootstrap_is_the_scripts_business() {
    let sandbox = sandbox!().set("KOLLA_BOOTSTRAP", "");
    sandbox.extend("if [[ \"${!KOLLA_BOOTSTRAP[@]}\" ]]; then echo bootstrapped; exit 0; fi\n");
    sandbox.command("echo ran");
    assert_eq!(sandbox.start(&[]).out, "bootstrapped\n");
    let sandbox = sandbox.set("KOLLA_SKIP_EXTEND_START", "");
    assert_eq!(sandbox.start(&[]).out, "ran\n");
}

#[test]
fn a_script_that_fails_ends_it() {
    let sandbox = sandbox!();
    sandbox.command("echo ran");
    for (script, status) in [
        ("exit 9", 9),
        ("false", 1),
        ("echo $UNSET", 1),
        ("no-such", 127),
    ] {
        sandbox.extend(script);
        let run = sandbox.start(&[]);
        assert_eq!(
            (run.status, run.out.as_str()),
            (Some(status), ""),
            "{script}: {run:?}"
        );
    }
}

#[test]
fn nothing_to_run_is_said_plainly() {
    let sandbox = sandbox!();
    for run in [sandbox.start(&[]), sandbox.start_unprivileged(&[])] {
        assert_eq!(run.status, Some(1), "{run:?}");
        assert!(
            run.err.starts_with("kolla_start: there is nothing to run"),
            "{run:?}"
        );
    }
}

#[test]
fn without_configuration_no_right_and_no_writable_file_is_needed() {
    let sandbox = sandbox!();
    sandbox.extend("export EXPORTED=1\n");
    let script = "grep -E '^(Cap(Eff|Prm)|NoNewPrivs)' /proc/self/status; \
                  touch /tmp/x 2>/dev/null || echo read-only; id -u; exit 8";
    let run = sandbox.start_unprivileged(&["bash", "-c", script]);
    assert_eq!(run.status, Some(8), "{run:?}");
    let lines: Vec<&str> = run.out.lines().collect();
    assert_eq!(
        lines,
        [
            "CapPrm:\t0000000000000000",
            "CapEff:\t0000000000000000",
            "NoNewPrivs:\t1",
            "read-only",
            "42436"
        ]
    );
}

#[test]
fn an_ordinary_user_has_the_configuration_put_in_place_by_sudo() {
    let sandbox = sandbox!();
    sandbox.command("echo never read by this user");
    sandbox.write("run_command", "echo from the superuser");
    sandbox.script("local/bin/sudo", "#!/bin/sh\necho sudo \"$@\"\n");
    let run = sandbox.start_unprivileged(&[]);
    let expected = "sudo -n -- /usr/local/bin/kolla_set_configs\nfrom the superuser\n";
    assert_eq!(
        (run.status, run.out.as_str()),
        (Some(0), expected),
        "{run:?}"
    );

    let certificates = sandbox.path("var/lib/kolla/config_files/ca-certificates");
    fs::create_dir(&certificates).unwrap();
    fs::write(certificates.join("a.crt"), "").unwrap();
    sandbox.write("etc/debian_version", "13");
    let run = sandbox.start_unprivileged(&[]);
    let expected = "sudo -n -- /usr/local/bin/kolla_set_configs\n\
                    sudo -n -- /usr/local/bin/kolla_copy_cacerts\nfrom the superuser\n";
    assert_eq!(run.out, expected, "{run:?}");

    sandbox.script("local/bin/sudo", "#!/bin/sh\nexit 1\n");
    let run = sandbox.start_unprivileged(&[]);
    assert_eq!((run.status, run.out.as_str()), (Some(1), ""), "{run:?}");
    assert!(run.err.contains("sudo kolla_set_configs failed"), "{run:?}");
}

#[test]
fn an_ordinary_user_without_sudo_is_told_what_to_do() {
    let sandbox = sandbox!();
    sandbox.command("/usr/bin/echo ran");
    let run = sandbox.run_as(
        "unprivileged",
        &["env", "PATH=/usr/local/bin", "/usr/local/bin/kolla_start"],
    );
    assert_eq!((run.status, run.out.as_str()), (Some(2), ""), "{run:?}");
    assert!(run.err.contains("there is no `sudo` here"), "{run:?}");
    assert!(run.err.contains("mount every file in place"), "{run:?}");
}

#[test]
fn an_ordinary_user_cannot_have_a_configuration_of_their_own_put_in_place() {
    let secret = r#"{"command": "echo hunter2"}"#;
    for (name, value) in [
        ("KOLLA_CONFIG", secret),
        ("KOLLA_CONFIG_FILE", "/tmp/evil.json"),
    ] {
        let sandbox = sandbox!().set(name, value);
        let run = sandbox.start_unprivileged(&["echo", "ran"]);
        assert_eq!((run.status, run.out.as_str()), (Some(1), ""), "{run:?}");
        assert!(run.err.contains("taken from the superuser only"), "{run:?}");
        assert!(!run.err.contains("hunter2"), "{run:?}");
    }
}

#[test]
fn further_certificates_are_trusted_before_the_command_runs() {
    let sandbox = sandbox!();
    sandbox.write("etc/debian_version", "13");
    let certificates = sandbox.path("var/lib/kolla/config_files/ca-certificates");
    fs::create_dir(&certificates).unwrap();
    fs::write(certificates.join("corp.crt"), "C").unwrap();
    let directory = sandbox.path("local/share/ca-certificates");
    let run = sandbox.start(&["true"]);
    // The machine's program runs here, in a tree that is not meant for it.
    let installed = fs::read(directory.join("kolla-customca-corp.crt")).unwrap();
    assert_eq!(installed, b"C", "{run:?}");
}
