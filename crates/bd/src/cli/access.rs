//! `bd acls`, `bd users`.

use super::ClusterArgs;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct Acls {
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    #[command(subcommand)]
    pub(crate) action: Option<AclsAction>,
}

#[derive(Subcommand)]
pub(crate) enum AclsAction {
    /// Rules [default: all]
    List(AclsFilter),
    /// Add rules: one for each resource, principal, host and operation
    Add(AclsAdd),
    /// Remove the rules that match, and print them
    Remove(AclsFilter),
}

/// What rules are about.
#[derive(Args, Default)]
pub(crate) struct AclResources {
    /// A topic; `*` for all
    #[arg(long, value_name = "NAME")]
    pub(crate) topic: Vec<String>,
    /// A consumer group
    #[arg(long, value_name = "NAME")]
    pub(crate) group: Vec<String>,
    /// A transactional id
    #[arg(long, value_name = "ID")]
    pub(crate) transactional_id: Vec<String>,
    /// The cluster
    #[arg(long = "cluster")]
    pub(crate) kafka_cluster: bool,
}

#[derive(Args, Default)]
pub(crate) struct AclsFilter {
    #[command(flatten)]
    pub(crate) resources: AclResources,
    /// How names are meant: any, match (all rules that apply to the name), literal, prefixed
    #[arg(long, value_enum, default_value_t)]
    pub(crate) pattern: PatternFilter,
    /// Such as User:ann
    #[arg(long)]
    pub(crate) principal: Option<String>,
    /// Such as 192.0.2.1
    #[arg(long)]
    pub(crate) host: Option<String>,
    /// Such as Read
    #[arg(long)]
    pub(crate) operation: Option<String>,
    /// Allow or deny
    #[arg(long, value_enum)]
    pub(crate) permission: Option<PermissionName>,
}

#[derive(Args)]
pub(crate) struct AclsAdd {
    #[command(flatten)]
    pub(crate) resources: AclResources,
    /// How names are meant
    #[arg(long, value_enum, default_value_t)]
    pub(crate) pattern: PatternName,
    /// Who may, such as User:ann; `User:*` for all
    #[arg(long, value_name = "PRINCIPAL", required_unless_present = "deny")]
    pub(crate) allow: Vec<String>,
    /// Who may not, whatever other rules say
    #[arg(long, value_name = "PRINCIPAL")]
    pub(crate) deny: Vec<String>,
    /// From which address; `*` for all
    #[arg(long, default_value = "*")]
    pub(crate) host: Vec<String>,
    /// Read, Write, Create, Delete, Alter, Describe, DescribeConfigs, AlterConfigs, ClusterAction, IdempotentWrite, All
    #[arg(long)]
    pub(crate) operation: Vec<String>,
    /// What a producer needs: Write, Describe and Create on --topic, Write and Describe on --transactional-id
    #[arg(long)]
    pub(crate) producer: bool,
    /// What a consumer needs: Read and Describe on --topic, Read on --group
    #[arg(long)]
    pub(crate) consumer: bool,
}

/// How the name of a rule is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Default)]
pub(crate) enum PatternName {
    /// The name itself
    #[default]
    Literal,
    /// All names that begin so
    Prefixed,
}

/// Which rules a name finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Default)]
pub(crate) enum PatternFilter {
    /// Rules of this name, literal or prefixed
    #[default]
    Any,
    /// Rules that apply to the name: literal, prefixed and `*`
    Match,
    /// Literal rules of this name
    Literal,
    /// Prefixed rules of this name
    Prefixed,
}

/// What a rule says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PermissionName {
    /// May
    Allow,
    /// May not
    Deny,
}

#[derive(Args)]
pub(crate) struct Users {
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    #[command(subcommand)]
    pub(crate) action: Option<UsersAction>,
}

#[derive(Subcommand)]
pub(crate) enum UsersAction {
    /// Users and their mechanisms [default]
    List,
    /// Create a user, or give one a new password
    Set {
        /// The name
        user: String,
        /// By which mechanisms the user logs in
        #[arg(long, value_enum, default_values = ["SCRAM-SHA-256", "SCRAM-SHA-512"])]
        mechanism: Vec<ScramName>,
        /// The password's file; without it the first line of stdin is the password
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// How often the password is hashed
        #[arg(long, default_value_t = 8192, value_parser = clap::value_parser!(i32).range(4096..=16384))]
        iterations: i32,
    },
    /// Delete a user
    Delete {
        /// The name
        user: String,
        /// Only this mechanism
        #[arg(long, value_enum)]
        mechanism: Option<ScramName>,
    },
}

/// A mechanism whose users the cluster keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScramName {
    /// RFC 7677
    #[value(name = "SCRAM-SHA-256", alias = "scram-sha-256")]
    Sha256,
    /// With SHA-512
    #[value(name = "SCRAM-SHA-512", alias = "scram-sha-512")]
    Sha512,
}
