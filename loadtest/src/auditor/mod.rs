//! The independent judge: what was handed out, held against what was asked and what was known by then.
//!
//! It shares no code with the gateway, the worker or the issuance domain, reads no PDF operators, and trusts no header:
//! it knows what each paper says because the simulated world wrote it (`tests/independence.rs` keeps this true).

mod known;
mod ruling;
mod text;

pub use known::Known;
pub use ruling::{Asked, Auditor, Claim, Harm, Paper, Ruling, Sheet, Shown, Tally};
pub use text::{Listed, TextAuditor};
