//! Follows values where nothing names a session: a connection may stand in for one, if the requests say who is at which kiosk. Looks at
//! what a place is called only to tell kiosks apart from what else comes again.

use std::collections::{BTreeMap, BTreeSet};

use sekisho_issuance::id::MunicipalityCode;

use super::flow::{LEAST_BYTES, Operation, Role, Town, Visit, What, says, value};
use super::paper;
use super::read::{Leaf, Place, Seen};

/// Headers that every request says alike, or anew.
const PLUMBING: [&str; 3] = ["soapaction", "origin", "x-request-id"];
/// Parts of names that only a kiosk's place has.
const KIOSKS: [&str; 7] = ["terminal", "kiosk", "device", "machine", "station", "tanmatsu", "端末"];

/// Finds whose card is in which kiosk in the requests for certificates, by an authority that was asked for the same card, and fills in the
/// visits by card. Nothing where the requests do not say all of it.
pub(super) fn find(seen: &[Seen<'_>], operations: &[Operation], town: &mut Town) {
    let front = town.front.clone();
    let elsewhere: Vec<&Seen<'_>> = seen.iter().filter(|s| Some(&s.exchange.server) != front.as_ref()).collect();
    for operation in operations.iter().filter(|operation| Some(&operation.server) == front.as_ref()) {
        let of = || operation.exchanges.iter().filter_map(|n| seen.get(*n));
        let issued: Vec<&Seen<'_>> = of().filter(|s| s.paper.is_some()).collect();
        let Some(Places { card, city, kiosk }) = places(operation, &issued, &elsewhere) else { continue };
        for one in of() {
            let said = |place: &Place| value(&one.asked, place).map(str::to_owned);
            let (Some(card), Some(city), Some(kiosk)) = (said(&card), said(&city), said(&kiosk)) else { continue };
            let Ok(code) = MunicipalityCode::new(&city) else { continue };
            let holder = holder(&elsewhere, &card);
            let mut visit = Visit::from([(Role::Card, card.clone()), (Role::Municipality, city), (Role::Kiosk, kiosk)]);
            visit.extend(holder.map(|holder| (Role::Resident, holder)));
            town.municipalities.insert(code);
            town.visits.insert(card, visit);
            town.by_connection = true;
        }
    }
}

/// Where requests of one operation say what.
struct Places {
    card: Place,
    city: Place,
    kiosk: Place,
}

fn places(operation: &Operation, issued: &[&Seen<'_>], elsewhere: &[&Seen<'_>]) -> Option<Places> {
    // A word of the path is nobody's.
    let varies =
        |place: &Place| !matches!(place, Place::Path(at) if operation.path.get(*at).is_some_and(Option::is_some));
    let everywhere: Vec<&Place> = issued.first()?.asked.iter().map(|leaf| &leaf.place).collect();
    let everywhere = everywhere.into_iter().filter(|place| varies(place));
    let everywhere: Vec<&Place> =
        everywhere.filter(|place| issued.iter().all(|s| value(&s.asked, place).is_some())).collect();
    let all =
        |place: &Place, fits: &dyn Fn(&str) -> bool| issued.iter().all(|s| value(&s.asked, place).is_some_and(fits));
    let city = everywhere.iter().find(|place| all(place, &|text| MunicipalityCode::new(text).is_ok()))?;
    let card = everywhere.iter().find(|place| all(place, &|text| holder(elsewhere, text).is_some()))?;
    let kiosk = kiosk(issued, &everywhere, card, city, elsewhere)?;
    Some(Places { card: (*card).clone(), city: (*city).clone(), kiosk })
}

/// Whose card it is, as an answer to a question about it said first and others ask afterwards.
fn holder(elsewhere: &[&Seen<'_>], card: &str) -> Option<String> {
    if card.len() < LEAST_BYTES || MunicipalityCode::new(card).is_ok() {
        return None;
    }
    let answers = elsewhere.iter().filter(|s| s.exchange.status == 200 && says(&s.asked, card));
    let new = answers.flat_map(|s| s.answered.iter().filter(|leaf| !says(&s.asked, &leaf.value)));
    let named = new.filter(|leaf| matches!(leaf.place, Place::Body(_)) && leaf.value.len() >= LEAST_BYTES);
    let mut asked: BTreeMap<&Leaf, usize> = BTreeMap::new();
    for leaf in named.filter(|leaf| MunicipalityCode::new(&leaf.value).is_err()) {
        asked.insert(leaf, elsewhere.iter().filter(|s| says(&s.asked, &leaf.value)).count());
    }
    let (leaf, times) = asked.into_iter().max_by_key(|(_, times)| *times)?;
    (times > 0).then(|| leaf.value.clone())
}

/// Where requests say the kiosk: one value for each card, nothing that is asked elsewhere, and nothing that only tells the kinds of
/// certificate apart. What is called like a kiosk comes before what two people's requests say alike.
fn kiosk(
    issued: &[&Seen<'_>],
    everywhere: &[&Place],
    card: &Place,
    city: &Place,
    elsewhere: &[&Seen<'_>],
) -> Option<Place> {
    let known = |place: &Place| matches!(place, Place::Header(name) if PLUMBING.contains(&name.as_str()));
    let free = everywhere
        .iter()
        .filter(|place| ![card, city].contains(place) && !known(place) && !matches!(place, Place::Path(_)));
    let candidates = free.filter_map(|place| {
        let mut cards: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let mut kinds: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        let mut at: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for one in issued {
            let (said, card) = (value(&one.asked, place)?, value(&one.asked, card)?);
            if said.len() <= 2 || elsewhere.iter().any(|s| says(&s.asked, said)) {
                return None;
            }
            cards.entry(said).or_default().insert(card);
            at.entry(card).or_default().insert(said);
            let kind = one.paper.as_ref().and_then(|paper| paper::kind(&paper.document));
            kinds.entry(said).or_default().insert(kind.map(|kind| kind.name().to_owned()).unwrap_or_default());
        }
        let several: BTreeSet<&String> = kinds.values().flatten().collect();
        let tells_kinds = several.len() > 1 && kinds.values().all(|kinds| kinds.len() == 1);
        let shared = cards.len() > 1 && cards.values().any(|cards| cards.len() > 1);
        let one_each = at.values().all(|kiosks| kiosks.len() == 1);
        let named = named(place);
        (one_each && !tells_kinds && (named || shared)).then(|| ((named, shared), (*place).clone()))
    });
    candidates.max_by_key(|(rank, _)| *rank).map(|(_, place)| place)
}

/// Whether an operation is about somebody, and so needs a session.
pub(super) fn speaks(operation: &Operation) -> bool {
    matches!(operation.what, What::Issue(_) | What::Inquire | What::Amend)
}

/// What each request must say where the connection is the session, and the requests of an operation do not.
pub(super) fn unsaid(operation: &Operation) -> Option<Role> {
    [Role::Kiosk, Role::Card, Role::Municipality].into_iter().find(|role| !operation.says.contains_key(role))
}

/// Whether a place is called like a kiosk's.
pub(super) fn named(place: &Place) -> bool {
    let name = match place {
        Place::Header(name) | Place::Query(name) | Place::Body(name) => name.to_lowercase(),
        Place::Path(_) => return false,
    };
    KIOSKS.iter().any(|word| name.contains(word))
}
