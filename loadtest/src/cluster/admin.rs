//! An operator at the admin listener: sees latches and clears them, as the command line does.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::kiosk::Line;

/// A latch that is set.
#[derive(Debug, Clone, Deserialize)]
pub struct OpenLatch {
    /// Its name.
    pub id: String,
    /// What it suspends: `991007/tax`, or a kiosk.
    pub scope: String,
    /// What was kept of the answer that set it.
    pub evidence: String,
    /// Present once somebody cleared it.
    #[serde(default)]
    pub cleared: Option<Value>,
}

/// The admin listener, with the key of the state directory.
pub struct Admin {
    line: Line,
    key: String,
}

impl Admin {
    /// Speaks to `address`.
    pub fn new(address: SocketAddr, key: String) -> Self {
        Self { line: Line::to(address), key }
    }

    /// Every latch that was ever set and is still listed.
    pub async fn latches(&mut self) -> anyhow::Result<Vec<OpenLatch>> {
        let listed = self.ask(Method::GET, "/latches", None).await?;
        let list = listed.get("latches").cloned().unwrap_or(listed);
        serde_json::from_value(list).context("the list of latches")
    }

    /// Those that nobody cleared yet.
    pub async fn open_latches(&mut self) -> anyhow::Result<Vec<OpenLatch>> {
        Ok(self.latches().await?.into_iter().filter(|latch| latch.cleared.is_none()).collect())
    }

    /// Every municipality, as `sekisho-gateway tenants` lists it.
    pub async fn tenants(&mut self) -> anyhow::Result<Vec<Value>> {
        let listed = self.ask(Method::GET, "/tenants", None).await?;
        listed.get("tenants").and_then(Value::as_array).cloned().context("the list of municipalities")
    }

    /// Clears one: with a name, a written reason, and the evidence that was looked at.
    pub async fn clear(&mut self, latch: &OpenLatch, name: &str, reason: &str) -> anyhow::Result<()> {
        let body = json!({ "name": name, "reason": reason, "evidence": latch.evidence });
        self.ask(Method::POST, &format!("/latches/{}/clear", latch.id), Some(body)).await.map(drop)
    }

    /// Opens a change bracket on one resident, once nothing runs for them; its number.
    pub async fn open_bracket(&mut self, municipality: &str, resident: &str) -> anyhow::Result<u64> {
        let body = json!({
            "municipality": municipality,
            "residents": [resident],
            "name": "load plan",
            "reason": "a batch that runs alongside",
            "lease": "20s",
        });
        let opened = self.ask(Method::POST, "/v1/brackets", Some(body)).await?;
        opened.pointer("/bracket/id").and_then(Value::as_u64).context("no number")
    }

    /// Says what the batch made of its resident.
    pub async fn close_bracket(&mut self, bracket: u64, version: u64) -> anyhow::Result<()> {
        let body = json!({ "version": version.to_string() });
        self.ask(Method::DELETE, &format!("/v1/brackets/{bracket}"), Some(body)).await.map(drop)
    }

    async fn ask(&mut self, method: Method, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "admin")
            .header("authorization", format!("Bearer {}", self.key));
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let reply = self.line.exchange(request.body(Full::new(body))?, Duration::from_secs(10)).await?;
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        ensure!(reply.status.is_success(), "{path}: {} {text}", reply.status);
        if text.is_empty() { Ok(Value::Null) } else { serde_json::from_str(&text).context(text) }
    }
}
