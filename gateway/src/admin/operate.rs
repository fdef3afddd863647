//! What an operator may do. Everything that changes something is recorded, durably, before it is done.

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use sekisho_issuance::id::RequestId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Admin, problem, readiness};
use crate::latch::{ClearError, Latch, LatchId, MOST_APPROVERS};
use crate::record::{Operated, Record};
use crate::switch::{Scope, SetError, SwitchId};

/// A person's word for clearing a latch or a switch.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Word {
    name: String,
    reason: String,
    #[serde(default)]
    evidence: String,
}

/// `{ "limit": 4 }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limit {
    limit: usize,
}

pub(super) async fn ready(State(admin): State<Admin>) -> Response {
    Json(readiness(&admin.edge)).into_response()
}

pub(super) async fn latches(State(admin): State<Admin>) -> Response {
    Json(json!({ "latches": admin.edge.latches.list() })).into_response()
}

pub(super) async fn latch(State(admin): State<Admin>, Path(id): Path<String>) -> Response {
    let id = LatchId::new(&id);
    let Some(latch) = admin.edge.latches.show(&id) else {
        return problem(StatusCode::NOT_FOUND, ClearError::Unknown(id));
    };
    // What was kept of the answer that set it: where and how it differs, never what it said.
    let records = match RequestId::parse(&latch.request) {
        Some(request) => told(&admin, request).await.unwrap_or(Value::Null),
        None => Value::Null,
    };
    let approvers = approvers(&admin, &latch);
    let missing = admin.edge.latches.missing(&latch, approvers);
    let shown = json!({ "latch": latch, "evidence": records, "approvers": approvers, "missing": missing });
    Json(shown).into_response()
}

pub(super) async fn clear(State(admin): State<Admin>, Path(id): Path<String>, Json(word): Json<Word>) -> Response {
    let Word { name, reason, evidence } = word;
    let (latches, id) = (&admin.edge.latches, LatchId::new(&id));
    let approvers = latches.show(&id).map_or(MOST_APPROVERS, |latch| approvers(&admin, &latch));
    match latches.clear(&id, &name, &reason, &evidence, approvers).await {
        Ok(latch) => {
            // Taken, and not done: whoever asked must not think that it is cleared.
            let missing = latches.missing(&latch, approvers);
            let status = if missing.is_none() { StatusCode::OK } else { StatusCode::ACCEPTED };
            (status, Json(json!({ "latch": latch, "missing": missing }))).into_response()
        }
        Err(error) => {
            let status = match error {
                ClearError::Unknown(_) => StatusCode::NOT_FOUND,
                ClearError::AlreadyCleared(_) | ClearError::WrongEvidence(_) | ClearError::SamePerson { .. } => {
                    StatusCode::CONFLICT
                }
                ClearError::Missing(_) => StatusCode::UNPROCESSABLE_ENTITY,
                ClearError::NotDurable => StatusCode::SERVICE_UNAVAILABLE,
            };
            problem(status, error)
        }
    }
}

/// How many persons clear `latch`, by the policy in force; where nobody knows whose policy that is now, the most.
fn approvers(admin: &Admin, latch: &Latch) -> usize {
    let (config, code) = (admin.edge.config(), latch.tenant());
    code.map_or(1, |code| config.tenants.get(&code).map_or(MOST_APPROVERS, |tenant| tenant.approvers))
}

pub(super) async fn tenants(State(admin): State<Admin>) -> Response {
    Json(json!({ "tenants": super::tenants::list(&admin.edge) })).into_response()
}

/// `{ "scope": "kind/tax", "name": "...", "reason": "..." }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Off {
    scope: String,
    name: String,
    reason: String,
}

pub(super) async fn switches(State(admin): State<Admin>) -> Response {
    let switches = &admin.edge.switches;
    Json(json!({ "off": switches.off(), "switches": switches.list(), "files": switches.files() })).into_response()
}

pub(super) async fn switch_off(State(admin): State<Admin>, Json(off): Json<Off>) -> Response {
    let known = |scope: &Scope| scope.is_about_something_in(&admin.edge.config());
    let Some(scope) = Scope::parse(off.scope.trim()).filter(known) else {
        let advice = "is no scope, or nothing of that name is configured; write all, municipality/CODE, kind/KIND, CODE/KIND or backend/NAME";
        return problem(StatusCode::UNPROCESSABLE_ENTITY, format!("`{}` {advice}", off.scope.escape_debug()));
    };
    match admin.edge.switches.set(scope, &off.name, &off.reason).await {
        Ok(switch) => Json(json!({ "switch": switch })).into_response(),
        Err(error) => {
            let status = match error {
                SetError::Missing(_) => StatusCode::UNPROCESSABLE_ENTITY,
                SetError::TooMany => StatusCode::CONFLICT,
                SetError::NotDurable(_) => StatusCode::SERVICE_UNAVAILABLE,
            };
            problem(status, error)
        }
    }
}

pub(super) async fn switch_on(State(admin): State<Admin>, Path(id): Path<String>, Json(word): Json<Word>) -> Response {
    match admin.edge.switches.clear(&SwitchId::new(&id), &word.name, &word.reason).await {
        Ok(switch) => Json(json!({ "switch": switch })).into_response(),
        Err(error) => {
            use crate::switch::ClearError;
            let status = match error {
                ClearError::Unknown(_) => StatusCode::NOT_FOUND,
                ClearError::AlreadyCleared(_) => StatusCode::CONFLICT,
                ClearError::Missing(_) => StatusCode::UNPROCESSABLE_ENTITY,
                ClearError::NotDurable => StatusCode::SERVICE_UNAVAILABLE,
            };
            problem(status, error)
        }
    }
}

pub(super) async fn explain(State(admin): State<Admin>, Path(id): Path<String>) -> Response {
    let Some(request) = RequestId::parse(&id) else {
        return problem(StatusCode::UNPROCESSABLE_ENTITY, "is not a request id");
    };
    match told(&admin, request).await {
        Some(told) => Json(told).into_response(),
        None => problem(StatusCode::INTERNAL_SERVER_ERROR, "the records could not be read"),
    }
}

/// Who looks is recorded too, and with that everything queued before it is in the file that is read next.
async fn told(admin: &Admin, request: RequestId) -> Option<Value> {
    // On a broken disk what was durable can still be read.
    let _ = recorded(admin, "explain", &request.to_string(), None).await;
    let records = admin.edge.gate.records().clone();
    let explanation = tokio::task::spawn_blocking(move || records.explain(request)).await.ok()?.ok()?;
    serde_json::to_value(explanation).ok()
}

/// `{ "action": "audit_open", "about": "...", "name": "...", "reason": "..." }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Look {
    action: String,
    about: String,
    name: Option<String>,
    reason: Option<String>,
}

/// Somebody is about to look into the records on this machine; what they look for never stands here.
pub(super) async fn look(State(admin): State<Admin>, Json(look): Json<Look>) -> Response {
    if !matches!(look.action.as_str(), "audit_find" | "audit_export" | "audit_open") {
        return problem(StatusCode::UNPROCESSABLE_ENTITY, "is no look into the records");
    }
    let word = look.name.zip(look.reason);
    match recorded(&admin, &look.action, &look.about, word).await {
        Ok(()) => Json(json!({ "recorded": true })).into_response(),
        Err(refused) => refused,
    }
}

/// `?oldest=5`: those attempts alone.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    oldest: Option<usize>,
}

pub(super) async fn lanes(State(admin): State<Admin>, Query(Which { oldest: only }): Query<Which>) -> Response {
    let backends: Vec<_> = admin
        .edge
        .owner
        .lanes()
        .into_iter()
        .map(|lane| {
            json!({
                "backend": &*lane.backend,
                "waiting": lane.waiting,
                "running": lane.running,
                "held": lane.held,
                "oldestWaitingMs": lane.oldest_waiting.as_millis() as u64,
                "oldestRunningMs": lane.oldest_running.as_millis() as u64,
            })
        })
        .collect();
    let oldest: Vec<_> = admin
        .edge
        .owner
        .oldest_attempts(only.unwrap_or(20))
        .into_iter()
        .map(|attempt| {
            json!({
                "id": format!("{}-{}", attempt.shard, attempt.number),
                "number": attempt.number,
                "backend": &*attempt.backend,
                "operation": attempt.operation,
                "state": attempt.state,
                "ageMs": attempt.age.as_millis() as u64,
                "shard": attempt.shard,
            })
        })
        .collect();
    match only {
        Some(_) => Json(json!({ "oldest": oldest })).into_response(),
        None => Json(json!({ "backends": backends, "oldest": oldest })).into_response(),
    }
}

/// A person's word that an attempt can have no effect any more. The shard says which one was looked at: numbers begin again at
/// each start.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Abandon {
    name: String,
    reason: String,
    shard: u16,
}

pub(super) async fn abandon(
    State(admin): State<Admin>,
    Path(number): Path<u64>,
    Json(word): Json<Abandon>,
) -> Response {
    if word.name.trim().is_empty() || word.reason.trim().is_empty() {
        return problem(StatusCode::UNPROCESSABLE_ENTITY, "`name` and `reason` are required");
    }
    let attempts = admin.edge.owner.oldest_attempts(usize::MAX);
    let Some(attempt) = attempts.into_iter().find(|attempt| attempt.number == number) else {
        return problem(StatusCode::NOT_FOUND, "no such held attempt");
    };
    if attempt.shard != word.shard {
        return problem(StatusCode::CONFLICT, "is not the attempt of that shard; look at `lanes` again");
    }
    let why = Some((word.name, word.reason));
    if let Err(refused) = recorded(&admin, "abandon", &number.to_string(), why).await {
        return refused;
    }
    found(admin.edge.owner.abandon(number), "no such held attempt")
}

pub(super) async fn backends(State(admin): State<Admin>) -> Response {
    let states: Vec<_> = admin
        .edge
        .owner
        .backend_states()
        .into_iter()
        .map(|state| {
            json!({
                "name": &*state.name,
                "limit": state.limit,
                "inFlight": state.in_flight,
                "resting": state.resting,
                "waiting": state.waiting,
                "idleChannels": state.idle_channels,
                "suspended": state.suspended,
            })
        })
        .collect();
    Json(json!({ "backends": states })).into_response()
}

pub(super) async fn drain(State(admin): State<Admin>, Path(name): Path<String>) -> Response {
    match recorded(&admin, "drain_backend", &name, None).await {
        Ok(()) => found(admin.edge.owner.drain_backend(&name), "no backend of that name"),
        Err(refused) => refused,
    }
}

pub(super) async fn resume(State(admin): State<Admin>, Path(name): Path<String>) -> Response {
    match recorded(&admin, "resume_backend", &name, None).await {
        Ok(()) => found(admin.edge.owner.resume_backend(&name), "no backend of that name"),
        Err(refused) => refused,
    }
}

pub(super) async fn limit(State(admin): State<Admin>, Path(name): Path<String>, Json(limit): Json<Limit>) -> Response {
    match recorded(&admin, &format!("limit_backend to {}", limit.limit), &name, None).await {
        Ok(()) => found(admin.edge.owner.set_limit(&name, limit.limit), "no backend of that name"),
        Err(refused) => refused,
    }
}

fn found(done: bool, otherwise: &str) -> Response {
    if done { Json(json!({ "done": true })).into_response() } else { problem(StatusCode::NOT_FOUND, otherwise) }
}

/// Nothing is done that was not recorded first.
pub(super) async fn recorded(
    admin: &Admin,
    action: &str,
    about: &str,
    word: Option<(String, String)>,
) -> Result<(), Response> {
    let (name, reason) = word.unzip();
    let at = admin.edge.clock.now();
    tracing::warn!(action, about, "an operator acts");
    let record = Record::Operated(Operated { at, action: action.to_owned(), about: about.to_owned(), name, reason });
    let durable = admin.edge.gate.records().append(&record).await;
    durable.map_err(|error| problem(StatusCode::SERVICE_UNAVAILABLE, format!("not done: the record {error}")))
}
