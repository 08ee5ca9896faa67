//! DescribeConfigs and IncrementalAlterConfigs, of topics; of the broker what clients ask for.

use super::{RequestError, off_task, text};
use crate::broker::Broker;
use crate::topic_config::{self, KNOWN, Kind, effective};
use crate::topics::TopicError;
use kafka_protocol::ResponseError as E;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult,
};
use kafka_protocol::messages::incremental_alter_configs_request::AlterConfigsResource;
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{
    DescribeConfigsRequest, DescribeConfigsResponse, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};
use std::sync::Arc;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
/// Where a value comes from.
const OF_TOPIC: i8 = 1;
const OF_BROKER: i8 = 4;
const DEFAULT: i8 = 5;

pub(super) fn describe(broker: &Broker, request: DescribeConfigsRequest) -> DescribeConfigsResponse {
    let results = request.resources.into_iter().map(|resource| {
        let result = DescribeConfigsResult::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name.clone())
            .with_error_message(None);
        match describe_one(broker, &resource) {
            Ok(configs) => result.with_configs(configs),
            Err((code, reason)) => {
                result.with_error_code(code.code()).with_error_message(Some(text(&reason)))
            }
        }
    });
    DescribeConfigsResponse::default().with_results(results.collect())
}

fn describe_one(
    broker: &Broker,
    resource: &DescribeConfigsResource,
) -> Result<Vec<DescribeConfigsResourceResult>, (E, String)> {
    let wanted = |key: &str| match &resource.configuration_keys {
        Some(keys) => keys.iter().any(|k| k.as_str() == key),
        None => true,
    };
    let entry = |key: &str, value: &str, kind: Kind, source: i8, read_only: bool| {
        DescribeConfigsResourceResult::default()
            .with_name(text(key))
            .with_value(Some(text(value)))
            .with_read_only(read_only)
            .with_config_source(source)
            .with_config_type(kind as i8)
            .with_documentation(None)
    };
    match resource.resource_type {
        TOPIC => {
            let topic = broker.topics().get(&resource.resource_name).ok_or_else(|| {
                (E::UnknownTopicOrPartition, format!("topic {} does not exist", resource.resource_name))
            })?;
            let configs = topic.configs();
            let log = topic_config::log_config(broker.topics().defaults(), &configs);
            let known = KNOWN.iter().filter(|(key, ..)| wanted(key));
            Ok(known
                .map(|(key, kind, _, _)| {
                    let source = if configs.contains_key(*key) { OF_TOPIC } else { DEFAULT };
                    entry(key, &effective(key, &log, &configs), *kind, source, false)
                })
                .collect())
        }
        BROKER => {
            let config = broker.config();
            let own = [
                ("auto.create.topics.enable", config.auto_create_topics.to_string(), Kind::Boolean),
                ("default.replication.factor", "1".to_owned(), Kind::Int),
                ("num.partitions", config.num_partitions.to_string(), Kind::Int),
                ("offsets.topic.num.partitions", config.offsets_partitions.to_string(), Kind::Int),
                ("socket.request.max.bytes", config.max_request_bytes.to_string(), Kind::Int),
                ("transaction.max.timeout.ms", config.transaction_max_timeout_ms.to_string(), Kind::Int),
            ];
            let own = own.into_iter().filter(|(key, ..)| wanted(key));
            Ok(own.map(|(key, value, kind)| entry(key, &value, kind, OF_BROKER, true)).collect())
        }
        other => Err((E::InvalidRequest, format!("resource type {other} has no configs here"))),
    }
}

pub(super) async fn alter(
    broker: Arc<Broker>,
    request: IncrementalAlterConfigsRequest,
) -> Result<IncrementalAlterConfigsResponse, RequestError> {
    off_task(move || {
        let responses = request.resources.into_iter().map(|resource| {
            let response = AlterConfigsResourceResponse::default()
                .with_resource_type(resource.resource_type)
                .with_resource_name(resource.resource_name.clone())
                .with_error_message(None);
            match alter_one(&broker, &resource, request.validate_only) {
                Ok(()) => response,
                Err(error) => response
                    .with_error_code(error.code().code())
                    .with_error_message(Some(text(&error.to_string()))),
            }
        });
        IncrementalAlterConfigsResponse::default().with_responses(responses.collect())
    })
    .await
}

fn alter_one(broker: &Broker, resource: &AlterConfigsResource, only_check: bool) -> Result<(), TopicError> {
    let refused = |reason: &str| TopicError::Refused { code: E::InvalidRequest, reason: reason.to_owned() };
    if resource.resource_type != TOPIC {
        return Err(refused("only the configs of topics can be changed while the broker runs"));
    }
    let mut changes = Vec::new();
    for config in &resource.configs {
        let value = config.value.as_ref().map(|v| v.to_string());
        match config.config_operation {
            0 => changes.push((config.name.to_string(), Some(value.ok_or_else(|| refused("a null value"))?))),
            1 => changes.push((config.name.to_string(), None)),
            // The one list there is has two words; replacing it is as easy.
            _ => return Err(refused("append and subtract are not supported, set the whole list")),
        }
    }
    broker.topics().alter_configs(&resource.resource_name, &changes, only_check)
}
