//! `bd topics`: list, create, delete, describe.

use crate::cli::{Topics, TopicsAction};
use crate::table;
use anyhow::{Result, anyhow};
use bd_cluster::{Cluster, NewTopic, OffsetSpec, TopicInfo, TopicPartition};
use serde_json::json;
use std::process::ExitCode;

pub(super) fn run(args: Topics) -> Result<ExitCode> {
    let configs = match &args.action {
        Some(TopicsAction::Create { config, .. }) => super::pairs("--config", config)?,
        _ => Default::default(),
    };
    let cluster = super::connect(&args.cluster)?;
    let text = match args.action.unwrap_or(TopicsAction::List) {
        TopicsAction::List => list(&cluster.topics()?, args.json),
        TopicsAction::Create { name, partitions, .. } => {
            let mut topic = NewTopic::new(&name, partitions);
            topic.configs = configs;
            cluster.create_topic(&topic)?;
            done(args.json, &name, "created")
        }
        TopicsAction::Delete { name } => {
            cluster.delete_topic(&name)?;
            done(args.json, &name, "deleted")
        }
        TopicsAction::Describe { name } => describe(&cluster, &name, args.json)?,
    };
    super::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn done(json: bool, name: &str, what: &str) -> String {
    match json {
        true => format!("{}\n", json!({"topic": name, "result": what})),
        false => format!("topic {name} {what}\n"),
    }
}

fn list(topics: &[TopicInfo], json: bool) -> String {
    if json {
        let topics: Vec<_> =
            topics.iter().map(|t| json!({"name": t.name, "partitions": t.partitions})).collect();
        return format!("{}\n", json!(topics));
    }
    let rows: Vec<_> = topics.iter().map(|t| vec![t.name.clone(), t.partitions.to_string()]).collect();
    table::render(&["topic", "partitions"], &rows)
}

fn describe(cluster: &dyn Cluster, name: &str, json: bool) -> Result<String> {
    let info = cluster.topic(name)?.ok_or_else(|| anyhow!("topic {name} does not exist"))?;
    let mut offsets = Vec::new();
    for partition in 0..info.partitions {
        let tp = TopicPartition::new(name, partition);
        let of = |spec| cluster.offset(&tp, spec);
        offsets.push((of(OffsetSpec::Earliest)?, of(OffsetSpec::Stable)?, of(OffsetSpec::Latest)?));
    }
    if json {
        let partitions: Vec<_> = offsets
            .iter()
            .enumerate()
            .map(|(p, (start, stable, end))| {
                json!({"partition": p, "start_offset": start, "last_stable_offset": stable, "high_watermark": end})
            })
            .collect();
        return Ok(format!("{}\n", json!({"name": name, "partitions": partitions})));
    }
    let row = |(p, (start, stable, end)): (usize, &(i64, i64, i64))| {
        [p as i64, *start, *stable, *end].iter().map(i64::to_string).collect()
    };
    let rows: Vec<Vec<String>> = offsets.iter().enumerate().map(row).collect();
    Ok(table::render(&["partition", "start offset", "last stable offset", "high watermark"], &rows))
}
