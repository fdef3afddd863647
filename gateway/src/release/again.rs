//! An answer that was kept goes through the whole gate once more before it may leave again; its first release vouches for nothing.

use sekisho_issuance::shard::LaneId;

use super::{Answered, Gate, Released, Withheld, judge, verify, withheld};
use crate::bound::Bound;
use crate::ledger::Opened;
use crate::record::Record;
use crate::registry::name;

/// What was kept of the first time.
pub(crate) struct Before<'k> {
    /// The request that it was fetched for.
    pub(crate) bound: &'k Bound,
    /// What came back for it.
    pub(crate) opened: Opened,
    /// The marks under which it passed.
    pub(crate) marks: &'k [(LaneId, Option<String>)],
}

impl Answered {
    /// The marks under which it may be given again: those that stood when it was judged, after an amend those that it set.
    pub(crate) fn marks(&self) -> Vec<(LaneId, Option<String>)> {
        let set = self.watermarks.iter().filter(|mark| mark.shown_by.is_none());
        let set = set.filter_map(|mark| Some((mark.lane()?, Some(mark.version.clone()))));
        if self.seen_marks.is_empty() { set.collect() } else { self.seen_marks.clone() }
    }
}

impl Gate {
    /// Judges a kept answer once more, against the request that it was fetched for, for `bound`, which asks for it again. What does not
    /// pass any more stays in and suspends nothing: it passed, and what changed since is not the backend's doing.
    pub(crate) fn decide_again(&self, kept: Before<'_>, bound: &Bound) -> Result<Released<Answered>, Withheld> {
        let parts = &*self.0;
        let Before { bound: first, opened, marks } = kept;
        let Opened { attestation, answer, job, before, after, times } = opened;
        if !parts.records.memory().watermarks.unchanged(marks) {
            parts.registry.counter(name::FENCE_REJECTIONS, &[("place", "replay")]).increment(1);
            return Err(Withheld::new("superseded", None));
        }
        // Of what its backend said that it is, too, nothing may have changed since it was fetched.
        if let Err(why) = parts.in_force.vouches(first) {
            return Err(Withheld::new(why.name(), None));
        }
        let seal = judge::seal(first, parts.epoch, &attestation, answer.body.as_slice());
        let fetched = judge::Fetched { attestation, answer, job, before, after, turn: judge::Turn::Again };
        let mut judged = judge::judge(parts, first, fetched, &times);
        let about = &mut judged.answered.about;
        about.replay_of = Some(std::mem::replace(&mut about.request, bound.context().id().to_string()));
        about.arrived_at = bound.context().arrived_at();
        judged.answered.seen_marks = marks.to_vec();
        let (series, mode) = (parts.registry.route(&first.route().name), bound.mode());
        for finding in &judged.findings {
            series.verdict(finding.check, &finding.verdict, mode);
        }
        let must_be_checked = first.route().operation.speaks_of_resident();
        let verified = verify::verify(
            judged.answered,
            verify::Judgement { seal, findings: &judged.findings, must_be_checked, mode },
            verify::Series { tenant: parts.registry.tenant(first.facts().municipality), document: judged.document },
            judged.claim,
        );
        verified.map_err(|answered| {
            let reason = withheld::reason(seal, &judged.findings);
            let record = crate::record::Withheld { about: answered.about, reason: reason.to_owned(), sealed: None };
            if parts.records.append_lazy(&Record::Withheld(record)).is_err() {
                tracing::error!(request = %bound.context().id(), "what was withheld could not be recorded");
            }
            Withheld::new(reason, None)
        })
    }
}
