//! `bd groups reset-offsets`: from where a group reads on, as `kafka-consumer-groups.sh --reset-offsets` moves it.

use super::describe::{self, Description};
use crate::cli::{ResetOffsets, ResetTarget};
use crate::commands::{Answer, time, topic_partitions};
use anyhow::{Context, Result, anyhow, bail};
use bd_client::{Client, ClientError, OffsetSpec, TopicPartition};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// One partition's move.
struct Move {
    current: Option<i64>,
    new: i64,
    start: i64,
    end: i64,
}

pub(super) fn reset(client: &mut Client, args: &ResetOffsets) -> Result<Answer> {
    let group = args.group.as_str();
    let state = state(client, group)?;
    if !["Empty", "Dead"].contains(&state.as_str()) {
        bail!("group {group} is {state}: offsets can only be reset while it has no members");
    }
    let from_file = args.target.from_file.as_deref().map(read_file).transpose()?;
    let partitions = partitions(client, args, from_file.as_ref())?;
    if partitions.is_empty() {
        bail!("group {group} has no committed offsets: name topics with --topic");
    }
    let moves = moves(client, group, &args.target, &partitions, from_file.as_ref())?;
    if args.execute {
        let offsets = moves.iter().map(|(key, m)| (key.clone(), m.new)).collect();
        client.commit(group, &offsets).map_err(|e| match &e {
            // The group got members since.
            ClientError::Response { code, .. } if code.0 == 25 => {
                anyhow!("{e}: offsets can only be reset while the group has no members")
            }
            _ => e.into(),
        })?;
    }
    Ok(answer(args, &moves))
}

/// The group's state; `Dead` for one that nobody knows, which gets its first offsets here.
fn state(client: &mut Client, group: &str) -> Result<String> {
    match describe::describe(client, group) {
        Ok(Description { state, .. }) => Ok(state),
        // describe tells an unknown group in words; anything that came from the cluster is an error.
        Err(e) if e.downcast_ref::<ClientError>().is_none() => Ok("Dead".into()),
        Err(e) => Err(e),
    }
}

fn partitions(
    client: &mut Client,
    args: &ResetOffsets,
    from_file: Option<&BTreeMap<TopicPartition, i64>>,
) -> Result<BTreeSet<TopicPartition>> {
    let mut found = BTreeSet::new();
    for text in &args.scope.topic {
        let (topic, named) = topic_partitions(text)?;
        let info = crate::commands::topic(client, &topic)?;
        let there: BTreeSet<i32> = info.partitions.iter().map(|p| p.partition).collect();
        if let Some(missing) = named.iter().find(|p| !there.contains(p)) {
            bail!("topic {topic} has partitions 0 to {}, not {missing}", there.len() - 1);
        }
        let wanted = if named.is_empty() { there.into_iter().collect() } else { named };
        found.extend(wanted.into_iter().map(|p| (topic.clone(), p)));
    }
    if args.scope.all_topics {
        found.extend(client.committed(&args.group)?.into_keys());
    }
    if let Some(lines) = from_file {
        if found.is_empty() {
            found.extend(lines.keys().cloned());
        }
        found.retain(|key| lines.contains_key(key));
    }
    if found.is_empty() && args.scope.topic.is_empty() && !args.scope.all_topics && from_file.is_none() {
        bail!("expected --topic or --all-topics: which offsets to reset");
    }
    Ok(found)
}

/// Lines of topic,partition,offset; a line in error is named.
fn read_file(path: &Path) -> Result<BTreeMap<TopicPartition, i64>> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
    let mut found = BTreeMap::new();
    for (i, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let fields: Vec<&str> = line.split(',').map(|f| f.trim().trim_matches('"')).collect();
        // Kafka's tool writes the group first when it resets several.
        let fields = if fields.len() == 4 { &fields[1..] } else { &fields[..] };
        let parsed = match fields {
            [topic, partition, offset] => partition
                .parse()
                .ok()
                .zip(offset.parse::<i64>().ok().filter(|offset| *offset >= 0))
                .map(|(partition, offset)| (((*topic).to_owned(), partition), offset)),
            _ => None,
        };
        let (key, offset) = parsed
            .ok_or_else(|| anyhow!("{shown}, line {}: expected topic,partition,offset: {line}", i + 1))?;
        found.insert(key, offset);
    }
    Ok(found)
}

fn moves(
    client: &mut Client,
    group: &str,
    target: &ResetTarget,
    partitions: &BTreeSet<TopicPartition>,
    from_file: Option<&BTreeMap<TopicPartition, i64>>,
) -> Result<BTreeMap<TopicPartition, Move>> {
    let committed = client.committed(group)?;
    let wanted = |spec| partitions.iter().map(|key| (key.clone(), spec)).collect::<BTreeMap<_, _>>();
    let start = client.list_offsets(&wanted(OffsetSpec::Earliest), false)?;
    let end = client.list_offsets(&wanted(OffsetSpec::Latest), false)?;
    let time = match (&target.to_datetime, &target.by_duration) {
        (Some(text), _) => Some(time::datetime(text).context("--to-datetime")?),
        (_, Some(text)) => Some(time::now_ms() - time::duration(text).context("--by-duration")?),
        _ => None,
    };
    let by_time = match time {
        Some(ms) => client.list_offsets(&wanted(OffsetSpec::Timestamp(ms)), false)?,
        None => BTreeMap::new(),
    };
    let mut moves = BTreeMap::new();
    for key in partitions {
        let (topic, partition) = key;
        let of = |offsets: &BTreeMap<TopicPartition, bd_client::ListedOffset>| {
            let found = offsets.get(key).map(|listed| listed.offset);
            found.ok_or_else(|| anyhow!("{topic}-{partition}: the cluster does not tell its offsets"))
        };
        let (start, end) = (of(&start)?, of(&end)?);
        let current = committed.get(key).map(|c| c.offset);
        let asked = match target {
            ResetTarget { to_earliest: true, .. } => start,
            ResetTarget { to_latest: true, .. } => end,
            ResetTarget { to_current: true, .. } => current.unwrap_or(end),
            ResetTarget { to_offset: Some(offset), .. } => *offset,
            ResetTarget { shift_by: Some(by), .. } => current
                .ok_or_else(|| anyhow!("{topic}-{partition}: group {group} has no offset there to shift"))?
                .saturating_add(*by),
            // No record is that young: what comes next is.
            _ if time.is_some() => Some(of(&by_time)?).filter(|offset| *offset >= 0).unwrap_or(end),
            _ => from_file.and_then(|lines| lines.get(key).copied()).unwrap_or(end),
        };
        let new = asked.clamp(start, end);
        if new != asked {
            tracing::warn!(
                "{topic}-{partition}: offset {asked} is outside of {start} to {end}; it becomes {new}"
            );
        }
        moves.insert(key.clone(), Move { current, new, start, end });
    }
    Ok(moves)
}

fn answer(args: &ResetOffsets, moves: &BTreeMap<TopicPartition, Move>) -> Answer {
    let json = moves.iter().map(|((topic, partition), m)| {
        json!({
            "topic": topic, "partition": partition, "current_offset": m.current, "new_offset": m.new,
            "start_offset": m.start, "end_offset": m.end,
        })
    });
    let json = json!({"group": args.group, "executed": args.execute, "partitions": json.collect::<Vec<_>>()});
    if args.export {
        let lines = moves.iter().map(|((topic, partition), m)| format!("{topic},{partition},{}\n", m.new));
        return Answer { json, text: lines.collect() };
    }
    let rows: Vec<Vec<String>> = moves
        .iter()
        .map(|((topic, partition), m)| {
            let current = m.current.map_or_else(|| "-".into(), |offset| offset.to_string());
            let numbers = [m.new, m.start, m.end].map(|n| n.to_string());
            let mut row = vec![topic.clone(), partition.to_string(), current];
            row.extend(numbers);
            row
        })
        .collect();
    let columns = ["topic", "partition", "current offset", "new offset", "start offset", "end offset"];
    let mut answer = Answer::table(&columns, &rows, json);
    if !args.execute {
        answer.text.push_str("\nnothing was changed; --execute does it\n");
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_in_either_form_and_a_wrong_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("offsets.csv");
        std::fs::write(&path, "t,0,5\n\n\"g\",\"t\",1,7\n").unwrap();
        let found = read_file(&path).unwrap();
        assert_eq!(found, BTreeMap::from([(("t".into(), 0), 5), (("t".into(), 1), 7)]));
        std::fs::write(&path, "t,0,5\nt,x,5\n").unwrap();
        let said = read_file(&path).unwrap_err().to_string();
        assert!(said.ends_with("line 2: expected topic,partition,offset: t,x,5"), "{said}");
    }
}
