//! Query parameters and bodies.

use super::answer::Failed;
use crate::error::Error;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use serde::de::DeserializeOwned;

/// The parameters of a query, in their order. Names may repeat.
#[derive(Debug, Default)]
pub(super) struct Params(pub(super) Vec<(String, String)>);

/// No limit.
const ALL: usize = usize::MAX;
/// So many schemas are listed at most.
pub(super) const MAX_SCHEMAS: usize = 1000;

impl Params {
    pub(super) fn all(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str()).collect()
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Whether it is `true`; anything else is not, nor is nothing.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.text(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    fn number(&self, name: &str, default: i64) -> Result<i64, Failed> {
        let value = self.text(name).map(|value| value.parse::<i32>().map(i64::from));
        value.unwrap_or(Ok(default)).map_err(|_| Failed(Error::NoSuchPath))
    }

    /// `offset` and `limit`: how many to pass over, and how many to give then. A limit that is not positive, or more than may be
    /// given at once, is the greatest one.
    pub(super) fn page(&self, most: Option<usize>) -> Result<(usize, usize), Failed> {
        let most = most.unwrap_or(ALL);
        let offset = usize::try_from(self.number("offset", 0)?);
        let offset = offset.map_err(|_| Failed(Error::BadRequest("offset must not be negative".into())))?;
        let limit = usize::try_from(self.number("limit", -1)?).ok().filter(|n| (1..=most).contains(n));
        Ok((offset, limit.unwrap_or(most)))
    }
}

/// The part of a list that is asked for.
pub(super) fn paged<T>(list: Vec<T>, (offset, limit): (usize, usize)) -> Vec<T> {
    list.into_iter().skip(offset).take(limit).collect()
}

/// A body as it is read from the socket.
pub(super) type Body = Result<Bytes, BytesRejection>;

/// What a body says.
pub(super) fn parsed<T: DeserializeOwned>(body: Body) -> Result<T, Failed> {
    let bytes = body.map_err(|_| Failed(Error::BodyTooLarge))?;
    if bytes.trim_ascii().is_empty() {
        return Err(Failed(Error::InvalidRequest("The request's body must not be null".into())));
    }
    serde_json::from_slice(&bytes).map_err(|e| Failed(Error::BadRequest(e.to_string())))
}
