//! Who may ask (users with passwords by basic authentication, tokens as bearer), and what for ([`Role`]).
//!
//! | asked | operation (Confluent's) | least role |
//! |---|---|---|
//! | `GET`, `HEAD`; `POST` of a lookup or a compatibility check | Read | [`Role::Read`] |
//! | `POST /subjects/{s}/versions` | Write | [`Role::Write`] |
//! | `DELETE /subjects/...` | Delete | [`Role::Admin`] |
//! | `PUT`, `DELETE` of `/config/{s}`, `/mode/{s}` | WriteCompatibility | [`Role::Admin`] |
//! | everything else | on this server | [`Role::Admin`] |

use crate::error::Error;
use axum::http::Method;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bd_schema::percent_decoded;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// Whom a request without credentials is, as in Kafka.
pub const ANONYMOUS: &str = "ANONYMOUS";

/// What somebody may do; each includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Ask: schemas, subjects, versions, configs, modes; look up, check compatibility.
    Read,
    /// Register schemas.
    Write,
    /// Delete; change configs and modes.
    Admin,
}

impl FromStr for Role {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "read" => Ok(Self::Read),
            "write" => Ok(Self::Write),
            "admin" => Ok(Self::Admin),
            other => Err(format!("expected read or write or admin, not {other}")),
        }
    }
}

/// Those who may ask. With neither users nor tokens nor roles, all may do everything.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Access {
    users: BTreeMap<String, String>,
    tokens: BTreeMap<String, String>,
    roles: BTreeMap<String, Role>,
}

/// Without passwords and tokens.
impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("users", &self.users.keys())
            .field("tokens", &self.tokens.keys())
            .field("roles", &self.roles)
            .finish()
    }
}

impl Access {
    /// With these users, by name with their passwords, and these tokens, by the name of who bears them.
    pub fn new(
        users: impl IntoIterator<Item = (String, String)>,
        tokens: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        Self {
            users: users.into_iter().collect(),
            tokens: tokens.into_iter().collect(),
            roles: BTreeMap::new(),
        }
    }

    /// The same with roles, by name. Users and tokens without a role are [`Role::Admin`]. With a role of [`ANONYMOUS`] those who
    /// say nothing of themselves have that role; without it they are asked who they are.
    #[must_use]
    pub fn with_roles(mut self, roles: impl IntoIterator<Item = (String, Role)>) -> Self {
        self.roles.extend(roles);
        self
    }

    /// Whether all may do everything.
    pub fn is_open(&self) -> bool {
        self.users.is_empty() && self.tokens.is_empty() && self.roles.is_empty()
    }

    /// What a request with that `Authorization` header may do.
    ///
    /// # Errors
    /// [`Error::Unauthorized`]
    pub fn role(&self, authorization: Option<&str>) -> Result<Role, Error> {
        if self.is_open() {
            return Ok(Role::Admin);
        }
        match authorization {
            None => self.roles.get(ANONYMOUS).copied(),
            Some(given) => self.name(given).map(|name| self.roles.get(name).copied().unwrap_or(Role::Admin)),
        }
        .ok_or(Error::Unauthorized)
    }

    /// How those who are not known are asked to say who they are, as `WWW-Authenticate`.
    pub(crate) fn challenges(&self) -> impl Iterator<Item = &'static str> {
        let basic = (!self.users.is_empty()).then_some("Basic realm=\"SchemaRegistry\"");
        let bearer = (!self.tokens.is_empty()).then_some("Bearer realm=\"SchemaRegistry\"");
        basic.into_iter().chain(bearer)
    }

    /// The name of who has these credentials.
    fn name(&self, authorization: &str) -> Option<&str> {
        let (scheme, given) = authorization.split_once(' ')?;
        let given = given.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            // All are compared, so that the time does not tell which one was close.
            return self.tokens.iter().fold(None, |found, (name, token)| match same(token, given) {
                true => Some(name.as_str()),
                false => found,
            });
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = BASE64_STANDARD.decode(given).ok().and_then(|bytes| String::from_utf8(bytes).ok())?;
        let (name, password) = decoded.split_once(':')?;
        let (name, wanted) = self.users.get_key_value(name)?;
        same(wanted, password).then_some(name)
    }
}

/// In a time that depends on the lengths only.
fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |differing, (a, b)| differing | (a ^ b)) == 0
}

/// Whether that role may do what is asked for; the path is without a context before it.
///
/// # Errors
/// [`Error::Denied`]
pub(crate) fn authorize(role: Role, method: &Method, path: &str) -> Result<(), Error> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let (needed, operation) = match (method, parts.as_slice()) {
        (&Method::GET | &Method::HEAD, _) => return Ok(()),
        (&Method::POST, [] | ["subjects", _] | ["compatibility", ..]) => return Ok(()),
        (&Method::POST, ["subjects", subject, "versions"]) => (Role::Write, Some(("Write", *subject))),
        (&Method::DELETE, ["subjects", subject, ..]) => (Role::Admin, Some(("Delete", *subject))),
        (&Method::PUT | &Method::DELETE, ["config" | "mode", subject]) => {
            (Role::Admin, Some(("WriteCompatibility", *subject)))
        }
        _ => (Role::Admin, None),
    };
    if role >= needed {
        return Ok(());
    }
    Err(Error::Denied(match operation {
        Some((operation, subject)) => {
            format!("User is denied operation {operation} on Subject: {}", percent_decoded(subject))
        }
        None => "User is denied operation on this server.".into(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, secret: &str) -> [(String, String); 1] {
        [(name.to_owned(), secret.to_owned())]
    }

    #[test]
    fn who_is_known_may_ask() {
        let basic = |user_info: &str| format!("Basic {}", BASE64_STANDARD.encode(user_info));
        let access = Access::new(named("ann", "se:cret"), named("ci", "token"));
        for (given, known) in [
            (Some(basic("ann:se:cret")), true),
            (Some(basic("ann:secret")), false),
            (Some(basic("ann:")), false),
            (Some(basic("bob:se:cret")), false),
            (Some(basic("ci:token")), false),
            (Some("bearer token".to_owned()), true),
            (Some("Bearer other".to_owned()), false),
            (Some("Bearer".to_owned()), false),
            (Some("Basic !".to_owned()), false),
            (Some("Digest x".to_owned()), false),
            (None, false),
        ] {
            assert_eq!(access.role(given.as_deref()).is_ok(), known, "{given:?}");
        }
        assert_eq!(Access::default().role(None), Ok(Role::Admin));
        assert!(!format!("{access:?}").contains("cret") && !format!("{access:?}").contains("token\""));
        assert_eq!(access.challenges().count(), 2);
    }

    #[test]
    fn a_role_is_of_a_name_and_that_of_nobody_is_of_those_who_say_nothing() {
        let roles = [("ci".to_owned(), Role::Write), (ANONYMOUS.to_owned(), Role::Read)];
        let access = Access::new(named("ann", "secret"), named("ci", "token")).with_roles(roles.clone());
        assert_eq!(access.role(Some("Bearer token")), Ok(Role::Write));
        assert_eq!(
            access.role(Some(&format!("Basic {}", BASE64_STANDARD.encode("ann:secret")))),
            Ok(Role::Admin)
        );
        assert_eq!(access.role(None), Ok(Role::Read));
        assert_eq!(access.role(Some("Bearer other")), Err(Error::Unauthorized), "a slip is told");
        let all_read = Access::default().with_roles(roles);
        assert!(!all_read.is_open());
        assert_eq!(all_read.role(None), Ok(Role::Read));
    }

    #[test]
    fn each_request_needs_its_role() {
        use Role::{Admin, Read, Write};
        for (method, path, least) in [
            (Method::GET, "/subjects", Read),
            (Method::HEAD, "/config", Read),
            (Method::POST, "/", Read),
            (Method::POST, "/subjects/s", Read),
            (Method::POST, "/compatibility/subjects/s/versions/latest", Read),
            (Method::POST, "/subjects/s/versions", Write),
            (Method::POST, "//subjects/s//versions/", Write),
            (Method::POST, "/subjects/s/versions/1", Admin),
            (Method::DELETE, "/subjects/s", Admin),
            (Method::DELETE, "/subjects/s/versions/1", Admin),
            (Method::PUT, "/config", Admin),
            (Method::PUT, "/mode/s", Admin),
            (Method::DELETE, "/contexts/c", Admin),
            (Method::PATCH, "/subjects/s", Admin),
        ] {
            for role in [Read, Write, Admin] {
                assert_eq!(authorize(role, &method, path).is_ok(), role >= least, "{role:?} {method} {path}");
            }
        }
        let told = |method, path| authorize(Read, &method, path).unwrap_err().to_string();
        assert_eq!(
            told(Method::POST, "/subjects/a%2Fb/versions"),
            "User is denied operation Write on Subject: a/b"
        );
        assert_eq!(told(Method::PUT, "/mode"), "User is denied operation on this server.");
    }
}
