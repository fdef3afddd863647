//! Asks every backend what it is, at start and from time to time, and puts the hazards of its build in force. Serves nobody.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::board::Applied;
use super::{Field, Manifest, NotRead, Source, State};
use crate::config::Backend;
use crate::edge::Edge;

/// How often it is looked whether anything is due; what became stale is noticed as soon for the hazards.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Who gave no manifest is asked again this much sooner.
const SOONER: u32 = 5;

type Asked = (Arc<str>, Arc<Source>, Result<Manifest, NotRead>);

/// Runs until `edge` is gone.
pub(crate) async fn watch(edge: Weak<Edge>) {
    let mut due: HashMap<Arc<str>, Instant> = HashMap::new();
    let mut asking: JoinSet<Asked> = JoinSet::new();
    loop {
        {
            let Some(edge) = edge.upgrade() else { return };
            let (config, now) = (edge.config(), Instant::now());
            due.retain(|name, _| config.backends.contains_key(name));
            for (name, source) in config.backends.iter().filter_map(|(name, b)| Some((name, b.manifest.as_ref()?))) {
                if due.get(name).is_none_or(|at| *at <= now) {
                    due.insert(name.clone(), now + jittered(source.every) + source.timeout);
                    asking.spawn(ask(edge.clone(), name.clone(), source.clone()));
                }
            }
            settle(&edge, now);
        }
        tokio::select! {
            Some(done) = asking.join_next() => {
                let (Ok((name, source, read)), Some(edge)) = (done, edge.upgrade()) else { continue };
                let wait = if read.is_ok() { source.every } else { source.every / SOONER };
                let now = Instant::now();
                due.insert(name.clone(), now + jittered(wait));
                take(&edge, &name, &source, read, now);
            }
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Nine to eleven tenths, so that the gateways of a country do not ask at once.
fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(0.9 + 0.2 * rand::random::<f64>())
}

async fn ask(edge: Arc<Edge>, name: Arc<str>, source: Arc<Source>) -> Asked {
    let read = match source.call(&name) {
        Some(call) => match edge.owner.ask_itself(call, Instant::now() + source.timeout).await {
            Ok(answer) => source.read(&answer),
            Err(_) => Err(NotRead::Unanswered),
        },
        None => Err(NotRead::Unreadable),
    };
    (name, source, read)
}

/// One more reading: the hazards of what it says first, then its word.
fn take(edge: &Edge, name: &Arc<str>, source: &Arc<Source>, read: Result<Manifest, NotRead>, now: Instant) {
    let manifests = edge.gate.in_force().manifests();
    let mut applied = manifests.applying();
    let config = edge.config();
    // A reload may have put another server there.
    let Some(backend) = config.backends.get(name).filter(|b| b.manifest.as_deref() == Some(source)) else { return };
    manifests.take(name, source, read, now, |state| apply(edge, &mut applied, name, backend, state));
}

/// What time alone changes: a manifest that is stale now.
fn settle(edge: &Edge, now: Instant) {
    let manifests = edge.gate.in_force().manifests();
    let mut applied = manifests.applying();
    let config = edge.config();
    for (name, backend) in &config.backends {
        if let Some(source) = &backend.manifest {
            apply(edge, &mut applied, name, backend, &manifests.state(name, source, now));
        }
    }
}

fn apply(edge: &Edge, applied: &mut Applied, name: &Arc<str>, backend: &Backend, state: &State) {
    let build = state.field(Field::Build).cloned();
    if applied.builds.get(name) != Some(&build) {
        edge.apply_hazards(name, backend, build.as_deref());
        applied.builds.insert(name.clone(), build);
    }
    let said = match state {
        State::Read(manifest) => {
            let fields: Vec<_> = manifest.iter().map(|(field, value)| format!("{}={value}", field.name())).collect();
            fields.join(" ")
        }
        other => other.name().to_owned(),
    };
    if applied.said.get(name) == Some(&said) {
        return;
    }
    match state {
        State::Read(_) | State::Unread => tracing::info!(backend = %name, manifest = said, "what a backend is"),
        _ => {
            tracing::error!(backend = %name, manifest = said, "what a backend is cannot be told: who asks for it is suspended")
        }
    }
    applied.said.insert(name.clone(), said);
}
