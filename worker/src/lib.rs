//! What stands between a bound request and a legacy backend: one operation in flight per resident, one request per connection.
//!
//! A reader follows an assignment down these files: `owner` → `lane` → `attempt` → `channel` → `attest`.

pub mod assignment;
mod attempt;
pub mod attest;
pub mod backend;
mod channel;
mod clock;
mod doubt;
mod hold;
pub mod intent;
pub mod journal;
mod lane;
pub mod lease;
mod lookup;
pub mod metric;
mod numbered;
pub mod owner;
mod settlement;
mod slot;
pub mod standing;
pub mod tls;

#[cfg(test)]
mod simulation;
