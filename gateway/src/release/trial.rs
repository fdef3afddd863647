//! What the gate would make of another's genuine document. Nothing is released, suspended, remembered or counted here.

use std::sync::Arc;

use http::HeaderMap;
use sekisho_issuance::certificate::DocumentBytes;
use sekisho_issuance::id::RequestId;
use sekisho_issuance::verdict::{CheckName, Verdict};
use sekisho_worker::assignment::{Answer, Attestation, JobReport};
use sekisho_worker::owner::{Attested, StageTimes};

use super::{Gate, judge, verify, withheld};
use crate::bound::Bound;
use crate::route::Mode;

/// A copy of what one attempt brought back, made before it is judged. Zeroed when it is dropped.
#[derive(Debug)]
pub struct Genuine {
    attestation: Attestation,
    answer: Answer,
    job: Option<JobReport>,
    before: Option<Answer>,
    after: Option<Answer>,
    times: StageTimes,
}

impl Genuine {
    /// Of what came back.
    pub fn of(attested: &Attested) -> Box<Self> {
        Box::new(Self {
            attestation: attested.attestation,
            answer: copy(&attested.answer),
            job: attested.job.clone(),
            before: attested.before.as_ref().map(copy),
            after: attested.after.as_ref().map(copy),
            times: attested.times,
        })
    }
}

/// A canary's document that passed every check, with the request that it answers.
#[derive(Debug)]
pub struct Specimen {
    bound: Arc<Bound>,
    genuine: Box<Genuine>,
}

impl Specimen {
    /// Only a canary's requests are kept like that.
    pub(crate) fn new(bound: Arc<Bound>, genuine: Box<Genuine>) -> Box<Self> {
        Box::new(Self { bound, genuine })
    }

    /// Which request it answers.
    pub fn request(&self) -> RequestId {
        self.bound.context().id()
    }
}

/// What would have become of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trial {
    /// Withheld, and known to name somebody else.
    Recognised,
    /// Withheld for another reason alone.
    WithheldOtherwise(&'static str),
    /// It would have left.
    Released,
}

impl Gate {
    /// What would become of `theirs` as the answer to who asked for `mine`, were the checks enforced: the same reading, checks and decision
    /// as for every answer. What passes is destroyed here, since only `commit` could let it leave.
    pub fn would_release(&self, mine: &Specimen, theirs: &Specimen) -> Trial {
        let parts = &*self.0;
        let (bound, asked, other) = (&mine.bound, &mine.genuine, &theirs.genuine);
        let answer = copy(&other.answer);
        let digest = *blake3::hash(answer.body.as_slice()).as_bytes();
        let attestation = Attestation { digest, ..asked.attestation };
        let seal = judge::seal(bound, parts.epoch, &attestation, answer.body.as_slice());
        let fetched = judge::Fetched {
            attestation,
            answer,
            job: asked.job.clone(),
            before: asked.before.as_ref().map(copy),
            after: asked.after.as_ref().map(copy),
            turn: judge::Turn::Trial,
        };
        let judged = judge::judge(parts, bound, fetched, &asked.times);
        let judgement =
            verify::Judgement { seal, findings: &judged.findings, must_be_checked: true, mode: Mode::Enforce };
        let series = verify::Series { tenant: parts.registry.uncounted_tenant(), document: judged.document };
        let sees_another = judged
            .findings
            .iter()
            .any(|f| f.check == CheckName::Identity && matches!(f.verdict, Verdict::Mismatch { .. }));
        match verify::verify(judged.answered, judgement, series, None) {
            Ok(released) => {
                drop(released);
                Trial::Released
            }
            Err(_) if sees_another => Trial::Recognised,
            Err(_) => Trial::WithheldOtherwise(withheld::reason(seal, &judged.findings)),
        }
    }
}

fn copy(answer: &Answer) -> Answer {
    Answer {
        status: answer.status,
        headers: HeaderMap::clone(&answer.headers),
        body: DocumentBytes::new(answer.body.as_slice().to_vec()),
        framing_surprise: answer.framing_surprise,
        sent_at: answer.sent_at,
        received_at: answer.received_at,
    }
}
