//! What a Dockerfile says, as data.

use std::ops::Range;
use std::time::Duration;

use super::flags::Flag;
use super::text::Word;

/// One `FROM` and what follows it, up to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// The name after `AS`, in lower case as it is compared; its span is where it was written.
    pub name: Option<Word>,
    /// What it starts from.
    pub from: From,
    /// The instructions after `FROM`.
    pub instructions: Vec<Instruction>,
    /// From the `F` of `FROM` to the end of its last instruction.
    pub span: Range<usize>,
}

/// A `FROM` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct From {
    /// The image, stage or `scratch`, before expansion.
    pub image: Word,
    /// The value of `--platform`, before expansion.
    pub platform: Option<Word>,
    /// The whole line.
    pub span: Range<usize>,
}

/// One instruction of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// Which it is, and its arguments.
    pub kind: Kind,
    /// Its name as it was written.
    pub keyword: Word,
    /// Its flags in the order written; each is known to belong to the instruction.
    pub flags: Vec<Flag>,
    /// The heredocs it opens, in the order of their bodies.
    pub heredocs: Vec<Heredoc>,
    /// From its name to the end of its last line, heredocs included.
    pub span: Range<usize>,
    /// Its text with continuations joined and comments gone, without heredoc bodies.
    pub original: String,
}

impl Instruction {
    /// The value of a flag that may be given once.
    pub fn flag(&self, name: &str) -> Option<&Word> {
        self.flags
            .iter()
            .find(|flag| flag.name.text == name)
            .and_then(|flag| flag.value.as_ref())
    }

    /// The values of a flag that may be repeated.
    pub fn flag_values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Word> {
        self.flags
            .iter()
            .filter(move |flag| flag.name.text == name)
            .filter_map(|flag| flag.value.as_ref())
    }

    /// Whether a switch such as `--link` is on.
    pub fn switch(&self, name: &str) -> bool {
        self.flags.iter().any(|flag| {
            flag.name.text == name
                && flag
                    .value
                    .as_ref()
                    .is_none_or(|value| value.text.eq_ignore_ascii_case("true"))
        })
    }
}

/// The instructions and their arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// `ADD`
    Add(Transfer),
    /// `ARG name[=default] ...`
    Arg(Vec<Arg>),
    /// `CMD`
    Cmd(Command),
    /// `COPY`
    Copy(Transfer),
    /// `ENTRYPOINT`
    Entrypoint(Command),
    /// `ENV`
    Env(Vec<Pair>),
    /// `EXPOSE`
    Expose(Vec<Word>),
    /// `HEALTHCHECK`
    Healthcheck(Healthcheck),
    /// `LABEL`
    Label(Vec<Pair>),
    /// `MAINTAINER`
    Maintainer(Word),
    /// `ONBUILD`, with the instruction that it puts off.
    Onbuild(Box<Instruction>),
    /// `RUN`
    Run(Run),
    /// `SHELL`
    Shell(Vec<Word>),
    /// `STOPSIGNAL`
    Stopsignal(Word),
    /// `USER`
    User(Word),
    /// `VOLUME`
    Volume(Vec<Word>),
    /// `WORKDIR`
    Workdir(Word),
}

impl Kind {
    /// The instruction's name in capital letters.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Add(_) => "ADD",
            Self::Arg(_) => "ARG",
            Self::Cmd(_) => "CMD",
            Self::Copy(_) => "COPY",
            Self::Entrypoint(_) => "ENTRYPOINT",
            Self::Env(_) => "ENV",
            Self::Expose(_) => "EXPOSE",
            Self::Healthcheck(_) => "HEALTHCHECK",
            Self::Label(_) => "LABEL",
            Self::Maintainer(_) => "MAINTAINER",
            Self::Onbuild(_) => "ONBUILD",
            Self::Run(_) => "RUN",
            Self::Shell(_) => "SHELL",
            Self::Stopsignal(_) => "STOPSIGNAL",
            Self::User(_) => "USER",
            Self::Volume(_) => "VOLUME",
            Self::Workdir(_) => "WORKDIR",
        }
    }
}

/// The arguments of `COPY` and `ADD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// What is copied; at least one.
    pub sources: Vec<TransferSource>,
    /// Where to.
    pub destination: Word,
}

/// One source of `COPY` or `ADD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransferSource {
    /// A path in the context or in another image.
    Path(Word),
    /// `ADD https://...`
    Url(Word),
    /// `ADD git@...`, `ADD https://....git`
    Git(Word),
    /// The heredoc with this index in the instruction.
    Heredoc(usize),
}

/// One name that `ARG` declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arg {
    /// The name.
    pub name: Word,
    /// The default, quotes included, before expansion.
    pub default: Option<Word>,
}

/// One `name=value` of `ENV` or `LABEL`, quotes included, before expansion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The name.
    pub name: Word,
    /// The value.
    pub value: Word,
}

/// A command in one of its two forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Text for the stage's shell.
    Shell(Word),
    /// Arguments that are executed as they are.
    Exec(Vec<Word>),
}

/// The arguments of `RUN`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The command; with heredocs, the line that opens them.
    pub command: Command,
    /// The `--mount` flags.
    pub mounts: Vec<Mount>,
}

/// One `RUN --mount=...`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The options in the order written, under their full names.
    pub options: Vec<MountOption>,
    /// The flag's value.
    pub span: Range<usize>,
}

impl Mount {
    /// The value of an option by its full name: `target`, not `dst`. The last one counts.
    pub fn option(&self, name: &str) -> Option<&Word> {
        self.options
            .iter()
            .rev()
            .find(|option| option.name == name)
            .and_then(|option| option.value.as_ref())
    }

    /// `bind` unless something else is named; in lower case.
    pub fn kind(&self) -> String {
        self.option("type")
            .map_or_else(|| "bind".to_owned(), |kind| kind.text.to_lowercase())
    }
}

/// One option of a mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountOption {
    /// Its full name.
    pub name: &'static str,
    /// Its value, before expansion.
    pub value: Option<Word>,
}

/// The arguments of `HEALTHCHECK`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Healthcheck {
    /// `NONE`: the one of the parent image is taken away.
    None,
    /// `CMD`
    Command {
        /// What is run.
        command: Command,
        /// `--interval`, where given and not zero.
        interval: Option<Duration>,
        /// `--timeout`
        timeout: Option<Duration>,
        /// `--start-period`
        start_period: Option<Duration>,
        /// `--start-interval`
        start_interval: Option<Duration>,
        /// `--retries`
        retries: Option<u32>,
    },
}

/// A heredoc and its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heredoc {
    /// The delimiter without quotes; for `COPY` and `ADD`, the file's name.
    pub name: String,
    /// The word that opens it, `<<-EOF`.
    pub opening: Range<usize>,
    /// The number before `<<`, else 0.
    pub descriptor: u32,
    /// Whether variables in the body count, which they do unless the delimiter is quoted.
    pub expand: bool,
    /// Whether tabs are stripped from the lines' beginnings (`<<-`).
    pub strip_tabs: bool,
    /// The body's bytes, with the line end of its last line.
    pub body: Range<usize>,
    /// The body as it counts: with `<<-`, without tabs at the beginning of lines.
    pub content: String,
}
