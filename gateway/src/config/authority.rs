//! `authority` of a route: who says who the resident is.

use std::sync::Arc;

use super::facts;
use super::lookups::named;
use super::routes::{Around, CARD_FIELD};
use super::section::Section;
use super::source::Findings;
use crate::route::{Authority, FactName, TrustedSource};

/// Why `client_cert` means nothing.
pub(super) const NO_CLIENTS: &str = "needs kiosks to show a TLS identity, and `[server] tls` names no `clients`";

/// `authority` of a route.
pub(super) fn read(section: &mut Section<'_>, around: &Around<'_>, found: &mut Findings) -> Authority {
    if section.is_text("authority") {
        return match section.text(found, "authority", "trusted_source") {
            Some(placed) if placed.value == "trusted_source" => {
                let why =
                    "takes the caller's word for who the resident is: a residual risk that nothing here can check";
                found.note(&placed.span, placed.key, why, &["R10", "R11"]);
                Authority::TrustedSource(None)
            }
            Some(placed) => {
                placed.wrong(found, "must be `{ lookup = \"NAME\" }` or \"trusted_source\"", "{ lookup = \"card\" }");
                Authority::None
            }
            None => Authority::None,
        };
    }
    let Some(mut table) = section.section(found, "authority") else { return Authority::None };
    if table.has("signed") {
        let (span, key) = (table.place("signed"), table.key("signed"));
        let _ = table.section(found, "signed");
        found.mistake(&span, key, "is not supported by this version", "authority = { lookup = \"card\" }");
    }
    let lookup = table.text(found, "lookup", "card");
    if let Some(source) = table.section(found, "trusted_source") {
        let source = trusted_source(source, around, found);
        if table.has("lookup") {
            found.mistake(table.span(), table.path(), "names two authorities", "one of the two");
        }
        table.finish(found);
        return source;
    }
    let missing = lookup.is_none() && !["lookup", "signed", "trusted_source"].iter().any(|key| table.has(key));
    if missing {
        found.mistake(table.span(), table.key("lookup"), "is missing", "authority = { lookup = \"card\" }");
    }
    table.finish(found);
    let Some(placed) = lookup else { return Authority::None };
    let Some((_, lookup)) = named(&placed, around.lookups, "lookups", found) else { return Authority::None };
    if !lookup.request.facts().any(|f| *f == FactName::Card) {
        placed.wrong(found, "names a lookup that does not ask by `{card}`", "path = \"/v2/cards/{card}\"");
    }
    if lookup.fields.id.is_none() || !lookup.fields.has(CARD_FIELD) {
        let advice = "id = { json = \"/residentId\" }, card = { json = \"/cardSerial\" }";
        let why =
            format!("names `{}`, whose reply must say whom (`id`) and for which card (`{CARD_FIELD}`)", lookup.name);
        placed.wrong(found, why, format!("[lookups.{}.fields] {advice}", lookup.name));
    }
    Authority::Lookup(lookup.clone())
}

/// `{ trusted_source = { client_cert = "san_dns", in = ["centre.example"] } }`: whose word is taken, by its TLS identity.
fn trusted_source(mut table: Section<'_>, around: &Around<'_>, found: &mut Findings) -> Authority {
    const EXAMPLE: &str = "trusted_source = { client_cert = \"san_dns\", in = [\"centre.example\"] }";
    let field = facts::client_field(&mut table, found);
    let values = table.texts(found, "in", "[\"centre.example\"]");
    let values: Vec<Arc<str>> =
        values.into_iter().flat_map(|list| list.value).map(|placed| placed.value.into()).collect();
    let (place, key) = (table.span().clone(), table.path().to_owned());
    if !table.has("client_cert") || values.is_empty() {
        found.mistake(&place, key.clone(), "must say whose TLS identity is believed", EXAMPLE);
    }
    if !around.clients_shown {
        found.mistake(&place, key.clone(), NO_CLIENTS, "[server] tls = { ..., clients = \"centre-ca.pem\" }");
    }
    table.finish(found);
    let why = "takes that source's word for who the resident is: a residual risk that nothing here can check";
    found.note(&place, key, why, &["R10", "R11"]);
    field.map_or(Authority::None, |field| Authority::TrustedSource(Some(TrustedSource { field, values })))
}
