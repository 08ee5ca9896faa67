//! Indices: their names, and that they are there before documents are.

use super::client::{Call, Client};
use super::config::Settings;
use bd_connect::sdk::{ConnectSchema, Shape, TaskError};
use bd_schema::{DataType, Schema};
use serde_json::{Map, Value, json};
use std::collections::HashSet;

const MAX_NAME_BYTES: usize = 255;

/// The index of a topic: what the configuration says, else the topic's name made to fit as Confluent's connector does: in lower
/// case, without `-` or `_` in front, at most 255 bytes.
///
/// # Errors
/// The name holds what an index name cannot.
pub(super) fn name(settings: &Settings, topic: &str) -> Result<String, TaskError> {
    let index = match settings.indices.get(topic) {
        Some(index) => index.clone(),
        None => {
            let mut index = topic.to_lowercase();
            if index.len() > MAX_NAME_BYTES {
                index.truncate(index.floor_char_boundary(MAX_NAME_BYTES));
            }
            if index.starts_with(['-', '_']) {
                index.remove(0);
            }
            match index.as_str() {
                "." => "dot".to_owned(),
                ".." => "dotdot".to_owned(),
                _ => index,
            }
        }
    };
    let bad = |c: char| c.is_whitespace() || "\\/*?\"<>|,#:%".contains(c) || c.is_uppercase();
    if index.is_empty() || index.contains(bad) {
        return Err(TaskError::Fatal(format!(
            "topic {topic}: {index:?} cannot name an index (lower case without spaces and \\/*?\"<>|,#:%); name one in \
             topic.to.external.resource.mapping as {topic}:index"
        )));
    }
    Ok(index)
}

/// The mapping for values of a schema: text with a `keyword` beside it, numbers, dates, nested properties.
pub(super) fn mapping(schema: &ConnectSchema) -> Option<Value> {
    match &schema.shape {
        Shape::Struct { schema, .. } => Some(json!({ "properties": properties(schema) })),
        Shape::Single(_) => None,
    }
}

fn properties(schema: &Schema) -> Map<String, Value> {
    schema.fields.iter().map(|f| (f.name.clone(), property(&f.data_type))).collect()
}

fn property(data_type: &DataType) -> Value {
    let name = match data_type {
        DataType::Boolean => "boolean",
        DataType::Integer => "integer",
        DataType::BigInt => "long",
        DataType::Double | DataType::Decimal(..) => "double",
        DataType::Varchar => {
            return json!({"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}});
        }
        DataType::Bytes => "binary",
        DataType::Date | DataType::Time | DataType::Timestamp => "date",
        DataType::Array(element) => return property(element),
        DataType::Map(_) => "object",
        DataType::Struct(fields) => {
            return json!({ "properties": properties(&Schema::new(fields.to_vec())) });
        }
    };
    json!({ "type": name })
}

/// Indices that are known to be there.
#[derive(Default)]
pub(super) struct Indices {
    known: HashSet<String>,
}

/// Why an index is not there.
pub(super) enum Missing {
    /// May work later.
    Later(String),
    /// Will not.
    Never(String),
}

impl Indices {
    /// Makes the index be there: creates it with the mapping unless it, or an alias of that name, exists. One that exists without
    /// any mapping gets it.
    pub(super) fn ensure(
        &mut self,
        client: &mut Client,
        index: &str,
        mapping: Option<&Value>,
    ) -> Result<(), Missing> {
        if self.known.contains(index) {
            return Ok(());
        }
        let path = format!("/{index}");
        let head = client.call(Call::Head, &path).map_err(Missing::Later)?;
        match head.status {
            200 => fill_mapping(client, index, mapping)?,
            401 | 403 => return Err(refused(client, index, &head)),
            _ if head.may_work_later() => return Err(refused(client, index, &head)),
            // Not there, or a server that does not know HEAD: PUT says.
            _ => create(client, index, mapping)?,
        }
        self.known.insert(index.to_owned());
        Ok(())
    }

    /// The index was deleted.
    pub(super) fn forget(&mut self, index: &str) {
        self.known.remove(index);
    }
}

fn create(client: &mut Client, index: &str, mapping: Option<&Value>) -> Result<(), Missing> {
    let body = mapping.map_or_else(|| json!({}), |m| json!({ "mappings": m })).to_string();
    let answer = client.call(Call::Put(body.as_bytes()), &format!("/{index}")).map_err(Missing::Later)?;
    let json = answer.json();
    let kind = json.pointer("/error/type").and_then(Value::as_str).unwrap_or_default();
    match answer.status {
        200..=299 => Ok(()),
        400 if matches!(kind, "resource_already_exists_exception" | "index_already_exists_exception") => {
            Ok(())
        }
        _ => Err(refused(client, index, &answer)),
    }
}

/// Gives an index that exists its mapping if it has none.
fn fill_mapping(client: &mut Client, index: &str, mapping: Option<&Value>) -> Result<(), Missing> {
    let Some(mapping) = mapping else { return Ok(()) };
    let path = format!("/{index}/_mapping");
    let answer = client.call(Call::Get, &path).map_err(Missing::Later)?;
    let json = answer.json();
    let empty = |index: &Value| {
        let properties = index.pointer("/mappings/properties").and_then(Value::as_object);
        properties.is_none_or(Map::is_empty)
    };
    match json.as_object() {
        Some(indices) if answer.status == 200 && indices.values().all(empty) => {}
        _ if answer.may_work_later() => return Err(refused(client, index, &answer)),
        _ => return Ok(()),
    }
    let answer = client.call(Call::Put(mapping.to_string().as_bytes()), &path).map_err(Missing::Later)?;
    if (200..300).contains(&answer.status) { Ok(()) } else { Err(refused(client, index, &answer)) }
}

fn refused(client: &Client, index: &str, answer: &super::client::Answer) -> Missing {
    let text = format!("index {index} cannot be made at {}: {}", client.url(), answer.describe());
    match answer.status {
        _ if answer.may_work_later() => Missing::Later(text),
        401 | 403 => Missing::Never(format!(
            "{text}; check connection.username, connection.password and the user's rights"
        )),
        _ => Missing::Never(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bd_connect::sdk::Config;
    use bd_schema::Field;

    fn settings(extra: &str) -> Settings {
        let config = Config::default().with("connection.url", "a:1");
        Settings::new(&config.with("topic.to.external.resource.mapping", extra)).unwrap()
    }

    #[test]
    fn a_topics_name_is_made_to_fit() {
        for (topic, wanted) in [
            ("Sessions", "sessions"),
            ("_x", "x"),
            ("-x", "x"),
            (".", "dot"),
            ("..", "dotdot"),
            ("tv.tv.users", "tv.tv.users"),
        ] {
            assert_eq!(name(&settings(""), topic).unwrap(), wanted);
        }
        assert_eq!(name(&settings("T:views, U:other"), "U").unwrap(), "other");
        assert_eq!(name(&settings(""), &"é".repeat(200)).unwrap().len(), 254);
        assert!(matches!(name(&settings("t:Upper"), "t"), Err(TaskError::Fatal(_))));
    }

    #[test]
    fn a_schema_becomes_a_mapping() {
        let inner = DataType::Struct([Field::new("at", DataType::Timestamp)].into());
        let schema = Schema::new(vec![
            Field::new("name", DataType::Varchar),
            Field::new("n", DataType::BigInt),
            Field::new("list", DataType::Array(inner.into())),
            Field::new("map", DataType::Map(DataType::Double.into())),
        ]);
        let mapping = mapping(&ConnectSchema::of(None, schema)).unwrap();
        let wanted = json!({"properties": {
            "name": {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}},
            "n": {"type": "long"},
            "list": {"properties": {"at": {"type": "date"}}},
            "map": {"type": "object"},
        }});
        assert_eq!(mapping, wanted);
    }
}
