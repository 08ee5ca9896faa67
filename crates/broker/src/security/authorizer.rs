//! Decides who may do what, as Kafka's `StandardAuthorizer` does.

use super::acl::{AclBinding, AclFilter};
use super::config::SecurityConfig;
use super::index::{Index, Verdict};
use super::types::{CLUSTER, Operation, Principal, ResourceType};
use crate::error::BrokerError;
use crate::store::meta::MetaStore;
use kafka_protocol::ResponseError as E;
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashSet};
use std::fmt;

const FILE: &str = "acls.json";
/// More rules than this are refused: all of them are in memory, and each change writes them all.
const MAX_ACLS: usize = 100_000;

/// `meta/acls.json`.
#[derive(Debug, Default, Serialize, Deserialize)]
struct AclsFile {
    acls: BTreeSet<AclBinding>,
}

/// Why rules are not changed.
#[derive(Debug, thiserror::Error)]
pub enum AclError {
    /// The rule is wrong.
    #[error("{reason}")]
    Refused {
        /// Kafka's code.
        code: E,
        /// In words.
        reason: String,
    },
    /// There is no authorizer, so that rules would mean nothing.
    #[error("No Authorizer is configured.")]
    Disabled,
    /// The disk.
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

impl AclError {
    fn refused(code: E, reason: impl Into<String>) -> Self {
        Self::Refused { code, reason: reason.into() }
    }

    /// Kafka's code.
    pub fn code(&self) -> E {
        match self {
            Self::Refused { code, .. } => *code,
            Self::Disabled => E::SecurityDisabled,
            Self::Broker(_) => E::KafkaStorageError,
        }
    }
}

/// Decides who may do what. Without one that is enabled everybody may do everything.
///
/// A rule that denies wins over all that allow; what no rule allows is denied, unless `allow.everyone.if.no.acl.found` is set and
/// no rule at all is about the resource. Super users may do everything. READ, WRITE, DELETE and ALTER imply DESCRIBE,
/// ALTER_CONFIGS implies DESCRIBE_CONFIGS, where they allow.
#[derive(Default)]
pub struct Authorizer {
    rules: Option<Rules>,
}

struct Rules {
    meta: MetaStore,
    super_users: HashSet<Principal>,
    everyone_if_no_acl: bool,
    /// Held while rules change, so that file and memory change together. Holds what the file says.
    file: Mutex<AclsFile>,
    index: RwLock<Index>,
}

impl Authorizer {
    /// Reads the rules, where the configuration asks for an authorizer.
    pub(crate) fn open(meta: MetaStore, config: &SecurityConfig) -> Result<Self, BrokerError> {
        if !config.authorizer {
            return Ok(Self::default());
        }
        let file: AclsFile = meta.load(FILE)?.unwrap_or_default();
        if file.acls.is_empty() && config.super_users.is_empty() && !config.allow_everyone_if_no_acl_found {
            tracing::warn!(
                "the authorizer is on, there are no ACLs and no super.users: nobody may do anything"
            );
        }
        let rules = Rules {
            meta,
            super_users: config.super_users.iter().cloned().collect(),
            everyone_if_no_acl: config.allow_everyone_if_no_acl_found,
            index: RwLock::new(Index::new(&file.acls)),
            file: Mutex::new(file),
        };
        Ok(Self { rules: Some(rules) })
    }

    /// Whether rules are asked at all.
    pub fn is_enabled(&self) -> bool {
        self.rules.is_some()
    }

    /// Whether `principal`, coming from `host` (an address without a slash), may do `operation` to the resource.
    pub fn allows(
        &self,
        principal: &Principal,
        host: &str,
        operation: Operation,
        resource: ResourceType,
        name: &str,
    ) -> bool {
        let refused = self.refuses(principal, host, operation, resource, name);
        if let Some(verdict) = refused {
            denied(principal, host, operation, resource, name, verdict);
        }
        refused.is_none()
    }

    /// The verdict, if it is against the one who asks.
    fn refuses(
        &self,
        principal: &Principal,
        host: &str,
        operation: Operation,
        resource: ResourceType,
        name: &str,
    ) -> Option<Verdict> {
        let rules = self.rules.as_ref().filter(|rules| !rules.super_users.contains(principal))?;
        let verdict = rules.index.read().decide(principal, host, operation, resource, name);
        let allowed = match verdict {
            Verdict::Allowed => true,
            Verdict::NoRules => rules.everyone_if_no_acl,
            Verdict::Denied | Verdict::NotAllowed => false,
        };
        (!allowed).then_some(verdict)
    }

    /// Whether `principal` may do `operation` to at least one resource of the type, so far as rules tell (KIP-679).
    pub fn allows_some(
        &self,
        principal: &Principal,
        host: &str,
        operation: Operation,
        resource: ResourceType,
    ) -> bool {
        let Some(rules) = &self.rules else { return true };
        // Super users, and everybody where nothing is said.
        self.refuses(principal, host, operation, resource, "hardcode").is_none()
            || rules.index.read().allows_some(principal, host, operation, resource)
    }

    /// The rules that a filter means, in order; all are in memory.
    pub fn acls(&self, filter: &AclFilter) -> Result<Vec<AclBinding>, AclError> {
        let rules = self.rules.as_ref().ok_or(AclError::Disabled)?;
        filter.check().map_err(|reason| AclError::refused(E::InvalidRequest, reason))?;
        Ok(rules.file.lock().acls.iter().filter(|acl| filter.matches(acl)).cloned().collect())
    }

    /// Adds rules; they are durable when this returns. One that is there already is no error. One result for each.
    pub fn create(&self, acls: Vec<AclBinding>) -> Result<Vec<Result<(), AclError>>, AclError> {
        let rules = self.rules.as_ref().ok_or(AclError::Disabled)?;
        rules.change(|all| {
            acls.into_iter()
                .map(|acl| {
                    check(&acl)?;
                    if all.len() >= MAX_ACLS && !all.contains(&acl) {
                        let reason = format!("there are {MAX_ACLS} ACLs already, the most there may be");
                        return Err(AclError::refused(E::PolicyViolation, reason));
                    }
                    all.insert(acl);
                    Ok(())
                })
                .collect()
        })
    }

    /// Removes the rules that each filter means; durable when this returns. What each of them removed; a rule that several mean
    /// is named by each.
    pub fn delete(&self, filters: &[AclFilter]) -> Result<Vec<Result<Vec<AclBinding>, AclError>>, AclError> {
        let rules = self.rules.as_ref().ok_or(AclError::Disabled)?;
        rules.change(|all| {
            let found: Vec<Result<Vec<_>, _>> = filters
                .iter()
                .map(|filter| {
                    filter.check().map_err(|reason| AclError::refused(E::InvalidRequest, reason))?;
                    Ok(all.iter().filter(|acl| filter.matches(acl)).cloned().collect())
                })
                .collect();
            found.iter().flatten().flatten().for_each(|acl| {
                all.remove(acl);
            });
            found
        })
    }
}

impl Rules {
    /// Changes file and memory, where something changes.
    fn change<T>(&self, change: impl FnOnce(&mut BTreeSet<AclBinding>) -> T) -> Result<T, AclError> {
        let mut file = self.file.lock();
        let mut acls = file.acls.clone();
        let result = change(&mut acls);
        if acls != file.acls {
            let changed = AclsFile { acls };
            self.meta.store(FILE, &changed)?;
            *self.index.write() = Index::new(&changed.acls);
            *file = changed;
        }
        Ok(result)
    }
}

/// As Kafka's `kafka.authorizer.logger`: refusals at INFO; lists leave out what one may not describe without such a line.
fn denied(
    principal: &Principal,
    host: &str,
    operation: Operation,
    resource: ResourceType,
    name: &str,
    verdict: Verdict,
) {
    match operation {
        Operation::Describe => {
            tracing::debug!(%principal, host, %operation, %resource, name, ?verdict, "denied")
        }
        _ => tracing::info!(%principal, host, %operation, %resource, name, ?verdict, "denied"),
    }
}

/// What `AclApis` and `AclControlManager` check beside the numbers.
fn check(acl: &AclBinding) -> Result<(), AclError> {
    let invalid = |reason: String| Err(AclError::refused(E::InvalidRequest, reason));
    if acl.resource_type == ResourceType::Cluster && acl.resource_name != CLUSTER {
        return invalid(format!("The only valid name for the CLUSTER resource is {CLUSTER}"));
    }
    if acl.resource_name.is_empty() {
        return invalid("Invalid empty resource name".into());
    }
    if Principal::parse(&acl.principal).is_none() {
        return invalid(format!(
            "Could not parse principal from `{}` (no colon is present separating the principal type from the principal name)",
            acl.principal
        ));
    }
    if acl.host.is_empty() {
        return invalid("Invalid empty host: an address, or * for any".into());
    }
    Ok(())
}

impl fmt::Debug for Authorizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorizer").field("enabled", &self.is_enabled()).finish()
    }
}

#[cfg(test)]
#[path = "authorizer_tests.rs"]
mod tests;
