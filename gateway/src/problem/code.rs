//! Every way the gateway says no, with its status and its words: the only file with the gateway's own status codes.

use http::StatusCode;

use crate::outcome::Outcome;

/// Every way the gateway says no. The names are stable: clients, templates and metric labels use them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// The request could not be read unambiguously.
    Malformed,
    /// A fact that the operation needs is not there.
    MissingFact,
    /// A fact is there but is not one.
    MalformedFact,
    /// Nothing is declared under this path.
    UndeclaredPath,
    /// The path is declared for another method.
    MethodNotAllowed,
    /// The body is longer than the route allows.
    TooLarge,
    /// Too many or too long headers.
    HeadersTooLarge,
    /// The request did not arrive in time.
    SlowRequest,
    /// The body is encoded in a way that the route does not declare.
    UnsupportedEncoding,
    /// No such session is open.
    UnknownSession,
    /// The session belongs to another card, resident or kiosk.
    SessionConflict,
    /// The municipality is not served here.
    UnknownMunicipality,
    /// The card's holder is not the resident asked for, or nobody vouches for them.
    UnprovenResident,
    /// The same key came with other facts.
    KeyReused,
    /// What was asked under this key is over, and nothing of it is kept.
    KeySpent,
    /// Outside the hours, or not enabled.
    Closed,
    /// A latch holds this municipality and kind.
    Suspended,
    /// An operator switched it off.
    SwitchedOff,
    /// Turned away early.
    Shed,
    /// The process is going down.
    Draining,
    /// Nobody would have waited for the answer any more; nothing was begun.
    Expired,
    /// The gate kept the answer in.
    Withheld,
    /// The backend said a declared no.
    Refused,
    /// The backend could not be asked; nothing was begun.
    Unavailable,
    /// Something may have happened at the backend.
    Indeterminate,
    /// We broke.
    Internal,
}

/// What is fixed for one code.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) status: StatusCode,
    pub(super) outcome: Outcome,
    /// The kiosk may keep the fee: never true for something that was not handed over.
    pub(super) fee_may_be_taken: bool,
    /// Asking again cannot do anything twice.
    pub(super) retry_safe: bool,
    pub(super) ja: &'static str,
    pub(super) en: &'static str,
}

impl Code {
    /// Every code.
    pub const ALL: [Self; 26] = [
        Self::Malformed,
        Self::MissingFact,
        Self::MalformedFact,
        Self::UndeclaredPath,
        Self::MethodNotAllowed,
        Self::TooLarge,
        Self::HeadersTooLarge,
        Self::SlowRequest,
        Self::UnsupportedEncoding,
        Self::UnknownSession,
        Self::SessionConflict,
        Self::UnknownMunicipality,
        Self::UnprovenResident,
        Self::KeyReused,
        Self::KeySpent,
        Self::Closed,
        Self::Suspended,
        Self::SwitchedOff,
        Self::Shed,
        Self::Draining,
        Self::Expired,
        Self::Withheld,
        Self::Refused,
        Self::Unavailable,
        Self::Indeterminate,
        Self::Internal,
    ];

    pub(super) const fn row(self) -> Row {
        use StatusCode as S;
        let (name, status, outcome, retry_safe, ja, en) = match self {
            Self::Malformed => (
                "malformed",
                S::BAD_REQUEST,
                Outcome::Rejected,
                true,
                "要求を一意に読み取れません。",
                "The request cannot be read unambiguously.",
            ),
            Self::MissingFact => (
                "missing_fact",
                S::BAD_REQUEST,
                Outcome::Rejected,
                true,
                "必要な項目がありません。",
                "A required fact is missing.",
            ),
            Self::MalformedFact => (
                "malformed_fact",
                S::BAD_REQUEST,
                Outcome::Rejected,
                true,
                "項目の形式が正しくありません。",
                "A fact is malformed.",
            ),
            Self::UndeclaredPath => (
                "undeclared_path",
                S::NOT_FOUND,
                Outcome::Rejected,
                true,
                "この宛先は設定されていません。",
                "No operation is declared under this path.",
            ),
            Self::MethodNotAllowed => (
                "method_not_allowed",
                S::METHOD_NOT_ALLOWED,
                Outcome::Rejected,
                true,
                "この宛先ではその操作はできません。",
                "The path is declared for another method.",
            ),
            Self::TooLarge => (
                "too_large",
                S::PAYLOAD_TOO_LARGE,
                Outcome::Rejected,
                true,
                "要求が大きすぎます。",
                "The request body is too large.",
            ),
            Self::HeadersTooLarge => (
                "headers_too_large",
                S::REQUEST_HEADER_FIELDS_TOO_LARGE,
                Outcome::Rejected,
                true,
                "要求ヘッダーが大きすぎます。",
                "The request headers are too large.",
            ),
            Self::SlowRequest => (
                "slow_request",
                S::REQUEST_TIMEOUT,
                Outcome::Rejected,
                true,
                "要求が時間内に届きませんでした。",
                "The request did not arrive in time.",
            ),
            Self::UnsupportedEncoding => (
                "unsupported_encoding",
                S::UNSUPPORTED_MEDIA_TYPE,
                Outcome::Rejected,
                true,
                "要求の符号化方式に対応していません。",
                "The encoding of the request is not supported.",
            ),
            Self::UnknownSession => (
                "unknown_session",
                S::CONFLICT,
                Outcome::Rejected,
                true,
                "手続きの開始が確認できません。最初からやり直してください。",
                "No such session is open. Start again.",
            ),
            Self::SessionConflict => (
                "session_conflict",
                S::CONFLICT,
                Outcome::Rejected,
                false,
                "この手続きは別のカードまたは別の方のものです。最初からやり直してください。",
                "This session belongs to another card or resident. Start again.",
            ),
            Self::UnknownMunicipality => (
                "unknown_municipality",
                S::FORBIDDEN,
                Outcome::Rejected,
                true,
                "この市区町村は取り扱っていません。",
                "This municipality is not served here.",
            ),
            Self::UnprovenResident => (
                "unproven_resident",
                S::FORBIDDEN,
                Outcome::Rejected,
                true,
                "カードの持ち主を確認できません。",
                "The holder of the card could not be confirmed.",
            ),
            Self::KeyReused => (
                "key_reused",
                S::UNPROCESSABLE_ENTITY,
                Outcome::Rejected,
                false,
                "同じ受付キーが別の内容で使われました。",
                "The idempotency key was used with other facts.",
            ),
            Self::KeySpent => (
                "key_spent",
                S::CONFLICT,
                Outcome::Rejected,
                false,
                "この受付キーの手続きは終わっています。係員にお問い合わせください。",
                "What was asked under this key is over. Please ask the staff.",
            ),
            Self::Closed => (
                "closed",
                S::SERVICE_UNAVAILABLE,
                Outcome::Shed,
                true,
                "ただいま取扱時間外です。",
                "Closed at this time.",
            ),
            Self::Suspended => (
                "suspended",
                S::SERVICE_UNAVAILABLE,
                Outcome::Shed,
                true,
                "この証明書の交付を停止しています。市区町村の窓口をご利用ください。",
                "Issuing this certificate is suspended. Please use the municipal counter.",
            ),
            Self::SwitchedOff => (
                "switched_off",
                S::SERVICE_UNAVAILABLE,
                Outcome::Shed,
                true,
                "現在ご利用いただけません。",
                "Switched off by the operator.",
            ),
            Self::Shed => (
                "shed",
                S::SERVICE_UNAVAILABLE,
                Outcome::Shed,
                true,
                "混み合っています。しばらくしてからもう一度お試しください。",
                "Busy. Please try again in a while.",
            ),
            Self::Draining => (
                "draining",
                S::SERVICE_UNAVAILABLE,
                Outcome::Shed,
                true,
                "ただいま切替中です。もう一度お試しください。",
                "Going down for a moment. Please try again.",
            ),
            Self::Expired => (
                "expired",
                S::GATEWAY_TIMEOUT,
                Outcome::Expired,
                true,
                "時間内に処理できませんでした。証明書は交付されていません。",
                "Not processed in time. No certificate was issued.",
            ),
            Self::Withheld => (
                "withheld",
                S::BAD_GATEWAY,
                Outcome::Withheld,
                true,
                "内容を確認できないため交付を取りやめました。証明書は交付されていません。",
                "Withheld because it could not be verified. No certificate was issued.",
            ),
            Self::Refused => (
                "refused",
                S::UNPROCESSABLE_ENTITY,
                Outcome::Refused,
                true,
                "交付できません。市区町村の窓口にお問い合わせください。",
                "Cannot be issued. Please ask at the municipal counter.",
            ),
            Self::Unavailable => (
                "unavailable",
                S::BAD_GATEWAY,
                Outcome::Failed,
                true,
                "接続先が応答しません。証明書は交付されていません。",
                "The backend cannot be reached. No certificate was issued.",
            ),
            Self::Indeterminate => (
                "indeterminate",
                S::GATEWAY_TIMEOUT,
                Outcome::Indeterminate,
                false,
                "処理の結果を確認できません。係員にお問い合わせください。",
                "The result is not known. Please ask the staff.",
            ),
            Self::Internal => (
                "internal",
                S::INTERNAL_SERVER_ERROR,
                Outcome::Failed,
                false,
                "内部エラーが発生しました。証明書は交付されていません。",
                "An internal error. No certificate was issued.",
            ),
        };
        // Nothing that the gateway says no to was handed over, so no code lets a fee be kept.
        Row { name, status, outcome, fee_may_be_taken: false, retry_safe, ja, en }
    }

    /// The stable name: last part of the type URN, key of a template's `codes`, label.
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// The outcome under which it is counted.
    pub const fn outcome(self) -> Outcome {
        self.row().outcome
    }

    /// Reads a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.name() == name)
    }
}
