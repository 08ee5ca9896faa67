//! The task: a batch in, its documents in the index.

use super::config::{OnMalformed, Settings};
use super::document;
use super::index;
use super::sending::Sender;
use bd_connect::sdk::{ConnectSchema, Rejected, SinkBatch, SinkTask, StopFlag, TaskError};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

pub(super) struct Task {
    settings: Settings,
    sender: Sender,
    /// By topic; topics of a connector are few.
    indices: HashMap<Arc<str>, String>,
    /// The mapping of the schema seen last.
    mapping: Option<(Arc<ConnectSchema>, Option<Value>)>,
}

impl Task {
    pub(super) fn new(settings: Settings, stop: StopFlag) -> Result<Self, TaskError> {
        let sender = Sender::new(&settings, stop)?;
        Ok(Self { settings, sender, indices: HashMap::new(), mapping: None })
    }

    fn index(&mut self, topic: &Arc<str>) -> Result<String, TaskError> {
        if let Some(index) = self.indices.get(topic) {
            return Ok(index.clone());
        }
        let index = index::name(&self.settings, topic)?;
        self.indices.insert(Arc::clone(topic), index.clone());
        Ok(index)
    }

    /// The mapping for the batch's schema, if the topic's schema counts.
    fn mapping(&mut self, batch: &SinkBatch) -> Option<&Value> {
        let schema = batch.values().schema()?;
        if self.settings.ignores_schema(&batch.batch.topic) {
            return None;
        }
        let known = self.mapping.take().filter(|(known, _)| Arc::ptr_eq(known, schema) || known == schema);
        let mapping = known.map_or_else(|| index::mapping(schema), |(_, mapping)| mapping);
        self.mapping.insert((Arc::clone(schema), mapping)).1.as_ref()
    }
}

impl SinkTask for Task {
    fn put(&mut self, batch: &SinkBatch) -> Result<Vec<Rejected>, TaskError> {
        let topic = Arc::clone(&batch.batch.topic);
        let index = self.index(&topic)?;
        let operations = document::operations(&self.settings, &index, batch);
        let mut rejected = Vec::new();
        for (record, reason) in &operations.invalid {
            if self.settings.drop_invalid {
                tracing::warn!(%topic, offset = batch.offsets.get(*record), "record dropped: {reason}");
            } else {
                rejected.push(reject(*record, reason.clone()));
            }
        }
        if !operations.items.is_empty() {
            let mapping = self.mapping(batch).cloned();
            for (record, reason) in self.sender.deliver(&index, mapping.as_ref(), &operations)? {
                match self.settings.on_malformed {
                    OnMalformed::Fail => rejected.push(reject(record, reason)),
                    OnMalformed::Warn => {
                        tracing::warn!(%topic, offset = batch.offsets.get(record), "document dropped: {reason}");
                    }
                    OnMalformed::Ignore => {}
                }
            }
        }
        rejected.sort_by_key(|r| r.index);
        Ok(rejected)
    }
}

/// The worker knows the record as it came.
fn reject(index: usize, reason: String) -> Rejected {
    Rejected { index, key: None, value: None, headers: Vec::new(), reason }
}
