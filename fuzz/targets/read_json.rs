//! Any bytes end in a JSON value or a reason, and in a lookup's reply or a reason.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sekisho_fuzz::bounded;
use sekisho_issuance::answer::{MAX_JSON_DEPTH, json};
use sekisho_issuance::checks::LookupFields;
use serde_json::Value;

static FIELDS: LazyLock<LookupFields> = LazyLock::new(|| {
    let fields = serde_json::json!({
        "id": {"json": "/id"}, "name": {"json": "/name"}, "version": {"json": "/version"},
        "people": {"json": "/household", "shared": ["name"]},
        "require": [{"json": "/status", "equals": "active"}],
    });
    serde_json::from_value(fields).unwrap_or_default()
});

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fuzz_target!(|bytes: &[u8]| {
    bounded(|| {
        if let Ok(value) = json(bytes) {
            assert!(depth(&value) <= MAX_JSON_DEPTH);
            let again = serde_json::to_vec(&value).unwrap_or_default();
            assert!(json(&again).is_ok(), "what is accepted is written acceptably");
        }
        if let Ok(reply) = FIELDS.parse(bytes) {
            assert!(reply.people.iter().all(|person| person.id.is_some()));
        }
    });
});
