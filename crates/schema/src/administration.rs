//! What people and tools ask of a registry beyond what codecs do: lists, versions, levels, checks, deletions.

use crate::client::{Method, Refusal, body, number, references};
use crate::percent::percent_encoded;
use crate::{NewSchema, Referenced, RegistryClient, RegistryError, SchemaReference, SchemaText, SchemaType};
use serde_json::{Value as Json, json};
use std::collections::HashSet;
use std::sync::Arc;

/// A call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryCallError {
    /// The registry answers with an error.
    #[error("the schema registry says: {message} (error code {code})")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Confluent's error code.
        code: u32,
        /// The registry's words.
        message: String,
    },
    /// The registry cannot be asked, or does not answer as one.
    #[error(transparent)]
    Unavailable(#[from] RegistryError),
}

impl RegistryCallError {
    /// Confluent's error code, where the registry gave one.
    pub fn code(&self) -> Option<u32> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            Self::Unavailable(_) => None,
        }
    }

    /// Whether the subject, version or schema is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { code: 40401..=40403, .. })
    }
}

impl From<Refusal> for RegistryCallError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused { status: refusal.status, code: refusal.code, message: refusal.message }
    }
}

/// A schema as the registry tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct SchemaVersion {
    /// Its subject; empty where it was asked for by its id.
    pub subject: String,
    /// Its version there; 0 where it was asked for by its id.
    pub version: u32,
    /// Its id; `None`: the answer did not say.
    pub id: Option<u32>,
    /// Its language.
    pub schema_type: SchemaType,
    /// Its text.
    pub text: Arc<str>,
    /// What it refers to directly.
    pub references: Vec<SchemaReference>,
    /// Whether it was deleted, but not permanently.
    pub deleted: bool,
    /// The whole answer.
    pub json: Json,
}

/// What a check against a subject's versions came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Whether the subject's level allows the schema.
    pub compatible: bool,
    /// Why not, in the registry's words.
    pub messages: Vec<String>,
}

/// As a part of a path.
fn escaped(text: &str) -> String {
    percent_encoded(text, "")
}

type Called<T> = Result<T, RegistryCallError>;

/// Answers with this code are `None`.
fn unless<T>(code: u32, answer: Called<T>) -> Called<Option<T>> {
    match answer {
        Err(error) if error.code() == Some(code) => Ok(None),
        other => other.map(Some),
    }
}

impl RegistryClient {
    fn call(&self, path: &str, method: Method<'_>) -> Called<Json> {
        Ok(self.ask(path, method)??)
    }

    fn get(&self, path: &str) -> Called<Json> {
        self.call(path, Method::Get)
    }

    fn version_of(&self, answer: Json) -> Called<SchemaVersion> {
        let text = |key: &str| answer.get(key).and_then(Json::as_str);
        let schema = text("schema").ok_or_else(|| self.unavailable("its answer holds no schema"))?;
        let schema_type = match text("schemaType") {
            None => SchemaType::Avro,
            Some(name) => SchemaType::parse(name)
                .ok_or_else(|| self.unavailable(format!("its answer holds a schema of type {name}")))?,
        };
        let of = |(name, subject, version): (String, String, u32)| SchemaReference {
            name,
            subject,
            version: i32::try_from(version).unwrap_or(i32::MAX),
        };
        Ok(SchemaVersion {
            subject: text("subject").unwrap_or_default().to_owned(),
            version: number(&answer, "version").unwrap_or_default(),
            id: number(&answer, "id"),
            schema_type,
            text: schema.into(),
            references: references(&answer).into_iter().map(of).collect(),
            deleted: answer.get("deleted").and_then(Json::as_bool).unwrap_or(false),
            json: answer,
        })
    }

    fn strings(answer: &Json) -> Vec<String> {
        let all = answer.as_array().map_or(&[][..], Vec::as_slice);
        all.iter().filter_map(Json::as_str).map(str::to_owned).collect()
    }

    /// The names of the contexts, of the default one `.`; `None`: the registry has none.
    ///
    /// # Errors
    /// The registry's.
    pub fn contexts(&self) -> Called<Option<Vec<String>>> {
        match self.get("/contexts") {
            Ok(answer) => Ok(Some(Self::strings(&answer))),
            Err(RegistryCallError::Refused { status: 404 | 405, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Versions of subjects that begin with `prefix` (`:*:` before it: in all contexts), in the order of subjects and versions: `limit`
    /// of them, the first `offset` passed over. `deleted`: also those that were deleted, but not permanently.
    ///
    /// # Errors
    /// The registry's.
    pub fn schemas(
        &self,
        prefix: &str,
        deleted: bool,
        offset: usize,
        limit: usize,
    ) -> Called<Vec<SchemaVersion>> {
        let prefix = escaped(prefix);
        let path = format!("/schemas?subjectPrefix={prefix}&deleted={deleted}&offset={offset}&limit={limit}");
        match self.get(&path)? {
            Json::Array(all) => all.into_iter().map(|answer| self.version_of(answer)).collect(),
            _ => Err(self.unavailable("its answer is no list").into()),
        }
    }

    /// A version of a subject: a number, or `latest`. `None`: there is no such subject or version.
    ///
    /// # Errors
    /// The registry's.
    pub fn version(&self, subject: &str, version: &str, deleted: bool) -> Called<Option<SchemaVersion>> {
        let path = format!("/subjects/{}/versions/{}?deleted={deleted}", escaped(subject), escaped(version));
        match self.get(&path) {
            Ok(answer) => self.version_of(answer).map(Some),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The numbers of a subject's versions; empty: there is no such subject.
    ///
    /// # Errors
    /// The registry's.
    pub fn versions(&self, subject: &str, deleted: bool) -> Called<Vec<u32>> {
        match self.get(&format!("/subjects/{}/versions?deleted={deleted}", escaped(subject))) {
            Ok(answer) => {
                let all = answer.as_array().map_or(&[][..], Vec::as_slice);
                Ok(all.iter().filter_map(|v| v.as_u64().and_then(|v| u32::try_from(v).ok())).collect())
            }
            Err(error) if error.is_not_found() => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// The schema of an id. `None`: there is none.
    ///
    /// # Errors
    /// The registry's.
    pub fn by_id(&self, id: u32) -> Called<Option<SchemaVersion>> {
        let answer = match unless(40403, self.get(&format!("/schemas/ids/{id}")))? {
            Some(answer) => answer,
            None => return Ok(None),
        };
        self.version_of(answer).map(|found| Some(SchemaVersion { id: Some(id), ..found }))
    }

    /// The subjects and versions that have the schema of an id.
    ///
    /// # Errors
    /// The registry's.
    pub fn places(&self, id: u32) -> Called<Vec<(String, u32)>> {
        let answer = self.get(&format!("/schemas/ids/{id}/versions"))?;
        let all = answer.as_array().map_or(&[][..], Vec::as_slice);
        let place = |json: &Json| {
            Some((json.get("subject").and_then(Json::as_str)?.to_owned(), number(json, "version")?))
        };
        Ok(all.iter().filter_map(place).collect())
    }

    /// The ids of the schemas that refer to a version.
    ///
    /// # Errors
    /// The registry's.
    pub fn referenced_by(&self, subject: &str, version: u32) -> Called<Vec<u64>> {
        let answer = self.get(&format!("/subjects/{}/versions/{version}/referencedby", escaped(subject)))?;
        let all = answer.as_array().map_or(&[][..], Vec::as_slice);
        Ok(all.iter().filter_map(Json::as_u64).collect())
    }

    /// The compatibility level that is set for a subject, a context (`:.name:`) or, without one, for all. `None`: nothing is set there.
    ///
    /// # Errors
    /// The registry's.
    pub fn level(&self, subject: Option<&str>) -> Called<Option<String>> {
        let path = subject.map_or("/config".to_owned(), |subject| format!("/config/{}", escaped(subject)));
        match self.get(&path) {
            Ok(answer) => {
                let level = ["compatibilityLevel", "compatibility"].iter().find_map(|key| answer.get(*key));
                Ok(level.and_then(Json::as_str).map(str::to_owned))
            }
            Err(RegistryCallError::Refused { code: 404 | 40401 | 40408, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Where a schema stands under a subject already. `None`: it does not.
    ///
    /// # Errors
    /// The registry's; also that the text is no schema.
    pub fn lookup(
        &self,
        subject: &str,
        schema: &NewSchema,
        normalize: bool,
    ) -> Called<Option<SchemaVersion>> {
        let path = format!("/subjects/{}?normalize={normalize}", escaped(subject));
        match self.call(&path, Method::Post(&body(schema))) {
            Ok(answer) => self.version_of(with(answer, "schema", &schema.text)).map(Some),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Registers a schema; gives its id.
    ///
    /// # Errors
    /// The registry's: it is incompatible (409), no schema (42201), the mode does not allow it (42205), ...
    pub fn register_schema(&self, subject: &str, schema: &NewSchema, normalize: bool) -> Called<u32> {
        let path = format!("/subjects/{}/versions?normalize={normalize}", escaped(subject));
        let answer = self.call(&path, Method::Post(&body(schema)))?;
        Ok(number(&answer, "id").ok_or_else(|| self.unavailable("its answer holds no id"))?)
    }

    /// Whether a schema may follow the versions of a subject as its level says, or only this one of them. `None`: there is no such
    /// subject or version.
    ///
    /// # Errors
    /// The registry's; also that the text is no schema.
    pub fn check(
        &self,
        subject: &str,
        version: Option<&str>,
        schema: &NewSchema,
        normalize: bool,
    ) -> Called<Option<Checked>> {
        let version = version.map(|v| format!("/{}", escaped(v))).unwrap_or_default();
        let subject = escaped(subject);
        let path =
            format!("/compatibility/subjects/{subject}/versions{version}?verbose=true&normalize={normalize}");
        match self.call(&path, Method::Post(&body(schema))) {
            Ok(answer) => {
                let compatible = answer.get("is_compatible").and_then(Json::as_bool);
                let compatible =
                    compatible.ok_or_else(|| self.unavailable("its answer says not what is_compatible"))?;
                let messages = answer.get("messages").map(Self::strings).unwrap_or_default();
                Ok(Some(Checked { compatible, messages }))
            }
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Deletes a subject, or a version of it; gives the versions that went. `permanent`: what was deleted before, for good.
    ///
    /// # Errors
    /// The registry's.
    pub fn delete(&self, subject: &str, version: Option<&str>, permanent: bool) -> Called<Vec<u64>> {
        let of = version.map(|v| format!("/versions/{}", escaped(v))).unwrap_or_default();
        let path = format!("/subjects/{}{of}?permanent={permanent}", escaped(subject));
        Ok(match self.call(&path, Method::Delete)? {
            Json::Array(all) => all.iter().filter_map(Json::as_u64).collect(),
            one => one.as_u64().into_iter().collect(),
        })
    }

    /// A schema with all that its references are to.
    ///
    /// # Errors
    /// The registry's; also that one of them is not there.
    pub fn with_referenced(
        &self,
        schema_type: SchemaType,
        text: Arc<str>,
        direct: &[SchemaReference],
    ) -> Called<SchemaText> {
        let references = direct
            .iter()
            .map(|r| json!({"name": r.name, "subject": r.subject, "version": r.version}))
            .collect::<Json>();
        let mut referenced: Vec<Referenced> = Vec::new();
        self.follow(&json!({ "references": references }), &mut HashSet::new(), &mut referenced)?;
        Ok(SchemaText { schema_type, text, referenced })
    }
}

fn with(mut answer: Json, key: &str, value: &str) -> Json {
    if let Some(object) = answer.as_object_mut() {
        object.entry(key).or_insert_with(|| value.into());
    }
    answer
}
