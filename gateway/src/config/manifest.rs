//! `[backends.X.manifest]`: how a backend says what it is; and `backend = { allow = [...] }`: what of that may serve a municipality.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use regex::Regex;
use sekisho_issuance::answer::Dialect;

use super::backends::Backend;
use super::dialects::{self, Dialects};
use super::listeners::bounded;
use super::lookups::{named, template};
use super::section::{Placed, Section};
use super::source::{Findings, did_you_mean};
use crate::manifest::{AllowList, Field, Manifest, Otherwise, Place, Row, Source};

/// Longer answers are cut off unless the file says otherwise.
const MAX_REPLY_BYTES: usize = 64 << 10;
/// Rows of one list.
const MAX_ROWS: usize = 1000;
const PLACES: &str =
    "{ json = \"/build\" }, { xml = \"//v:Build\" }, { header = \"X-Build\" } or { line = '^BUILD=(\\S+)$' }";

pub(super) fn source(section: &mut Section<'_>, dialects: &Dialects, found: &mut Findings) -> Option<Arc<Source>> {
    let before = found.mistakes.len();
    let mut table = section.section(found, "manifest")?;
    let dialect = dialects::of(&mut table, dialects, found);
    let request = match table.section(found, "request") {
        Some(request) => {
            let (span, key) = (request.span().clone(), request.path().to_owned());
            let template = template(request, &dialect, found);
            if let Some(fact) = template.as_ref().and_then(|template| template.facts().next()) {
                let what = format!("names `{{{}}}`, and nobody asks for anything here", fact.name());
                found.mistake(&span, key, what, "request = { path = \"/version\" }");
            }
            template
        }
        None => {
            let (span, key) = (table.span().clone(), table.key("request"));
            found.mistake(&span, key, "is missing", "request = { method = \"GET\", path = \"/version\" }");
            None
        }
    };
    let every = table.duration(found, "every", "60s").unwrap_or(Duration::from_secs(60));
    let timeout = table.duration(found, "timeout", "2s").unwrap_or(Duration::from_secs(2).min(every / 2));
    for (key, value) in [("every", every), ("timeout", timeout)] {
        if value.is_zero() {
            found.mistake(&table.place(key), table.key(key), "must be longer than nothing", "60s");
        }
    }
    if timeout >= every {
        let (span, key) = (table.place("timeout"), table.key("timeout"));
        found.mistake(&span, key, "must be shorter than `every`", "every = \"60s\", timeout = \"2s\"");
    }
    let max_response_bytes =
        bounded(table.size(found, "body_limit", "64KiB"), found, 1, 1 << 20).unwrap_or(MAX_REPLY_BYTES);
    let fields = table.section(found, "fields").map(|fields| self::fields(&fields, &dialect, found));
    if fields.as_ref().is_none_or(Vec::is_empty) && found.mistakes.len() == before {
        let (span, key) = (table.place("fields"), table.key("fields"));
        found.mistake(&span, key, "names nothing to read", "fields = { build = { json = \"/build\" } }");
    }
    table.finish(found);
    if found.mistakes.len() > before {
        found.broken.insert(section.key("manifest"));
        return None;
    }
    Some(Arc::new(Source { request: request?, every, timeout, max_response_bytes, fields: fields? }))
}

fn fields(table: &Section<'_>, dialect: &Dialect, found: &mut Findings) -> Vec<(Field, Place)> {
    let mut fields = Vec::new();
    for (name, value) in table.entries() {
        let Some(field) = field(&name, found) else { continue };
        let Some(entry) = value.get_ref().as_table() else {
            name.wrong(found, "must say where it stands", PLACES);
            continue;
        };
        let before = found.mistakes.len();
        let mut entry = Section::new(entry, name.key.clone(), value.span());
        let mut places: Vec<Place> =
            dialects::places(&mut entry, dialect, found).into_iter().map(Place::Body).collect();
        if let Some(placed) = entry.text(found, "header", "X-Build") {
            match HeaderName::from_bytes(placed.value.to_ascii_lowercase().as_bytes()) {
                Ok(header) => places.push(Place::Header(header)),
                Err(_) => placed.wrong(found, "is not a header name", "\"X-Build\""),
            }
        }
        if let Some(placed) = entry.text(found, "line", r"^BUILD=(\S+)$") {
            match Regex::new(placed.value) {
                Ok(line) if line.captures_len() == 2 => places.push(Place::Line(line)),
                Ok(_) => placed.wrong(found, "must have exactly one group: what is in it is the value", PLACES),
                Err(error) => placed.wrong(found, error.to_string().replace('\n', " "), PLACES),
            }
        }
        entry.finish(found);
        match (places.pop(), places.is_empty()) {
            (Some(place), true) => fields.push((field, place)),
            _ if found.mistakes.len() > before => {}
            _ => name.wrong(found, "must name exactly one place", PLACES),
        }
    }
    fields
}

fn field(name: &Placed<&str>, found: &mut Findings) -> Option<Field> {
    let field = Field::ALL.into_iter().find(|field| field.name() == name.value);
    if field.is_none() {
        let names = Field::ALL.map(Field::name);
        let near = did_you_mean(name.value, names).map_or(names.join(", "), str::to_owned);
        name.wrong(found, "is nothing that a backend attests", near);
    }
    field
}

/// `backend = { allow = [...], otherwise = ... }` of one municipality.
pub(super) fn allow_list(
    section: &mut Section<'_>,
    backends: &BTreeMap<Arc<str>, Backend>,
    found: &mut Findings,
) -> Option<AllowList> {
    const EXAMPLE: &str = "[{ build = \"V5.2-p07\", topology = \"1\" }]";
    let mut table = section.section(found, "backend")?;
    let before = found.mistakes.len();
    let mut rows = Vec::new();
    for mut row in table.tables(found, "allow", EXAMPLE) {
        let backend = row.text(found, "backend", "issuer");
        let backend =
            backend.and_then(|placed| named(&placed, backends, "backends", found).map(|(name, _)| name.clone()));
        let mut fields = Manifest::new();
        for field in Field::ALL {
            if let Some(value) = row.text(found, field.name(), "V5.2-p07") {
                if value.value.trim() != value.value || value.value.is_empty() {
                    value.wrong(found, "can never be attested so", "\"V5.2-p07\"");
                }
                let unknown = found.broken.iter().any(|key| key.starts_with("backends."));
                if !unknown && !attested(backends, backend.as_deref(), field) {
                    let advice = format!("fields = {{ {} = {{ ... }} }} in [backends.NAME.manifest]", field.name());
                    value.wrong(found, "is attested by no backend that this row is about", advice);
                }
                fields.insert(field, value.value.into());
            }
        }
        if fields.is_empty() {
            found.mistake(row.span(), row.path(), "allows everything: it names nothing that is attested", EXAMPLE);
        }
        row.finish(found);
        rows.push(Row { backend, fields });
    }
    if found.mistakes.len() == before && (rows.is_empty() || rows.len() > MAX_ROWS) {
        let (span, key) = (table.place("allow"), table.key("allow"));
        found.mistake(&span, key, format!("must have 1 to {MAX_ROWS} rows"), EXAMPLE);
    }
    let mut otherwise = Otherwise::Refuse;
    if let Some(placed) = table.text(found, "otherwise", "refuse") {
        match placed.value {
            "refuse" => {}
            "shield" if found.broken.is_empty() && backends.values().all(|backend| backend.shields.is_empty()) => {
                let advice = "hazards = [{ build = \"V5.2-p06\", max_in_flight = 1 }] in [backends.NAME]";
                placed.wrong(found, "has no shield to serve behind: no backend has hazards of a build", advice);
            }
            "shield" => otherwise = Otherwise::Shield,
            _ => placed.wrong(found, "must be `refuse` or `shield`", "otherwise = \"refuse\""),
        }
    }
    table.finish(found);
    Some(AllowList { rows, otherwise })
}

/// Whether `field` is read of `backend`, or of any.
fn attested(backends: &BTreeMap<Arc<str>, Backend>, backend: Option<&str>, field: Field) -> bool {
    let reads = |source: &Arc<Source>| source.fields.iter().any(|(read, _)| *read == field);
    let asked = backends.iter().filter(|(name, _)| backend.is_none_or(|backend| &***name == backend));
    asked.filter_map(|(_, backend)| backend.manifest.as_ref()).any(reads)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{Config, Mistake, parse};
    use crate::edge::tests::CONFIG;

    const MANIFEST: &str = "
[backends.issuer.manifest]
request = { path = \"/ver.txt\" }
fields  = { build = { line = '^BUILD=(\\S+)$' }, topology = { line = '^NODES=(\\d+)$' } }
every   = \"60s\"
";
    const SHIELDED: &str = "max_in_flight = 4
hazards = [{ settle_after_timeout = \"10s\" }, { build = \"p06\", max_in_flight = 1, tick_spacing = \"1s\" }, { build = \"p05\", settle_after_timeout = \"5s\", fresh_connections = true }]";

    fn text(tenant: &str, issuer: &str, manifest: &str) -> String {
        let tenant = format!("[tenants.991007]\n{tenant}");
        CONFIG.replace("[tenants.991007]", &tenant).replacen(
            "max_in_flight = 4\n[backends",
            &format!("{issuer}\n[backends"),
            1,
        ) + manifest
    }

    fn good(tenant: &str, issuer: &str) -> Config {
        parse(&text(tenant, issuer, MANIFEST)).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
    }

    fn one(text: &str) -> Mistake {
        let mut mistakes = parse(text).expect_err("it has a mistake");
        assert_eq!(mistakes.len(), 1, "{mistakes:#?}");
        mistakes.remove(0)
    }

    #[test]
    fn a_build_has_its_hazards_and_an_unknown_one_has_those_of_all() {
        let config = good("", SHIELDED);
        let issuer = &config.backends["issuer"];
        let shown = |build: Option<&str>| {
            let b = issuer.behind(build);
            (b.max_in_flight, b.tick_spacing.as_secs(), b.settle_after_timeout.as_secs(), b.fresh_connections)
        };
        assert_eq!(shown(Some("p07")), (4, 0, 10, false));
        assert_eq!(shown(Some("p06")), (1, 1, 10, false));
        assert_eq!(shown(Some("p05")), (4, 0, 5, true), "a row may also say less than the row for all others");
        assert_eq!(shown(None), (1, 1, 10, true));
        assert!(issuer.has_shield("p06") && !issuer.has_shield("p07"));
        let source = issuer.manifest.as_ref().unwrap();
        assert_eq!((source.every, source.timeout), (Duration::from_secs(60), Duration::from_secs(2)));
    }

    #[test]
    fn each_mistake_is_named_with_its_line_and_field() {
        let list = "backend = { allow = [{ build = \"p07\", topology = \"1\" }] }";
        parse(&text(list, SHIELDED, MANIFEST)).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
        let usual = "max_in_flight = 4";
        for (tenant, issuer, manifest, key, what) in [
            ("backend = { allow = [] }", usual, MANIFEST, "tenants.991007.backend.allow", "1 to 1000 rows"),
            ("backend = {}", usual, MANIFEST, "tenants.991007.backend.allow", "1 to 1000 rows"),
            ("backend = { allow = [{}] }", usual, MANIFEST, "tenants.991007.backend.allow[0]", "allows everything"),
            (
                "backend = { allow = [{ patches = \"7\" }] }",
                usual,
                MANIFEST,
                "tenants.991007.backend.allow[0].patches",
                "attested by no backend",
            ),
            (
                "backend = { allow = [{ build = \"p07\" }] }",
                usual,
                "",
                "tenants.991007.backend.allow[0].build",
                "attested by no backend",
            ),
            (
                "backend = { allow = [{ backend = \"isuer\", build = \"p\" }] }",
                usual,
                MANIFEST,
                "tenants.991007.backend.allow[0].backend",
                "not in `backends`",
            ),
            (
                "backend = { allow = [{ build = \"p07\" }], otherwise = \"shield\" }",
                usual,
                MANIFEST,
                "tenants.991007.backend.otherwise",
                "no shield",
            ),
            (
                "backend = { allow = [{ build = \"p07\" }], otherwise = \"warn\" }",
                usual,
                MANIFEST,
                "tenants.991007.backend.otherwise",
                "`refuse` or `shield`",
            ),
            (
                "",
                "hazards = [{ build = \"a\" }, { build = \"a\" }]",
                MANIFEST,
                "backends.issuer.hazards[1]",
                "another row",
            ),
            ("", "hazards = [{}, {}]", MANIFEST, "backends.issuer.hazards[1]", "second row without"),
            ("", "hazards = { build = \"a\" }", "", "backends.issuer.hazards.build", "never be known"),
            ("", usual, &MANIFEST.replace("60s", "1s"), "", ""),
            (
                "",
                usual,
                &(MANIFEST.to_owned() + "timeout = \"60s\""),
                "backends.issuer.manifest.timeout",
                "shorter than",
            ),
            ("", usual, &MANIFEST.replace("/ver.txt", "/{kiosk}"), "backends.issuer.manifest.request", "nobody asks"),
            (
                "",
                usual,
                &MANIFEST.replace("(\\d+)", "\\d+"),
                "backends.issuer.manifest.fields.topology.line",
                "one group",
            ),
            (
                "",
                usual,
                &MANIFEST.replace("topology", "topologie"),
                "backends.issuer.manifest.fields.topologie",
                "attests",
            ),
            (
                "",
                usual,
                &MANIFEST.replace("line = '^NODES", "lin = '^NODES"),
                "backends.issuer.manifest.fields.topology.lin",
                "not a key",
            ),
        ] {
            let text = text(tenant, issuer, manifest);
            if key.is_empty() {
                assert!(parse(&text).is_ok());
                continue;
            }
            let mistake = one(&text);
            assert!(mistake.key == key && mistake.message.contains(what), "{what}: {mistake:?}");
            // Each stands in one line, that of the piece that was put there.
            let line = text.lines().nth(mistake.line - 1).unwrap();
            let field = key.rsplit('.').next().unwrap();
            assert!(["backend = {", "hazards =", field].iter().any(|piece| line.contains(piece)), "{mistake}: {line}");
        }
    }
}
