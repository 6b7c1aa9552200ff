use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::model::{ImageName, Platform, Reference, ServiceName};

/// The file that `docker buildx bake` looks for.
pub const BAKE_FILE: &str = "docker-bake.json";

/// An image that is to be built, as buildx has to know it.
#[derive(Debug, Clone)]
pub struct BakeImage {
    /// The image.
    pub image: ImageName,
    /// Its service.
    pub service: ServiceName,
    /// The folder of its context, relative to where buildx is started.
    pub context: String,
    /// What stands in its Dockerfile for an image of the fleet, and where that is.
    pub parents: Vec<(Reference, BakeParent)>,
    /// Build arguments.
    pub args: BTreeMap<String, String>,
    /// Labels over those of its Dockerfile.
    pub labels: BTreeMap<String, String>,
    /// What to build for.
    pub platform: Platform,
    /// What it is to be called.
    pub tags: Vec<Reference>,
}

/// Where a parent is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BakeParent {
    /// It is built in the same run.
    Target(ImageName),
    /// The engine that builds has it by the name in the Dockerfile.
    Engine,
    /// A registry has it.
    Published(Reference),
}

/// The file for `docker buildx bake` that builds these images: a target for each, a group `default` of
/// all, and one for each service whose name no target has.
///
/// (<https://docs.docker.com/build/bake/reference/>)
pub fn bake_file(images: &[BakeImage]) -> Value {
    let names = target_names(images);
    let targets: Map<String, Value> = images
        .iter()
        .zip(&names)
        .map(|(image, name)| (name.clone(), target(image, images, &names)))
        .collect();
    let mut groups: BTreeMap<String, Vec<&String>> = BTreeMap::new();
    for (image, name) in images.iter().zip(&names) {
        let service = plain(image.service.as_str());
        if !targets.contains_key(&service) && service != DEFAULT {
            groups.entry(service).or_default().push(name);
        }
    }
    groups.insert(DEFAULT.to_owned(), names.iter().collect());
    let groups: Map<String, Value> = groups
        .into_iter()
        .map(|(name, targets)| (name, json!({ "targets": targets })))
        .collect();
    let mut file = json!({ "group": groups });
    // An empty table is a mistake to buildx.
    if !targets.is_empty() {
        file["target"] = Value::Object(targets);
    }
    file
}

const DEFAULT: &str = "default";

fn target(image: &BakeImage, images: &[BakeImage], names: &[String]) -> Value {
    let contexts: Map<String, Value> = image
        .parents
        .iter()
        .filter_map(|(reference, parent)| {
            let context = match parent {
                BakeParent::Engine => return None,
                BakeParent::Published(at) => format!("docker-image://{at}"),
                BakeParent::Target(parent) => {
                    let at = images.iter().position(|other| other.image == *parent)?;
                    format!("target:{}", names[at])
                }
            };
            Some((reference.to_string(), json!(context)))
        })
        .collect();
    // buildx reads `${...}` in values as its own variables.
    let values = |map: &BTreeMap<String, String>| -> BTreeMap<String, String> {
        let escaped = |value: &String| value.replace("${", "$${").replace("%{", "%%{");
        map.iter().map(|(k, v)| (k.clone(), escaped(v))).collect()
    };
    json!({
        "context": image.context,
        "dockerfile": crate::context::DOCKERFILE,
        "contexts": contexts,
        "args": values(&image.args),
        "labels": values(&image.labels),
        "platforms": [image.platform.to_string()],
        "tags": image.tags,
        // With one, a tag would lead to a list of an image and a document, made anew each time.
        "attest": ["type=provenance,disabled=true"],
    })
}

/// A name of a target has no dots; no two images get the same one.
fn target_names(images: &[BakeImage]) -> Vec<String> {
    let mut taken = BTreeSet::from([DEFAULT.to_owned()]);
    let mut names = Vec::new();
    for image in images {
        let mut name = plain(image.image.as_str());
        while !taken.insert(name.clone()) {
            name.push('_');
        }
        names.push(name);
    }
    names
}

fn plain(name: &str) -> String {
    name.replace('.', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(name: &str, service: &str) -> Result<BakeImage, crate::model::Diagnostic> {
        Ok(BakeImage {
            image: ImageName::new(name)?,
            service: ServiceName::new(service)?,
            context: format!("contexts/{name}"),
            parents: Vec::new(),
            args: BTreeMap::from([("A".to_owned(), "${B} %{if} $C".to_owned())]),
            labels: BTreeMap::new(),
            platform: Platform::parse("linux/amd64")?,
            tags: Vec::new(),
        })
    }

    #[test]
    fn names_are_those_that_bake_takes() -> Result<(), crate::model::Diagnostic> {
        let images = [
            image("a.b", "s")?,
            image("a_b", "s")?,
            image("default", "default")?,
            image("web", "web")?,
        ];
        assert_eq!(target_names(&images), ["a_b", "a_b_", "default_", "web"]);
        let file = bake_file(&images);
        assert_eq!(file["group"]["s"]["targets"], json!(["a_b", "a_b_"]));
        assert_eq!(
            file["group"]["default"]["targets"],
            json!(["a_b", "a_b_", "default_", "web"])
        );
        assert!(file["group"].get("web").is_none());
        assert!(bake_file(&[]).get("target").is_none());
        Ok(())
    }

    #[test]
    fn values_are_no_variables_of_bake() -> Result<(), crate::model::Diagnostic> {
        let file = bake_file(&[image("a", "s")?]);
        assert_eq!(file["target"]["a"]["args"]["A"], "$${B} %%{if} $C");
        Ok(())
    }
}
