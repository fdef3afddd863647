//! Which rate is tried next: doubled until one breaks, halved in between until the two are close, then the best tried again. Pure.

/// Rates so close together are not told apart.
const CLOSE: f64 = 1.1;
/// The best rate must hold so often in all.
const CONFIRMED: usize = 3;
/// Nobody waits for more.
const MOST_TRIES: usize = 30;
/// A lower rate than this is none.
const LOWEST: f64 = 0.05;

/// What was tried and what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    from: f64,
    to: f64,
    tried: Vec<(f64, bool)>,
}

impl Search {
    /// Begins at `from` a second and never goes over `to`.
    pub fn new(from: f64, to: f64) -> Self {
        Self { from: from.max(LOWEST), to: to.max(from), tried: Vec::new() }
    }

    /// The lowest rate that broke. What held there at another time is not safe.
    pub fn broke_at(&self) -> Option<f64> {
        self.tried.iter().filter(|(_, held)| !held).map(|(rate, _)| *rate).reduce(f64::min)
    }

    /// The highest rate that held, below every one that broke.
    pub fn held_at(&self) -> Option<f64> {
        let below = self.broke_at().unwrap_or(f64::INFINITY);
        self.tried.iter().filter(|(rate, held)| *held && *rate < below).map(|(rate, _)| *rate).reduce(f64::max)
    }

    /// How often the highest rate that holds was tried, and held.
    pub fn confirmed(&self) -> usize {
        let at = self.held_at();
        self.tried.iter().filter(|(rate, _)| Some(*rate) == at).count()
    }

    /// How many were tried.
    pub fn tries(&self) -> usize {
        self.tried.len()
    }

    /// Whether it ended because nobody waits for more.
    pub fn gave_up(&self) -> bool {
        self.tried.len() >= MOST_TRIES
    }

    /// The next rate to try; none: it is over.
    pub fn next_rate(&self) -> Option<f64> {
        if self.gave_up() {
            return None;
        }
        match (self.held_at(), self.broke_at()) {
            (None, None) => Some(self.from),
            (None, Some(broke)) => Some(broke / 2.0).filter(|rate| *rate >= LOWEST),
            (Some(held), None) if held < self.to => Some((held * 2.0).min(self.to)),
            (Some(held), Some(broke)) if broke / held > CLOSE => Some((held * broke).sqrt()),
            (Some(held), _) => (self.confirmed() < CONFIRMED).then_some(held),
        }
    }

    /// What came of a rate.
    pub fn tell(&mut self, rate: f64, held: bool) {
        self.tried.push((rate, held));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn carried_out(mut search: Search, mut holds: impl FnMut(f64, usize) -> bool) -> Search {
        while let Some(rate) = search.next_rate() {
            let held = holds(rate, search.tries());
            search.tell(rate, held);
        }
        search
    }

    proptest! {
        #[test]
        fn what_bears_so_much_is_found_to_bear_a_little_less(bears in 0.2f64..5_000.0) {
            let found = carried_out(Search::new(2.0, 10_000.0), |rate, _| rate <= bears);
            let held = found.held_at().unwrap();
            prop_assert!(held <= bears && held * CLOSE >= bears, "{held} of {bears}");
            prop_assert_eq!(found.confirmed(), CONFIRMED);
            prop_assert!(found.tries() <= 25);
        }

        #[test]
        fn it_ends_whatever_it_is_told(luck in proptest::collection::vec(any::<bool>(), 40)) {
            let found = carried_out(Search::new(2.0, 10_000.0), |_, n| luck[n % luck.len()]);
            prop_assert!(found.tries() <= MOST_TRIES);
            if let (Some(held), Some(broke)) = (found.held_at(), found.broke_at()) {
                prop_assert!(held < broke);
            }
        }
    }

    #[test]
    fn a_rate_that_breaks_when_it_is_tried_again_is_not_proposed() {
        // 100/s holds only the first time.
        let mut seen = 0;
        let found = carried_out(Search::new(25.0, 100.0), |rate, _| {
            seen += usize::from(rate == 100.0);
            rate < 100.0 || seen == 1
        });
        assert_eq!(found.broke_at(), Some(100.0));
        assert!(found.held_at().unwrap() < 100.0 && found.confirmed() == CONFIRMED);
    }

    #[test]
    fn where_nothing_breaks_the_highest_rate_is_confirmed_and_that_is_said() {
        let found = carried_out(Search::new(10.0, 100.0), |_, _| true);
        assert_eq!((found.held_at(), found.broke_at(), found.confirmed()), (Some(100.0), None, CONFIRMED));
    }

    #[test]
    fn where_nothing_holds_nothing_is_found() {
        let found = carried_out(Search::new(2.0, 100.0), |_, _| false);
        assert_eq!(found.held_at(), None);
    }
}
