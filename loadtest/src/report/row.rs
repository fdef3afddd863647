//! One incident on one path, as it is written to JSON lines, table and report.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::incidents::catalogue::Expected;

/// Which way the kiosks asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Path {
    /// Straight at the backend.
    Direct,
    /// Through a gateway.
    Gateway,
}

impl Path {
    /// The name in outputs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Gateway => "gateway",
        }
    }
}

/// The figures of one run. The first eleven fields are the stable ones; the others explain them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The incident's id.
    pub incident: String,
    /// Which way.
    pub path: Path,
    /// Requests for a certificate.
    pub requests: u64,
    /// Certificates that were handed out.
    pub released: u64,
    /// Of those: of another person, or of another kind.
    pub wrong_person: u64,
    /// Of those: with something of another person or job, or incomplete.
    pub mixed_page: u64,
    /// Of those: older than what was known before the last probe began.
    pub stale: u64,
    /// Of those: delivered before to somebody else.
    pub duplicate: u64,
    /// Requests whose answer the gateway kept in.
    pub withheld: u64,
    /// Requests turned away early, suspensions by a latch included.
    pub shed: u64,
    /// Served per unaffected request.
    pub served_ratio_of_unaffected: f64,

    /// The run's seed.
    pub seed: u64,
    /// Requests that the backend's fault log does not name.
    pub unaffected: u64,
    /// Of those: in progress while the fault was.
    pub unaffected_during_fault: u64,
    /// Municipalities with traffic.
    pub municipalities: u64,
    /// How often the fault did its thing, by the backend's own log.
    pub faults_fired: u64,
    /// The backend's lawful refusals.
    pub refused: u64,
    /// Of `shed`: because a latch was set.
    pub suspended: u64,
    /// Requests without any answer in the person's patience, or with an error.
    pub failed: u64,
    /// Wrong, stale or misdirected answers in data (inquiries, acknowledgements).
    pub wrong_data: u64,
    /// Changes that were made to somebody else's record.
    pub misapplied: u64,
    /// Alarms that a good retry closed.
    pub alarms_closed_by_retry: u64,
    /// Latches that are set at the end.
    pub latches: u64,
    /// Unaffected requests that were not served, by what the kiosk was told.
    pub unserved: BTreeMap<String, u64>,
    /// Withheld requests, by what the kiosk was told.
    pub withheld_because: BTreeMap<String, u64>,
    /// Wall-clock seconds.
    pub seconds: f64,
}

impl Row {
    /// A row with nothing in it.
    pub fn empty(incident: &str, path: Path, seed: u64) -> Self {
        Self {
            incident: incident.to_owned(),
            path,
            requests: 0,
            released: 0,
            wrong_person: 0,
            mixed_page: 0,
            stale: 0,
            duplicate: 0,
            withheld: 0,
            shed: 0,
            served_ratio_of_unaffected: 0.0,
            seed,
            unaffected: 0,
            unaffected_during_fault: 0,
            municipalities: 0,
            faults_fired: 0,
            refused: 0,
            suspended: 0,
            failed: 0,
            wrong_data: 0,
            misapplied: 0,
            alarms_closed_by_retry: 0,
            latches: 0,
            unserved: BTreeMap::new(),
            withheld_because: BTreeMap::new(),
            seconds: 0.0,
        }
    }

    /// Documents that should not have been handed out.
    pub fn harmful_documents(&self) -> u64 {
        self.wrong_person + self.mixed_page + self.stale
    }

    /// Whether the harm that the incident describes was done.
    pub fn did_expected_harm(&self, expected: Expected) -> bool {
        match expected {
            Expected::Paper => self.harmful_documents() > 0,
            Expected::DismissedAlarm => self.alarms_closed_by_retry > 0 && self.harmful_documents() > 0,
            Expected::PreviousUser => self.misapplied > 0,
        }
    }

    /// Whether no harm of any kind was done.
    pub fn harmless(&self) -> bool {
        self.harmful_documents() + self.duplicate + self.wrong_data + self.misapplied + self.alarms_closed_by_retry == 0
    }

    /// Whether at least 99 % of the unaffected requests were served.
    pub fn served_the_unaffected(&self) -> bool {
        self.served_ratio_of_unaffected >= 0.99
    }

    /// Whether the run says enough to be counted: three municipalities, the unaffected requests it was asked for, and at
    /// least half of them while the fault was in progress.
    pub fn is_telling(&self, asked_unaffected: u64) -> bool {
        self.municipalities >= 3
            && self.unaffected >= asked_unaffected
            && self.unaffected_during_fault * 2 >= self.unaffected
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_line_begins_with_the_promised_fields() {
        let line = serde_json::to_string(&Row::empty("stale-seal", Path::Gateway, 1)).unwrap();
        let promised = [
            "incident",
            "path",
            "requests",
            "released",
            "wrong_person",
            "mixed_page",
            "stale",
            "duplicate",
            "withheld",
            "shed",
            "served_ratio_of_unaffected",
        ];
        let at: Vec<usize> = promised.iter().map(|key| line.find(&format!("\"{key}\":")).unwrap()).collect();
        assert!(at.is_sorted(), "{line}");
        assert!(line.contains("\"path\":\"gateway\""));
    }

    #[test]
    fn a_dismissed_alarm_needs_the_dismissal_and_the_documents() {
        let row = |closed, wrong| Row {
            alarms_closed_by_retry: closed,
            wrong_person: wrong,
            ..Row::empty("adachi-dismissed-alarm", Path::Direct, 1)
        };
        let harm = |row: Row| row.did_expected_harm(Expected::DismissedAlarm);
        assert_eq!([harm(row(1, 1)), harm(row(1, 0)), harm(row(0, 1))], [true, false, false]);
        assert!(!row(1, 0).harmless());
    }
}
