//! `/subjects` and `/compatibility`.

use super::answer::{Answer, Failed, SchemaAnswer, raw};
use super::params::{Body, MAX_SCHEMAS, Params, paged, parsed};
use super::{Shared, call};
use crate::draft::Draft;
use crate::error::Error;
use crate::registry::{Found, Registry, Which};
use crate::state::Filter;
use crate::subject::{Qualified, WILDCARD, within};
use crate::tags::{self, Tagged};
use axum::extract::{Path, Query, State};
use axum::response::Response;
use bd_schema::{Definition, SchemaType};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

type Asked = Query<Vec<(String, String)>>;
type Reply<T> = Result<Answer<T>, Failed>;

fn filter(params: &Params) -> Filter {
    match params.flag("deletedOnly") {
        true => Filter::Deleted,
        false => Filter::with_deleted(params.flag("deleted")),
    }
}

pub(super) async fn list(State(registry): Shared, Query(params): Asked) -> Reply<Vec<String>> {
    let params = Params(params);
    let page = params.page(None)?;
    let prefix = params.text("subjectPrefix").unwrap_or(WILDCARD).to_owned();
    let filter = filter(&params);
    Ok(Answer(paged(call(registry, move |r| r.subjects(&prefix, filter)).await?, page)))
}

pub(super) async fn versions(
    State(registry): Shared,
    Path(subject): Path<String>,
    Query(params): Asked,
) -> Reply<Vec<i64>> {
    let params = Params(params);
    let page = params.page(None)?;
    // Those that are deleted as negative numbers, also where they are not asked for otherwise.
    let negative = params.flag("deletedAsNegative");
    let filter = filter(&params);
    let versions = call(registry, move |r| {
        let listed = r.versions(&subject, filter)?;
        if negative { r.versions(&subject, Filter::All) } else { Ok(listed) }
    });
    let shown = |v: crate::state::Version| {
        let number = i64::from(v.version);
        if negative && v.deleted { -number } else { number }
    };
    Ok(Answer(paged(versions.await?.into_iter().map(shown).collect(), page)))
}

/// The schema in the format that is asked for: `resolved` (Avro, in one text), `serialized` (Protobuf, as a descriptor); in any
/// other as it is.
pub(super) fn formatted(registry: &Registry, found: &Found, format: &str) -> Result<Option<String>, Error> {
    if format.trim().is_empty() {
        return Ok(None);
    }
    let text = registry.text(found)?;
    match (text.schema_type, format) {
        (SchemaType::Avro, "resolved") => Ok(Some(text.whole().to_string())),
        (SchemaType::Protobuf, _) => {
            let definition = Definition::parse(&text).map_err(|e| Error::InvalidSchema(e.to_string()))?;
            Ok(definition.formatted(format))
        }
        _ => Ok(None),
    }
}

pub(super) async fn register(
    State(registry): Shared,
    Path(subject): Path<String>,
    Query(params): Asked,
    body: Body,
) -> Reply<SchemaAnswer> {
    let params = Params(params);
    let draft: Draft = parsed(body)?;
    let (normalize, force) = (params.flag("normalize"), params.flag("force"));
    let format = params.text("format").unwrap_or_default().to_owned();
    call(registry, move |r| {
        let found = r.register_draft(&subject, &draft, normalize, force)?;
        let mut answer = SchemaAnswer { subject: None, ..SchemaAnswer::of(&found) };
        answer.schema = formatted(r, &found, &format)?.unwrap_or(answer.schema);
        Ok(Answer(answer))
    })
    .await
}

pub(super) async fn lookup(
    State(registry): Shared,
    Path(subject): Path<String>,
    Query(params): Asked,
    body: Body,
) -> Reply<SchemaAnswer> {
    let params = Params(params);
    let draft: Draft = parsed(body)?;
    let (normalize, deleted) = (params.flag("normalize"), params.flag("deleted"));
    let format = params.text("format").unwrap_or_default().to_owned();
    call(registry, move |r| {
        let found = r.lookup(&subject, &draft, normalize, deleted)?;
        shown(r, &found, &format)
    })
    .await
}

fn shown(registry: &Registry, found: &Found, format: &str) -> Result<Answer<SchemaAnswer>, Error> {
    let mut answer = SchemaAnswer::of(found);
    answer.schema = formatted(registry, found, format)?.unwrap_or(answer.schema);
    Ok(Answer(answer))
}

pub(super) async fn with_metadata(
    State(registry): Shared,
    Path(subject): Path<String>,
    Query(params): Asked,
) -> Reply<SchemaAnswer> {
    let params = Params(params);
    let names = params.all("key").into_iter().zip(params.all("value"));
    let properties: BTreeMap<String, String> =
        names.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let deleted = params.flag("deleted");
    let format = params.text("format").unwrap_or_default().to_owned();
    call(registry, move |r| {
        let found = r.with_properties(&subject, &properties, deleted)?;
        shown(r, &found, &format)
    })
    .await
}

async fn find(
    registry: Arc<Registry>,
    subject: String,
    version: String,
    params: Params,
) -> Result<SchemaAnswer, Failed> {
    let which = Which::parse(&version)?;
    call(registry, move |r| {
        let found = r.version(&subject, which, params.flag("deleted"))?;
        let Answer(mut answer) = shown(r, &found, params.text("format").unwrap_or_default())?;
        answer.schema_tags = tagged(r, &found, &params)?;
        if params.text("referenceFormat") == Some("qualified") {
            qualify(&mut answer, &found.subject);
        }
        Ok(answer)
    })
    .await
}

/// What in the schema has the tags that `findTags` names.
pub(super) fn tagged(registry: &Registry, found: &Found, params: &Params) -> Result<Vec<Tagged>, Error> {
    let wanted = params.all("findTags");
    if wanted.is_empty() { Ok(Vec::new()) } else { Ok(tags::find(&registry.text(found)?, &wanted)) }
}

/// References with their contexts.
pub(super) fn qualify(answer: &mut SchemaAnswer, subject: &str) {
    if !Qualified::parse(subject).is_default() {
        for reference in &mut answer.references {
            reference.subject = Some(within(subject, reference.subject()));
        }
    }
}

pub(super) async fn version(
    State(registry): Shared,
    Path((subject, version)): Path<(String, String)>,
    Query(params): Asked,
) -> Reply<SchemaAnswer> {
    Ok(Answer(find(registry, subject, version, Params(params)).await?))
}

pub(super) async fn version_schema(
    State(registry): Shared,
    Path((subject, version)): Path<(String, String)>,
    Query(params): Asked,
) -> Result<Response, Failed> {
    Ok(raw(&find(registry, subject, version, Params(params)).await?.schema))
}

pub(super) async fn referenced_by(
    State(registry): Shared,
    Path((subject, version)): Path<(String, String)>,
    Query(params): Asked,
) -> Reply<Vec<u32>> {
    let params = Params(params);
    let page = params.page(Some(MAX_SCHEMAS))?;
    let which = Which::parse(&version)?;
    let deleted = params.flag("deleted");
    Ok(Answer(paged(call(registry, move |r| r.referenced_by(&subject, which, deleted)).await?, page)))
}

pub(super) async fn delete(
    State(registry): Shared,
    Path(subject): Path<String>,
    Query(params): Asked,
) -> Reply<Vec<u32>> {
    let permanent = Params(params).flag("permanent");
    Ok(Answer(call(registry, move |r| r.delete_subject(&subject, permanent)).await?))
}

pub(super) async fn delete_version(
    State(registry): Shared,
    Path((subject, version)): Path<(String, String)>,
    Query(params): Asked,
) -> Reply<u32> {
    let which = Which::parse(&version)?;
    let permanent = Params(params).flag("permanent");
    Ok(Answer(call(registry, move |r| r.delete_version(&subject, which, permanent)).await?))
}

async fn check(
    registry: Arc<Registry>,
    subject: String,
    which: Option<Which>,
    params: Params,
    body: Body,
) -> Reply<Value> {
    let draft: Draft = parsed(body)?;
    let (verbose, normalize) = (params.flag("verbose"), params.flag("normalize"));
    let checked = call(registry, move |r| match r.check(&subject, which, &draft, normalize) {
        // Who asks for reasons gets this one too.
        Err(Error::InvalidSchema(reason)) if verbose => Ok(vec![reason]),
        checked => checked,
    });
    let messages = checked.await?;
    let mut answer = json!({"is_compatible": messages.is_empty()});
    if verbose {
        answer["messages"] = json!(messages);
    }
    Ok(Answer(answer))
}

pub(super) async fn compatible(
    State(registry): Shared,
    Path((subject, version)): Path<(String, String)>,
    Query(params): Asked,
    body: Body,
) -> Reply<Value> {
    let which = Which::parse(&version)?;
    check(registry, subject, Some(which), Params(params), body).await
}

pub(super) async fn compatible_with_all(
    State(registry): Shared,
    Path(subject): Path<String>,
    Query(params): Asked,
    body: Body,
) -> Reply<Value> {
    check(registry, subject, None, Params(params), body).await
}
