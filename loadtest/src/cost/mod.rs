//! What a proxy costs: the same backend behind nginx, HAProxy, Envoy and the gateway, measured in CPU per request.

pub mod measure;
mod rows;
mod run;

pub use run::{Comparison, CostPlan, compare, steps};
