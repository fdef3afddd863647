//! `refusals` and `when`: what tells one operation of a URL from another, and a lawful no from an answer.

use std::sync::Arc;

use sekisho_issuance::answer::{Dialect, Format};

use super::dialects::{Dialects, places};
use super::fetch::own_dialect;
use super::lookups::header;
use super::section::Section;
use super::source::Findings;
use crate::route::{Extractor, Refusals, When};

/// A fault comes under either.
const FAULT_STATUS: [u16; 2] = [200, 500];

/// `resident = "echo"`: a no names nobody, and is about whoever asked the request that it echoes.
const BY_ECHO: &str = "echo";

/// The `refusals` table.
pub(super) fn read(
    section: &mut Section<'_>,
    dialect: &Arc<Dialect>,
    dialects: &Dialects,
    found: &mut Findings,
) -> Option<Refusals> {
    let mut table = section.section(found, "refusals")?;
    // A legacy system may say no in other ways than it says yes.
    let dialect = &own_dialect(&mut table, dialect, dialects, found);
    let soap = dialect.format == Format::Xml;
    let (example, resident_example) = match soap {
        true => (
            "when = { xml = \"//s:Fault/faultcode\", in = [\"j:E101\"] }",
            "resident = { xml = \"//s:Fault/detail/j:Number\" }",
        ),
        false => (
            "when = { status = [409], json = \"/error/code\", in = [\"MOVED_OUT\"] }",
            "resident = { json = \"/error/residentId\" }",
        ),
    };
    let when = table.section(found, "when");
    // A legacy fault often names nobody: then the route must say so, and only the echo tells whose it is.
    let by_echo = table.is_text("resident");
    if by_echo
        && let Some(word) = table.text(found, "resident", "echo")
        && word.value != BY_ECHO
    {
        word.wrong(found, "must be a place of the answer, or `echo`", resident_example);
    }
    let mut resident = if by_echo { None } else { table.section(found, "resident") };
    let place = resident.as_mut().and_then(|resident| places(resident, dialect, found).pop());
    if let Some(resident) = resident {
        if place.is_none() {
            found.mistake(resident.span(), resident.path(), "names no place of the answer", resident_example);
        }
        resident.finish(found);
    }
    if let Some(pass) = table.text(found, "pass", "code")
        && pass.value != "code"
    {
        pass.wrong(found, "must be `code`: a refusal is always said in our own words", "pass = \"code\"");
    }
    if when.is_none() && !table.has("when") {
        found.mistake(table.span(), table.key("when"), "is missing", example);
    }
    if place.is_none() && !table.has("resident") {
        let why = "is missing: a refusal that speaks of another resident must be told from one that does not";
        found.mistake(table.span(), table.key("resident"), why, resident_example);
    }
    table.finish(found);
    let mut when = when?;
    let mut status: Vec<u16> =
        when.counts(found, "status", 599, "[409, 422]").into_iter().map(|status| status as u16).collect();
    if soap && !when.has("status") {
        status = FAULT_STATUS.to_vec();
    }
    let before = found.mistakes.len();
    let mut code = places(&mut when, dialect, found);
    let codes = words(&mut when, found);
    let whole = !status.is_empty() && code.len() == 1 && !codes.is_empty();
    if !whole && found.mistakes.len() == before {
        let needs = if soap { "needs `xml` and `in`" } else { "needs `status`, one place of the body and `in`" };
        found.mistake(when.span(), when.path(), needs, example);
    }
    when.finish(found);
    Some(Refusals { status, code: code.pop()?, codes, resident: place, dialect: Dialect::clone(dialect) })
}

/// The `when` table of a route.
pub(super) fn when(section: &mut Section<'_>, dialect: &Dialect, found: &mut Findings) -> Option<When> {
    let mut table = section.section(found, "when")?;
    let before = found.mistakes.len();
    let mut from: Vec<Extractor> = places(&mut table, dialect, found).into_iter().map(Extractor::Body).collect();
    if let Some(placed) = table.text(found, "header", "SOAPAction") {
        from.extend(header(&placed, found).map(Extractor::Header));
    }
    let values = words(&mut table, found);
    if (from.len() != 1 || values.is_empty()) && found.mistakes.len() == before {
        let example = "when = { xml = \"//j:Issue/j:Kind\", in = [\"02\"] }";
        found.mistake(table.span(), table.path(), "needs one place of the request and `in`", example);
    }
    table.finish(found);
    Some(When { from: from.pop()?, values })
}

fn words(section: &mut Section<'_>, found: &mut Findings) -> Vec<Arc<str>> {
    section
        .texts(found, "in", "[\"MOVED_OUT\"]")
        .into_iter()
        .flat_map(|list| list.value)
        .map(|p| p.value.into())
        .collect()
}
