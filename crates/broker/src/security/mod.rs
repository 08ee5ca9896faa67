//! Who comes, and who may do what: listeners, TLS, SASL, users, ACLs, in Kafka's terms.
//!
//! ```text
//!  socket ─▶ Listener (name, protocol) ─▶ [TLS] ─▶ [SASL: Users] ─▶ Principal ─▶ requests ─▶ Call::allows ─▶ Authorizer
//! ```
//! * [`Authorizer`] decides by rules ([`AclBinding`], `meta/acls.json`); without one everybody may do everything.
//! * [`Users`] holds who may log in: users of the configuration, and SCRAM credentials (`meta/users.json`).
//! * The SASL mechanisms are state machines without I/O (`scram`, `plain`).
//!
//! Not there: client certificates as identity (mTLS), Kerberos, OAUTHBEARER, delegation tokens, quotas.

mod acl;
mod authorizer;
mod config;
mod index;
mod listeners;
pub(crate) mod sasl;
mod scram;
mod tls;
mod types;
mod users;

pub use acl::{AclBinding, AclFilter};
pub(crate) use sasl::SaslState;

pub use authorizer::{AclError, Authorizer};
pub use config::{SaslMechanism, SecurityConfig};
pub use listeners::{ListenerError, ListenerSpec, read_listeners};
pub use scram::{ScramCredential, ScramMechanism};
pub use tls::{Pem, Tls, TlsError, TlsSettings};
pub use types::{CLUSTER, Operation, PatternType, Permission, Principal, ResourceType, WILDCARD};
pub use users::{PerUser, UserChange, UserError, Users};
