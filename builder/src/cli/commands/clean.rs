use std::path::Path;

use super::super::args::CleanArgs;
use super::super::cache_lock;
use super::super::console::Console;
use super::super::engine;
use super::super::settings::Settings;
use super::super::{Ending, Environment};
use crate::engine::Limits;
use crate::model::{Diagnostics, Reference};
use crate::plan::{FINGERPRINT_LABEL, Records};
use crate::report::{human_size, table};

/// Takes away: containers and untagged images of interrupted runs; images that only this program
/// still has a name for; half-fetched sources. An image that anybody has tagged stays.
pub(in super::super) async fn run(
    args: &CleanArgs,
    settings: &Settings,
    environment: &Environment,
    console: &Console,
) -> Result<Ending, Diagnostics> {
    let _lock = cache_lock::exclusive(settings.cache_dir()?)?;
    let engine = engine::connect(settings, environment).await?;
    let mut problems = Diagnostics::default();
    let mut rows = Vec::new();

    let images = engine
        .images(FINGERPRINT_LABEL)
        .await
        .map_err(|e| e.diagnostic())?;
    for image in &images {
        let only_ours =
            !image.references.is_empty() && image.references.iter().all(Reference::is_internal);
        if !only_ours {
            continue;
        }
        for reference in &image.references {
            if !args.dry_run {
                problems.take(engine.untag(reference).await.map_err(|e| e.diagnostic()));
            }
            rows.push(vec![
                "image".into(),
                reference.to_string(),
                human_size(image.size),
            ]);
        }
    }
    let made = Records::new(settings.cache_dir()?.join("inputs")).all_made();
    for leftover in engine
        .leftovers(FINGERPRINT_LABEL)
        .await
        .map_err(|e| e.diagnostic())?
    {
        // An untagged image may be one that somebody made from ours.
        if leftover.kind == "image" && !made.contains(&leftover.id) {
            continue;
        }
        if !args.dry_run {
            problems.take(engine.remove(&leftover).await.map_err(|e| e.diagnostic()));
        }
        rows.push(vec![
            leftover.kind.into(),
            leftover.description.clone(),
            human_size(leftover.size),
        ]);
    }
    let limits = Limits {
        now: std::time::SystemTime::now(),
        unused_for: args.older_than.map(Into::into),
        size: args.max_size,
    };
    let cleaned = engine.clean(&limits, args.dry_run).await;
    for leftover in problems
        .take(cleaned.map_err(|e| e.diagnostic()))
        .unwrap_or_default()
    {
        rows.push(vec![
            leftover.kind.into(),
            leftover.description.clone(),
            human_size(leftover.size),
        ]);
    }
    let cache = settings.cache_dir()?;
    let sources = entries(&cache.join("sources"), "partial-").into_iter();
    let sources = sources.map(|path| ("partial", path));
    // Of uploads that were never gone on with.
    let uploads = entries(&cache.join("uploads"), "").into_iter();
    let uploads = uploads.map(|path| ("upload", path));
    for (kind, path) in sources.chain(uploads) {
        if !args.dry_run {
            let _ = match path.is_dir() {
                true => std::fs::remove_dir_all(&path),
                false => std::fs::remove_file(&path),
            };
        }
        rows.push(vec![kind.into(), path.display().to_string(), String::new()]);
    }

    let word = if args.dry_run {
        "would remove"
    } else {
        "removed"
    };
    if rows.is_empty() {
        console.say("nothing is left over");
    } else {
        let count = rows.len();
        console.result(&table(console.width(), &["KIND", "WHAT", ">SIZE"], rows))?;
        console.say(&format!("\n{word} {count}"));
    }
    problems.or_ok(Ending::Good)
}

fn entries(folder: &Path, prefix: &str) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(Result::ok);
    entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path())
        .collect()
}
