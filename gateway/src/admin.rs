//! The two listeners beside the kiosk side: metrics and probes for anybody, operations for whoever holds the admin key.
//!
//! Nothing here is on a request's way, and nothing here hands out a document.

mod brackets;
mod operate;
mod ready;
mod tenants;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post, put};
use serde_json::json;
use tokio::net::TcpListener;

use crate::edge::Edge;
use crate::state_dir::AdminKey;

pub use ready::{Readiness, Unready, readiness};

/// Longest body of an admin request.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// What the admin API works on.
#[derive(Clone)]
struct Admin {
    edge: Arc<Edge>,
    key: Arc<AdminKey>,
}

/// Serves `/metrics`, `/livez` and `/readyz`, and nothing else, until it is dropped: also while draining.
pub async fn serve_metrics(edge: Arc<Edge>, listener: TcpListener) -> std::io::Result<()> {
    axum::serve(listener, metrics_routes(edge)).await
}

/// Serves the admin API until it is dropped.
pub async fn serve_admin(edge: Arc<Edge>, key: AdminKey, listener: TcpListener) -> std::io::Result<()> {
    axum::serve(listener, admin_routes(edge, key)).await
}

/// The routes of the metrics listener.
pub fn metrics_routes(edge: Arc<Edge>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(readyz))
        .with_state(edge)
}

/// The routes of the admin listener. Each needs the key.
pub fn admin_routes(edge: Arc<Edge>, key: AdminKey) -> Router {
    let admin = Admin { edge, key: Arc::new(key) };
    Router::new()
        .route("/ready", get(operate::ready))
        .route("/latches", get(operate::latches))
        .route("/latches/{id}", get(operate::latch))
        .route("/latches/{id}/clear", post(operate::clear))
        .route("/tenants", get(operate::tenants))
        .route("/switches", get(operate::switches).post(operate::switch_off))
        .route("/switches/{id}/clear", post(operate::switch_on))
        .route("/requests/{id}", get(operate::explain))
        .route("/audit/looks", post(operate::look))
        .route("/lanes", get(operate::lanes))
        .route("/attempts/{number}/abandon", post(operate::abandon))
        .route("/backends", get(operate::backends))
        .route("/backends/{name}/drain", post(operate::drain))
        .route("/backends/{name}/resume", post(operate::resume))
        .route("/backends/{name}/limit", post(operate::limit))
        .layer(axum::extract::DefaultBodyLimit::max(MAX_BODY_BYTES))
        .merge(bracket_routes())
        .layer(middleware::from_fn_with_state(admin.clone(), authenticate))
        .with_state(admin)
}

fn bracket_routes() -> Router<Admin> {
    Router::new()
        .route("/v1/brackets", get(brackets::list).post(brackets::open))
        .route("/v1/brackets/{id}", get(brackets::show).delete(brackets::close))
        .route("/v1/brackets/{id}/renew", post(brackets::renew))
        .route("/v1/brackets/{id}/unknown", post(brackets::give_up))
        .route("/v1/feeds/{municipality}", put(brackets::feed))
        .layer(axum::extract::DefaultBodyLimit::max(brackets::MAX_BODY_BYTES))
}

/// `Authorization: Bearer <content of admin.key>`, compared in constant time. Nothing is said to whoever lacks it.
async fn authenticate(State(admin): State<Admin>, request: Request, next: Next) -> Response {
    let presented = request.headers().get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    match presented.and_then(|v| v.strip_prefix("Bearer ")) {
        Some(key) if admin.key.matches(key.trim()) => next.run(request).await,
        _ => {
            problem(StatusCode::UNAUTHORIZED, "the admin key is required: Authorization: Bearer <content of admin.key>")
        }
    }
}

async fn metrics(State(edge): State<Arc<Edge>>) -> Response {
    // Rendering is CPU work and must not hold up a thread that serves kiosks.
    let rendered = tokio::task::spawn_blocking(move || {
        ready::publish(&edge);
        edge.registry.render()
    });
    match rendered.await {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response(),
        Err(_) => problem(StatusCode::INTERNAL_SERVER_ERROR, "metrics could not be rendered"),
    }
}

async fn readyz(State(edge): State<Arc<Edge>>) -> Response {
    let readiness = readiness(&edge);
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness)).into_response()
}

/// An error of the admin API: not a kiosk's problem, so in one line of English.
fn problem(status: StatusCode, detail: impl std::fmt::Display) -> Response {
    (status, Json(json!({ "error": detail.to_string() }))).into_response()
}

#[cfg(test)]
mod tests;
