//! A fleet in a temporary folder, taken as far as an engine.

// Each test binary uses its own part of this.
#![allow(dead_code, unreachable_pub)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kolla::catalog::{Catalog, Customizations};
use kolla::context::Assembly;
use kolla::graph::ImageGraph;
use kolla::model::{Diagnostics, ImageName, Namespace, Platform, Source};
use kolla::pins::Pins;
use kolla::plan::{Fingerprinted, fingerprints};
use kolla::render::{Options, Override, render};

pub struct Fleet {
    folder: tempfile::TempDir,
    pub overrides: Vec<(&'static str, String)>,
    pub overlays: Vec<PathBuf>,
    pub base_image: String,
}

pub struct Loaded {
    pub graph: ImageGraph,
    pub assemblies: BTreeMap<ImageName, Assembly>,
    pub fingerprints: BTreeMap<ImageName, Fingerprinted>,
}

impl Fleet {
    /// A base image and a service with two images on it.
    pub fn sample() -> Self {
        Self::with(&[
            (
                "services/base/service.toml",
                "description = \"Base\"\n[images.base]\ndescription = \"The base\"\n",
            ),
            ("services/base/base/Dockerfile", "FROM debian:13\n"),
            (
                "services/web/service.toml",
                "description = \"Web\"\n\
                 [user]\nname = \"web\"\nuid = 4200\n\
                 [vars]\nport = 80\n\
                 [images.web]\ndescription = \"The server\"\npackages = [\"nginx\", \"curl\"]\n\
                 [images.web-admin]\ndescription = \"The console\"\n",
            ),
            (
                "services/web/web/Dockerfile.tera",
                "{% extends \"layout.tera\" %}\n\
                 {% block files %}COPY site.conf index.html /etc/web/{% endblock files %}\n",
            ),
            (
                "services/web/web/site.conf.tera",
                "listen {{ vars.port }};\n",
            ),
            ("services/web/web/index.html", "<h1>hello</h1>\n"),
            (
                "services/web/web-admin/Dockerfile.tera",
                "FROM {{ image(name=\"web\") }}\nCOPY --from={{ image(name=\"base\") }} /etc/os-release /x\n",
            ),
            (
                "templates/layout.tera",
                "{% block from %}FROM {{ image(name=\"base\") }}{% endblock from %}\n\
                 {% block install %}RUN install {{ packages | join(sep=\" \") }}{% endblock install %}\n\
                 {% block files %}{% endblock files %}\n\
                 {% block user %}USER {{ user.uid }}{% endblock user %}\n",
            ),
        ])
    }

    pub fn with(files: &[(&str, &str)]) -> Self {
        let fleet = Self {
            folder: tempfile::tempdir().unwrap(),
            overrides: Vec::new(),
            overlays: Vec::new(),
            base_image: String::new(),
        };
        for (path, text) in files {
            fleet.write(path, text);
        }
        fleet
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, path: &str, text: &str) -> &Self {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    pub fn replace(&self, path: &str, old: &str, new: &str) -> &Self {
        let text = std::fs::read_to_string(self.path().join(path)).unwrap();
        assert!(text.contains(old), "{path} has no {old:?}");
        self.write(path, &text.replace(old, new))
    }

    pub fn remove(&self, path: &str) -> &Self {
        std::fs::remove_file(self.path().join(path)).unwrap();
        self
    }

    pub fn load(&self) -> Result<Loaded, Diagnostics> {
        self.load_customized(&Customizations::default())
    }

    pub fn load_customized(&self, custom: &Customizations) -> Result<Loaded, Diagnostics> {
        let custom = Customizations {
            overlays: self.overlays.clone(),
            vars: custom.vars.clone(),
            images: custom.images.clone(),
            ..Customizations::default()
        };
        let platform = Platform::parse("linux/amd64").unwrap();
        let catalog = Catalog::load(self.path(), &custom)?;
        let overrides = self.overrides.iter();
        let options = Options {
            overrides: overrides
                .map(|(p, t)| Override(Source::new(*p, t.as_str())))
                .collect(),
            base_image: self.base_image.clone(),
            platform: platform.clone(),
        };
        let rendered = render(&catalog, &options)?;
        let graph = ImageGraph::new(
            rendered,
            &Namespace::new("kollaglue")?,
            &platform,
            &Pins::default(),
        )?;
        let mut problems = Diagnostics::default();
        let mut assemblies = BTreeMap::new();
        for node in graph.nodes() {
            if let Some(assembly) = problems.take(Assembly::new(node, &Pins::default())) {
                assemblies.insert(node.image().clone(), assembly);
            }
        }
        let fingerprints = fingerprints(&graph, &assemblies, &platform);
        problems.or_ok(Loaded {
            graph,
            assemblies,
            fingerprints,
        })
    }

    /// What is wrong with it, one problem a paragraph: place, message, notes, hints.
    pub fn problems(&self) -> String {
        match self.load() {
            Ok(_) => "nothing".to_owned(),
            Err(problems) => self.tell(&problems),
        }
    }

    pub fn tell(&self, problems: &Diagnostics) -> String {
        let mut text = String::new();
        for problem in problems.iter() {
            text.push_str(&format!("{problem}\n"));
            for (note, at) in problem.notes() {
                let at = at.as_ref().map(|at| format!(" ({at})")).unwrap_or_default();
                text.push_str(&format!("  = {note}{at}\n"));
            }
            for hint in problem.hints() {
                text.push_str(&format!("  help: {hint}\n"));
            }
        }
        text.replace(&format!("{}/", self.path().display()), "")
            .replace(&self.path().display().to_string(), "ROOT")
    }
}

impl Loaded {
    pub fn dockerfile(&self, image: &str) -> String {
        let node = self.graph.node(&ImageName::new(image).unwrap()).unwrap();
        node.rendered().dockerfile().text().to_owned()
    }

    /// The images whose fingerprint differs from those of `other`.
    pub fn changed(&self, other: &Loaded) -> Vec<String> {
        let mine = self.fingerprints.iter();
        mine.filter(|(image, known)| {
            other.fingerprints.get(*image).map(|o| &o.fingerprint) != Some(&known.fingerprint)
        })
        .map(|(image, _)| image.to_string())
        .collect()
    }
}
