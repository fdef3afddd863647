//! Content streams (ISO 32000-2, 7.8.2) as operators with their operands. An operator nobody knows is an error.

use super::Unreadable;
use super::budget::Budget;
use super::inline_image::InlineImage;
use super::lex::{Lexer, Token};
use super::value::{Place, Value, parse};

const MALFORMED: Unreadable = Unreadable("malformed_content");

/// Operands before one operator; `DeviceN` may have 32 colorants and a pattern.
const MAX_OPERANDS: usize = 40;

/// One content stream being read.
pub(super) struct Content<'c, 'b> {
    lexer: Lexer<'c>,
    budget: &'b Budget,
    pub(super) operands: Vec<Value<'c>>,
}

/// What was read.
pub(super) enum Step<'c> {
    /// An operator; its operands are in [`Content::operands`].
    Operator(&'c [u8]),
    InlineImage(InlineImage<'c>),
}

impl<'c, 'b> Content<'c, 'b> {
    pub(super) fn new(bytes: &'c [u8], budget: &'b Budget) -> Self {
        Self { lexer: Lexer::new(bytes, 0), budget, operands: Vec::with_capacity(8) }
    }

    /// The next operator; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Step<'c>>, Unreadable> {
        self.operands.clear();
        let room = self.budget.operands();
        loop {
            let Some(token) = self.lexer.next().map_err(|_| MALFORMED)? else {
                return if self.operands.is_empty() { Ok(None) } else { Err(MALFORMED) };
            };
            match token {
                Token::Keyword(b"BI") => {
                    self.budget.operator()?;
                    return InlineImage::read(&mut self.lexer, self.budget).map(|i| Some(Step::InlineImage(i)));
                }
                Token::Keyword(keyword) if !matches!(keyword, b"true" | b"false" | b"null") => {
                    self.budget.operator()?;
                    return Ok(Some(Step::Operator(keyword)));
                }
                // Most operands are single tokens.
                Token::Number(number) if self.operands.len() < MAX_OPERANDS => {
                    room.value()?;
                    self.operands.push(Value::Number(number));
                }
                Token::String(string) if self.operands.len() < MAX_OPERANDS => {
                    room.value()?;
                    self.operands.push(Value::String(string));
                }
                token if self.operands.len() < MAX_OPERANDS => {
                    let value = parse(&mut self.lexer, token, Place::Content, &room);
                    self.operands.push(value.map_err(in_content)?);
                }
                _ => return Err(MALFORMED),
            }
        }
    }

    /// Exactly `N` finite numbers.
    pub(super) fn numbers<const N: usize>(&self) -> Result<[f64; N], Unreadable> {
        let operands: &[Value<'_>; N] = self.operands.as_slice().try_into().map_err(|_| MALFORMED)?;
        let mut numbers = [0.0; N];
        for (number, operand) in numbers.iter_mut().zip(operands) {
            // Beyond this, arithmetic on places would lose the page.
            *number = operand.number().filter(|n| n.abs() < 1e9).ok_or(MALFORMED)?;
        }
        Ok(numbers)
    }

    /// Exactly one operand.
    pub(super) fn one(&self) -> Result<&Value<'c>, Unreadable> {
        match self.operands.as_slice() {
            [one] => Ok(one),
            _ => Err(MALFORMED),
        }
    }

    /// Exactly one name.
    pub(super) fn name(&self) -> Result<&[u8], Unreadable> {
        self.one()?.name().ok_or(MALFORMED)
    }
}

fn in_content(reason: Unreadable) -> Unreadable {
    if reason == Unreadable("malformed") { MALFORMED } else { reason }
}
