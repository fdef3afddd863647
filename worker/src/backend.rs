//! A legacy backend as configured, and what this process knows of it: slots, channels, whether it is suspended.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderValue;

use crate::assignment::NotBegun;
use crate::channel::pool::Pool;
use crate::clock;
use crate::metric;
use crate::slot::{Settings, Slots};
use crate::tls::BackendTls;

/// What is known to be unsafe in a backend; a virtual patch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HazardProfile {
    /// Two attempts never start closer together: it names its files by a clock. Lookups are not counted.
    pub tick_spacing: Duration,
    /// How long a slot rests after a surprise: the longest it may still write after we gave up.
    pub settle_after_timeout: Duration,
    /// One connection per call.
    pub fresh_connections: bool,
}

impl Default for HazardProfile {
    fn default() -> Self {
        Self { tick_spacing: Duration::ZERO, settle_after_timeout: Duration::ZERO, fresh_connections: true }
    }
}

/// Where a backend listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    host: String,
    port: u16,
    tls: bool,
    host_header: HeaderValue,
    #[cfg(test)]
    memory: Option<Memory>,
}

/// A backend inside the test, by the channel that takes its connections.
#[cfg(test)]
#[derive(Debug, Clone)]
struct Memory(tokio::sync::mpsc::UnboundedSender<tokio::io::DuplexStream>);

#[cfg(test)]
impl PartialEq for Memory {
    fn eq(&self, other: &Self) -> bool {
        self.0.same_channel(&other.0)
    }
}

#[cfg(test)]
impl Eq for Memory {}

/// An address this worker cannot use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Anything but `http://` and `https://`.
    #[error("is not an http:// or https:// address")]
    Scheme,
    /// No host, a bad port, or something after the port.
    #[error("is not http://HOST[:PORT] or https://HOST[:PORT]")]
    Shape,
}

impl Address {
    /// Reads `http://HOST[:PORT]` or `https://HOST[:PORT]`, with an IPv6 host in brackets.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let (tls, rest) = match (text.strip_prefix("http://"), text.strip_prefix("https://")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            (None, None) => return Err(AddressError::Scheme),
        };
        let authority: http::uri::Authority =
            rest.strip_suffix('/').unwrap_or(rest).parse().map_err(|_| AddressError::Shape)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port_is_whole = authority.port().is_some() || !authority.as_str().ends_with(':');
        if host.is_empty() || authority.as_str().contains('@') || !port_is_whole {
            return Err(AddressError::Shape);
        }
        let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let host_header = HeaderValue::from_str(authority.as_str()).map_err(|_| AddressError::Shape)?;
        Ok(Self {
            host,
            port,
            tls,
            host_header,
            #[cfg(test)]
            memory: None,
        })
    }

    #[cfg(test)]
    pub(crate) fn in_memory(accept: tokio::sync::mpsc::UnboundedSender<tokio::io::DuplexStream>) -> Self {
        let host_header = HeaderValue::from_static("memory");
        Self { host: "memory".to_owned(), port: 0, tls: false, host_header, memory: Some(Memory(accept)) }
    }

    #[cfg(test)]
    pub(crate) fn memory(&self) -> Option<std::io::Result<tokio::io::DuplexStream>> {
        let memory = self.memory.as_ref()?;
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let refused = |_| std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        Some(memory.0.send(theirs).map(|()| ours).map_err(refused))
    }

    pub(crate) fn target(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    /// Whether TLS is spoken there.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    pub(crate) fn host_header(&self) -> &HeaderValue {
        &self.host_header
    }
}

/// One backend as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendConfig {
    /// Where it listens.
    pub address: Address,
    /// How long a connection may take to open.
    pub connect_timeout: Duration,
    /// Calls at once; where the limit starts, and its ceiling.
    pub max_in_flight: usize,
    /// What an answer should take at most: the limit is lowered while most answers take longer and that helps. Absent = never.
    pub objective: Option<Duration>,
    /// What is unsafe in it.
    pub hazards: HazardProfile,
    /// Answers may end with the connection instead of a declared length (HTTP/1.0). Otherwise such an answer is a surprise.
    pub close_delimited: bool,
    /// What an `https://` address needs, and no other has.
    pub tls: Option<Arc<BackendTls>>,
}

impl BackendConfig {
    /// A backend with the defaults: one second to connect, eight calls at once, a fresh connection for each.
    pub fn new(address: Address) -> Self {
        Self {
            address,
            connect_timeout: Duration::from_secs(1),
            max_in_flight: 8,
            objective: None,
            hazards: HazardProfile::default(),
            close_delimited: false,
            tls: None,
        }
    }
}

fn settings(config: &BackendConfig) -> Settings {
    Settings {
        limit: config.max_in_flight,
        objective: config.objective,
        tick_spacing: config.hazards.tick_spacing,
        settle: config.hazards.settle_after_timeout,
    }
}

/// A backend for an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendState {
    /// Its configured name.
    pub name: Arc<str>,
    /// Slots that may be in use now.
    pub limit: usize,
    /// Slots in use.
    pub in_flight: usize,
    /// Slots that rest after a surprise.
    pub resting: usize,
    /// Calls that wait for a slot.
    pub waiting: usize,
    /// Idle connections kept for reuse.
    pub idle_channels: usize,
    /// Why it gets no call, if so: `late_answer` or `drained`.
    pub suspended: Option<&'static str>,
    /// Answers destroyed because they came late, since start.
    pub late_answers: u64,
}

/// A backend at work.
pub(crate) struct Backend {
    pub(crate) name: Arc<str>,
    config: Mutex<Arc<BackendConfig>>,
    pub(crate) slots: Arc<Slots>,
    pub(crate) pool: Pool,
    suspended: Mutex<Option<&'static str>>,
    late: AtomicU64,
}

impl Backend {
    pub(crate) fn new(name: Arc<str>, config: BackendConfig, timers: tokio::runtime::Handle) -> Arc<Self> {
        let slots = Slots::new(settings(&config), timers);
        let pool = Pool::new(Arc::clone(&name));
        let backend = Self {
            name,
            slots,
            pool,
            suspended: Mutex::new(None),
            late: AtomicU64::new(0),
            config: Mutex::new(Arc::new(config)),
        };
        Arc::new(backend)
    }

    /// The configuration in force.
    pub(crate) fn config(&self) -> Arc<BackendConfig> {
        Arc::clone(&self.config.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes a new configuration over. Suspension stays; an operator's lower limit does not.
    pub(crate) fn reconfigure(&self, config: BackendConfig) {
        let hazards = &config.hazards;
        self.slots.configure(settings(&config));
        let old = self.config();
        let moved = old.address != config.address || old.tls != config.tls || hazards.fresh_connections;
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        if moved {
            self.pool.clear();
        }
    }

    /// No call begins until an operator resumes it.
    pub(crate) fn suspend(&self, why: &'static str) {
        self.suspended.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
        self.slots.stop();
        self.pool.clear();
        metrics::gauge!(metric::BACKEND_SUSPENDED, "backend" => Arc::clone(&self.name)).set(1.0);
        tracing::error!(backend = %self.name, why, "backend suspended until an operator resumes it");
    }

    pub(crate) fn resume(&self) {
        *self.suspended.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.slots.resume();
        metrics::gauge!(metric::BACKEND_SUSPENDED, "backend" => Arc::clone(&self.name)).set(0.0);
    }

    /// Out of the configuration: no call begins, and those that wait are told.
    pub(crate) fn remove(&self) {
        self.slots.stop();
        self.pool.clear();
    }

    /// Whether a call is in it, or a slot rests, or its next tick has not come.
    pub(crate) fn is_in_use(&self) -> bool {
        self.slots.are_in_use(clock::now())
    }

    /// Asked before each write.
    pub(crate) fn check(&self) -> Result<(), NotBegun> {
        if self.slots.is_stopped() { Err(NotBegun::BackendSuspended) } else { Ok(()) }
    }

    /// An answer came after nobody waited for it.
    pub(crate) fn count_late(&self, when: &'static str) {
        self.late.fetch_add(1, Ordering::Relaxed);
        metrics::counter!(metric::LATE_ANSWERS, "backend" => Arc::clone(&self.name), "when" => when).increment(1);
    }

    pub(crate) fn state(&self) -> BackendState {
        let counted = self.slots.counted();
        BackendState {
            name: Arc::clone(&self.name),
            limit: counted.limit,
            in_flight: counted.in_use,
            resting: counted.resting,
            waiting: counted.waiting,
            idle_channels: self.pool.idle(),
            suspended: *self.suspended.lock().unwrap_or_else(PoisonError::into_inner),
            late_answers: self.late.load(Ordering::Relaxed),
        }
    }
}
