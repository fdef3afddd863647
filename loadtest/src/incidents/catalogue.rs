//! The twelve incidents: what the public reports say, and what harm their replay must do without protection.

/// What the replay must bring about on the direct path, and never through the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// A wrong, mixed or stale document in somebody's hands.
    Paper,
    /// An alarm that a good retry closed, and wrong documents after it.
    DismissedAlarm,
    /// An action of one person that changed the record of the one before.
    PreviousUser,
}

/// One incident.
#[derive(Debug, Clone, Copy)]
pub struct Incident {
    /// The id in every output.
    pub id: &'static str,
    /// When and where.
    pub place: &'static str,
    /// What came out.
    pub came_out: &'static str,
    /// The reported mechanism.
    pub mechanism: &'static str,
    /// Why nobody saw it before.
    pub missed: &'static str,
    /// The root causes it stands for (R1-R13).
    pub causes: &'static str,
    /// The harm to reproduce.
    pub expected: Expected,
}

/// Every incident, in the order of the reports.
pub const INCIDENTS: [Incident; 12] = [
    Incident {
        id: "yokohama-lock-timeout",
        place: "Yokohama, 2023-03-27",
        came_out: "10 sheets to 9 people, with data of 18",
        mechanism: "Load delayed printing; the print wait passed its limit; the time-out released only the print-order lock, and the job picked up the next print image.",
        missed: "High load had not been tested.",
        causes: "R1",
        expected: Expected::Paper,
    },
    Incident {
        id: "kawasaki-same-second",
        place: "Kawasaki, 2023-05-02",
        came_out: "one family-register certificate",
        mechanism: "Two residents at two shops within one second; the later request overwrote the earlier one's output file.",
        missed: "An add-on of one city, outside the sweep for similar services.",
        causes: "R2",
        expected: Expected::Paper,
    },
    Incident {
        id: "adachi-update-race",
        place: "Adachi, 2023-03-22 and 04-18",
        came_out: "2 certificates, 4 persons",
        mechanism: "A near-real-time record update coincided with issuing.",
        missed: "The national hub had flagged errors; they were closed because the retry printed fine.",
        causes: "R3",
        expected: Expected::Paper,
    },
    Incident {
        id: "munakata-previous-result",
        place: "Munakata, 2023-06-28",
        came_out: "a resident's certificate, the one issued just before",
        mechanism: "Issuance coincided with a record update being applied; the fix of 2019 had not been rolled out here.",
        missed: "Inspected with simultaneous-access load tests only.",
        causes: "R3, R4",
        expected: Expected::Paper,
    },
    Incident {
        id: "tokushima-mixed-page",
        place: "Tokushima, end of 2023-03",
        came_out: "sheet 2 of a 3-sheet family register was another person's",
        mechanism: "Not published.",
        missed: "Only sheet 1 looks right.",
        causes: "R6",
        expected: Expected::Paper,
    },
    Incident {
        id: "stale-seal",
        place: "Niigata, Saitama, Kumamoto, 2020-12 to 2023-05",
        came_out: "cancelled seal-registration certificates, 11 sheets",
        mechanism: "A faulty sync from the resident system to the issuing server.",
        missed: "A different class from \u{201c}another person\u{201d}.",
        causes: "R7",
        expected: Expected::Paper,
    },
    Incident {
        id: "takamatsu-topology",
        place: "Takamatsu, 2024-04-04",
        came_out: "another resident's certificate",
        mechanism: "The single-server build was installed on a multi-server site: its locks were local to one host.",
        missed: "Went live after the nationwide sweep.",
        causes: "R5, R8",
        expected: Expected::Paper,
    },
    Incident {
        id: "adachi-dismissed-alarm",
        place: "Adachi, 2023-01-17, 03-22, 04-18",
        came_out: "an error notice closed as \u{201c}re-applied, printed normally\u{201d}; two of the dates were mis-issuances",
        mechanism: "A retry that works cleared the alarm.",
        missed: "The retry printed fine.",
        causes: "R9",
        expected: Expected::DismissedAlarm,
    },
    Incident {
        id: "account-previous-user",
        place: "shared terminals, 2022-07 to 2023-05",
        came_out: "748 bank accounts linked to the previous user",
        mechanism: "The previous user had not been logged out.",
        missed: "The first report was not escalated.",
        causes: "R10",
        expected: Expected::PreviousUser,
    },
    Incident {
        id: "insurance-weak-match",
        place: "health insurance, 2021-10 to 2022-11",
        came_out: "8,441 wrong links",
        mechanism: "Matched on kana name, birth date and sex.",
        missed: "Names are not keys.",
        causes: "R11",
        expected: Expected::Paper,
    },
    Incident {
        id: "cancelled-request-reuse",
        place: "a chat service, 2023-03-20",
        came_out: "other users' data for nine hours",
        mechanism: "A request cancelled after it was sent left its reply in a pooled connection; every later reply was off by one.",
        missed: "Needs a delaying proxy to reproduce.",
        causes: "R12",
        expected: Expected::Paper,
    },
    Incident {
        id: "collapsed-forwarding",
        place: "a content network, 2017-06-22 and others",
        came_out: "54,180 users' pages",
        mechanism: "Concurrent requests for one URL shared one personal answer.",
        missed: "Caching and coalescing of personal answers.",
        causes: "R13",
        expected: Expected::Paper,
    },
];

/// The incident called `id`.
pub fn find(id: &str) -> Option<&'static Incident> {
    INCIDENTS.iter().find(|incident| incident.id == id)
}
