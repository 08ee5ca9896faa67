//! `/schemas`.

use super::answer::{Answer, Failed, SchemaAnswer, raw};
use super::params::{MAX_SCHEMAS, Params, paged};
use super::subjects::{formatted, qualify, tagged};
use super::{Shared, call};
use crate::error::Error;
use crate::registry::{Found, Listing, Registry};
use crate::state::Filter;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use bd_schema::SchemaType;
use serde_json::{Value, json};
use std::sync::Arc;

type Asked = Query<Vec<(String, String)>>;
type Reply<T> = Result<Answer<T>, Failed>;

pub(super) async fn list(State(registry): Shared, Query(params): Asked) -> Reply<Vec<SchemaAnswer>> {
    let params = Params(params);
    let (offset, limit) = params.page(Some(MAX_SCHEMAS))?;
    let asked = Listing {
        prefix: params.text("subjectPrefix").unwrap_or_default().to_owned(),
        filter: Filter::with_deleted(params.flag("deleted")),
        latest_only: params.flag("latestOnly"),
        aliases: params.flag("aliases"),
        rule_type: params.text("ruleType").filter(|t| !t.is_empty()).map(str::to_owned),
        offset,
        limit,
    };
    let found = call(registry, move |r| r.all(&asked)).await?;
    let shown = |(found, aliases): (Found, Vec<String>)| SchemaAnswer { aliases, ..SchemaAnswer::of(&found) };
    Ok(Answer(found.into_iter().map(shown).collect()))
}

pub(super) async fn types() -> Answer<Vec<&'static str>> {
    Answer(SchemaType::ALL.map(SchemaType::name).to_vec())
}

fn id_of(text: &str) -> Result<u32, Failed> {
    let id = text.parse::<i32>().map_err(|_| Failed(Error::NoSuchPath))?;
    u32::try_from(id).map_err(|_| Failed(Error::SchemaTextNotFound))
}

/// The schema of an id: at once where it is known and nothing has to be parsed, else on a thread that may wait.
async fn find<T: Send + 'static>(
    registry: Arc<Registry>,
    id: u32,
    params: Params,
    shown: impl FnOnce(&Registry, &Found, &Params) -> Result<T, Error> + Send + 'static,
) -> Result<T, Failed> {
    let name = params.text("subject").unwrap_or_default();
    let simple = ["format", "fetchMaxId", "findTags"].iter().all(|name| params.text(name).is_none());
    if simple && let Some(found) = registry.by_id_at_once(id, name) {
        return Ok(shown(&registry, &found, &params)?);
    }
    call(registry, move |r| {
        let found = r.by_id(id, params.text("subject").unwrap_or_default())?;
        shown(r, &found, &params)
    })
    .await
}

pub(super) async fn by_id(
    State(registry): Shared,
    Path(id): Path<String>,
    Query(params): Asked,
) -> Reply<SchemaAnswer> {
    let id = id_of(&id)?;
    find(registry, id, Params(params), |r, found, params| {
        let named = params.text("subject").is_some();
        let mut answer = SchemaAnswer::schema(found);
        if named {
            answer.subject = Some(found.subject.clone());
            answer.version = Some(found.version);
        }
        let format = params.text("format").unwrap_or_default();
        answer.schema = formatted(r, found, format)?.unwrap_or(answer.schema);
        answer.schema_tags = tagged(r, found, params)?;
        answer.max_id = params.flag("fetchMaxId").then(|| r.max_id(&found.subject));
        if params.text("referenceFormat") == Some("qualified") && named {
            qualify(&mut answer, &found.subject);
        }
        Ok(Answer(answer))
    })
    .await
}

pub(super) async fn by_id_schema(
    State(registry): Shared,
    Path(id): Path<String>,
    Query(params): Asked,
) -> Result<Response, Failed> {
    let id = id_of(&id)?;
    find(registry, id, Params(params), |r, found, params| {
        let text = formatted(r, found, params.text("format").unwrap_or_default())?;
        Ok(raw(text.as_deref().unwrap_or(&found.schema.text)))
    })
    .await
}

pub(super) async fn by_id_subjects(
    State(registry): Shared,
    Path(id): Path<String>,
    Query(params): Asked,
) -> Reply<Vec<String>> {
    let id = id_of(&id)?;
    let params = Params(params);
    let page = params.page(None)?;
    let (name, deleted) = (params.text("subject").unwrap_or_default().to_owned(), params.flag("deleted"));
    let places = call(registry, move |r| r.places(id, &name, deleted)).await?;
    Ok(Answer(paged(places.into_iter().map(|(subject, _)| subject).collect(), page)))
}

pub(super) async fn by_id_versions(
    State(registry): Shared,
    Path(id): Path<String>,
    Query(params): Asked,
) -> Reply<Vec<Value>> {
    let id = id_of(&id)?;
    let params = Params(params);
    let page = params.page(None)?;
    let (name, deleted) = (params.text("subject").unwrap_or_default().to_owned(), params.flag("deleted"));
    let places = call(registry, move |r| r.places(id, &name, deleted)).await?;
    let shown = |(subject, version): (String, u32)| json!({"subject": subject, "version": version});
    Ok(Answer(paged(places.into_iter().map(shown).collect(), page)))
}

pub(super) async fn by_guid(
    State(registry): Shared,
    Path(guid): Path<String>,
    Query(params): Asked,
) -> Reply<SchemaAnswer> {
    let params = Params(params);
    call(registry, move |r| {
        let found = r.by_guid(&guid)?;
        let mut answer = SchemaAnswer::schema(&found);
        let format = params.text("format").unwrap_or_default();
        answer.schema = formatted(r, &found, format)?.unwrap_or(answer.schema);
        Ok(Answer(answer))
    })
    .await
}

pub(super) async fn by_guid_ids(State(registry): Shared, Path(guid): Path<String>) -> Reply<Vec<Value>> {
    let ids = call(registry, move |r| r.ids_of_guid(&guid)).await?;
    let shown = |(context, id): (String, u32)| json!({"context": context, "id": id});
    Ok(Answer(ids.into_iter().map(shown).collect()))
}
