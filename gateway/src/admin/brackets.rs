//! Change brackets and feed marks over the admin API: what a batch says before and after it changes records behind the gateway.

use std::collections::HashMap;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use sekisho_issuance::checks::quantity;
use sekisho_issuance::checks::spec::Quantity;
use sekisho_issuance::id::{MunicipalityCode, ResidentId};
use sekisho_issuance::shard::LaneId;
use serde::Deserialize;
use serde_json::json;

use super::operate::recorded;
use super::{Admin, problem};
use crate::bracket::{BracketId, CloseError, FeedError, OpenError, Renewed, Versions};
use crate::record::{Changed, Record};
use crate::watermark::Watermark;

/// Longest body: a hundred thousand residents with their versions.
pub(super) const MAX_BODY_BYTES: usize = 16 << 20;
/// Until a batch renews; beyond it the bracket is unknown.
const USUAL_LEASE: Duration = Duration::from_secs(60);
const MAX_LEASE: Duration = Duration::from_secs(24 * 3600);
const MIN_LEASE: Duration = Duration::from_secs(1);
const MAX_WAIT: Duration = Duration::from_secs(600);
/// Marks in one record.
const MARKS_A_RECORD: usize = 500;

/// A resident, alone or with the version that the batch found.
#[derive(Deserialize)]
#[serde(untagged)]
enum Named {
    Id(String),
    Found { id: String, version: String },
}

/// `{ "municipality": "991007", "residents": ["r1", { "id": "r2", "version": "7" }], "name": "...", "reason": "..." }`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Open {
    municipality: String,
    residents: Vec<Named>,
    name: String,
    reason: String,
    lease: Option<Quantity>,
    wait: Option<Quantity>,
}

/// `{ "version": "8" }`, or `{ "versions": { "r1": "8", "r2": null } }`; a person's word where the bracket is unknown.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Close {
    version: Option<String>,
    versions: Option<HashMap<String, Option<String>>>,
    #[serde(default)]
    unchanged: bool,
    name: Option<String>,
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GiveUp {
    why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Feed {
    as_of: String,
}

pub(super) async fn list(State(admin): State<Admin>) -> Response {
    Json(json!({ "brackets": admin.edge.brackets.list() })).into_response()
}

pub(super) async fn show(State(admin): State<Admin>, Path(id): Path<String>) -> Response {
    match id.parse().ok().and_then(|id| admin.edge.brackets.show(id)) {
        Some(bracket) => Json(json!({ "bracket": bracket })).into_response(),
        None => no_such_bracket(&id),
    }
}

/// Comes back with the number when nothing runs any more for these residents; a batch that hears nothing must change nothing.
pub(super) async fn open(State(admin): State<Admin>, Json(open): Json<Open>) -> Response {
    match opened(&admin, open).await {
        Ok(response) | Err(response) => response,
    }
}

async fn opened(admin: &Admin, open: Open) -> Result<Response, Response> {
    let edge = &admin.edge;
    let municipality = configured(admin, &open.municipality)?;
    let lease = duration("lease", open.lease.as_ref(), USUAL_LEASE, MIN_LEASE, MAX_LEASE)?;
    let usual = edge.config().routes.iter().map(|route| route.max_run).max().unwrap_or(USUAL_LEASE);
    let wait = duration("wait", open.wait.as_ref(), usual, Duration::ZERO, MAX_WAIT)?;
    let mut residents = Vec::with_capacity(open.residents.len());
    for (index, named) in open.residents.into_iter().enumerate() {
        let (id, version) = match named {
            Named::Id(id) => (id, None),
            Named::Found { id, version } => (id, Some(version)),
        };
        residents.push((lane(admin, municipality, &id, format_args!("residents[{index}]"))?, version));
    }
    if !edge.gate.records().memory().watermarks.has_room_for(residents.len(), edge.clock.now()) {
        // What could not be remembered afterwards is not begun.
        return Err(problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "the memory for versions is full; see sekisho_watermarks",
        ));
    }
    let about = format!("{municipality}: {} residents", residents.len());
    recorded(admin, "open_bracket", &about, Some((open.name.clone(), open.reason.clone()))).await?;
    let brackets = &edge.brackets;
    let mut opening =
        brackets.begin(municipality, residents, (&open.name, &open.reason), lease).await.map_err(not_opened)?;
    let id = opening.id().number();
    let owner = edge.owner.clone();
    let lanes = opening.shut(move |id, lanes| owner.reopen(id.number(), lanes));
    edge.owner.shut(id, lanes);
    let quiet = async {
        edge.owner.quiet(id).await;
        opening.all_left().await;
    };
    if tokio::time::timeout(wait, quiet).await.is_err() {
        drop(opening);
        return Err(not_opened(OpenError::StillRunning));
    }
    match opening.opened() {
        Some(bracket) => {
            let lease_ms = lease.as_millis() as u64;
            Ok((StatusCode::CREATED, Json(json!({ "bracket": bracket, "leaseMs": lease_ms }))).into_response())
        }
        None => Err(problem(StatusCode::INTERNAL_SERVER_ERROR, "the bracket is not known any more")),
    }
}

pub(super) async fn renew(State(admin): State<Admin>, Path(id): Path<String>) -> Response {
    let Ok(id) = id.parse::<BracketId>() else { return no_such_bracket(&id) };
    match admin.edge.brackets.renew(id) {
        Ok(Renewed::Holds) => Json(json!({ "stage": "open" })).into_response(),
        Ok(Renewed::NotOpen(stage)) => not_closed(CloseError::NotOpen(id, stage.name())),
        Err(error) => not_closed(error),
    }
}

pub(super) async fn give_up(State(admin): State<Admin>, Path(id): Path<String>, Json(word): Json<GiveUp>) -> Response {
    let Ok(id) = id.parse::<BracketId>() else { return no_such_bracket(&id) };
    let why = word.why.trim();
    if why.is_empty() || why.len() > 200 || why.chars().any(char::is_control) {
        return problem(StatusCode::UNPROCESSABLE_ENTITY, "`why` is required, 200 bytes at most");
    }
    match admin.edge.brackets.give_up(id, why) {
        Ok(lanes) => {
            admin.edge.owner.reopen(id.number(), &lanes);
            Json(json!({ "bracket": admin.edge.brackets.show(id) })).into_response()
        }
        Err(error) => not_closed(error),
    }
}

/// First the versions are durable and known, then the residents are free.
pub(super) async fn close(State(admin): State<Admin>, Path(id): Path<String>, Json(close): Json<Close>) -> Response {
    let Ok(id) = id.parse::<BracketId>() else { return no_such_bracket(&id) };
    // A batch that hangs up must not leave half of it undone.
    match tokio::spawn(async move { closed(&admin, id, close).await }).await {
        Ok(Ok(response) | Err(response)) => response,
        Err(_) => problem(StatusCode::INTERNAL_SERVER_ERROR, "the bracket could not be closed"),
    }
}

async fn closed(admin: &Admin, id: BracketId, close: Close) -> Result<Response, Response> {
    let edge = &admin.edge;
    let bracket = edge.brackets.show(id).ok_or_else(|| not_closed(CloseError::Unknown(id)))?;
    let versions = match (close.version, close.versions, close.unchanged) {
        (Some(version), None, false) => Versions::All(Some(version)),
        (None, None, true) => Versions::All(None),
        (None, Some(versions), false) => {
            let mut each = HashMap::with_capacity(versions.len());
            for (id, version) in versions {
                each.insert(lane(admin, bracket.municipality, &id, format_args!("versions"))?, version);
            }
            Versions::Each(each)
        }
        _ => {
            let advice = "say one of `version` (of everybody), `versions` (of each, null for one that was not changed) and `unchanged`: true";
            return Err(problem(StatusCode::UNPROCESSABLE_ENTITY, advice));
        }
    };
    let by = close.name.as_deref().zip(close.reason.as_deref());
    let (versions, word) = edge.brackets.closing(id, versions, by).map_err(not_closed)?;
    let said = word.as_ref().map(|word| (word.name.clone(), word.reason.clone()));
    recorded(admin, "close_bracket", &id.to_string(), said).await?;
    let memory = edge.gate.records().memory();
    let mut marks = Vec::new();
    for (lane, version) in versions {
        let Some(version) = version else { continue };
        let mark = Watermark::new(lane, version.trim(), memory.watermarks.moment(lane, edge.clock.now()));
        marks.push(mark.ok_or_else(|| {
            not_closed(CloseError::Versions("a version has 1 to 64 bytes; one of these has not".to_owned()))
        })?);
    }
    let at = edge.clock.now();
    for marks in marks.chunks(MARKS_A_RECORD) {
        let changed = Changed { at, bracket: id.number(), watermarks: marks.to_vec() };
        let durable = edge.gate.records().append(&Record::Changed(changed)).await;
        durable.map_err(|_| not_closed(CloseError::NotDurable))?;
    }
    marks.iter().for_each(|mark| memory.watermarks.set(mark));
    let (bracket, lanes) = edge.brackets.close(id, word).await.map_err(not_closed)?;
    edge.owner.reopen(id.number(), &lanes);
    Ok(Json(json!({ "bracket": bracket, "changed": marks.len() })).into_response())
}

pub(super) async fn feed(
    State(admin): State<Admin>,
    Path(municipality): Path<String>,
    Json(feed): Json<Feed>,
) -> Response {
    let municipality = match configured(&admin, &municipality) {
        Ok(municipality) => municipality,
        Err(no) => return no.into(),
    };
    match admin.edge.brackets.feed(municipality, &feed.as_of).await {
        Ok(()) => Json(json!({ "municipality": municipality.as_str(), "asOf": feed.as_of.trim() })).into_response(),
        Err(error) => {
            let status = match error {
                FeedError::NotAMark => StatusCode::UNPROCESSABLE_ENTITY,
                FeedError::NotLater(_) => StatusCode::CONFLICT,
                FeedError::NotDurable => StatusCode::SERVICE_UNAVAILABLE,
            };
            problem(status, error)
        }
    }
}

/// A no to what was asked.
struct No(String);

impl From<No> for Response {
    fn from(No(detail): No) -> Self {
        problem(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }
}

fn configured(admin: &Admin, code: &str) -> Result<MunicipalityCode, No> {
    let code = MunicipalityCode::new(code.trim()).ok().filter(|code| admin.edge.config().tenants.contains_key(code));
    code.ok_or_else(|| No("`municipality` is none that is configured".to_owned()))
}

fn lane(admin: &Admin, municipality: MunicipalityCode, id: &str, place: std::fmt::Arguments<'_>) -> Result<LaneId, No> {
    match ResidentId::new(id.trim()) {
        Ok(id) => Ok(admin.edge.lane(municipality, &id)),
        // The text may be somebody's: it is not said again.
        Err(_) => Err(No(format!("{place}: a resident's id is malformed"))),
    }
}

fn duration(
    what: &str,
    given: Option<&Quantity>,
    usual: Duration,
    least: Duration,
    most: Duration,
) -> Result<Duration, No> {
    let Some(given) = given else { return Ok(usual.clamp(least, most)) };
    let read = quantity::duration(given).ok().filter(|given| (least..=most).contains(given));
    read.ok_or_else(|| {
        No(format!("`{what}` must be a duration such as \"60s\", {least:?} at least and {most:?} at most"))
    })
}

fn no_such_bracket(id: &str) -> Response {
    problem(StatusCode::NOT_FOUND, format!("there is no bracket `{}`", id.escape_debug()))
}

fn not_opened(error: OpenError) -> Response {
    let status = match error {
        OpenError::Missing(_) | OpenError::Nobody => StatusCode::UNPROCESSABLE_ENTITY,
        OpenError::TooMany(_) | OpenError::StillRunning => StatusCode::CONFLICT,
        OpenError::NotDurable => StatusCode::SERVICE_UNAVAILABLE,
    };
    problem(status, error)
}

fn not_closed(error: CloseError) -> Response {
    let status = match error {
        CloseError::Unknown(_) => StatusCode::NOT_FOUND,
        CloseError::NotOpen(..) => StatusCode::CONFLICT,
        CloseError::Missing(_) | CloseError::Versions(_) => StatusCode::UNPROCESSABLE_ENTITY,
        CloseError::NotDurable => StatusCode::SERVICE_UNAVAILABLE,
    };
    problem(status, error)
}
