//! What stands between a bound request and a legacy backend: one operation in flight per resident, one request per connection.
//!
//! A reader follows an assignment down these files: `owner` → `lane` → `attempt` → `channel` → `attest`.

pub mod assignment;
pub mod journal;
