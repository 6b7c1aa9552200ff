//! What people and machines are told about a fleet, a plan and a run.
//!
//! Pure functions from data to text: they neither print nor know whether there is a terminal.

mod fleet;
mod graph;
pub mod html;
mod plan;
mod summary;
mod table;

pub use fleet::{fleet_json, fleet_names, fleet_table};
pub use graph::{GraphFormat, graph_text};
pub use plan::{plan_json, plan_table, reason};
pub use summary::{Failure, ImageReport, Status, Summary};
pub use table::{count, human_seconds, human_size, table};
