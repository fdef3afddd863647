//! What is removed when its time is over: sealed answers, old records, keys of pseudonyms. Decides nothing about answers.

use super::Gate;

impl Gate {
    /// Removes what was kept for as long as it must be, and begins a new key of pseudonyms where it is time. Writes files: to be called
    /// now and then, away from requests.
    pub fn tidy(&self, audit: &crate::config::Audit) {
        let parts = &*self.0;
        let now = parts.clock.now();
        match parts.evidence.forget(now, audit.evidence_keep) {
            Ok(0) => {}
            Ok(files) => tracing::info!(files, "sealed answers were removed: their time was over"),
            Err(error) => tracing::error!(%error, "old sealed answers could not be removed"),
        }
        if let Err(error) = parts.records.drop_old(audit.keep) {
            tracing::error!(%error, "old records could not be removed");
        }
        let began = parts.records.began().unwrap_or(now);
        match parts.keys.pseudonym.turn(now, began, audit.pseudonym_period, audit.keep) {
            Ok(false) => {}
            Ok(true) => {
                tracing::info!("the keys of pseudonyms were changed: a new one is in use, or an old one was destroyed")
            }
            Err(error) => tracing::error!(%error, "the keys of pseudonyms could not be changed"),
        }
    }
}
