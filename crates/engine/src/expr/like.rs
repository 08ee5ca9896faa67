//! LIKE: `%` is any text, `_` one character, an escape character takes the next one literally.

use super::node::Kernel;
use super::operand::{Operand, valid_rows};
use crate::error::EngineError;
use arrow_array::BooleanArray;
use arrow_buffer::BooleanBuffer;
use std::sync::Arc;

/// A pattern made ready.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Pattern {
    /// No wildcard.
    Exact(String),
    /// `text%`
    Prefix(String),
    /// `%text`
    Suffix(String),
    /// `%text%`
    Contains(String),
    /// Anything else.
    Tokens(Vec<Token>),
}

/// A step of a pattern.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Token {
    One(char),
    AnyOne,
    Any,
}

impl Pattern {
    /// # Errors
    /// The escape character stands last, and so escapes nothing.
    pub(super) fn new(pattern: &str, escape: Option<char>) -> Result<Self, String> {
        let mut tokens: Vec<Token> = Vec::new();
        let mut chars = pattern.chars();
        while let Some(c) = chars.next() {
            let token = if Some(c) == escape {
                let next = chars.next();
                Token::One(
                    next.ok_or_else(|| format!("the LIKE pattern '{pattern}' ends with its escape {c}"))?,
                )
            } else {
                match c {
                    '%' => Token::Any,
                    '_' => Token::AnyOne,
                    c => Token::One(c),
                }
            };
            if token != Token::Any || tokens.last() != Some(&Token::Any) {
                tokens.push(token);
            }
        }
        let text = |tokens: &[Token]| -> Option<String> {
            tokens.iter().map(|t| if let Token::One(c) = t { Some(*c) } else { None }).collect()
        };
        let simple = match tokens.as_slice() {
            [Token::Any, inner @ .., Token::Any] => text(inner).map(Self::Contains),
            [Token::Any, rest @ ..] => text(rest).map(Self::Suffix),
            [rest @ .., Token::Any] => text(rest).map(Self::Prefix),
            all => text(all).map(Self::Exact),
        };
        Ok(simple.unwrap_or(Self::Tokens(tokens)))
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Exact(wanted) => text == wanted,
            Self::Prefix(wanted) => text.starts_with(wanted.as_str()),
            Self::Suffix(wanted) => text.ends_with(wanted.as_str()),
            Self::Contains(wanted) => text.contains(wanted.as_str()),
            Self::Tokens(tokens) => tokens_match(tokens, text),
        }
    }
}

/// Only the last `%` is ever tried again: what an earlier one could take, it can take too.
fn tokens_match(tokens: &[Token], text: &str) -> bool {
    let (mut at, mut rest) = (0, text.chars());
    let mut again: Option<(usize, std::str::Chars<'_>)> = None;
    loop {
        let here = rest.clone();
        match (tokens.get(at), rest.next()) {
            (Some(Token::Any), _) => {
                at += 1;
                again = Some((at, here.clone()));
                rest = here;
                continue;
            }
            (Some(Token::AnyOne), Some(_)) => {
                at += 1;
                continue;
            }
            (Some(Token::One(wanted)), Some(c)) if *wanted == c => {
                at += 1;
                continue;
            }
            (None, None) => return true,
            _ => {}
        }
        let Some((after, mut from)) = again.take() else { return false };
        if from.next().is_none() {
            return false;
        }
        at = after;
        rest = from.clone();
        again = Some((after, from));
    }
}

/// `x LIKE pattern`; `constant` is the pattern where it is constant.
///
/// # Errors
/// A wrong constant pattern.
pub(super) fn kernel(constant: Option<&Operand>, escape: Option<char>) -> Result<Kernel, EngineError> {
    if let Some(constant) = constant {
        let Some(pattern) = constant.texts()?.get(0) else {
            return Ok(Kernel::total(|_, len, _| Ok(Arc::new(BooleanArray::new_null(len)))));
        };
        let pattern = Pattern::new(pattern, escape).map_err(EngineError::Statement)?;
        return Ok(Kernel::total(move |args, len, _| {
            let texts = args[0].texts()?;
            let values = BooleanBuffer::collect_bool(len, |row| pattern.matches(texts.array.value(row)));
            Ok(Arc::new(BooleanArray::new(values, valid_rows(&[&args[0]], len))))
        }));
    }
    Ok(Kernel::partial(move |args, len, failures| {
        let (texts, patterns) = (args[0].texts()?, args[1].texts()?);
        let mut last: Option<(&str, Option<Pattern>)> = None;
        let mut out = arrow_array::builder::BooleanBuilder::with_capacity(len);
        for row in 0..len {
            let (Some(text), Some(pattern)) = (texts.get(row), patterns.get(row)) else {
                out.append_null();
                continue;
            };
            if last.as_ref().is_none_or(|(p, _)| *p != pattern) {
                last = Some((pattern, Pattern::new(pattern, escape).ok()));
            }
            let found = last.as_ref().and_then(|(_, p)| p.as_ref()).map(|p| p.matches(text));
            if found.is_none() {
                failures.mark(row);
            }
            out.append_option(found);
        }
        Ok(Arc::new(out.finish()))
    }))
}
