//! Takes a new configuration over, whole or not at all. A broken file changes nothing and is reported.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use sekisho_issuance::id::MunicipalityCode;

use crate::config::{self, Config, Mistake};
use crate::edge::Edge;
use crate::registry::name;
use crate::route::{Mode, Route, Segment};
use crate::tenant::Tenant;

/// Why the old configuration stays in force.
#[derive(Debug, thiserror::Error)]
pub enum NotReloaded {
    /// The file could not be read.
    #[error("cannot read the file: {0}")]
    Unreadable(#[from] std::io::Error),
    /// The file has mistakes.
    #[error("the file has {} mistakes; the first: {}", .0.len(), .0.first().map(ToString::to_string).unwrap_or_default())]
    Mistakes(Vec<Mistake>),
    /// The file changes what only a restart can change.
    #[error("`{0}` can only be changed by a restart")]
    Fixed(&'static str),
    /// The file would only observe what is enforced.
    #[error(
        "`routes.{route}` is enforced for {} and the file would only observe it: what fails a check would leave. \
         No reload does that; restart with the file if it is meant", .municipality.as_str()
    )]
    Weaker {
        /// Which route.
        route: String,
        /// For whom.
        municipality: MunicipalityCode,
    },
    /// The file would let any build or any machine serve.
    #[error(
        "only listed builds, or one machine, may serve {} and the file would let any. \
         No reload does that; restart with the file if it is meant", .municipality.as_str()
    )]
    AnyBuild {
        /// Whom.
        municipality: MunicipalityCode,
    },
    /// The file would let fewer persons clear a latch.
    #[error(
        "a latch of {} is cleared by more persons than the file asks for. \
         No reload does that; restart with the file if it is meant", .municipality.as_str()
    )]
    FewerApprovers {
        /// Whose.
        municipality: MunicipalityCode,
    },
}

/// What was enforced since start, whatever was removed and added again in between.
#[derive(Debug, Default)]
pub struct Enforced(Mutex<Strictest>);

#[derive(Debug, Default)]
struct Strictest {
    /// What is checked, by method and path, and municipality.
    checked: HashSet<(String, MunicipalityCode)>,
    /// Of how many persons the word clears a latch.
    approvers: HashMap<MunicipalityCode, usize>,
    /// Whom only listed builds may serve.
    listed: HashSet<MunicipalityCode>,
    /// Whom only one machine may serve.
    on_machine: HashSet<MunicipalityCode>,
}

impl Enforced {
    /// What `config` enforces.
    pub fn of(config: &Config) -> Self {
        let enforced = Self::default();
        enforced.add(config);
        enforced
    }

    /// Remembers what `config` enforces.
    pub fn add(&self, config: &Config) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.checked.extend(
            modes(config).filter(|(_, _, mode)| *mode == Mode::Enforce).map(|(route, code, _)| (shape(route), code)),
        );
        for tenant in config.tenants.values() {
            let most = known.approvers.entry(tenant.code).or_default();
            *most = tenant.approvers.max(*most);
        }
        known.listed.extend(config.tenants.values().filter(|t| t.allow.is_some()).map(|t| t.code));
        known.on_machine.extend(config.tenants.values().filter(|t| t.machine.is_some()).map(|t| t.code));
    }

    /// The first that `config` would only observe, let any build serve, or ask fewer persons for.
    fn weakened(&self, config: &Config) -> Result<(), NotReloaded> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let observed = modes(config).filter(|(_, _, mode)| *mode == Mode::Observe);
        let observed = observed.map(|(route, code, _)| (route, (shape(route), code)));
        if let Some((route, (_, municipality))) = observed.into_iter().find(|(_, pair)| known.checked.contains(pair)) {
            return Err(NotReloaded::Weaker { route: route.name.to_string(), municipality });
        }
        let any = |tenant: &&Arc<Tenant>| {
            (tenant.allow.is_none() && known.listed.contains(&tenant.code))
                || (tenant.machine.is_none() && known.on_machine.contains(&tenant.code))
        };
        if let Some(municipality) = config.tenants.values().filter(any).map(|tenant| tenant.code).min() {
            return Err(NotReloaded::AnyBuild { municipality });
        }
        let fewer = |tenant: &&Arc<Tenant>| known.approvers.get(&tenant.code).is_some_and(|n| tenant.approvers < *n);
        match config.tenants.values().filter(fewer).map(|tenant| tenant.code).min() {
            Some(municipality) => Err(NotReloaded::FewerApprovers { municipality }),
            None => Ok(()),
        }
    }
}

fn modes(config: &Config) -> impl Iterator<Item = (&Route, MunicipalityCode, Mode)> {
    let of = |route| config.tenants.values().map(move |tenant| (route, tenant.code, tenant.mode));
    config
        .routes
        .iter()
        .flat_map(move |route| of(&**route))
        .map(|(route, code, mode)| (route, code, mode.max(route.mode)))
}

/// A route by what it matches: its name may change.
fn shape(route: &Route) -> String {
    let segment = |segment: &Segment| match segment {
        Segment::Literal(text) => format!("/{text}"),
        Segment::Param(_) => "/{}".to_owned(),
    };
    let when = route.when.as_ref().map(|when| when.values.join(" ")).unwrap_or_default();
    format!("{} {} {when}", route.method, route.path.iter().map(segment).collect::<String>())
}

/// Reads a configuration file.
pub fn read(path: &Path) -> Result<Config, NotReloaded> {
    let bytes = std::fs::read(path)?;
    let text =
        String::from_utf8(bytes).map_err(|_| std::io::Error::new(std::io::ErrorKind::InvalidData, "is not UTF-8"))?;
    config::parse_in(&text, Some(path.parent().unwrap_or(Path::new(".")))).map_err(NotReloaded::Mistakes)
}

/// Lets each municipality whose file is broken, or would only observe what is enforced, keep the policy that is in force.
fn keep_last_good(new: &mut Config, edge: &Edge) {
    let old = edge.config();
    let broken: Vec<_> = new.tenant_files.broken.keys().filter_map(|name| config::code_of(name)).collect();
    for code in broken {
        if let (Some(tenant), false) = (old.tenants.get(&code), new.tenants.contains_key(&code)) {
            new.tenants.insert(code, tenant.clone());
        }
    }
    while let Err(why) = edge.enforced.weakened(new) {
        let (municipality, advice) = match why {
            NotReloaded::Weaker { municipality, .. } => (municipality, "mode = \"enforce\""),
            NotReloaded::AnyBuild { municipality } => (municipality, "backend = { allow = [...] }, machine = ..."),
            NotReloaded::FewerApprovers { municipality } => (municipality, "latch = { approvers = 2 }"),
            _ => return,
        };
        if !new.tenant_files.loaded.remove(&municipality) {
            return;
        }
        let name = format!("{municipality}.toml");
        new.tenant_files.broken.insert(name.clone(), vec![config::about(&name, &why.to_string(), advice)]);
        match old.tenants.get(&municipality) {
            Some(tenant) => new.tenants.insert(municipality, tenant.clone()),
            None => new.tenants.remove(&municipality),
        };
    }
}

/// Says which files of municipalities were not taken over, and why.
pub fn say_broken(config: &Config) {
    for (file, mistakes) in &config.tenant_files.broken {
        mistakes
            .iter()
            .for_each(|mistake| tracing::error!(file, %mistake, "the file of a municipality was not taken over"));
    }
}

/// Puts the file at `path` in force, or says in log and metric why not.
pub fn reload(edge: &Edge, path: &Path) -> Result<(), NotReloaded> {
    let gauge = edge.registry.gauge(name::RELOAD_SUCCESS, &[]);
    let new = read(path).and_then(|mut new| {
        keep_last_good(&mut new, edge);
        replaceable(edge, &new).map(|()| new)
    });
    match new {
        Ok(new) => {
            say_broken(&new);
            let digest = blake3::Hash::from(new.digest).to_hex();
            edge.replace_config(new);
            edge.not_reloaded.store(false, Ordering::Relaxed);
            gauge.set(1.0);
            tracing::info!(digest = %digest.get(..16).unwrap_or(""), "configuration reloaded");
            Ok(())
        }
        Err(why) => {
            edge.not_reloaded.store(true, Ordering::Relaxed);
            gauge.set(0.0);
            tracing::error!(%why, "configuration not reloaded; the old one stays in force");
            if let NotReloaded::Mistakes(mistakes) = &why {
                mistakes.iter().for_each(|mistake| tracing::error!(%mistake, "a mistake in the configuration"));
            }
            Err(why)
        }
    }
}

/// Whether kiosks must show a TLS identity. Facts that rest on it are read of connections that are open already.
fn asks_clients(server: &config::Server) -> bool {
    server.tls.as_ref().is_some_and(|tls| tls.asks_clients())
}

fn replaceable(edge: &Edge, config: &Config) -> Result<(), NotReloaded> {
    let current = edge.config();
    let (old, new) = (&current.listeners, &config.listeners);
    let fixed = [
        (old.server.listen != new.server.listen, "server.listen"),
        (old.server.threads != new.server.threads, "server.threads"),
        (old.metrics != new.metrics, "metrics.listen"),
        (old.admin != new.admin, "admin.listen"),
        (old.state_dir != new.state_dir, "state.dir"),
        (old.server.tls.is_some() != new.server.tls.is_some(), "server.tls"),
        (asks_clients(&old.server) != asks_clients(&new.server), "server.tls.clients"),
    ];
    match fixed.into_iter().find(|(changed, _)| *changed) {
        Some((_, key)) => Err(NotReloaded::Fixed(key)),
        None => edge.enforced.weakened(config),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::tests::{CONFIG, edge};

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[tokio::test]
    async fn a_broken_file_keeps_the_old_configuration_and_says_so() {
        let edge = edge();
        let before = edge.config();
        for broken in ["", "version = 2", "\0", &CONFIG.replace("timeout   = \"3s\"", "timeout   = 3")] {
            assert!(matches!(reload(&edge, file(broken).path()), Err(NotReloaded::Mistakes(_))), "{broken:?}");
            assert_eq!(edge.config().digest, before.digest);
            assert!(edge.registry.render().contains("\nsekisho_config_reload_success 0"));
        }
        assert!(matches!(reload(&edge, Path::new("/nonexistent/file")), Err(NotReloaded::Unreadable(_))));
        let moved = CONFIG.replace("127.0.0.1:0", "127.0.0.1:1");
        assert!(matches!(reload(&edge, file(&moved).path()), Err(NotReloaded::Fixed("server.listen"))));

        let good = CONFIG.replace("見本市", "見本町");
        reload(&edge, file(&good).path()).unwrap();
        assert_ne!(edge.config().digest, before.digest);
        assert!(edge.registry.render().contains("\nsekisho_config_reload_success 1"));
    }

    #[tokio::test]
    async fn a_municipality_whose_file_is_broken_or_weaker_keeps_its_last_good_policy_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, main) = (dir.path().join("tenants"), dir.path().join("gateway.toml"));
        std::fs::create_dir(&folder).unwrap();
        let write = |code: &str, text: &str| std::fs::write(folder.join(format!("{code}.toml")), text).unwrap();
        let observing = CONFIG.replacen("version = 1", "version = 1\nmode = \"observe\"", 1);
        let observing = observing.replace("[tenants.991007]", "[tenants.991007]\nmode = \"enforce\"");
        std::fs::write(&main, format!("{observing}\n[tenants]\ndir = \"tenants\"\n")).unwrap();
        let good = |name: &str| format!("name = \"{name}\"\nenabled = true\nmode = \"enforce\"");
        write("991015", &good("手本市"));
        write("991023", &good("例示市"));
        let edge = edge();
        reload(&edge, &main).unwrap();
        let name = |code: &str| edge.config().tenants[&MunicipalityCode::new(code).unwrap()].name.to_string();

        write("991015", "name = 1");
        write("991023", &good("例示町"));
        reload(&edge, &main).unwrap();
        assert_eq!((name("991015").as_str(), name("991023").as_str()), ("手本市", "例示町"));
        // What would only be observed is kept as it was enforced.
        write("991015", "name = \"手本町\"\nenabled = true");
        write("991023", &good("例示村"));
        reload(&edge, &main).unwrap();
        assert_eq!((name("991015").as_str(), name("991023").as_str()), ("手本市", "例示村"));
        assert_eq!(edge.config().tenant_files.broken.keys().collect::<Vec<_>>(), ["991015.toml"]);
        let readiness = crate::admin::readiness(&edge);
        assert!(readiness.reasons.iter().any(|r| r.reason == "tenant_file_broken"), "{readiness:?}");
        // A broken one that never had a good policy is not served.
        write("991031", "x");
        reload(&edge, &main).unwrap();
        assert!(!edge.config().tenants.contains_key(&MunicipalityCode::new("991031").unwrap()));
        write("991015", &good("手本町"));
        reload(&edge, &main).unwrap();
        assert_eq!(name("991015"), "手本町");
    }

    #[tokio::test]
    async fn a_reload_raises_the_number_of_approvers_and_never_lowers_it() {
        let edge = edge();
        let code = MunicipalityCode::new("991007").unwrap();
        let asking =
            |n: usize| CONFIG.replace("[tenants.991007]", &format!("[tenants.991007]\nlatch = {{ approvers = {n} }}"));
        reload(&edge, file(&asking(2)).path()).unwrap();
        assert_eq!(edge.config().tenants[&code].approvers, 2);
        for fewer in [CONFIG.to_owned(), asking(1)] {
            let refused = reload(&edge, file(&fewer).path());
            assert!(matches!(refused, Err(NotReloaded::FewerApprovers { .. })), "{refused:?}");
            assert_eq!(edge.config().tenants[&code].approvers, 2);
        }
        assert!(matches!(reload(&edge, file(&asking(3)).path()), Err(NotReloaded::Mistakes(_))));

        let dir = tempfile::tempdir().unwrap();
        let (folder, main) = (dir.path().join("tenants"), dir.path().join("gateway.toml"));
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(&main, format!("{}\n[tenants]\ndir = \"tenants\"\n", asking(2))).unwrap();
        let write = |n: usize| {
            let text = format!("name = \"手本市\"\nenabled = true\nlatch = {{ approvers = {n} }}");
            std::fs::write(folder.join("991015.toml"), text).unwrap();
        };
        let other = MunicipalityCode::new("991015").unwrap();
        for (n, holds, broken) in [(2, 2, 0), (1, 2, 1)] {
            write(n);
            reload(&edge, &main).unwrap();
            assert_eq!(edge.config().tenants[&other].approvers, holds);
            assert_eq!(edge.config().tenant_files.broken.len(), broken);
        }
    }

    /// A build that is on no list would serve from then on, and nobody would have decided it.
    #[tokio::test]
    async fn a_reload_never_drops_a_list_of_builds_or_the_one_machine() {
        const MANIFEST: &str = "\n[backends.issuer.manifest]\nrequest = { path = \"/version\" }\nfields = { build = { json = \"/build\" } }\n";
        let saying = |line: &str| CONFIG.replace("[tenants.991007]", &format!("[tenants.991007]\n{line}")) + MANIFEST;
        for (line, another) in [
            ("backend = { allow = [{ build = \"p07\" }] }", "backend = { allow = [{ build = \"p08\" }] }"),
            ("machine = \"gw-1\"", "machine = \"gw-2\""),
        ] {
            let edge = edge();
            reload(&edge, file(&saying(line)).path()).unwrap();
            let before = edge.config().digest;
            let refused = reload(&edge, file(&saying("")).path());
            assert!(matches!(refused, Err(NotReloaded::AnyBuild { .. })), "{line}: {refused:?}");
            assert_eq!(edge.config().digest, before);
            // Gone for a while, it was named all the same.
            reload(&edge, file(&saying(line).replace("991007", "991015")).path()).unwrap();
            assert!(reload(&edge, file(&saying("")).path()).is_err(), "{line}");
            reload(&edge, file(&saying(another)).path()).unwrap();
        }
        // A municipality's own file keeps it as it was, and nobody else is touched.
        let dir = tempfile::tempdir().unwrap();
        let (folder, main) = (dir.path().join("tenants"), dir.path().join("gateway.toml"));
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(&main, format!("{CONFIG}{MANIFEST}\n[tenants]\ndir = \"tenants\"\n")).unwrap();
        let edge = edge();
        for (line, broken) in [("backend = { allow = [{ build = \"p07\" }] }", 0), ("", 1)] {
            std::fs::write(folder.join("991015.toml"), format!("name = \"手本市\"\nenabled = true\n{line}")).unwrap();
            reload(&edge, &main).unwrap();
            assert!(edge.config().tenants[&MunicipalityCode::new("991015").unwrap()].allow.is_some());
            assert_eq!(edge.config().tenant_files.broken.len(), broken);
        }
    }

    #[tokio::test]
    async fn what_is_enforced_is_never_only_observed_after_a_reload() {
        let edge = edge();
        let observing = CONFIG.replacen("version = 1", "version = 1\nmode = \"observe\"", 1);
        let refused = |text: &str| matches!(reload(&edge, file(text).path()), Err(NotReloaded::Weaker { .. }));
        assert!(refused(&observing));
        assert!(refused(&observing.replace("[routes.inquiry", "[routes.renamed")), "a route is what it matches");
        // Gone for a while, it still was enforced.
        let without = CONFIG.replace("991007", "991015");
        reload(&edge, file(&without).path()).unwrap();
        assert!(refused(&observing));
        reload(&edge, file(CONFIG).path()).unwrap();
    }
}
