//! `bd schema check`: by the registry, or by two files without one.

use super::{Answer, Registry, Verdict, explain, source};
use crate::cli::{LevelName, SchemaCheck};
use anyhow::{Result, bail};
use bd_schema::{Definition, Incompatibility};
use clap::ValueEnum;
use serde_json::{Value, json};
use std::path::Path;

pub(super) fn check(registry: &Registry, args: &SchemaCheck) -> Result<Verdict> {
    match (args.what.as_slice(), args.against.is_empty()) {
        ([subject, path], true) => by_registry(registry, args, subject, Path::new(path)),
        ([path], false) => by_files(registry, args, Path::new(path)),
        ([_], true) => bail!("expected SUBJECT FILE, or FILE --against EARLIER"),
        _ => bail!("with --against only the new schema's file is expected, not a subject"),
    }
}

fn by_registry(registry: &Registry, args: &SchemaCheck, subject: &str, path: &Path) -> Result<Verdict> {
    let schema = source::with_versions(registry, source::read(path, &args.file)?)?;
    source::parsed(registry, &schema, &source::shown(path))?;
    let version = args.version.as_deref();
    let checked = registry.call(|client| client.check(subject, version, &schema, args.normalize))?;
    let Some(checked) = checked else {
        if let Some(version) = version {
            bail!("subject {subject} has no version {version}");
        }
        let text = format!("{subject} is new: this would be its first version");
        let json = json!({"subject": subject, "compatible": true, "messages": []});
        return Ok(Verdict { passed: true, answer: Answer::line(text, json) });
    };
    let of = version.map_or(subject.to_owned(), |version| format!("version {version} of {subject}"));
    let mut text = match checked.compatible {
        true => format!("compatible with {of}\n"),
        false => format!("not compatible with {of}:\n"),
    };
    for message in checked.messages.iter().filter_map(|m| readable(m)) {
        text.push_str(&format!("  {message}\n"));
    }
    let json = json!({"subject": subject, "compatible": checked.compatible, "messages": checked.messages});
    Ok(Verdict { passed: checked.compatible, answer: Answer { json, text } })
}

/// A message of Confluent's registry for people; `None`: only the earlier schema's text.
pub(super) fn readable(message: &str) -> Option<String> {
    let between = |name: &str| {
        let rest = &message[message.find(name)? + name.len()..];
        let rest = rest.strip_prefix(['\'', '"'])?;
        let end = rest.find("', ").or_else(|| rest.find("\", ")).or_else(|| rest.find(['\'', '"']));
        Some(rest[..end.unwrap_or(rest.len())].to_owned())
    };
    if message.starts_with("{oldSchema:") {
        return None;
    }
    let Some(rule) = between("errorType:") else {
        return Some(message.trim_start_matches('{').trim_end_matches('}').to_owned());
    };
    // The description has quotes of its own, and ends before what follows it.
    let start = message.find("description:").map_or(0, |at| at + "description:'".len());
    let description = message[start..].split("', additionalInfo").next().unwrap_or_default();
    let description = description.trim_end_matches(['}', '\'', '"']);
    let additional =
        between("additionalInfo:").filter(|a| !a.is_empty() && !description.contains(a.as_str()));
    let additional = additional.map(|a| format!(" ({a})")).unwrap_or_default();
    Some(format!("{rule}: {description}{additional}"))
}

impl LevelName {
    /// Whether the new schema must read what was written with earlier ones, the other way round, and with all of them.
    fn demands(self) -> (bool, bool, bool) {
        match self {
            Self::None => (false, false, false),
            Self::Backward => (true, false, false),
            Self::BackwardTransitive => (true, false, true),
            Self::Forward => (false, true, false),
            Self::ForwardTransitive => (false, true, true),
            Self::Full => (true, true, false),
            Self::FullTransitive => (true, true, true),
        }
    }
}

fn by_files(registry: &Registry, args: &SchemaCheck, path: &Path) -> Result<Verdict> {
    let read = |path: &Path| -> Result<Definition> {
        let schema = source::with_versions(registry, source::read(path, &args.file)?)?;
        Ok(source::parsed(registry, &schema, &source::shown(path))?.1)
    };
    let new = read(path)?;
    let (backward, forward, transitive) = args.level.demands();
    let earlier = if transitive { &args.against[..] } else { &args.against[args.against.len() - 1..] };
    let level = args.level.to_possible_value().map(|v| v.get_name().to_owned()).unwrap_or_default();
    let (mut text, mut faults) = (String::new(), Vec::new());
    for path in earlier {
        let (old, name) = (read(path)?, source::shown(path));
        let mut pair = |reader: &str, writer: &str, found: Vec<Incompatibility>| {
            for fault in found {
                let description = fault.describe(reader, writer);
                let meaning = explain::of(&fault);
                text.push_str(&format!("  {}: {description}\n    {meaning}\n", fault.rule));
                faults.push(json!({
                    "against": name, "reader": reader, "rule": fault.rule,
                    "description": description, "meaning": meaning,
                }));
            }
        };
        if backward {
            pair("new", "old", new.incompatibilities(&old));
        }
        if forward {
            pair("old", "new", old.incompatibilities(&new));
        }
    }
    let passed = faults.is_empty();
    let names: Vec<String> = earlier.iter().map(|path| source::shown(path)).collect();
    let head = match passed {
        true => format!("{level}: compatible with {}\n", names.join(", ")),
        false => format!("{level}: not compatible with {}:\n", names.join(", ")),
    };
    let json = json!({"level": level, "compatible": passed, "faults": Value::from(faults)});
    Ok(Verdict { passed, answer: Answer { json, text: head + &text } })
}

#[cfg(test)]
mod tests {
    use super::readable;

    #[test]
    fn a_registrys_message_is_shown_without_its_frame() {
        let avro = "{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'The field 'b' at path '/fields/1' in the new \
                    schema has no default value and is missing in the old schema', additionalInfo:'b'}";
        assert_eq!(
            readable(avro).unwrap(),
            "READER_FIELD_MISSING_DEFAULT_VALUE: The field 'b' at path '/fields/1' in the new schema has no default value and is \
             missing in the old schema"
        );
        let json =
            "{errorType:\"TYPE_CHANGED\", description:\"A type at path '#/properties/a' is different'}";
        assert_eq!(readable(json).unwrap(), "TYPE_CHANGED: A type at path '#/properties/a' is different");
        let types = "{errorType:'TYPE_MISMATCH', description:'The type (path '/') differs', additionalInfo:'reader type: INT'}";
        assert_eq!(readable(types).unwrap(), "TYPE_MISMATCH: The type (path '/') differs (reader type: INT)");
        assert_eq!(readable("{oldSchemaVersion: 3}").unwrap(), "oldSchemaVersion: 3");
        assert_eq!(readable("{oldSchema: '{\"a\":1}'}"), None);
    }
}
