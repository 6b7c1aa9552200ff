//! A small fleet, built by the program as a person runs it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bench::busybox;
use crate::fixtures::{program, rootfs};

/// What stands in a store beside its image layout.
pub(crate) const BESIDES: [&str; 9] = [
    "caches",
    "index.lock",
    "layers",
    "lock",
    "locks",
    "origins",
    "snapshots",
    "steps",
    "tmp",
];

/// The fleet; it ends with this.
pub(crate) struct Fleet(tempfile::TempDir);

const SERVICE: &str = "description = \"A service\"\n";

impl Fleet {
    /// Four images of two services, of stages that write some megabytes. Every `RUN` leaves its mark
    /// in a cache, by which [`marks`] counts how often it ran.
    ///
    /// ```text
    /// base ─┬─ one
    ///       ├─ two
    ///       └─ three ── takes a file from one
    /// ```
    pub(crate) fn new() -> Option<Self> {
        use std::os::unix::fs::PermissionsExt as _;
        let busybox = busybox()?;
        let fleet = Self(tempfile::tempdir().unwrap());
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(fleet.path(), open).unwrap();
        let mark = |name: &str| {
            format!("RUN --mount=type=cache,target=/marks,id={name} echo x >> /marks/{name}; ")
        };
        fleet.write("kolla.toml", "");
        fleet.write(
            "services/base/service.toml",
            &format!(
                "{SERVICE}[images.base]\ndescription = \"busybox\"\n\
                 [[images.base.sources]]\nto = \"rootfs.tar\"\nlocal = \"rootfs.tar\"\n"
            ),
        );
        std::fs::write(
            fleet.path().join("services/base/rootfs.tar"),
            rootfs(&busybox),
        )
        .unwrap();
        fleet.write("services/base/base/nonce", "first");
        fleet.write(
            "services/base/base/Dockerfile",
            &format!(
                "FROM scratch\nADD rootfs.tar /\nCOPY nonce /nonce\nENV PATH=/bin\n{}\
                 mkdir /data; dd if=/dev/zero of=/data/zero bs=1M count=3\n",
                mark("base")
            ),
        );
        let described = |name: &str| format!("[images.{name}]\ndescription = \"{name}\"\n");
        let images = ["one", "two", "three"].map(described).concat();
        fleet.write("services/leaf/service.toml", &format!("{SERVICE}{images}"));
        for name in ["one", "two"] {
            let dockerfile = format!(
                "FROM base AS made\n{}seq 1 200000 > /made-{name}\nFROM base\n\
                 COPY --from=made /made-{name} /made\n\
                 {}rm /data/zero; seq 1 300000 > /data/{name}; ln /data/{name} /hard; \
                 ln -s /data /soft\n\
                 {}busybox chown -R 1000:1001 /data; busybox chmod 4755 /hard; rm -r /data; \
                 mkdir /data; echo {name} > /data/new\n",
                mark(&format!("{name}-made")),
                mark(&format!("{name}-first")),
                mark(&format!("{name}-last"))
            );
            fleet.write(&format!("services/leaf/{name}/Dockerfile"), &dockerfile);
        }
        fleet.write(
            "services/leaf/three/Dockerfile",
            &format!(
                "FROM base\nCOPY --from=one --chown=7:8 /data/new /taken\n{}cat /taken\n",
                mark("three")
            ),
        );
        Some(fleet)
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file, and the folders above it.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// What follows the program's name for a command on the native engine.
    fn arguments(&self, arguments: &[&str], store: &Path) -> Vec<String> {
        let own = arguments.iter().map(|word| (*word).to_owned());
        let root = self.path().display().to_string();
        let all = [
            "--root", &root, "--engine", "native", "--tag", "x", "--store",
        ];
        let store = store.display().to_string();
        own.chain(all.map(str::to_owned)).chain([store]).collect()
    }

    /// The same as a line for a shell.
    pub(crate) fn line(&self, arguments: &[&str], store: &Path) -> String {
        let words = self.arguments(arguments, store);
        format!("{} {}", program().display(), words.join(" "))
    }

    /// A program with nothing of this process around it.
    pub(crate) fn command_of(&self, program: impl Into<PathBuf>, home: &Path) -> Command {
        let mut command = Command::new(program.into());
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", home)
            .env("LC_ALL", "C.UTF-8")
            .current_dir("/")
            .stdin(std::process::Stdio::null());
        command
    }

    /// kolla on the native engine.
    pub(crate) fn kolla(&self, arguments: &[&str], home: &Path, store: &Path) -> Command {
        let mut command = self.command_of(program(), home);
        command.args(self.arguments(arguments, store));
        command
    }

    /// Builds all images, which must succeed.
    pub(crate) fn builds(&self, home: &Path, store: &Path) {
        succeeds(&mut self.kolla(&["build"], home, store));
    }
}

/// Runs a command, which must succeed.
pub(crate) fn succeeds(command: &mut Command) {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?}: {:?}: {text}",
        output.status
    );
}

/// How often each step ran on a store.
pub(crate) fn marks(store: &Path) -> Vec<(String, usize)> {
    let mut all = Vec::new();
    for cache in std::fs::read_dir(store.join("caches")).unwrap() {
        for mark in std::fs::read_dir(cache.unwrap().path())
            .into_iter()
            .flatten()
        {
            let mark = mark.unwrap();
            let text = std::fs::read_to_string(mark.path()).unwrap();
            all.push((
                mark.file_name().into_string().unwrap(),
                text.lines().count(),
            ));
        }
    }
    all.sort();
    all
}

/// The digests of all images of a store, by the names that a person gave them.
pub(crate) fn digests(store: &Path) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(store.join("index.json")).unwrap();
    let index: serde_json::Value = serde_json::from_str(&text).unwrap();
    let manifests = index["manifests"].as_array().unwrap().iter();
    let mut all: Vec<_> = manifests
        .map(|m| {
            let name = &m["annotations"]["org.opencontainers.image.ref.name"];
            (
                name.as_str().unwrap().to_owned(),
                m["digest"].as_str().unwrap().to_owned(),
            )
        })
        .filter(|(name, _): &(String, String)| name.ends_with(":x"))
        .collect();
    all.sort();
    all
}
