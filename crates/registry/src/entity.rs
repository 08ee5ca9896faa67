//! What comes with a schema or a config, in the JSON of Confluent's REST and of its records: references, metadata, rules. Fields
//! stand in Confluent's order; empty ones are left out.

use crate::md5::Md5;
use bd_schema::SchemaReference;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A null is the same as nothing.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(input: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(input)?.unwrap_or_default())
}

/// That a schema refers to another one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Reference {
    #[serde(default)]
    pub(crate) name: Option<String>,
    #[serde(default)]
    pub(crate) subject: Option<String>,
    #[serde(default)]
    pub(crate) version: Option<i32>,
}

impl Reference {
    pub(crate) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    pub(crate) fn subject(&self) -> &str {
        self.subject.as_deref().unwrap_or_default()
    }

    fn digest(&self, md5: &mut Md5) {
        md5.update(self.name().as_bytes());
        md5.update(self.subject().as_bytes());
        if let Some(version) = self.version {
            md5.update(&version.to_be_bytes());
        }
    }

    /// As Java shows it.
    pub(crate) fn shown(&self) -> String {
        let version = self.version.map_or_else(|| "null".to_owned(), |v| v.to_string());
        format!("{{name='{}', subject='{}', version={version}}}", self.name(), self.subject())
    }
}

impl From<&SchemaReference> for Reference {
    fn from(reference: &SchemaReference) -> Self {
        Self {
            name: Some(reference.name.clone()),
            subject: Some(reference.subject.clone()),
            version: Some(reference.version),
        }
    }
}

/// What is said of a schema beside it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Metadata {
    /// Tags of fields, by path.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) tags: BTreeMap<String, BTreeSet<String>>,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) properties: BTreeMap<String, String>,
    /// The names of properties that are secret.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) sensitive: BTreeSet<String>,
}

/// The property of a schema's metadata that holds the version it was registered as.
const CONFLUENT_VERSION: &str = "confluent:version";
/// The property that names fields that are reserved, by comma.
const RESERVED: &str = "confluent:reserved";

impl Metadata {
    fn digest(&self, md5: &mut Md5) {
        for (path, tags) in &self.tags {
            md5.update(path.as_bytes());
            tags.iter().for_each(|tag| md5.update(tag.as_bytes()));
        }
        for (name, value) in &self.properties {
            md5.update(name.as_bytes());
            md5.update(value.as_bytes());
        }
        self.sensitive.iter().for_each(|name| md5.update(name.as_bytes()));
    }

    pub(crate) fn confluent_version(&self) -> Option<&str> {
        self.properties.get(CONFLUENT_VERSION).map(String::as_str)
    }

    pub(crate) fn set_confluent_version(&mut self, version: u32) {
        self.properties.insert(CONFLUENT_VERSION.into(), version.to_string());
    }

    pub(crate) fn without_confluent_version(&self) -> Self {
        let mut without = self.clone();
        without.properties.remove(CONFLUENT_VERSION);
        without
    }

    /// The fields that are reserved.
    pub(crate) fn reserved(&self) -> BTreeSet<String> {
        let names = self.properties.get(RESERVED).map_or("", String::as_str).split(',');
        names.map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
    }

    fn with(mut self, over: Self) -> Self {
        self.tags.extend(over.tags);
        self.properties.extend(over.properties);
        self.sensitive.extend(over.sensitive);
        self
    }

    /// Both, the second one where they differ.
    pub(crate) fn merged(under: Option<Self>, over: Option<Self>) -> Option<Self> {
        match (under, over) {
            (Some(under), Some(over)) => Some(under.with(over)),
            (under, over) => over.or(under),
        }
    }
}

/// A rule of a data contract. The registry keeps it; clients apply it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Rule {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    doc: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<RuleKind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<RuleMode>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    rule_type: Option<String>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "BTreeSet::is_empty")]
    tags: BTreeSet<String>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    params: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expr: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_success: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_failure: Option<String>,
    disabled: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum RuleKind {
    Transform,
    Condition,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum RuleMode {
    Upgrade,
    Downgrade,
    UpDown,
    Write,
    Read,
    WriteRead,
}

impl RuleMode {
    fn migrates(self) -> bool {
        matches!(self, Self::Upgrade | Self::Downgrade | Self::UpDown)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Upgrade => "UPGRADE",
            Self::Downgrade => "DOWNGRADE",
            Self::UpDown => "UPDOWN",
            Self::Write => "WRITE",
            Self::Read => "READ",
            Self::WriteRead => "WRITEREAD",
        }
    }
}

/// The longest name of a rule.
const RULE_NAME: usize = 64;

impl Rule {
    fn digest(&self, md5: &mut Md5) {
        let kind = self.kind.map(|kind| match kind {
            RuleKind::Transform => "TRANSFORM",
            RuleKind::Condition => "CONDITION",
        });
        let start = [self.name.as_deref(), self.doc.as_deref(), kind, self.mode.map(RuleMode::name)];
        start.into_iter().chain([self.rule_type.as_deref()]).flatten().for_each(|s| md5.update(s.as_bytes()));
        self.tags.iter().for_each(|tag| md5.update(tag.as_bytes()));
        for (name, value) in &self.params {
            md5.update(name.as_bytes());
            md5.update(value.as_bytes());
        }
        let end = [&self.expr, &self.on_success, &self.on_failure];
        end.into_iter().flatten().for_each(|s| md5.update(s.as_bytes()));
        if self.disabled {
            md5.update(&[1]);
        }
    }

    fn validate(&self) -> Result<(), String> {
        let name = self.name.as_deref().ok_or("Missing rule name")?;
        let mut letters = name.chars();
        match letters.next() {
            None => return Err("Empty rule name".into()),
            Some(_) if name.len() > RULE_NAME => return Err("Rule name too long".into()),
            Some(first) if !(first.is_alphabetic() || first == '_') => {
                return Err(format!("Illegal initial character in rule name: {name}"));
            }
            Some(_) => {}
        }
        if letters.any(|c| !(c.is_alphanumeric() || c == '_' || c == '-')) {
            return Err(format!("Illegal character in rule name: {name}"));
        }
        if self.rule_type.is_none() {
            return Err("Missing rule type".into());
        }
        let single = self.mode.is_some_and(|m| !matches!(m, RuleMode::WriteRead | RuleMode::UpDown));
        let several = [&self.on_success, &self.on_failure].into_iter().flatten().any(|a| a.contains(','));
        if single && several {
            return Err("Multiple actions only valid with WRITEREAD and UPDOWN".into());
        }
        Ok(())
    }
}

/// The rules of a data contract.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RuleSet {
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub(crate) migration_rules: Vec<Rule>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub(crate) domain_rules: Vec<Rule>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub(crate) encoding_rules: Vec<Rule>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enable_at: Option<String>,
}

impl RuleSet {
    fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.migration_rules.iter().chain(&self.domain_rules).chain(&self.encoding_rules)
    }

    fn digest(&self, md5: &mut Md5) {
        self.rules().for_each(|rule| rule.digest(md5));
        self.enable_at.iter().for_each(|at| md5.update(at.as_bytes()));
    }

    pub(crate) fn has_type(&self, rule_type: &str) -> bool {
        self.rules().any(|rule| rule.rule_type.as_deref() == Some(rule_type))
    }

    /// # Errors
    /// What is wrong with a rule.
    pub(crate) fn validate(&self) -> Result<(), String> {
        let mut names = BTreeSet::new();
        let kinds = [
            (&self.migration_rules, true, "Migration rules can only be UPGRADE, DOWNGRADE, UPDOWN"),
            (&self.domain_rules, false, "Domain rules can only be WRITE, READ, WRITEREAD"),
            (&self.encoding_rules, false, "Encoding rules can only be WRITE, READ, WRITEREAD"),
        ];
        for (rules, migrates, other) in kinds {
            for rule in rules {
                if rule.name.is_some() && !names.insert(rule.name.as_deref()) {
                    let name = rule.name.as_deref().unwrap_or_default();
                    return Err(format!("Found rule with duplicate name '{name}'"));
                }
                rule.validate()?;
                if rule.mode.is_none_or(|mode| mode.migrates() != migrates) {
                    return Err(other.into());
                }
            }
        }
        Ok(())
    }

    /// Both; a rule of the second one replaces those of its name.
    pub(crate) fn merged(under: Option<Self>, over: Option<Self>) -> Option<Self> {
        let (under, over) = match (under, over) {
            (Some(under), Some(over)) => (under, over),
            (under, over) => return over.or(under),
        };
        let merge = |mut under: Vec<Rule>, over: Vec<Rule>| {
            under.retain(|rule| over.iter().all(|o| o.name != rule.name));
            under.extend(over);
            under
        };
        Some(Self {
            migration_rules: merge(under.migration_rules, over.migration_rules),
            domain_rules: merge(under.domain_rules, over.domain_rules),
            encoding_rules: merge(under.encoding_rules, over.encoding_rules),
            enable_at: over.enable_at.or(under.enable_at),
        })
    }
}

/// What tells a schema from others: Confluent's hash of its text and all that belongs to it.
pub(crate) fn digest(
    text: &str,
    references: &[Reference],
    metadata: Option<&Metadata>,
    rule_set: Option<&RuleSet>,
) -> crate::md5::Digest {
    let mut md5 = Md5::new();
    md5.update(text.as_bytes());
    references.iter().for_each(|reference| reference.digest(&mut md5));
    if let Some(metadata) = metadata {
        md5.update(&[1]);
        metadata.digest(&mut md5);
    }
    if let Some(rule_set) = rule_set {
        md5.update(&[1]);
        rule_set.digest(&mut md5);
    }
    md5.finish()
}
