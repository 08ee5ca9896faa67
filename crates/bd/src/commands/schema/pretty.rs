//! Schemas for people: what is short stands in one line.

use bd_schema::SchemaType;
use serde_json::Value;

/// A value that is no longer than this, with its indentation, stays in one line.
const WIDTH: usize = 100;

/// The text with line breaks; Protobuf has its own.
pub(super) fn text(schema_type: SchemaType, text: &str) -> String {
    let json = match schema_type {
        SchemaType::Protobuf => None,
        _ => serde_json::from_str::<Value>(text).ok(),
    };
    let Some(json) = json else { return text.trim_end().to_owned() + "\n" };
    let mut out = String::new();
    write(&mut out, &json, 0, 0);
    out.push('\n');
    out
}

fn inline(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(inline).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(members) if members.is_empty() => "{}".to_owned(),
        Value::Object(members) => {
            let members: Vec<String> = members.iter().map(|(k, v)| member(k, &inline(v))).collect();
            format!("{{{}}}", members.join(", "))
        }
        other => other.to_string(),
    }
}

fn member(key: &str, value: &str) -> String {
    format!("{}: {value}", Value::from(key))
}

/// `used`: what stands in the line already.
fn write(out: &mut String, value: &Value, depth: usize, used: usize) {
    let short = inline(value);
    let (open, close, parts): (char, char, Vec<(Option<&str>, &Value)>) = match value {
        Value::Array(items) => ('[', ']', items.iter().map(|v| (None, v)).collect()),
        Value::Object(members) => ('{', '}', members.iter().map(|(k, v)| (Some(k.as_str()), v)).collect()),
        _ => return out.push_str(&short),
    };
    if depth > 0 && used + short.chars().count() <= WIDTH {
        return out.push_str(&short);
    }
    out.push(open);
    let inner = depth + 1;
    for (i, (key, part)) in parts.iter().enumerate() {
        out.push_str(if i == 0 { "\n" } else { ",\n" });
        out.push_str(&"  ".repeat(inner));
        let head = key.map(|key| member(key, "")).unwrap_or_default();
        out.push_str(&head);
        write(out, part, inner, inner * 2 + head.chars().count());
    }
    if !parts.is_empty() {
        out.push('\n');
        out.push_str(&"  ".repeat(depth));
    }
    out.push(close);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_stands_in_a_line() {
        let schema = r#"{"type":"record","name":"Order","fields":[{"name":"id","type":"long"},{"name":"note","type":["null","string"],"default":null}]}"#;
        let wanted = "{\n  \"type\": \"record\",\n  \"name\": \"Order\",\n  \"fields\": [\n    {\"name\": \"id\", \"type\": \"long\"},\n    {\"name\": \"note\", \"type\": [\"null\", \"string\"], \"default\": null}\n  ]\n}\n";
        let shown = text(SchemaType::Avro, schema);
        assert_eq!(shown, wanted);
        let same: Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(same.to_string(), schema);
        assert_eq!(text(SchemaType::Avro, "\"long\""), "\"long\"\n");
    }
}
