//! The issuer's front: what kiosks speak. Sessions, certificates, inquiries and changes of address.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::chronicle::{Asked, Work};
use super::fault::Fault;
use super::paper::{Form, Scope, printable};
use super::pipes::Order;
use super::renderer::{self, Failure};
use super::wire::Request;
use super::world::{City, World};

/// An answer before it goes on the wire.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) media_type: &'static str,
    /// `X-Request-Id`: of the request that the answer was made for.
    pub(super) echo: String,
    pub(super) body: Bytes,
    /// The call, where it belongs to a municipality.
    pub(super) asked: Option<Arc<Asked>>,
    pub(super) form: Option<Form>,
    /// `X-Job`, where it came out of one.
    pub(super) job: Option<String>,
}

impl Answer {
    pub(super) fn json(status: u16, echo: &str, body: &Value) -> Self {
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        Self { status, media_type: "application/json", echo: echo.to_owned(), body, asked: None, form: None, job: None }
    }

    pub(super) fn error(status: u16, echo: &str, code: &str, resident: &str) -> Self {
        let body = json!({
            "error": { "code": code, "residentId": resident },
            "message": format!("お取り扱いできません。（{code}）"),
            "requestId": echo,
        });
        Self::json(status, echo, &body)
    }

    /// The same no as the state of a job that failed.
    pub(super) fn about_failed_job(&self, echo: &str, id: &str) -> Self {
        let mut body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        if let Some(body) = body.as_object_mut() {
            body.extend([("job".into(), id.into()), ("state".into(), "9".into()), ("requestId".into(), echo.into())]);
        }
        Self::json(self.status, echo, &body)
    }

    pub(super) fn of(mut self, asked: &Asked) -> Self {
        self.asked = Some(Arc::new(asked.clone()));
        self
    }
}

/// The id of a request: its own, or one made up for it.
pub(super) fn echo(world: &World, request: &Request) -> String {
    match request.header("x-request-id") {
        Some(id) => id.to_owned(),
        None => format!("made-up-{}", world.made_up.fetch_add(1, Ordering::Relaxed)),
    }
}

/// Answers a kiosk. `None` when the kiosk, where one waits, hung up meanwhile.
pub(super) async fn answer(world: &Arc<World>, request: &Request, kiosk: Option<&TcpStream>) -> Option<Answer> {
    let echo = echo(world, request);
    let path = request.path.split('?').next().unwrap_or_default();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    Some(match (request.method.as_str(), segments.as_slice()) {
        ("POST", ["sessions"]) => open(world, request, &echo),
        ("DELETE", ["sessions", id]) | ("POST", ["sessions", id, "printed" | "abandoned"]) => {
            world.sessions.close(id);
            Answer::json(204, &echo, &Value::Null)
        }
        ("POST", ["certificates", name]) => match Form::from_path(name) {
            Some(form) => issue(world, request, &echo, form, kiosk).await?,
            None => Answer::error(404, &echo, "NO_SUCH_KIND", ""),
        },
        ("GET", ["residents", id]) => inquire(world, request, &echo, id).await,
        ("POST", ["residents", id, "address"]) => amend(world, request, &echo, id).await,
        ("GET" | "HEAD", ["notice"]) => Answer {
            media_type: "text/plain; charset=utf-8",
            body: Bytes::from_static("証明書の発行は６時３０分から２３時までです。\n".as_bytes()),
            ..Answer::json(200, &echo, &Value::Null)
        },
        ("GET", ["version"]) => {
            let config = world.config();
            let body = json!({ "product": "Madoguchi Issuer", "build": config.build, "topology": config.topology });
            Answer::json(200, &echo, &body)
        }
        _ => Answer::error(404, &echo, "NOT_FOUND", ""),
    })
}

fn text<'a>(body: &'a Value, key: &str) -> &'a str {
    body.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn open(world: &Arc<World>, request: &Request, echo: &str) -> Answer {
    let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
        return Answer::error(400, echo, "BAD_JSON", "");
    };
    let city = world.cities.iter().find(|city| city.municipality.code == text(&body, "cityCode"));
    let Some(city) = city else { return Answer::error(404, echo, "NO_SUCH_CITY", "") };
    let terminal = match text(&body, "terminal") {
        "" => request.header("x-terminal").unwrap_or_default(),
        terminal => terminal,
    };
    let holder = world.register().holder(text(&body, "cardSerial"));
    let asked = |person| Asked {
        request: echo.to_owned(),
        session: String::new(),
        terminal: terminal.to_owned(),
        city: city.no,
        person,
    };
    let Some(person) = holder.filter(|no| city.people.contains(no)) else {
        return Answer::error(409, echo, "CARD_CHANGED", "");
    };
    if terminal.is_empty() {
        return Answer::error(400, echo, "NO_TERMINAL", "");
    }
    let asked = asked(person);
    let session = world.sessions.open(world, city, &asked);
    let body = json!({
        "sessionId": session.id,
        "residentId": world.id_of(session.person),
        "cityCode": city.municipality.code,
        "requestId": echo,
    });
    Answer::json(201, echo, &body).of(&Asked { session: session.id.clone(), ..asked })
}

/// The call's session, or the answer that there is none.
pub(super) fn session<'a>(world: &'a World, request: &Request, echo: &str) -> Result<(Asked, &'a City), Answer> {
    let session = request.header("x-session").and_then(|id| world.sessions.get(id));
    if let Some(session) = &session {
        session.calls.fetch_add(1, Ordering::Relaxed);
        world.chronicle().tell();
    }
    let found = session.and_then(|session| {
        let city = world.city(session.city)?;
        let terminal = request.header("x-terminal").unwrap_or(&session.terminal).to_owned();
        Some((
            Asked {
                request: echo.to_owned(),
                session: session.id.clone(),
                terminal,
                city: city.no,
                person: session.person,
            },
            city,
        ))
    });
    found.ok_or_else(|| Answer::error(403, echo, "NO_SESSION", ""))
}

async fn issue(
    world: &Arc<World>,
    request: &Request,
    echo: &str,
    form: Form,
    kiosk: Option<&TcpStream>,
) -> Option<Answer> {
    let (asked, city) = match session(world, request, echo) {
        Ok(found) => found,
        Err(refusal) => return Some(refusal),
    };
    let joined = if world.fires_quietly(city, Fault::CollapsedForwarding) {
        city.machine.shared_answers.join(&request.path, &request.body).await
    } else {
        None
    };
    if let Some(shared) = joined {
        // The answer as it is, personal or not, with the first request's own headers.
        let first =
            shared.asked.as_ref().map(|first| world.party(first)).unwrap_or_else(|| world.person_party(asked.person));
        world.log_trigger(city, Fault::CollapsedForwarding, Some(form), &asked);
        world.harmed(city, Fault::CollapsedForwarding, Some(form), &asked, first);
        return Some(Answer { asked: Some(Arc::new(asked)), ..Answer::clone(&shared) });
    }
    let leading = if city.switches.on(Fault::CollapsedForwarding) {
        city.machine.shared_answers.lead(&request.path, &request.body)
    } else {
        None
    };
    let answer = certificate(world, city, request, &asked, form, kiosk).await?;
    if let Some(leading) = leading {
        leading.publish(&answer);
    }
    Some(answer)
}

async fn certificate(
    world: &Arc<World>,
    city: &City,
    request: &Request,
    asked: &Asked,
    form: Form,
    kiosk: Option<&TcpStream>,
) -> Option<Answer> {
    let echo = asked.request.as_str();
    let refuse = |status, code: &str| {
        Some(Answer { form: Some(form), ..Answer::error(status, echo, code, &world.id_of(asked.person)).of(asked) })
    };
    let Ok(body) = serde_json::from_slice::<Value>(&request.body) else { return refuse(400, "BAD_JSON") };
    if !matches!(text(&body, "copies"), "" | "1") {
        return refuse(422, "ONE_COPY_ONLY");
    }
    let scope = if text(&body, "scope") == "household" { Scope::Household } else { Scope::OnePerson };
    let Some(record) = world.register().get(asked.person) else { return refuse(404, "NOT_FOUND") };
    if let Some(code) = record.person.state.refusal() {
        let status = if matches!(code, "MOVED_OUT" | "DECEASED") { 409 } else { 422 };
        return refuse(status, code);
    }
    if form == Form::SealRegistration && record.seal.is_none() && city.machine.lagging(asked.person).is_none() {
        return refuse(409, "NOT_REGISTERED");
    }

    let _served = city.machine.server.enter();
    let asked = Arc::new(asked.clone());
    let order = Order {
        asked: Arc::clone(&asked),
        form,
        scope,
        _executing: world.chronicle().begin(Work::Issue, world.covered(asked.person, form, scope), echo),
    };
    let reuses = city.switches.on(Fault::CancelledRequestReuse);
    let sent = city.machine.pipes.send(world, order, reuses).await?;
    if world.fires(city, Fault::CancelledRequestReuse, Some(form), &asked) {
        // Sent, then cancelled: dropped with its reply still to come.
        drop(sent);
        return refuse(503, "CANCELLED");
    }
    let reply = if reuses {
        tokio::select! {
            reply = sent.reply() => reply,
            () = hung_up(kiosk) => return None,
        }
    } else {
        sent.reply().await
    };
    let Some(reply) = reply else { return refuse(503, "NO_RENDERER") };
    if *reply.asked != *asked {
        world.harmed(city, Fault::CancelledRequestReuse, Some(form), &asked, world.party(&reply.asked));
    }
    match reply.outcome {
        Ok(image) => Some(Answer {
            status: 200,
            media_type: "application/pdf",
            echo: reply.asked.request.clone(),
            body: image.file.clone(),
            asked: Some(Arc::clone(&asked)),
            form: Some(form),
            job: None,
        }),
        Err(Failure::PrintTimeout) => refuse(503, "PRINT_TIMEOUT"),
        Err(Failure::Assembly) => refuse(503, "SHEET_MISSING"),
        Err(Failure::NoOutput) => refuse(503, "NO_OUTPUT"),
        Err(Failure::NoRecord) => refuse(503, "NO_RECORD"),
    }
}

/// Resolves when the other side has closed its connection.
async fn hung_up(kiosk: Option<&TcpStream>) {
    let Some(kiosk) = kiosk else { return std::future::pending().await };
    let mut byte = [0];
    match kiosk.peek(&mut byte).await {
        Ok(0) | Err(_) => {}
        // Something more was sent: still there.
        Ok(_) => std::future::pending().await,
    }
}

/// The person of the path, if the call's session (where it names one) is that person's.
fn person<'a>(world: &'a World, request: &Request, echo: &str, id: &str) -> Result<(Asked, &'a City), Answer> {
    let named = world.register().find(id).ok_or_else(|| Answer::error(404, echo, "NOT_FOUND", id))?;
    if request.header("x-session").is_some() {
        let (asked, city) = session(world, request, echo)?;
        if asked.person == named {
            Ok((asked, city))
        } else {
            Err(Answer::error(403, echo, "NOT_YOURS", id).of(&asked))
        }
    } else {
        let record = world.register().get(named).ok_or_else(|| Answer::error(404, echo, "NOT_FOUND", id))?;
        let city = world.city(record.person.city).ok_or_else(|| Answer::error(404, echo, "NOT_FOUND", id))?;
        let terminal = request.header("x-terminal").unwrap_or_default().to_owned();
        Ok((Asked { request: echo.to_owned(), session: String::new(), terminal, city: city.no, person: named }, city))
    }
}

async fn inquire(world: &Arc<World>, request: &Request, echo: &str, id: &str) -> Answer {
    let (asked, city) = match person(world, request, echo, id) {
        Ok(found) => found,
        Err(refusal) => return refusal,
    };
    let _executing = world.chronicle().begin(Work::Inquire, vec![asked.person], echo);
    let _served = city.machine.server.enter();
    city.machine.server.work(&world.config.service, world.pace().factor()).await;
    let Some(record) = world.register().get(asked.person) else {
        return Answer::error(404, echo, "NOT_FOUND", id).of(&asked);
    };
    let mut body = record.json(&city.municipality.code);
    if let Some(fields) = body.as_object_mut() {
        fields.insert("requestId".into(), echo.into());
        fields.insert("history".into(), history(&record));
    }
    Answer::json(200, echo, &body).of(&asked)
}

/// Entries that make an inquiry as large as they are in such products (about 2 KB).
fn history(record: &super::resident::Record) -> Value {
    let years = 2011..2023;
    years
        .map(|year| json!({ "date": format!("{year}-04-01"), "kind": "異動なし", "office": "市民課", "note": record.person.domicile }))
        .collect()
}

async fn amend(world: &Arc<World>, request: &Request, echo: &str, id: &str) -> Answer {
    let (asked, city) = match person(world, request, echo, id) {
        Ok(found) => found,
        Err(refusal) => return refusal,
    };
    let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
        return Answer::error(400, echo, "BAD_JSON", id).of(&asked);
    };
    let address = text(&body, "address").to_owned();
    if !printable(&address) {
        return Answer::error(422, echo, "UNPRINTABLE", id).of(&asked);
    }
    // What is begun is done, whether or not the kiosk waits.
    let key = request.header("idempotency-key").map(|key| format!("{id} {key}"));
    let executing = world.chronicle().begin(Work::Amend, vec![asked.person], echo);
    let (doing, for_asked) = (Arc::clone(world), asked.clone());
    let done = tokio::spawn(async move {
        let _executing = executing;
        apply_address(&doing, &for_asked, &address, key).await
    });
    let Ok(Some(version)) = done.await else { return Answer::error(503, echo, "FAILED", id).of(&asked) };
    let _ = city;
    Answer::json(200, echo, &json!({ "residentId": id, "version": version.to_string(), "requestId": echo })).of(&asked)
}

async fn apply_address(world: &Arc<World>, asked: &Asked, address: &str, key: Option<String>) -> Option<u64> {
    let city = world.city(asked.city)?;
    if let Some(version) = key.as_ref().and_then(|key| world.amended.get(key).map(|entry| *entry)) {
        return Some(version);
    }
    city.machine.server.work(&world.config.service, world.pace().factor()).await;
    let applying = city.machine.updates.begin();
    if !world.config.service.median.is_zero() {
        tokio::time::sleep(world.config.windows.update).await;
    }
    let after = world.change(city, asked, |register| register.amend_address(asked.person, address))?;
    drop(applying);
    for fault in [Fault::AdachiUpdateRace, Fault::AdachiDismissedAlarm] {
        if city.switches.on(fault) && world.fires(city, fault, None, asked) {
            renderer::apply_to_work_table(world, city.no, asked.person);
        }
    }
    if let Some(key) = key {
        world.amended.insert(key, after.version);
    }
    Some(after.version)
}
