//! The words of security, with the numbers of the protocol and the names of Kafka's tools.

use std::fmt;

/// Who a connection acts for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Principal {
    /// Kafka's principal type; `User` for all that authenticate here.
    pub kind: String,
    /// The name; `ANONYMOUS` on listeners without authentication.
    pub name: String,
}

impl Principal {
    /// A user.
    pub fn user(name: impl Into<String>) -> Self {
        Self { kind: "User".to_owned(), name: name.into() }
    }

    /// Whoever comes without authentication: `User:ANONYMOUS`.
    pub fn anonymous() -> Self {
        Self::user("ANONYMOUS")
    }

    /// `User:*`: in a rule, everybody.
    pub fn everybody() -> Self {
        Self::user("*")
    }

    /// Reads `Type:name`; the name may hold colons. `None` where there is no colon or the type is empty.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, name) = text.split_once(':')?;
        (!kind.is_empty()).then(|| Self { kind: kind.to_owned(), name: name.to_owned() })
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.name)
    }
}

/// An enum whose values have a number in the protocol and a name in Kafka's tools and files.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $value:ident = $code:literal $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i8)]
        pub enum $name { $($(#[$value_doc])* $value = $code,)* }

        impl $name {
            /// All values.
            pub const ALL: &[Self] = &[$(Self::$value),*];

            /// The value of that number.
            pub fn from_code(code: i8) -> Option<Self> {
                match code { $($code => Some(Self::$value),)* _ => None }
            }

            /// The number in the protocol.
            pub fn code(self) -> i8 {
                self as i8
            }

            /// The name as Kafka writes it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$value => $text),* }
            }

            /// The value of that name, whatever its case.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|v| v.name().eq_ignore_ascii_case(name))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(self.name())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let name = <std::borrow::Cow<'de, str>>::deserialize(d)?;
                Self::from_name(&name)
                    .ok_or_else(|| serde::de::Error::custom(format!("{name} is no {}", stringify!($name))))
            }
        }
    };
}

words! {
    /// What is done to a resource (`AclOperation`).
    Operation {
        /// In a rule: any operation.
        All = 2 "ALL",
        /// Fetch, commit offsets (topic, group).
        Read = 3 "READ",
        /// Produce; use a transactional id.
        Write = 4 "WRITE",
        /// Make topics (topic, cluster).
        Create = 5 "CREATE",
        /// Delete.
        Delete = 6 "DELETE",
        /// Change partitions.
        Alter = 7 "ALTER",
        /// See that it exists.
        Describe = 8 "DESCRIBE",
        /// What only brokers do.
        ClusterAction = 9 "CLUSTER_ACTION",
        /// See configs.
        DescribeConfigs = 10 "DESCRIBE_CONFIGS",
        /// Change configs.
        AlterConfigs = 11 "ALTER_CONFIGS",
        /// Produce idempotently (cluster).
        IdempotentWrite = 12 "IDEMPOTENT_WRITE",
    }
}

words! {
    /// What rules are about. Kafka's other two, delegation tokens and users, are not there: bd has no delegation tokens.
    ResourceType {
        /// A topic.
        Topic = 2 "TOPIC",
        /// A consumer group.
        Group = 3 "GROUP",
        /// The cluster, whose one name is [`CLUSTER`].
        Cluster = 4 "CLUSTER",
        /// A transactional id.
        TransactionalId = 5 "TRANSACTIONAL_ID",
    }
}

words! {
    /// How a rule's resource name is meant (KIP-290).
    PatternType {
        /// That very name; `*` means all names.
        Literal = 3 "LITERAL",
        /// All names that begin so.
        Prefixed = 4 "PREFIXED",
    }
}

words! {
    /// What a rule does (`AclPermissionType`).
    Permission {
        /// Forbids, whatever else allows.
        Deny = 2 "DENY",
        /// Allows.
        Allow = 3 "ALLOW",
    }
}

/// The name of the one resource of type [`ResourceType::Cluster`].
pub const CLUSTER: &str = "kafka-cluster";

/// In a rule: all names of a resource type, or all hosts.
pub const WILDCARD: &str = "*";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_is_a_type_and_a_name_that_may_hold_colons() {
        assert_eq!(Principal::parse("User:a:b"), Some(Principal::user("a:b")));
        assert_eq!(Principal::parse("User:a:b").map(|p| p.to_string()), Some("User:a:b".to_owned()));
        assert_eq!(Principal::parse("alice"), None);
        assert_eq!(Principal::parse(":alice"), None);
    }

    #[test]
    fn words_have_the_numbers_and_names_of_the_protocol() {
        assert_eq!(Operation::from_code(12), Some(Operation::IdempotentWrite));
        assert_eq!(Operation::from_code(1), None);
        assert_eq!(Operation::from_name("describe_configs"), Some(Operation::DescribeConfigs));
        assert_eq!(ResourceType::TransactionalId.code(), 5);
        assert_eq!(PatternType::Prefixed.to_string(), "PREFIXED");
        assert_eq!(Permission::from_code(3), Some(Permission::Allow));
    }
}
