//! Makes the residents of one municipality from a seed: households, twins, namesakes, rare characters, refusals.
//!
//! No two residents of a municipality share name, birth date, sex *and* address: then only an id could tell them apart.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::civil::Date;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::city::Municipality;
use super::resident::{Person, PersonNo, Record, Seal, Sex, State};
use super::words::{BUILDINGS, GAIJI_SURNAMES, LONG_NAMES, MEN, PREFECTURE, SURNAMES, TOWNS, VARIANT_SURNAMES, WOMEN};

/// Household sizes in the order in which households are made; the last one takes three sheets.
const SIZES: [usize; 12] = [1, 4, 2, 1, 5, 3, 9, 1, 4, 2, 6, 8];

/// A person being made.
#[derive(Clone)]
struct Draft {
    surname: (String, String),
    given: (String, String),
    birth: Date,
    sex: Sex,
    relation: &'static str,
    state: State,
}

impl Draft {
    fn name(&self) -> String {
        join(&self.surname.0, &self.given.0)
    }

    fn kana(&self) -> String {
        join(&self.surname.1, &self.given.1)
    }
}

fn join(a: &str, b: &str) -> String {
    if b.is_empty() { a.to_owned() } else { format!("{a}　{b}") }
}

/// The first `wanted` residents of a municipality. The same seed gives the same people.
pub(super) fn make(
    seed: u64,
    city_no: usize,
    city: &Municipality,
    first_no: PersonNo,
    wanted: usize,
    today: Date,
    printable_gaiji: bool,
) -> Vec<Record> {
    let mut maker = Maker {
        rng: StdRng::seed_from_u64(seed ^ (city_no as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)),
        city,
        today,
        printable_gaiji,
    };
    let mut records = Vec::with_capacity(wanted);
    let mut taken = HashSet::new();
    let mut turn = 0;
    while records.len() < wanted {
        let household = maker.household(turn, &records);
        turn += 1;
        let distinct = household
            .iter()
            .all(|(draft, address)| taken.insert((draft.name(), draft.birth, draft.sex.text(), address.clone())));
        if distinct {
            let first = first_no + records.len();
            let members: Arc<[PersonNo]> = (first..first + household.len()).collect();
            let domicile = maker.domicile();
            for (n, (draft, address)) in household.into_iter().enumerate() {
                let no = first + n;
                let person = Person {
                    no,
                    id: format!("{}{:04}", city.code, no - first_no + 1),
                    city: city_no,
                    name: draft.name(),
                    kana: draft.kana(),
                    birth: draft.birth,
                    sex: draft.sex,
                    relation: draft.relation,
                    head: first,
                    household: Arc::clone(&members),
                    domicile: domicile.clone(),
                    state: draft.state,
                    income: maker.rng.random_range(120..900) * 10_000,
                };
                let seal = maker.seal(no - first_no, &person);
                records.push(Record { person: Arc::new(person), version: 1, address, seal });
            }
        }
    }
    records
}

struct Maker<'a> {
    rng: StdRng,
    city: &'a Municipality,
    today: Date,
    printable_gaiji: bool,
}

impl Maker<'_> {
    /// The `turn`th household: every kind of special case comes round soon, whatever the seed.
    fn household(&mut self, turn: usize, earlier: &[Record]) -> Vec<(Draft, String)> {
        let address = self.address();
        let single = |draft: Draft| vec![(draft, address.clone())];
        match turn % 36 {
            // The first household of each round has three sheets, so that small worlds have one too.
            0 => self.family(9, &address),
            3 => self.twins(&address),
            5 => single(self.adult(VARIANT_SURNAMES)),
            7 => {
                let (name, kana) = pick(&mut self.rng, LONG_NAMES);
                let draft = self.adult(SURNAMES);
                single(Draft { surname: (name, kana), given: (String::new(), String::new()), ..draft })
            }
            9 => single(Draft { state: State::MovedOut, ..self.adult(SURNAMES) }),
            11 => single(Draft { state: State::Protected, ..self.adult(SURNAMES) }),
            13 => single(Draft { state: State::Deceased, ..self.adult(SURNAMES) }),
            15 => single(Draft { state: State::Provisional, ..self.adult(SURNAMES) }),
            17 => single(Draft { state: State::GaijiPending, ..self.adult(GAIJI_SURNAMES) }),
            25 if self.printable_gaiji => single(self.adult(GAIJI_SURNAMES)),
            19 | 23 | 29 => match self.read_alike(earlier) {
                Some(draft) => single(draft),
                None => single(self.adult(SURNAMES)),
            },
            21 | 31 => match self.namesake(earlier) {
                Some(draft) => single(draft),
                None => single(self.adult(SURNAMES)),
            },
            _ => {
                let size = SIZES.get(turn % SIZES.len()).copied().unwrap_or(1);
                self.family(size, &address)
            }
        }
    }

    fn adult(&mut self, surnames: &[(&str, &str)]) -> Draft {
        let sex = if self.rng.random_bool(0.5) { Sex::Man } else { Sex::Woman };
        let surname = pick(&mut self.rng, surnames);
        Draft {
            surname,
            given: self.given(sex),
            birth: self.birth(22, 95),
            sex,
            relation: "世帯主",
            state: State::Normal,
        }
    }

    fn given(&mut self, sex: Sex) -> (String, String) {
        pick(&mut self.rng, if sex == Sex::Man { MEN } else { WOMEN })
    }

    fn birth(&mut self, youngest: i16, oldest: i16) -> Date {
        let year = self.today.year() - self.rng.random_range(youngest..=oldest);
        let (month, day) = (self.rng.random_range(1..=12), self.rng.random_range(1..=28));
        Date::new(year, month, day).unwrap_or(self.today)
    }

    /// A couple and their children (and the head's parents in large ones); all of one surname.
    fn family(&mut self, size: usize, address: &str) -> Vec<(Draft, String)> {
        let mut head = self.adult(SURNAMES);
        head.birth = self.birth(38, 60);
        let mut members = vec![head.clone()];
        let spouse = match head.sex {
            Sex::Man => (Sex::Woman, "妻"),
            Sex::Woman => (Sex::Man, "夫"),
        };
        let plan = [
            (spouse.0, spouse.1, 36, 62),
            (Sex::Man, "子", 16, 34),
            (Sex::Woman, "子", 1, 14),
            (Sex::Woman, "母", 70, 96),
            (Sex::Man, "子", 1, 14),
            (Sex::Woman, "子", 16, 34),
            (Sex::Man, "父", 70, 96),
            (Sex::Man, "子", 16, 34),
        ];
        for (sex, relation, youngest, oldest) in plan.into_iter().take(size.saturating_sub(1)) {
            let mut given = self.given(sex);
            while members.iter().any(|m| m.given.1 == given.1) {
                given = self.given(sex);
            }
            let state = if youngest < 15 { State::Under15 } else { State::Normal };
            members.push(Draft {
                surname: head.surname.clone(),
                given,
                birth: self.birth(youngest, oldest),
                sex,
                relation,
                state,
            });
        }
        members.into_iter().map(|draft| (draft, address.to_owned())).collect()
    }

    /// Grown-up twins under one roof whose names are read alike: same reading, birth date, sex and address.
    fn twins(&mut self, address: &str) -> Vec<(Draft, String)> {
        let mut elder = self.adult(SURNAMES);
        let (one, other) = self.alike(elder.sex);
        elder.given = one;
        let younger = Draft { given: other, relation: "弟妹", ..elder.clone() };
        vec![(elder, address.to_owned()), (younger, address.to_owned())]
    }

    /// Two given names that are written differently and read alike.
    fn alike(&mut self, sex: Sex) -> ((String, String), (String, String)) {
        let words = if sex == Sex::Man { MEN } else { WOMEN };
        let (one, other) = words
            .iter()
            .enumerate()
            .flat_map(|(n, a)| words.iter().skip(n + 1).filter(move |b| b.1 == a.1).map(move |b| (*a, *b)))
            .collect::<Vec<_>>()
            .choose(&mut self.rng)
            .copied()
            .unwrap_or((("健太", "ケンタ"), ("賢太", "ケンタ")));
        ((one.0.into(), one.1.into()), (other.0.into(), other.1.into()))
    }

    /// Somebody else's reading, birth date and sex, at another address: what a weak match confuses.
    fn read_alike(&mut self, earlier: &[Record]) -> Option<Draft> {
        let other = self.grown_up(earlier)?;
        let (surname, given) = other.name.split_once('　')?;
        let (surname_kana, given_kana) = other.kana.split_once('　')?;
        let written = SURNAMES
            .iter()
            .find(|(kanji, kana)| *kana == surname_kana && *kanji != surname)
            .map_or(surname, |(kanji, _)| *kanji);
        Some(Draft {
            surname: (written.into(), surname_kana.into()),
            given: (given.into(), given_kana.into()),
            birth: other.birth,
            sex: other.sex,
            relation: "世帯主",
            state: State::Normal,
        })
    }

    /// Somebody else's full name, born on another day.
    fn namesake(&mut self, earlier: &[Record]) -> Option<Draft> {
        let birth = self.birth(22, 95);
        self.read_alike(earlier).map(|draft| Draft { birth, ..draft })
    }

    fn grown_up(&mut self, earlier: &[Record]) -> Option<Arc<Person>> {
        let candidates: Vec<_> =
            earlier.iter().filter(|r| r.person.state == State::Normal && r.person.name.contains('　')).collect();
        candidates.choose(&mut self.rng).map(|r| Arc::clone(&r.person))
    }

    fn address(&mut self) -> String {
        address(&mut self.rng, self.city)
    }

    fn domicile(&mut self) -> String {
        let town = TOWNS.choose(&mut self.rng).copied().unwrap_or("本町");
        format!("{PREFECTURE}{}{town}{}番地", self.city.name, full_width(self.rng.random_range(1..1200)))
    }

    fn seal(&mut self, nth: usize, person: &Person) -> Option<Seal> {
        let (year, month, day) =
            (self.rng.random_range(2001..2025), self.rng.random_range(1..=12), self.rng.random_range(1..=28));
        let has_one = person.state == State::Normal && nth % 9 != 8;
        has_one.then(|| Seal {
            number: format!("{:07}", 1_000_000 + nth * 7 + 1),
            registered: Date::constant(year, month, day),
        })
    }
}

fn pick(rng: &mut StdRng, words: &[(&str, &str)]) -> (String, String) {
    let (a, b) = words.choose(rng).copied().unwrap_or(("関", "セキ"));
    (a.to_owned(), b.to_owned())
}

/// A printable address in a municipality; fits the paper's field.
pub(super) fn address(rng: &mut impl Rng, city: &Municipality) -> String {
    let town = TOWNS.choose(rng).copied().unwrap_or("本町");
    let (chome, block, house) = (rng.random_range(1..=9usize), rng.random_range(1..=40), rng.random_range(1..=30));
    let lot = match rng.random_range(0..5) {
        0 => format!("{}－{}－{}", full_width(chome), full_width(block), full_width(house)),
        _ => {
            let chome = ["一", "二", "三", "四", "五", "六", "七", "八", "九"].get(chome - 1).copied().unwrap_or("一");
            format!("{chome}丁目{}番{}号", full_width(block), full_width(house))
        }
    };
    let building = match rng.random_range(0..4) {
        0 => format!(
            "　{}{}号室",
            BUILDINGS.choose(rng).copied().unwrap_or("メゾン桜"),
            full_width(rng.random_range(1..=9) * 100 + rng.random_range(1..=9))
        ),
        _ => String::new(),
    };
    format!("{PREFECTURE}{}{town}{lot}{building}", city.name)
}

fn full_width(n: usize) -> String {
    n.to_string().chars().filter_map(|c| char::from_u32(u32::from(c) + 0xFEE0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn people(seed: u64) -> Vec<Record> {
        let city = Municipality::nth(0).unwrap();
        make(seed, 0, &city, 0, 240, Date::constant(2026, 11, 22), true)
    }

    #[test]
    fn the_same_seed_makes_the_same_people_and_another_seed_others() {
        assert_eq!(people(7), people(7));
        assert_ne!(people(7), people(8));
    }

    #[test]
    fn every_kind_of_difficult_resident_is_there() {
        let all = people(1);
        let has = |what: &str, test: &dyn Fn(&Record) -> bool| assert!(all.iter().any(test), "nobody is {what}");
        has("in a household of nine", &|r| r.person.household.len() == 9);
        has("long-named", &|r| r.person.name.chars().count() > 30);
        has("written with a variation selector", &|r| r.person.name.contains('\u{E0100}'));
        has("written with a private-use character", &|r| {
            r.person.name.contains(|c| ('\u{E000}'..'\u{F8FF}').contains(&c))
        });
        for state in [
            State::MovedOut,
            State::Protected,
            State::Deceased,
            State::Under15,
            State::Provisional,
            State::GaijiPending,
        ] {
            has("in that state", &|r| r.person.state == state);
        }
        let pair = |same: &dyn Fn(&Record, &Record) -> bool| {
            all.iter().any(|a| all.iter().any(|b| a.person.no < b.person.no && same(a, b)))
        };
        let read_alike = |a: &Record, b: &Record| {
            a.person.kana == b.person.kana && a.person.birth == b.person.birth && a.person.sex == b.person.sex
        };
        assert!(pair(&|a, b| read_alike(a, b) && a.address == b.address), "no twins");
        assert!(pair(&|a, b| read_alike(a, b) && a.address != b.address), "nobody that a weak match confuses");
        assert!(pair(&|a, b| a.person.name == b.person.name && a.person.birth != b.person.birth), "no namesakes");
    }

    #[test]
    fn no_two_residents_share_every_printed_attribute() {
        for seed in 0..5 {
            let all = people(seed);
            let keys: HashSet<_> =
                all.iter().map(|r| (&r.person.name, r.person.birth, r.person.sex, &r.address)).collect();
            assert_eq!(keys.len(), all.len());
        }
    }
}
