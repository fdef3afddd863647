//! What records say of a request whose answer came to the gate: pseudonyms, digests and times, never its text.

use sekisho_worker::assignment::{Answer, Attestation};
use sekisho_worker::owner::StageTimes;

use super::GateParts;
use super::judge::document_kind;
use crate::bound::Bound;
use crate::record::About;

/// Without findings, which come later.
pub(super) fn about(
    parts: &GateParts,
    bound: &Bound,
    attestation: &Attestation,
    answer: &Answer,
    times: &StageTimes,
) -> About {
    let (route, facts, context) = (bound.route(), bound.facts(), bound.context());
    let pseudonym = &parts.keys.pseudonym;
    let stages = [
        ("lane", times.lane),
        ("channel", times.channel),
        ("intent", times.intent),
        ("lookup", times.before + times.after),
        ("backend", times.backend),
    ];
    About {
        request: context.id().to_string(),
        at: parts.clock.now(),
        arrived_at: context.arrived_at(),
        sent_at: answer.sent_at,
        received_at: answer.received_at,
        route: route.name.to_string(),
        operation: route.operation.name().into(),
        municipality: facts.municipality.map(String::from),
        kind: document_kind(route).name().into(),
        canary: bound.canary().map(|name| name.to_string()),
        mode: bound.mode().name().into(),
        kiosk: facts.kiosk.as_ref().map(|k| k.as_str().to_owned()),
        session: facts.session.as_ref().map(|s| pseudonym.of("session", s.expose())),
        people: facts.residents.iter().map(|r| pseudonym.of("resident", r.expose())).collect(),
        fence: Some(attestation.fence.0),
        epoch: attestation.epoch.0,
        bytes: answer.body.as_slice().len() as u64,
        body: format!("{:032x}", parts.keys.record.digest("body", &[&attestation.digest])),
        findings: Vec::new(),
        replay_of: None,
        stages_us: stages.map(|(stage, spent)| (stage.into(), spent.as_micros() as u64)).into(),
    }
}
