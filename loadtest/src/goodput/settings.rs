//! What is swept of a peer's configuration: knobs with their values, in the words of that peer. Measures nothing.

use super::contestant::Against;

/// One value of a knob.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Value {
    /// As the table names it.
    pub(super) label: &'static str,
    /// What stands in the configuration; `{rate}` is `factor` of the capacity.
    text: &'static str,
    factor: f64,
}

/// A place of a configuration, and what may stand there; the first is tried first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Knob {
    pub(super) name: &'static str,
    pub(super) values: &'static [Value],
}

const fn value(label: &'static str, text: &'static str) -> Value {
    Value { label, text, factor: 1.0 }
}

const fn plain(text: &'static str) -> Value {
    value(text, text)
}

const fn share(label: &'static str, text: &'static str, factor: f64) -> Value {
    Value { label, text, factor }
}

const HAPROXY: &[Knob] = &[
    Knob { name: "maxconn", values: &[plain("16"), plain("12"), plain("20"), plain("24")] },
    Knob { name: "queue", values: &[plain("2000ms"), plain("1000ms"), plain("2500ms")] },
    Knob {
        name: "door",
        values: &[
            value("none", "# New sessions are let into the queue whatever its length."),
            value("queue < 16", HAPROXY_DOOR_16),
            value("queue < 4", HAPROXY_DOOR_4),
        ],
    },
];
const HAPROXY_DOOR_16: &str = "http-request return status 503 content-type application/json string '{\"error\":{\"code\":\"BUSY\",\"reason\":\"door\"}}' if opens { queue(issuer) ge 16 }";
const HAPROXY_DOOR_4: &str = "http-request return status 503 content-type application/json string '{\"error\":{\"code\":\"BUSY\",\"reason\":\"door\"}}' if opens { queue(issuer) ge 4 }";

const NGINX_DOOR: &str = "limit_req zone=door burst=4 nodelay;";
const NGINX: &[Knob] = &[
    Knob {
        name: "door",
        values: &[
            share("90 % of capacity", NGINX_DOOR, 0.9),
            value("none", ""),
            share("80 % of capacity", NGINX_DOOR, 0.8),
            share("100 % of capacity", NGINX_DOOR, 1.0),
        ],
    },
    Knob { name: "inside", values: &[plain("20"), plain("16"), plain("24"), plain("32")] },
];

const ENVOY_DOOR: &str = "door: { \"@type\": type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit, \
    stat_prefix: door, status: { code: ServiceUnavailable }, \
    token_bucket: { max_tokens: 8, tokens_per_fill: 8, fill_interval: {eight}s }, \
    filter_enabled: { default_value: { numerator: 100 } }, filter_enforced: { default_value: { numerator: 100 } } }";
const ENVOY: &[Knob] = &[
    Knob {
        name: "opens",
        values: &[
            value(
                "not counted",
                "concurrency: { \"@type\": type.googleapis.com/envoy.config.route.v3.FilterConfig, disabled: true },",
            ),
            value("counted", ""),
        ],
    },
    Knob {
        name: "door",
        values: &[
            share("90 % of capacity", ENVOY_DOOR, 0.9),
            value("none", ""),
            share("80 % of capacity", ENVOY_DOOR, 0.8),
        ],
    },
    Knob { name: "ceiling", values: &[plain("24"), plain("16"), plain("64")] },
    Knob {
        name: "min_rtt",
        values: &[
            value("fixed 100 ms", "fixed_value: 0.1s,"),
            value("fixed 80 ms", "fixed_value: 0.08s,"),
            value("measured every 60 s", "interval: 60s, request_count: 50,"),
        ],
    },
    Knob { name: "buffer", values: &[plain("25"), plain("10")] },
];

impl Against {
    /// What is swept of it.
    pub(super) fn knobs(self) -> &'static [Knob] {
        match self {
            Self::Haproxy => HAPROXY,
            Self::Nginx => NGINX,
            Self::Envoy => ENVOY,
            Self::None | Self::Sekisho => &[],
        }
    }

    /// Its configuration with places.
    pub(super) fn template(self) -> &'static str {
        match self {
            Self::Haproxy => include_str!("../../peers/goodput/haproxy.cfg"),
            Self::Nginx => include_str!("../../peers/goodput/nginx.conf"),
            Self::Envoy => include_str!("../../peers/goodput/envoy.yaml"),
            Self::None | Self::Sekisho => "",
        }
    }
}

/// One value for every knob of a peer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Setting(Vec<(Knob, Value)>);

impl Setting {
    /// The first value of each.
    pub(super) fn first(peer: Against) -> Self {
        Self(peer.knobs().iter().filter_map(|knob| Some((*knob, *knob.values.first()?))).collect())
    }

    /// The same with every other value of that knob.
    pub(super) fn variants(&self, knob: usize) -> Vec<Self> {
        let Some((turned, present)) = self.0.get(knob) else { return Vec::new() };
        let others = turned.values.iter().filter(|value| *value != present);
        let with = |value: &Value| {
            let knobs = self.0.iter().enumerate();
            Self(knobs.map(|(at, (of, set))| (*of, if at == knob { *value } else { *set })).collect())
        };
        others.map(with).collect()
    }

    /// How many knobs there are.
    pub(super) fn knobs(&self) -> usize {
        self.0.len()
    }

    /// What is put into the places of the template.
    pub(super) fn places(&self, capacity_per_second: f64) -> Vec<(String, String)> {
        let mut places = Vec::new();
        // nginx declares its zone in any case.
        let mut rate = capacity_per_second;
        for (knob, value) in &self.0 {
            let of = capacity_per_second * value.factor;
            rate = if value.factor < 1.0 { of } else { rate };
            places.push((knob.name.to_owned(), value.text.replace("{eight}", &format!("{:.4}", 8.0 / of.max(0.1)))));
        }
        places.push(("rate".to_owned(), format!("{:.0}", rate.max(1.0))));
        places
    }
}

impl std::fmt::Display for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all: Vec<String> = self.0.iter().map(|(knob, value)| format!("{} {}", knob.name, value.label)).collect();
        f.write_str(&all.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEERS: [Against; 3] = [Against::Haproxy, Against::Nginx, Against::Envoy];

    #[test]
    fn every_knob_has_its_place_in_the_template_and_every_place_is_filled() {
        let addresses = ["listen", "backend", "host", "port", "backend_host", "backend_port", "dir"];
        for peer in PEERS {
            let lines = peer.template().lines().filter(|line| !line.trim_start().starts_with('#'));
            let mut text = lines.collect::<Vec<_>>().join("\n");
            for (name, value) in Setting::first(peer).places(100.0) {
                let place = format!("{{{name}}}");
                assert!(text.contains(&place) || name == "rate", "{peer:?} has no place for {name}");
                text = text.replace(&place, &value);
            }
            let left = addresses.iter().fold(text, |text, name| text.replace(&format!("{{{name}}}"), ""));
            let open = left.split('{').skip(1).find(|rest| {
                rest.split_once('}').is_some_and(|(word, _)| {
                    !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
                })
            });
            assert_eq!(open, None, "{peer:?}");
        }
    }

    #[test]
    fn variants_differ_in_one_knob() {
        let first = Setting::first(Against::Haproxy);
        let variants = first.variants(0);
        assert_eq!(variants.len(), 3);
        assert!(variants.iter().all(|variant| variant.0[1..] == first.0[1..] && variant.0[0] != first.0[0]));
        assert!(first.variants(9).is_empty());
    }

    #[test]
    fn a_share_of_the_capacity_is_computed_from_what_was_measured() {
        let places = Setting::first(Against::Nginx).places(150.0);
        assert!(places.contains(&("rate".to_owned(), "135".to_owned())), "{places:?}");
        let places = Setting::first(Against::Envoy).places(160.0);
        assert!(places.iter().any(|(_, text)| text.contains("fill_interval: 0.0556s")), "{places:?}");
    }

    /// The words that make a peer's program read its configuration and stop.
    fn checks(peer: Against) -> &'static [&'static str] {
        match peer {
            Against::Haproxy => &["-c", "-f"],
            Against::Nginx => &["-t", "-c"],
            _ => &["--mode", "validate", "-l", "error", "-c"],
        }
    }

    #[test]
    fn every_setting_is_one_that_the_peer_itself_accepts() {
        let dir = tempfile::tempdir().unwrap();
        for peer in PEERS {
            let Ok(Some(program)) = peer.program(None) else {
                let required = std::env::var_os("SEKISHO_REQUIRE_TOOLS").is_some() && peer != Against::Envoy;
                assert!(!required, "{} is required: apt-get install haproxy nginx-light", peer.name());
                eprintln!("skipped: {} is not installed", peer.name());
                continue;
            };
            let first = Setting::first(peer);
            let variants = (0..first.knobs()).flat_map(|knob| first.variants(knob));
            for setting in std::iter::once(first.clone()).chain(variants) {
                let own = ["listen", "backend"].map(|name| (name.to_owned(), "127.0.0.1:1".to_owned()));
                let host = ["host", "backend_host"].map(|name| (name.to_owned(), "127.0.0.1".to_owned()));
                let port = ["port", "backend_port"].map(|name| (name.to_owned(), "1".to_owned()));
                let place = [("dir".to_owned(), dir.path().display().to_string())];
                let places = setting.places(150.0).into_iter().chain(own).chain(host).chain(port).chain(place);
                let fill = |text: String, (name, value): (String, String)| text.replace(&format!("{{{name}}}"), &value);
                let file = dir.path().join("peer.yaml");
                std::fs::write(&file, places.fold(peer.template().to_owned(), fill)).unwrap();
                let checked = std::process::Command::new(&program).args(checks(peer)).arg(&file).output().unwrap();
                let said = String::from_utf8_lossy(&checked.stderr);
                assert!(checked.status.success(), "{} with {setting}: {said}", peer.name());
            }
        }
    }
}
