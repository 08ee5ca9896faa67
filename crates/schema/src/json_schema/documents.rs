//! The texts that one schema spans, and where in them a `$ref` points.

use crate::Referenced;
use crate::definition::InvalidSchema;
use crate::percent::percent_decoded;
use serde_json::Value as Json;
use std::collections::HashMap;

/// A place in a text: which one, and the JSON pointer within.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) document: usize,
    pub(super) pointer: String,
}

/// All texts, the schema's own first.
pub(super) struct Documents {
    texts: Vec<Json>,
    /// By URL without a fragment.
    by_url: HashMap<String, Place>,
    /// By URL with the fragment that names an anchor.
    anchors: HashMap<String, Place>,
    /// Draft 4 calls it `id`.
    id_keyword: &'static str,
}

/// Keywords whose values are data, not schemas.
const DATA: [&str; 4] = ["enum", "const", "default", "examples"];

impl Documents {
    pub(super) fn new(
        root: Json,
        referenced: &[Referenced],
        id_keyword: &'static str,
    ) -> Result<Self, InvalidSchema> {
        let base = root.get(id_keyword).and_then(Json::as_str).unwrap_or_default().to_owned();
        let mut documents = Self {
            texts: vec![root],
            by_url: HashMap::from([(String::new(), Place { document: 0, pointer: String::new() })]),
            anchors: HashMap::new(),
            id_keyword,
        };
        documents.index(0, "")?;
        for other in referenced {
            let text = serde_json::from_str(&other.text)
                .map_err(|e| InvalidSchema(format!("the schema referred to as '{}': {e}", other.name)))?;
            let document = documents.texts.len();
            documents.texts.push(text);
            documents.index(document, &other.name)?;
            let place = Place { document, pointer: String::new() };
            for url in [other.name.clone(), resolve(&base, &other.name)] {
                documents.by_url.insert(without_fragment(&url).to_owned(), place.clone());
            }
        }
        Ok(documents)
    }

    /// Remembers every `$id` and `$anchor` of a text.
    fn index(&mut self, document: usize, base: &str) -> Result<(), InvalidSchema> {
        let mut found = Vec::new();
        collect(&self.texts[document], base, String::new(), self.id_keyword, &mut found);
        for (url, pointer) in found {
            let place = Place { document, pointer };
            match url.split_once('#') {
                Some((_, fragment)) if !fragment.is_empty() => drop(self.anchors.insert(url, place)),
                Some((url, _)) => drop(self.by_url.insert(url.to_owned(), place)),
                None => drop(self.by_url.insert(url, place)),
            }
        }
        Ok(())
    }

    pub(super) fn at(&self, place: &Place) -> Option<&Json> {
        self.texts.get(place.document)?.pointer(&place.pointer)
    }

    /// Where a `$ref` points that stands where `base` holds; `None`: to a draft's own schema, which is taken as `true`.
    ///
    /// # Errors
    /// Nowhere.
    pub(super) fn find(
        &self,
        reference: &str,
        base: &str,
        within: usize,
    ) -> Result<Option<Place>, InvalidSchema> {
        let (url, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let full = if url.is_empty() { without_fragment(base).to_owned() } else { resolve(base, url) };
        let known = || {
            [full.as_str(), url].into_iter().find_map(|u| {
                let place = self.by_url.get(u).or_else(|| self.by_url.get(u.strip_prefix("./")?));
                place.filter(|_| !u.is_empty()).cloned()
            })
        };
        // Within one text nothing has to be known of its URL.
        let own = || Place { document: within, pointer: String::new() };
        let known = if url.is_empty() { known().or_else(|| Some(own())) } else { known() };
        let Some(root) = known else {
            if is_metaschema(&full) {
                return Ok(None);
            }
            let lower = full.to_ascii_lowercase();
            return Err(InvalidSchema(if lower.starts_with("http://") || lower.starts_with("https://") {
                format!("Remote schema reference fetching over HTTP(S) is disabled: {full}")
            } else {
                format!("unresolved $ref '{reference}': no reference of that name is given")
            }));
        };
        let unresolved = || InvalidSchema(format!("unresolved $ref '{reference}'"));
        let fragment = percent_decoded(fragment);
        if fragment.is_empty() {
            return Ok(Some(root));
        }
        if !fragment.starts_with('/') {
            let anchor = self.anchors.get(&format!("{full}#{fragment}"));
            return anchor.cloned().map(Some).ok_or_else(unresolved);
        }
        let place = Place { document: root.document, pointer: format!("{}{fragment}", root.pointer) };
        if self.at(&place).is_some() {
            return Ok(Some(place));
        }
        // As Confluent's: what is looked for in `$defs` may stand in `definitions`.
        let bridged = fragment.strip_prefix("/$defs/").map(|rest| format!("/definitions/{rest}"));
        let bridged = bridged.map(|pointer| Place { document: root.document, pointer });
        bridged.filter(|p| self.at(p).is_some()).map(Some).ok_or_else(unresolved)
    }

    /// The base URL at a place, as the `$id`s on the way to it say.
    pub(super) fn base_at(&self, place: &Place) -> String {
        let name = self
            .by_url
            .iter()
            .find(|(url, p)| !url.is_empty() && p.document == place.document && p.pointer.is_empty());
        let mut base = name.map(|(url, _)| url.clone()).unwrap_or_default();
        let Some(mut json) = self.texts.get(place.document) else { return base };
        for segment in place.pointer.split('/').skip(1) {
            let key = segment.replace("~1", "/").replace("~0", "~");
            let next = match json {
                Json::Object(object) => object.get(&key),
                Json::Array(items) => key.parse::<usize>().ok().and_then(|i| items.get(i)),
                _ => None,
            };
            let Some(next) = next else { break };
            json = next;
            if let Some(id) = json.get(self.id_keyword).and_then(Json::as_str) {
                base = resolve(&base, id);
            }
        }
        base
    }
}

fn collect(json: &Json, base: &str, pointer: String, id_keyword: &str, found: &mut Vec<(String, String)>) {
    match json {
        Json::Object(object) => {
            let mut within = base.to_owned();
            if let Some(id) = object.get(id_keyword).and_then(Json::as_str) {
                let url = resolve(base, id);
                if !id.starts_with('#') {
                    within = without_fragment(&url).to_owned();
                }
                found.push((url, pointer.clone()));
            }
            for keyword in ["$anchor", "$dynamicAnchor"] {
                if let Some(anchor) = object.get(keyword).and_then(Json::as_str) {
                    found.push((format!("{within}#{anchor}"), pointer.clone()));
                }
            }
            for (key, value) in object.iter().filter(|(key, _)| !DATA.contains(&key.as_str())) {
                collect(value, &within, format!("{pointer}/{}", escaped(key)), id_keyword, found);
            }
        }
        Json::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                collect(item, base, format!("{pointer}/{i}"), id_keyword, found);
            }
        }
        _ => {}
    }
}

/// A key as a part of a JSON pointer.
pub(super) fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn is_metaschema(url: &str) -> bool {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    rest.and_then(|r| r.strip_prefix("json-schema.org/")).is_some_and(|r| r.starts_with("draft"))
}

fn without_fragment(url: &str) -> &str {
    url.split_once('#').map_or(url, |(url, _)| url)
}

/// A reference made absolute (RFC 3986, 5.2, without queries).
pub(super) fn resolve(base: &str, reference: &str) -> String {
    let scheme = |url: &str| {
        let (scheme, _) = url.split_once(':')?;
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        (scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(legal))
            .then_some(scheme.len())
    };
    let base = without_fragment(base);
    if reference.starts_with('#') {
        return format!("{base}{reference}");
    }
    if scheme(reference).is_some() {
        return reference.to_owned();
    }
    let path_start = match scheme(base).map(|end| end + 1) {
        Some(at) if base[at..].starts_with("//") => {
            base[at + 2..].find('/').map_or(base.len(), |slash| at + 2 + slash)
        }
        Some(at) => at,
        None => 0,
    };
    let (root, path) = base.split_at(path_start);
    let joined = match reference.strip_prefix('/') {
        Some(_) => reference.to_owned(),
        None => match path.rfind('/') {
            Some(slash) => format!("{}{reference}", &path[..=slash]),
            None if !root.is_empty() => format!("/{reference}"),
            None => reference.to_owned(),
        },
    };
    let mut segments: Vec<&str> = Vec::new();
    for segment in joined.split('/') {
        match segment {
            "." => {}
            ".." if segments.last().is_some_and(|s| !s.is_empty() && *s != "..") => drop(segments.pop()),
            other => segments.push(other),
        }
    }
    format!("{root}{}", segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_resolved_against_their_base() {
        for (base, reference, wanted) in [
            ("", "a.json", "a.json"),
            ("", "./a.json", "a.json"),
            ("http://h/x/y.json", "a.json", "http://h/x/a.json"),
            ("http://h/x/y.json", "../a.json", "http://h/a.json"),
            ("http://h/x/y.json", "/a.json", "http://h/a.json"),
            ("http://h", "a.json", "http://h/a.json"),
            ("http://h/x/y.json", "urn:a", "urn:a"),
            ("http://h/x/y.json#f", "#g", "http://h/x/y.json#g"),
            ("x/y.json", "a.json", "x/a.json"),
        ] {
            assert_eq!(resolve(base, reference), wanted, "{base} {reference}");
        }
    }
}
