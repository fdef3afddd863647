//! A run at something that stands already, in front of a town that others measure too: nothing is started, nobody is waited for.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::people::People;
use super::site::Tested;
use super::{Ending, Heard, Report, carry_out};
use crate::cluster::Town;
use crate::plan::{Address, Plan};

/// What it holds of the last measurement has so long to come to its own end.
const ENDS_BY_ITSELF_WITHIN: Duration = Duration::from_millis(600);

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
}

/// Carries out the plan and breaks off who is still at a kiosk when its last stage ends; `heard` is told of every answer until then.
/// Afterwards the backend has nothing more to do.
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
    let tested = Tested::standing(standing.target, &standing.name, &standing.town, metrics);
    let report = carry_out(plan, tested, people, Ending::BrokenOff, |_| {}, heard).await?;
    settle(&standing.town).await;
    Ok(report)
}

/// Waits until the backend has nothing to do; what takes too long is done at once.
async fn settle(town: &Town) {
    let began = Instant::now();
    while town.under_way() > 0 {
        if began.elapsed() > ENDS_BY_ITSELF_WITHIN {
            town.world().empty();
        }
        // The backend tells nobody that it has nothing to do.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
