//! Real processes around the simulated backend: started, measured and killed by handle, never by name.

mod admin;
mod canary;
mod cores;
mod gateway;
mod peer;
mod precedence;
mod process;
pub mod prometheus;
mod protection;
mod town;

pub use admin::{Admin, OpenLatch};
pub use canary::sing;
pub use cores::{Cores, Visiting, give_way, stay_on};
pub use gateway::{Gateway, Site};
pub use peer::Peer;
pub use precedence::{Awake, Part, Precedence};
pub use process::{Process, StartError, cpu_of_tree};
pub use protection::{brisk, is_refused_without, protecting, without_check};
pub use town::{FaultLog, Logs, Town, TownPlan};
