//! Writes a proposal down as a commented configuration. What only a person can know is a line that ends in `# EDIT: ...`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use sekisho_issuance::answer::{Charset, Format};

use super::flow::{Operation, Role, Town, What, value};
use super::lookups::Lookup;
use super::paper;
use super::presence;
use super::read::{All, Place, Seen};

/// A configuration, and what is left to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// The file.
    pub text: String,
    /// Lines that only a person can fill in.
    pub edits: usize,
    /// What could not be proposed, for lack of evidence.
    pub missing: Vec<String>,
}

/// The mark of a line that only a person can fill in.
pub(super) const EDIT: &str = "# EDIT:";

pub(super) struct Writer<'w> {
    pub(super) all: &'w All<'w>,
    pub(super) town: &'w Town,
    pub(super) text: String,
    pub(super) missing: Vec<String>,
    dialects: BTreeMap<(&'static str, &'static str), String>,
}

/// A TOML string.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

pub(super) fn write(all: &All<'_>, town: &Town) -> Proposal {
    let mut dialects: BTreeMap<(&str, &str), String> = BTreeMap::new();
    for (format, charset) in all.seen.iter().filter_map(|seen| seen.dialect) {
        if (format, charset) == (Format::Json, Charset::Utf8) {
            continue;
        }
        let others = dialects.keys().filter(|(known, _)| *known == format.name()).count();
        let name = if others == 0 { format.name().to_owned() } else { format!("{}_{}", format.name(), others + 1) };
        dialects.entry((format.name(), charset.name())).or_insert(name);
    }
    let mut writer = Writer { all, town, text: String::new(), missing: Vec::new(), dialects };
    writer.head();
    writer.tenants();
    writer.dialects();
    writer.backends();
    town.lookups.iter().for_each(|lookup| writer.lookup(lookup));
    let mut names = BTreeSet::new();
    town.operations.iter().for_each(|operation| writer.route(operation, &mut names));
    let Writer { text, missing, .. } = writer;
    let edits = text.lines().filter(|line| line.contains(EDIT)).count();
    Proposal { text, edits, missing }
}

impl Writer<'_> {
    pub(super) fn line(&mut self, text: impl AsRef<str>) {
        self.text.push_str(text.as_ref());
        self.text.push('\n');
    }

    fn head(&mut self) {
        let count = self.all.seen.len();
        self.line(format!(
            "# Proposed from {count} recorded exchange(s). Each part says how sure it is and why: high = seen in every exchange of its\n\
             # kind and in at least two, low = seen once or by its name alone. Lines with `EDIT` are yours: nothing recorded can tell them.\n\
             # Next: `sekisho-gateway check --config F`, then observe, then enforce (gateway/docs/guide.md).\n\n\
             version = 1\n\
             mode    = \"observe\"   {EDIT} \"enforce\" once nothing good is counted as withheld any more\n\n\
             [server]\nlisten = \"127.0.0.1:8080\"   {EDIT} where kiosks shall connect; add `tls = {{ identity, key_file, clients }}` beyond this machine\n\
             [metrics]\nlisten = \"127.0.0.1:9641\"\n[admin]\nlisten = \"127.0.0.1:9640\"\n\
             [state]\ndir = \"sekisho-state\"   {EDIT} a directory of its own on a local disk, such as /var/lib/sekisho\n\
             [clock]\nwitness = \"/run/systemd/timesync/synchronized\"   {EDIT} the file that this machine's time service touches, or `trusted = true`"
        ));
    }

    fn tenants(&mut self) {
        let papers = self.all.seen.iter().filter_map(|seen| Some((self.town.visit(seen)?, seen.paper.as_ref()?)));
        let named: Vec<(String, Option<String>)> = papers
            .filter_map(|(visit, paper)| {
                let code = visit.get(&Role::Municipality)?.clone();
                let name = paper::MUNICIPALITY.iter().find_map(|pattern| paper::found(&paper.document, pattern));
                Some((code, name))
            })
            .collect();
        for code in &self.town.municipalities {
            let names: BTreeSet<&str> =
                named.iter().filter(|(c, _)| c == code.as_str()).filter_map(|(_, name)| name.as_deref()).collect();
            let (name, sure) = match names.iter().next() {
                Some(name) if names.len() == 1 => ((*name).to_owned(), "high: as its certificates print it"),
                Some(name) => ((*name).to_owned(), "low: its certificates print several"),
                None => (code.to_string(), "unknown: no certificate of it was recorded"),
            };
            self.line(format!(
                "\n[tenants.{code}]\nname    = {}   # {sure}\nenabled = false   {EDIT} true, once its checks have been observed\n\
                 hours   = \"06:30-23:00\"   {EDIT} when it issues; codes that begin with 99 may say \"always\"",
                quoted(&name)
            ));
        }
        let in_sessions = self.town.learned.contains_key(&Role::Session) || self.town.by_connection;
        if !in_sessions && self.all.seen.iter().any(|seen| seen.paper.is_some()) {
            let why = "no session was found: no answer gives out a value that the requests for certificates after it carry. A certificate is only \
                       issued inside a session, which ties it to one card at one kiosk. If kiosks number their card presences, write the request \
                       that begins one as an `open` route with `session` among its `facts`, and `session` into the `facts` of each certificate; \
                       if nothing tells one card presence from the next, let the kiosk's connection stand in for it, `session = { connection = true }`: then each \
                       request must say kiosk, card and municipality, and a kiosk connects anew for each person. That is proposed where they do and an \
                       authority was asked for the same cards";
            self.missing.push(why.to_owned());
        }
        if self.town.municipalities.is_empty() {
            self.missing.push("no municipality code was found in the requests that open a session".to_owned());
        }
    }

    fn dialects(&mut self) {
        let namespaces: Vec<String> =
            self.all.prefixes.declared().map(|(prefix, uri)| format!("{prefix} = {}", quoted(uri))).collect();
        for ((format, charset), name) in self.dialects.clone() {
            let with =
                if format == "xml" { format!("\nnamespaces = {{ {} }}", namespaces.join(", ")) } else { String::new() };
            self.line(format!(
                "\n[dialects.{name}]   # high: what was recorded declares it, and reads so without an error\n\
                 charset = {}\nformat  = {}{with}",
                quoted(charset),
                quoted(format)
            ));
        }
    }

    fn backends(&mut self) {
        let mut servers: Vec<_> = self.town.front.iter().map(|front| ("issuer".to_owned(), front.clone())).collect();
        for lookup in &self.town.lookups {
            if !servers.iter().any(|(_, known)| *known == lookup.server) {
                let number = if servers.len() < 2 { String::new() } else { servers.len().to_string() };
                servers.push((format!("residents{number}"), lookup.server.clone()));
            }
        }
        for (name, server) in servers {
            let tls = self.all.seen.iter().any(|seen| seen.exchange.server == server && seen.exchange.tls);
            let scheme = if tls { "https" } else { "http" };
            self.line(format!("\n[backends.{name}]\naddress       = \"{scheme}://{server}\"   # high: as recorded"));
            if tls {
                self.line(format!("tls           = {{ servers = \"{name}-ca.pem\" }}   {EDIT} the authority that signs its TLS identity"));
            }
            match name.as_str() {
                "issuer" => self.line(format!(
                    "max_in_flight = 4   {EDIT} how many requests it bears at once\n[backends.issuer.hazards]\n\
                     settle_after_timeout = \"60s\"   # the longest it may still write after we gave up; shorter only if its vendor says so\n\
                     fresh_connections    = true    # a connection for each call, until it is known that it never mixes answers up"
                )),
                _ => self.line("max_in_flight = 16"),
            }
        }
    }

    fn backend(&self, lookup: &Lookup) -> String {
        if Some(&lookup.server) == self.town.front.as_ref() {
            return "issuer".to_owned();
        }
        let mut others: Vec<&_> = Vec::new();
        for one in self.town.lookups.iter().filter(|one| Some(&one.server) != self.town.front.as_ref()) {
            if !others.contains(&&one.server) {
                others.push(&one.server);
            }
        }
        let at = others.iter().position(|server| **server == lookup.server).unwrap_or(0);
        if at == 0 { "residents".to_owned() } else { format!("residents{}", at + 1) }
    }

    pub(super) fn dialect(&self, seen: &Seen<'_>) -> Option<&str> {
        let (format, charset) = seen.dialect?;
        self.dialects.get(&(format.name(), charset.name())).map(String::as_str)
    }

    /// A place as an extractor.
    pub(super) fn extractor(
        &self,
        place: &Place,
        seen: &Seen<'_>,
        path: &[Option<String>],
        operation: Option<&Operation>,
    ) -> String {
        match place {
            Place::Header(name) => format!("{{ header = {} }}", quoted(name)),
            Place::Path(at) => format!("{{ path = {} }}", quoted(&param(*at, path, operation))),
            Place::Query(name) => format!("{{ query = {} }}", quoted(name)),
            Place::Body(text) => {
                let key = seen.dialect.map_or("json", |(format, _)| format.key());
                format!("{{ {key} = {} }}", quoted(text))
            }
        }
    }

    fn lookup(&mut self, lookup: &Lookup) {
        let Some(sample) = self.all.seen.get(lookup.sample) else { return };
        let fact = format!("{{{}}}", lookup.by.fact());
        let count = lookup.exchanges;
        let mut out = format!(
            "\n[lookups.{}]   # {}: {count} exchange(s) ask by what a kiosk's visit is about\nbackend = {}\n",
            lookup.name,
            sure(count, count),
            quoted(&self.backend(lookup))
        );
        if let Some(dialect) = self.dialect(sample) {
            let _ = writeln!(out, "dialect = {}", quoted(dialect));
        }
        let segments = sample.segments.iter().enumerate();
        let path: String = segments
            .map(
                |(at, segment)| if lookup.asks == Place::Path(at) { format!("/{fact}") } else { format!("/{segment}") },
            )
            .collect();
        let asked = value(&sample.asked, &lookup.asks).unwrap_or_default();
        let query = if sample.exchange.query.is_empty() {
            String::new()
        } else {
            format!("?{}", sample.exchange.query.replace(asked, &fact))
        };
        let _ = writeln!(
            out,
            "timeout = \"2s\"\n[lookups.{}.request]\nmethod = {}\npath   = {}",
            lookup.name,
            quoted(&sample.exchange.method),
            quoted(&(path + &query))
        );
        let action = sample.exchange.headers.iter().find(|(name, _)| name == "soapaction");
        if let Some((_, action)) = action {
            let _ = writeln!(out, "headers = {{ SOAPAction = {} }}", quoted(action));
        }
        let charset = sample.dialect.map(|(_, charset)| charset).unwrap_or_default();
        if let (Place::Body(_), Ok(body)) = (&lookup.asks, charset.decode(&sample.exchange.body)) {
            let _ = writeln!(out, "body   = {}", quoted(&body.replace(asked, &fact)));
        }
        let _ = writeln!(out, "[lookups.{}.fields]", lookup.name);
        for (field, (place, fits)) in &lookup.fields {
            let why = match *field {
                "version" => "low: by its name and its form; it must grow with every change of the record".to_owned(),
                "id" | "card" | "municipality" => {
                    format!("{}: the value asked for, in {fits} of {count}", sure(*fits, count))
                }
                _ => format!("{}: what certificates print, in {fits} of {count}", sure(*fits, count)),
            };
            let _ = writeln!(out, "{field} = {}   # {why}", self.extractor(place, sample, &lookup.path, None));
        }
        self.text.push_str(&out);
    }

    fn route(&mut self, operation: &Operation, names: &mut BTreeSet<String>) {
        let exchanges: Vec<&Seen<'_>> = operation.exchanges.iter().filter_map(|n| self.all.seen.get(*n)).collect();
        let Some(first) = exchanges.iter().find(|s| s.paper.is_some()).or(exchanges.first()).copied() else { return };
        let count = exchanges.len();
        let name = unique(names, name(operation));
        let word = match operation.what {
            What::Open => "open",
            What::Close => "close",
            What::Issue(_) => "issue",
            What::Inquire => "inquire",
            What::Amend => "amend",
            What::Pass => "pass",
        };
        if operation.what == What::Pass && !self.town.is_for_everybody(operation, &exchanges) {
            self.missing.push(format!(
                "{} /{}: what it does could not be told; an undeclared path is refused",
                operation.method,
                first.segments.join("/")
            ));
            return;
        }
        let path: String = operation
            .path
            .iter()
            .enumerate()
            .map(|(at, segment)| match segment {
                Some(literal) => format!("/{literal}"),
                None => format!("/{{{}}}", param(at, &operation.path, Some(operation))),
            })
            .collect();
        let by_connection = self.town.by_connection && presence::speaks(operation);
        if let Some(role) = presence::unsaid(operation).filter(|_| by_connection) {
            self.missing.push(format!(
                "{} {path}: where the connection is the session, each request must say the {}; an undeclared path is refused",
                operation.method,
                role.fact()
            ));
            return;
        }
        let mut out = format!(
            "\n[routes.{name}]   # {}: {count} exchange(s)\nmatch     = {}\n",
            sure(count, count),
            quoted(&format!("{} {path}", operation.method))
        );
        let mut put = |text: String| {
            out.push_str(&text);
            out.push('\n');
        };
        if let Some((place, word)) = &operation.when {
            let key = first.dialect.map_or("json", |(format, _)| format.key());
            put(format!(
                "when      = {{ {key} = {}, in = [{}] }}   # high: tells the kinds of certificate apart in all of them",
                quoted(place),
                quoted(word)
            ));
        }
        if let Some(dialect) = self.dialect(first) {
            put(format!("dialect   = {}", quoted(dialect)));
        }
        put(format!("operation = {}", quoted(word)));
        match operation.what {
            What::Issue(Some(kind)) => {
                put(format!("kind      = {}   # high: its title, {}", quoted(kind.name()), kind.title()))
            }
            What::Issue(None) => {
                put(format!("kind      = \"resident_record\"   {EDIT} no known title was found on it"))
            }
            _ => {}
        }
        put("backend   = \"issuer\"".to_owned());
        put("timeout   = \"10s\"".to_owned());
        if operation.what == What::Pass {
            put(format!("media_types = [{}]", quoted(first.media_type.as_deref().unwrap_or("text/plain"))));
            self.text.push_str(&out);
            return;
        }
        if first.exchange.headers.iter().any(|(name, _)| name == "soapaction") {
            put("request_headers = [\"SOAPAction\"]".to_owned());
        }
        let open = operation.what == What::Open;
        let by_card = self.town.lookups.iter().any(|lookup| lookup.name == "card");
        let proven = by_connection || matches!(operation.what, What::Open | What::Issue(_));
        if proven && by_card {
            put("authority = { lookup = \"card\" }".to_owned());
        } else if matches!(operation.what, What::Issue(_)) {
            put(format!(
                "authority = \"trusted_source\"   {EDIT} nobody was recorded who says whose card it is: record a lookup by card"
            ));
            self.missing.push("no answer of an authority was recorded that says whose card it is".to_owned());
        }
        put(format!("[routes.{name}.facts]"));
        if by_connection {
            put(format!(
                "session = {{ connection = true }}   {EDIT} nothing names a card presence: kiosks connect anew for each person"
            ));
        }
        let through_session = |role: Role| {
            !open && operation.says.contains_key(&Role::Session) && matches!(role, Role::Card | Role::Municipality)
        };
        for (role, (place, fits)) in operation.says.iter().filter(|(role, _)| !through_session(**role)) {
            let why = match by_connection && *role == Role::Kiosk && !presence::named(place) {
                true => "low: several people's requests say the same there, and it is not called a kiosk".to_owned(),
                false => format!("{}: {fits} of {count}", sure(*fits, count)),
            };
            put(format!(
                "{} = {}   # {why}",
                role.fact(),
                self.extractor(place, first, &operation.path, Some(operation))
            ));
        }
        let key = first.exchange.headers.iter().find(|(name, _)| name.contains("idempotency"));
        if operation.what == What::Amend {
            match key {
                Some((header, _)) => {
                    put(format!("idempotency_key = {{ header = {} }}   # low: by its name", quoted(header)))
                }
                None => {
                    let places = operation.says.values().map(|(place, _)| place).collect::<Vec<_>>();
                    let changed = first.asked.iter().find(|leaf| matches!(&leaf.place, Place::Body(text) if !places.contains(&&leaf.place) && text.to_ascii_lowercase().contains("key")));
                    if let Some(leaf) = changed {
                        put(format!(
                            "idempotency_key = {}   # low: by its name",
                            self.extractor(&leaf.place, first, &operation.path, Some(operation))
                        ));
                    } else {
                        self.missing.push(format!(
                            "routes.{name}: what makes two requests the same change (`idempotency_key`)"
                        ));
                    }
                }
            }
        }
        if open {
            put(format!("[routes.{name}.learn]"));
            for (role, (place, fits)) in &self.town.learned {
                let why = format!("{}: comes again in {fits} request(s) that follow", sure(*fits, *fits));
                put(format!("{} = {}   # {why}", role.fact(), self.extractor(place, first, &operation.path, None)));
            }
        }
        self.text.push_str(&out);
        self.fetch(&name, operation, &exchanges);
        self.checks(&name, operation, &exchanges);
        self.refusals(&name, operation, &exchanges);
    }
}

/// A code, and nothing that could be about anybody.
pub(super) fn is_word(value: &str) -> bool {
    value.len() <= 8 && value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

pub(super) fn sure(fits: usize, count: usize) -> &'static str {
    match (fits, count) {
        (fits, count) if fits == count && fits >= 2 => "high",
        (fits, count) if fits * 2 > count => "fair",
        _ => "low",
    }
}

/// The name of a variable segment.
fn param(at: usize, path: &[Option<String>], operation: Option<&Operation>) -> String {
    let role = operation.and_then(|operation| operation.says.iter().find(|(_, (place, _))| *place == Place::Path(at)));
    match role {
        Some((role, _)) => role.fact().to_owned(),
        None => format!("v{}", path.iter().take(at + 1).filter(|segment| segment.is_none()).count()),
    }
}

fn name(operation: &Operation) -> String {
    let text = match (operation.what, &operation.message) {
        (What::Open, _) => "session_open".to_owned(),
        (What::Close, _) => "session_close".to_owned(),
        (What::Issue(Some(kind)), _) => kind.name().to_owned(),
        (_, Some(message)) => message.clone(),
        _ => operation.path.iter().rev().flatten().next().cloned().unwrap_or_else(|| "root".to_owned()),
    };
    let plain: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).take(40).collect();
    let verb = operation.method.to_ascii_lowercase();
    match operation.what {
        What::Inquire | What::Amend | What::Pass if operation.message.is_none() => format!("{plain}_{verb}"),
        _ => plain,
    }
}

fn unique(names: &mut BTreeSet<String>, name: String) -> String {
    let several = (2..).map(|n| format!("{name}_{n}"));
    let free = std::iter::once(name.clone()).chain(several).find(|name| !names.contains(name)).unwrap_or(name);
    names.insert(free.clone());
    free
}

pub(super) fn papers_bytes(exchanges: &[&Seen<'_>]) -> (usize, usize) {
    let sizes = exchanges.iter().filter(|s| s.paper.is_some()).map(|s| s.last.answer.len());
    sizes.fold((usize::MAX, 0), |(least, most), size| (least.min(size), most.max(size)))
}

/// Bounds with room on both sides.
pub(super) fn sizes((least, most): (usize, usize)) -> String {
    format!("[\"{}KiB\", \"{}KiB\"]", (least / 8192).max(1), (most * 8 / 1024).clamp(64, 8192))
}
