//! Load, incidents and the simulated legacy backend: everything that proves the gateway from outside.
//!
//! What judges a document here never shares code with the gateway's own verification.

pub mod cli;
pub mod legacy;
