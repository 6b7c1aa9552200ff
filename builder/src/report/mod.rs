//! What people and machines are told about a fleet, a plan and a run.
//!
//! Pure functions from data to text: they neither print nor know whether there is a terminal.

mod affected;
mod ci;
mod fleet;
mod gate;
mod graph;
mod junit;
mod markdown;
mod plan;
mod sarif;
mod summary;
mod table;

pub use affected::{affected_json, affected_names, affected_table};
pub use ci::{MAX_GITHUB_JOBS, Shard, github_matrix, gitlab_pipeline};
pub use fleet::{fleet_json, fleet_names, fleet_table};
pub use gate::{GateReport, GateStatus, GatedImage};
pub use graph::{GraphFormat, graph_text};
pub use junit::junit;
pub use markdown::markdown;
pub use plan::{plan_json, plan_table, reason};
pub use sarif::sarif;
pub use summary::{Failure, ImageReport, Status, Summary};
pub use table::{count, human_seconds, human_size, table};
