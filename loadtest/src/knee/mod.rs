//! How much a target bears: the rate of sessions is stepped up until people are no longer served, and what held is proposed as limits.

mod measure;
mod propose;
mod search;

pub use measure::{KneePlan, Measured, measure};
pub use propose::{Proposal, propose};
pub use search::Search;
