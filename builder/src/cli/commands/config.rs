use serde_json::json;

use super::super::Ending;
use super::super::args::{ConfigArgs, TableFormat};
use super::super::console::Console;
use super::super::settings::Settings;
use crate::model::Diagnostics;
use crate::report::table;

pub(in super::super) fn run(
    args: &ConfigArgs,
    settings: &Settings,
    console: &Console,
) -> Result<Ending, Diagnostics> {
    let text = match args.format {
        TableFormat::Table => {
            let rows = settings.shown.iter();
            let rows = rows.map(|s| vec![s.name.to_owned(), s.value.clone(), s.origin.to_string()]);
            table(
                console.width(),
                &["SETTING", "VALUE", "FROM"],
                rows.collect(),
            )
        }
        TableFormat::Json => {
            let shown: serde_json::Map<_, _> = settings
                .shown
                .iter()
                .map(|s| {
                    let value = json!({ "value": s.value, "from": s.origin.to_string() });
                    (s.name.to_owned(), value)
                })
                .collect();
            format!("{:#}\n", json!({ "schema": 1, "settings": shown }))
        }
    };
    console.result(&text)?;
    Ok(Ending::Good)
}
