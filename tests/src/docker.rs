//! The engine under test, asked by Docker's own client rather than by ours.

use std::process::{Command, Output};

use serde_json::Value;

/// A Docker Engine.
#[derive(Debug, Clone)]
pub struct Docker {
    /// Its address.
    pub host: String,
}

impl Docker {
    /// The engine for everything; none where the tests have none.
    pub fn own() -> Option<Self> {
        crate::setting("KOLLA_TEST_ENGINE").map(|host| Self { host })
    }

    /// The engine with next to no disk.
    pub fn small() -> Option<Self> {
        crate::setting("KOLLA_TEST_SMALL_ENGINE").map(|host| Self { host })
    }

    /// Runs Docker's client.
    pub fn output(&self, arguments: &[&str]) -> Output {
        Command::new("docker")
            .args(["--host", &self.host])
            .args(arguments)
            // The engine's classic builder: newer clients lack a plugin for the other one.
            .env("DOCKER_BUILDKIT", "0")
            .output()
            .unwrap()
    }

    /// The same where it must succeed: what it prints, white space at the ends left out.
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        assert!(
            output.status.success(),
            "docker {arguments:?}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Whether there is an image of this name or id.
    pub fn has(&self, image: &str) -> bool {
        self.output(&["image", "inspect", image]).status.success()
    }

    /// Everything the engine knows of an image.
    pub fn inspect(&self, image: &str) -> Value {
        let text = self.run(&["image", "inspect", image]);
        let mut all: Vec<Value> = serde_json::from_str(&text).unwrap();
        all.remove(0)
    }

    /// An image's id.
    pub fn id(&self, image: &str) -> String {
        self.run(&["image", "inspect", "--format", "{{.Id}}", image])
    }

    /// A label of an image.
    pub fn label(&self, image: &str, name: &str) -> String {
        let format = format!("{{{{index .Config.Labels \"{name}\"}}}}");
        self.run(&["image", "inspect", "--format", &format, image])
    }

    /// All references `REPOSITORY:TAG` in a namespace, sorted.
    pub fn tagged(&self, namespace: &str) -> Vec<String> {
        let filter = format!("reference={namespace}/*");
        let text = self.run(&[
            "images",
            "--filter",
            &filter,
            "--format",
            "{{.Repository}}:{{.Tag}}",
        ]);
        let mut all: Vec<String> = text.lines().map(str::to_owned).collect();
        all.sort();
        all
    }

    /// The ids of all containers, running or not.
    pub fn containers(&self) -> Vec<String> {
        self.run(&["ps", "--all", "--quiet"])
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// What a command prints in a new container of an image; its entrypoint is not used.
    pub fn in_container(&self, image: &str, command: &[&str]) -> String {
        let (program, arguments) = command.split_first().unwrap();
        let mut all = vec![
            "run",
            "--rm",
            "--network",
            "none",
            "--entrypoint",
            program,
            image,
        ];
        all.extend(arguments);
        self.run(&all)
    }

    /// Takes away every image of a namespace with all its other names, so that it has to come from
    /// elsewhere.
    pub fn forget(&self, namespace: &str) {
        let ids: Vec<String> = self
            .tagged(namespace)
            .iter()
            .map(|name| self.id(name))
            .collect();
        for id in ids {
            // A child may have taken its parent along.
            if self.has(&id) {
                self.output(&["image", "rm", "--force", &id]);
            }
        }
        assert!(self.tagged(namespace).is_empty());
    }
}
