//! Reads the mapping that a request gives.

use serde_json::{Map, Value};

use super::field::plain;
use super::{Dynamic, Field, Kind, Mapping, Object};
use crate::error::{EsError, EsResult};

/// Objects may lie so deep in one another (`index.mapping.depth.limit`).
const DEPTH_LIMIT: usize = 20;

impl Mapping {
    /// Adds what a mapping of a request says: `{"dynamic": ..., "properties": {...}}`.
    pub(crate) fn merge_json(&mut self, json: &Value) -> EsResult<()> {
        let failed = |error: EsError| {
            if error.kind == "mapper_parsing_exception"
                && !error.reason.starts_with("Failed to parse mapping")
            {
                EsError::mapper(format!("Failed to parse mapping: {}", error.reason)).because(error)
            } else {
                error
            }
        };
        let Value::Object(root) = json else {
            return Err(EsError::mapper("Failed to parse mapping: the mapping is not an object"));
        };
        for (key, value) in root {
            match key.as_str() {
                "properties" => self.merge_properties("", value, 1).map_err(failed)?,
                "dynamic" => self.dynamic = Some(parse_dynamic(value)?),
                "date_detection" => self.date_detection = Some(parse_bool(key, value)?),
                "numeric_detection" => {
                    if parse_bool(key, value)? {
                        return Err(EsError::mapper(
                            "Failed to parse mapping: [numeric_detection] is not supported",
                        ));
                    }
                    self.numeric_detection = Some(false);
                }
                "_meta" => self.meta = Some(value.clone()),
                "_source" | "_routing" if value.as_object().is_some_and(Map::is_empty) => {}
                "_source" if value.get("enabled") == Some(&Value::Bool(true)) => {}
                "dynamic_templates" if value.as_array().is_some_and(Vec::is_empty) => {}
                "dynamic_templates" | "dynamic_date_formats" | "runtime" | "_source" | "_routing" => {
                    return Err(EsError::mapper(format!(
                        "Failed to parse mapping: [{key}] is not supported"
                    )));
                }
                _ => {
                    let reason = format!(
                        "Root mapping definition has unsupported parameters:  [{key} : {}]",
                        plain(value)
                    );
                    return Err(EsError::mapper(format!("Failed to parse mapping: {reason}"))
                        .because(EsError::mapper(reason)));
                }
            }
        }
        Ok(())
    }

    fn merge_properties(&mut self, parent: &str, json: &Value, depth: usize) -> EsResult<()> {
        let Value::Object(properties) = json else {
            return Err(EsError::mapper("Expected map for property [properties] but got a different type"));
        };
        if depth > DEPTH_LIMIT {
            return Err(EsError::illegal(format!(
                "Limit of mapping depth [{DEPTH_LIMIT}] has been exceeded"
            )));
        }
        for (short, definition) in properties {
            if short.is_empty() || short.split('.').any(|part| part.trim().is_empty()) {
                return Err(EsError::illegal("field name cannot be an empty string"));
            }
            let name = if parent.is_empty() { short.clone() } else { format!("{parent}.{short}") };
            self.merge_definition(&name, definition, depth)?;
        }
        Ok(())
    }

    fn merge_definition(&mut self, name: &str, definition: &Value, depth: usize) -> EsResult<()> {
        let Value::Object(definition) = definition else {
            return Err(EsError::mapper(format!(
                "Expected map for property [fields] on field [{name}] but got a class"
            )));
        };
        match definition.get("type") {
            None if definition.contains_key("properties") || definition.contains_key("dynamic") => {
                self.merge_object(name, definition, depth)
            }
            None => Err(EsError::mapper(format!("No type specified for field [{name}]"))),
            Some(Value::String(kind)) if kind == "object" => self.merge_object(name, definition, depth),
            Some(_) => self.put_field(name, parse_field(name, definition)?),
        }
    }

    fn merge_object(&mut self, name: &str, definition: &Map<String, Value>, depth: usize) -> EsResult<()> {
        let mut object = Object::default();
        for (key, value) in definition {
            match key.as_str() {
                "type" | "properties" => {}
                "dynamic" => object.dynamic = Some(parse_dynamic(value)?),
                "enabled" => object.disabled = !parse_bool(key, value)?,
                _ => {
                    return Err(EsError::mapper(format!(
                        "Mapping definition for [{name}] has unsupported parameters:  [{key} : {}]",
                        plain(value)
                    )));
                }
            }
        }
        self.put_object(name, object)?;
        match definition.get("properties") {
            Some(properties) => self.merge_properties(name, properties, depth + 1),
            None => Ok(()),
        }
    }
}

fn parse_field(name: &str, definition: &Map<String, Value>) -> EsResult<Field> {
    let type_name = definition.get("type").map(plain).unwrap_or_default();
    let kind = Kind::parse(&type_name).ok_or_else(|| {
        let short = name.rsplit('.').next().unwrap_or(name);
        EsError::mapper(format!(
            "The mapper type [{type_name}] declared on field [{short}] does not exist. It might have been created within a \
             future version or requires a plugin to be installed. Check the documentation."
        ))
    })?;
    let mut field = Field::new(kind);
    for (key, value) in definition {
        match key.as_str() {
            "type" => {}
            "fields" => {
                for (short, sub) in value.as_object().into_iter().flatten() {
                    let full = format!("{name}.{short}");
                    let Some(sub) = sub.as_object() else {
                        return Err(EsError::mapper(format!(
                            "Illegal field [{short}], only fields can be specified inside fields"
                        )));
                    };
                    if sub.contains_key("fields") || short.contains('.') {
                        return Err(EsError::mapper(format!(
                            "Field name [{short}] of a multi field of [{name}] is not supported"
                        )));
                    }
                    field.subs.insert(short.clone(), parse_field(&full, sub)?);
                }
            }
            key => field.set_param(name, key, value)?,
        }
    }
    field.prepare().map_err(|e| {
        let reason = format!("Error parsing [format] on field [{name}]: {}", e.reason);
        EsError::mapper(reason).because(e)
    })?;
    Ok(field)
}

fn parse_dynamic(value: &Value) -> EsResult<Dynamic> {
    match plain(value).as_str() {
        "true" => Ok(Dynamic::True),
        "false" => Ok(Dynamic::False),
        "strict" => Ok(Dynamic::Strict),
        other => Err(EsError::mapper(format!(
            "Failed to parse mapping: dynamic [{other}] is not supported: use true, false or strict"
        ))),
    }
}

fn parse_bool(key: &str, value: &Value) -> EsResult<bool> {
    match plain(value).as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        other => Err(EsError::mapper(format!(
            "Failed to parse mapping: Could not convert [{key}] to boolean: [{other}]"
        ))),
    }
}
