//! Rules (ACLs) and filters over them.

use super::types::{Operation, PatternType, Permission, Principal, ResourceType, WILDCARD};
use serde::{Deserialize, Serialize};

/// One rule: who, from where, may or may not do what to which resources.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AclBinding {
    /// The type of the resources.
    pub resource_type: ResourceType,
    /// Their name, or how it begins.
    pub resource_name: String,
    /// Which of the two.
    pub pattern_type: PatternType,
    /// Who, as `Type:name`; `User:*` is everybody.
    pub principal: String,
    /// From which address; `*` is any.
    pub host: String,
    /// What.
    pub operation: Operation,
    /// May, or may not.
    pub permission: Permission,
}

impl AclBinding {
    /// The rule that `principal` may do `operation` to the resource of that name, from anywhere.
    pub fn allow(
        principal: &Principal,
        operation: Operation,
        resource_type: ResourceType,
        name: &str,
    ) -> Self {
        Self {
            resource_type,
            resource_name: name.to_owned(),
            pattern_type: PatternType::Literal,
            principal: principal.to_string(),
            host: WILDCARD.to_owned(),
            operation,
            permission: Permission::Allow,
        }
    }
}

/// Protocol number of "any" in the fields of a filter.
const ANY: i8 = 1;
/// Protocol number of the pattern type that also finds the wildcard and the prefixes that a name falls under.
const MATCH: i8 = 2;

/// Which rules are meant, in the numbers of the protocol: 1 is any, 0 is not known. Numbers of Kafka's words that bd has no rules
/// for (delegation tokens) match none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AclFilter {
    /// `ResourceType`.
    pub resource_type: i8,
    /// The name; any where `None`.
    pub resource_name: Option<String>,
    /// `PatternType`; 2 (MATCH): all rules that apply to a resource of that name.
    pub pattern_type: i8,
    /// The principal; any where `None`.
    pub principal: Option<String>,
    /// The host; any where `None`.
    pub host: Option<String>,
    /// `AclOperation`.
    pub operation: i8,
    /// `AclPermissionType`.
    pub permission: i8,
}

impl AclFilter {
    /// All rules.
    pub fn any() -> Self {
        Self {
            resource_type: ANY,
            resource_name: None,
            pattern_type: ANY,
            principal: None,
            host: None,
            operation: ANY,
            permission: ANY,
        }
    }

    /// Why it means nothing, in Kafka's words.
    pub fn check(&self) -> Result<(), &'static str> {
        // Up to ResourceType USER, PatternType PREFIXED, AclOperation TWO_PHASE_COMMIT, AclPermissionType ALLOW.
        if !(1..=7).contains(&self.resource_type) || !(1..=4).contains(&self.pattern_type) {
            return Err("Unknown patternFilter.");
        }
        if !(1..=15).contains(&self.operation) || !(1..=3).contains(&self.permission) {
            return Err("Unknown entryFilter.");
        }
        Ok(())
    }

    /// Whether a rule is meant.
    pub fn matches(&self, acl: &AclBinding) -> bool {
        let is = |wanted: i8, code: i8| wanted == ANY || wanted == code;
        let text = |wanted: &Option<String>, value: &str| wanted.as_deref().is_none_or(|w| w == value);
        is(self.resource_type, acl.resource_type.code())
            && self.name_matches(acl)
            && text(&self.principal, &acl.principal)
            && text(&self.host, &acl.host)
            && is(self.operation, acl.operation.code())
            && is(self.permission, acl.permission.code())
    }

    fn name_matches(&self, acl: &AclBinding) -> bool {
        if self.pattern_type == MATCH {
            let Some(name) = &self.resource_name else { return true };
            return match acl.pattern_type {
                PatternType::Literal => *name == acl.resource_name || acl.resource_name == WILDCARD,
                PatternType::Prefixed => name.starts_with(&acl.resource_name),
            };
        }
        (self.pattern_type == ANY || self.pattern_type == acl.pattern_type.code())
            && self.resource_name.as_ref().is_none_or(|name| *name == acl.resource_name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acl(name: &str, pattern_type: PatternType) -> AclBinding {
        let alice = Principal::user("alice");
        AclBinding { pattern_type, ..AclBinding::allow(&alice, Operation::Read, ResourceType::Topic, name) }
    }

    #[test]
    fn a_name_finds_by_pattern_type_what_is_literal_prefixed_or_applies_to_it() {
        let all = [
            acl("orders", PatternType::Literal),
            acl("ord", PatternType::Prefixed),
            acl("orders", PatternType::Prefixed),
            acl("*", PatternType::Literal),
            acl("other", PatternType::Literal),
        ];
        for (pattern_type, name, expected) in [
            (1, Some("orders"), vec![0, 2]),
            (2, Some("orders"), vec![0, 1, 2, 3]),
            (3, Some("orders"), vec![0]),
            (4, Some("orders"), vec![2]),
            (4, None, vec![1, 2]),
            (2, None, vec![0, 1, 2, 3, 4]),
            (1, None, vec![0, 1, 2, 3, 4]),
            (3, Some("*"), vec![3]),
        ] {
            let filter =
                AclFilter { pattern_type, resource_name: name.map(str::to_owned), ..AclFilter::any() };
            let found: Vec<_> = (0..all.len()).filter(|i| filter.matches(&all[*i])).collect();
            assert_eq!(found, expected, "{pattern_type} {name:?}");
        }
    }

    #[test]
    fn each_other_field_narrows() {
        let acl = acl("t", PatternType::Literal);
        let any = AclFilter::any();
        assert!(any.matches(&acl));
        for (filter, expected) in [
            (AclFilter { resource_type: 2, ..any.clone() }, true),
            (AclFilter { resource_type: 3, ..any.clone() }, false),
            (AclFilter { resource_type: 6, ..any.clone() }, false),
            (AclFilter { principal: Some("User:alice".into()), ..any.clone() }, true),
            (AclFilter { principal: Some("User:*".into()), ..any.clone() }, false),
            (AclFilter { host: Some("*".into()), ..any.clone() }, true),
            (AclFilter { host: Some("10.0.0.1".into()), ..any.clone() }, false),
            (AclFilter { operation: 3, ..any.clone() }, true),
            (AclFilter { operation: 2, ..any.clone() }, false),
            (AclFilter { permission: 3, ..any.clone() }, true),
            (AclFilter { permission: 2, ..any.clone() }, false),
        ] {
            assert_eq!(filter.matches(&acl), expected, "{filter:?}");
        }
    }

    #[test]
    fn numbers_that_are_not_known_are_refused() {
        let any = AclFilter::any();
        assert_eq!(any.check(), Ok(()));
        for (filter, reason) in [
            (AclFilter { resource_type: 0, ..any.clone() }, "Unknown patternFilter."),
            (AclFilter { pattern_type: 9, ..any.clone() }, "Unknown patternFilter."),
            (AclFilter { operation: 0, ..any.clone() }, "Unknown entryFilter."),
            (AclFilter { permission: -1, ..any.clone() }, "Unknown entryFilter."),
        ] {
            assert_eq!(filter.check(), Err(reason), "{filter:?}");
        }
    }
}
