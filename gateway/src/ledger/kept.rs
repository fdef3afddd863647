//! An answer as it came from the backend, sealed in memory until somebody asks for it again.
//!
//! Sealed are the bytes of the answer and of the lookups around it. Who asked (facts, lanes) stands in memory as sessions do.

use std::sync::Arc;

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{Key, Tag, XChaCha20Poly1305, XNonce};
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use sekisho_issuance::certificate::DocumentBytes;
use sekisho_issuance::shard::LaneId;
use sekisho_worker::assignment::{Answer, Attestation, JobReport};
use sekisho_worker::owner::{Attested, StageTimes};
use zeroize::{Zeroize, Zeroizing};

use crate::bound::Bound;

/// The key of one process life; random, in memory only.
pub(super) struct Sealer(XChaCha20Poly1305);

impl Sealer {
    pub(super) fn new() -> Self {
        let bytes: Zeroizing<[u8; 32]> = Zeroizing::new(rand::random());
        Self(XChaCha20Poly1305::new(&Key::from(*bytes)))
    }

    /// Seals what came back for `bound`; it opens for nothing else.
    pub(super) fn seal(&self, bound: &Arc<Bound>, attested: &Attested) -> Option<Sealed> {
        let answers = [Some(&attested.answer), attested.before.as_ref(), attested.after.as_ref()];
        let mut bytes = written(answers)?;
        let nonce: [u8; 24] = rand::random();
        let about = bound.context().id().as_u128().to_be_bytes();
        // In place: the text is overwritten by what it is sealed to.
        let sealed = self.0.encrypt_inout_detached(&XNonce::from(nonce), &about, bytes.as_mut_slice().into());
        let Ok(tag) = sealed else {
            bytes.zeroize();
            return None;
        };
        Some(Sealed {
            bound: bound.clone(),
            attestation: attested.attestation,
            job: attested.job.clone(),
            times: attested.times,
            nonce,
            tag: tag.into(),
            bytes,
        })
    }
}

/// A sealed answer that was not judged yet.
pub(crate) struct Sealed {
    bound: Arc<Bound>,
    attestation: Attestation,
    job: Option<JobReport>,
    times: StageTimes,
    nonce: [u8; 24],
    tag: [u8; 16],
    bytes: Vec<u8>,
}

impl Drop for Sealed {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

/// A sealed answer that passed its checks once, under the marks that stood then.
pub(crate) struct Kept {
    sealed: Sealed,
    marks: Vec<(LaneId, Option<String>)>,
}

/// What was kept, in the clear again.
pub(crate) struct Opened {
    /// What the worker observed.
    pub(crate) attestation: Attestation,
    /// The answer.
    pub(crate) answer: Answer,
    /// How far its job came.
    pub(crate) job: Option<JobReport>,
    /// The lookup before.
    pub(crate) before: Option<Answer>,
    /// The probe after.
    pub(crate) after: Option<Answer>,
    /// How long each stage took then.
    pub(crate) times: StageTimes,
}

impl Kept {
    /// An answer with the marks under which it may be given again.
    pub(crate) fn new(sealed: Sealed, marks: Vec<(LaneId, Option<String>)>) -> Self {
        Self { sealed, marks }
    }

    /// The request that it was fetched for.
    pub(crate) fn bound(&self) -> &Arc<Bound> {
        &self.sealed.bound
    }

    /// The marks of its people as they stood when it passed.
    pub(crate) fn marks(&self) -> &[(LaneId, Option<String>)] {
        &self.marks
    }

    /// How much room it takes.
    pub(super) fn bytes(&self) -> usize {
        self.sealed.bytes.len()
    }

    pub(super) fn open(&self, sealer: &Sealer) -> Option<Opened> {
        let sealed = &self.sealed;
        let mut bytes = Zeroizing::new(sealed.bytes.clone());
        let about = sealed.bound.context().id().as_u128().to_be_bytes();
        let (nonce, tag) = (XNonce::from(sealed.nonce), Tag::from(sealed.tag));
        sealer.0.decrypt_inout_detached(&nonce, &about, bytes.as_mut_slice().into(), &tag).ok()?;
        let mut rest = Reader(&bytes);
        let (answer, before, after) = (rest.answer()??, rest.answer()?, rest.answer()?);
        let (attestation, job, times) = (sealed.attestation, sealed.job.clone(), sealed.times);
        rest.0.is_empty().then_some(Opened { attestation, answer, job, before, after, times })
    }
}

/// The answers one after the other. Room is made beforehand: a buffer that grows would leave copies behind.
fn written(answers: [Option<&Answer>; 3]) -> Option<Vec<u8>> {
    const FIXED: usize = 64;
    let room = |answer: &&Answer| {
        let headers: usize = answer.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 8).sum();
        headers + answer.body.as_slice().len() + FIXED
    };
    let mut out = Vec::with_capacity(3 + answers.iter().flatten().map(room).sum::<usize>());
    for answer in answers {
        let Some(answer) = answer else {
            out.push(0);
            continue;
        };
        out.push(1);
        out.extend_from_slice(&answer.status.to_le_bytes());
        out.push(u8::from(answer.framing_surprise));
        for at in [answer.sent_at, answer.received_at] {
            out.extend_from_slice(&at.as_nanosecond().to_le_bytes());
        }
        out.extend_from_slice(&u32::try_from(answer.headers.len()).ok()?.to_le_bytes());
        for (name, value) in &answer.headers {
            put(&mut out, name.as_str().as_bytes())?;
            put(&mut out, value.as_bytes())?;
        }
        put(&mut out, answer.body.as_slice())?;
    }
    Some(out)
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) -> Option<()> {
    out.extend_from_slice(&u32::try_from(bytes.len()).ok()?.to_le_bytes());
    out.extend_from_slice(bytes);
    Some(())
}

/// Reads back what was written; anything else is nothing.
struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*first)
    }

    fn bytes(&mut self) -> Option<&'b [u8]> {
        let length = u32::from_le_bytes(self.take()?) as usize;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn answer(&mut self) -> Option<Option<Answer>> {
        let [there] = self.take()?;
        if there == 0 {
            return Some(None);
        }
        let status = u16::from_le_bytes(self.take()?);
        let [surprise] = self.take()?;
        let mut moment = || Timestamp::from_nanosecond(i128::from_le_bytes(self.take()?)).ok();
        let (sent_at, received_at) = (moment()?, moment()?);
        let mut headers = HeaderMap::new();
        for _ in 0..u32::from_le_bytes(self.take()?) {
            let name = HeaderName::from_bytes(self.bytes()?).ok()?;
            headers.append(name, HeaderValue::from_bytes(self.bytes()?).ok()?);
        }
        let body = DocumentBytes::new(self.bytes()?.to_vec());
        Some(Some(Answer { status, headers, body, framing_surprise: surprise != 0, sent_at, received_at }))
    }
}
