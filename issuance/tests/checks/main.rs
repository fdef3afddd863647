//! The checks as a route sees them: a table of configuration, an answer, and what each check says of it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod configuration;
mod envelope;
mod form;
mod identity;
mod printed;
mod properties;
mod scene;
