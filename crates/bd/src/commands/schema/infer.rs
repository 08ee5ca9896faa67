//! `bd schema infer`: the schema goes to stdout, what was seen to stderr, so that it can be piped to `bd schema register`.

use super::{pretty, source};
use crate::cli::{SampleFormat as Named, SchemaInfer};
use anyhow::{Result, anyhow, bail};
use bd_client::{FetchOptions, Fetcher, OffsetSpec};
use bd_connectors::files::{SampleFormat, Sampled, sample_parquet, sample_text};
use bd_schema::{InferOptions, Inference, Inferred, SchemaText, SchemaType};
use serde_json::json;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

impl From<Named> for SampleFormat {
    fn from(named: Named) -> Self {
        match named {
            Named::Json => Self::Json,
            Named::Csv => Self::Csv,
            Named::Tsv => Self::Tsv,
            Named::Parquet => Self::Parquet,
        }
    }
}

pub(super) fn infer(args: &SchemaInfer, json: bool) -> Result<()> {
    let options =
        InferOptions { dates: !args.no_dates, all_optional: args.optional, ..InferOptions::default() };
    let mut inference = Inference::new(options);
    let mut said = Vec::new();
    match &args.topic {
        Some(topic) => said.push((format!("topic {topic}"), of_topic(args, topic, &mut inference)?)),
        None => {
            for path in &args.files {
                let left = args.sample.saturating_sub(inference.records());
                let shown = source::shown(path);
                let sampled = of_file(path, args.format, left, &mut inference);
                said.push((shown.clone(), sampled.map_err(|e| anyhow!("{shown}: {e}"))?));
            }
        }
    }
    let from: Vec<String> = said.iter().map(|(name, _)| name.clone()).collect();
    let inferred =
        inference.finish().ok_or_else(|| anyhow!("{}: there is no record to learn from", from.join(", ")))?;
    let schema_type = SchemaType::from(args.schema_type);
    let name = match &args.name {
        Some(name) => name.clone(),
        None => name_of(args),
    };
    let text = inferred.text(schema_type, &name).map_err(|e| anyhow!("no {schema_type} schema: {e}"))?;
    // What was made must be what it is called.
    bd_schema::Definition::parse_new(&SchemaText::new(schema_type, text.as_str()))
        .map_err(|e| anyhow!("no {schema_type} schema named {name}: {e}; --name gives another name"))?;
    if json {
        return super::super::print(&format!("{}\n", as_json(&inferred, schema_type, &text, &said)));
    }
    report(&inferred, schema_type, &said);
    super::super::print(&pretty::text(schema_type, &text))
}

fn report(inferred: &Inferred, schema_type: SchemaType, said: &[(String, Sampled)]) {
    for (name, sampled) in said {
        let rejected = match sampled.rejected {
            0 => String::new(),
            n => format!(", {n} could not be used"),
        };
        eprintln!("{name}: {} records{rejected}", sampled.records);
        sampled.reasons.iter().for_each(|reason| eprintln!("  {reason}"));
    }
    for note in inferred.notes().iter().chain(&inferred.notes_on(schema_type)) {
        eprintln!("  {note}");
    }
}

fn as_json(
    inferred: &Inferred,
    schema_type: SchemaType,
    text: &str,
    said: &[(String, Sampled)],
) -> serde_json::Value {
    let notes = inferred.notes().iter().cloned().chain(inferred.notes_on(schema_type));
    let notes: Vec<_> = notes.map(|n| json!({"field": n.path, "note": n.text})).collect();
    let from = said.iter().map(|(name, sampled)| {
        json!({"name": name, "records": sampled.records, "rejected": sampled.rejected, "reasons": sampled.reasons})
    });
    json!({
        "schema": text, "schemaType": schema_type.name(), "records": inferred.records(),
        "from": from.collect::<Vec<_>>(), "notes": notes,
    })
}

fn of_file(
    path: &Path,
    format: Option<Named>,
    limit: u64,
    inference: &mut Inference,
) -> Result<Sampled, String> {
    let named = format.map(SampleFormat::from);
    if source::is_stdin(path) {
        return of_stream(std::io::stdin().lock(), named, limit, inference);
    }
    match named.or_else(|| SampleFormat::of_name(path)) {
        Some(SampleFormat::Parquet) => sample_parquet(path, inference),
        format => {
            let mut file = std::fs::File::open(path).map_err(|e| e.to_string())?;
            let mut start = [0; 4];
            let read = file.read(&mut start).map_err(|e| e.to_string())?;
            if format.is_none() && start[..read] == *b"PAR1" {
                return sample_parquet(path, inference);
            }
            of_stream(start[..read].chain(file), format, limit, inference)
        }
    }
}

fn of_stream(
    input: impl Read,
    format: Option<SampleFormat>,
    limit: u64,
    inference: &mut Inference,
) -> Result<Sampled, String> {
    let mut input = BufReader::with_capacity(64 << 10, input);
    let format = match format {
        Some(format) => format,
        None => SampleFormat::of_text(input.fill_buf().map_err(|e| e.to_string())?),
    };
    sample_text(input, format, limit, inference)
}

/// The values of a topic, from its beginning.
fn of_topic(args: &SchemaInfer, topic: &str, inference: &mut Inference) -> Result<Sampled> {
    use super::super::consume::for_each_record;
    let mut client = super::super::connect(&args.cluster.cluster(), "bd-schema")?;
    let info = super::super::topic(&mut client, topic)?;
    let places: Vec<(String, i32)> =
        info.partitions.iter().map(|p| (topic.to_owned(), p.partition)).collect();
    let mut find = |spec: OffsetSpec| {
        client.list_offsets(&places.iter().map(|place| (place.clone(), spec)).collect(), true)
    };
    let (starts, ends) = (find(OffsetSpec::Earliest)?, find(OffsetSpec::Latest)?);
    let mut fetcher = Fetcher::new(FetchOptions { read_committed: true, ..FetchOptions::default() });
    for (place, end) in &ends {
        let start = starts.get(place).map_or(0, |found| found.offset);
        if start < end.offset {
            fetcher.seek(&place.0, place.1, start);
        }
    }
    let mut sampled = Sampled::default();
    while sampled.records < args.sample && !fetcher.is_empty() {
        for fetched in fetcher.fetch(&mut client)? {
            let place = (fetched.topic.clone(), fetched.partition);
            let end = ends.get(&place).map_or(0, |end| end.offset);
            let next = for_each_record(&fetched, end, &mut |offset, value| {
                take(offset, value, fetched.partition, &mut sampled, inference);
                sampled.records < args.sample
            })?;
            match next >= end {
                true => fetcher.remove(&fetched.topic, fetched.partition),
                false => fetcher.seek(&fetched.topic, fetched.partition, next),
            }
        }
    }
    if sampled.records == 0 && sampled.rejected > 0 {
        let why = sampled.reasons.first().cloned().unwrap_or_default();
        bail!("topic {topic}: no value is JSON ({why})");
    }
    Ok(sampled)
}

fn take(offset: i64, value: Option<&[u8]>, partition: i32, sampled: &mut Sampled, inference: &mut Inference) {
    match value.map(serde_json::from_slice::<serde_json::Value>) {
        Some(Ok(json)) => {
            inference.record(&json);
            sampled.records += u64::from(!json.is_null());
        }
        Some(Err(error)) => {
            sampled.rejected += 1;
            if sampled.reasons.len() < 5 {
                sampled.reasons.push(format!("partition {partition}, offset {offset}: no JSON: {error}"));
            }
        }
        // A tombstone.
        None => {}
    }
}

/// `orders-2026.csv` is `Orders2026`.
fn name_of(args: &SchemaInfer) -> String {
    let stem = match (&args.topic, args.files.first()) {
        (Some(topic), _) => topic.clone(),
        (None, Some(path)) if !source::is_stdin(path) => {
            path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
        }
        _ => String::new(),
    };
    let words = stem.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty());
    let name: String = words.map(|w| w[..1].to_ascii_uppercase() + &w[1..]).collect();
    match name.chars().next() {
        Some(first) if first.is_ascii_alphabetic() => name,
        _ => format!("Record{name}"),
    }
}
