//! Who lives in the simulated world: what never changes of a person, and one version of their record.

use std::sync::Arc;

use jiff::civil::Date;
use serde::Serialize;
use serde_json::{Value, json};

/// Number of a person in the whole world; dense, from 0.
pub type PersonNo = usize;

/// Sex as the register prints it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum Sex {
    /// 男
    Man,
    /// 女
    Woman,
}

impl Sex {
    /// As printed and as the record API says it.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Man => "男",
            Self::Woman => "女",
        }
    }
}

/// What the issuer has to say about a person before it prints anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Certificates are issued.
    Normal,
    /// 転出
    MovedOut,
    /// 支援措置
    Protected,
    /// 死亡
    Deceased,
    /// Fifteen or younger: no certificate at a kiosk.
    Under15,
    /// 仮登録: must never show.
    Provisional,
    /// A character of the name is still being made.
    GaijiPending,
}

impl State {
    /// The code of the lawful refusal, if there is one.
    pub const fn refusal(self) -> Option<&'static str> {
        match self {
            Self::Normal => None,
            Self::MovedOut => Some("MOVED_OUT"),
            Self::Protected => Some("PROTECTED"),
            Self::Deceased => Some("DECEASED"),
            Self::Under15 => Some("UNDER_15"),
            Self::Provisional => Some("PROVISIONAL"),
            Self::GaijiPending => Some("GAIJI_PENDING"),
        }
    }
}

/// What does not change about a person while the world runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Number in this world.
    pub no: PersonNo,
    /// The number that the municipality knows the person by (宛名番号): ten digits.
    pub id: String,
    /// Index of the municipality.
    pub city: usize,
    /// Name as registered.
    pub name: String,
    /// Reading, full-width.
    pub kana: String,
    /// Date of birth.
    pub birth: Date,
    /// Sex.
    pub sex: Sex,
    /// 世帯主, 妻, 子, ...
    pub relation: &'static str,
    /// Who heads the household.
    pub head: PersonNo,
    /// Everyone of the household in printing order, the head first.
    pub household: Arc<[PersonNo]>,
    /// 本籍
    pub domicile: String,
    /// What may be issued.
    pub state: State,
    /// Last year's income in yen.
    pub income: u64,
}

/// 印鑑登録
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// Registration number, new with each registration.
    pub number: String,
    /// When.
    pub registered: Date,
}

/// One version of a person's record. Never changed; an amend makes the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Whose.
    pub person: Arc<Person>,
    /// Counts up from 1.
    pub version: u64,
    /// 住所
    pub address: String,
    /// The registered seal, if any.
    pub seal: Option<Seal>,
}

impl Record {
    /// The person as the record API describes them, without the household.
    pub fn json(&self, city_code: &str) -> Value {
        let person = &self.person;
        json!({
            "id": person.id,
            "name": person.name,
            "kana": person.kana,
            "birth": person.birth.to_string(),
            "sex": person.sex.text(),
            "relation": person.relation,
            "address": self.address,
            "domicile": person.domicile,
            "version": self.version.to_string(),
            "city": city_code,
            "state": person.state.refusal().unwrap_or("NORMAL"),
            "seal": {
                "number": self.seal.as_ref().map(|s| s.number.as_str()),
                "status": if self.seal.is_some() { "registered" } else { "none" },
                "registered": self.seal.as_ref().map(|s| s.registered.to_string()),
            },
        })
    }
}
