use axum::body::Body;
use axum::http::Method;
use http_body_util::BodyExt;
use sekisho_issuance::id::{KioskId, MunicipalityCode, RequestId};
use sekisho_issuance::verdict::CheckName;
use serde_json::Value;
use tower::ServiceExt;

use super::*;
use crate::latch::{Consequence, EvidenceId, Failure, LatchId};
use crate::registry::DocumentKind;
use crate::route::Mode;

const KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn key() -> AdminKey {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), KEY).unwrap();
    AdminKey::read(file.path()).unwrap()
}

async fn ask(routes: &Router, method: Method, path: &str, key: Option<&str>, body: Value) -> (StatusCode, Value) {
    let mut request = Request::builder().method(method).uri(path).header("content-type", "application/json");
    if let Some(key) = key {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    let request = request.body(Body::from(body.to_string())).unwrap();
    let response = routes.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

async fn latch_something(edge: &Edge) -> (LatchId, EvidenceId) {
    let evidence = EvidenceId::of(b"kept");
    let failure = Failure {
        request: RequestId::from_u128(7),
        evidence: evidence.clone(),
        municipality: MunicipalityCode::new("991007").ok(),
        kind: DocumentKind::Answer,
        mode: Mode::Enforce,
        people: 1,
        kiosk: KioskId::new("K-1").ok(),
        at: edge.clock.now(),
    };
    let setting = edge.latches.judge(Consequence::Confirmed(CheckName::Identity), &failure).unwrap();
    (setting.durable().await.unwrap(), evidence)
}

#[tokio::test]
async fn nothing_is_said_without_the_key() {
    let routes = admin_routes(crate::edge::tests::edge(), key());
    for path in ["/ready", "/latches", "/latches/L-1", "/requests/x", "/lanes", "/backends", "/nowhere"] {
        for wrong in [None, Some("wrong"), Some("")] {
            let (status, _) = ask(&routes, Method::GET, path, wrong, Value::Null).await;
            assert!(matches!(status, StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND), "{path} {status}");
            assert!(path == "/nowhere" || status == StatusCode::UNAUTHORIZED, "{path}");
        }
    }
    assert_eq!(ask(&routes, Method::GET, "/ready", Some(KEY), Value::Null).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_latch_is_shown_with_its_evidence_and_cleared_by_a_person() {
    let edge = crate::edge::tests::edge();
    let (id, evidence) = latch_something(&edge).await;
    let routes = admin_routes(edge.clone(), key());
    let (_, listed) = ask(&routes, Method::GET, "/latches", Some(KEY), Value::Null).await;
    assert_eq!(listed["latches"][0]["scope"], "991007/answer");
    let (_, ready) = ask(&routes, Method::GET, "/ready", Some(KEY), Value::Null).await;
    assert_eq!((&ready["ready"], &ready["reasons"][0]["reason"]), (&json!(true), &json!("latched")));
    let clear = format!("/latches/{id}/clear");
    let word = |evidence: &str| json!({ "name": "山田", "reason": "見た", "evidence": evidence });
    let post = async |path: &str, body| ask(&routes, Method::POST, path, Some(KEY), body).await.0;
    assert_eq!(post(&clear, word("")).await, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(post(&clear, word("E-0")).await, StatusCode::CONFLICT);
    assert_eq!(post("/latches/L-0/clear", word("E-0")).await, StatusCode::NOT_FOUND);
    assert!(edge.latches.show(&id).unwrap().cleared.is_none());
    assert_eq!(post(&clear, word(evidence.as_str())).await, StatusCode::OK);
    assert_eq!(post(&clear, word(evidence.as_str())).await, StatusCode::CONFLICT);
}

#[tokio::test]
async fn two_persons_clear_a_latch_where_the_municipality_asks_for_two_and_the_first_hears_what_is_missing() {
    let edge = crate::edge::tests::edge();
    let (id, evidence) = latch_something(&edge).await;
    let two = crate::edge::tests::CONFIG.replace("[tenants.991007]", "[tenants.991007]\nlatch = { approvers = 2 }");
    edge.replace_config(crate::config::parse(&two).unwrap());
    let routes = admin_routes(edge.clone(), key());
    let clear = async |name: &str| {
        let word = json!({ "name": name, "reason": "見た", "evidence": evidence.as_str() });
        ask(&routes, Method::POST, &format!("/latches/{id}/clear"), Some(KEY), word).await
    };
    let (status, said) = clear("山田 太郎").await;
    assert_eq!(status, StatusCode::ACCEPTED, "{said}");
    assert!(said["missing"].as_str().unwrap().contains("second person, another than 山田 太郎"), "{said}");
    let (status, said) = clear("山田太郎").await;
    assert_eq!(status, StatusCode::CONFLICT, "{said}");
    assert!(said["error"].as_str().unwrap().contains("a second person"), "{said}");
    assert!(edge.latches.show(&id).unwrap().cleared.is_none());
    let (_, shown) = ask(&routes, Method::GET, &format!("/latches/{id}"), Some(KEY), Value::Null).await;
    assert_eq!((&shown["approvers"], &shown["latch"]["first"]["name"]), (&json!(2), &json!("山田 太郎")));
    // Nobody knows the rule of a municipality that is gone, so the strictest holds.
    let gone = crate::edge::tests::CONFIG.replace("991007", "991015");
    edge.replace_config(crate::config::parse(&gone).unwrap());
    assert_eq!(clear("山田太郎").await.0, StatusCode::CONFLICT);
    assert_eq!(clear("鈴木").await.0, StatusCode::OK);
    assert!(edge.latches.show(&id).unwrap().cleared.is_some());
}

#[tokio::test]
async fn the_metrics_listener_has_three_paths_and_no_more() {
    let edge = crate::edge::tests::edge();
    let routes = metrics_routes(edge.clone());
    for (path, status) in [
        ("/metrics", StatusCode::OK),
        ("/livez", StatusCode::OK),
        ("/readyz", StatusCode::OK),
        ("/latches", StatusCode::NOT_FOUND),
        ("/backends", StatusCode::NOT_FOUND),
    ] {
        assert_eq!(ask(&routes, Method::GET, path, None, Value::Null).await.0, status, "{path}");
    }
    let (_, text) = ask(&routes, Method::GET, "/metrics", None, Value::Null).await;
    let text = text.as_str().unwrap();
    assert!(text.contains("sekisho_service_open 1") && text.contains("sekisho_audit_unsynced_seconds"), "{text}");
    edge.drain.begin();
    let (status, body) = ask(&routes, Method::GET, "/readyz", None, Value::Null).await;
    assert_eq!((status, &body["reasons"][0]["reason"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("draining")));
    assert_eq!(ask(&routes, Method::GET, "/livez", None, Value::Null).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_backend_is_drained_and_resumed_on_the_record() {
    let edge = crate::edge::tests::edge();
    let routes = admin_routes(edge.clone(), key());
    let post = async |path: &str, body| ask(&routes, Method::POST, path, Some(KEY), body).await.0;
    assert_eq!(post("/backends/issuer/drain", Value::Null).await, StatusCode::OK);
    let suspended = || edge.owner.backend_states().iter().find(|s| &*s.name == "issuer").unwrap().suspended;
    assert_eq!(suspended(), Some("drained"));
    assert_eq!(post("/backends/issuer/resume", Value::Null).await, StatusCode::OK);
    assert_eq!(suspended(), None);
    assert_eq!(post("/backends/issuer/limit", json!({ "limit": 2 })).await, StatusCode::OK);
    assert_eq!(post("/backends/nobody/drain", Value::Null).await, StatusCode::NOT_FOUND);
    assert_eq!(
        post("/attempts/1/abandon", json!({ "name": "x", "reason": "", "shard": 1 })).await,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    assert_eq!(
        post("/attempts/1/abandon", json!({ "name": "x", "reason": "y", "shard": 1 })).await,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn explain_answers_over_the_api() {
    let routes = admin_routes(crate::edge::tests::edge(), key());
    let id = RequestId::from_u128(5);
    let (status, told) = ask(&routes, Method::GET, &format!("/requests/{id}"), Some(KEY), Value::Null).await;
    assert_eq!(status, StatusCode::OK);
    assert!(told["summary"].as_str().unwrap().starts_with("not in the records"));
    let (status, _) = ask(&routes, Method::GET, "/requests/nonsense", Some(KEY), Value::Null).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_switch_is_set_shown_and_cleared_by_a_person_and_a_slip_of_the_pen_is_refused() {
    let edge = crate::edge::tests::edge();
    let routes = admin_routes(edge.clone(), key());
    let post = async |path: &str, body: Value| ask(&routes, Method::POST, path, Some(KEY), body).await;
    for scope in ["kind/taxes", "municipality/131211", "backend/isuer", ""] {
        let (status, said) = post("/switches", json!({ "scope": scope, "name": "a", "reason": "b" })).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{scope}: {said}");
    }
    let (status, _) = post("/switches", json!({ "scope": "all", "name": "", "reason": "b" })).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(edge.switches.off().is_empty());
    let (status, said) = post("/switches", json!({ "scope": "kind/tax", "name": "a", "reason": "b" })).await;
    assert_eq!(status, StatusCode::OK, "{said}");
    let id = said["switch"]["id"].as_str().unwrap().to_owned();
    let (_, listed) = ask(&routes, Method::GET, "/switches", Some(KEY), Value::Null).await;
    assert_eq!((listed["off"].to_string(), &listed["switches"][0]["id"]), (r#"["kind/tax"]"#.to_owned(), &json!(id)));
    assert!(
        readiness(&edge).reasons.iter().any(|r| r.reason == "switched_off" && r.about.as_deref() == Some("kind/tax"))
    );
    let path = format!("/switches/{id}/clear");
    assert_eq!(post(&path, json!({ "name": "a", "reason": "" })).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(post(&path, json!({ "name": "a", "reason": "b" })).await.0, StatusCode::OK);
    assert_eq!(post(&path, json!({ "name": "a", "reason": "b" })).await.0, StatusCode::CONFLICT);
    assert_eq!(post("/switches/S-1/clear", json!({ "name": "a", "reason": "b" })).await.0, StatusCode::NOT_FOUND);
    assert!(edge.switches.off().is_empty());
}
