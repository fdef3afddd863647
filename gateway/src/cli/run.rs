//! `run`: puts the process together, serves until a signal, and goes down in order.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{FAILED, MISTAKES, OK};
use crate::bracket::{Brackets, EXPIRY_EVERY};
use crate::clock::Clock;
use crate::config::Config;
use crate::edge::{Edge, Parts, SWEEP_EVERY};
use crate::latch::Latches;
use crate::record::{EXPORT_EVERY, TIDY_EVERY};
use crate::registry::{Registry, UPKEEP_EVERY};
use crate::release::Gate;
use crate::reload::{NotReloaded, reload};
use crate::server::{Descriptors, Threads, serve};
use crate::state_dir::{Listener, StateDir};
use crate::switch::{FILES_EVERY, Switches};
use crate::telemetry::SHEDS_EVERY;

pub(super) fn run(path: &Path) -> u8 {
    let _log = crate::telemetry::install();
    if cfg!(feature = "weakened") {
        eprintln!(
            "WEAKENED BUILD: `identity` may be off. For `sekisho-loadtest layers` only; listens on loopback only."
        );
    }
    let config = match crate::reload::read(path) {
        Ok(config) => config,
        Err(NotReloaded::Mistakes(mistakes)) => {
            mistakes.iter().for_each(|mistake| eprintln!("{}:{mistake}", path.display()));
            return MISTAKES;
        }
        Err(error) => {
            eprintln!("{}: {error}", path.display());
            return FAILED;
        }
    };
    crate::reload::say_broken(&config);
    // The first certificate must not wait for the character maps.
    sekisho_issuance::document::warm();
    // Kiosks are served on threads of their own; here is what stands beside them: signals, timers, scrapes, operators.
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cannot start: {error}");
            return FAILED;
        }
    };
    match runtime.block_on(serve_until_signal(config, path.to_owned())) {
        Ok(()) => OK,
        Err(error) => {
            eprintln!("{error:#}");
            FAILED
        }
    }
}

async fn serve_until_signal(config: Config, path: PathBuf) -> anyhow::Result<()> {
    let state = StateDir::open(&config.listeners.state_dir)?;
    let clock = Clock::system();
    let registry = Registry::global();
    let latches = Arc::new(Latches::open(&state.path("latches"), clock.clone()).context("latches")?);
    let switches = Switches::open(&state.path("switches"), &state.path("off"), clock.clone()).context("switches")?;
    let switches = Arc::new(switches);
    let brackets = Arc::new(Brackets::open(&state.path("brackets"), clock.clone()).context("brackets")?);
    let segment_bytes = config.audit.segment_bytes;
    let gate = Gate::open(
        &state,
        registry.clone(),
        latches.clone(),
        switches.clone(),
        brackets.clone(),
        clock.clone(),
        segment_bytes,
    );
    let gate = gate.context("records")?;
    let records = gate.records().clone();
    let parts = Parts {
        clock,
        registry: registry.clone(),
        latches: latches.clone(),
        switches: switches.clone(),
        brackets: brackets.clone(),
        gate,
    };
    let listen = config.listeners.server.listen;
    let threads = Threads::start(config.listeners.server.threads.unwrap_or_else(Threads::usual)).context("threads")?;
    let edge = Edge::start(config, &state, parts)?;
    let descriptors = Descriptors::raised();
    descriptors.say(&edge.config());
    let mut signals = Signals::new()?;

    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let address = listener.local_addr()?;
    state.publish(Listener::Kiosk, address)?;
    tracing::info!(%address, "serving kiosks");
    let beside = beside(&edge, &state).await?;
    let serving = tokio::spawn(serve(edge.clone(), listener, threads.clone(), descriptors));
    let upkeep = tokio::spawn(upkeep(edge.clone()));

    while let Wish::Reload = signals.next().await {
        // The old configuration stays in force on any error, which is logged there.
        if reload(&edge, &path).is_ok() {
            descriptors.say(&edge.config());
        }
    }
    tracing::info!("draining");
    edge.drain.begin();
    let cut = serving.await.unwrap_or(0);
    if cut > 0 {
        tracing::warn!(connections = cut, "connections were cut: the drain took too long");
    }
    edge.owner.drain().await;
    upkeep.abort();
    beside.iter().for_each(tokio::task::JoinHandle::abort);
    records.close();
    latches.close();
    switches.close();
    brackets.close_journal();
    state.mark_clean()?;
    drop(threads);
    tracing::info!("stopped");
    Ok(())
}

/// The listeners beside the kiosk side; they answer also while draining.
async fn beside(
    edge: &Arc<Edge>,
    state: &StateDir,
) -> anyhow::Result<Vec<tokio::task::JoinHandle<std::io::Result<()>>>> {
    let listeners = &edge.config().listeners;
    let mut serving = Vec::new();
    if let Some(listen) = listeners.metrics {
        let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
        state.publish(Listener::Metrics, listener.local_addr()?)?;
        serving.push(tokio::spawn(crate::admin::serve_metrics(edge.clone(), listener)));
    }
    if let Some(listen) = listeners.admin {
        let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
        let address = listener.local_addr()?;
        state.publish(Listener::Admin, address)?;
        let key = state.admin_key().clone();
        serving.push(tokio::spawn(crate::admin::serve_admin(edge.clone(), key, listener)));
        tracing::info!(%address, "serving operators");
    }
    Ok(serving)
}

/// What has to be done every few seconds, apart from any request.
async fn upkeep(edge: Arc<Edge>) {
    let mut sweep = tokio::time::interval(SWEEP_EVERY);
    let mut samples = tokio::time::interval(UPKEEP_EVERY);
    let mut sheds = tokio::time::interval(SHEDS_EVERY);
    let mut switches = tokio::time::interval(FILES_EVERY);
    let mut head = tokio::time::interval(EXPORT_EVERY);
    let mut tidy = tokio::time::interval(TIDY_EVERY);
    let mut brackets = tokio::time::interval(EXPIRY_EVERY);
    loop {
        tokio::select! {
            _ = sweep.tick() => {
                edge.sweep();
                edge.refresh_tls();
            }
            _ = samples.tick() => edge.registry.run_upkeep(),
            _ = switches.tick() => edge.read_switch_files(),
            _ = head.tick() => apart(&edge, "the head of the records", |edge| edge.export_head()).await,
            _ = tidy.tick() => apart(&edge, "tidying up", |edge| edge.gate.tidy(&edge.config().audit)).await,
            _ = brackets.tick() => edge.expire_brackets(),
            _ = sheds.tick() => edge.registry.log.flush(),
        }
    }
}

/// For what writes files: not on a thread that has a runtime's timers.
async fn apart(edge: &Arc<Edge>, what: &'static str, act: impl FnOnce(&Edge) + Send + 'static) {
    let edge = edge.clone();
    if let Err(error) = tokio::task::spawn_blocking(move || act(&edge)).await {
        tracing::error!(%error, what, "was not done");
    }
}

enum Wish {
    Reload,
    Stop,
}

struct Signals {
    reload: Signal,
    stop: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            reload: signal(SignalKind::hangup())?,
            stop: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.reload.recv() => Wish::Reload,
            _ = self.stop.recv() => Wish::Stop,
            _ = self.interrupt.recv() => Wish::Stop,
        }
    }
}
