//! A schema as a client sends it, and what it comes to when it is parsed.

use crate::entity::{self, Metadata, Reference, RuleSet};
use crate::error::Error;
use crate::md5::{self, Digest};
use crate::state::{State, Stored};
use crate::subject;
use bd_schema::{Definition, NewSchema, Referenced, SchemaText, SchemaType};
use serde::Deserialize;
use std::cell::OnceCell;
use std::collections::HashSet;

/// A schema that refers to more others is refused.
const MAX_REFERENCES: usize = 500;

/// The body of a request with a schema.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default, expecting = "a JSON object")]
pub(crate) struct Draft {
    pub(crate) version: Option<i32>,
    pub(crate) id: Option<i32>,
    /// Absent: Avro.
    pub(crate) schema_type: Option<String>,
    pub(crate) references: Option<Vec<Reference>>,
    pub(crate) metadata: Option<Metadata>,
    pub(crate) rule_set: Option<RuleSet>,
    pub(crate) schema: Option<String>,
}

/// A draft that is a schema.
pub(crate) struct Candidate {
    pub(crate) definition: Definition,
    pub(crate) stored: Stored,
    hash: OnceCell<Digest>,
}

impl Candidate {
    /// Of its text alone.
    pub(crate) fn canonical_hash(&self) -> Digest {
        *self.hash.get_or_init(|| md5::of(self.stored.text.as_bytes()))
    }
}

impl From<&NewSchema> for Draft {
    fn from(schema: &NewSchema) -> Self {
        let references = schema.references.iter().map(Reference::from).collect();
        Self {
            schema_type: Some(schema.schema_type.name().into()),
            schema: Some(schema.text.to_string()),
            references: Some(references),
            ..Self::default()
        }
    }
}

impl Draft {
    pub(crate) fn is_empty(&self) -> bool {
        self.schema.as_deref().is_none_or(|text| text.trim().is_empty())
    }

    /// The id it is to have, where it says so.
    pub(crate) fn given_id(&self) -> Option<u32> {
        self.id.and_then(|id| u32::try_from(id).ok())
    }

    fn references(&self) -> &[Reference] {
        self.references.as_deref().unwrap_or_default()
    }

    /// Its hash as it is, which is that of a schema registered from the same text.
    pub(crate) fn digest(&self) -> crate::md5::Digest {
        let text = self.schema.as_deref().unwrap_or_default();
        entity::digest(text, self.references(), self.metadata.as_ref(), self.rule_set.as_ref())
    }

    /// The schema; `None` where there is no text. `strict`: as strictly as one that is to be registered.
    pub(crate) fn parse(
        &self,
        state: &State,
        subject: &str,
        normalize: bool,
        strict: bool,
    ) -> Result<Option<Candidate>, Error> {
        let Some(text) = self.schema.as_deref().filter(|_| !self.is_empty()) else { return Ok(None) };
        let name = self.schema_type.as_deref().unwrap_or("AVRO");
        let schema_type = SchemaType::parse(name)
            .ok_or_else(|| Error::InvalidSchema(format!("Invalid schema type {name}")))?;
        let mut references = self.references().to_vec();
        let parsed = resolve(state, subject, &mut references).and_then(|referenced| {
            let whole = SchemaText { schema_type, text: text.into(), referenced };
            let parsed = if strict { Definition::parse_new(&whole) } else { Definition::parse(&whole) };
            parsed.map_err(|e| e.to_string())
        });
        let definition = parsed.map_err(|why| Error::InvalidSchema(self.refusal(subject, name, &why)))?;
        if normalize {
            references
                .sort_by(|a, b| (&a.subject, a.version, &a.name).cmp(&(&b.subject, b.version, &b.name)));
            references.dedup();
        }
        let text = if normalize { definition.normalized() } else { definition.canonical() };
        let stored = Stored::new(schema_type, text, references, self.metadata.clone(), self.rule_set.clone());
        Ok(Some(Candidate { definition, stored, hash: OnceCell::new() }))
    }

    /// Confluent's words for a text that is no schema.
    fn refusal(&self, subject: &str, schema_type: &str, why: &str) -> String {
        let references: Vec<String> = self.references().iter().map(Reference::shown).collect();
        let references = references.join(", ");
        let guid = self.digest().guid();
        let metadata = self.metadata.as_ref().map_or("null".to_owned(), |m| format!("{m:?}"));
        let rule_set = self.rule_set.as_ref().map_or("null".to_owned(), |r| format!("{r:?}"));
        let text = self.schema.as_deref().unwrap_or("null");
        format!(
            "Invalid schema of type {schema_type}, details: Invalid schema {{subject={subject},version=null,id=null,guid={guid},\
             schemaType={schema_type},references=[{references}],metadata={metadata},ruleSet={rule_set},schema={text},\
             schemaTags=null,ts=null,deleted=null}} with refs [{references}] of type {schema_type}, details: {why}"
        )
    }
}

/// All that these references lead to, each after what it refers to itself; -1 becomes the latest version.
///
/// # Errors
/// Which one leads nowhere.
pub(crate) fn resolve(
    state: &State,
    subject: &str,
    references: &mut [Reference],
) -> Result<Vec<Referenced>, String> {
    let mut found = Vec::new();
    follow(state, subject, references, &mut HashSet::new(), &mut found)?;
    Ok(found)
}

fn follow(
    state: &State,
    subject: &str,
    references: &mut [Reference],
    seen: &mut HashSet<String>,
    found: &mut Vec<Referenced>,
) -> Result<(), String> {
    for reference in references {
        let (Some(name), Some(to), Some(version)) = (&reference.name, &reference.subject, reference.version)
        else {
            return Err(format!("Invalid reference: {}", reference.shown()));
        };
        let to = subject::within(subject, to);
        let there = match u32::try_from(version) {
            Ok(version) => state.version(&to, version),
            Err(_) if version == -1 => state.latest(&to),
            Err(_) => None,
        };
        let there = there
            .ok_or_else(|| format!("No schema reference found for subject \"{to}\" and version {version}"))?;
        reference.version = i32::try_from(there.version).ok();
        if !seen.insert(name.clone()) {
            continue;
        }
        if seen.len() > MAX_REFERENCES {
            return Err(format!("the schema refers to more than {MAX_REFERENCES} others"));
        }
        follow(state, &to, &mut there.schema.references.to_vec(), seen, found)?;
        found.push(Referenced { name: name.clone(), text: there.schema.text.clone() });
    }
    Ok(())
}
