use serde_json::{Value, json};

use super::count;
use super::table::table;
use crate::model::ImageName;
use crate::pins::{Move, Pinned};

/// A pin as a person tells it from another: the date of an archive's state, else a short digest.
fn shown(pinned: Option<&Pinned>) -> String {
    match pinned {
        None => "-".to_owned(),
        Some(Pinned {
            date: Some(date), ..
        }) => date.clone(),
        Some(Pinned { digest, .. }) => format!("sha256:{}", &digest.hex()[..12]),
    }
}

/// Pins that moved as a table: what, from where, to where.
pub fn moves_table(moves: &[Move], width: Option<u16>) -> String {
    let rows = moves.iter().map(|m| {
        vec![
            m.name.clone(),
            shown(m.before.as_ref()),
            shown(m.after.as_ref()),
        ]
    });
    table(width, &["PIN", "BEFORE", "NOW"], rows.collect())
}

/// "2 of 3 pins moved; 20 of 20 images affected".
pub fn moves_line(moves: &[Move], pinned: usize, affected: usize, images: usize) -> String {
    if moves.is_empty() {
        return match pinned {
            0 => "nothing to pin: all that the network has is named by digest".to_owned(),
            _ => format!("{} as before", count(pinned, "pin")),
        };
    }
    let affected = format!("{affected} of {} affected", count(images, "image"));
    format!("{} moved; {affected}", count(moves.len(), "pin"))
}

/// The same as JSON; `docs/json.md` describes it.
pub fn moves_json(moves: &[Move], affected: &[&ImageName]) -> Value {
    json!({ "schema": 1, "moved": moves, "affected": affected })
}
