//! The further steps of an issuance whose document is fetched: accept → poll → fetch. Plain data; decides nothing.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use sekisho_issuance::answer::{AnswerView, Dialect, Extract};

use super::{Answer, Call};

/// Stands for the job's id in a rendered call. No fact can hold it: it is escaped, encoded or refused in every place.
pub const JOB_MARK: char = '\u{1f}';
/// A longer id is no job's id.
pub const MAX_JOB_ID_CHARS: usize = 64;

/// What a backend calls one accepted job: letters, digits and `-._~`, which stand for themselves in every place of a request.
#[derive(Clone, PartialEq, Eq)]
pub struct JobId(String);

impl JobId {
    /// The id that `text` is, if it is one.
    pub fn new(text: &str) -> Option<Self> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
        let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        (begins && text.len() <= MAX_JOB_ID_CHARS && text.bytes().all(plain)).then(|| Self(text.to_owned()))
    }

    /// The id itself, for the backend's ears.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A backend may put anything into its ids.
impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JobId(redacted)")
    }
}

/// A call that lacks only the job's id.
#[derive(Debug, Clone)]
pub struct JobCall {
    call: Call,
    headers: Vec<(HeaderName, String)>,
}

impl JobCall {
    /// `call` with [`JOB_MARK`] where the id stands in its target and body, and the `headers` in which it stands.
    pub fn new(call: Call, headers: Vec<(HeaderName, String)>) -> Self {
        Self { call, headers }
    }

    /// The call about `job`; `None` where a header cannot hold it.
    pub fn about(&self, job: &JobId) -> Option<Call> {
        let mut call = self.call.clone();
        if call.target.contains(JOB_MARK) {
            call.target = call.target.replace(JOB_MARK, job.as_str());
        }
        let mark = JOB_MARK as u8;
        if call.body.contains(&mark) {
            let parts: Vec<&[u8]> = call.body.split(|b| *b == mark).collect();
            call.body = Bytes::from(parts.join(job.as_str().as_bytes()));
        }
        for (name, pattern) in &self.headers {
            let value = HeaderValue::from_str(&pattern.replace(JOB_MARK, job.as_str())).ok()?;
            call.headers.insert(name.clone(), value);
        }
        Some(call)
    }

    /// The backend that is asked.
    pub fn backend(&self) -> &Arc<str> {
        &self.call.backend
    }
}

/// How a document comes in further steps. Its exchanges are the issuance's own: one lane, one slot, one binding.
#[derive(Debug, Clone)]
pub struct Fetch {
    /// Under which status codes a job is accepted.
    pub accepted: Arc<[u16]>,
    /// Where the accept reply names it.
    pub job: Extract,
    /// What the accept reply is written in.
    pub dialect: Arc<Dialect>,
    /// Keys the digests by which job ids are remembered; the same over restarts.
    pub salt: u128,
    /// The step in between.
    pub poll: Poll,
    /// The last step: its answer is the document.
    pub document: JobCall,
}

/// Asking whether the job is done.
#[derive(Debug, Clone)]
pub struct Poll {
    /// What is asked.
    pub call: JobCall,
    /// What the status reply is written in.
    pub dialect: Arc<Dialect>,
    /// Between two questions, give or take a fifth.
    pub every: Duration,
    /// Where the reply says how it stands.
    pub state: Extract,
    /// Words for: fetch it.
    pub done: Arc<[Arc<str>]>,
    /// Words for: ask again. Any other word ends the job.
    pub pending: Arc<[Arc<str>]>,
    /// Where the reply names its job, which must be ours.
    pub job: Option<Extract>,
}

/// How far a job came; says also whose reply [`crate::owner::Attested::answer`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobEnd {
    /// The accept reply names no job.
    NotAccepted,
    /// The accept reply names a job that another issuance was given: it was neither polled nor fetched.
    Reused,
    /// So many job ids are remembered that this one could not be.
    NotRemembered,
    /// The status reply names another job.
    OtherJob,
    /// The status reply says neither done nor pending: failed, unknown, or unreadable.
    NotDone,
    /// The fetched document's reply.
    Fetched,
}

/// What was observed of a job, never a verdict.
#[derive(Debug, Clone)]
pub struct JobReport {
    /// Its id, where it has one.
    pub id: Option<JobId>,
    /// How far it came.
    pub end: JobEnd,
}

impl Answer {
    /// Its header fields as the checks read them.
    pub fn fields(&self) -> Vec<(String, Vec<u8>)> {
        self.headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect()
    }

    /// What the checks read; `fields` are its own.
    pub fn view<'a>(&'a self, fields: &'a [(String, Vec<u8>)]) -> AnswerView<'a> {
        AnswerView {
            status: self.status,
            headers: fields,
            body: self.body.as_slice(),
            framing_surprise: self.framing_surprise,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::{HeaderMap, Method};

    use super::*;

    #[test]
    fn a_job_id_stands_for_itself_everywhere_or_is_none() {
        for good in ["1", "20230502073112-1", "a.b_c~d", &"9".repeat(64)] {
            assert_eq!(JobId::new(good).unwrap().as_str(), good);
        }
        for bad in ["", ".", "..", "-1", "a/b", "a b", "a%", "ジョブ", "a\u{1f}", "a\n", &"9".repeat(65)] {
            assert!(JobId::new(bad).is_none(), "{bad:?}");
        }
        assert!(!format!("{:?}", JobId::new("secret").unwrap()).contains("secret"));
    }

    #[test]
    fn the_id_is_put_wherever_the_mark_stands_and_nowhere_else() {
        let mut headers = HeaderMap::new();
        headers.insert("x-fixed", HeaderValue::from_static("1"));
        let call = Call {
            backend: "issuer".into(),
            method: Method::POST,
            target: format!("/jobs/{JOB_MARK}?job={JOB_MARK}"),
            headers,
            body: Bytes::from(format!("job={JOB_MARK}&again={JOB_MARK}")),
            max_response_bytes: 1,
            timeout: Duration::ZERO,
            echoed: false,
        };
        let call = JobCall::new(call, vec![(HeaderName::from_static("x-job"), format!("id {JOB_MARK}"))]);
        let call = call.about(&JobId::new("J-7").unwrap()).unwrap();
        assert_eq!((call.target.as_str(), &*call.body), ("/jobs/J-7?job=J-7", &b"job=J-7&again=J-7"[..]));
        assert_eq!(
            (&call.headers["x-job"], &call.headers["x-fixed"]),
            (&"id J-7".parse().unwrap(), &"1".parse().unwrap())
        );
    }
}
