//! A real Prometheus that scrapes what is under test, so that queries are tried on real series.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::Value;

use super::process::Process;
use crate::kiosk::Line;

const PATIENCE: Duration = Duration::from_secs(30);

/// A running Prometheus with its own data directory.
pub struct Prometheus {
    _process: Process,
    line: Line,
}

impl Prometheus {
    /// Scrapes `target` four times a second and evaluates `rules` as often. `program` is usually `prometheus`.
    pub async fn start(program: &Path, dir: &Path, target: SocketAddr, rules: &[PathBuf]) -> anyhow::Result<Self> {
        // Prometheus cannot tell us which port it got.
        let listen = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut configuration =
            String::from("global: {scrape_interval: 250ms, evaluation_interval: 250ms}\nrule_files:\n");
        for rule in rules {
            configuration.push_str(&format!("  - {}\n", rule.canonicalize()?.display()));
        }
        configuration.push_str(&format!(
            "scrape_configs:\n  - job_name: sekisho\n    static_configs: [{{targets: ['{target}']}}]\n"
        ));
        let file = dir.join("prometheus.yml");
        std::fs::write(&file, configuration)?;
        let arguments = [
            format!("--config.file={}", file.display()),
            format!("--storage.tsdb.path={}", dir.join("tsdb").display()),
            format!("--web.listen-address={listen}"),
        ];
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut process = Process::start("prometheus", program, &arguments, &dir.join("prometheus.log"))?;
        process.until(PATIENCE, async || is_ready(listen).await.then_some(())).await?;
        let mut prometheus = Self { _process: process, line: Line::to(listen) };
        prometheus.until("up == 1", |result| !result.is_empty()).await.context("nothing was scraped")?;
        Ok(prometheus)
    }

    /// The instant vector (or scalar) that `expression` gives now.
    pub async fn query(&mut self, expression: &str) -> anyhow::Result<Vec<Value>> {
        let data =
            self.get(&format!("/api/v1/query?query={}", escape(expression))).await.context(expression.to_owned())?;
        match data.pointer("/resultType").and_then(Value::as_str) {
            Some("vector" | "matrix") => {
                Ok(data.pointer("/result").and_then(Value::as_array).cloned().unwrap_or_default())
            }
            _ => Ok(data.pointer("/result").cloned().into_iter().collect()),
        }
    }

    /// Asks until the result is as wanted.
    pub async fn until(&mut self, expression: &str, wanted: impl Fn(&[Value]) -> bool) -> anyhow::Result<Vec<Value>> {
        let started = tokio::time::Instant::now();
        loop {
            // A server that has just begun to listen says 503 for a while.
            match self.query(expression).await {
                Ok(result) if wanted(&result) => return Ok(result),
                Ok(result) if started.elapsed() > PATIENCE => bail!("`{expression}` stayed {result:?}"),
                Err(error) if started.elapsed() > PATIENCE => return Err(error),
                Ok(_) | Err(_) => {}
            }
            // Only another scrape changes the result, and Prometheus does not tell when one was made.
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    /// Every rule that was loaded: kind (`alerting` or `recording`), name and expression.
    pub async fn rules(&mut self) -> anyhow::Result<Vec<(String, String, String)>> {
        let data = self.get("/api/v1/rules").await?;
        let groups = data.pointer("/groups").and_then(Value::as_array).cloned().unwrap_or_default();
        let rules = groups.iter().filter_map(|group| group.get("rules")?.as_array()).flatten();
        let text = |rule: &Value, key: &str| rule.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(rules.map(|rule| (text(rule, "type"), text(rule, "name"), text(rule, "query"))).collect())
    }

    async fn get(&mut self, path: &str) -> anyhow::Result<Value> {
        let request = Request::get(path).header("host", "prometheus").body(Full::<Bytes>::default())?;
        let reply = self.line.exchange(request, PATIENCE).await?;
        let body: Value = serde_json::from_slice(&reply.body)?;
        match body.get("status").and_then(Value::as_str) {
            Some("success") => body.get("data").cloned().context("an answer without data"),
            _ => bail!("{body}"),
        }
    }
}

async fn is_ready(address: SocketAddr) -> bool {
    let request = Request::get("/-/ready").header("host", "prometheus").body(Full::<Bytes>::default());
    let Ok(request) = request else { return false };
    Line::to(address).exchange(request, PATIENCE).await.is_ok_and(|reply| reply.status.is_success())
}

/// The value of one sample of an instant vector, or of a scalar.
pub fn value(sample: &Value) -> Option<f64> {
    sample.get("value").unwrap_or(sample).get(1)?.as_str()?.parse().ok()
}

fn escape(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_survives_the_query_string() {
        assert_eq!(escape("a{b=\"c\"} > 0"), "a%7Bb%3D%22c%22%7D%20%3E%200");
    }
}
