//! A kiosk session as a state machine: which step comes next, given what was heard. Decides; the visit acts. Pure.

use crate::plan::threshold::{Rank, Step};
use crate::plan::{Behaviour, Outcome};

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Left {
    /// With everything that they came for.
    Served,
    /// With the backend's lawful no.
    Refused,
    /// They walked away.
    Abandoned,
    /// Without, after the last of these.
    Lost(Outcome),
}

/// How long before the next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// They have just come.
    Nothing,
    /// As long as people take for a step.
    Think,
    /// As long as people take to ask again.
    Retry,
}

/// What a person does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Asks.
    Ask { step: Step, rank: Rank, wait: Wait },
    /// Goes.
    Leave(Left),
}

/// A person at a kiosk.
#[derive(Debug, Clone)]
pub(super) struct Person<'b> {
    behaviour: &'b Behaviour,
    /// The step under way.
    at: usize,
    tries_left: usize,
    opened_before: bool,
    walks_away_before: Option<usize>,
    /// They have their no and only take their card.
    end: Option<Left>,
}

impl<'b> Person<'b> {
    /// Somebody who behaves so, and perhaps walks away before the step of that index.
    pub(super) fn new(behaviour: &'b Behaviour, walks_away_before: Option<usize>) -> Self {
        let tries_left = behaviour.retry.as_ref().map_or(0, |retry| retry.times);
        Self { behaviour, at: 0, tries_left, opened_before: false, walks_away_before, end: None }
    }

    fn step(&self) -> Step {
        self.behaviour.steps.get(self.at).copied().unwrap_or(Step::Confirm)
    }

    fn ask(&mut self, wait: Wait) -> Next {
        let step = self.step();
        let rank = match step {
            Step::Open if self.opened_before => Rank::Retry,
            Step::Open => Rank::New,
            _ => Rank::Started,
        };
        self.opened_before = true;
        Next::Ask { step, rank, wait }
    }

    /// The first step.
    pub(super) fn arrives(&mut self) -> Next {
        self.ask(Wait::Nothing)
    }

    /// What they do after the step under way ended so.
    pub(super) fn hears(&mut self, outcome: Outcome) -> Next {
        if self.step() == Step::Confirm {
            // Whatever is said to it, the paper is in hand, or the no was heard.
            return Next::Leave(self.end.unwrap_or(Left::Served));
        }
        match outcome {
            Outcome::Refused => self.goes_with(Left::Refused),
            good if good.is_good() => self.advances(),
            bad => self.asks_again(bad),
        }
    }

    fn advances(&mut self) -> Next {
        self.at += 1;
        if self.at >= self.behaviour.steps.len() {
            return Next::Leave(Left::Served);
        }
        if self.walks_away_before.is_some_and(|before| self.at >= before) {
            return Next::Leave(Left::Abandoned);
        }
        self.ask(Wait::Think)
    }

    /// Takes the card out, where that is a step and there is a session to end.
    fn goes_with(&mut self, end: Left) -> Next {
        let confirm = self.behaviour.steps.iter().position(|step| *step == Step::Confirm);
        match confirm {
            Some(confirm) if self.step() != Step::Open => {
                self.end = Some(end);
                self.at = confirm;
                self.ask(Wait::Think)
            }
            _ => Next::Leave(end),
        }
    }

    fn asks_again(&mut self, bad: Outcome) -> Next {
        let retries = self.behaviour.retry.as_ref().is_some_and(|retry| retry.on.contains(&bad));
        if !retries || self.tries_left == 0 {
            return Next::Leave(Left::Lost(bad));
        }
        self.tries_left -= 1;
        // Whoever was only turned away asks again; after anything else the session is over, and they begin anew.
        if !matches!(bad, Outcome::Shed | Outcome::Expired) {
            self.at = 0;
        }
        self.ask(Wait::Retry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Between, Retry};
    use std::time::Duration;

    fn behaviour(steps: &[Step], on: &[Outcome], times: usize) -> Behaviour {
        let after = Between { least: Duration::ZERO, most: Duration::ZERO };
        Behaviour {
            steps: steps.to_vec(),
            retry: Some(Retry { on: on.to_vec(), times, after }),
            ..Behaviour::default()
        }
    }

    const ALL: [Step; 4] = [Step::Open, Step::Inquire, Step::Issue, Step::Confirm];

    /// The steps with ranks, and the end, of somebody who hears these.
    fn walk(behaviour: &Behaviour, away: Option<usize>, heard: &[Outcome]) -> (Vec<String>, Option<Left>) {
        let mut person = Person::new(behaviour, away);
        let (mut next, mut heard, mut steps) = (person.arrives(), heard.iter(), Vec::new());
        loop {
            match next {
                Next::Leave(left) => return (steps, Some(left)),
                Next::Ask { step, rank, wait } => {
                    steps.push(format!("{} {} {wait:?}", step.word(), rank.word()));
                    match heard.next() {
                        Some(outcome) => next = person.hears(*outcome),
                        None => return (steps, None),
                    }
                }
            }
        }
    }

    #[test]
    fn a_good_session_takes_its_steps_in_order_and_is_served() {
        use Outcome::{Answered, Released};
        let (steps, left) = walk(&behaviour(&ALL, &[], 0), None, &[Answered, Answered, Released, Answered]);
        assert_eq!(
            steps,
            ["open new Nothing", "inquire started Think", "issue started Think", "confirm started Think"]
        );
        assert_eq!(left, Some(Left::Served));
    }

    #[test]
    fn a_shed_step_is_asked_for_again_and_a_withheld_one_begins_anew() {
        use Outcome::{Answered, Released, Shed, Withheld};
        let behaviour = behaviour(&ALL, &[Shed, Withheld], 3);
        let heard = [Shed, Answered, Answered, Shed, Withheld, Answered, Answered, Released, Answered];
        let (steps, left) = walk(&behaviour, None, &heard);
        let again: Vec<&str> = steps.iter().filter(|step| step.ends_with("Retry")).map(String::as_str).collect();
        assert_eq!(again, ["open retry Retry", "issue started Retry", "open retry Retry"]);
        assert_eq!(left, Some(Left::Served));
        let (_, left) = walk(&behaviour, None, &[Shed, Shed, Shed, Shed]);
        assert_eq!(left, Some(Left::Lost(Shed)), "three tries are three");
    }

    #[test]
    fn what_is_not_on_the_list_ends_the_session() {
        let behaviour = behaviour(&ALL, &[Outcome::Shed], 3);
        assert_eq!(walk(&behaviour, None, &[Outcome::GaveUp]).1, Some(Left::Lost(Outcome::GaveUp)));
    }

    #[test]
    fn a_lawful_no_is_heard_once_and_the_card_taken_out() {
        use Outcome::{Answered, Refused, Shed};
        let behaviour = behaviour(&ALL, &[Shed], 3);
        let (steps, left) = walk(&behaviour, None, &[Answered, Answered, Refused, Shed]);
        assert_eq!(steps.last().map(String::as_str), Some("confirm started Think"));
        assert_eq!(left, Some(Left::Refused));
        assert_eq!(walk(&behaviour, None, &[Refused]), (vec!["open new Nothing".to_owned()], Some(Left::Refused)));
    }

    #[test]
    fn somebody_who_walks_away_does_it_before_their_step() {
        use Outcome::Answered;
        let (steps, left) = walk(&behaviour(&ALL, &[], 0), Some(2), &[Answered, Answered]);
        assert_eq!((steps.len(), left), (2, Some(Left::Abandoned)));
    }

    #[test]
    fn a_confirmation_that_fails_takes_no_paper_away() {
        use Outcome::{Answered, Failed, Released};
        let (_, left) = walk(&behaviour(&ALL, &[Failed], 3), None, &[Answered, Answered, Released, Failed]);
        assert_eq!(left, Some(Left::Served));
    }
}
