//! The syntax of the command line; what it means is decided in `settings`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Builds and publishes a fleet of container images that depend on each other.
#[derive(Debug, Parser)]
#[command(
    name = "kolla",
    version,
    propagate_version = true,
    after_help = "Examples:
  kolla build                        build everything that has changed
  kolla build --namespace me @nova   the images of nova, tagged me/<image>
  kolla plan --why keystone          what would be built, and which input changed
  kolla push --registry localhost:5000

Exit status: 0 all is well; 1 an image failed; 2 a mistake in the command line, a
definition or a template; 3 the engine, the network or the disk; 130 interrupted."
)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) global: GlobalArgs,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Clone, Args)]
pub(super) struct GlobalArgs {
    /// The folder with `services/` in it [default: the nearest one above this]
    #[arg(
        long,
        short = 'C',
        global = true,
        value_name = "DIR",
        help_heading = "Fleet"
    )]
    pub(super) root: Option<PathBuf>,
    /// Read this file instead of the fleet's kolla.toml
    #[arg(long, global = true, value_name = "FILE", help_heading = "Fleet")]
    pub(super) config: Option<PathBuf>,
    /// Replace blocks of images' templates by those of this file; may be repeated
    #[arg(
        long = "override",
        global = true,
        value_name = "FILE",
        help_heading = "Fleet"
    )]
    pub(super) overrides: Vec<PathBuf>,
    /// Shadow files of services/ and templates/ by those below this folder; may be repeated
    #[arg(
        long = "overlay",
        global = true,
        value_name = "DIR",
        help_heading = "Fleet"
    )]
    pub(super) overlays: Vec<PathBuf>,
    /// Start from this image instead of bootstrapping one from the distribution's archive
    #[arg(long, global = true, value_name = "REFERENCE", help_heading = "Fleet")]
    pub(super) base_image: Option<String>,
    /// The distribution's archive to bootstrap from [default: that of this machine's apt]
    #[arg(long, global = true, value_name = "URL", help_heading = "Fleet")]
    pub(super) mirror: Option<String>,
    /// Refuse what kolla.lock does not pin, and an archive that is not as it pins it
    #[arg(long, global = true, help_heading = "Fleet")]
    pub(super) locked: bool,
    /// What to build for [default: this machine]
    #[arg(long, global = true, value_name = "PLATFORM", help_heading = "Fleet")]
    pub(super) platform: Option<String>,
    /// The namespace to tag images in [default: kollaglue]
    #[arg(
        long,
        short,
        global = true,
        value_name = "NAMESPACE",
        help_heading = "Names"
    )]
    pub(super) namespace: Option<String>,
    /// The registry to tag images for, HOST[:PORT]
    #[arg(long, global = true, value_name = "REGISTRY", help_heading = "Names")]
    pub(super) registry: Option<String>,
    /// Where published images that need not be built again are looked for, besides the namespace of
    /// --registry [default: the release namespace, in the same registry]
    #[arg(
        long,
        global = true,
        value_name = "[REGISTRY/]NAMESPACE",
        help_heading = "Names"
    )]
    pub(super) upstream: Option<String>,
    /// Look for published images nowhere: take what the engine has, and build the rest
    #[arg(long, global = true, help_heading = "Names")]
    pub(super) local: bool,
    /// The tag; may be repeated [default: the short commit id, `-dirty` where files differ from it]
    #[arg(
        long = "tag",
        short,
        global = true,
        value_name = "TAG",
        help_heading = "Names"
    )]
    pub(super) tags: Vec<String>,
    /// Allow the tag `latest` in the release namespace
    #[arg(long, global = true, help_heading = "Names")]
    pub(super) release: bool,
    /// What builds: docker, native, or auto, which is docker where a socket of Docker or Podman
    /// answers and else native
    #[arg(long, global = true, value_name = "ENGINE", help_heading = "Running")]
    pub(super) engine: Option<String>,
    /// Where the native engine keeps its images [default: `store` in the cache]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Running")]
    pub(super) store: Option<PathBuf>,
    /// How the native engine compresses layers: gzip or zstd [default: gzip]
    #[arg(long, global = true, value_name = "FORM", help_heading = "Running")]
    pub(super) compression: Option<String>,
    /// A file for `RUN --mount=type=secret`, id=ID,src=FILE; may be repeated; native engine only
    #[arg(
        long = "secret",
        global = true,
        value_name = "SECRET",
        help_heading = "Running"
    )]
    pub(super) secrets: Vec<String>,
    /// The engine's address, such as unix:///run/docker.sock [default: DOCKER_HOST, else the usual sockets]
    #[arg(long, global = true, value_name = "URL", help_heading = "Running")]
    pub(super) engine_url: Option<String>,
    /// How many images at once [default: the number of CPUs]
    #[arg(long, short, global = true, value_name = "N", help_heading = "Running")]
    pub(super) jobs: Option<String>,
    /// How often a transient failure is tried again [default: 3]
    #[arg(long, global = true, value_name = "N", help_heading = "Running")]
    pub(super) retries: Option<String>,
    /// Where sources, logs and records are kept [default: ~/.cache/kolla]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Running")]
    pub(super) cache_dir: Option<PathBuf>,
    /// Print everything that the steps print
    #[arg(long, short, global = true, help_heading = "Output")]
    pub(super) verbose: bool,
    /// Print results and errors only
    #[arg(
        long,
        short,
        global = true,
        conflicts_with = "verbose",
        help_heading = "Output"
    )]
    pub(super) quiet: bool,
    /// Colours [default: auto, which means on a terminal]
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_default_value = true,
        help_heading = "Output"
    )]
    pub(super) color: ColorWhen,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum ColorWhen {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Build what has changed, and tag everything
    #[command(after_help = "Examples:
  kolla build
  kolla build keystone 'nova-*'         these, and the parents they need
  kolla build --push --registry localhost:5000
  kolla build --html run.html           and a page of what took how long, and what failed
  kolla build --rebuild --with-children base")]
    Build(BuildArgs),
    /// Show what `build` would do, and why
    #[command(after_help = "Examples:
  kolla plan
  kolla plan --why keystone
  kolla plan --format json | jq '.images[] | select(.action == \"build\") | .image'")]
    Plan(PlanArgs),
    /// Tell which images a change affects
    #[command(after_help = "Examples:
  kolla affected --since HEAD                  by what is not committed yet
  kolla affected --since origin/main... --why  by this branch, and by which input
  kolla affected --since origin/main... --format github --shards 4")]
    Affected(AffectedArgs),
    /// List the images of the fleet
    #[command(after_help = "Examples:
  kolla list @nova
  kolla list --format names 'heat-*'")]
    List(ListArgs),
    /// Show which image is made from which
    #[command(after_help = "Examples:
  kolla graph
  kolla graph --format dot | dot -Tsvg > fleet.svg
  kolla graph keystone")]
    Graph(GraphArgs),
    /// Write Dockerfiles and contexts to a folder, exactly as they would be sent
    #[command(after_help = "Example:
  kolla render keystone -o /tmp/out && less /tmp/out/keystone/Dockerfile")]
    Render(RenderArgs),
    /// Pin what the network could change under the images: archives, and images from outside
    #[command(after_help = "Examples:
  kolla lock                           pin what is not pinned yet
  kolla lock --update                  move all on to what the network has now
  kolla lock --update 'trixie-*'       these suites alone
  kolla build --locked                 build only from what is pinned

It writes kolla.lock, which is to be committed, and prints what moved.")]
    Lock(LockArgs),
    /// Find every mistake that can be found without an engine
    #[command(after_help = "Example:
  kolla check && git commit")]
    Check,
    /// Push what was built
    #[command(after_help = "Examples:
  kolla push --registry localhost:5000
  kolla push --namespace me keystone")]
    Push(PushArgs),
    /// Check who signed published images, how they were built and what is in them
    #[command(after_help = "Examples:
  kolla verify registry.example/kollaglue --tag 2026.1
  kolla verify --key release.pub registry.example/kollaglue keystone '@nova'
  kolla verify localhost:5000/mirror --signed-as registry.example/kollaglue

Exit status: 0 all is good; 1 something of an image is missing or wrong; 3 the registry
cannot be asked.")]
    Verify(VerifyArgs),
    /// Make a pair of keys to sign published images with, as cosign's are
    #[command(after_help = "Examples:
  kolla keygen                               cosign.key and cosign.pub
  KOLLA_KEY_PASSWORD=... kolla keygen -o release

The private key is encrypted by a password, which is asked for on a terminal unless
KOLLA_KEY_PASSWORD or COSIGN_PASSWORD has it.")]
    Keygen(KeygenArgs),
    /// Publish a release: send what is missing, see that all of it arrived, then move all tags
    #[command(after_help = "Examples:
  kolla publish --registry registry.example --tag 2025.1
  kolla publish --registry registry.example --tag 2025.1 --tag latest --release
  kolla publish --registry registry.example --resume     finish one that was interrupted

Until everything is in the registry no tag is moved. `kolla rollback` moves them back.")]
    Publish(PublishArgs),
    /// Move the tags of the newest release back to what they stood for before
    #[command(after_help = "Example:
  kolla rollback --registry registry.example --namespace kollaglue

Once more, it takes back the release before that.")]
    Rollback(RollbackArgs),
    /// List the releases of a namespace, or compare two of them
    #[command(after_help = "Examples:
  kolla releases registry.example/kollaglue
  kolla releases registry.example/kollaglue --compare 20261101T120000Z-2025.1 20261126T001500Z-2025.1")]
    Releases(ReleasesArgs),
    /// Remove images of old releases from a registry, where no kept release and no tag names them
    #[command(after_help = "Examples:
  kolla prune --registry registry.example --keep 10 --dry-run
  kolla prune --registry registry.example --keep 10

The current release is always kept. Registries free the space when they collect garbage.")]
    Prune(PruneArgs),
    /// Run the smoke tests of images that were built
    #[command(after_help = "Examples:
  kolla test
  kolla test keystone '@nova'")]
    Test(TestArgs),
    /// Build what has to be built, and check each image before anything is made from it
    #[command(after_help = "Examples:
  kolla gate                                 the whole fleet
  kolla gate --since origin/main... --markdown comment.md --junit junit.xml
  kolla gate --baseline published.json '@nova'

Exit status: 0 all passed; 1 an image did not; 3 the engine, the network or the disk failed,
and the images are not to blame. docs/gate.md tells what is checked and how that is declared.")]
    Gate(GateArgs),
    /// List the images that are published in a namespace
    #[command(after_help = "Examples:
  kolla search registry.example:5000/kollaglue
  kolla search localhost:5000/me --format json | jq -r '.images[].image'")]
    Search(SearchArgs),
    /// Remove what this program left behind in the engine and the cache, and nothing else
    #[command(after_help = "Examples:
  kolla clean --dry-run
  kolla clean --older-than 30d --max-size 20g    of the native engine's step cache")]
    Clean(CleanArgs),
    /// Write built images to files, or load them into Docker
    #[command(after_help = "Examples:
  kolla export keystone --to docker-archive:keystone.tar
  kolla export '@nova' --to oci:layout       an OCI image layout, added to if it is there
  kolla export keystone --to docker          from the native engine's store into Docker")]
    Export(ExportArgs),
    /// Write what is to be built for another builder: contexts, and a file for docker buildx bake
    #[command(after_help = "Examples:
  kolla export-plan -o plan && (cd plan && docker buildx bake --load)
  kolla export-plan --registry registry.example -o plan && (cd plan && docker buildx bake --push)")]
    ExportPlan(ExportPlanArgs),
    /// Run a container of a built image to its end
    #[command(after_help = "Examples:
  kolla run keystone                         the image's own command
  kolla run keystone -- keystone-manage --version

It ends with the container's exit status.")]
    Run(RunArgs),
    /// Print the settings in force and where each comes from
    Config(ConfigArgs),
    /// Print completions for a shell
    #[command(after_help = "Example:
  kolla completions bash > /etc/bash_completion.d/kolla")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub(super) struct LockArgs {
    /// Move on what is pinned already: suites and images whose names match, or all
    #[arg(long, value_name = "PATTERN", num_args = 0..)]
    pub(super) update: Option<Vec<String>>,
    /// The form of what moved
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub(super) format: TableFormat,
}

#[derive(Debug, Args)]
pub(super) struct PublishArgs {
    #[command(flatten)]
    pub(super) patterns: Patterns,
    /// Finish what was interrupted while tags were moved
    #[arg(long)]
    pub(super) resume: bool,
    /// Sign the images, and what is said of them, with this key; `kolla keygen` makes one
    #[arg(long, value_name = "FILE")]
    pub(super) key: Option<PathBuf>,
    /// Who builds, as the provenance has it: a URI that those who verify know
    #[arg(long, value_name = "URI")]
    pub(super) builder: Option<String>,
    /// Write the release to this file too
    #[arg(long, short, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    #[command(flatten)]
    pub(super) html: HtmlArgs,
    /// The form of the summary on standard output; `json` is the release
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub(super) format: TableFormat,
}

#[derive(Debug, Args)]
pub(super) struct RollbackArgs {}

#[derive(Debug, Args)]
pub(super) struct PruneArgs {
    /// How many of the newest releases stay
    #[arg(long, value_name = "N")]
    pub(super) keep: std::num::NonZeroUsize,
    /// Show what would be removed, and remove nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Debug, Args)]
pub(super) struct ReleasesArgs {
    /// Where [default: what --registry and --namespace say]
    #[arg(value_name = "[REGISTRY/]NAMESPACE")]
    pub(super) of: Option<String>,
    /// Tell what differs between two releases, the older first
    #[arg(long, num_args = 2, value_names = ["OLD", "NEW"])]
    pub(super) compare: Vec<String>,
    /// The form of the list
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub(super) format: TableFormat,
}

/// Which images.
#[derive(Debug, Args)]
pub(super) struct Patterns {
    /// Images by name with `*`, `?`, `[...]` and `{a,b}`, or `@SERVICE` [default: all]
    #[arg(value_name = "PATTERN")]
    pub(super) patterns: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct SelectionArgs {
    #[command(flatten)]
    pub(super) patterns: Patterns,
    /// Leave out the images that the selected ones are made from
    #[arg(long)]
    pub(super) no_parents: bool,
    /// Take what is made from the selected ones as well
    #[arg(long)]
    pub(super) with_children: bool,
}

#[derive(Debug, Args)]
pub(super) struct BuildArgs {
    #[command(flatten)]
    pub(super) selection: SelectionArgs,
    /// Push when everything is built
    #[arg(long)]
    pub(super) push: bool,
    /// Build the selected images even if nothing changed, without the engine's cache
    #[arg(long)]
    pub(super) rebuild: bool,
    /// The form of the summary on standard output
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub(super) format: TableFormat,
    #[command(flatten)]
    pub(super) html: HtmlArgs,
}

#[derive(Debug, Args)]
pub(super) struct HtmlArgs {
    /// Write a page of the run to this file: its timeline, graph, sizes and logs, in one piece
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    pub(super) selection: SelectionArgs,
    /// Name every input that changed
    #[arg(long)]
    pub(super) why: bool,
    /// Plan as `build --rebuild` would
    #[arg(long)]
    pub(super) rebuild: bool,
    /// The form of the plan
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub(super) format: TableFormat,
}

#[derive(Debug, Args)]
pub(super) struct SinceArgs {
    /// What to compare the work tree with: a branch, a tag, a commit; with `...` behind it, where it
    /// and HEAD parted
    #[arg(long, value_name = "REV")]
    pub(super) since: String,
    /// Compare with the commit where REV and HEAD parted
    #[arg(long)]
    pub(super) merge_base: bool,
}

#[derive(Debug, Args)]
pub(super) struct AffectedArgs {
    #[command(flatten)]
    pub(super) patterns: Patterns,
    #[command(flatten)]
    pub(super) since: SinceArgs,
    /// Name every input that changed
    #[arg(long)]
    pub(super) why: bool,
    /// The form of the list; github is a matrix of jobs, gitlab a child pipeline
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub(super) format: AffectedFormat,
    /// Deal the images to at most N jobs, for github and gitlab [default: a job for each image]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(super) shards: Option<u16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum AffectedFormat {
    Table,
    Json,
    Names,
    Github,
    Gitlab,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum TableFormat {
    Table,
    Json,
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    pub(super) patterns: Patterns,
    /// The form of the list
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub(super) format: ListFormat,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum ListFormat {
    Table,
    Json,
    Names,
}

#[derive(Debug, Args)]
pub(super) struct GraphArgs {
    #[command(flatten)]
    pub(super) selection: SelectionArgs,
    /// The form of the graph
    #[arg(long, value_name = "FORMAT", default_value = "tree")]
    pub(super) format: GraphFormatArg,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum GraphFormatArg {
    Tree,
    Dot,
    Mermaid,
    Json,
}

#[derive(Debug, Args)]
pub(super) struct RenderArgs {
    #[command(flatten)]
    pub(super) patterns: Patterns,
    /// The folder to write to, one folder an image
    #[arg(long, short, value_name = "DIR")]
    pub(super) output: PathBuf,
    /// Leave out what would have to be fetched
    #[arg(long)]
    pub(super) no_sources: bool,
}

#[derive(Debug, Args)]
pub(super) struct PushArgs {
    #[command(flatten)]
    pub(super) patterns: Patterns,
    /// The form of the summary on standard output
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub(super) format: TableFormat,
}

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// Where the images are published
    #[arg(value_name = "[REGISTRY/]NAMESPACE")]
    pub(super) place: String,
    /// Images by name; with `*`, `?`, `[...]` and `{a,b}`, or `@SERVICE`, of the fleet [default: all
    /// of the fleet]
    #[arg(value_name = "IMAGE")]
    pub(super) images: Vec<String>,
    /// The public key of who signs [default: cosign.pub in the fleet's folder]
    #[arg(long, value_name = "FILE")]
    pub(super) key: Option<PathBuf>,
    /// What the images were signed as, where they were copied from there
    #[arg(long, value_name = "[REGISTRY/]NAMESPACE")]
    pub(super) signed_as: Option<String>,
    /// The form of the result
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub(super) format: TableFormat,
}

#[derive(Debug, Args)]
pub(super) struct KeygenArgs {
    /// The files without their endings `.key` and `.pub` [default: cosign]
    #[arg(long, short, value_name = "PREFIX")]
    pub(super) output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct TestArgs {
    #[command(flatten)]
    pub(super) patterns: Patterns,
    /// The form of the summary on standard output
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub(super) format: TableFormat,
}

#[derive(Debug, Args)]
pub(super) struct SearchArgs {
    /// Where to look [default: what --registry and --namespace say]
    // clap takes arguments of one name for one.
    #[arg(value_name = "[REGISTRY/]NAMESPACE")]
    pub(super) place: Option<String>,
    /// The form of the list
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub(super) format: TableFormat,
}

#[derive(Debug, Args)]
pub(super) struct GateArgs {
    #[command(flatten)]
    pub(super) patterns: Patterns,
    /// Only what changes since this revision affect; with `...` behind it, since it and HEAD parted
    #[arg(long, value_name = "REV")]
    pub(super) since: Option<String>,
    /// Compare with the commit where REV and HEAD parted
    #[arg(long, requires = "since")]
    pub(super) merge_base: bool,
    /// Sizes and packages of the published images, to compare with
    #[arg(long, value_name = "FILE")]
    pub(super) baseline: Option<PathBuf>,
    /// Write sizes and packages of the images that passed, for a later --baseline
    #[arg(long, value_name = "FILE")]
    pub(super) write_baseline: Option<PathBuf>,
    /// Write the results as JUnit XML, too
    #[arg(long, value_name = "FILE")]
    pub(super) junit: Option<PathBuf>,
    /// Write the results as SARIF, too
    #[arg(long, value_name = "FILE")]
    pub(super) sarif: Option<PathBuf>,
    /// Write the results as Markdown, too
    #[arg(long, value_name = "FILE")]
    pub(super) markdown: Option<PathBuf>,
    #[command(flatten)]
    pub(super) html: HtmlArgs,
    /// The form of the results on standard output
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub(super) format: TableFormat,
}

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// Images by name with `*`, `?`, `[...]` and `{a,b}`, or `@SERVICE`
    #[arg(value_name = "PATTERN", required = true)]
    pub(super) patterns: Vec<String>,
    /// Where to: oci:DIR, an image layout; docker-archive:FILE, what `docker load` reads; or docker,
    /// which loads them into Docker or Podman
    #[arg(long, value_name = "DESTINATION")]
    pub(super) to: String,
}

#[derive(Debug, Args)]
pub(super) struct ExportPlanArgs {
    #[command(flatten)]
    pub(super) selection: SelectionArgs,
    /// The folder to write to
    #[arg(long, short, value_name = "DIR")]
    pub(super) output: PathBuf,
    /// The form of the plan: bake, a docker-bake.json
    #[arg(long, value_name = "FORMAT", default_value = "bake")]
    pub(super) format: PlanFormat,
    /// Where the images go, which decides by what tag they are known again: engine, where what it
    /// holds already is left out, or registry [default: registry where one is named, else engine]
    #[arg(long, value_name = "WHERE")]
    pub(super) tags_for: Option<TagsFor>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum PlanFormat {
    Bake,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum TagsFor {
    Engine,
    Registry,
}

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// The image
    #[arg(value_name = "IMAGE")]
    pub(super) image: String,
    /// The command [default: the image's own]
    #[arg(value_name = "COMMAND", last = true)]
    pub(super) command: Vec<String>,
    /// Give it no network
    #[arg(long)]
    pub(super) no_network: bool,
}

#[derive(Debug, Args)]
pub(super) struct CleanArgs {
    /// Show what would be removed, and remove nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Forget steps that were of no use for so long, such as 12h or 30d; native engine only
    #[arg(long, value_name = "AGE")]
    pub(super) older_than: Option<humantime::Duration>,
    /// Forget the longest unused steps until the store is no larger, such as 500m or 20g; native
    /// engine only
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(super) max_size: Option<u64>,
}

/// `20g`: bytes.
fn size(text: &str) -> Result<u64, String> {
    let lower = text.to_lowercase();
    let end = lower
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(lower.len());
    let shift = match &lower[end..] {
        "" | "b" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return Err("a size is a number and k, m, g or t".to_owned()),
    };
    let number = lower[..end].parse::<u64>().ok();
    number
        .and_then(|number| number.checked_mul(1 << shift))
        .ok_or_else(|| "a size is a number and k, m, g or t".to_owned())
}

#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    /// The form of the settings
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub(super) format: TableFormat,
}
