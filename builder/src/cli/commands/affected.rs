use super::super::args::{AffectedArgs, AffectedFormat, GlobalArgs};
use super::super::console::Console;
use super::super::settings::Settings;
use super::super::since::{self, Since};
use super::super::{Ending, Environment};
use super::session;
use crate::model::{Diagnostic, Diagnostics};
use crate::plan::Comparison;
use crate::report::{self, Shard, count};

pub(in super::super) async fn run(
    args: &AffectedArgs,
    global: &GlobalArgs,
    settings: &Settings,
    environment: &Environment,
    console: &Console,
) -> Result<Ending, Diagnostics> {
    use AffectedFormat::{Github, Gitlab, Json, Names, Table};
    if args.shards.is_some() && !matches!(args.format, Github | Gitlab) {
        return Err(Diagnostic::definition("--shards goes with --format github or gitlab").into());
    }
    let since = Since::new(&args.since.since, args.since.merge_base);
    let cancel = session::cancel_on_signal(console);
    // Dropped, it takes its temporary files away.
    let compared = tokio::select! {
        biased;
        () = cancel.cancelled() => return Ok(Ending::Interrupted),
        compared = since::load(&since, global, settings, environment) => compared?,
    };
    let comparison = compared.comparison(&args.patterns.patterns)?;
    let commit = &compared.commit;
    let shards = || Shard::all(&comparison, args.shards.map(usize::from));
    console.result(&match args.format {
        Table if comparison.affected().is_empty() => String::new(),
        Table => report::affected_table(&comparison, args.why, console.width()),
        Names => report::affected_names(&comparison),
        Json => {
            let json = report::affected_json(&comparison, since.revision(), commit.id());
            format!("{json:#}\n")
        }
        Github => {
            let shards = shards();
            if shards.len() > report::MAX_GITHUB_JOBS {
                return Err(Diagnostic::definition(format!(
                    "{} are affected, and a matrix has at most {} jobs",
                    count(shards.len(), "image"),
                    report::MAX_GITHUB_JOBS
                ))
                .hint("--shards N deals them to N jobs")
                .into());
            }
            report::github_matrix(&shards)
        }
        Gitlab => report::gitlab_pipeline(&shards()),
    })?;
    if args.format == Table {
        let blank = if comparison.affected().is_empty() {
            ""
        } else {
            "\n"
        };
        let line = line(&comparison, compared.fleet.graph.len());
        console.say(&format!("{blank}{line} since {}", commit.short()));
    }
    Ok(Ending::Good)
}

/// "2 of 20 images affected, removed: heat-api".
fn line(comparison: &Comparison, images: usize) -> String {
    let affected = comparison.affected().len();
    let mut text = format!("{affected} of {} affected", count(images, "image"));
    let removed: Vec<&str> = comparison.removed().iter().map(|i| i.as_str()).collect();
    if !removed.is_empty() {
        text.push_str(&format!(", removed: {}", removed.join(" ")));
    }
    text
}
