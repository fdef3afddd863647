//! Real processes around the simulated backend: started, measured and killed by handle, never by name.

mod process;

pub use process::{Process, StartError, cpu_of_tree};
