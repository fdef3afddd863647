//! What has to happen for each fault to show: who comes when, and what goes on beside it. The backend does the rest.

use std::time::Duration;

use crate::legacy::{Fault, Form};

/// What goes on while people print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beside {
    /// Nothing else.
    Nothing,
    /// The resident system changes records of the people who are printing, and of their neighbours.
    Amends,
    /// The resident system cancels the seal registration just before it is printed.
    Revocations,
    /// Some people walk away in the middle, and their kiosk hangs up.
    HangUps,
    /// The person before did not end their session; the next one changes an address and prints.
    LeftOpen,
    /// As `Amends`; and people are called back to apply again, and staff close the notice when that prints well.
    Retries,
}

/// One incident's way of coming about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Script {
    /// The switch at the backend.
    pub(super) fault: Fault,
    /// How often its window opens, per call.
    pub(super) rate: f64,
    /// What people ask for.
    pub(super) form: Form,
    /// For the whole household, so that several sheets come.
    pub(super) household: bool,
    /// Only people who have a namesake of the same reading, birth date and sex.
    pub(super) twins: bool,
    /// People who come at the same moment.
    pub(super) at_once: usize,
    /// How often such a group comes.
    pub(super) waves: usize,
    /// From one group to the next.
    pub(super) every: Duration,
    /// What else happens.
    pub(super) beside: Beside,
}

const USUAL: Script = Script {
    fault: Fault::Slow,
    rate: 0.5,
    form: Form::ResidentRecord,
    household: false,
    twins: false,
    at_once: 4,
    waves: 12,
    every: Duration::from_millis(400),
    beside: Beside::Nothing,
};

/// The script of the incident called `id`.
pub(super) fn of(id: &str) -> Option<Script> {
    let script = match id {
        // Load beyond the print wait.
        "yokohama-lock-timeout" => {
            Script { fault: Fault::YokohamaLockTimeout, rate: 0.3, at_once: 12, waves: 6, ..USUAL }
        }
        // Two shops, one second.
        "kawasaki-same-second" => {
            Script { fault: Fault::KawasakiSameSecond, rate: 1.0, form: Form::FamilyRegister, at_once: 2, ..USUAL }
        }
        "adachi-update-race" => Script { fault: Fault::AdachiUpdateRace, beside: Beside::Amends, ..USUAL },
        "munakata-previous-result" => Script { fault: Fault::MunakataPreviousResult, beside: Beside::Amends, ..USUAL },
        "tokushima-mixed-page" => Script {
            fault: Fault::TokushimaMixedPage,
            form: Form::FamilyRegister,
            household: true,
            at_once: 6,
            ..USUAL
        },
        "stale-seal" => Script {
            fault: Fault::StaleSeal,
            rate: 1.0,
            form: Form::SealRegistration,
            beside: Beside::Revocations,
            ..USUAL
        },
        "takamatsu-topology" => Script { fault: Fault::TakamatsuTopology, rate: 1.0, at_once: 8, ..USUAL },
        "adachi-dismissed-alarm" => {
            Script { fault: Fault::AdachiDismissedAlarm, beside: Beside::Retries, waves: 16, ..USUAL }
        }
        "account-previous-user" => {
            Script { fault: Fault::AccountPreviousUser, rate: 1.0, beside: Beside::LeftOpen, ..USUAL }
        }
        "insurance-weak-match" => {
            Script { fault: Fault::InsuranceWeakMatch, rate: 1.0, form: Form::Tax, twins: true, ..USUAL }
        }
        "cancelled-request-reuse" => {
            Script { fault: Fault::CancelledRequestReuse, beside: Beside::HangUps, at_once: 6, ..USUAL }
        }
        "collapsed-forwarding" => Script { fault: Fault::CollapsedForwarding, rate: 1.0, at_once: 6, ..USUAL },
        _ => return None,
    };
    Some(script)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incidents::catalogue::INCIDENTS;

    #[test]
    fn every_incident_has_a_script_of_its_own_fault() {
        for incident in &INCIDENTS {
            assert_eq!(of(incident.id).unwrap().fault.name(), incident.id);
        }
    }
}
