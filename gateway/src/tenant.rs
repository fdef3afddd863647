//! A municipality as its policy stands: name, switch, mode, hours. Read-only after loading.

use std::sync::Arc;

use jiff::civil::Time;
use sekisho_issuance::id::MunicipalityCode;

use crate::route::Mode;

/// When a municipality is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hours {
    /// Around the clock: only for codes that begin with 99.
    Always,
    /// Every day from the first to the second time of day, Japan Standard Time.
    Daily(Time, Time),
}

/// One municipality's policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Its code.
    pub code: MunicipalityCode,
    /// The name as certificates print it (`見本市`).
    pub name: Arc<str>,
    /// Whether anything is served; absent in the file means no.
    pub enabled: bool,
    /// Enforce or observe; a route may only be stricter.
    pub mode: Mode,
    /// Hours of service.
    pub hours: Hours,
}
