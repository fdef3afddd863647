//! `[target]`: whom a plan may load. Any host that it does not allow is refused: nobody loads production by a typo.

use std::fmt;

use http::Uri;

use super::section::{Placed, Section};
use super::source::Findings;

/// An address as `http://host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Name or number.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Path; `/` where none was written.
    pub path: String,
}

impl Address {
    /// Reads `http://host[:port][/path]`. `Err` says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let uri: Uri = text.parse().map_err(|_| format!("`{text}` is no URL"))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return Err("speaks TLS, which this load tester does not yet".to_owned()),
            _ => return Err(format!("`{text}` is no URL that begins with http://")),
        }
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| format!("`{text}` names no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) || uri.query().is_some() {
            return Err(format!("`{text}` holds more than host, port and path"));
        }
        Ok(Self { host, port: uri.port_u16().unwrap_or(80), path: uri.path().to_owned() })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        write!(f, "http://{host}:{}{}", self.port, self.path.trim_end_matches('/'))
    }
}

/// Whom the plan loads. Without an address the load tester starts a simulated backend and a gateway itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Target {
    /// Where kiosks ask.
    pub url: Option<Address>,
    /// Hosts that may be loaded.
    pub allow: Vec<String>,
    /// Where the gateway's counters are.
    pub metrics: Option<Address>,
}

const THIS_MACHINE: [&str; 3] = ["127.0.0.1", "::1", "localhost"];

impl Target {
    /// Whether the plan lets anybody load this host.
    pub fn allows(&self, host: &str) -> bool {
        self.allow.iter().any(|allowed| allowed.eq_ignore_ascii_case(host))
    }

    /// The target of the command line in place of the plan's. `Err` says what is wrong.
    pub fn aim(&mut self, url: &str) -> Result<(), String> {
        let address = Address::parse(url)?;
        if !self.allows(&address.host) {
            return Err(refused(&address.host, &self.allow));
        }
        if self.url.as_ref().is_some_and(|planned| *planned != address) {
            // Counters of another gateway would reconcile with nothing.
            self.metrics = None;
        }
        self.url = Some(address);
        Ok(())
    }
}

fn refused(host: &str, allow: &[String]) -> String {
    format!("host `{host}` is not in target.allow ({}), so it is not loaded", allow.join(", "))
}

pub(super) fn read(root: &mut Section<'_>, found: &mut Findings<'_>) -> Target {
    let this_machine = || THIS_MACHINE.map(str::to_owned).to_vec();
    let Some(mut section) = root.section(found, "target", "{ url = \"http://127.0.0.1:18080\" }") else {
        return Target { allow: this_machine(), ..Target::default() };
    };
    let url = section.text(found, "url", "http://gateway.stage.example:8080");
    let allow = section.texts(found, "allow", "allow = [\"gateway.stage.example\"]");
    let metrics = section.text(found, "metrics", "http://gateway.stage.example:9641/metrics");
    section.finish(found);
    let allow = allow.map_or_else(this_machine, |hosts| hosts.iter().map(|host| host.value.to_owned()).collect());
    let mut address = |text: Option<Placed<&str>>| {
        let text = text?;
        match Address::parse(text.value) {
            Ok(address) if allow.iter().any(|host| host.eq_ignore_ascii_case(&address.host)) => Some(address),
            Ok(address) => {
                text.wrong(found, refused(&address.host, &allow), format!("allow = [\"{}\"]", address.host));
                None
            }
            Err(wrong) => {
                text.wrong(found, wrong, "http://gateway.stage.example:8080");
                None
            }
        }
    };
    let (url, metrics) = (address(url), address(metrics));
    Target { url, allow, metrics }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_loaded_is_an_address() {
        let plain = Address::parse("http://Gateway.example").unwrap();
        assert_eq!((plain.host.as_str(), plain.port, plain.path.as_str()), ("gateway.example", 80, "/"));
        assert_eq!(Address::parse("http://[::1]:9/metrics").unwrap().to_string(), "http://[::1]:9/metrics");
        for wrong in ["gateway:80", "https://gateway", "ftp://x", "http://", "http://u@h/", "http://h/?q"] {
            assert!(Address::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_host_that_is_not_allowed_is_not_aimed_at() {
        let mut target = Target { allow: vec!["stage.example".into()], ..Target::default() };
        assert!(target.aim("http://prod.example/").unwrap_err().contains("stage.example"));
        assert_eq!(target.url, None);
        assert!(target.aim("http://STAGE.example:81/").is_ok());
        assert_eq!(target.url.unwrap().port, 81);
    }
}
