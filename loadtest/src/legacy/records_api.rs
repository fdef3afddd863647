//! The resident-record system: the authority that lookups ask. Right and prompt; only transport faults reach it.

use std::sync::Arc;

use serde_json::{Value, json};

use super::chronicle::Asked;
use super::front::Answer;
use super::paper::{jst_date, printable};
use super::resident::{PersonNo, Record, Seal};
use super::wire::Request;
use super::world::World;

pub(super) async fn answer(world: &Arc<World>, request: &Request) -> Answer {
    let echo = request.header("x-request-id").unwrap_or_default();
    let path = request.path.split('?').next().unwrap_or_default();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    match (request.method.as_str(), segments.as_slice()) {
        ("GET", ["v2", "cards", serial]) => card(world, echo, serial),
        ("GET", ["v2", "residents", id]) => on(world, echo, id, |record| resident(world, echo, &record)),
        ("GET", ["v2", "version", id]) => {
            on(world, echo, id, |record| json!({ "id": record.person.id, "version": record.version.to_string() }))
        }
        ("POST", ["v2", "residents", id, "amend"]) => amend(world, echo, id, &request.body),
        ("POST", ["v2", "residents", id, "revoke"]) => change(world, echo, id, |no| world.register().revoke_seal(no)),
        _ => Answer::error(404, echo, "NOT_FOUND", ""),
    }
}

fn card(world: &World, echo: &str, serial: &str) -> Answer {
    let found = world.register().holder(serial).and_then(|no| world.register().get(no));
    let Some(record) = found else { return Answer::error(404, echo, "NOT_FOUND", "") };
    let city = world.city(record.person.city).map(|city| city.municipality.code.as_str()).unwrap_or_default();
    Answer::json(200, echo, &json!({ "cardSerial": serial, "residentId": record.person.id, "cityCode": city }))
}

fn on(world: &World, echo: &str, id: &str, describe: impl FnOnce(Arc<Record>) -> Value) -> Answer {
    match world.register().find(id).and_then(|no| world.register().get(no)) {
        Some(record) => {
            world.chronicle().showed(echo, record.person.no, record.version);
            Answer::json(200, echo, &describe(record))
        }
        None => Answer::error(404, echo, "NOT_FOUND", id),
    }
}

/// The record with everybody of the household.
fn resident(world: &World, echo: &str, record: &Record) -> Value {
    let city = world.city(record.person.city).map(|city| city.municipality.code.as_str()).unwrap_or_default();
    let mut body = record.json(city);
    let members = record.person.household.iter().filter_map(|no| world.register().get(*no));
    let show = |member: Arc<Record>| {
        world.chronicle().showed(echo, member.person.no, member.version);
        member.json(city)
    };
    let household: Vec<Value> = members.map(show).collect();
    if let Some(fields) = body.as_object_mut() {
        fields.insert("household".into(), household.into());
    }
    body
}

fn amend(world: &World, echo: &str, id: &str, body: &[u8]) -> Answer {
    let body: Value = match serde_json::from_slice(body) {
        Ok(body) => body,
        Err(_) => return Answer::error(400, echo, "BAD_JSON", id),
    };
    if let Some(address) = body.get("address").and_then(Value::as_str) {
        if !printable(address) {
            return Answer::error(422, echo, "UNPRINTABLE", id);
        }
        return change(world, echo, id, |no| world.register().amend_address(no, address));
    }
    match body.get("seal").and_then(Value::as_str) {
        Some(number) if number.len() == 7 && number.bytes().all(|b| b.is_ascii_digit()) => {
            let seal = Seal { number: number.to_owned(), registered: jst_date(world.now()) };
            change(world, echo, id, |no| world.register().register_seal(no, seal))
        }
        _ => Answer::error(400, echo, "NOTHING_TO_AMEND", id),
    }
}

fn change(world: &World, echo: &str, id: &str, apply: impl FnOnce(PersonNo) -> Option<Arc<Record>>) -> Answer {
    let changed = world.register().find(id).and_then(|no| {
        let city = world.city(world.register().get(no)?.person.city)?;
        let asked = Asked {
            request: echo.to_owned(),
            session: String::new(),
            terminal: String::new(),
            city: city.no,
            person: no,
        };
        world.change(city, &asked, |_| apply(no))
    });
    match changed {
        Some(record) => Answer::json(200, echo, &json!({ "id": id, "version": record.version.to_string() })),
        None => Answer::error(404, echo, "NOT_FOUND", id),
    }
}
