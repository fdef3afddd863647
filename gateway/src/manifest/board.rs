//! What is known of every backend, asked by each request and again before its release. Remembers nothing over a restart.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::seen::Seen;
use super::{Field, Manifest, NotRead, Source, Standing, State, Unattested};
use crate::config::{Backend, Config};
use crate::route::Route;
use crate::tenant::Tenant;

/// Where the kernel says what this machine is called.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

type Board = BTreeMap<Arc<str>, Seen>;

/// What is known of every backend.
#[derive(Debug)]
pub struct Manifests {
    seen: ArcSwap<Board>,
    applied: Mutex<Applied>,
    readings: watch::Sender<u64>,
    machine: Arc<str>,
}

/// What was made of it, by backend: the build whose hazards are in force, and what the log said last.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    pub(super) builds: BTreeMap<Arc<str>, Option<Arc<str>>>,
    pub(super) said: BTreeMap<Arc<str>, String>,
}

impl Default for Manifests {
    fn default() -> Self {
        let name = std::fs::read_to_string(HOST_NAME).unwrap_or_default();
        Self::on(name.trim())
    }
}

impl Manifests {
    fn on(machine: &str) -> Self {
        Self {
            seen: ArcSwap::default(),
            applied: Mutex::default(),
            readings: watch::Sender::new(0),
            machine: machine.into(),
        }
    }

    /// What this machine is called; empty where the kernel does not say, and then it is none that anybody names.
    pub fn machine(&self) -> &str {
        &self.machine
    }

    /// Moves on with every reading, once it holds.
    pub fn readings(&self) -> watch::Receiver<u64> {
        self.readings.subscribe()
    }

    /// What `name` is known to be now.
    pub fn state(&self, name: &str, source: &Source, now: Instant) -> State {
        self.seen.load().get(name).map_or(State::Unread, |seen| seen.state(source, now))
    }

    /// The build that `backend` is known to be now.
    pub(crate) fn build(&self, name: &str, backend: &Backend, now: Instant) -> Option<Arc<str>> {
        self.state(name, backend.manifest.as_deref()?, now).field(Field::Build).cloned()
    }

    /// How `tenant` stands to the backends that would answer on `route`.
    pub fn vouch(
        &self,
        tenant: &Tenant,
        route: &Route,
        backends: &BTreeMap<Arc<str>, Backend>,
        now: Instant,
    ) -> Result<Standing, Unattested> {
        if tenant.allow.is_none() && tenant.machine.is_none() {
            return Ok(Standing::Unasked);
        }
        if tenant.machine.as_deref().is_some_and(|machine| machine != &*self.machine) {
            return Err(Unattested::OtherMachine);
        }
        let mut standing = Standing::Unasked;
        for name in route.backends() {
            let backend = backends.get(name).ok_or(Unattested::Missing)?;
            let Some(source) = &backend.manifest else {
                match tenant.allow.is_some() && name == &*route.backend {
                    true => return Err(Unattested::Missing),
                    false => continue,
                }
            };
            let state = self.state(name, source, now);
            if state.field(Field::ExclusiveTo).is_some_and(|machine| **machine != *self.machine) {
                return Err(Unattested::OtherMachine);
            }
            if let Some(allow) = &tenant.allow {
                standing = standing.max(allow.judge(name, &state, |build| backend.has_shield(build))?);
            }
        }
        Ok(standing)
    }

    /// The same on every route at once: the first that says no.
    pub fn vouch_everywhere(&self, tenant: &Tenant, config: &Config, now: Instant) -> Result<Standing, Unattested> {
        let speaks = |route: &&Arc<Route>| route.operation.speaks_of_resident();
        let mut each =
            config.routes.iter().filter(speaks).map(|route| self.vouch(tenant, route, &config.backends, now));
        each.try_fold(Standing::Unasked, |standing, next| next.map(|next| standing.max(next)))
    }

    /// The same at the release of an answer that was asked for at `since`: a backend that changed meanwhile may have been another.
    pub(crate) fn vouch_since(
        &self,
        tenant: &Tenant,
        route: &Route,
        backends: &BTreeMap<Arc<str>, Backend>,
        since: Instant,
    ) -> Result<Standing, Unattested> {
        let standing = self.vouch(tenant, route, backends, Instant::now())?;
        let seen = self.seen.load();
        let changed = |name: &str| seen.get(name).and_then(Seen::changed_at).is_some_and(|at| at >= since);
        if tenant.allow.is_some() && route.backends().any(changed) {
            return Err(Unattested::Changed);
        }
        Ok(standing)
    }

    /// Whether every backend that answers about residents attests that it lets in this machine alone.
    pub fn are_exclusive(&self, config: &Config, now: Instant) -> bool {
        let answering = config.routes.iter().filter(|route| route.operation.speaks_of_resident());
        answering.map(|route| &route.backend).all(|name| {
            let source = config.backends.get(name).and_then(|backend| backend.manifest.as_deref());
            let state = source.map(|source| self.state(name, source, now));
            state.as_ref().and_then(|state| state.field(Field::ExclusiveTo)).is_some_and(|to| **to == *self.machine)
        })
    }

    /// Held while what is known, or the configuration, is put in force: one at a time.
    pub(crate) fn applying(&self) -> MutexGuard<'_, Applied> {
        self.applied.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what was read of servers that `new` does not ask in the same way, or not at the same address. Under [`Self::applying`].
    pub(crate) fn keep(&self, old: &Config, new: &Config, now: Instant) {
        let mut board = Board::clone(&self.seen.load());
        board.retain(|name, _| new.backends.contains_key(name));
        for (name, backend) in &new.backends {
            let same = |old: &Backend| old.authority == backend.authority && old.manifest == backend.manifest;
            if !old.backends.get(name).is_some_and(same) {
                board.insert(name.clone(), Seen::of_another(now));
            }
        }
        self.seen.store(Arc::new(board));
    }

    /// One more reading. What it comes to is handed to `first` before anybody is asked by it. Under [`Self::applying`].
    pub(super) fn take(
        &self,
        name: &Arc<str>,
        source: &Source,
        read: Result<Manifest, NotRead>,
        now: Instant,
        first: impl FnOnce(&State),
    ) {
        let mut board = Board::clone(&self.seen.load());
        let seen = board.entry(name.clone()).or_default();
        seen.take(read, source, now);
        first(&seen.state(source, now));
        self.seen.store(Arc::new(board));
        self.readings.send_modify(|count| *count += 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::tests::CONFIG;
    use crate::manifest::tests::manifest;

    const ATTESTS: &str = r#"
        [backends.issuer.manifest]
        request = { path = "/version" }
        fields  = { build = { json = "/build" }, exclusive_to = { header = "X-Only" } }
    "#;

    fn config(tenant: &str, more: &str) -> Config {
        let text = CONFIG.replace("[tenants.991007]", &format!("[tenants.991007]\n{tenant}")) + more;
        crate::config::parse(&text).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
    }

    fn vouch(manifests: &Manifests, config: &Config) -> Result<Standing, Unattested> {
        let tenant = config.tenants.values().next().unwrap();
        manifests.vouch_everywhere(tenant, config, Instant::now())
    }

    fn says(manifests: &Manifests, config: &Config, fields: &[(Field, &str)]) {
        let source = config.backends["issuer"].manifest.clone().unwrap();
        manifests.take(&"issuer".into(), &source, Ok(manifest(fields)), Instant::now(), |_| {});
    }

    #[test]
    fn a_municipality_names_the_machine_and_only_the_backend_can_prove_it() {
        let here = Manifests::on("gw-1");
        assert_eq!(vouch(&here, &config("", "")), Ok(Standing::Unasked));
        assert_eq!(vouch(&here, &config("machine = \"gw-1\"", "")), Ok(Standing::Unasked));
        assert_eq!(vouch(&here, &config("machine = \"gw-2\"", "")), Err(Unattested::OtherMachine));
        assert_eq!(vouch(&Manifests::on(""), &config("machine = \"gw-1\"", "")), Err(Unattested::OtherMachine));
        let config = config("machine = \"gw-1\"", ATTESTS);
        assert!(!here.are_exclusive(&config, Instant::now()), "declared, not proven");
        says(&here, &config, &[(Field::Build, "p"), (Field::ExclusiveTo, "gw-1")]);
        assert!(here.are_exclusive(&config, Instant::now()));
        says(&here, &config, &[(Field::Build, "p"), (Field::ExclusiveTo, "gw-2")]);
        assert_eq!(vouch(&here, &config), Err(Unattested::OtherMachine));
    }

    #[test]
    fn a_backend_that_answers_must_attest_and_one_that_only_vouches_need_not() {
        let here = Manifests::on("gw-1");
        let list = "backend = { allow = [{ build = \"p07\" }] }";
        let config = config(list, ATTESTS);
        assert_eq!(vouch(&here, &config), Err(Unattested::Unread));
        says(&here, &config, &[(Field::Build, "p07")]);
        assert_eq!(vouch(&here, &config), Ok(Standing::Allowed), "the records system attests nothing");
        says(&here, &config, &[(Field::Build, "p06")]);
        assert_eq!(vouch(&here, &config), Err(Unattested::NotAllowed));
        // Only the other one attests.
        let other = config_of_the_other(list);
        assert_eq!(vouch(&here, &other), Err(Unattested::Missing));
    }

    fn config_of_the_other(list: &str) -> Config {
        config(list, &ATTESTS.replace("issuer", "residents"))
    }

    #[test]
    fn a_reload_that_asks_another_server_forgets_what_the_first_one_said() {
        let here = Manifests::on("gw-1");
        let list = "backend = { allow = [{ build = \"p07\" }] }";
        let (old, same) = (config(list, ATTESTS), config(&format!("contact = \"x\"\n{list}"), ATTESTS));
        says(&here, &old, &[(Field::Build, "p07")]);
        here.keep(&old, &same, Instant::now());
        assert_eq!(vouch(&here, &same), Ok(Standing::Allowed));
        let moved = CONFIG.replacen("http://127.0.0.1:9", "http://127.0.0.1:10", 1);
        let moved = moved.replace("[tenants.991007]", &format!("[tenants.991007]\n{list}")) + ATTESTS;
        let moved = crate::config::parse(&moved).unwrap();
        let before = Instant::now();
        here.keep(&same, &moved, before);
        assert_eq!(vouch(&here, &moved), Err(Unattested::Unread));
        says(&here, &moved, &[(Field::Build, "p07")]);
        let tenant = moved.tenants.values().next().unwrap();
        let route = moved.routes.get("inquiry").unwrap();
        let since = here.vouch_since(tenant, route, &moved.backends, before);
        assert_eq!(since, Err(Unattested::Changed), "it was asked of the other server");
        let later = here.vouch_since(tenant, route, &moved.backends, Instant::now());
        assert_eq!(later, Ok(Standing::Allowed));
    }
}
