//! DescribeConfigs and ListConfigResources.

use super::authorized::{CLUSTER_FAILED, GROUP_FAILED, TOPIC_FAILED};
use super::{Call, text};
use crate::broker::Broker;
use crate::configs::Entry;
use crate::security::{CLUSTER, Operation, ResourceType};
use crate::topics::{TopicError, name};
use kafka_protocol::ResponseError as E;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::list_config_resources_response::ConfigResource;
use kafka_protocol::messages::{
    DescribeConfigsRequest, DescribeConfigsResponse, ListConfigResourcesRequest, ListConfigResourcesResponse,
};

/// The types of resources that have configs.
pub(super) const TOPIC: i8 = 2;
pub(super) const BROKER: i8 = 4;
pub(super) const BROKER_LOGGER: i8 = 8;
pub(super) const CLIENT_METRICS: i8 = 16;
pub(super) const GROUP: i8 = 32;

/// Whether the caller may do `operation` to the configs of a resource; the error if not.
pub(super) fn authorize(
    broker: &Broker,
    call: &Call,
    operation: Operation,
    kind: i8,
    name: &str,
) -> Result<(), TopicError> {
    let (resource, name, code, reason) = match kind {
        TOPIC => (ResourceType::Topic, name, E::TopicAuthorizationFailed, TOPIC_FAILED),
        GROUP => (ResourceType::Group, name, E::GroupAuthorizationFailed, GROUP_FAILED),
        BROKER | BROKER_LOGGER | CLIENT_METRICS => {
            (ResourceType::Cluster, CLUSTER, E::ClusterAuthorizationFailed, CLUSTER_FAILED)
        }
        _ => return Err(unknown_type(kind)),
    };
    if call.allows(broker, operation, resource, name) {
        return Ok(());
    }
    Err(TopicError::refused(code, reason))
}

pub(super) fn unknown_type(kind: i8) -> TopicError {
    TopicError::refused(E::InvalidRequest, format!("Unknown resource type {kind}"))
}

pub(super) fn describe(
    broker: &Broker,
    call: &Call,
    request: DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let results = request.resources.into_iter().map(|resource| {
        let result = DescribeConfigsResult::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name.clone());
        let entries = authorize(
            broker,
            call,
            Operation::DescribeConfigs,
            resource.resource_type,
            &resource.resource_name,
        )
        .and_then(|()| entries(broker, &resource));
        match entries {
            Ok(entries) => {
                let shown = entries.into_iter().map(|entry| {
                    described(
                        entry,
                        request.include_synonyms,
                        call.version >= 3 && request.include_documentation,
                    )
                });
                result.with_error_message(None).with_configs(shown.collect())
            }
            Err(error) => {
                result.with_error_code(error.code().code()).with_error_message(Some(text(&error.to_string())))
            }
        }
    });
    DescribeConfigsResponse::default().with_results(results.collect())
}

fn described(entry: Entry, synonyms: bool, documentation: bool) -> DescribeConfigsResourceResult {
    let shown = entry.synonyms.iter().filter(|_| synonyms).map(|synonym| {
        DescribeConfigsSynonym::default()
            .with_name(text(&synonym.name))
            .with_value(Some(text(&synonym.value)))
            .with_source(synonym.source as i8)
    });
    DescribeConfigsResourceResult::default()
        .with_name(text(&entry.name))
        .with_value(entry.value.as_deref().map(text))
        .with_read_only(entry.read_only)
        .with_config_source(entry.source as i8)
        .with_config_type(entry.kind as i8)
        .with_synonyms(shown.collect())
        .with_documentation(documentation.then(|| text(entry.doc)))
}

/// The configs of a resource, those asked for; all where none is named.
fn entries(broker: &Broker, resource: &DescribeConfigsResource) -> Result<Vec<Entry>, TopicError> {
    let wanted = |key: &str| match &resource.configuration_keys {
        Some(keys) if !keys.is_empty() => keys.iter().any(|k| k.as_str() == key),
        _ => true,
    };
    let named = |what: &str| {
        if resource.resource_name.is_empty() {
            return Err(TopicError::refused(E::InvalidRequest, format!("{what} must not be empty")));
        }
        Ok(())
    };
    let resource_name = resource.resource_name.as_str();
    let mut entries = match resource.resource_type {
        TOPIC => {
            name::check(resource_name)?;
            let topic = broker.topics().get(resource_name).ok_or_else(TopicError::unknown)?;
            broker.configs().describe_topic(&topic.configs())
        }
        BROKER if resource_name.is_empty() => broker.configs().describe_all_brokers(),
        BROKER => {
            let me = broker.config().node_id;
            if resource_name != me.to_string() {
                let reason = format!(
                    "Unexpected broker id, expected {me} or empty string, but received {resource_name}"
                );
                return Err(TopicError::refused(E::InvalidRequest, reason));
            }
            broker.configs().describe_broker()
        }
        BROKER_LOGGER => {
            named("Broker id")?;
            return Err(no_loggers());
        }
        // None are ever set: AlterConfigs refuses them.
        CLIENT_METRICS => named("Client metrics subscription name").map(|()| Vec::new())?,
        GROUP => {
            named("Group name")?;
            broker.configs().describe_group(resource_name)
        }
        other => return Err(unknown_type(other)),
    };
    entries.retain(|entry| wanted(&entry.name));
    Ok(entries)
}

/// Loggers are chosen when the process starts.
pub(super) fn no_loggers() -> TopicError {
    let reason = "This broker has no loggers that can be seen or changed while it runs.";
    TopicError::refused(E::InvalidRequest, reason)
}

/// In version 0 only client metrics are listed, of which there are none.
pub(super) fn list(
    broker: &Broker,
    call: &Call,
    request: ListConfigResourcesRequest,
) -> ListConfigResourcesResponse {
    if !call.allows(broker, Operation::DescribeConfigs, ResourceType::Cluster, CLUSTER) {
        return ListConfigResourcesResponse::default().with_error_code(E::ClusterAuthorizationFailed.code());
    }
    let known = [TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP];
    if request.resource_types.iter().any(|kind| !known.contains(kind)) {
        return ListConfigResourcesResponse::default().with_error_code(E::UnsupportedVersion.code());
    }
    let wanted = |kind: i8| {
        call.version >= 1 && (request.resource_types.is_empty() || request.resource_types.contains(&kind))
    };
    let mut resources = Vec::new();
    let mut add = |kind: i8, name: &str| {
        let resource = ConfigResource::default().with_resource_name(text(name));
        resources.push(if call.version >= 1 { resource.with_resource_type(kind) } else { resource });
    };
    if wanted(GROUP) {
        broker.configs().groups().iter().for_each(|group| add(GROUP, group));
    }
    if wanted(TOPIC) {
        broker.topics().all().iter().for_each(|topic| add(TOPIC, &topic.name));
    }
    if wanted(BROKER) {
        add(BROKER, &broker.config().node_id.to_string());
    }
    ListConfigResourcesResponse::default().with_config_resources(resources)
}
