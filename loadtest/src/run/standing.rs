//! A run at something that stands already, in front of a town of its own: nothing is started, nobody is waited for.

use std::net::SocketAddr;
use std::sync::Arc;

use super::people::People;
use super::site::Tested;
use super::{Ending, Heard, Report, carry_out};
use crate::cluster::{Cores, Town};
use crate::plan::{Address, Plan};

/// Something between kiosks and a town.
#[derive(Clone)]
pub struct Standing {
    /// Where kiosks reach it.
    pub target: SocketAddr,
    /// Where its counters are, if it is a gateway of ours.
    pub metrics: Option<SocketAddr>,
    /// What it is called in the report.
    pub name: String,
    /// The town behind it.
    pub town: Arc<Town>,
    /// Where the generator runs.
    pub cores: Cores,
}

/// Carries out the plan and breaks off who is still at a kiosk when its last stage ends; `heard` is told of every answer until then.
/// The backend goes on with what it holds: whoever comes next needs another.
pub async fn run_at(
    plan: Plan,
    standing: &Standing,
    heard: impl FnMut(&Heard) + Send + 'static,
) -> anyhow::Result<Report> {
    let plan = Arc::new(plan);
    let people = People::of_town(&plan, &standing.town)?;
    let metrics = standing.metrics.map(|address| Address {
        host: address.ip().to_string(),
        port: address.port(),
        path: "/metrics".to_owned(),
    });
    let mut tested = Tested::standing(standing.target, &standing.name, &standing.town, metrics);
    tested.cores = standing.cores;
    carry_out(plan, tested, people, Ending::BrokenOff, |_| {}, heard).await
}
