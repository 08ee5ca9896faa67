//! Who may ask: users with passwords (basic authentication) and tokens (bearer).

use crate::error::Error;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use std::collections::BTreeMap;
use std::fmt;

/// Those who may ask. With neither users nor tokens, all may.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Access {
    users: BTreeMap<String, String>,
    tokens: Vec<String>,
}

/// Without passwords and tokens.
impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let users: Vec<&String> = self.users.keys().collect();
        f.debug_struct("Access").field("users", &users).field("tokens", &self.tokens.len()).finish()
    }
}

impl Access {
    /// With these users, by name with their passwords, and these tokens.
    pub fn new(
        users: impl IntoIterator<Item = (String, String)>,
        tokens: impl IntoIterator<Item = String>,
    ) -> Self {
        Self { users: users.into_iter().collect(), tokens: tokens.into_iter().collect() }
    }

    /// Whether all may ask.
    pub fn is_open(&self) -> bool {
        self.users.is_empty() && self.tokens.is_empty()
    }

    /// Whether a request with that `Authorization` header may be answered.
    ///
    /// # Errors
    /// [`Error::Unauthorized`]
    pub fn check(&self, authorization: Option<&str>) -> Result<(), Error> {
        if self.is_open() || authorization.is_some_and(|given| self.knows(given)) {
            return Ok(());
        }
        Err(Error::Unauthorized)
    }

    fn knows(&self, authorization: &str) -> bool {
        let Some((scheme, given)) = authorization.split_once(' ') else { return false };
        let given = given.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            // All are compared, so that the time does not tell which one was close.
            return self.tokens.iter().fold(false, |known, token| known | same(token, given));
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return false;
        }
        let decoded = BASE64_STANDARD.decode(given).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let Some((name, password)) = decoded.as_deref().and_then(|text| text.split_once(':')) else {
            return false;
        };
        self.users.get(name).is_some_and(|wanted| same(wanted, password))
    }
}

/// In a time that depends on the lengths only.
fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |differing, (a, b)| differing | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_known_may_ask() {
        let basic = |user_info: &str| format!("Basic {}", BASE64_STANDARD.encode(user_info));
        let access = Access::new([("ann".to_owned(), "se:cret".to_owned())], ["token".to_owned()]);
        for (given, known) in [
            (Some(basic("ann:se:cret")), true),
            (Some(basic("ann:secret")), false),
            (Some(basic("bob:se:cret")), false),
            (Some("bearer token".to_owned()), true),
            (Some("Bearer other".to_owned()), false),
            (Some("Basic !".to_owned()), false),
            (Some("Digest x".to_owned()), false),
            (None, false),
        ] {
            assert_eq!(access.check(given.as_deref()).is_ok(), known, "{given:?}");
        }
        assert!(Access::default().check(None).is_ok());
        assert!(!format!("{access:?}").contains("cret"));
    }
}
