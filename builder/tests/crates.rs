//! Programs compiled from crates of the fleet: what they are known by, and what comes out.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

mod fleet;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use fleet::{Fleet, Loaded};
use kolla::archive::{Body, EntryKind};
use kolla::cargo::Toolchain;
use kolla::context::{BuildContext, Fetcher};
use kolla::event::{Event, Record};
use kolla::model::{Class, Diagnostic, ImageName, Platform};
use kolla::plan::changes;
use kolla::schedule::complete;

const LOCK: &str = r#"version = 4

[[package]]
name = "other"
version = "1.0.0"
dependencies = ["stray"]

[[package]]
name = "start"
version = "0.1.0"
dependencies = ["needed"]

[[package]]
name = "needed"
version = "1.0.0"
source = "registry+https://registry.example/index"
checksum = "aa"

[[package]]
name = "stray"
version = "1.0.0"
source = "registry+https://registry.example/index"
checksum = "bb"
"#;

/// A fleet with an image that has the program of a crate in a workspace of two.
fn with_crate() -> Fleet {
    let fleet = Fleet::with(&[
        (
            "services/base/service.toml",
            "description = \"Base\"\n[images.base]\ndescription = \"The base\"\n\
             [[images.base.sources]]\nto = \"bin/begin\"\ncrate = { path = \"start\", bin = \"begin\" }\n",
        ),
        (
            "services/base/base/Dockerfile",
            "FROM scratch\nCOPY bin/begin /begin\nRUN [\"/begin\", \"--write\"]\n",
        ),
        (
            "Cargo.toml",
            "[workspace]\nresolver = \"3\"\nmembers = [\"start\", \"other\"]\n\
             [workspace.package]\nedition = \"2024\"\nlicense = \"MIT\"\n",
        ),
        (
            "Cargo.lock",
            "version = 4\n\n[[package]]\nname = \"other\"\nversion = \"1.0.0\"\n\n\
             [[package]]\nname = \"start\"\nversion = \"0.1.0\"\n",
        ),
        (
            "other/Cargo.toml",
            "[package]\nname = \"other\"\nversion = \"1.0.0\"\nedition = \"2024\"\n",
        ),
        ("other/src/lib.rs", ""),
        (
            "start/Cargo.toml",
            "[package]\nname = \"start\"\nversion = \"0.1.0\"\nedition.workspace = true\n\
             [[bin]]\nname = \"begin\"\npath = \"src/main.rs\"\n",
        ),
        (
            "start/src/main.rs",
            "mod words;\nmod place {\n    include!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/src/place.rs\"));\n}\nfn main() {\n    let all: Vec<String> = std::env::args().collect();\n    \
             if all.len() > 1 {\n        std::fs::write(\"/written\", words::WORD).expect(file!());\n    }\n    \
             println!(\"{} {}\", words::WORD, place::FILE);\n}\n",
        ),
        // The compiler knows this file by its path on the machine.
        ("start/src/place.rs", "pub const FILE: &str = file!();\n"),
        ("start/src/words.rs", "pub const WORD: &str = \"begun\";\n"),
    ]);
    assert_eq!(fleet.problems(), "nothing");
    fleet
}

fn base() -> ImageName {
    ImageName::new("base").unwrap()
}

/// What a plan says of the image after a change; nothing where it is the same image.
fn why(change: impl FnOnce(&Fleet)) -> Vec<String> {
    let fleet = with_crate();
    fleet.write("Cargo.lock", LOCK);
    let before = fleet.load().unwrap();
    change(&fleet);
    let after = fleet.load().unwrap();
    let of = |loaded: &Loaded| loaded.fingerprints[&base()].clone();
    let told = changes(&of(&before).inputs, &of(&after).inputs);
    assert_eq!(
        told.is_empty(),
        of(&before).fingerprint == of(&after).fingerprint
    );
    told.iter().map(ToString::to_string).collect()
}

#[test]
fn a_file_of_the_crate_counts() {
    assert_eq!(
        why(|f| {
            f.replace("start/src/words.rs", "begun", "ended");
        }),
        ["file start/src/words.rs changed"]
    );
    assert_eq!(
        why(|f| {
            f.write("start/src/more.rs", "");
        }),
        ["file start/src/more.rs added"]
    );
    use std::os::unix::fs::PermissionsExt as _;
    let executable = |f: &Fleet| {
        let path = f.path().join("start/src/words.rs");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    assert_eq!(why(executable), ["file start/src/words.rs changed"]);
}

#[test]
fn what_is_not_of_the_crate_does_not_count() {
    assert!(
        why(|f| {
            f.write("start/target/debug/x", "x");
            f.write("start/tests/all.rs", "fn test() {}");
            f.write("start/README.md", "x");
            f.write("other/src/lib.rs", "fn other() {}");
            f.write("README.md", "x");
        })
        .is_empty()
    );
}

#[test]
fn only_the_crates_own_dependencies_count() {
    let lock = |from: &'static str, to: &'static str| {
        move |f: &Fleet| {
            f.replace("Cargo.lock", from, to);
        }
    };
    assert!(why(lock("\"bb\"", "\"cc\"")).is_empty());
    let stray = "name = \"stray\"\nversion = \"1.0.0\"";
    assert!(why(lock(stray, "name = \"stray\"\nversion = \"1.0.1\"")).is_empty());
    assert_eq!(why(lock("\"aa\"", "\"cc\"")), ["dependency needed changed"]);
    let needed = "name = \"needed\"\nversion = \"1.0.0\"";
    assert_eq!(
        why(lock(needed, "name = \"needed\"\nversion = \"1.0.1\"")),
        ["dependency needed changed"]
    );
    assert_eq!(
        why(lock("[\"needed\"]", "[\"needed\", \"stray\"]")),
        ["dependency stray added"]
    );
}

#[test]
fn what_the_workspace_says_of_the_crate_counts() {
    assert_eq!(
        why(|f| {
            f.replace("Cargo.toml", "\"2024\"", "\"2021\"");
        }),
        ["workspace.package.edition of program bin/begin changed"]
    );
    // The crate does not inherit it.
    assert!(
        why(|f| {
            f.replace("Cargo.toml", "\"MIT\"", "\"Apache-2.0\"");
        })
        .is_empty()
    );
    assert_eq!(
        why(|f| {
            f.replace(
                "Cargo.toml",
                "[workspace.package]",
                "[profile.release]\noverflow-checks = true\n[workspace.package]",
            );
        }),
        ["profile.release of program bin/begin added"]
    );
}

#[test]
fn another_program_of_the_crate_counts() {
    let other = |f: &Fleet| {
        f.replace(
            "services/base/service.toml",
            "bin = \"begin\"",
            "bin = \"end\"",
        );
    };
    let told = why(|f| {
        f.write("start/src/bin/end.rs", "fn main() {}\n");
        other(f);
    });
    assert_eq!(
        told,
        [
            "file start/src/bin/end.rs added",
            "bin of program bin/begin changed"
        ]
    );
}

#[test]
fn a_crate_in_another_folder_is_the_same_elsewhere() {
    let (here, there) = (with_crate().load().unwrap(), with_crate().load().unwrap());
    assert!(here.changed(&there).is_empty());
}

/// The cargo of this machine, as far as tests have one: they were compiled by it.
fn toolchain() -> Toolchain {
    let cargo = PathBuf::from(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    with_cargo(cargo)
}

fn with_cargo(cargo: PathBuf) -> Toolchain {
    let home = std::env::var("CARGO_HOME").map(PathBuf::from);
    let home = home.unwrap_or_else(|_| Path::new(&std::env::var("HOME").unwrap()).join(".cargo"));
    let own = PathBuf::from(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    let beside = own.with_file_name("rustc");
    let rustc = if beside.is_file() {
        beside
    } else {
        "rustc".into()
    };
    Toolchain::new(cargo, rustc, home, &std::env::vars().collect())
}

fn fetcher(cache: &Path, toolchain: Option<Toolchain>) -> Fetcher {
    let platform = Platform::host();
    Fetcher::new(cache, None, toolchain, platform, SystemTime::now())
}

async fn context(
    fleet: &Fleet,
    fetcher: &Fetcher,
    record: &Record,
) -> Result<BuildContext, Diagnostic> {
    let loaded = fleet.load().unwrap();
    let assembly = &loaded.assemblies[&base()];
    complete(&base(), assembly, "FROM scratch\n", fetcher, false, record).await
}

/// The program's bytes, which the context must have as an executable file.
fn program(context: &BuildContext) -> Vec<u8> {
    let entry = context.entries().iter().find(|e| e.path == "bin/begin");
    let EntryKind::File {
        executable: true,
        body: Body::Disk { path, .. },
    } = &entry.unwrap().kind
    else {
        panic!("{entry:?}")
    };
    std::fs::read(path).unwrap()
}

fn names(cache: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(cache).into_iter().flatten();
    entries
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// The types of an ELF file's program headers, read by the book (elf(5)) and not by our own reader.
fn header_types(program: &[u8]) -> Vec<u32> {
    let word = |at: usize| u32::from_le_bytes(program[at..at + 4].try_into().unwrap());
    let half = |at: usize| usize::from(u16::from_le_bytes([program[at], program[at + 1]]));
    assert_eq!(&program[..4], b"\x7fELF");
    let first = usize::try_from(word(32)).unwrap();
    (0..half(56)).map(|i| word(first + i * half(54))).collect()
}

#[tokio::test]
async fn two_folders_give_the_same_static_program() {
    let mut programs = Vec::new();
    for _ in 0..2 {
        let (fleet, cache) = (with_crate(), tempfile::tempdir().unwrap());
        let record = Record::default();
        let fetcher = fetcher(cache.path(), Some(toolchain()));
        let made = program(&context(&fleet, &fetcher, &record).await.unwrap());
        let text = String::from_utf8_lossy(&made).into_owned();
        for path in [fleet.path(), cache.path(), home_folder().as_path()] {
            assert!(!text.contains(path.to_str().unwrap()), "{path:?}");
        }
        assert!(text.contains("/source/start/src/place.rs"));
        let lines = record.events().into_iter().filter_map(|event| match event {
            Event::Log { image, line } => Some(format!("{image}: {line}")),
            _ => None,
        });
        let log: Vec<String> = lines.collect();
        assert!(
            log[0].starts_with("base:    Compiling start v0.1.0"),
            "{log:?}"
        );
        programs.push(made);

        // What is kept is found without cargo, and nothing else is left.
        let without = with_cargo("/nowhere/cargo".into());
        let again = Fetcher::new(
            cache.path(),
            None,
            Some(without),
            Platform::host(),
            SystemTime::now(),
        );
        let again = context(&fleet, &again, &Record::default()).await.unwrap();
        assert_eq!(program(&again), programs[programs.len() - 1]);
        assert_eq!(names(cache.path()).len(), 1, "{:?}", names(cache.path()));
        // The fleet's own folder is as it was.
        assert!(!fleet.path().join("target").exists());
    }
    assert!(programs[0] == programs[1], "the programs differ");
    let interpreter = 3;
    assert!(!header_types(&programs[0]).contains(&interpreter));
}

fn home_folder() -> PathBuf {
    Path::new(&std::env::var("HOME").unwrap()).to_path_buf()
}

async fn problem(change: impl FnOnce(&Fleet), toolchain: Option<Toolchain>) -> Diagnostic {
    let (fleet, cache) = (with_crate(), tempfile::tempdir().unwrap());
    change(&fleet);
    let fetcher = fetcher(cache.path(), toolchain);
    let failed = context(&fleet, &fetcher, &Record::default()).await;
    assert_eq!(names(cache.path()), [""; 0]);
    failed.map(|_| ()).unwrap_err()
}

#[tokio::test]
async fn a_crate_that_does_not_compile_is_a_failed_build() {
    let broken = |f: &Fleet| {
        f.replace("start/src/words.rs", "&str", "&strr");
    };
    let problem = problem(broken, Some(toolchain())).await;
    assert_eq!(problem.class(), Class::Build);
    let place = problem.location().unwrap().to_string();
    assert!(place.ends_with("services/base/service.toml:4:1"), "{place}");
    assert_eq!(problem.message(), "cargo cannot compile `begin`");
    let (note, _) = &problem.notes()[0];
    assert!(note.starts_with("error[E"), "{note}");
}

#[tokio::test]
async fn a_machine_without_cargo_is_told_how_to_get_it() {
    let problem = problem(|_| {}, None).await;
    assert_eq!(problem.class(), Class::Environment);
    assert!(problem.message().contains("not installed"), "{problem}");
    assert!(problem.hints()[0].starts_with("install Rust"));
}

#[tokio::test]
async fn a_file_outside_the_crate_is_no_input() {
    let outside = |f: &Fleet| {
        f.write("words.txt", "elsewhere");
        f.write(
            "start/src/words.rs",
            "pub const WORD: &str = include_str!(\"../../words.txt\");\n",
        );
    };
    let problem = problem(outside, Some(toolchain())).await;
    assert_eq!(problem.class(), Class::Definition);
    assert!(problem.message().contains("words.txt"), "{problem}");
}

#[tokio::test]
async fn a_path_of_the_machine_in_a_program_is_seen() {
    let told = |f: &Fleet| {
        f.write(
            "start/src/words.rs",
            "pub const WORD: &str = env!(\"CARGO_MANIFEST_DIR\");\n",
        );
    };
    let problem = problem(told, Some(toolchain())).await;
    assert_eq!(problem.class(), Class::Build);
    assert!(
        problem.message().contains("a path of this machine"),
        "{problem}"
    );
}

#[tokio::test]
async fn a_lock_that_cargo_would_not_take_is_refused() {
    let stray = |f: &Fleet| {
        f.write(
            "start/Cargo.lock",
            "version = 4\n[[package]]\nname = \"start\"\nversion = \"0.1.0\"\n",
        );
        f.replace(
            "start/Cargo.toml",
            "edition.workspace = true",
            "edition = \"2024\"",
        );
    };
    let problem = problem(stray, Some(toolchain())).await;
    assert_eq!(problem.class(), Class::Definition);
    let place = problem.location().unwrap().to_string();
    assert!(place.ends_with("start/Cargo.lock"), "{place}");
}

#[tokio::test]
async fn what_changed_since_the_plan_is_not_built() {
    let (fleet, cache) = (with_crate(), tempfile::tempdir().unwrap());
    let loaded = fleet.load().unwrap();
    fleet.replace("start/src/words.rs", "begun", "ended");
    let fetcher = fetcher(cache.path(), Some(toolchain()));
    let (assembly, record) = (&loaded.assemblies[&base()], Record::default());
    let failed = complete(
        &base(),
        assembly,
        "FROM scratch\n",
        &fetcher,
        false,
        &record,
    )
    .await;
    assert!(failed.unwrap_err().message().contains("changed while"));
    assert_eq!(names(cache.path()), [""; 0]);
}

/// A build script that does not end by itself.
const SLEEPS: &str = "fn main() { std::thread::sleep(std::time::Duration::from_secs(100_000)); }\n";

#[tokio::test]
async fn a_cancelled_compilation_leaves_nothing() {
    let (fleet, cache) = (with_crate(), tempfile::tempdir().unwrap());
    fleet.write("start/build.rs", SLEEPS);
    let fetcher = fetcher(cache.path(), Some(toolchain()));
    let sign = cache.path().to_str().unwrap().to_owned();
    let record = Record::default();
    let working = context(&fleet, &fetcher, &record);
    let begun = async {
        while !running(&sign, "build-script-build") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        ended = working => panic!("{ended:?}"),
        () = begun => {}
    }
    assert!(ends(&sign));
    assert_eq!(names(cache.path()), [""; 0]);
}

#[tokio::test]
async fn two_at_once_are_no_trouble() {
    let (fleet, cache) = (with_crate(), tempfile::tempdir().unwrap());
    let fetcher = || fetcher(cache.path(), Some(toolchain()));
    let (one, two, record) = (fetcher(), fetcher(), Record::default());
    let (first, second) = tokio::join!(
        context(&fleet, &one, &record),
        context(&fleet, &two, &record)
    );
    assert!(program(&first.unwrap()) == program(&second.unwrap()));
    assert_eq!(names(cache.path()).len(), 1, "{:?}", names(cache.path()));

    // Images of one run wait for each other, and the second finds what the first has compiled.
    fleet.replace("start/src/words.rs", "begun", "ended");
    let (clone, record) = (one.clone(), Record::default());
    let (first, second) = tokio::join!(
        context(&fleet, &one, &record),
        context(&fleet, &clone, &record)
    );
    assert!(program(&first.unwrap()) == program(&second.unwrap()));
    let compiled = record
        .events()
        .iter()
        .filter(|event| matches!(event, Event::Preparing { .. }))
        .count();
    assert_eq!(compiled, 1);
}

#[test]
fn a_terminated_rendering_ends_cargo() {
    let (fleet, home) = (with_crate(), tempfile::tempdir().unwrap());
    fleet.write("start/build.rs", SLEEPS);
    let out = home.path().join("out");
    let arguments = ["render", "-o", out.to_str().unwrap()];
    let path = std::env::var("PATH").unwrap();
    let mut command = command(&fleet, home.path(), &path, &arguments);
    let mut child = command.spawn().unwrap();
    let sign = home.path().to_str().unwrap();
    while !running(sign, "build-script-build") {
        assert_eq!(child.try_wait().unwrap(), None);
        std::thread::sleep(Duration::from_millis(20));
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(ends(sign));
    assert_eq!(names(&home.path().join(".cache/kolla/sources")), [""; 0]);
}

/// Waits for what was told to end.
fn ends(sign: &str) -> bool {
    (0..250).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        !running(sign, "")
    })
}

/// Whether a process has both words in its command line or its environment.
fn running(sign: &str, program: &str) -> bool {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_name() != *std::process::id().to_string())
        .any(|entry| {
            let read = |name: &str| std::fs::read(entry.path().join(name)).unwrap_or_default();
            let line = [read("cmdline"), read("environ")].concat();
            let line = String::from_utf8_lossy(&line);
            line.contains(sign) && line.contains(program)
        })
}

/// The program itself, with nothing of ours around it but what is named.
fn command(fleet: &Fleet, home: &Path, path: &str, arguments: &[&str]) -> Command {
    let variables: BTreeMap<&str, String> = ["RUSTUP_HOME", "CARGO_HOME"]
        .into_iter()
        .zip([".rustup", ".cargo"])
        .map(|(name, folder)| {
            let default = home_folder().join(folder).display().to_string();
            (name, std::env::var(name).unwrap_or(default))
        })
        .collect();
    let mut command = Command::new(env!("CARGO_BIN_EXE_kolla"));
    command
        .args([
            "--root",
            fleet.path().to_str().unwrap(),
            "--engine",
            "native",
        ])
        .args(arguments)
        .env_clear()
        .env("HOME", home)
        .env("PATH", path)
        .envs(variables);
    command
}

/// Runs it to its end: whether that was good, and all that it printed.
fn kolla(fleet: &Fleet, home: &Path, path: &str, arguments: &[&str]) -> (bool, String) {
    let output = command(fleet, home, path, arguments).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

#[test]
fn an_image_of_nothing_but_the_program_is_built_and_explained() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not root: the native engine is not tried");
        return;
    }
    let (fleet, home) = (with_crate(), tempfile::tempdir().unwrap());
    let path = std::env::var("PATH").unwrap();
    // Nothing is compiled before an image is built: there is no cargo to do it.
    let (store, out) = (home.path().join("store"), home.path().join("out"));
    let (store, out) = (store.to_str().unwrap(), out.to_str().unwrap());
    for command in [
        &["check"][..],
        &["list"],
        &["graph"],
        &["plan", "--store", store, "--tag", "t"],
        &["render", "--no-sources", "-o", out],
    ] {
        let (good, text) = kolla(&fleet, home.path(), "/nowhere", command);
        assert!(good, "{command:?}: {text}");
    }
    let build = ["build", "--store", store, "--tag", "t"];
    let (good, text) = kolla(&fleet, home.path(), "/nowhere", &build);
    assert!(
        !good && text.contains("cargo and rustc are not installed"),
        "{text}"
    );
    let (good, text) = kolla(&fleet, home.path(), &path, &build);
    assert!(good, "{text}");
    // Another person's cargo is not asked again.
    let render = ["render", "-o", out];
    let (good, text) = kolla(&fleet, home.path(), &path, &render);
    assert!(good && !text.contains("compiling"), "{text}");
    use std::os::unix::fs::PermissionsExt as _;
    let rendered = home.path().join("out/base/bin/begin");
    let mode = rendered.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o755);
    fleet.replace("start/src/words.rs", "begun", "ended");
    let plan = ["plan", "--why", "--store", store, "--tag", "t"];
    let (good, text) = kolla(&fleet, home.path(), "/nowhere", &plan);
    assert!(
        good && text.contains("file start/src/words.rs changed"),
        "{text}"
    );
}
