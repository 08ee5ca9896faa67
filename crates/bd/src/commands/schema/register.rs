//! `bd schema register`.

use super::{Answer, Registry, Verdict, check, source};
use crate::cli::SchemaRegister;
use anyhow::Result;
use bd_schema::{NewSchema, SchemaVersion};
use serde_json::{Value, json};

pub(super) fn register(registry: &Registry, args: &SchemaRegister) -> Result<Verdict> {
    let schema = source::with_versions(registry, source::read(&args.path, &args.file)?)?;
    source::parsed(registry, &schema, &source::shown(&args.path))?;
    if let Some(found) = lookup(registry, args, &schema)? {
        let what = if args.dry_run { "would be as it is" } else { "was there already" };
        return Ok(said(&args.subject, &found, what, false));
    }
    if args.dry_run {
        return dry_run(registry, args, &schema);
    }
    let id = registry.call(|client| client.register_schema(&args.subject, &schema, args.normalize))?;
    Ok(match lookup(registry, args, &schema)? {
        Some(found) => said(&args.subject, &found, "registered", true),
        None => {
            let json = json!({"subject": args.subject, "id": id, "version": Value::Null, "registered": true});
            let text = format!("{}: id {id}, registered", args.subject);
            Verdict { passed: true, answer: Answer::line(text, json) }
        }
    })
}

fn lookup(registry: &Registry, args: &SchemaRegister, schema: &NewSchema) -> Result<Option<SchemaVersion>> {
    registry.call(|client| client.lookup(&args.subject, schema, args.normalize))
}

fn said(subject: &str, found: &SchemaVersion, what: &str, registered: bool) -> Verdict {
    let id = found.id.map_or("?".to_owned(), |id| id.to_string());
    let text = format!("{subject}: id {id}, version {}, {what}", found.version);
    let json =
        json!({"subject": subject, "id": found.id, "version": found.version, "registered": registered});
    Verdict { passed: true, answer: Answer::line(text, json) }
}

/// Whether it would be taken.
fn dry_run(registry: &Registry, args: &SchemaRegister, schema: &NewSchema) -> Result<Verdict> {
    let subject = args.subject.as_str();
    let checked = registry.call(|client| client.check(subject, None, schema, args.normalize))?;
    let versions = registry.call(|client| client.versions(subject, true))?;
    let next = versions.iter().max().map_or(1, |last| last + 1);
    let (passed, messages) = checked.map_or((true, Vec::new()), |c| (c.compatible, c.messages));
    let mut text = match passed {
        true => format!("{subject}: would be registered as version {next}\n"),
        false => format!("{subject}: would be refused, it is not compatible:\n"),
    };
    for message in messages.iter().filter_map(|m| check::readable(m)).filter(|_| !passed) {
        text.push_str(&format!("  {message}\n"));
    }
    let json = json!({
        "subject": subject, "version": next, "registered": false, "compatible": passed, "messages": messages,
    });
    Ok(Verdict { passed, answer: Answer { json, text } })
}
