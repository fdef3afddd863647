//! What was read of one backend, and what that comes to now. Pure: every time comes from outside.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Field, Manifest, NotRead, Source};

/// What was read longer ago than this many periods says nothing any more.
pub const STALE_AFTER_PERIODS: u32 = 3;
/// Readings that must agree after a contradiction.
const STEADY_READINGS: u32 = 3;
/// Who goes back to what it said within this many periods is two servers behind one address.
const RETURN_PERIODS: u32 = 10;
/// What is remembered of what it said before.
const MAX_LEFT: usize = 16;

/// What a backend is known to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Nothing was read yet.
    Unread,
    /// The last answer is no manifest.
    Unreadable,
    /// The last manifest is too old.
    Stale,
    /// It says one thing and another.
    Contradictory,
    /// This.
    Read(Arc<Manifest>),
}

impl State {
    /// The word in logs and listings.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Unread => "unread",
            Self::Unreadable => "unreadable",
            Self::Stale => "stale",
            Self::Contradictory => "contradictory",
            Self::Read(_) => "read",
        }
    }

    /// A field, where it is known now.
    pub fn field(&self, field: Field) -> Option<&Arc<str>> {
        match self {
            Self::Read(manifest) => manifest.get(&field),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    Unreadable,
    Contradictory,
}

/// Everything that was read of one backend.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    last: Option<(Arc<Manifest>, Instant)>,
    trouble: Option<Trouble>,
    /// Equal readings in a row.
    agreed: u32,
    /// What it said before, and until when.
    left: Vec<(Arc<Manifest>, Instant)>,
    changed_at: Option<Instant>,
}

impl Seen {
    /// Of a server that was put in another's place: nothing is known, and whatever is in flight was asked of the other.
    pub(super) fn of_another(now: Instant) -> Self {
        Self { changed_at: Some(now), ..Self::default() }
    }

    /// When it was noticed that it says something else, or something that cannot be read.
    pub(super) fn changed_at(&self) -> Option<Instant> {
        self.changed_at
    }

    /// One more reading.
    pub(super) fn take(&mut self, read: Result<Manifest, NotRead>, source: &Source, now: Instant) {
        let trouble = match read {
            Ok(manifest) => return self.read(manifest, source, now),
            Err(NotRead::Unanswered) => return,
            Err(NotRead::Contradictory) => Trouble::Contradictory,
            Err(NotRead::Unreadable) => self.trouble.unwrap_or(Trouble::Unreadable),
        };
        self.trouble = Some(trouble);
        self.agreed = 0;
        self.changed_at = Some(now);
    }

    fn read(&mut self, manifest: Manifest, source: &Source, now: Instant) {
        self.left.retain(|(_, until)| now.saturating_duration_since(*until) <= source.every * RETURN_PERIODS);
        match &mut self.last {
            Some((before, at)) if **before == manifest => {
                *at = now;
                self.agreed = self.agreed.saturating_add(1);
            }
            last => {
                let returned = self.left.iter().any(|(left, _)| **left == manifest);
                if let Some((before, _)) = last.replace((Arc::new(manifest), now)) {
                    if self.left.len() >= MAX_LEFT {
                        self.left.remove(0);
                    }
                    self.left.push((before, now));
                    self.changed_at = Some(now);
                }
                self.agreed = 1;
                if returned {
                    self.trouble = Some(Trouble::Contradictory);
                }
            }
        }
        if self.trouble == Some(Trouble::Unreadable) || self.agreed >= STEADY_READINGS {
            self.trouble = None;
        }
    }

    /// What that comes to now.
    pub(super) fn state(&self, source: &Source, now: Instant) -> State {
        match (self.trouble, &self.last) {
            (Some(Trouble::Contradictory), _) => State::Contradictory,
            (Some(Trouble::Unreadable), _) => State::Unreadable,
            (None, None) => State::Unread,
            (None, Some((_, at))) if now.saturating_duration_since(*at) > stale_after(source) => State::Stale,
            (None, Some((manifest, _))) => State::Read(manifest.clone()),
        }
    }
}

fn stale_after(source: &Source) -> Duration {
    source.every * STALE_AFTER_PERIODS + source.timeout
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::tests::manifest;

    /// Every minute, for a second.
    fn source() -> Source {
        let text = r#"
            version = 1
            [server]
            listen = "127.0.0.1:0"
            [state]
            dir = "/nonexistent"
            [backends.issuer]
            address = "http://127.0.0.1:9"
            [backends.issuer.manifest]
            request = { path = "/version" }
            fields  = { build = { json = "/build" } }
            every   = "60s"
            timeout = "1s"
            [routes.notice]
            match = "GET /notice"
            operation = "pass"
            backend = "issuer"
            timeout = "1s"
            media_types = ["text/plain"]
        "#;
        let config = crate::config::parse(text).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
        config.backends["issuer"].manifest.as_deref().unwrap().clone()
    }

    fn build(build: &str) -> Result<Manifest, NotRead> {
        Ok(manifest(&[(Field::Build, build)]))
    }

    struct Life(Seen, Source, Instant);

    impl Life {
        fn new() -> Self {
            Self(Seen::default(), source(), Instant::now())
        }

        fn after(&mut self, seconds: u64) -> &mut Self {
            self.2 += Duration::from_secs(seconds);
            self
        }

        fn hears(&mut self, read: Result<Manifest, NotRead>) -> &mut Self {
            self.0.take(read, &self.1, self.2);
            self
        }

        fn is(&self) -> String {
            let state = self.0.state(&self.1, self.2);
            state.field(Field::Build).map_or(state.name().to_owned(), ToString::to_string)
        }
    }

    #[test]
    fn what_is_silent_grows_stale_and_what_cannot_be_read_says_nothing_at_once() {
        let mut life = Life::new();
        assert_eq!(life.is(), "unread");
        assert_eq!(life.hears(Err(NotRead::Unanswered)).is(), "unread");
        assert_eq!(life.hears(build("a")).is(), "a");
        assert_eq!(life.after(120).hears(Err(NotRead::Unanswered)).is(), "a", "a busy backend misses a question");
        assert_eq!(life.after(61).is(), "a");
        assert_eq!(life.after(1).is(), "stale");
        assert_eq!(life.hears(build("a")).is(), "a");
        assert_eq!(life.0.changed_at(), None, "it never said anything else");
        assert_eq!(life.after(60).hears(Err(NotRead::Unreadable)).is(), "unreadable");
        assert!(life.0.changed_at().is_some());
        assert_eq!(life.after(60).hears(Err(NotRead::Unanswered)).is(), "unreadable");
        assert_eq!(life.hears(build("a")).is(), "a");
    }

    #[test]
    fn one_change_is_an_upgrade_and_a_way_back_is_two_servers() {
        let mut life = Life::new();
        life.hears(build("a")).after(60).hears(build("b"));
        assert_eq!((life.is().as_str(), life.0.changed_at()), ("b", Some(life.2)));
        assert_eq!(life.after(60).hears(build("a")).is(), "contradictory");
        assert_eq!(life.after(60).hears(build("b")).is(), "contradictory");
        assert_eq!(life.after(60).hears(build("b")).is(), "contradictory");
        assert_eq!(life.after(60).hears(Err(NotRead::Unreadable)).is(), "contradictory");
        for _ in 0..2 {
            assert_eq!(life.after(60).hears(build("b")).is(), "contradictory");
        }
        assert_eq!(life.after(60).hears(build("b")).is(), "b", "three readings agree");
        // Much later it may go back.
        assert_eq!(life.after(3600).hears(build("a")).is(), "a");
    }

    #[test]
    fn one_answer_that_says_two_things_is_a_contradiction() {
        let mut life = Life::new();
        assert_eq!(life.hears(build("a")).after(60).hears(Err(NotRead::Contradictory)).is(), "contradictory");
        assert_eq!(life.after(60).hears(build("a")).is(), "contradictory");
    }
}
