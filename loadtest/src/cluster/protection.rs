//! The gateway's configuration for a town: the worked one of the demonstration, with this town's addresses in it.

use std::net::SocketAddr;

use anyhow::Context;
use toml::{Table, Value};

use super::town::Town;
use crate::dialect::Dialect;

/// The configuration that the README explains.
const WORKED: &str = include_str!("../../demo/gateway.toml");
/// The same for kiosks and a backend that speak SOAP in Shift_JIS.
const WORKED_SOAP: &str = include_str!("../../demo/gateway-soap.toml");
/// The same for kiosks and a backend that speak forms, and certificates that are jobs.
const WORKED_FORM: &str = include_str!("../../demo/gateway-form.toml");

/// The worked configuration in front of `town`, listening on free ports.
pub fn protecting(town: &Town) -> anyhow::Result<Table> {
    let worked = match town.dialect() {
        Dialect::Json => WORKED,
        Dialect::Soap => WORKED_SOAP,
        Dialect::Form => WORKED_FORM,
    };
    let mut table: Table = worked.parse()?;
    for listener in ["server", "metrics", "admin"] {
        section(&mut table, listener)?.insert("listen".to_owned(), "127.0.0.1:0".into());
    }
    let backends = section(&mut table, "backends")?;
    for (name, address) in [("issuer", town.issuer()), ("residents", town.records())] {
        redirect(backends, name, address)?;
    }
    Ok(table)
}

fn redirect(backends: &mut Table, name: &str, address: SocketAddr) -> anyhow::Result<()> {
    section(backends, name)?.insert("address".to_owned(), format!("http://{address}").into());
    Ok(())
}

fn section<'a>(table: &'a mut Table, name: &str) -> anyhow::Result<&'a mut Table> {
    let value = table.entry(name.to_owned()).or_insert_with(|| Value::Table(Table::new()));
    value.as_table_mut().with_context(|| format!("`{name}` is not a table"))
}

/// The configuration with `check` switched off on every route that has it by name or by default.
pub fn without_check(mut table: Table, check: &str) -> Table {
    let routes = table.get_mut("routes").and_then(Value::as_table_mut);
    for (_, route) in routes.into_iter().flat_map(|routes| routes.iter_mut()) {
        let issues = route.get("operation").and_then(Value::as_str) == Some("issue");
        let Some(checks) = route.get_mut("checks").and_then(Value::as_table_mut) else { continue };
        if issues || checks.contains_key(check) {
            checks.insert(check.to_owned(), Value::Boolean(false));
        }
        // A route without proof of currency must say so: the comparison with the record is the other proof.
        if issues && matches!(check, "version" | "identity") {
            checks.insert("currency".to_owned(), "unproven".into());
        }
    }
    table
}

/// Whether the gateway refuses to run without `check`, by name. Mistakes that do not name it are ours, and an error: a gateway
/// that does not start for a wrong reason would look like a refusal.
pub fn is_refused_without(check: &str) -> anyhow::Result<bool> {
    let text = toml::to_string(&without_check(WORKED.parse()?, check))?;
    let Err(mistakes) = sekisho_gateway::config::parse(&text) else { return Ok(false) };
    if mistakes.iter().any(|mistake| mistake.key.split('.').any(|part| part == check)) {
        return Ok(true);
    }
    let all: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    anyhow::bail!("the configuration without `{check}` is wrong elsewhere: {}", all.join("; "))
}

/// The same checks with time-outs for a run in which something hangs all the time: seconds where the worked configuration
/// has tens of them, and room for many calls at once.
pub fn brisk(mut table: Table) -> Table {
    let each = |table: &mut Table, kind: &str, change: &dyn Fn(&mut Table)| {
        let sections = table.get_mut(kind).and_then(Value::as_table_mut).into_iter().flat_map(|t| t.iter_mut());
        sections.filter_map(|(_, section)| section.as_table_mut()).for_each(change);
    };
    each(&mut table, "routes", &|route| {
        route.insert("timeout".to_owned(), "2s".into());
        route.insert("max_run".to_owned(), "3s".into());
    });
    each(&mut table, "lookups", &|lookup| {
        lookup.insert("timeout".to_owned(), "800ms".into());
    });
    each(&mut table, "backends", &|backend| {
        backend.insert("max_in_flight".to_owned(), 96.into());
        if let Some(hazards) = backend.get_mut("hazards").and_then(Value::as_table_mut) {
            hazards.remove("tick_spacing");
            hazards.insert("settle_after_timeout".to_owned(), "200ms".into());
        }
    });
    table
}
