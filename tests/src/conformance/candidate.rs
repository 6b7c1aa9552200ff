//! Who is judged: kolla with one of its engines.

use std::path::PathBuf;

use serde_json::Value;

use super::case::IMAGE;
use super::{Case, Image, Judge, Prepared, report};
use crate::Kolla;

/// A way to build a case.
#[derive(Debug)]
pub enum Candidate {
    /// Kolla's native engine, with this folder for its images.
    Native(PathBuf),
    /// Kolla with the judge for its engine: what differs here, kolla's contexts and names bring about.
    Docker,
    /// The judge a second time, without its cache: what differs here says nothing.
    Judge,
}

impl Candidate {
    /// The one that `KOLLA_TEST_CANDIDATE` names.
    pub fn chosen(judge: &Judge) -> Self {
        match std::env::var("KOLLA_TEST_CANDIDATE").as_deref() {
            Ok("judge") => Self::Judge,
            Ok("docker") => Self::Docker,
            Ok("native") | Err(_) => Self::Native(judge.work().with_file_name("store")),
            Ok(other) => panic!("KOLLA_TEST_CANDIDATE is native, docker or judge, not {other}"),
        }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Native(_) => "native",
            Self::Docker => "docker",
            Self::Judge => "judge",
        }
    }

    /// What it makes of a case.
    ///
    /// # Errors
    /// What it says when it does not build it.
    pub fn build(&self, judge: &Judge, case: &Case, prepared: &Prepared) -> Result<Value, String> {
        let kolla = Kolla::at(&prepared.root);
        let (engine, store, url) = match self {
            Self::Judge => return judge.build(case, prepared, &["--no-cache"]),
            Self::Docker => ("docker", None, Some(judge.address())),
            Self::Native(store) => ("native", Some(store.display().to_string()), None),
        };
        let mut common = Vec::new();
        if let Some(store) = &store {
            common.extend(["--engine", engine, "--store", store]);
        }
        if let Some(url) = &url {
            common.extend(["--engine-url", url]);
        }
        common.extend(
            case.platform()
                .into_iter()
                .flat_map(|platform| ["--platform", platform]),
        );
        // The cases share a store, and every one has an image of the same name.
        let namespace = format!("conformance/{}", case.name);
        common.extend(["--namespace", &namespace, "--tag", "judged"]);
        let run = |command: &[&str]| {
            let run = kolla.run(&[command, &common].concat());
            if run.status == Some(0) {
                Ok(run)
            } else {
                Err(run.to_string())
            }
        };
        run(&["build", IMAGE])?;
        if store.is_none() {
            return Ok(judge.report(&format!("{namespace}/{IMAGE}:judged")));
        }
        let layout = prepared.root.join("exported");
        run(&[
            "export",
            IMAGE,
            "--to",
            &format!("oci:{}", layout.display()),
        ])?;
        Image::from_layout(&layout).and_then(|image| report(&image))
    }
}
