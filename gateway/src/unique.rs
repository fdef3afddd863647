//! What may already have left: digests of contents for a few service days, issue numbers for ever. Digests only, never text.
//!
//! Full means no: what could not be remembered afterwards is not released.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};

/// Contents that are remembered at once, all days together: about 250 MiB.
pub const MAX_CONTENT_DIGESTS: usize = 4_000_000;

/// Issue numbers that are remembered, for ever: about 300 MiB when full.
pub const MAX_ISSUE_NUMBERS: usize = 8_000_000;

/// Days kept beside today: together at least two service days, whatever the hour.
const DAYS_BEFORE_TODAY: i32 = 2;

/// And at least so long by a clock that nobody sets: a wall clock that jumps forward forgets nothing.
const KEPT_AT_LEAST: Duration = Duration::from_secs(48 * 3600);

/// Today and the days before it.
const KEPT_DAYS: usize = 1 + DAYS_BEFORE_TODAY as usize;

const JST: Offset = Offset::constant(9);

/// The digests of one answer, each keyed, so that none can be guessed back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digests {
    /// What the answer says.
    pub content: u128,
    /// For which people.
    pub people: u64,
    /// In which session.
    pub session: u64,
    /// Its issue number, with the municipality.
    pub number: Option<u128>,
}

/// What was seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// The same content, for other people.
    OtherPeople,
    /// The same content, for the same people in another session; refused only where the route is strict.
    SamePeople,
    /// The same issue number.
    Number,
    /// Nothing, but there is no room to remember it.
    Full,
}

/// Whether a content may still leave, or may have left.
#[derive(Debug, Clone, Copy)]
struct Content {
    people: u64,
    session: u64,
    /// Claims that have not ended.
    holders: u32,
    /// A claim ended with bytes that may have left.
    left: bool,
}

/// What was released last on one day.
struct Day {
    contents: HashMap<u128, Content>,
    /// When something came in last, by the monotonic clock.
    last: Instant,
}

#[derive(Default)]
struct Memory {
    days: BTreeMap<Date, Day>,
    contents: usize,
    numbers: HashSet<u128>,
    claimed_numbers: HashSet<u128>,
}

/// The memory of one gateway. Rebuilt from the release records at start.
pub struct Unique {
    memory: Mutex<Memory>,
    max_contents: usize,
    max_numbers: usize,
}

/// The right to release one content, taken before its intent is written. Dropped without [`Claim::keep`], it is as if it had never been:
/// nothing left, so the same paper may be released later. Until then nobody else's answer may have this content or number.
#[derive(Debug)]
pub struct Claim {
    unique: Arc<Unique>,
    digests: Digests,
    /// Whether it was this claim that took the number.
    took_number: bool,
    kept: bool,
}

impl Default for Unique {
    fn default() -> Self {
        Self::bounded(MAX_CONTENT_DIGESTS, MAX_ISSUE_NUMBERS)
    }
}

impl Unique {
    /// An empty memory with bounds of its own.
    pub fn bounded(max_contents: usize, max_numbers: usize) -> Self {
        Self { memory: Mutex::default(), max_contents, max_numbers }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks and inserts in one step: of two equal contents for different people, whenever they come, one is told.
    /// `Ok` carries what was seen of the same people, to be counted.
    pub fn claim(
        self: &Arc<Self>,
        digests: Digests,
        strict: bool,
        now: Timestamp,
    ) -> Result<(Claim, Option<Seen>), Seen> {
        self.claim_at(digests, strict, now, Instant::now())
    }

    fn claim_at(
        self: &Arc<Self>,
        digests: Digests,
        strict: bool,
        now: Timestamp,
        monotonic: Instant,
    ) -> Result<(Claim, Option<Seen>), Seen> {
        let mut memory = self.memory();
        let today = day_of(now);
        memory.forget(today, monotonic);
        let known = memory.known(digests.content);
        let seen = memory.seen(&digests)?;
        if strict && let Some(seen) = seen {
            return Err(seen);
        }
        if digests.number.is_some() && memory.numbers.len() + memory.claimed_numbers.len() >= self.max_numbers {
            return Err(Seen::Full);
        }
        if known.is_none() && memory.contents >= self.max_contents {
            return Err(Seen::Full);
        }
        memory.hold(today, digests, monotonic);
        if let Some(number) = digests.number {
            memory.claimed_numbers.insert(number);
        }
        let took_number = digests.number.is_some();
        Ok((Claim { unique: self.clone(), digests, took_number, kept: false }, seen))
    }

    /// The right to give the same paper out again to whom it was fetched for: what it claimed then is no contradiction, and what it gave
    /// back since, as nothing left, is claimed anew.
    pub fn claim_again(self: &Arc<Self>, digests: Digests, now: Timestamp) -> Result<Claim, Seen> {
        let mut memory = self.memory();
        let known = memory.known(digests.content);
        if known.is_some_and(|(_, content)| content.people != digests.people) {
            return Err(Seen::OtherPeople);
        }
        let number_known =
            digests.number.is_some_and(|n| memory.numbers.contains(&n) || memory.claimed_numbers.contains(&n));
        match known {
            // The number went out with another content meanwhile.
            None if number_known => return Err(Seen::Number),
            None if memory.contents >= self.max_contents => return Err(Seen::Full),
            _ => {}
        }
        let took_number = digests.number.is_some() && !number_known;
        if took_number && memory.numbers.len() + memory.claimed_numbers.len() >= self.max_numbers {
            return Err(Seen::Full);
        }
        memory.hold(day_of(now), digests, Instant::now());
        if let Some(number) = digests.number.filter(|_| took_number) {
            memory.claimed_numbers.insert(number);
        }
        Ok(Claim { unique: self.clone(), digests, took_number, kept: false })
    }

    /// Looks without claiming: for an answer that is withheld for other reasons.
    pub fn peek(&self, digests: &Digests) -> Option<Seen> {
        self.memory().seen(digests).unwrap_or_else(Some)
    }

    /// Remembers what a record says may have left: the last days on which anything did, whatever the clock says by now, and what
    /// is of these days by the clock.
    pub fn restore(&self, digests: Digests, at: Timestamp, now: Timestamp) {
        let mut memory = self.memory();
        if let Some(number) = digests.number {
            memory.numbers.insert(number);
        }
        memory.hold(day_of(at), digests, Instant::now());
        memory.end(&digests, true);
        memory.forget_restored(day_of(now));
    }

    /// Remembers a number of a record whose content is too old to matter.
    pub fn restore_number(&self, number: u128) {
        self.memory().numbers.insert(number);
    }

    /// Every number that left or may still leave, for a snapshot: rather too many than too few.
    pub fn numbers(&self) -> Vec<u128> {
        let memory = self.memory();
        memory.numbers.iter().chain(&memory.claimed_numbers).copied().collect()
    }

    /// Every content that left or may still leave, with a moment of its day, for a snapshot. Numbers are in [`Unique::numbers`].
    pub fn contents(&self, now: Timestamp) -> Vec<(Timestamp, Digests)> {
        let memory = self.memory();
        let of_day = |(day, of_day): (&Date, &Day)| {
            let at = day.to_zoned(TimeZone::fixed(JST)).map_or(now, |midnight| midnight.timestamp());
            let digests = of_day.contents.iter().map(move |(content, c)| {
                (at, Digests { content: *content, people: c.people, session: c.session, number: None })
            });
            digests.collect::<Vec<_>>()
        };
        memory.days.iter().flat_map(of_day).collect()
    }

    /// How many contents and numbers are remembered.
    pub fn len(&self) -> (usize, usize) {
        let memory = self.memory();
        (memory.contents, memory.numbers.len() + memory.claimed_numbers.len())
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == (0, 0)
    }
}

impl std::fmt::Debug for Unique {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (contents, numbers) = self.len();
        write!(f, "Unique({contents} contents, {numbers} numbers)")
    }
}

impl Memory {
    fn known(&self, content: u128) -> Option<(Date, Content)> {
        self.days.iter().find_map(|(day, of_day)| of_day.contents.get(&content).map(|c| (*day, *c)))
    }

    /// `Err` where it must not pass, `Ok(Some)` where it is to be counted.
    fn seen(&self, digests: &Digests) -> Result<Option<Seen>, Seen> {
        let seen = match self.known(digests.content) {
            Some((_, content)) if content.people != digests.people => return Err(Seen::OtherPeople),
            Some((_, content)) if content.session != digests.session => Some(Seen::SamePeople),
            _ => None,
        };
        match digests.number {
            Some(number) if self.numbers.contains(&number) || self.claimed_numbers.contains(&number) => {
                Err(Seen::Number)
            }
            _ => Ok(seen),
        }
    }

    /// Takes a content into `day`, out of an older one: it is remembered from its last release on.
    fn hold(&mut self, day: Date, digests: Digests, monotonic: Instant) {
        let known = self.known(digests.content);
        if let Some((older, _)) = known.filter(|(known, _)| *known < day) {
            self.days.get_mut(&older).and_then(|of_day| of_day.contents.remove(&digests.content));
        }
        let fresh = Content { people: digests.people, session: digests.session, holders: 0, left: false };
        let (day, content) = known.map_or((day, fresh), |(known, content)| (known.max(day), content));
        let of_day = self.days.entry(day).or_insert_with(|| Day { contents: HashMap::new(), last: monotonic });
        of_day.last = of_day.last.max(monotonic);
        of_day.contents.entry(digests.content).or_insert(content).holders += 1;
        self.contents += usize::from(known.is_none());
    }

    fn end(&mut self, digests: &Digests, left: bool) {
        let Some(of_day) = self.days.values_mut().find(|of_day| of_day.contents.contains_key(&digests.content)) else {
            return;
        };
        let Some(entry) = of_day.contents.get_mut(&digests.content) else { return };
        entry.holders = entry.holders.saturating_sub(1);
        entry.left |= left;
        if entry.holders == 0 && !entry.left {
            of_day.contents.remove(&digests.content);
            self.contents = self.contents.saturating_sub(1);
        }
    }

    /// Forgets what both clocks say is past.
    fn forget(&mut self, today: Date, monotonic: Instant) {
        let oldest = oldest_kept(today);
        let past = |of_day: &Day| monotonic.saturating_duration_since(of_day.last) >= KEPT_AT_LEAST;
        while let Some(first) = self.days.first_entry().filter(|day| *day.key() < oldest && past(day.get())) {
            self.contents = self.contents.saturating_sub(first.remove().contents.len());
        }
    }

    /// No clock runs through a restart, so days are counted on which something was released.
    fn forget_restored(&mut self, today: Date) {
        let oldest = oldest_kept(today);
        while self.days.len() > KEPT_DAYS
            && let Some(first) = self.days.first_entry().filter(|day| *day.key() < oldest)
        {
            self.contents = self.contents.saturating_sub(first.remove().contents.len());
        }
    }
}

impl Claim {
    /// What was claimed.
    pub fn digests(&self) -> &Digests {
        &self.digests
    }

    /// Bytes may have left: from now on the content and the number are remembered.
    pub fn keep(mut self) {
        self.end(true);
    }

    fn end(&mut self, left: bool) {
        if std::mem::replace(&mut self.kept, true) {
            return;
        }
        let mut memory = self.unique.memory();
        memory.end(&self.digests, left);
        if let Some(number) = self.digests.number {
            if left || self.took_number {
                memory.claimed_numbers.remove(&number);
            }
            if left {
                memory.numbers.insert(number);
            }
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.end(false);
    }
}

/// The service day: Japan Standard Time.
fn day_of(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::fixed(JST)).date()
}

fn oldest_kept(today: Date) -> Date {
    today.checked_sub(jiff::Span::new().days(DAYS_BEFORE_TODAY)).unwrap_or(Date::MIN)
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn noon() -> Timestamp {
        at("2026-11-22T12:00:00+09:00")
    }

    fn paper(content: u128, people: u64, session: u64) -> Digests {
        Digests { content, people, session, number: None }
    }

    #[test]
    fn of_two_equal_contents_at_the_same_moment_exactly_one_passes() {
        for _ in 0..200 {
            let unique = Arc::new(Unique::default());
            let start = Arc::new(Barrier::new(2));
            let racers = [1, 2].map(|people| {
                let (unique, start) = (unique.clone(), start.clone());
                std::thread::spawn(move || {
                    start.wait();
                    unique.claim(paper(7, people, people), false, noon()).map(|(claim, _)| claim.keep())
                })
            });
            let results = racers.map(|r| r.join().unwrap());
            assert_eq!(results.iter().filter(|r| r.is_ok()).count(), 1);
            assert!(results.contains(&Err(Seen::OtherPeople)));
        }
    }

    #[test]
    fn a_content_released_to_others_is_told_for_two_service_days() {
        let unique = Arc::new(Unique::default());
        let start = Instant::now();
        let claim = |hours: u64, people, now: &str| {
            unique.claim_at(paper(7, people, people), false, at(now), start + Duration::from_secs(hours * 3600))
        };
        claim(0, 1, "2026-11-20T06:30:00+09:00").unwrap().0.keep();
        let late_next_day = "2026-11-21T23:00:00+09:00";
        assert_eq!(claim(40, 2, late_next_day).unwrap_err(), Seen::OtherPeople);
        assert!(claim(66, 2, "2026-11-23T00:00:00+09:00").is_ok());
        assert_eq!(unique.len().0, 0, "the claim was dropped and the old day forgotten");
    }

    #[test]
    fn a_content_is_remembered_from_its_last_release_on() {
        let unique = Arc::new(Unique::default());
        let day = |day: &str| at(&format!("2026-11-{day}T12:00:00+09:00"));
        let start = Instant::now();
        let claim = |of: u64, people| {
            let monotonic = start + Duration::from_secs((of - 20) * 24 * 3600);
            unique.claim_at(paper(7, people, people), false, day(&of.to_string()), monotonic)
        };
        for of in [20, 22] {
            claim(of, 1).unwrap().0.keep();
        }
        assert_eq!(claim(24, 2).unwrap_err(), Seen::OtherPeople);
        assert_eq!(unique.len().0, 1);
        assert!(claim(25, 2).is_ok());
    }

    #[test]
    fn a_clock_that_jumps_forward_forgets_nothing() {
        let unique = Arc::new(Unique::default());
        let (start, ahead) = (Instant::now(), at("2026-12-22T12:00:00+09:00"));
        unique.claim_at(paper(7, 1, 1), false, noon(), start).unwrap().0.keep();
        let later = |hours: u64| start + Duration::from_secs(hours * 3600);
        assert_eq!(unique.claim_at(paper(7, 2, 2), false, ahead, later(47)).unwrap_err(), Seen::OtherPeople);
        assert_eq!(
            unique.claim_at(paper(7, 2, 2), false, noon(), later(100)).unwrap_err(),
            Seen::OtherPeople,
            "nor one that stands"
        );
        assert!(unique.claim_at(paper(7, 2, 2), false, ahead, later(100)).is_ok());
    }

    #[test]
    fn a_start_after_a_jump_still_knows_the_last_days() {
        let unique = Arc::new(Unique::default());
        let ahead = at("2027-01-22T12:00:00+09:00");
        for day in 18..=22 {
            unique.restore(paper(day, 1, 1), at(&format!("2026-11-{day}T12:00:00+09:00")), ahead);
        }
        let seen = |content| unique.claim(paper(content, 2, 2), false, ahead).err();
        assert_eq!(
            [18, 19, 20, 21, 22].map(seen),
            [None, None, Some(Seen::OtherPeople), Some(Seen::OtherPeople), Some(Seen::OtherPeople)]
        );
    }

    #[test]
    fn the_same_people_are_counted_and_refused_only_where_strict() {
        let unique = Arc::new(Unique::default());
        unique.claim(paper(7, 1, 1), false, noon()).unwrap().0.keep();
        let (claim, seen) = unique.claim(paper(7, 1, 2), false, noon()).unwrap();
        assert_eq!(seen, Some(Seen::SamePeople));
        drop(claim);
        assert_eq!(unique.claim(paper(7, 1, 2), true, noon()).unwrap_err(), Seen::SamePeople);
        assert_eq!(unique.claim(paper(7, 1, 1), true, noon()).unwrap().1, None, "a repetition in its own session");
    }

    #[test]
    fn an_issue_number_is_for_ever_but_only_if_it_may_have_left() {
        let unique = Arc::new(Unique::default());
        let numbered = |content, people| Digests { number: Some(42), ..paper(content, people, 1) };
        let held = unique.claim(numbered(1, 1), false, noon()).unwrap().0;
        assert_eq!(unique.claim(numbered(2, 2), false, noon()).unwrap_err(), Seen::Number, "while it may still leave");
        drop(held);
        unique.claim(numbered(1, 1), false, noon()).unwrap().0.keep();
        let years_later = at("2036-01-01T12:00:00+09:00");
        assert_eq!(unique.claim(numbered(3, 1), false, years_later).unwrap_err(), Seen::Number);
    }

    #[test]
    fn a_claim_that_ends_without_leaving_does_not_forget_one_that_left() {
        let unique = Arc::new(Unique::default());
        unique.claim(paper(7, 1, 1), false, noon()).unwrap().0.keep();
        drop(unique.claim(paper(7, 1, 2), false, noon()).unwrap());
        assert_eq!(unique.claim(paper(7, 2, 3), false, noon()).unwrap_err(), Seen::OtherPeople);
    }

    #[test]
    fn when_full_nothing_new_passes_and_the_known_is_still_told() {
        let unique = Arc::new(Unique::bounded(1, 1));
        unique.claim(paper(7, 1, 1), false, noon()).unwrap().0.keep();
        assert_eq!(unique.claim(paper(8, 1, 1), false, noon()).unwrap_err(), Seen::Full);
        assert_eq!(unique.claim(paper(7, 2, 1), false, noon()).unwrap_err(), Seen::OtherPeople);
        assert!(unique.claim(paper(7, 1, 1), false, noon()).is_ok());
        unique.restore_number(1);
        let numbered = Digests { number: Some(2), ..paper(7, 1, 1) };
        assert_eq!(unique.claim(numbered, false, noon()).unwrap_err(), Seen::Full);
    }

    #[test]
    fn what_a_record_says_is_known_after_a_restart() {
        let unique = Arc::new(Unique::default());
        let digests = Digests { number: Some(42), ..paper(7, 1, 1) };
        unique.restore(digests, at("2026-11-21T12:00:00+09:00"), noon());
        assert_eq!(unique.claim(paper(7, 2, 2), false, noon()).unwrap_err(), Seen::OtherPeople);
        let old = Digests { number: Some(43), ..paper(8, 1, 1) };
        unique.restore(old, at("2026-10-01T12:00:00+09:00"), noon());
        for day in ["20", "22"] {
            unique.restore(paper(day.parse().unwrap(), 1, 1), at(&format!("2026-11-{day}T12:00:00+09:00")), noon());
        }
        assert!(unique.claim(paper(8, 2, 2), false, noon()).is_ok(), "its content is past the window");
        let again = Digests { number: Some(43), ..paper(9, 2, 2) };
        assert_eq!(unique.claim(again, false, noon()).unwrap_err(), Seen::Number, "its number is not");
    }
}
