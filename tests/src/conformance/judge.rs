//! The engine that is right by definition.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

use super::case::{BASE, IMAGE};
use super::{Case, Image, Prepared, Server, report, rootfs};

/// A Docker Engine that `tests/conformance/judge` has started, with the image `base`.
#[derive(Debug)]
pub struct Judge {
    folder: PathBuf,
}

impl Judge {
    /// The one there is; none where the tests run without one.
    pub fn own() -> Option<Self> {
        let folder = std::env::var_os("KOLLA_TEST_JUDGE")?.into();
        let judge = Self { folder };
        rootfs::write(&judge.work().join(BASE));
        let built = judge.docker(&["build", "--tag", BASE, BASE]);
        assert!(built.status.success(), "{built:?}");
        Some(judge)
    }

    /// The folder that it sees too: where cases are laid out.
    pub fn work(&self) -> PathBuf {
        self.folder.join("work")
    }

    /// Its address for other clients.
    pub fn address(&self) -> String {
        format!("unix://{}", self.folder.join("docker.sock").display())
    }

    fn docker(&self, arguments: &[&str]) -> Output {
        Command::new(self.folder.join("docker"))
            .args(arguments)
            .output()
            .unwrap()
    }

    /// What it makes of a case, or has made of it before.
    ///
    /// # Errors
    /// What it says when it cannot build it.
    pub fn judged(
        &self,
        case: &Case,
        prepared: &Prepared,
        server: &Server,
    ) -> Result<Value, String> {
        let build = || {
            self.build(case, prepared, &[])
                .map(|report| server.nowhere(report))
        };
        let Some(folder) = std::env::var_os("KOLLA_TEST_JUDGED") else {
            return build();
        };
        let path = PathBuf::from(folder).join(format!("{}-{}.json", case.name, case.digest()));
        if let Some(kept) = fs::read(&path)
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
        {
            return kept;
        }
        let result = build();
        // Whole or not at all, also for a test that runs at the same time.
        let scratch = self.work().join(format!("{}.json", case.name));
        fs::write(&scratch, serde_json::to_vec(&result).unwrap()).unwrap();
        fs::copy(&scratch, path.with_extension("new")).unwrap();
        fs::rename(path.with_extension("new"), path).unwrap();
        result
    }

    /// What it makes of a case now.
    ///
    /// # Errors
    /// What it says when it cannot build it.
    pub fn build(&self, case: &Case, prepared: &Prepared, flags: &[&str]) -> Result<Value, String> {
        for image in &prepared.others {
            let context = format!("{}/{image}", case.name);
            let output = self.docker(&["build", "--tag", image, &context]);
            assert!(output.status.success(), "{}: {output:?}", case.name);
        }
        let (tag, context) = (
            format!("judged/{}", case.name),
            format!("{}/{IMAGE}", case.name),
        );
        let mut arguments = vec!["build", "--progress", "plain", "--tag", &tag];
        let args: Vec<String> = case
            .args()
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        arguments.extend(args.iter().flat_map(|arg| ["--build-arg", arg]));
        arguments.extend(
            case.platform()
                .into_iter()
                .flat_map(|platform| ["--platform", platform]),
        );
        arguments.extend(flags);
        arguments.push(&context);
        let output = self.docker(&arguments);
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        Ok(self.report(&tag))
    }

    /// What an image of its store is.
    pub fn report(&self, image: &str) -> Value {
        let saved = self.docker(&["save", image]);
        assert!(
            saved.status.success(),
            "{image}: {}",
            String::from_utf8_lossy(&saved.stderr)
        );
        Image::from_archive(&saved.stdout)
            .and_then(|image| report(&image))
            .unwrap_or_else(|e| panic!("{image}: {e}"))
    }
}
