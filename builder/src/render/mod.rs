//! From definitions to Dockerfile texts.
//!
//! Owns Tera: the variables, functions and filters that templates see, and the blocks that a user
//! overrides. The result depends on the catalog and the settings given here alone, never on the
//! environment, the clock or a registry.

mod explain;
mod filters;
mod overrides;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use rayon::prelude::*;
use tera::{Context, Tera};

pub use overrides::Override;

use crate::catalog::{Catalog, FileKind, ImageDefinition, Origin, SourceDefinition};
use crate::model::{Diagnostic, Diagnostics, ImageName, Location, Platform, Source};
use overrides::Section;

/// What one image's templates became.
#[derive(Debug, Clone)]
pub struct Rendered {
    definition: Arc<ImageDefinition>,
    dockerfile: Source,
    files: BTreeMap<String, Arc<str>>,
    sources: Vec<SourceDefinition>,
}

impl Rendered {
    /// The image.
    pub fn image(&self) -> &ImageName {
        self.definition.name()
    }

    /// The definition it was rendered from.
    pub fn definition(&self) -> &Arc<ImageDefinition> {
        &self.definition
    }

    /// The Dockerfile, with parents written by name.
    pub fn dockerfile(&self) -> &Source {
        &self.dockerfile
    }

    /// Texts of the context that were made from templates, by their path in the context.
    pub fn files(&self) -> &BTreeMap<String, Arc<str>> {
        &self.files
    }

    /// What is brought into the context from elsewhere.
    pub fn sources(&self) -> &[SourceDefinition] {
        &self.sources
    }
}

/// What rendering depends on besides the catalog.
#[derive(Debug, Clone)]
pub struct Options {
    /// Blocks that the user replaces, in the order given.
    pub overrides: Vec<Override>,
    /// The image to start from in place of a bootstrapped root file system; empty for none.
    pub base_image: String,
    /// What the images run on.
    pub platform: Platform,
}

/// Renders every image of the catalog.
///
/// # Errors
/// All problems of all templates at once, each with its place.
pub fn render(catalog: &Catalog, options: &Options) -> Result<Vec<Rendered>, Diagnostics> {
    stand_alone(catalog)?;
    let sections = overrides::sections(catalog, &options.overrides)?;
    let shared = shared_templates(catalog)?;
    let images: Vec<&Arc<ImageDefinition>> = catalog.images().values().collect();
    // Tera checks all its templates again whenever some are added, so they are added in few, large
    // batches; only a batch with a mistake in it is taken apart to find every mistake.
    let batch = images
        .len()
        .div_ceil(rayon::current_num_threads() * 2)
        .max(1);
    let results: Vec<Result<Vec<Rendered>, Diagnostics>> = images
        .par_chunks(batch)
        .map(|images| {
            let templates: Vec<ImageTemplates> = images
                .iter()
                .map(|image| ImageTemplates::new(image, sections.get(image.name())))
                .collect::<Result<_, _>>()?;
            let mut tera = shared.clone();
            let all = templates.iter().flat_map(|t| t.texts.iter());
            match tera.add_raw_templates(all.map(|(name, source)| (name, source.text()))) {
                Ok(()) => render_batch(&tera, catalog, options, &templates),
                Err(_) => Err(problems_one_by_one(&shared, &templates, catalog)),
            }
        })
        .collect();
    let mut problems = Diagnostics::default();
    let mut all = Vec::with_capacity(images.len());
    for result in results {
        all.extend(problems.take(result).into_iter().flatten());
    }
    problems.or_ok(all)
}

/// Templates of images lean on shared ones alone. Whether Tera knows another image's template would
/// depend on the batch that both are in.
fn stand_alone(catalog: &Catalog) -> Result<(), Diagnostics> {
    let shared: BTreeSet<&str> = catalog
        .templates()
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    let mut problems = Diagnostics::default();
    for image in catalog
        .images()
        .values()
        .filter(|image| image.is_templated())
    {
        let source = image.dockerfile();
        for tag in ["extends", "include"]
            .into_iter()
            .flat_map(|k| overrides::tags(source.text(), k))
        {
            let word = &source.text()[tag.word.clone()];
            let owner = word.split('/').next().unwrap_or(word);
            if !shared.contains(word) && catalog.images().contains_key(owner) {
                problems.push(
                    Diagnostic::definition(format!("`{word}` is the template of an image"))
                        .at(source.location(tag.word))
                        .hint("move what several images share to `templates/`, and extend or include that"),
                );
            }
        }
    }
    problems.or_ok(())
}

fn shared_templates(catalog: &Catalog) -> Result<Tera, Diagnostics> {
    let mut tera = Tera::default();
    tera.autoescape_on(Vec::<&'static str>::new());
    filters::register(&mut tera);
    let names: Arc<[ImageName]> = catalog.images().keys().cloned().collect();
    tera.register_function(
        "image",
        move |kwargs: tera::Kwargs, _: &tera::State| -> tera::TeraResult<String> {
            let name: &str = kwargs.must_get("name")?;
            if names.binary_search_by(|n| n.as_str().cmp(name)).is_ok() {
                return Ok(name.to_owned());
            }
            let hint = crate::model::did_you_mean(name, names.iter().map(ImageName::as_str));
            Err(tera::Error::message(format!(
                "there is no image `{name}` in the fleet{}",
                hint.map(|h| format!("\u{1f}{h}")).unwrap_or_default()
            )))
        },
    );
    let texts = catalog.templates().iter();
    tera.add_raw_templates(texts.map(|(name, source)| (name, source.text())))
        .map_err(|error| explain::explain(&error, &sources_of(catalog, &[])))?;
    Ok(tera)
}

/// The Tera templates of one image: its Dockerfile, the overrides of that, and templated files.
struct ImageTemplates<'c> {
    image: &'c Arc<ImageDefinition>,
    /// The template to render for the Dockerfile; none for a plain Dockerfile.
    top: Option<String>,
    /// Templated files: path in the context and template name.
    files: Vec<(String, String)>,
    texts: Vec<(String, Source)>,
}

impl<'c> ImageTemplates<'c> {
    fn new(
        image: &'c Arc<ImageDefinition>,
        sections: Option<&Vec<Section>>,
    ) -> Result<Self, Diagnostics> {
        let mut texts = Vec::new();
        let mut top = None;
        if image.is_templated() {
            let mut name = image.name().to_string();
            texts.push((name.clone(), image.dockerfile().clone()));
            for (i, section) in sections.into_iter().flatten().enumerate() {
                let own = format!("{}+{}", image.name(), i + 1);
                texts.push((own.clone(), section.extending(&name)));
                name = own;
            }
            top = Some(name);
        }
        let mut files = Vec::new();
        for file in image.files() {
            if let Some(path) = file.path.strip_suffix(".tera")
                && matches!(file.kind, FileKind::File { .. })
            {
                let text = std::fs::read_to_string(&file.disk).map_err(|e| {
                    Diagnostic::environment(format!("cannot read: {e}"))
                        .at(Location::file(&file.disk))
                })?;
                let name = format!("{}/{}", image.name(), file.path);
                texts.push((name.clone(), Source::new(file.disk.clone(), text)));
                files.push((path.to_owned(), name));
            }
        }
        Ok(Self {
            image,
            top,
            files,
            texts,
        })
    }
}

fn sources_of(catalog: &Catalog, templates: &[&ImageTemplates]) -> HashMap<String, Source> {
    let own = templates.iter().flat_map(|t| t.texts.iter().cloned());
    catalog.templates().iter().cloned().chain(own).collect()
}

fn problems_one_by_one(
    shared: &Tera,
    templates: &[ImageTemplates],
    catalog: &Catalog,
) -> Diagnostics {
    templates
        .iter()
        .filter_map(|template| {
            let mut tera = shared.clone();
            let texts = template.texts.iter();
            let error = tera
                .add_raw_templates(texts.map(|(name, source)| (name, source.text())))
                .err()?;
            Some(explain::explain(&error, &sources_of(catalog, &[template])))
        })
        .collect()
}

fn render_batch(
    tera: &Tera,
    catalog: &Catalog,
    options: &Options,
    templates: &[ImageTemplates],
) -> Result<Vec<Rendered>, Diagnostics> {
    let mut problems = Diagnostics::default();
    let mut all = Vec::with_capacity(templates.len());
    for template in templates {
        let image = template.image;
        let context = context(catalog, image, options);
        let text_of = |name: &str| {
            tera.render(name, &context)
                .map_err(|error| explain::explain(&error, &sources_of(catalog, &[template])))
        };
        let dockerfile = match &template.top {
            None => Some(image.dockerfile().clone()),
            Some(top) => problems.take(text_of(top)).map(|text| {
                let path = format!("{} (rendered)", image.dockerfile().path().display());
                Source::new(path, text)
            }),
        };
        let mut files = BTreeMap::new();
        for (path, name) in &template.files {
            if let Some(text) = problems.take(text_of(name)) {
                files.insert(path.clone(), Arc::from(text));
            }
        }
        let sources = image.sources().iter().filter(|source| {
            options.base_image.is_empty() || !matches!(source.origin, Origin::Bootstrap(_))
        });
        if let Some(dockerfile) = dockerfile {
            all.push(Rendered {
                definition: Arc::clone(image),
                dockerfile,
                files,
                sources: sources.cloned().collect(),
            });
        }
    }
    problems.or_ok(all)
}

/// What templates see. `docs/definitions.md` lists it.
fn context(catalog: &Catalog, image: &ImageDefinition, options: &Options) -> Context {
    #[derive(serde::Serialize)]
    struct ImageVars<'a> {
        name: &'a str,
        description: &'a str,
        packages: &'a [String],
        args: &'a BTreeMap<String, String>,
        smoke: &'a [String],
    }
    #[derive(serde::Serialize)]
    struct ServiceVars<'a> {
        name: &'a str,
        description: &'a str,
    }
    #[derive(serde::Serialize)]
    struct PlatformVars<'a> {
        architecture: &'a str,
        debian_architecture: &'a str,
    }
    let mut context = Context::new();
    context.insert(
        "image",
        &ImageVars {
            name: image.name().as_str(),
            description: image.description(),
            packages: image.packages(),
            args: image.args(),
            smoke: image.smoke(),
        },
    );
    context.insert("packages", image.packages());
    context.insert(
        "service",
        &ServiceVars {
            name: image.service().as_str(),
            description: image.service_description(),
        },
    );
    if let Some(user) = image.user() {
        context.insert("user", user);
    }
    let mut vars = catalog.vars().clone();
    vars.extend(image.vars().clone());
    context.insert("vars", &vars);
    context.insert("base_image", &options.base_image);
    context.insert(
        "platform",
        &PlatformVars {
            architecture: options.platform.architecture(),
            debian_architecture: options.platform.debian_architecture(),
        },
    );
    context
}
