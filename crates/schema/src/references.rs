//! Schemas that are spread over several subjects, put into one text.

use crate::Referenced;
use serde_json::Value as Json;
use std::collections::{HashMap, HashSet};

/// The text of `schema` in which each of the types referred to is declared where it is first named. A text that is no JSON stays.
pub(crate) fn inlined(schema: &str, referenced: &[Referenced]) -> String {
    let Ok(mut json) = serde_json::from_str(schema) else { return schema.to_owned() };
    let of = |r: &Referenced| Some((r.name.clone(), serde_json::from_str(&r.text).ok()?));
    let mut work = Inlining { types: referenced.iter().filter_map(of).collect(), declared: HashSet::new() };
    work.visit(&mut json, "");
    json.to_string()
}

struct Inlining {
    types: HashMap<String, Json>,
    declared: HashSet<String>,
}

impl Inlining {
    fn visit(&mut self, json: &mut Json, within: &str) {
        match json {
            Json::String(name) => {
                let full = full_name(name, within);
                let known = if self.types.contains_key(&full) { &full } else { &*name };
                // Each once, so that this ends also for types that refer to one another.
                if let Some(mut declaration) = self.types.get(known).cloned()
                    && self.declared.insert(known.clone())
                {
                    self.visit(&mut declaration, "");
                    *json = declaration;
                }
            }
            Json::Array(branches) => branches.iter_mut().for_each(|b| self.visit(b, within)),
            Json::Object(object) => {
                let text = |key: &str| object.get(key).and_then(Json::as_str);
                let namespace = text("namespace").unwrap_or(within).to_owned();
                let full = text("name").map(|name| full_name(name, &namespace));
                let namespace = match full.as_deref().and_then(|full| full.rsplit_once('.')) {
                    Some((namespace, _)) => namespace.to_owned(),
                    None => namespace,
                };
                self.declared.extend(full);
                let fields = object.get_mut("fields").and_then(Json::as_array_mut);
                let types = fields.into_iter().flatten().filter_map(|f| f.get_mut("type"));
                types.for_each(|data_type| self.visit(data_type, &namespace));
                for key in ["type", "items", "values"] {
                    if let Some(inner) = object.get_mut(key) {
                        self.visit(inner, &namespace);
                    }
                }
            }
            _ => {}
        }
    }
}

fn full_name(name: &str, within: &str) -> String {
    match within {
        "" => name.to_owned(),
        _ if name.contains('.') => name.to_owned(),
        _ => format!("{within}.{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_declared_where_they_are_first_named() {
        let record = |name: &str, of: &str| {
            format!(r#"{{"type":"record","name":"{name}","fields":[{{"name":"f","type":{of}}}]}}"#)
        };
        let root = r#"{"type":"record","namespace":"a","name":"R","fields":[{"name":"x","type":["null","B"]},{"name":"y","type":{"type":"array","items":"a.B"}},{"name":"z","type":"long"}]}"#;
        let types = [("a.B", record("a.B", r#""c.D""#)), ("c.D", record("c.D", r#"["null","a.B"]"#))];
        let types = types.map(|(name, text)| Referenced { name: name.into(), text: text.into() });
        let d = record("c.D", r#"["null","a.B"]"#);
        let b = record("a.B", &d);
        let wanted = root.replacen("\"B\"", &b, 1);
        assert_eq!(inlined(root, &types), wanted);
        assert_eq!(inlined("syntax = proto", &types), "syntax = proto");
    }
}
