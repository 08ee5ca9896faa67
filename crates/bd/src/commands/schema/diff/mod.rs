//! `bd schema diff`: what changed field by field, and who can read what.
//!
//! ```text
//!  text ─ avro / json / protobuf ─▶ fields: name, place, type, default ─┐
//!                                                                       ├─▶ changes ─▶ rows: field, change, verdict both ways
//!  Definition::incompatibilities, both ways ─ by their places ──────────┘
//! ```

mod avro;
mod fields;
mod json;
mod protobuf;

use super::{Answer, Registry, explain, show, source};
use crate::cli::SchemaDiff;
use crate::table;
use anyhow::{Result, anyhow, bail};
use bd_schema::{Definition, Incompatibility, NewSchema};
use fields::{Change, Fields, changes};
use serde_json::{Value, json};
use std::path::Path;

/// One of the two.
struct Side {
    name: String,
    definition: Definition,
    fields: Fields,
}

pub(super) fn diff(registry: &Registry, args: &SchemaDiff) -> Result<Answer> {
    let (old, new) = sides(registry, args)?;
    if old.definition.schema_type() != new.definition.schema_type() {
        bail!(
            "{} is of type {}, {} of type {}: they have nothing in common",
            old.name,
            old.definition.schema_type(),
            new.name,
            new.definition.schema_type()
        );
    }
    let backward = new.definition.incompatibilities(&old.definition);
    let forward = old.definition.incompatibilities(&new.definition);
    Ok(Report { old, new, backward, forward }.answer())
}

fn sides(registry: &Registry, args: &SchemaDiff) -> Result<(Side, Side)> {
    let is_file = |text: &str| source::is_stdin(Path::new(text)) || Path::new(text).is_file();
    let file = |text: &str| -> Result<Side> {
        let path = Path::new(text);
        let schema = source::with_versions(registry, source::read(path, &args.file)?)?;
        side(registry, source::shown(path), &schema)
    };
    let version = |subject: &str, version: &str| -> Result<Side> {
        let found = show::find(registry, subject, Some(version), false)?;
        let schema =
            NewSchema { schema_type: found.schema_type, text: found.text, references: found.references };
        side(registry, format!("version {}", found.version), &schema)
    };
    let either = |subject: &str, text: &str| match text == "latest" || super::is_number(text) {
        true => version(subject, text),
        false if is_file(text) => file(text),
        false => Err(anyhow!("{text} is neither a version nor a file")),
    };
    match args.what.as_slice() {
        [a, b] if is_file(a) && is_file(b) => Ok((file(a)?, file(b)?)),
        [subject, a] if super::is_number(a) => Ok((version(subject, a)?, version(subject, "latest")?)),
        [subject, a] => Ok((version(subject, "latest")?, either(subject, a)?)),
        [subject, a, b] => Ok((either(subject, a)?, either(subject, b)?)),
        _ => bail!("expected SUBJECT A B, SUBJECT A, SUBJECT FILE or FILE FILE"),
    }
}

fn side(registry: &Registry, name: String, schema: &NewSchema) -> Result<Side> {
    let (text, definition) = source::parsed(registry, schema, &name)?;
    let fields = match definition {
        Definition::Avro(_) => avro::fields(&text.whole()),
        Definition::Json(_) => json::fields(&text.text),
        Definition::Protobuf(_) => protobuf::fields(&definition.canonical()),
    };
    Ok(Side { name, definition, fields })
}

struct Report {
    old: Side,
    new: Side,
    /// What keeps the new schema from reading what was written with the old one.
    backward: Vec<Incompatibility>,
    /// The other way round.
    forward: Vec<Incompatibility>,
}

impl Report {
    /// The fields that changed, and those that a fault is about.
    fn rows(&self) -> Vec<(Change, bool, bool)> {
        let mut all = changes(&self.old.fields, &self.new.fields);
        let mut faulty = |faults: &[Incompatibility], reader: &Fields, writer: &Fields| -> Vec<String> {
            let keys = faults.iter().map(|fault| {
                let found = reader.at(fault).or_else(|| writer.at(fault));
                found.map_or_else(String::new, |field| field.key.clone())
            });
            let keys: Vec<String> = keys.collect();
            for key in &keys {
                if !all.iter().any(|change| change.key == *key) {
                    let of = |fields: &Fields| fields.get(key).map(|field| field.path.clone());
                    let path = of(&self.new.fields).or_else(|| of(&self.old.fields)).unwrap_or_default();
                    all.push(Change { key: key.clone(), path, what: "see below".into() });
                }
            }
            keys
        };
        let backward = faulty(&self.backward, &self.new.fields, &self.old.fields);
        let forward = faulty(&self.forward, &self.old.fields, &self.new.fields);
        let judged = |change: Change| {
            let (b, f) = (!backward.contains(&change.key), !forward.contains(&change.key));
            (change, b, f)
        };
        all.into_iter().map(judged).collect()
    }

    fn answer(&self) -> Answer {
        let rows = self.rows();
        let same = self.old.definition.canonical() == self.new.definition.canonical();
        let kind = self.old.definition.schema_type();
        let mut text = format!("{} -> {} ({kind})\n\n", self.old.name, self.new.name);
        let yes = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
        if rows.is_empty() {
            text.push_str(match same {
                true => "The schemas are equal.\n",
                false => "No field changed, only what readers take no notice of.\n",
            });
        } else {
            let shown: Vec<Vec<String>> = rows
                .iter()
                .map(|(change, backward, forward)| {
                    let field = if change.path.is_empty() { "(the schema)" } else { change.path.as_str() };
                    vec![field.to_owned(), change.what.clone(), yes(*backward), yes(*forward)]
                })
                .collect();
            let columns = ["field", "change", "new reads old", "old reads new"];
            text.push_str(&table::render(&columns, &shown));
        }
        text.push('\n');
        let (old, new) = ((&*self.old.name, "old"), (&*self.new.name, "new"));
        text.push_str(&direction("BACKWARD", new, old, &self.backward));
        text.push_str(&direction("FORWARD", old, new, &self.forward));
        let levels = self.levels();
        text.push_str(&format!("Levels that allow it: {}\n", levels.join(", ")));
        let changes = rows.iter().map(|(change, backward, forward)| {
            json!({"field": change.path, "change": change.what, "backward": backward, "forward": forward})
        });
        let json = json!({
            "old": self.old.name, "new": self.new.name, "type": kind.name(), "equal": same,
            "changes": changes.collect::<Value>(), "levels": levels,
            "backward": faults(&self.backward, &self.new, &self.old),
            "forward": faults(&self.forward, &self.old, &self.new),
        });
        Answer { json, text }
    }

    fn levels(&self) -> Vec<&'static str> {
        match (self.backward.is_empty(), self.forward.is_empty()) {
            (true, true) => vec!["FULL", "BACKWARD", "FORWARD", "NONE"],
            (true, false) => vec!["BACKWARD", "NONE"],
            (false, true) => vec!["FORWARD", "NONE"],
            (false, false) => vec!["NONE"],
        }
    }
}

/// Whether a reader reads what was written; each by its name, and as messages call it.
fn direction(level: &str, reader: (&str, &str), writer: (&str, &str), found: &[Incompatibility]) -> String {
    if found.is_empty() {
        return format!("{level}: yes, {} reads what was written with {}\n", reader.0, writer.0);
    }
    let mut text = format!("{level}: no, {} cannot read all that was written with {}\n", reader.0, writer.0);
    for fault in found {
        let description = fault.describe(reader.1, writer.1);
        text.push_str(&format!("  {}: {description}\n    {}\n", fault.rule, explain::of(fault)));
    }
    text
}

fn faults(found: &[Incompatibility], reader: &Side, writer: &Side) -> Value {
    let of = |fault: &Incompatibility| {
        json!({
            "field": reader.fields.at(fault).or_else(|| writer.fields.at(fault)).map(|f| f.path.clone()),
            "rule": fault.rule, "description": fault.describe(&reader.name, &writer.name),
            "meaning": explain::of(fault),
        })
    };
    found.iter().map(of).collect()
}
