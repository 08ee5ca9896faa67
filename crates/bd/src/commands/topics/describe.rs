//! `bd topics describe`: what there is to know about one topic.

use crate::commands::{Answer, configs, topic_name};
use crate::table;
use anyhow::Result;
use bd_client::messages::DescribeLogDirsRequest;
use bd_client::messages::describe_log_dirs_request::DescribableLogDirTopic;
use bd_client::{Client, ClientError, Node, OffsetSpec, TopicInfo};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

pub(super) fn describe(client: &mut Client, name: &str) -> Result<Answer> {
    let info = crate::commands::topic(client, name)?;
    let wanted = |spec| {
        info.partitions.iter().map(|p| ((name.to_owned(), p.partition), spec)).collect::<BTreeMap<_, _>>()
    };
    let start = client.list_offsets(&wanted(OffsetSpec::Earliest), false)?;
    let stable = client.list_offsets(&wanted(OffsetSpec::Latest), true)?;
    let end = client.list_offsets(&wanted(OffsetSpec::Latest), false)?;
    let sizes = sizes(client, &info)?;
    let set = configs::describe(client, &configs::Resource::topic(name), false)?;
    let (mut rows, mut partitions) = (Vec::new(), Vec::new());
    for p in &info.partitions {
        let key = (name.to_owned(), p.partition);
        let of = |offsets: &BTreeMap<_, bd_client::ListedOffset>| offsets.get(&key).map_or(-1, |o| o.offset);
        let size = sizes.get(&p.partition);
        partitions.push(json!({
            "partition": p.partition, "leader": p.leader, "leader_epoch": p.leader_epoch,
            "replicas": p.replicas, "isr": p.isr, "start_offset": of(&start),
            "last_stable_offset": of(&stable), "high_watermark": of(&end), "size_bytes": size,
        }));
        let ids = |ids: &[i32]| ids.iter().map(i32::to_string).collect::<Vec<_>>().join(",");
        rows.push(vec![
            p.partition.to_string(),
            p.leader.to_string(),
            ids(&p.replicas),
            ids(&p.isr),
            of(&start).to_string(),
            of(&stable).to_string(),
            of(&end).to_string(),
            size.map_or_else(|| "-".into(), i64::to_string),
        ]);
    }
    let configs: Map<String, Value> = set.iter().map(|c| (c.name.clone(), json!(c.value))).collect();
    let mut text = format!("topic    {name}\nid       {}\n", info.id);
    for (i, config) in set.iter().enumerate() {
        let label = if i == 0 { "configs" } else { "" };
        text.push_str(&format!(
            "{label:9}{}={}\n",
            config.name,
            config.value.as_deref().unwrap_or("(hidden)")
        ));
    }
    text.push('\n');
    let columns = [
        "partition",
        "leader",
        "replicas",
        "isr",
        "start offset",
        "last stable offset",
        "high watermark",
        "bytes",
    ];
    text.push_str(&table::render(&columns, &rows));
    let json = json!({
        "name": name, "id": info.id, "internal": info.internal, "configs": configs, "partitions": partitions,
    });
    Ok(Answer { json, text })
}

/// Bytes on disk of each partition at its leader; nothing from a broker that does not tell.
fn sizes(client: &mut Client, info: &TopicInfo) -> Result<BTreeMap<i32, i64>> {
    let mut by_leader: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for p in info.partitions.iter().filter(|p| p.leader >= 0) {
        by_leader.entry(p.leader).or_default().push(p.partition);
    }
    let mut sizes = BTreeMap::new();
    for (leader, partitions) in by_leader {
        let topic =
            DescribableLogDirTopic::default().with_topic(topic_name(&info.name)).with_partitions(partitions);
        let request = DescribeLogDirsRequest::default().with_topics(Some(vec![topic]));
        let response = match client.request(Node::Broker(leader), &request) {
            Err(ClientError::Unsupported { .. }) => continue,
            response => response?,
        };
        // Who may see a topic may not always see where it lies.
        for dir in response.results.iter().filter(|dir| dir.error_code == 0) {
            for topic in dir.topics.iter().filter(|t| t.name.as_str() == info.name) {
                let current = topic.partitions.iter().filter(|p| !p.is_future_key);
                sizes.extend(current.map(|p| (p.partition_index, p.partition_size)));
            }
        }
    }
    Ok(sizes)
}
