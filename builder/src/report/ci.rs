//! Jobs for services that build by instructions made on the way.

use std::fmt::Write as _;

use serde_json::json;

use crate::model::ImageName;
use crate::plan::{Affected, Comparison, shards};

/// The most jobs that GitHub makes of one matrix.
pub const MAX_GITHUB_JOBS: usize = 256;

/// The images of one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard {
    /// What people see: an image, or `2/4`.
    pub name: String,
    /// The images, parents first.
    pub images: Vec<ImageName>,
    /// The jobs that should have ended before.
    pub needs: Vec<String>,
}

impl Shard {
    /// At most `count` groups that need nothing of each other, or a job for each image.
    pub fn all(comparison: &Comparison, count: Option<usize>) -> Vec<Self> {
        let single = |affected: &Affected| Self {
            name: affected.image.to_string(),
            images: vec![affected.image.clone()],
            needs: affected.parents.iter().map(ToString::to_string).collect(),
        };
        let Some(count) = count else {
            return comparison.affected().iter().map(single).collect();
        };
        let groups = shards(comparison.affected(), count);
        let all = groups.len();
        let numbered = groups.into_iter().enumerate();
        numbered
            .map(|(i, images)| Self {
                name: format!("{}/{all}", i + 1),
                images,
                needs: Vec::new(),
            })
            .collect()
    }

    fn patterns(&self) -> String {
        let names: Vec<&str> = self.images.iter().map(ImageName::as_str).collect();
        names.join(" ")
    }
}

/// A matrix for `strategy` of GitHub Actions, on one line; `name` and `images` of each job.
///
/// Without a job it is still a matrix, but one that GitHub refuses: the job has to be left out by `if`.
pub fn github_matrix(shards: &[Shard]) -> String {
    let jobs: Vec<_> = shards
        .iter()
        .map(|shard| json!({ "name": shard.name, "images": shard.patterns() }))
        .collect();
    format!("{}\n", json!({ "include": jobs }))
}

/// A child pipeline for GitLab: a job for each shard, made from a hidden one that a file included
/// after it may change. Without a shard there is one job that does nothing, for a pipeline without any
/// is an error.
pub fn gitlab_pipeline(shards: &[Shard]) -> String {
    let mut text = String::from("# Made by `kolla affected --format gitlab`.\n");
    if shards.is_empty() {
        text.push_str(NOTHING);
        return text;
    }
    text.push_str(JOB);
    for shard in shards {
        // JSON's strings are YAML's.
        let _ = write!(
            text,
            "\n{}:\n  extends: .kolla\n  variables:\n    IMAGES: {}\n",
            json!(format!("build {}", shard.name)),
            json!(shard.patterns())
        );
        let needs: Vec<String> = shard.needs.iter().map(|n| format!("build {n}")).collect();
        let _ = writeln!(text, "  needs: {}", json!(needs));
    }
    text
}

const JOB: &str = "
.kolla:
  script:
    - kolla gate --junit junit.xml $IMAGES
  artifacts:
    when: always
    reports:
      junit: junit.xml
";

const NOTHING: &str = r#"
"nothing is affected":
  variables:
    GIT_STRATEGY: none
  script:
    - "true"
"#;

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(
        name: &str,
        images: &[&str],
        needs: &[&str],
    ) -> Result<Shard, crate::model::Diagnostic> {
        Ok(Shard {
            name: name.to_owned(),
            images: images
                .iter()
                .map(|i| ImageName::new(*i))
                .collect::<Result<_, _>>()?,
            needs: needs.iter().map(|n| (*n).to_owned()).collect(),
        })
    }

    #[test]
    fn a_matrix_has_a_line_for_each_job() -> Result<(), crate::model::Diagnostic> {
        let shards = [shard("1/2", &["a", "b"], &[])?, shard("2/2", &["c"], &[])?];
        assert_eq!(
            github_matrix(&shards),
            "{\"include\":[{\"images\":\"a b\",\"name\":\"1/2\"},{\"images\":\"c\",\"name\":\"2/2\"}]}\n"
        );
        assert_eq!(github_matrix(&[]), "{\"include\":[]}\n");
        Ok(())
    }

    #[test]
    fn a_child_pipeline_has_a_job_whatever_is_affected() -> Result<(), crate::model::Diagnostic> {
        let shards = [shard("a", &["a"], &[])?, shard("b", &["b"], &["a"])?];
        insta::assert_snapshot!(gitlab_pipeline(&shards), @r#"
        # Made by `kolla affected --format gitlab`.

        .kolla:
          script:
            - kolla gate --junit junit.xml $IMAGES
          artifacts:
            when: always
            reports:
              junit: junit.xml

        "build a":
          extends: .kolla
          variables:
            IMAGES: "a"
          needs: []

        "build b":
          extends: .kolla
          variables:
            IMAGES: "b"
          needs: ["build a"]
        "#);
        insta::assert_snapshot!(gitlab_pipeline(&[]), @r#"
        # Made by `kolla affected --format gitlab`.

        "nothing is affected":
          variables:
            GIT_STRATEGY: none
          script:
            - "true"
        "#);
        Ok(())
    }
}
