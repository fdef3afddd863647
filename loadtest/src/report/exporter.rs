//! The load tester's own `/metrics`, so that its side stands beside the gateway's on one board. Nothing else is served.

use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::run::Glance;

/// What is served, and a way to renew it.
#[derive(Debug, Clone, Default)]
pub struct Exporter(Arc<Mutex<Option<Glance>>>);

impl Exporter {
    /// Serves it on `address` in the present runtime; port 0 takes a free one. Tells where.
    pub async fn listen(&self, address: SocketAddr) -> std::io::Result<SocketAddr> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let exporter = self.clone();
        let scrape = move || {
            let text = exporter.text();
            async move { ([("content-type", "text/plain; version=0.0.4")], text) }
        };
        let router = Router::new().route("/metrics", get(scrape));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(address)
    }

    /// One more second.
    pub fn show(&self, glance: &Glance) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(glance.clone());
    }

    fn text(&self) -> String {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(last) = &*last else { return String::new() };
        let seen = &last.totals;
        let mut text = String::new();
        let mut family = |name: &str, kind: &str, help: &str, series: &[(&str, f64)]| {
            let _ = writeln!(text, "# HELP sekisho_loadtest_{name} {help}\n# TYPE sekisho_loadtest_{name} {kind}");
            for (labels, value) in series {
                let _ = writeln!(text, "sekisho_loadtest_{name}{labels} {value}");
            }
        };
        let count = |n: u64| n as f64;
        family("sessions_offered_total", "counter", "Sessions that were to begin.", &[("", count(seen.offered))]);
        let ends = [("{end=\"good\"}", count(seen.good)), ("{end=\"lost\"}", count(seen.lost))];
        family("sessions_ended_total", "counter", "Sessions that ended, but for those walked away from.", &ends);
        let other = seen.answers.saturating_sub(seen.papers + seen.shed + seen.withheld + seen.failed);
        let answers = [
            ("{outcome=\"paper\"}", count(seen.papers)),
            ("{outcome=\"shed\"}", count(seen.shed)),
            ("{outcome=\"withheld\"}", count(seen.withheld)),
            ("{outcome=\"failed\"}", count(seen.failed)),
            ("{outcome=\"other\"}", count(other)),
        ];
        family("answers_total", "counter", "Answers as kiosks saw them.", &answers);
        family("in_flight", "gauge", "Sessions under way.", &[("", count(last.second.in_flight))]);
        let latency = [
            ("{quantile=\"0.5\"}", last.second.p50_ms / 1e3),
            ("{quantile=\"0.99\"}", last.second.p99_ms / 1e3),
            ("{quantile=\"1\"}", last.second.max_ms / 1e3),
        ];
        family(
            "latency_seconds",
            "gauge",
            "Of the last second, from the intended begin; early noes left out.",
            &latency,
        );
        let error = [("{quantile=\"0.999\"}", last.start_error.p999 / 1e3)];
        family("start_error_seconds", "gauge", "How much later than intended sessions began.", &error);
        family("starts_dropped_total", "counter", "Starts for which no kiosk was free.", &[("", count(last.dropped))]);
        family("harmful_total", "counter", "Wrong, mixed, stale or duplicate documents.", &[("", count(last.harmful))]);
        text
    }
}
