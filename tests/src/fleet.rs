//! Fleets in temporary git repositories, built in a second: their base is busybox.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

/// A fleet that a test may change at will.
#[derive(Debug)]
pub struct Fleet {
    folder: TempDir,
    /// A namespace of its own.
    pub namespace: String,
}

/// The images of [`Fleet::tiny`], parents first and otherwise by name.
pub const TINY: [&str; 6] = ["base", "plain", "web-base", "web-api", "tool", "web-worker"];

impl Fleet {
    /// A folder without anything in it, not even a repository.
    pub fn empty() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            namespace: crate::unique("ns"),
        }
    }

    /// Six images of four services, committed.
    ///
    /// ```text
    /// base ─┬─ plain                 a plain Dockerfile
    ///       ├─ web-base ─┬─ web-api
    ///       │            └─ web-worker
    ///       └─ tool                  takes a file from web-api
    /// ```
    ///
    /// No two fleets share a fingerprint, so that no test finds what another built.
    pub fn tiny() -> Self {
        let fleet = Self::empty();
        fleet.write("kolla.toml", "[vars]\ngreeting = \"hello\"\n");
        fleet.write("templates/layouts/image.tera", LAYOUT);
        fleet.write("services/base/service.toml", BASE);
        fleet.write("services/base/base/nonce", &fleet.namespace);
        fleet.write("services/base/base/Dockerfile.tera", BASE_DOCKERFILE);
        fs::copy(rootfs(), fleet.path("services/base/rootfs.tar")).unwrap();
        fleet.write("services/plain/service.toml", PLAIN);
        fleet.write(
            "services/plain/plain/Dockerfile",
            "FROM base\nRUN echo plain > /plain\n",
        );
        fleet.write("services/web/service.toml", WEB);
        fleet.write("services/web/web-base/Dockerfile.tera", WEB_BASE);
        fleet.write("services/web/web-api/Dockerfile.tera", WEB_API);
        fleet.write("services/web/web-api/motd", "welcome\n");
        fleet.write("services/web/web-worker/Dockerfile.tera", WEB_WORKER);
        fleet.write("services/tool/service.toml", TOOL);
        fleet.write("services/tool/tool/Dockerfile.tera", TOOL_DOCKERFILE);
        fleet.git(&["init", "--quiet"]);
        fleet.commit();
        fleet
    }

    /// A copy of the repository's own fleet with its documents, committed.
    pub fn real() -> Self {
        let fleet = Self::empty();
        let fleet_parts = ["services", "templates", "docs", "kolla.toml"];
        // What the program inside the images is compiled from; cargo wants to see the whole workspace.
        let workspace = ["Cargo.toml", "Cargo.lock", "start"];
        for member in ["builder", "tests"] {
            let manifest = crate::repository().join(member).join("Cargo.toml");
            let manifest = fs::read_to_string(manifest).unwrap();
            fleet.write(&format!("{member}/Cargo.toml"), &manifest);
            fleet.write(&format!("{member}/src/lib.rs"), "");
        }
        for part in fleet_parts.into_iter().chain(workspace) {
            let part = crate::repository().join(part);
            let status = Command::new("cp")
                .arg("-a")
                .arg(part)
                .arg(fleet.root())
                .status();
            assert!(status.unwrap().success());
        }
        fleet.git(&["init", "--quiet"]);
        fleet.commit();
        fleet
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// A path in it.
    pub fn path(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }

    /// Writes a file, and the folders above it.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Adds to the end of a file.
    pub fn append(&self, path: &str, text: &str) {
        let before = fs::read_to_string(self.path(path)).unwrap();
        self.write(path, &format!("{before}{text}"));
    }

    /// Replaces a piece of text that a file must have.
    pub fn edit(&self, path: &str, from: &str, to: &str) {
        let before = fs::read_to_string(self.path(path)).unwrap();
        assert!(before.contains(from), "{path} has no {from:?}");
        self.write(path, &before.replace(from, to));
    }

    /// Commits everything.
    pub fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", "change"]);
    }

    /// The short id of the commit.
    pub fn head(&self) -> String {
        self.git(&["rev-parse", "--short", "HEAD"])
    }

    /// Runs git in it, as nobody in particular.
    pub fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .arg("-C")
            .arg(self.root())
            .args(["-c", "user.name=test", "-c", "user.email=test@localhost"])
            .args([
                "-c",
                "commit.gpgSign=false",
                "-c",
                "init.defaultBranch=main",
            ])
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "git {arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Every file below the folder with its size, to see that nothing came or went.
    pub fn files(&self) -> Vec<(PathBuf, u64)> {
        files(self.root())
    }
}

/// Every file below a folder with its size, sorted.
pub fn files(folder: &Path) -> Vec<(PathBuf, u64)> {
    let mut all = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let entry = entry.unwrap();
            let metadata = entry.metadata().unwrap();
            if metadata.is_dir() {
                folders.push(entry.path());
            } else {
                all.push((entry.path(), metadata.len()));
            }
        }
    }
    all.sort();
    all
}

/// A root file system of one busybox, as a tar; made once.
pub fn rootfs() -> &'static Path {
    static TAR: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, tar) = TAR.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let bin = folder.path().join("root/bin");
        fs::create_dir_all(&bin).unwrap();
        // Without one, a fleet can still be rendered and planned.
        match std::env::var_os("KOLLA_TEST_BUSYBOX") {
            Some(busybox) => fs::copy(busybox, bin.join("busybox")).map(|_| ()).unwrap(),
            None => fs::write(bin.join("busybox"), "").unwrap(),
        }
        for applet in [
            "sh", "cat", "dd", "echo", "env", "false", "ls", "mkdir", "sleep", "true",
        ] {
            std::os::unix::fs::symlink("busybox", bin.join(applet)).unwrap();
        }
        let tar = folder.path().join("rootfs.tar");
        let status = Command::new("tar")
            .args([
                "--sort=name",
                "--mtime=@0",
                "--owner=0",
                "--group=0",
                "--numeric-owner",
            ])
            .arg("-C")
            .arg(folder.path().join("root"))
            .arg("-cf")
            .arg(&tar)
            .arg("bin")
            .status()
            .unwrap();
        assert!(status.success());
        (folder, tar)
    });
    tar
}

const BASE: &str = r#"description = "What all images share"

[images.base]
description = "busybox"
smoke = ["true"]

[[images.base.sources]]
to = "rootfs.tar"
local = "rootfs.tar"
"#;

const BASE_DOCKERFILE: &str = r#"FROM scratch
ADD rootfs.tar /
COPY nonce /nonce
ENV PATH=/bin
CMD ["sh"]
"#;

const LAYOUT: &str = r#"{% block from %}FROM {{ image(name="web-base") }}{% endblock from %}
{% block install %}{% if packages %}RUN echo {{ packages | join(sep=" ") }} > /installed{% endif %}{% endblock install %}
{% block files %}{% endblock files %}
{% block command %}CMD ["sh"]{% endblock command %}
"#;

const PLAIN: &str = r#"description = "Made without a template"

[images.plain]
description = "A plain Dockerfile"
"#;

const WEB: &str = r#"description = "A service of several images"

[images.web-base]
description = "What they share"
packages = ["one", "two"]
smoke = ["cat", "/installed"]

[images.web-api]
description = "The API"
smoke = ["cat", "/etc/motd"]

[images.web-worker]
description = "The worker"
args = { COLOUR = "blue" }
"#;

const WEB_BASE: &str = r#"{% extends "layouts/image.tera" %}
{% block from %}FROM {{ image(name="base") }}{% endblock from %}
"#;

const WEB_API: &str = r#"{% extends "layouts/image.tera" %}
{% block files %}COPY motd /etc/motd{% endblock files %}
"#;

const WEB_WORKER: &str = r#"{% extends "layouts/image.tera" %}
{% block files %}
ARG COLOUR
RUN echo $COLOUR > /colour
{% endblock files %}
"#;

const TOOL: &str = r#"description = "A service with two parents"

[images.tool]
description = "Takes a file from another image"
"#;

const TOOL_DOCKERFILE: &str = r#"FROM {{ image(name="base") }}
COPY --from=web-api /etc/motd /copied
CMD ["cat", "/copied"]
"#;
