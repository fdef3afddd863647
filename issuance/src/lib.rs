//! The pure domain of Sekisho: who asked for what, what a document says, and whether the two agree.
//!
//! Nothing here performs IO, reads a clock, spawns a task or knows HTTP; every function can be tested
//! with plain values. Dependencies point one way: `loadtest → gateway → worker → issuance`.

pub mod answer;
pub mod binding;
pub mod certificate;
pub mod checks;
pub mod context;
pub mod document;
pub mod fence;
pub mod id;
pub mod normalize;
pub mod request;
pub mod shard;
pub mod verdict;
