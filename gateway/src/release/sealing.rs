//! Seals what was asked and what was seen when the two differ, for two persons to open elsewhere. Nothing here can read it back.

use sekisho_issuance::verdict::{Finding, Verdict};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{Answered, GateParts, What};
use crate::bound::Bound;
use crate::evidence::{Sealed, Unwritten};

/// A sealed answer on its way to the disk. Dropped, it is written all the same.
pub(super) struct Written(Option<tokio::task::JoinHandle<()>>);

impl Written {
    fn begin(file: Unwritten) -> Self {
        let write = move || {
            if let Err(error) = file.write() {
                tracing::error!(%error, "a sealed answer could not be written; its record has the ids");
            }
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => Self(Some(runtime.spawn_blocking(write))),
            Err(_) => {
                write();
                Self(None)
            }
        }
    }

    /// Waits until it is written, or was said not to be.
    pub(super) async fn done(self) {
        if let Some(task) = self.0 {
            // A panic there was said by its own thread.
            let _ = task.await;
        }
    }
}

/// Evidence of an answer that names something else than was asked for, or that is another request's. `None` where nobody could open it.
pub(super) fn seal(
    parts: &GateParts,
    bound: &Bound,
    answered: &Answered,
    observed: Option<Value>,
    findings: &[Finding],
    reason: &str,
) -> Option<(Sealed, Option<Written>)> {
    let mismatched = findings.iter().any(|f| matches!(f.verdict, Verdict::Mismatch { .. }));
    if !mismatched && !matches!(reason, "binding" | "fence" | "digest") {
        return None;
    }
    let (key, limit_bytes) = parts.in_force.evidence(bound)?;
    let facts = bound.facts();
    let request = bound.context().id();
    let ids = json!({
        "request": request.to_string(),
        "municipality": facts.municipality.map(String::from),
        "asked": {
            "applicant": facts.applicant.as_ref().map(|r| r.expose()),
            "residents": facts.residents.iter().map(|r| r.expose()).collect::<Vec<_>>(),
            "kiosk": facts.kiosk.as_ref().map(|k| k.as_str()),
            "session": facts.session.as_ref().map(|s| s.expose()),
        },
        "observed": observed,
    });
    let ids = Zeroizing::new(serde_json::to_vec(&ids).ok()?);
    let answer = match &answered.what {
        What::Verbatim { body, .. } => Some(body.as_slice()),
        What::Refusal { .. } => None,
    };
    let (sealed, file) = parts.evidence.seal(&key, request, &ids, answer, limit_bytes)?;
    Some((sealed, file.map(Written::begin)))
}
