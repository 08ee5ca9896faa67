//! From the text to the [`Model`], by the draft that `$schema` names.

use super::documents::{Documents, Place, escaped};
use super::keywords::{Consumed, Keywords};
use super::model::{Criterion, Kind, Model, Node, NodeId};
use crate::definition::InvalidSchema;
use serde_json::{Map, Value as Json};
use std::collections::{HashMap, VecDeque};

/// A draft of JSON Schema, as far as drafts differ here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Draft {
    Four,
    Six,
    Seven,
    /// 2019-09 and 2020-12.
    Modern,
}

impl Draft {
    /// That of the text; where it says nothing, or nothing that is known, 7, as Confluent's.
    pub(super) fn of(json: &Json) -> Self {
        let url = json.get("$schema").and_then(Json::as_str).unwrap_or_default();
        let url = url.trim_end_matches('#');
        let path = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://")).unwrap_or(url);
        match path {
            "json-schema.org/draft-04/schema" => Self::Four,
            "json-schema.org/draft-06/schema" => Self::Six,
            "json-schema.org/draft/2019-09/schema" | "json-schema.org/draft/2020-12/schema" => Self::Modern,
            _ => Self::Seven,
        }
    }

    pub(super) fn id_keyword(self) -> &'static str {
        if self == Self::Four { "id" } else { "$id" }
    }
}

/// More schemas in one text are refused.
const MAX_NODES: usize = 100_000;

/// A text at work.
pub(super) struct Loader {
    documents: Documents,
    pub(super) draft: Draft,
    nodes: Vec<Node>,
    /// What references name, each once.
    known: HashMap<Place, NodeId>,
    waiting: VecDeque<(Place, NodeId)>,
}

/// Where a schema stands.
#[derive(Clone)]
pub(super) struct Here {
    pub(super) place: Place,
    base: String,
}

impl Here {
    /// The place below, by the segments of a pointer.
    pub(super) fn below(&self, segments: &[&str]) -> Self {
        let mut pointer = self.place.pointer.clone();
        for segment in segments {
            pointer.push('/');
            pointer.push_str(&escaped(segment));
        }
        Self { place: Place { document: self.place.document, pointer }, base: self.base.clone() }
    }

    /// An error here.
    pub(super) fn invalid(&self, what: impl std::fmt::Display) -> InvalidSchema {
        InvalidSchema(format!("#{}: {what}", self.place.pointer))
    }
}

/// Loads a schema and all that it refers to.
///
/// # Errors
/// It is none.
pub(super) fn load(documents: Documents, draft: Draft) -> Result<Model, InvalidSchema> {
    let mut loader =
        Loader { documents, draft, nodes: Vec::new(), known: HashMap::new(), waiting: VecDeque::new() };
    let root = loader.referred(Place { document: 0, pointer: String::new() })?;
    // References are followed one after the other, not one within the other: a chain of them is no deep recursion.
    while let Some((place, id)) = loader.waiting.pop_front() {
        let json = loader.documents.at(&place).cloned().unwrap_or(Json::Bool(true));
        let here = Here { base: loader.documents.base_at(&place), place };
        loader.nodes[id] = loader.node(&json, &here)?;
    }
    Ok(Model { nodes: loader.nodes, root })
}

impl Loader {
    fn add(&mut self, node: Node) -> Result<NodeId, InvalidSchema> {
        if self.nodes.len() >= MAX_NODES {
            return Err(InvalidSchema(format!("the schema has more than {MAX_NODES} parts")));
        }
        self.nodes.push(node);
        Ok(self.nodes.len() - 1)
    }

    fn referred(&mut self, place: Place) -> Result<NodeId, InvalidSchema> {
        if let Some(id) = self.known.get(&place) {
            return Ok(*id);
        }
        let id = self.add(Node::default())?;
        self.known.insert(place.clone(), id);
        self.waiting.push_back((place, id));
        Ok(id)
    }

    /// The schema of this JSON.
    pub(super) fn schema(&mut self, json: &Json, here: &Here) -> Result<NodeId, InvalidSchema> {
        let node = self.node(json, here)?;
        self.add(node)
    }

    fn node(&mut self, json: &Json, here: &Here) -> Result<Node, InvalidSchema> {
        let object = match json {
            Json::Bool(yes) => {
                let kind = if *yes { Kind::True } else { Kind::False };
                return Ok(Node { kind, source: json.clone(), ..Node::default() });
            }
            Json::Object(object) => object,
            other => return Err(here.invalid(format!("expected an object or boolean, found {other}"))),
        };
        let mut here = here.clone();
        let id_keyword = self.draft.id_keyword();
        if let Some(id) = object.get(id_keyword).and_then(Json::as_str).filter(|id| !id.starts_with('#')) {
            here.base = super::documents::resolve(&here.base, id);
        }
        let mut parts = self.parts(object, &here)?;
        let mut node = match parts.len() {
            0 => Node::default(),
            1 => parts.remove(0),
            _ => {
                let ids = parts.into_iter().map(|p| self.add(p)).collect::<Result<Vec<_>, _>>()?;
                Node { kind: self.combined(Criterion::All, ids), ..Node::default() }
            }
        };
        let text = |key: &str| match object.get(key) {
            None => Ok(None),
            Some(Json::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(here.invalid(format!("{key}: expected a string, found {other}"))),
        };
        // The library behind Confluent's registry drops it in drafts since 2019-09.
        node.id = text(id_keyword)?.filter(|_| self.draft != Draft::Modern);
        node.title = text("title")?;
        node.description = text("description")?;
        node.default = object.get("default").cloned();
        node.connect_type = object.get("connect.type").and_then(Json::as_str).map(str::to_owned);
        node.connect_index = object.get("connect.index").and_then(Json::as_i64);
        node.parameters = object.get("connect.parameters").cloned();
        node.source = json.clone();
        Ok(node)
    }

    /// One schema for each kind of keyword.
    fn parts(&mut self, object: &Map<String, Json>, here: &Here) -> Result<Vec<Node>, InvalidSchema> {
        let mut parts = Vec::new();
        for keyword in ["$ref", "$dynamicRef", "$recursiveRef"] {
            let Some(reference) = object.get(keyword) else { continue };
            let Json::String(reference) = reference else {
                return Err(here.invalid(format!("{keyword}: expected a string, found {reference}")));
            };
            if keyword != "$ref" && self.draft != Draft::Modern {
                continue;
            }
            let place = self.documents.find(reference, &here.base, here.place.document);
            let kind = match place.map_err(|e| here.invalid(e.0))? {
                Some(place) => Kind::Reference(self.referred(place)?),
                None => Kind::True,
            };
            let source = serde_json::json!({ keyword: reference });
            parts.push(Node { kind, source, ..Node::default() });
            // What stands beside a reference counts since 2019-09 only.
            if self.draft != Draft::Modern {
                return Ok(parts);
            }
        }
        let mut consumed = Consumed::default();
        let mut keywords = Keywords { loader: self, object, here };
        parts.extend(keywords.values()?);
        parts.extend(keywords.combined()?);
        parts.extend(keywords.typed(&mut consumed)?);
        parts.extend(keywords.untyped(&consumed)?);
        Ok(parts)
    }

    /// Combined schemas stand first among the parts, as in the library behind Confluent's registry.
    pub(super) fn combined(&self, criterion: Criterion, mut parts: Vec<NodeId>) -> Kind {
        parts.sort_by_key(|id| !matches!(self.nodes.get(*id).map(|n| &n.kind), Some(Kind::Combined(..))));
        Kind::Combined(criterion, parts)
    }

    /// The kind of a schema that was added.
    pub(super) fn kind(&self, id: NodeId) -> &Kind {
        &self.nodes[id].kind
    }

    pub(super) fn part(&mut self, kind: Kind, source: Json) -> Result<NodeId, InvalidSchema> {
        self.add(Node { kind, source, ..Node::default() })
    }
}
