//! The properties of a JSON Schema.

use super::fields::{Field, Fields};
use serde_json::Value as Json;

/// Properties that are nested deeper are not shown by themselves.
const MAX_DEPTH: usize = 32;

/// The properties of a schema; what `$ref` points to is not followed.
pub(super) fn fields(text: &str) -> Fields {
    let mut fields = Fields::default();
    if let Ok(json) = serde_json::from_str(text) {
        walk(&mut fields, &json, "", &[], 0);
    }
    fields
}

fn walk(fields: &mut Fields, json: &Json, path: &str, place: &[String], depth: usize) {
    if depth > MAX_DEPTH {
        return;
    }
    let required: Vec<&str> = json
        .get("required")
        .and_then(Json::as_array)
        .into_iter()
        .flatten()
        .filter_map(Json::as_str)
        .collect();
    for (name, property) in json.get("properties").and_then(Json::as_object).into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let place = [place, &["properties".to_owned(), name.clone()]].concat();
        let need = if required.contains(&name.as_str()) { "required" } else { "optional" };
        let default = property.get("default").map(|d| format!(", default {d}")).unwrap_or_default();
        fields.0.push(Field {
            key: path.clone(),
            path: path.clone(),
            place: place.clone(),
            shown: format!("{}, {need}{default}", shown(property)),
            aliases: Vec::new(),
        });
        walk(fields, property, &path, &place, depth + 1);
    }
    if let Some(items) = json.get("items").filter(|items| items.is_object()) {
        let place = [place, &["items".to_owned()]].concat();
        walk(fields, items, &format!("{path}[]"), &place, depth + 1);
    }
    for keyword in ["oneOf", "anyOf", "allOf"] {
        for (i, part) in json.get(keyword).and_then(Json::as_array).into_iter().flatten().enumerate() {
            let place = [place, &[keyword.to_owned(), i.to_string()]].concat();
            walk(fields, part, path, &place, depth + 1);
        }
    }
}

/// A property in a word or two: its type and what limits it.
fn shown(json: &Json) -> String {
    let Some(object) = json.as_object() else { return json.to_string() };
    let names = |value: &Json| match value {
        Json::String(name) => name.clone(),
        Json::Array(all) => all.iter().filter_map(Json::as_str).collect::<Vec<_>>().join(" or "),
        other => other.to_string(),
    };
    let mut parts = Vec::new();
    for (keyword, value) in object {
        match keyword.as_str() {
            "type" => parts.insert(0, names(value)),
            "$ref" => parts.insert(0, value.as_str().unwrap_or_default().to_owned()),
            "oneOf" | "anyOf" | "allOf" => {
                let inner: Vec<String> =
                    value.as_array().into_iter().flatten().map(|part| format!("({})", shown(part))).collect();
                parts.insert(0, inner.join(if keyword == "allOf" { " and " } else { " or " }));
            }
            "items" => parts.push(format!("of {}", shown(value))),
            "enum" | "const" | "format" | "pattern" => parts.push(format!("{keyword} {value}")),
            "connect.type" => parts.push(value.as_str().unwrap_or_default().to_owned()),
            "additionalProperties" if value.is_boolean() => {
                parts.push(if *value == Json::Bool(false) { "closed" } else { "open" }.to_owned());
            }
            _ if value.is_number() && keyword != "connect.index" && keyword != "connect.version" => {
                parts.push(format!("{keyword} {value}"));
            }
            _ => {}
        }
    }
    if parts.is_empty() { "anything".to_owned() } else { parts.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_within_properties_are_found_with_their_places() {
        let text = r#"{"type":"object","required":["id"],"properties":{
            "id":{"type":"integer","minimum":0},
            "to":{"oneOf":[{"type":"null"},{"type":"object","properties":{"street":{"type":"string"}}}]},
            "tags":{"type":"array","items":{"type":"string","enum":["a"]}}}}"#;
        let shown: Vec<String> = fields(text)
            .0
            .iter()
            .map(|f| format!("{} = {} /{}", f.path, f.shown, f.place.join("/")))
            .collect();
        assert_eq!(
            shown,
            [
                "id = integer, minimum 0, required /properties/id",
                "to = (null) or (object), optional /properties/to",
                "to.street = string, optional /properties/to/oneOf/1/properties/street",
                "tags = array, of string, enum [\"a\"], optional /properties/tags",
            ]
        );
    }
}
