//! A legacy certificate backend on real sockets that really has the reported faults, each behind a switch.
//!
//! With every fault off it is right. A fault breaks the machinery that is said to have broken (a lock, a file name, a buffer, a
//! connection); it never swaps answers at random to imitate the outcome.

mod assembly;
pub mod chronicle;
pub mod city;
mod config;
pub mod fault;
mod form;
mod front;
mod jobs;
mod machine;
mod pace;
mod paper;
mod pipes;
mod population;
mod print_slots;
pub mod provenance;
mod records_api;
pub mod register;
mod renderer;
pub mod resident;
mod serve;
mod service;
mod sessions;
mod shared_answers;
mod soap;
mod spool;
#[cfg(test)]
mod tests;
mod tray;
mod wire;
mod words;
mod work_table;
mod world;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use city::{Municipality, PaperStyle};
pub use config::{Windows, WorldConfig};
pub use fault::{Fault, FaultPlan};
pub use machine::Notice;
pub use pace::Pace;
pub use paper::{Form, PEOPLE_A_SHEET, Scope};
pub use provenance::{NotOurs, PageOrigin};
pub use serve::{Running, serve};
pub use service::ServiceTime;
pub use world::{Sample, World};

/// Locks; what a panicking holder left is still the simulator's state.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
