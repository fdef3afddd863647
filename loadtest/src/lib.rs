//! Load, incidents and the simulated legacy backend: everything that proves the gateway from outside.
//!
//! What judges a document here never shares code with the gateway's own verification.

pub mod auditor;
pub mod cli;
pub mod cluster;
pub mod compare;
pub mod cost;
pub mod demo;
pub mod dialect;
pub mod form;
pub mod goodput;
pub mod honesty;
pub mod incidents;
pub mod kiosk;
pub mod knee;
pub mod layers;
pub mod legacy;
pub mod mutations;
pub mod plan;
pub mod report;
pub mod restart;
pub mod run;
pub mod soak;
pub mod soap;
