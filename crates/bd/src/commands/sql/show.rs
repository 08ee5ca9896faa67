//! ksqlDB's entities as texts for people.

use crate::table;
use serde_json::Value;

/// One text for all entities of an answer.
pub(super) fn entities(entities: &[Value]) -> String {
    entities.iter().map(entity).collect()
}

fn entity(entity: &Value) -> String {
    match entity["@type"].as_str().unwrap_or_default() {
        "currentStatus" => format!("{}\n", text(&entity["commandStatus"]["message"])),
        "streams" => sources("Stream Name", &entity["streams"]),
        "tables" => sources("Table Name", &entity["tables"]),
        "kafka_topics" => list(&entity["topics"], &["Kafka Topic", "Partitions"], |t| {
            vec![text(&t["name"]), t["replicaInfo"].as_array().map_or(0, Vec::len).to_string()]
        }),
        "queries" => list(&entity["queries"], &["Query ID", "State", "Sink Name", "Statement"], |q| {
            let statement: String = text(&q["queryString"]).split_whitespace().collect::<Vec<_>>().join(" ");
            let short: String = statement.chars().take(80).collect();
            let dots = if short.len() < statement.len() { "..." } else { "" };
            vec![text(&q["id"]), text(&q["state"]), text(&q["sinks"][0]), format!("{short}{dots}")]
        }),
        "function_names" => list(&entity["functions"], &["Function Name", "Category"], |f| {
            vec![text(&f["name"]), text(&f["category"])]
        }),
        "properties" => {
            list(&entity["properties"], &["Property", "Value"], |p| vec![text(&p["name"]), text(&p["value"])])
        }
        "sourceDescription" => description(&entity["sourceDescription"]),
        "queryDescription" => {
            let of = &entity["queryDescription"];
            format!("{}\n\n{}\n", text(&of["statementText"]), text(&of["executionPlan"]).trim_end())
        }
        "listing" => {
            let columns: Vec<String> = entity["columns"].as_array().into_iter().flatten().map(text).collect();
            let row = |r: &Value| r.as_array().into_iter().flatten().map(text).collect();
            let rows: Vec<Vec<String>> = entity["rows"].as_array().into_iter().flatten().map(row).collect();
            table::render(&columns, &rows)
        }
        "text" => format!("{}\n", text(&entity["text"])),
        _ => format!("{entity:#}\n"),
    }
}

fn sources(title: &str, sources: &Value) -> String {
    list(sources, &[title, "Kafka Topic", "Key Format", "Value Format"], |s| {
        vec![text(&s["name"]), text(&s["topic"]), text(&s["keyFormat"]), text(&s["valueFormat"])]
    })
}

fn description(of: &Value) -> String {
    let statistics = text(&of["statistics"]);
    if !statistics.is_empty() {
        return format!("{}\n", statistics.trim_end());
    }
    let key = if of["type"] == "TABLE" { "(primary key)" } else { "(key)" };
    list(&of["fields"], &["Field", "Type"], |f| {
        let place = if f["type"] == "KEY" { key } else { "" };
        vec![text(&f["name"]), format!("{} {place}", kind(&f["schema"])).trim_end().to_string()]
    })
}

/// A type, from the nested form of the answer.
fn kind(schema: &Value) -> String {
    match schema["type"].as_str().unwrap_or_default() {
        "STRING" => "VARCHAR".into(),
        "ARRAY" => format!("ARRAY<{}>", kind(&schema["memberSchema"])),
        "MAP" => format!("MAP<VARCHAR, {}>", kind(&schema["memberSchema"])),
        "STRUCT" => {
            let field = |f: &Value| format!("{} {}", text(&f["name"]), kind(&f["schema"]));
            let fields: Vec<String> = schema["fields"].as_array().into_iter().flatten().map(field).collect();
            format!("STRUCT<{}>", fields.join(", "))
        }
        "DECIMAL" => {
            format!("DECIMAL({}, {})", schema["parameters"]["precision"], schema["parameters"]["scale"])
        }
        other => other.into(),
    }
}

fn list(items: &Value, columns: &[&str], row: impl Fn(&Value) -> Vec<String>) -> String {
    let rows: Vec<Vec<String>> = items.as_array().into_iter().flatten().map(row).collect();
    table::render(columns, &rows)
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nested_types_are_shown_as_they_are_written() {
        let string = json!({"type": "STRING"});
        let of = json!({"type": "MAP", "memberSchema": {"type": "ARRAY", "memberSchema":
            {"type": "STRUCT", "fields": [{"name": "a", "schema": string}]}}});
        assert_eq!(kind(&of), "MAP<VARCHAR, ARRAY<STRUCT<a VARCHAR>>>");
    }
}
