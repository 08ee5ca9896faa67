//! Rules arranged so that a decision costs a few hash lookups, however many rules there are.
//!
//! ```text
//!  principal ─▶ resource type ─▶ ┌ literal name ─▶ rules by host
//!  (also User:*)                 ├ wildcard     ─▶ rules by host
//!                                └ prefix       ─▶ rules by host      one lookup for each length of prefix there is
//! ```
//! A rule by host is two sets of operations, allowed and denied.

use super::acl::AclBinding;
use super::types::{Operation, PatternType, Permission, Principal, ResourceType, WILDCARD};
use std::collections::{HashMap, HashSet};

/// What rules say of one question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Denied,
    Allowed,
    /// There are rules for the resource, none of them for this question.
    NotAllowed,
    /// There is no rule at all for the resource.
    NoRules,
}

/// A set of operations.
type Operations = u16;

fn bit(operation: Operation) -> Operations {
    1 << operation.code()
}

/// The operations in rules that allow an operation: itself, all, and those that imply it.
fn allowing(operation: Operation) -> Operations {
    use Operation::*;
    let implied_by: &[Operation] = match operation {
        Describe => &[Read, Write, Delete, Alter],
        DescribeConfigs => &[AlterConfigs],
        _ => &[],
    };
    implied_by.iter().fold(bit(operation) | bit(All), |set, o| set | bit(*o))
}

/// The operations in rules that deny an operation. Nothing is implied here: who may not read may yet describe.
fn denying(operation: Operation) -> Operations {
    bit(operation) | bit(Operation::All)
}

#[derive(Debug)]
struct HostRule {
    host: String,
    allow: Operations,
    deny: Operations,
}

/// The rules of one principal for one pattern.
#[derive(Debug, Default)]
struct HostRules(Vec<HostRule>);

impl HostRules {
    fn add(&mut self, acl: &AclBinding) {
        let at = self.0.iter().position(|r| r.host == acl.host).unwrap_or_else(|| {
            self.0.push(HostRule { host: acl.host.clone(), allow: 0, deny: 0 });
            self.0.len() - 1
        });
        if let Some(rule) = self.0.get_mut(at) {
            match acl.permission {
                Permission::Allow => rule.allow |= bit(acl.operation),
                Permission::Deny => rule.deny |= bit(acl.operation),
            }
        }
    }

    /// What is allowed and denied from a host.
    fn of(&self, host: &str) -> (Operations, Operations) {
        let apply = self.0.iter().filter(|r| r.host == WILDCARD || r.host == host);
        apply.fold((0, 0), |(allow, deny), r| (allow | r.allow, deny | r.deny))
    }
}

/// Something for each pattern of resource names.
#[derive(Debug)]
struct Patterns<T> {
    literal: HashMap<String, T>,
    wildcard: Option<T>,
    prefixed: HashMap<String, T>,
    /// The lengths in bytes of the prefixes, ascending.
    lengths: Vec<usize>,
}

impl<T> Default for Patterns<T> {
    fn default() -> Self {
        Self { literal: HashMap::new(), wildcard: None, prefixed: HashMap::new(), lengths: Vec::new() }
    }
}

impl<T: Default> Patterns<T> {
    fn entry(&mut self, acl: &AclBinding) -> &mut T {
        let name = acl.resource_name.as_str();
        match acl.pattern_type {
            PatternType::Literal if name == WILDCARD => self.wildcard.get_or_insert_default(),
            PatternType::Literal => self.literal.entry(name.to_owned()).or_default(),
            PatternType::Prefixed => {
                if let Err(at) = self.lengths.binary_search(&name.len()) {
                    self.lengths.insert(at, name.len());
                }
                self.prefixed.entry(name.to_owned()).or_default()
            }
        }
    }
}

impl<T> Patterns<T> {
    /// All that applies to a resource of that name.
    fn matching<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a T> {
        let shorter = self.lengths.iter().take_while(move |n| **n <= name.len());
        let prefixes = shorter.filter_map(move |n| self.prefixed.get(name.get(..*n)?));
        self.literal.get(name).into_iter().chain(&self.wildcard).chain(prefixes)
    }
}

/// Something for each resource type.
type ByType<T> = [Patterns<T>; ResourceType::ALL.len()];

fn of_type<T>(by_type: &ByType<T>, resource: ResourceType) -> Option<&Patterns<T>> {
    by_type.get(usize::try_from(resource.code() - ResourceType::Topic.code()).ok()?)
}

fn of_type_mut<T>(by_type: &mut ByType<T>, resource: ResourceType) -> Option<&mut Patterns<T>> {
    by_type.get_mut(usize::try_from(resource.code() - ResourceType::Topic.code()).ok()?)
}

/// The rules, arranged.
#[derive(Debug, Default)]
pub(super) struct Index {
    principals: HashMap<Principal, ByType<HostRules>>,
    everybody: ByType<HostRules>,
    /// Which resources there are rules for.
    resources: ByType<()>,
}

impl Index {
    pub(super) fn new<'a>(acls: impl IntoIterator<Item = &'a AclBinding>) -> Self {
        let mut index = Self::default();
        let everybody = Principal::everybody();
        for acl in acls {
            // Rules are checked before they are kept; one with such a principal would apply to nobody.
            let Some(principal) = Principal::parse(&acl.principal) else { continue };
            let rules = match principal == everybody {
                true => &mut index.everybody,
                false => index.principals.entry(principal).or_default(),
            };
            if let Some(patterns) = of_type_mut(rules, acl.resource_type) {
                patterns.entry(acl).add(acl);
            }
            if let Some(patterns) = of_type_mut(&mut index.resources, acl.resource_type) {
                patterns.entry(acl);
            }
        }
        index
    }

    fn rules_of(
        &self,
        principal: &Principal,
        resource: ResourceType,
    ) -> impl Iterator<Item = &Patterns<HostRules>> {
        let own = self.principals.get(principal).into_iter();
        own.chain([&self.everybody]).filter_map(move |by_type| of_type(by_type, resource))
    }

    pub(super) fn decide(
        &self,
        principal: &Principal,
        host: &str,
        operation: Operation,
        resource: ResourceType,
        name: &str,
    ) -> Verdict {
        let (allowing, denying) = (allowing(operation), denying(operation));
        let mut allowed = false;
        for rules in self.rules_of(principal, resource).flat_map(|patterns| patterns.matching(name)) {
            let (allow, deny) = rules.of(host);
            if deny & denying != 0 {
                return Verdict::Denied;
            }
            allowed |= allow & allowing != 0;
        }
        let any_rule =
            || of_type(&self.resources, resource).is_some_and(|p| p.matching(name).next().is_some());
        match allowed {
            true => Verdict::Allowed,
            false if any_rule() => Verdict::NotAllowed,
            false => Verdict::NoRules,
        }
    }

    /// Whether there may be a resource of that type to which the operation is allowed (KIP-679): a rule that allows it, and none
    /// that denies all that it covers. As Kafka does, only rules for the operation itself or for all are asked.
    pub(super) fn allows_some(
        &self,
        principal: &Principal,
        host: &str,
        operation: Operation,
        resource: ResourceType,
    ) -> bool {
        let wanted = bit(operation) | bit(Operation::All);
        let denied = |rules: &HostRules| rules.of(host).1 & wanted != 0;
        let allowed = |rules: &HostRules| rules.of(host).0 & wanted != 0;
        let all: Vec<_> = self.rules_of(principal, resource).collect();
        if all.iter().filter_map(|p| p.wildcard.as_ref()).any(denied) {
            return false;
        }
        if all.iter().filter_map(|p| p.wildcard.as_ref()).any(allowed) {
            return true;
        }
        let names = |pick: fn(&Patterns<HostRules>) -> &HashMap<String, HostRules>| -> HashSet<&str> {
            let rules = all.iter().flat_map(|p| pick(p));
            rules.filter(|(_, rules)| denied(rules)).map(|(name, _)| name.as_str()).collect()
        };
        let (denied_names, denied_prefixes) = (names(|p| &p.literal), names(|p| &p.prefixed));
        let under_denied = |name: &str| {
            let ends = name.char_indices().skip(1).map(|(at, _)| at).chain([name.len()]);
            ends.filter_map(|end| name.get(..end)).any(|prefix| denied_prefixes.contains(prefix))
        };
        all.iter().any(|patterns| {
            let literal = patterns.literal.iter().filter(|(name, _)| !denied_names.contains(name.as_str()));
            let mut candidates = literal.chain(&patterns.prefixed);
            candidates.any(|(name, rules)| allowed(rules) && !under_denied(name))
        })
    }
}
