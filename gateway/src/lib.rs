//! The issuance gateway: HTTP edge, request-scoped isolation, admission, release gate.
//!
//! A request's walk: `server` → `stack` (`layer/*` in order) → `bound` → `dispatch` → worker → `release` → `response`.

pub mod admin;
pub mod body;
pub mod bound;
pub mod bracket;
pub mod canary;
pub mod capture;
pub mod cli;
pub mod clock;
pub mod config;
pub mod dispatch;
pub mod drain;
pub mod durable_log;
pub mod edge;
pub mod evidence;
pub mod fetch;
pub mod init;
pub mod latch;
pub mod layer;
pub mod ledger;
pub mod manifest;
pub mod outcome;
pub mod problem;
pub mod record;
pub mod registry;
pub mod release;
pub mod reload;
pub mod response;
pub mod route;
pub mod server;
pub mod session;
pub mod stack;
pub mod state_dir;
pub mod switch;
pub mod telemetry;
pub mod template;
pub mod tenant;
pub mod tls;
pub mod unique;
pub mod watermark;
