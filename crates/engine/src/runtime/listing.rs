//! SHOW and DESCRIBE.

use super::engine::{Outcome, Query};
use super::plans::sources_of;
use super::status::QueryState;
use crate::error::EngineError;
use bd_cluster::{Cluster, OffsetSpec, TopicPartition};
use bd_sql::catalog::{Catalog, ColumnPlace, SourceDef, SourceKind, TimeFormat};
use bd_sql::plan::Show;
use std::fmt::Write;
use std::sync::atomic::Ordering;

/// `SHOW ...`.
///
/// # Errors
/// The cluster's.
pub(super) fn show(
    show: Show,
    catalog: &Catalog,
    queries: &[Query],
    cluster: &dyn Cluster,
) -> Result<Outcome, EngineError> {
    let sources = |kind: SourceKind| -> Vec<Vec<String>> {
        let of_kind = catalog.iter().filter(|s| s.kind == kind);
        of_kind
            .map(|s| vec![s.name.clone(), s.topic.clone(), s.key_format.clone(), s.value_format.clone()])
            .collect()
    };
    let (columns, rows) = match show {
        Show::Streams => {
            (vec!["Stream Name", "Kafka Topic", "Key Format", "Value Format"], sources(SourceKind::Stream))
        }
        Show::Tables => {
            (vec!["Table Name", "Kafka Topic", "Key Format", "Value Format"], sources(SourceKind::Table))
        }
        Show::Topics => {
            let topics = cluster.topics()?;
            let user = topics.into_iter().filter(|t| !t.name.starts_with("_bd_"));
            (
                vec!["Kafka Topic", "Partitions"],
                user.map(|t| vec![t.name, t.partitions.to_string()]).collect(),
            )
        }
        Show::Queries => (
            vec![
                "Query ID",
                "Status",
                "Sink Name",
                "Rows In",
                "Rows Out",
                "Late",
                "Dead Letters",
                "Dropped",
                "Errors",
            ],
            queries.iter().map(query_row).collect(),
        ),
        Show::Functions => {
            let functions = bd_sql::functions();
            let rows = functions.iter().map(|f| vec![f.name.into(), f.kind.into(), f.signature.into()]);
            (vec!["Function Name", "Category", "Call"], rows.collect())
        }
        Show::Properties => {
            (vec!["Property", "Value"], vec![vec!["auto.offset.reset".into(), "earliest".into()]])
        }
    };
    Ok(Outcome::Listing { columns, rows })
}

fn query_row(query: &Query) -> Vec<String> {
    let metrics = &query.status.metrics;
    let stats = query.status.stats();
    let count = |n: &std::sync::atomic::AtomicU64| n.load(Ordering::Relaxed).to_string();
    let state = match query.status.state() {
        QueryState::Error(e) => format!("ERROR: {e}"),
        state => state.to_string(),
    };
    vec![
        query.status.id.clone(),
        state,
        query.sink.name.clone(),
        count(&metrics.records_in),
        count(&metrics.rows_out),
        count(&metrics.late_rows),
        count(&metrics.dead_letters),
        stats.dropped.to_string(),
        stats.processing_errors.to_string(),
    ]
}

/// `DESCRIBE ...`.
///
/// # Errors
/// The cluster's.
pub(super) fn describe(
    source: &SourceDef,
    extended: bool,
    queries: &[Query],
    cluster: &dyn Cluster,
) -> Result<Outcome, EngineError> {
    if !extended {
        let rows = source.columns.iter().map(|c| {
            let kind = match (c.place, source.kind) {
                (ColumnPlace::Value, _) => "",
                (_, SourceKind::Stream) => "(key)",
                (_, SourceKind::Table) => "(primary key)",
            };
            vec![c.name.clone(), format!("{} {kind}", c.data_type).trim_end().to_string()]
        });
        return Ok(Outcome::Listing { columns: vec!["Field", "Type"], rows: rows.collect() });
    }
    let mut text = String::new();
    let time = source.timestamp.as_ref().map_or("the record's timestamp".to_string(), |t| {
        let column = &source.columns[t.column].name;
        match &t.format {
            TimeFormat::EpochMillis => column.clone(),
            TimeFormat::EpochSeconds => format!("{column}, epoch_seconds"),
            TimeFormat::Pattern(p) => format!("{column}, {p}"),
        }
    });
    let kind = if source.kind == SourceKind::Stream { "STREAM" } else { "TABLE" };
    // Writing to a String cannot fail.
    let _ = writeln!(text, "Name         : {}\nType         : {kind}", source.name);
    for column in &source.columns {
        let place = if column.place == ColumnPlace::Value { "" } else { " (key)" };
        let _ = writeln!(text, "Field        : {} {}{place}", column.name, column.data_type);
    }
    let _ = writeln!(text, "Event time   : {time}\nLateness     : {} ms", source.lateness_ms);
    let _ = writeln!(text, "Key format   : {}\nValue format : {}", source.key_format, source.value_format);
    let partitions = cluster.topic(&source.topic)?.map_or(0, |t| t.partitions);
    let _ = writeln!(text, "Kafka topic  : {} ({partitions} partitions)", source.topic);
    for p in 0..partitions {
        let tp = TopicPartition::new(source.topic.as_str(), p);
        let start = cluster.offset(&tp, OffsetSpec::Earliest)?;
        let end = cluster.offset(&tp, OffsetSpec::Stable)?;
        let _ = writeln!(text, "  partition {p}: offsets {start}..{end}");
    }
    let _ =
        writeln!(text, "Dead letters : {}\nLate rows    : {}", source.dead_letter_topic, source.late_topic);
    if let Some(query) = &source.query {
        let _ = writeln!(text, "Written by   : {query}");
    }
    for query in queries {
        if sources_of(&query.plan).iter().any(|s| s.name == source.name) {
            let _ = writeln!(text, "Read by      : {}", query.status.id);
        }
    }
    let _ = writeln!(text, "Statement    : {}", source.sql);
    Ok(Outcome::Text(text))
}
