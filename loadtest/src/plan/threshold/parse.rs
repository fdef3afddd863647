//! Reads one threshold. Says where it stopped, what was expected there, and the nearest word that would have done.

use super::super::quantity;
use super::super::source::did_you_mean;
use super::{Aggregate, Label, Limit, Metric, Op, Rank, Step, Threshold, Unit};

/// Longer ones are refused.
const LONGEST_BYTES: usize = 400;

/// Why a threshold could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// At which byte.
    pub at: usize,
    /// What is wrong there.
    pub message: String,
    /// What to write instead.
    pub suggestion: String,
}

/// Reads `[STAGE:] METRIC[{LABEL=VALUE,...}] [p(N) | max | mean] OP LIMIT`.
pub fn parse(text: &str) -> Result<Threshold, Unreadable> {
    if text.len() > LONGEST_BYTES {
        return Err(fail(0, format!("is longer than {LONGEST_BYTES} bytes"), "goodput >= 97%"));
    }
    let mut cursor = Cursor { text, at: 0 };
    let stage = match text.find(':') {
        Some(colon) => {
            let name = text.get(..colon).unwrap_or_default().trim();
            cursor.at = colon + 1;
            if name.is_empty() {
                return Err(fail(
                    0,
                    "names no stage before the colon",
                    text.get(colon + 1..).unwrap_or_default().trim(),
                ));
            }
            Some(name.to_owned())
        }
        None => None,
    };
    let metric = cursor.metric()?;
    let only = cursor.only(metric)?;
    let aggregate = cursor.aggregate(metric)?;
    let op = cursor.op()?;
    let limit = cursor.limit(metric, aggregate)?;
    cursor.spaces();
    if cursor.at < text.len() {
        return Err(fail(cursor.at, format!("ends with `{}`, which says nothing", cursor.rest()), &text[..cursor.at]));
    }
    Ok(Threshold { stage, metric, only, op, limit })
}

fn fail(at: usize, message: impl Into<String>, suggestion: impl Into<String>) -> Unreadable {
    Unreadable { at, message: message.into(), suggestion: suggestion.into() }
}

struct Cursor<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Cursor<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn spaces(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    /// The characters up to the first that does not fit; where they began.
    fn while_is(&mut self, fits: impl Fn(char) -> bool) -> (usize, &'t str) {
        self.spaces();
        let (start, rest) = (self.at, self.rest());
        let word = rest.get(..rest.find(|c| !fits(c)).unwrap_or(rest.len())).unwrap_or_default();
        self.at += word.len();
        (start, word)
    }

    fn take(&mut self, symbol: char) -> bool {
        self.spaces();
        let there = self.rest().starts_with(symbol);
        if there {
            self.at += symbol.len_utf8();
        }
        there
    }

    fn metric(&mut self) -> Result<Metric, Unreadable> {
        let (start, word) = self.while_is(|c| c.is_ascii_alphanumeric() || c == '_');
        Metric::named(word).ok_or_else(|| {
            let message = if word.is_empty() { "names no metric".into() } else { format!("knows no metric `{word}`") };
            fail(start, message, nearest(word, Metric::ALL.iter().map(|metric| metric.word())))
        })
    }

    fn only(&mut self, metric: Metric) -> Result<Vec<(Label, String)>, Unreadable> {
        let mut only: Vec<(Label, String)> = Vec::new();
        if !self.take('{') {
            return Ok(only);
        }
        loop {
            let (start, word) = self.while_is(|c| c.is_ascii_alphanumeric() || c == '_');
            let known = metric.labels();
            let words = known.iter().map(|label| label.word());
            let Some(label) = Label::named(word).filter(|label| known.contains(label)) else {
                let suggestion = match known {
                    [] => metric.word().to_owned(),
                    _ => nearest(word, words),
                };
                return Err(fail(start, format!("cannot narrow `{}` by `{word}`", metric.word()), suggestion));
            };
            if only.iter().any(|(earlier, _)| *earlier == label) {
                return Err(fail(start, format!("says `{word}` twice"), metric.word()));
            }
            if !self.take('=') {
                return Err(fail(
                    self.at,
                    format!("needs `=` and a value after `{word}`"),
                    format!("{{{word}=started}}"),
                ));
            }
            let (start, value) = self.while_is(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
            check_value(label, value)
                .map_err(|suggestion| fail(start, format!("knows no {} `{value}`", label.word()), suggestion))?;
            only.push((label, value.to_owned()));
            if self.take('}') {
                return Ok(only);
            }
            if !self.take(',') {
                return Err(fail(self.at, "needs `,` or `}` here", format!("{{{word}={value}}}")));
            }
        }
    }

    fn aggregate(&mut self, metric: Metric) -> Result<Option<Aggregate>, Unreadable> {
        let (start, word) = self.while_is(|c| c.is_ascii_alphabetic());
        if metric.unit() != Unit::Time {
            return match word {
                "" => Ok(None),
                _ => Err(fail(start, format!("`{}` has no `{word}`", metric.word()), example(metric))),
            };
        }
        match word {
            "max" => Ok(Some(Aggregate::Max)),
            "mean" | "avg" => Ok(Some(Aggregate::Mean)),
            "p" if self.take('(') => {
                let (start, digits) = self.while_is(|c| c.is_ascii_digit() || c == '.');
                let percentile = digits.parse().ok().filter(|p| (0.0..=100.0).contains(p));
                match percentile {
                    Some(percentile) if self.take(')') => Ok(Some(Aggregate::Percentile(percentile))),
                    _ => Err(fail(start, "needs a percentile from 0 to 100 in `p(...)`", "p(99)")),
                }
            }
            _ => Err(fail(start, "needs to say which time: `p(99)`, `max` or `mean`", example(metric))),
        }
    }

    fn op(&mut self) -> Result<Op, Unreadable> {
        let (start, symbols) = self.while_is(|c| matches!(c, '<' | '>' | '=' | '!'));
        Op::named(symbols).ok_or_else(|| fail(start, format!("needs a comparison, not `{symbols}`"), "< <= == >= > !="))
    }

    fn limit(&mut self, metric: Metric, aggregate: Option<Aggregate>) -> Result<Limit, Unreadable> {
        let (start, value) = self.while_is(|c| !c.is_whitespace());
        let read = match (metric.unit(), aggregate) {
            (Unit::Count, _) => value.parse().ok().map(Limit::Count),
            (Unit::Share, _) => quantity::share(value).map(Limit::Share),
            (Unit::Time, Some(aggregate)) => quantity::duration(value).map(|time| Limit::Time(aggregate, time)),
            (Unit::Time, None) => None,
        };
        let expected = match metric.unit() {
            Unit::Count => "a whole number",
            Unit::Share => "a percentage such as `97%`",
            Unit::Time => "a time with its unit such as `3s` or `5ms`",
        };
        read.ok_or_else(|| {
            fail(start, format!("compares `{}` with {expected}, not with `{value}`", metric.word()), example(metric))
        })
    }
}

fn example(metric: Metric) -> String {
    match metric.unit() {
        Unit::Count => format!("{} == 0", metric.word()),
        Unit::Share => format!("{} >= 97%", metric.word()),
        Unit::Time => format!("{} p(99) < 3s", metric.word()),
    }
}

/// `Err` is what to write instead.
fn check_value(label: Label, value: &str) -> Result<(), String> {
    let one_of = |words: Vec<&'static str>| match words.contains(&value) {
        true => Ok(()),
        false => Err(nearest(value, words)),
    };
    match label {
        Label::Rank => one_of(Rank::ALL.iter().map(|rank| rank.word()).collect()),
        Label::Step => one_of(Step::ALL.iter().map(|step| step.word()).collect()),
        Label::City if value.is_empty() => Err("{city=991007}".into()),
        Label::Kind if value.is_empty() => Err("{kind=tax}".into()),
        Label::City | Label::Kind => Ok(()),
    }
}

fn nearest<'w>(written: &str, words: impl IntoIterator<Item = &'w str>) -> String {
    let words: Vec<&str> = words.into_iter().collect();
    match did_you_mean(written, words.iter().copied()) {
        Some(word) => word.to_owned(),
        None => format!("one of: {}", words.join(", ")),
    }
}
