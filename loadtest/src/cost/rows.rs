//! What is compared: one row for each load, and which of the two gateways answers it.

use toml::{Table, Value};

use super::measure::Load;

/// How a gateway is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gate {
    /// The worked configuration: a version probe before and after each answer that speaks of a resident.
    Probes,
    /// The same but for the inquiry, which is judged by what the answer itself says: no probe, no comparison with the
    /// resident-record system.
    ChecksOnly,
    /// The worked configuration but for its certificates, whose answers echo the request in a header: their backend connections
    /// may serve again, as the peers' do.
    Reused,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) load: Load,
    pub(super) style: &'static str,
    pub(super) gate: Gate,
}

/// Every row.
pub(super) const ROWS: [Row; 6] = [
    Row { name: "JSON inquiry, probes before and after", load: Load::Record, style: "embedded", gate: Gate::Probes },
    Row { name: "JSON inquiry, checks only, no probe", load: Load::Record, style: "embedded", gate: Gate::ChecksOnly },
    Row { name: "PDF, embedded subset", load: CERTIFICATE, style: "embedded", gate: Gate::Probes },
    Row { name: "PDF, embedded, reused connection", load: CERTIFICATE, style: "embedded", gate: Gate::Reused },
    Row { name: "PDF, 90ms-RKSJ-H", load: CERTIFICATE, style: "shift-jis", gate: Gate::Probes },
    Row { name: "PDF, UniJIS-UCS2-H", load: CERTIFICATE, style: "ucs2", gate: Gate::Probes },
];

const CERTIFICATE: Load = Load::Certificate("resident-record");

/// `configuration` on so many threads, for `gate`.
pub(super) fn configured(mut configuration: Table, gate: Gate, threads: usize) -> anyhow::Result<Table> {
    if let Some(server) = configuration.get_mut("server").and_then(Value::as_table_mut) {
        server.insert("threads".to_owned(), i64::try_from(threads)?.into());
    }
    if gate == Gate::ChecksOnly {
        let inquiry = configuration.get_mut("routes").and_then(|routes| routes.get_mut("inquiry"));
        if let Some(inquiry) = inquiry.and_then(Value::as_table_mut) {
            let checks: Table = CHECKS_ONLY.parse()?;
            inquiry.insert("checks".to_owned(), checks.into());
        }
    }
    if gate == Gate::Reused {
        let certificate = configuration.get_mut("routes").and_then(|routes| routes.get_mut("resident_record"));
        if let Some(certificate) = certificate.and_then(Value::as_table_mut) {
            certificate.insert("fresh_connections".to_owned(), false.into());
        }
    }
    Ok(configuration)
}

/// The answer echoes the request, names the resident and says its version, which may not be behind what was acknowledged here.
const CHECKS_ONLY: &str = r#"
echo = { json = "/requestId" }
version = false
as_of = { json = "/version" }
identity = { enough = [["id"]], fields = { id = { json = "/id" } } }
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_configurations_are_accepted_and_only_one_asks_the_record_system_about_an_inquiry() {
        let worked: Table = include_str!("../../demo/gateway.toml").parse().unwrap();
        for (gate, asks) in [(Gate::Probes, true), (Gate::ChecksOnly, false), (Gate::Reused, true)] {
            let text = toml::to_string(&configured(worked.clone(), gate, 1).unwrap()).unwrap();
            let config = sekisho_gateway::config::parse(&text).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
            assert_eq!(config.listeners.server.threads, Some(1));
            let inquiry = config.routes.get("inquiry").unwrap();
            assert_eq!((inquiry.lookup.is_some(), inquiry.lookup_after), (asks, asks));
            let certificate = config.routes.get("resident_record").unwrap();
            assert!(certificate.lookup.is_some() && certificate.lookup_after);
            assert_eq!(certificate.echoed, gate == Gate::Reused, "only what is echoed may use a connection again");
        }
    }
}
