//! What all requests share: configuration, sessions, admission, the lanes' owner and the release gate. Holds nothing of any request.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use dashmap::DashMap;
use sekisho_issuance::binding::BindingKey;
use sekisho_issuance::fence::Epoch;
use sekisho_issuance::id::{MunicipalityCode, ResidentId};
use sekisho_issuance::request::Facts;
use sekisho_issuance::shard::{LaneId, LaneKey, LaneSet};
use sekisho_worker::backend::{Address, BackendConfig, HazardProfile};
use sekisho_worker::owner::{Owner, OwnerConfig, StartError};
use sekisho_worker::standing::Rank;

use crate::bracket::Brackets;
use crate::canary::Board;
use crate::clock::Clock;
use crate::config::{Backend, Config};
use crate::drain::Drain;
use crate::latch::Latches;
use crate::layer::admission::{Ceiling, Retries};
use crate::ledger::{Ledger, SessionKey};
use crate::problem::{Code, Problem};
use crate::registry::{DocumentKind, Enabled, Registry, name};
use crate::release::Gate;
use crate::reload::Enforced;
use crate::route::Route;
use crate::session::{Refused, Sessions};
use crate::state_dir::{RecordKey, StateDir};
use crate::switch::Switches;
use crate::tenant::Tenant;

/// One process's shared parts, built once at start.
pub struct Edge {
    config: ArcSwap<Config>,
    /// What was enforced since start.
    pub(crate) enforced: Enforced,
    /// The last reload was refused.
    pub(crate) not_reloaded: AtomicBool,
    /// The clock of hours and days.
    pub clock: Clock,
    /// Every metric.
    pub registry: Arc<Registry>,
    /// Open sessions.
    pub sessions: Sessions,
    /// How many are in.
    pub ceiling: Ceiling,
    /// And those of each municipality that has a limit of its own; kept over reloads.
    pub ceilings: DashMap<MunicipalityCode, Ceiling>,
    /// Bytes of requests that were let in.
    pub held_bytes: Ceiling,
    /// Who asks again after a no.
    pub retries: Retries,
    /// What became of requests with a key.
    pub ledger: Arc<Ledger>,
    /// Whether we are going down.
    pub drain: Drain,
    /// The residents' lanes.
    pub owner: Arc<Owner>,
    /// Suspensions.
    pub latches: Arc<Latches>,
    /// What is out of service.
    pub switches: Arc<Switches>,
    /// Change brackets.
    pub brackets: Arc<Brackets>,
    /// What lets an answer leave.
    pub gate: Gate,
    /// What canaries saw.
    pub canaries: Arc<Board>,
    binding_key: BindingKey,
    lane_key: LaneKey,
    job_salt: u128,
    record_key: RecordKey,
    epoch: Epoch,
}

/// What the parts outside this file must bring.
pub struct Parts {
    /// A clock.
    pub clock: Clock,
    /// Metrics.
    pub registry: Arc<Registry>,
    /// Suspensions.
    pub latches: Arc<Latches>,
    /// What is out of service.
    pub switches: Arc<Switches>,
    /// Change brackets.
    pub brackets: Arc<Brackets>,
    /// The gate.
    pub gate: Gate,
}

impl Edge {
    /// Starts the lanes' owner and puts everything together. Needs the runtime it shall live in.
    pub fn start(config: Config, state: &StateDir, parts: Parts) -> Result<Arc<Self>, StartError> {
        let Parts { clock, registry, latches, switches, brackets, gate } = parts;
        switches.read_files(|scope| scope.is_about_something_in(&config));
        let mut owner = OwnerConfig::new(state.root().to_owned(), state.epoch(), worker_backends(&config, &gate));
        if let Some(longest) = config.routes.iter().map(|r| r.max_run).max() {
            owner.longest_max_run = longest;
        }
        if let Some(longest) = config.routes.iter().map(|r| r.timeout).max() {
            owner.lane_wait = longest;
        }
        let owner = Owner::start(owner)?;
        gate.records().recovered("intents", None, owner.torn_bytes());
        declare(&registry, &config);
        registry.gauge(name::RELOAD_SUCCESS, &[]).set(1.0);
        let canaries = Arc::new(Board::default());
        canaries.keep(config.canaries.values(), &registry, Instant::now());
        let config = Arc::new(config);
        gate.in_force().set(config.clone());
        let (sessions, ledger) = (Sessions::default(), Arc::new(Ledger::default()));
        let told = ledger.clone();
        sessions.tell(move |kiosk, session| told.session_over(&SessionKey::from_parts(kiosk, session)));
        let kept = ledger.clone();
        registry.before_scrape(move |registry| {
            let (keys, bytes) = kept.len();
            registry.gauge(name::LEDGER_KEYS, &[]).set(keys as f64);
            registry.gauge(name::LEDGER_BYTES, &[]).set(bytes as f64);
        });
        let edge = Arc::new(Self {
            enforced: Enforced::of(&config),
            not_reloaded: AtomicBool::new(false),
            config: ArcSwap::new(config),
            clock,
            registry,
            sessions,
            ceiling: Ceiling::default(),
            ceilings: DashMap::new(),
            held_bytes: Ceiling::default(),
            retries: Retries::default(),
            ledger,
            drain: Drain::default(),
            owner,
            latches,
            switches,
            brackets,
            gate,
            canaries: canaries.clone(),
            binding_key: BindingKey::new(rand::random()),
            lane_key: state.keys().lane.clone(),
            job_salt: state.keys().record.digest("job", &[]),
            record_key: state.keys().record.clone(),
            epoch: state.epoch(),
        });
        edge.registry.before_scrape(move |registry| canaries.publish(registry, Instant::now()));
        tokio::spawn(crate::manifest::watch(Arc::downgrade(&edge)));
        tokio::spawn(crate::canary::watch(Arc::downgrade(&edge)));
        Ok(edge)
    }

    /// The configuration in force.
    pub fn config(&self) -> Arc<Config> {
        self.config.load_full()
    }

    /// Puts a new configuration in force for requests that arrive from now on. What it does not serve any more does not leave either.
    pub fn replace_config(&self, config: Config) {
        let manifests = self.gate.in_force().manifests();
        let _one_at_a_time = manifests.applying();
        manifests.keep(&self.config(), &config, Instant::now());
        self.owner.reconfigure(worker_backends(&config, &self.gate));
        declare(&self.registry, &config);
        self.enforced.add(&config);
        self.canaries.keep(config.canaries.values(), &self.registry, Instant::now());
        let config = Arc::new(config);
        self.gate.in_force().set(config.clone());
        self.config.store(config);
    }

    /// The key that seals bindings; made at start, never written down.
    pub fn binding_key(&self) -> &BindingKey {
        &self.binding_key
    }

    /// The number of this start, which every assignment carries.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Keys the digests by which the ids of jobs are remembered.
    pub fn job_salt(&self) -> u128 {
        self.job_salt
    }

    /// Keys the digests by which clients' keys are remembered.
    pub(crate) fn record_key(&self) -> &RecordKey {
        &self.record_key
    }

    /// The lanes of the residents in `facts`.
    pub fn lanes(&self, facts: &Facts) -> LaneSet {
        let lane = |municipality| facts.residents.iter().map(move |r| LaneId::of(&self.lane_key, municipality, r));
        LaneSet::new(facts.municipality.into_iter().flat_map(lane).collect())
    }

    /// The lane of one resident.
    pub fn lane(&self, municipality: MunicipalityCode, resident: &ResidentId) -> LaneId {
        LaneId::of(&self.lane_key, municipality, resident)
    }

    /// Whether a latch holds what is asked, or who asks.
    pub fn suspended(&self, facts: &Facts, document: DocumentKind) -> Result<(), Problem> {
        if self.latches.on_kind(facts.municipality, document).is_some() {
            return Err(Problem::new(Code::Suspended));
        }
        match self.latches.on_kiosk(facts.kiosk.as_ref()) {
            Some(_) => Err(Problem::because(Code::Suspended, "kiosk_suspended")),
            None => Ok(()),
        }
    }

    /// Whether the backends that would answer are what the municipality lets serve it.
    pub fn vouches(&self, tenant: &Tenant, route: &Route) -> Result<(), Problem> {
        let vouched =
            self.gate.in_force().manifests().vouch(tenant, route, &self.config.load().backends, Instant::now());
        vouched.map(drop).map_err(|why| Problem::because(Code::Suspended, why.name()))
    }

    /// Puts the hazards of the build that a backend is in force; of all its builds where it is not known.
    pub(crate) fn apply_hazards(&self, name: &str, backend: &Backend, build: Option<&str>) {
        if let Some(config) = worker_backend(&backend.behind(build)) {
            self.owner.reconfigure_backend(name, config);
        }
    }

    /// Whether everything that a release must leave behind can be written; if not, nothing is released.
    pub fn remembers(&self) -> bool {
        self.gate.records().is_durable()
            && self.owner.is_durable()
            && self.latches.is_durable()
            && self.switches.is_durable()
            && self.brackets.is_durable()
    }

    /// Counts a request that its session's pin refused.
    pub fn count_pin_refused(&self, refused: Refused) {
        self.registry.counter(name::PINS_REFUSED, &[("reason", refused.name())]).increment(1);
    }

    /// Counts an early no.
    pub fn count_shed(&self, backend: &str, rank: Rank, reason: &'static str) {
        let labels = [("backend", backend), ("rank", rank.name()), ("reason", reason)];
        self.registry.counter(name::SHEDS, &labels).increment(1);
    }

    /// Counts a connection that was closed without an arrival: as many as allowed are open, or its bytes are no request.
    pub fn count_connection_refused(&self, reason: &'static str) {
        self.registry.counter(name::CONNECTIONS_REFUSED, &[("reason", reason)]).increment(1);
    }

    /// Looks for switches that are set by files. To be called every [`crate::switch::FILES_EVERY`].
    pub fn read_switch_files(&self) {
        let config = self.config.load();
        self.switches.read_files(|scope| scope.is_about_something_in(&config));
    }

    /// Exports the head of the records, and begins their next segment where it is time. To be called every
    /// [`crate::record::EXPORT_EVERY`]; writes files.
    pub fn export_head(&self) {
        let records = self.gate.records();
        records.export_head(self.config.load().audit.head_file.as_deref());
        records.turn_when_old();
    }

    /// Takes TLS files over that have changed; open connections keep what they began with. To be called every few seconds.
    pub fn refresh_tls(&self) {
        let config = self.config.load();
        for side in config.tls() {
            side.refresh();
        }
    }

    /// Gives up the change brackets whose batch is not heard of any more. To be called every [`crate::bracket::EXPIRY_EVERY`].
    pub fn expire_brackets(&self) {
        for (id, lanes) in self.brackets.expire(Instant::now()) {
            self.owner.reopen(id.number(), &lanes);
        }
    }

    /// Forgets sessions that are too old, and erases answers that were kept long enough. To be called every few seconds.
    pub fn sweep(&self) {
        let (config, now) = (self.config.load(), Instant::now());
        self.sessions.sweep(config.listeners.sessions, now);
        let is_open = |session: &SessionKey| {
            let (kiosk, session) = session.parts();
            self.sessions.is_open(kiosk, session)
        };
        self.ledger.sweep(config.listeners.ledger, is_open, now);
    }
}

/// How often [`Edge::sweep`] is due.
pub const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// Each behind the hazards of the build that it is known to be.
fn worker_backends(config: &Config, gate: &Gate) -> HashMap<Arc<str>, BackendConfig> {
    let behind = |(name, backend): (&Arc<str>, &Backend)| {
        let build = gate.in_force().manifests().build(name, backend, Instant::now());
        Some((name.clone(), worker_backend(&backend.behind(build.as_deref()))?))
    };
    config.backends.iter().filter_map(behind).collect()
}

/// `None` cannot happen: `check` accepts only addresses that the worker reads.
fn worker_backend(backend: &Backend) -> Option<BackendConfig> {
    let scheme = if backend.tls.is_some() { "https" } else { "http" };
    let address = Address::parse(&format!("{scheme}://{}", backend.authority)).ok()?;
    let mut config = BackendConfig::new(address);
    config.tls = backend.tls.clone();
    config.connect_timeout = backend.connect;
    config.max_in_flight = backend.max_in_flight;
    config.objective = backend.objective;
    config.hazards = HazardProfile {
        tick_spacing: backend.tick_spacing,
        settle_after_timeout: backend.settle_after_timeout,
        fresh_connections: backend.fresh_connections,
    };
    Some(config)
}

/// Makes every series of what is enabled, with 0.
fn declare(registry: &Registry, config: &Config) {
    let mut kinds: Vec<DocumentKind> =
        config.routes.iter().filter_map(|r| r.kind.map(DocumentKind::Certificate)).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds.extend([DocumentKind::Answer, DocumentKind::Refusal]);
    let enabled = config.tenants.values().filter(|t| t.enabled);
    registry.declare(&Enabled {
        routes: config.routes.iter().map(|r| (r.name.clone(), r.operation)).collect(),
        tenants: enabled.map(|t| (t.code, t.name.clone(), t.mode, kinds.clone())).collect(),
        backends: config.backends.keys().map(AsRef::as_ref).collect(),
        canaries: config.canaries.keys().map(AsRef::as_ref).collect(),
    });
}

#[cfg(test)]
pub(crate) mod tests;
