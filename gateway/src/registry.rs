//! The one typed registry of metrics: every name, unit, label and label value this product emits is declared here.
//!
//! Never a resident, session, card or free text; handles are made once, so that nothing is formatted on the way of a request.

mod arrival;
pub mod doc;
mod metric;
mod reason;
mod route_series;
mod tenant_series;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder, Unit};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use sekisho_issuance::id::MunicipalityCode;
use sekisho_issuance::request::Operation;

use crate::telemetry::RequestLog;

pub use arrival::Arrival;
pub use metric::{ALL, LabelDef, LabelValues, MetricDef, MetricKind, name};
pub use reason::{REASONS, Reason};
pub use route_series::{RouteSeries, Stage};
pub use tenant_series::{DocumentKind, End, TenantSeries};

/// How often samples must be moved into buckets; without it they pile up.
pub const UPKEEP_EVERY: Duration = Duration::from_secs(5);

static METADATA: Metadata<'static> = Metadata::new("sekisho", Level::INFO, None);

type ScrapeHook = Box<dyn Fn(&Registry) + Send + Sync>;

/// All series of this process.
pub struct Registry {
    recorder: Arc<PrometheusRecorder>,
    handle: PrometheusHandle,
    routes: ArcSwap<HashMap<Arc<str>, Arc<RouteSeries>>>,
    tenants: ArcSwap<HashMap<MunicipalityCode, Arc<TenantSeries>>>,
    nowhere: Arc<RouteSeries>,
    nobody: Arc<TenantSeries>,
    uncounted_route: Arc<RouteSeries>,
    /// Published nowhere.
    uncounted_tenant: Arc<TenantSeries>,
    arrivals: Counter,
    in_flight: Gauge,
    declaring: Mutex<()>,
    scraping: Mutex<()>,
    hooks: Mutex<Vec<ScrapeHook>>,
    /// Where each end of an arrival is written.
    pub log: RequestLog,
}

/// What is enabled, so that all its series exist from the start.
#[derive(Debug, Default)]
pub struct Enabled<'a> {
    /// Routes: name, operation, the backend they call.
    pub routes: Vec<(Arc<str>, Operation)>,
    /// Municipalities: code, printed name, mode, and what they hand out.
    pub tenants: Vec<(MunicipalityCode, Arc<str>, crate::route::Mode, Vec<DocumentKind>)>,
    /// Configured backends.
    pub backends: Vec<&'a str>,
    /// Configured canaries.
    pub canaries: Vec<&'a str>,
}

impl Registry {
    /// The registry of this process, also installed as the recorder of the `metrics` facade that the worker speaks to.
    pub fn global() -> Arc<Self> {
        static GLOBAL: OnceLock<Arc<Registry>> = OnceLock::new();
        let registry = GLOBAL.get_or_init(|| Arc::new(Self::isolated()));
        // A second call, or another recorder in a test process, changes nothing.
        let _ = metrics::set_global_recorder(registry.recorder.clone());
        registry.clone()
    }

    /// A registry of its own, for tests.
    pub fn isolated() -> Self {
        let mut builder = PrometheusBuilder::new();
        for metric in ALL {
            if let MetricKind::Histogram { buckets } = metric.kind {
                builder = builder
                    .set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), buckets)
                    .unwrap_or_else(|_| PrometheusBuilder::new());
            }
        }
        let recorder = Arc::new(builder.build_recorder());
        for metric in ALL {
            let (name, unit, help) = (metric.name.into(), Some(metric.unit), metric.help.into());
            match metric.kind {
                MetricKind::Counter => recorder.describe_counter(name, unit, help),
                MetricKind::Gauge => recorder.describe_gauge(name, unit, help),
                MetricKind::Histogram { .. } => recorder.describe_histogram(name, unit, help),
            }
        }
        let maker = Maker(&recorder);
        let nowhere = Arc::new(RouteSeries::new(maker, "none", "none"));
        let nobody = Arc::new(TenantSeries::new(maker, None));
        let (arrivals, in_flight) = (maker.counter(name::ARRIVALS, vec![]), maker.gauge(name::IN_FLIGHT, vec![]));
        let uncounted_tenant = Arc::new(TenantSeries::new(maker, None));
        maker.zero_closed_series();
        Self {
            handle: recorder.handle(),
            recorder,
            routes: ArcSwap::default(),
            tenants: ArcSwap::default(),
            nowhere,
            nobody,
            uncounted_route: Arc::new(RouteSeries::silent()),
            uncounted_tenant,
            arrivals,
            in_flight,
            declaring: Mutex::new(()),
            scraping: Mutex::new(()),
            hooks: Mutex::new(Vec::new()),
            log: RequestLog::default(),
        }
    }

    /// Makes every series of what is enabled, with 0. Called at start and after each reload; nothing is ever removed.
    pub fn declare(&self, enabled: &Enabled<'_>) {
        let _one_at_a_time = self.declaring.lock().unwrap_or_else(PoisonError::into_inner);
        let maker = Maker(&self.recorder);
        let mut routes = HashMap::clone(&self.routes.load());
        for (name, operation) in &enabled.routes {
            routes.entry(name.clone()).or_insert_with(|| Arc::new(RouteSeries::new(maker, name, operation.name())));
        }
        self.routes.store(Arc::new(routes));
        let mut tenants = HashMap::clone(&self.tenants.load());
        for (code, printed, mode, kinds) in &enabled.tenants {
            let series = tenants.entry(*code).or_insert_with(|| Arc::new(TenantSeries::new(maker, Some(*code))));
            series.expose(maker, kinds.iter().copied(), *mode);
            maker.gauge(name::TENANT_INFO, vec![label("municipality", code.as_str()), label("name", printed)]).set(1.0);
        }
        self.tenants.store(Arc::new(tenants));
        // A municipality has its own series from its first latch on; these say that there is the metric.
        for kind in enabled.tenants.iter().flat_map(|(.., kinds)| kinds).copied().collect::<BTreeSet<_>>() {
            drop(maker.gauge(name::LATCH_ACTIVE, vec![label("municipality", "none"), label("kind", kind.name())]));
        }
        maker.zero_series_of(&enabled.backends, |values| matches!(values, LabelValues::Backends));
        maker.zero_series_of(&enabled.canaries, |values| matches!(values, LabelValues::Canaries));
    }

    /// The series of a route; an undeclared name is counted under `none`.
    pub fn route(&self, name: &str) -> Arc<RouteSeries> {
        self.routes.load().get(name).unwrap_or(&self.nowhere).clone()
    }

    /// The series of a municipality; an unknown one is counted under `none`.
    pub fn tenant(&self, code: Option<MunicipalityCode>) -> Arc<TenantSeries> {
        code.and_then(|c| self.tenants.load().get(&c).cloned()).unwrap_or_else(|| self.nobody.clone())
    }

    /// Where a canary's answers are counted: in no series.
    pub fn uncounted_route(&self) -> Arc<RouteSeries> {
        self.uncounted_route.clone()
    }

    /// The same for documents.
    pub fn uncounted_tenant(&self) -> Arc<TenantSeries> {
        self.uncounted_tenant.clone()
    }

    /// A declared counter that is not counted per request; for the hot path keep the handle.
    pub fn counter(&self, name: &'static str, labels: &[(&'static str, &str)]) -> Counter {
        Maker(&self.recorder).counter(name, labels.iter().map(|(k, v)| label(k, v)).collect())
    }

    /// A declared gauge.
    pub fn gauge(&self, name: &'static str, labels: &[(&'static str, &str)]) -> Gauge {
        Maker(&self.recorder).gauge(name, labels.iter().map(|(k, v)| label(k, v)).collect())
    }

    /// Runs `hook` before every scrape, for gauges that are ages.
    pub fn before_scrape(&self, hook: impl Fn(&Registry) + Send + Sync + 'static) {
        self.hooks.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(hook));
    }

    /// The text of one scrape. CPU work: call it on the admin runtime, never on a request's way.
    pub fn render(&self) -> String {
        let _one_at_a_time = self.scraping.lock().unwrap_or_else(PoisonError::into_inner);
        for hook in &*self.hooks.lock().unwrap_or_else(PoisonError::into_inner) {
            hook(self);
        }
        let tenants = self.tenants.load();
        let all: Vec<_> = tenants.values().chain([&self.nobody]).collect();
        // Ends first, verifications second: whoever is seen to end was verified before, so the difference is never negative.
        let maker = Maker(&self.recorder);
        all.iter().for_each(|series| series.publish_ended(maker));
        all.iter().for_each(|series| series.publish_verified(maker));
        self.handle.render()
    }

    /// Moves samples into buckets; to be called every [`UPKEEP_EVERY`].
    pub fn run_upkeep(&self) {
        self.handle.run_upkeep();
    }

    /// Names seen in a scrape, for tests that compare them with the declarations.
    pub fn rendered_names(text: &str) -> BTreeSet<String> {
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next().map(str::to_owned)).collect()
    }
}

/// Makes handles from declared names.
#[derive(Clone, Copy)]
struct Maker<'a>(&'a PrometheusRecorder);

impl Maker<'_> {
    fn counter(self, name: &'static str, labels: Vec<Label>) -> Counter {
        self.0.register_counter(&Key::from_parts(name, labels), &METADATA)
    }

    fn gauge(self, name: &'static str, labels: Vec<Label>) -> Gauge {
        self.0.register_gauge(&Key::from_parts(name, labels), &METADATA)
    }

    fn histogram(self, name: &'static str, labels: Vec<Label>) -> Histogram {
        self.0.register_histogram(&Key::from_parts(name, labels), &METADATA)
    }

    /// Series whose labels are all closed enums exist whatever is configured.
    fn zero_closed_series(self) {
        for metric in ALL.iter().filter(|m| m.labels.iter().all(|l| l.values.closed().is_some())) {
            if matches!(metric.name, name::ARRIVALS | name::IN_FLIGHT) {
                continue;
            }
            self.zero(metric, &mut Vec::new(), &[]);
        }
    }

    /// Series labelled with a configured name (a backend, a canary) exist for every one of `names`.
    fn zero_series_of(self, names: &[&str], one: impl Fn(LabelValues) -> bool) {
        let named = |m: &&MetricDef| {
            m.labels.iter().any(|l| one(l.values))
                && m.labels.iter().all(|l| one(l.values) || l.values.closed().is_some())
        };
        for metric in ALL.iter().filter(named) {
            self.zero(metric, &mut Vec::new(), names);
        }
    }

    fn zero(self, metric: &MetricDef, labels: &mut Vec<Label>, names: &[&str]) {
        let Some(next) = metric.labels.get(labels.len()) else {
            match metric.kind {
                MetricKind::Counter => drop(self.counter(metric.name, labels.clone())),
                MetricKind::Gauge => drop(self.gauge(metric.name, labels.clone())),
                MetricKind::Histogram { .. } => drop(self.histogram(metric.name, labels.clone())),
            }
            return;
        };
        let values: Vec<&str> = match next.values {
            LabelValues::Backends | LabelValues::Canaries => names.to_vec(),
            other => other.closed().unwrap_or_default(),
        };
        for value in values {
            labels.push(label(next.name, value));
            self.zero(metric, labels, names);
            labels.pop();
        }
    }
}

fn label(name: &'static str, value: &str) -> Label {
    Label::new(name, value.to_owned())
}

/// The unit as it is written in the manual.
pub(crate) fn unit_name(unit: Unit) -> &'static str {
    match unit {
        Unit::Seconds => "s",
        Unit::Bytes => "B",
        _ => "1",
    }
}

#[cfg(test)]
mod tests;
