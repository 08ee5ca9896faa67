//! `bd acls`: rules that allow or deny, in Kafka's terms.

use super::{Answer, text};
use crate::cli::{
    AclResources, Acls, AclsAction, AclsAdd, AclsFilter, PatternFilter, PatternName, PermissionName,
};
use anyhow::{Result, anyhow, bail};
use bd_client::messages::create_acls_request::AclCreation;
use bd_client::messages::delete_acls_request::DeleteAclsFilter;
use bd_client::messages::{CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest};
use bd_client::{Client, ClientError, Node};
use serde_json::json;
use std::collections::BTreeSet;
use std::process::ExitCode;

/// In filters, `ANY` of the protocol's enumerations.
const ANY: i8 = 1;
const TOPIC: i8 = 2;
const GROUP: i8 = 3;
const CLUSTER: i8 = 4;
const TRANSACTIONAL_ID: i8 = 5;
/// The one resource of its type.
const CLUSTER_NAME: &str = "kafka-cluster";

/// `ResourceType`, by number.
const RESOURCES: &[(i8, &str)] = &[
    (TOPIC, "Topic"),
    (GROUP, "Group"),
    (CLUSTER, "Cluster"),
    (TRANSACTIONAL_ID, "TransactionalId"),
    (6, "DelegationToken"),
    (7, "User"),
];
/// `PatternType`.
const PATTERNS: &[(i8, &str)] = &[(3, "Literal"), (4, "Prefixed")];
/// `AclPermissionType`.
const PERMISSIONS: &[(i8, &str)] = &[(2, "Deny"), (3, "Allow")];
/// `AclOperation`.
const OPERATIONS: &[(i8, &str)] = &[
    (2, "All"),
    (3, "Read"),
    (4, "Write"),
    (5, "Create"),
    (6, "Delete"),
    (7, "Alter"),
    (8, "Describe"),
    (9, "ClusterAction"),
    (10, "DescribeConfigs"),
    (11, "AlterConfigs"),
    (12, "IdempotentWrite"),
    (13, "CreateTokens"),
    (14, "DescribeTokens"),
    (15, "TwoPhaseCommit"),
];

fn shown(names: &[(i8, &'static str)], number: i8) -> &'static str {
    names.iter().find(|(n, _)| *n == number).map_or("Unknown", |(_, name)| name)
}

fn operation(name: &str) -> Result<i8> {
    let wanted = name.replace(['-', '_'], "");
    let found = OPERATIONS.iter().find(|(_, known)| known.eq_ignore_ascii_case(&wanted));
    let known = || OPERATIONS.iter().map(|(_, name)| *name).collect::<Vec<_>>().join(", ");
    found.map(|(number, _)| *number).ok_or_else(|| anyhow!("--operation {name}: expected one of {}", known()))
}

/// A rule; the fields are those of Kafka's `AclBinding`, in the order in which they are shown.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Rule {
    resource: i8,
    name: String,
    pattern: i8,
    principal: String,
    host: String,
    operation: i8,
    permission: i8,
}

pub(super) fn run(args: Acls) -> Result<ExitCode> {
    let mut client = super::connect(&args.cluster, "bd-acls")?;
    let client = &mut client;
    let rules = match args.action.unwrap_or_else(|| AclsAction::List(AclsFilter::default())) {
        AclsAction::List(filter) => list(client, &filter)?,
        AclsAction::Add(add) => {
            let rules = rules_of(&add)?;
            create(client, &rules)?;
            rules
        }
        AclsAction::Remove(filter) => remove(client, &filter)?,
    };
    table(&rules).print(&args.cluster)?;
    Ok(ExitCode::SUCCESS)
}

fn table(rules: &BTreeSet<Rule>) -> Answer {
    let cells = |r: &Rule| {
        [
            shown(RESOURCES, r.resource).to_owned(),
            r.name.clone(),
            shown(PATTERNS, r.pattern).to_owned(),
            r.principal.clone(),
            r.host.clone(),
            shown(OPERATIONS, r.operation).to_owned(),
            shown(PERMISSIONS, r.permission).to_owned(),
        ]
    };
    let columns = ["resource", "name", "pattern", "principal", "host", "operation", "permission"];
    let rows: Vec<Vec<String>> = rules.iter().map(|rule| cells(rule).to_vec()).collect();
    let json = rules.iter().map(|rule| {
        let [resource, name, pattern, principal, host, operation, permission] = cells(rule);
        json!({
            "resource": resource, "name": name, "pattern": pattern, "principal": principal,
            "host": host, "operation": operation, "permission": permission,
        })
    });
    Answer::table(&columns, &rows, json.collect())
}

/// Type and name of each resource that was named.
fn resources(args: &AclResources) -> Vec<(i8, String)> {
    let named = |kind: i8, names: &[String]| names.iter().map(|n| (kind, n.clone())).collect::<Vec<_>>();
    let mut all = named(TOPIC, &args.topic);
    all.extend(named(GROUP, &args.group));
    all.extend(named(TRANSACTIONAL_ID, &args.transactional_id));
    if args.kafka_cluster {
        all.push((CLUSTER, CLUSTER_NAME.into()));
    }
    all
}

/// One filter for each resource; one for all rules if none is named.
fn filters(args: &AclsFilter) -> Result<Vec<DeleteAclsFilter>> {
    let mut of = resources(&args.resources).into_iter().map(|(k, n)| (k, Some(n))).collect::<Vec<_>>();
    if of.is_empty() {
        of.push((ANY, None));
    }
    let pattern = match args.pattern {
        PatternFilter::Any => ANY,
        PatternFilter::Match => 2,
        PatternFilter::Literal => 3,
        PatternFilter::Prefixed => 4,
    };
    let permission = match args.permission {
        None => ANY,
        Some(PermissionName::Deny) => 2,
        Some(PermissionName::Allow) => 3,
    };
    let operation = args.operation.as_deref().map_or(Ok(ANY), operation)?;
    let filter = |(kind, name): (i8, Option<String>)| {
        DeleteAclsFilter::default()
            .with_resource_type_filter(kind)
            .with_resource_name_filter(name.as_deref().map(text))
            .with_pattern_type_filter(pattern)
            .with_principal_filter(args.principal.as_deref().map(text))
            .with_host_filter(args.host.as_deref().map(text))
            .with_operation(operation)
            .with_permission_type(permission)
    };
    Ok(of.into_iter().map(filter).collect())
}

fn list(client: &mut Client, args: &AclsFilter) -> Result<BTreeSet<Rule>> {
    let mut rules = BTreeSet::new();
    for f in filters(args)? {
        let request = DescribeAclsRequest::default()
            .with_resource_type_filter(f.resource_type_filter)
            .with_resource_name_filter(f.resource_name_filter)
            .with_pattern_type_filter(f.pattern_type_filter)
            .with_principal_filter(f.principal_filter)
            .with_host_filter(f.host_filter)
            .with_operation(f.operation)
            .with_permission_type(f.permission_type);
        let response = client.request(Node::Any, &request)?;
        let message = response.error_message.as_deref();
        ClientError::check("DescribeAcls", "rules", response.error_code, message)?;
        for resource in response.resources {
            rules.extend(resource.acls.iter().map(|acl| Rule {
                resource: resource.resource_type,
                name: resource.resource_name.to_string(),
                pattern: resource.pattern_type,
                principal: acl.principal.to_string(),
                host: acl.host.to_string(),
                operation: acl.operation,
                permission: acl.permission_type,
            }));
        }
    }
    Ok(rules)
}

/// The rules that `bd acls add` is asked for.
fn rules_of(args: &AclsAdd) -> Result<BTreeSet<Rule>> {
    let named = args.operation.iter().map(|name| operation(name)).collect::<Result<Vec<_>>>()?;
    let of = resources(&args.resources);
    let has = |kind: i8| of.iter().any(|(k, _)| *k == kind);
    if of.is_empty() {
        bail!("expected --topic, --group, --transactional-id or --cluster");
    }
    if named.is_empty() && !args.producer && !args.consumer {
        bail!("expected --operation, --producer or --consumer");
    }
    if args.producer && !has(TOPIC) {
        bail!("--producer needs --topic");
    }
    if args.consumer && !(has(TOPIC) && has(GROUP)) {
        bail!("--consumer needs --topic and --group");
    }
    if (args.producer || args.consumer) && !args.deny.is_empty() {
        bail!("--producer and --consumer allow; name what is denied by --operation");
    }
    let pattern = if args.pattern == PatternName::Prefixed { 4 } else { 3 };
    let principals = args.allow.iter().map(|p| (p, 3)).chain(args.deny.iter().map(|p| (p, 2)));
    let mut rules = BTreeSet::new();
    for (principal, permission) in principals {
        if !principal.contains(':') {
            bail!("{principal}: expected a principal such as User:{principal}");
        }
        for (kind, name) in &of {
            let mut operations = named.clone();
            match *kind {
                TOPIC if args.producer => operations.extend([4, 8, 5]),
                TRANSACTIONAL_ID if args.producer => operations.extend([4, 8]),
                _ => {}
            }
            match *kind {
                TOPIC if args.consumer => operations.extend([3, 8]),
                GROUP if args.consumer => operations.push(3),
                _ => {}
            }
            for (operation, host) in operations.iter().flat_map(|o| args.host.iter().map(move |h| (*o, h))) {
                // There is but one cluster: its name is no prefix.
                let pattern = if *kind == CLUSTER { 3 } else { pattern };
                let (name, principal, host) = (name.clone(), principal.clone(), host.clone());
                rules.insert(Rule { resource: *kind, name, pattern, principal, host, operation, permission });
            }
        }
    }
    Ok(rules)
}

fn create(client: &mut Client, rules: &BTreeSet<Rule>) -> Result<()> {
    let creations = rules.iter().map(|rule| {
        AclCreation::default()
            .with_resource_type(rule.resource)
            .with_resource_name(text(&rule.name))
            .with_resource_pattern_type(rule.pattern)
            .with_principal(text(&rule.principal))
            .with_host(text(&rule.host))
            .with_operation(rule.operation)
            .with_permission_type(rule.permission)
    });
    let request = CreateAclsRequest::default().with_creations(creations.collect());
    let response = client.request(Node::Controller, &request)?;
    for (rule, result) in rules.iter().zip(&response.results) {
        let resource = format!("{} {} for {}", shown(RESOURCES, rule.resource), rule.name, rule.principal);
        ClientError::check("CreateAcls", resource, result.error_code, result.error_message.as_deref())?;
    }
    Ok(())
}

fn remove(client: &mut Client, args: &AclsFilter) -> Result<BTreeSet<Rule>> {
    if resources(&args.resources).is_empty() && args.principal.is_none() {
        bail!(
            "expected --principal, --topic, --group, --transactional-id or --cluster: which rules to remove"
        );
    }
    let request = DeleteAclsRequest::default().with_filters(filters(args)?);
    let response = client.request(Node::Controller, &request)?;
    let mut rules = BTreeSet::new();
    for result in response.filter_results {
        ClientError::check("DeleteAcls", "rules", result.error_code, result.error_message.as_deref())?;
        for acl in result.matching_acls {
            let resource = format!("{} {}", shown(RESOURCES, acl.resource_type), acl.resource_name);
            ClientError::check("DeleteAcls", resource, acl.error_code, acl.error_message.as_deref())?;
            rules.insert(Rule {
                resource: acl.resource_type,
                name: acl.resource_name.to_string(),
                pattern: acl.pattern_type,
                principal: acl.principal.to_string(),
                host: acl.host.to_string(),
                operation: acl.operation,
                permission: acl.permission_type,
            });
        }
    }
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(topic: &str, group: &str) -> AclsAdd {
        let named = |name: &str| if name.is_empty() { Vec::new() } else { vec![name.to_owned()] };
        AclsAdd {
            resources: AclResources { topic: named(topic), group: named(group), ..Default::default() },
            pattern: PatternName::Literal,
            allow: vec!["User:ann".into()],
            deny: Vec::new(),
            host: vec!["*".into()],
            operation: Vec::new(),
            producer: false,
            consumer: false,
        }
    }

    #[test]
    fn conveniences_are_what_clients_need() {
        let rules = rules_of(&AclsAdd { consumer: true, ..add("t", "g") }).unwrap();
        let found: Vec<_> = rules.iter().map(|r| (r.name.as_str(), shown(OPERATIONS, r.operation))).collect();
        assert_eq!(found, [("t", "Read"), ("t", "Describe"), ("g", "Read")]);
        let rules = rules_of(&AclsAdd { producer: true, ..add("t", "") }).unwrap();
        let found: Vec<_> = rules.iter().map(|r| shown(OPERATIONS, r.operation)).collect();
        assert_eq!(found, ["Write", "Create", "Describe"]);
    }

    #[test]
    fn mistakes_say_what_is_expected() {
        let said = |args: AclsAdd| rules_of(&args).unwrap_err().to_string();
        assert!(said(add("", "")).starts_with("expected --topic"));
        assert!(said(add("t", "")).starts_with("expected --operation"));
        assert_eq!(said(AclsAdd { consumer: true, ..add("t", "") }), "--consumer needs --topic and --group");
        let eat = vec!["eat".into()];
        assert!(
            said(AclsAdd { operation: eat, ..add("t", "") }).contains("--operation eat: expected one of All")
        );
        let allow = vec!["ann".into()];
        assert!(said(AclsAdd { allow, producer: true, ..add("t", "") }).contains("such as User:ann"));
        assert_eq!(operation("describe_configs").unwrap(), 10);
    }
}
