//! What people and machines are told about a fleet, a plan and a run.
//!
//! Pure functions from data to text: they neither print nor know whether there is a terminal.

mod affected;
mod bake;
mod ci;
mod fleet;
mod gate;
mod graph;
mod junit;
mod markdown;
mod moves;
pub mod html;
mod plan;
mod release;
mod search;
mod sarif;
mod summary;
mod table;
mod verify;

pub use affected::{affected_json, affected_names, affected_table};
pub use bake::{BAKE_FILE, BakeImage, BakeParent, bake_file};
pub use ci::{MAX_GITHUB_JOBS, Shard, github_matrix, gitlab_pipeline};
pub use fleet::{fleet_json, fleet_names, fleet_table};
pub use gate::{GateReport, GateStatus, GatedImage};
pub use graph::{GraphFormat, graph_text};
pub use junit::junit;
pub use markdown::markdown;
pub use moves::{moves_json, moves_line, moves_table};
pub use plan::{plan_json, plan_table, reason};
pub use release::{
    differences_json, differences_table, release_table, releases_json, releases_table,
};
pub use sarif::sarif;
pub use search::{Listed, search_json, search_table};
pub use summary::{Failure, ImageReport, Status, Summary};
pub use table::{count, human_seconds, human_size, table};
pub use verify::{Verified, verify_json, verify_table};
