//! Configs of subjects, contexts and of all: compatibility and what is done to schemas when they are registered.

use crate::entity::{Metadata, RuleSet};
use bd_schema::CompatibilityPolicy;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;

/// A compatibility level, by Confluent's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Level {
    /// No check.
    None,
    /// The new schema reads what the latest one wrote.
    Backward,
    /// The new schema reads what any earlier one wrote.
    BackwardTransitive,
    /// The latest schema reads what the new one writes.
    Forward,
    /// All earlier schemas read what the new one writes.
    ForwardTransitive,
    /// Both ways with the latest one.
    Full,
    /// Both ways with all earlier ones.
    FullTransitive,
}

impl Level {
    const ALL: [(&'static str, Self); 7] = [
        ("NONE", Self::None),
        ("BACKWARD", Self::Backward),
        ("BACKWARD_TRANSITIVE", Self::BackwardTransitive),
        ("FORWARD", Self::Forward),
        ("FORWARD_TRANSITIVE", Self::ForwardTransitive),
        ("FULL", Self::Full),
        ("FULL_TRANSITIVE", Self::FullTransitive),
    ];

    /// The level of that name, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, level)| level)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(_, level)| *level == self).map_or("", |(name, _)| name)
    }

    pub(crate) fn is_transitive(self) -> bool {
        matches!(self, Self::BackwardTransitive | Self::ForwardTransitive | Self::FullTransitive)
    }

    pub(crate) fn new_reads_old(self) -> bool {
        matches!(self, Self::Backward | Self::BackwardTransitive | Self::Full | Self::FullTransitive)
    }

    pub(crate) fn old_reads_new(self) -> bool {
        matches!(self, Self::Forward | Self::ForwardTransitive | Self::Full | Self::FullTransitive)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How strictly schemas are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Policy {
    Strict,
    Lenient,
    Logical,
}

impl Policy {
    /// The logical one adds checks of table formats, which are not here.
    pub(crate) fn of_schemas(self) -> CompatibilityPolicy {
        match self {
            Self::Strict | Self::Logical => CompatibilityPolicy::Strict,
            Self::Lenient => CompatibilityPolicy::Lenient,
        }
    }
}

/// A config: what is set in one place. Fields that are not set are left to the context's, or to all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Config {
    /// The subject that stands for this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) alias: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) alias_for_deks: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) normalize: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) validate_fields: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) validate_new_schemas: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) validate_rules: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) compatibility_level: Option<Level>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) compatibility_policy: Option<Policy>,
    /// The metadata's property whose value parts a subject's versions into groups, each compatible within.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) compatibility_group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) default_metadata: Option<Metadata>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) override_metadata: Option<Metadata>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) default_rule_set: Option<RuleSet>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) override_rule_set: Option<RuleSet>,
}

/// Why a change of a config is refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Level,
    RuleSet(String),
    Field { name: &'static str, reason: String },
}

impl Config {
    /// With the level that holds where none is set.
    pub(crate) fn or_level(mut self, level: Level) -> Self {
        self.compatibility_level.get_or_insert(level);
        self
    }

    /// This config of a subject with what it leaves to `global`.
    pub(crate) fn over(self, global: Self) -> Self {
        Self {
            normalize: self.normalize.or(global.normalize),
            validate_fields: self.validate_fields.or(global.validate_fields),
            validate_new_schemas: self.validate_new_schemas.or(global.validate_new_schemas),
            validate_rules: self.validate_rules.or(global.validate_rules),
            compatibility_policy: self.compatibility_policy.or(global.compatibility_policy),
            compatibility_group: self.compatibility_group.or(global.compatibility_group),
            ..self
        }
    }

    /// Whether schemas are read strictly when they are registered.
    pub(crate) fn validates_new(&self) -> bool {
        self.validate_new_schemas.unwrap_or(true)
    }

    pub(crate) fn changes_schemas(&self) -> bool {
        self.default_metadata.is_some()
            || self.override_metadata.is_some()
            || self.default_rule_set.is_some()
            || self.override_rule_set.is_some()
    }

    /// With the fields of a request: those that it does not name stay, a null takes one away.
    ///
    /// # Errors
    /// What is wrong with a field.
    pub(crate) fn updated(mut self, request: &Map<String, Value>) -> Result<Self, Refused> {
        let level = request.get("compatibility").or_else(|| request.get("compatibilityLevel"));
        if let Some(level) = level {
            self.compatibility_level = match level {
                Value::Null => None,
                Value::String(name) => Some(Level::parse(name).ok_or(Refused::Level)?),
                _ => return Err(Refused::Level),
            };
        }
        if let Some(policy) = request.get("compatibilityPolicy") {
            let name = policy.as_str().map(str::to_ascii_uppercase);
            self.compatibility_policy = name.and_then(|n| serde_json::from_value(n.into()).ok());
        }
        field(request, "alias", &mut self.alias)?;
        field(request, "aliasForDeks", &mut self.alias_for_deks)?;
        field(request, "normalize", &mut self.normalize)?;
        field(request, "validateFields", &mut self.validate_fields)?;
        field(request, "validateNewSchemas", &mut self.validate_new_schemas)?;
        field(request, "validateRules", &mut self.validate_rules)?;
        field(request, "compatibilityGroup", &mut self.compatibility_group)?;
        field(request, "defaultMetadata", &mut self.default_metadata)?;
        field(request, "overrideMetadata", &mut self.override_metadata)?;
        field(request, "defaultRuleSet", &mut self.default_rule_set)?;
        field(request, "overrideRuleSet", &mut self.override_rule_set)?;
        for rules in [&self.default_rule_set, &self.override_rule_set].into_iter().flatten() {
            rules.validate().map_err(Refused::RuleSet)?;
        }
        for text in [&mut self.alias, &mut self.alias_for_deks, &mut self.compatibility_group] {
            text.take_if(|text| text.is_empty());
        }
        Ok(self)
    }
}

fn field<T: DeserializeOwned>(
    request: &Map<String, Value>,
    name: &'static str,
    to: &mut Option<T>,
) -> Result<(), Refused> {
    if let Some(value) = request.get(name) {
        let parsed = Option::<T>::deserialize(value);
        *to = parsed.map_err(|e| Refused::Field { name, reason: e.to_string() })?;
    }
    Ok(())
}

/// What may be done to subjects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// All.
    ReadWrite,
    /// Nothing may be changed.
    ReadOnly,
    /// Nothing may be changed, as set by an operator.
    ReadOnlyOverride,
    /// Schemas are registered with the ids they had elsewhere, unchecked.
    Import,
    /// As import: what is registered is forwarded from elsewhere.
    Forward,
}

impl Mode {
    const ALL: [(&'static str, Self); 5] = [
        ("READWRITE", Self::ReadWrite),
        ("READONLY", Self::ReadOnly),
        ("READONLY_OVERRIDE", Self::ReadOnlyOverride),
        ("IMPORT", Self::Import),
        ("FORWARD", Self::Forward),
    ];

    /// The mode of that name, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, mode)| mode)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(_, mode)| *mode == self).map_or("", |(name, _)| name)
    }

    pub(crate) fn is_read_only(self) -> bool {
        matches!(self, Self::ReadOnly | Self::ReadOnlyOverride)
    }

    pub(crate) fn takes_ids(self) -> bool {
        matches!(self, Self::Import | Self::Forward)
    }
}
