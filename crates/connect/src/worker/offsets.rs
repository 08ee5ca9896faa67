//! `GET`, `PATCH` and `DELETE /connectors/NAME/offsets` (KIP-875).

use super::Worker;
use crate::ConnectError;
use crate::sdk::{PluginKind, SourceOffset, SourcePartition, StopFlag};
use crate::store::TargetState;
use crate::task::{group_of, sink_transactional_id, transactional_id};
use bd_cluster::{GroupMember, OffsetSpec, TopicPartition, WriterConfig};
use serde_json::{Value, json};
use std::time::Duration;

/// How long open transactions are waited for; what a task is about to commit may be left out after that.
const WAIT: Duration = Duration::from_secs(2);

impl Worker {
    fn kind(&self, name: &str) -> Result<PluginKind, ConnectError> {
        let class = self.config(name)?.get("connector.class").map_or(String::new(), |c| c.trim().to_owned());
        Ok(self.inner.plugins.find(&class)?.kind())
    }

    /// The committed offsets of a connector.
    pub(crate) fn offsets(&self, name: &str) -> Result<Value, ConnectError> {
        let offsets = match self.kind(name)? {
            PluginKind::Source => {
                let (offsets, _) = self.inner.offsets.read(name, WAIT, &StopFlag::default())?;
                let one = |(partition, offset): (String, SourceOffset)| {
                    let partition: Value = serde_json::from_str(&partition).unwrap_or(Value::Null);
                    json!({ "partition": partition, "offset": offset })
                };
                offsets.into_iter().map(one).collect::<Vec<_>>()
            }
            PluginKind::Sink => {
                let one = |(at, offset): (TopicPartition, i64)| {
                    json!({
                        "partition": { "kafka_topic": at.topic.as_ref(), "kafka_partition": at.partition },
                        "offset": { "kafka_offset": offset }
                    })
                };
                self.sink_offsets(name)?.into_iter().map(one).collect()
            }
        };
        Ok(json!({ "offsets": offsets }))
    }

    fn sink_offsets(&self, name: &str) -> Result<Vec<(TopicPartition, i64)>, ConnectError> {
        let cluster = &self.inner.cluster;
        let mut all = Vec::new();
        for topic in self.inner.statuses.topics_of(name) {
            let Some(info) = cluster.topic(&topic)? else { continue };
            let partitions: Vec<_> =
                (0..info.partitions).map(|p| TopicPartition::new(topic.as_str(), p)).collect();
            let committed = cluster.committed(&group_of(name), &partitions)?;
            all.extend(partitions.into_iter().zip(committed).filter_map(|(at, offset)| Some((at, offset?))));
        }
        Ok(all)
    }

    fn must_be_stopped(&self, name: &str) -> Result<(), ConnectError> {
        if self.inner.stored(name)?.target == TargetState::Stopped {
            return Ok(());
        }
        Err(ConnectError::BadRequest(format!(
            "Connectors must be in the STOPPED state before their offsets can be modified. This can be done for the specified \
             connector by issuing a 'PUT' request to the '/connectors/{name}/stop' endpoint"
        )))
    }

    fn commit_sink(&self, name: &str, offsets: &[(TopicPartition, i64)]) -> Result<(), ConnectError> {
        let mut writer = self.inner.cluster.open_writer(WriterConfig {
            transactional_id: Some(sink_transactional_id(&self.inner.config.group_id, name, 0)),
            client_id: "connect-offsets".into(),
            ..WriterConfig::default()
        })?;
        writer.commit(offsets, Some(&GroupMember::offsets_only(group_of(name))))?;
        Ok(())
    }

    fn alter_source(
        &self,
        name: &str,
        offsets: &[(SourcePartition, Option<SourceOffset>)],
    ) -> Result<(), ConnectError> {
        let id = transactional_id(&self.inner.config.group_id, name, 0);
        self.inner.offsets.alter(&id, name, offsets)
    }

    /// Forgets the offsets of a stopped connector: it begins anew.
    pub(crate) fn reset_offsets(&self, name: &str) -> Result<Value, ConnectError> {
        let _operating = self.inner.operate()?;
        self.must_be_stopped(name)?;
        match self.kind(name)? {
            PluginKind::Source => {
                let (offsets, _) = self.inner.offsets.read(name, WAIT, &StopFlag::default())?;
                let partitions = offsets.keys().filter_map(|text| serde_json::from_str(text).ok());
                let removed: Vec<_> = partitions.map(|partition| (partition, None)).collect();
                self.alter_source(name, &removed)?;
            }
            PluginKind::Sink => {
                let mut starts = Vec::new();
                for (at, _) in self.sink_offsets(name)? {
                    let start = self.inner.cluster.offset(&at, OffsetSpec::Earliest)?;
                    starts.push((at, start));
                }
                self.commit_sink(name, &starts)?;
                self.inner.statuses.forget_topics(name);
            }
        }
        Ok(json!({ "message": "The offsets for this connector have been reset successfully" }))
    }

    /// Sets offsets of a stopped connector: `{"offsets": [{"partition": {..}, "offset": {..}}]}`.
    pub(crate) fn alter_offsets(&self, name: &str, request: &Value) -> Result<Value, ConnectError> {
        let _operating = self.inner.operate()?;
        self.must_be_stopped(name)?;
        let refuse = || {
            ConnectError::BadRequest(
                "Partitions / offsets need to be provided for an alter offsets request: {\"offsets\":[{\"partition\":{},\"offset\":{}}]}"
                    .into(),
            )
        };
        let entries =
            request.get("offsets").and_then(Value::as_array).filter(|e| !e.is_empty()).ok_or_else(refuse)?;
        let mut pairs = Vec::new();
        for entry in entries {
            let partition = entry.get("partition").and_then(Value::as_object).ok_or_else(refuse)?;
            let offset = match entry.get("offset") {
                None | Some(Value::Null) => None,
                Some(offset) => Some(offset.as_object().ok_or_else(refuse)?.clone()),
            };
            pairs.push((partition.clone(), offset));
        }
        match self.kind(name)? {
            PluginKind::Source => self.alter_source(name, &pairs)?,
            PluginKind::Sink => {
                let mut commits = Vec::new();
                for (partition, offset) in pairs {
                    let topic = partition.get("kafka_topic").and_then(Value::as_str);
                    let number = partition.get("kafka_partition").and_then(as_number);
                    let (Some(topic), Some(number)) = (topic, number.and_then(|n| i32::try_from(n).ok()))
                    else {
                        return Err(ConnectError::BadRequest(
                            "The partition for a sink connector offset must have the keys 'kafka_topic' and 'kafka_partition'".into(),
                        ));
                    };
                    let at = TopicPartition::new(topic, number);
                    let offset = match offset.as_ref().map(|o| o.get("kafka_offset").and_then(as_number)) {
                        None => self.inner.cluster.offset(&at, OffsetSpec::Earliest)?,
                        Some(Some(offset)) if offset >= 0 => offset,
                        Some(_) => {
                            return Err(ConnectError::BadRequest(
                                "The offset for a sink connector should have the key 'kafka_offset' with a value of 0 or more".into(),
                            ));
                        }
                    };
                    commits.push((at, offset));
                }
                self.commit_sink(name, &commits)?;
            }
        }
        Ok(json!({ "message": "The offsets for this connector have been altered successfully" }))
    }
}

fn as_number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}
