//! The fields of an Avro schema.

use super::fields::{Field, Fields};
use serde_json::Value as Json;
use std::collections::HashSet;

/// The fields of a schema in which everything is declared.
pub(super) fn fields(text: &str) -> Fields {
    let mut walk = Walk::default();
    if let Ok(json) = serde_json::from_str(text) {
        walk.of_type(&json, "", &[]);
    }
    walk.fields
}

#[derive(Default)]
struct Walk {
    fields: Fields,
    /// Records that were entered: each is walked where it is declared.
    entered: HashSet<String>,
}

impl Walk {
    fn of_type(&mut self, json: &Json, path: &str, place: &[String]) {
        let within = |token: &str| [place, &[token.to_owned()]].concat();
        match json {
            Json::Array(branches) => branches.iter().for_each(|branch| self.of_type(branch, path, place)),
            Json::Object(object) => match object.get("type") {
                Some(Json::String(kind)) if kind == "record" || kind == "error" => {
                    self.record(json, path, place);
                }
                Some(Json::String(kind)) if kind == "array" => {
                    let items = object.get("items").unwrap_or(&Json::Null);
                    self.of_type(items, &format!("{path}[]"), &within("items"));
                }
                Some(Json::String(kind)) if kind == "map" => {
                    let values = object.get("values").unwrap_or(&Json::Null);
                    self.of_type(values, &format!("{path}{{}}"), &within("values"));
                }
                Some(inner @ (Json::Object(_) | Json::Array(_))) => self.of_type(inner, path, place),
                _ => {}
            },
            _ => {}
        }
    }

    fn record(&mut self, record: &Json, path: &str, place: &[String]) {
        let name = record.get("name").and_then(Json::as_str).unwrap_or_default();
        if !self.entered.insert(name.to_owned()) {
            return;
        }
        let fields = record.get("fields").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
        for (i, field) in fields.iter().enumerate() {
            let name = field.get("name").and_then(Json::as_str).unwrap_or_default();
            let of_name = |name: &str| match path.is_empty() {
                true => name.to_owned(),
                false => format!("{path}.{name}"),
            };
            let place = [place, &["fields".to_owned(), i.to_string()]].concat();
            let data_type = field.get("type").unwrap_or(&Json::Null);
            let default = field.get("default").map(|d| format!(", default {d}")).unwrap_or_default();
            let aliases = field.get("aliases").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
            self.fields.0.push(Field {
                key: of_name(name),
                path: of_name(name),
                place: place.clone(),
                shown: format!("{}{default}", shown(data_type)),
                aliases: aliases.iter().filter_map(Json::as_str).map(of_name).collect(),
            });
            self.of_type(data_type, &of_name(name), &[&place[..], &["type".to_owned()]].concat());
        }
    }
}

/// A type in a word or two; of records and arrays of them the name only.
fn shown(json: &Json) -> String {
    match json {
        Json::String(name) => name.clone(),
        Json::Array(branches) => {
            let branches: Vec<String> = branches.iter().map(shown).collect();
            format!("[{}]", branches.join(", "))
        }
        Json::Object(object) => {
            let text = |key: &str| object.get(key).and_then(Json::as_str);
            let name = text("name").unwrap_or_default();
            if let Some(logical) = text("logicalType") {
                let number = |key: &str| object.get(key).and_then(Json::as_u64).unwrap_or_default();
                return match logical {
                    "decimal" => format!("decimal({}, {})", number("precision"), number("scale")),
                    other => other.to_owned(),
                };
            }
            match object.get("type") {
                Some(Json::String(kind)) => match kind.as_str() {
                    "array" => format!("array<{}>", object.get("items").map(shown).unwrap_or_default()),
                    "map" => format!("map<{}>", object.get("values").map(shown).unwrap_or_default()),
                    "enum" => {
                        let symbols = object.get("symbols").and_then(Json::as_array);
                        let symbols = symbols.into_iter().flatten().filter_map(Json::as_str);
                        format!("enum {name} ({})", symbols.collect::<Vec<_>>().join(", "))
                    }
                    "fixed" => format!("fixed {name} ({})", object.get("size").unwrap_or(&Json::Null)),
                    "record" | "error" => format!("record {name}"),
                    other => other.to_owned(),
                },
                Some(inner) => shown(inner),
                None => json.to_string(),
            }
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_within_fields_are_found_with_their_places() {
        let text = r#"{"type":"record","name":"A","fields":[
            {"name":"id","type":"int","default":0},
            {"name":"to","type":["null",{"type":"record","name":"B","fields":[{"name":"street","type":"string"}]}]},
            {"name":"tags","type":{"type":"array","items":"B"}},
            {"name":"at","type":{"type":"long","logicalType":"timestamp-millis"},"aliases":["time"]}]}"#;
        let shown: Vec<String> = fields(text)
            .0
            .iter()
            .map(|f| format!("{} = {} /{}", f.path, f.shown, f.place.join("/")))
            .collect();
        assert_eq!(
            shown,
            [
                "id = int, default 0 /fields/0",
                "to = [null, record B] /fields/1",
                "to.street = string /fields/1/type/fields/0",
                "tags = array<B> /fields/2",
                "at = timestamp-millis /fields/3",
            ]
        );
    }
}
