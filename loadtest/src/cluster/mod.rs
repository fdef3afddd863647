//! Real processes around the simulated backend: started, measured and killed by handle, never by name.

mod gateway;
mod process;

pub use gateway::{Gateway, Site};
pub use process::{Process, StartError, cpu_of_tree};
