//! AlterConfigs (the whole set of a resource) and IncrementalAlterConfigs (single changes).

use super::configs::{
    BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, TOPIC, authorize, no_loggers, unknown_type,
};
use super::{Call, RequestError, off_task, text};
use crate::broker::Broker;
use crate::configs::def::{ConfigChange, ConfigOp};
use crate::security::Operation;
use crate::topics::TopicError;
use kafka_protocol::ResponseError as E;
use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse as WholeResponse;
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{
    AlterConfigsRequest, AlterConfigsResponse, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};
use kafka_protocol::protocol::StrBytes;
use std::collections::HashMap;
use std::sync::Arc;

/// One change as it was asked for: name, operation by its number, value.
type Asked = (String, i8, Option<String>);

/// The operations' numbers.
const SET: i8 = 0;
const DELETE: i8 = 1;

fn asked(name: &StrBytes, operation: i8, value: Option<StrBytes>) -> Asked {
    (name.to_string(), operation, value.map(|v| v.to_string()))
}

/// What shall become of a resource's configs.
struct Wanted {
    kind: i8,
    name: String,
    changes: Vec<Asked>,
}

/// Changes resources one after the other; one result for each, in their order.
fn alter_all(
    broker: &Broker,
    call: &Call,
    wanted: &[Wanted],
    whole: bool,
    only_check: bool,
) -> Vec<Result<(), TopicError>> {
    let mut seen: HashMap<(i8, &str), usize> = HashMap::new();
    wanted.iter().for_each(|w| *seen.entry((w.kind, w.name.as_str())).or_default() += 1);
    let alter = |w: &Wanted| {
        if seen.get(&(w.kind, w.name.as_str())).is_some_and(|n| *n > 1) {
            return Err(TopicError::refused(E::InvalidRequest, "Each resource must appear at most once."));
        }
        authorize(broker, call, Operation::AlterConfigs, w.kind, &w.name)?;
        alter_one(broker, w, whole, only_check)
    };
    wanted.iter().map(alter).collect()
}

fn alter_one(broker: &Broker, wanted: &Wanted, whole: bool, only_check: bool) -> Result<(), TopicError> {
    let changes = changes(&wanted.changes)?;
    match wanted.kind {
        TOPIC => broker.topics().alter_configs(&wanted.name, &changes, whole, only_check),
        BROKER => {
            broker.configs().alter_broker(&wanted.name, &changes, whole, only_check)?;
            if only_check { Ok(()) } else { broker.apply_defaults() }
        }
        GROUP => broker.configs().alter_group(&wanted.name, &changes, whole, only_check),
        BROKER_LOGGER if !whole => Err(no_loggers()),
        CLIENT_METRICS => {
            let reason = "This broker does not collect metrics of clients (KIP-714): nothing to configure.";
            Err(TopicError::refused(E::InvalidRequest, reason))
        }
        other => Err(unknown_type(other)),
    }
}

fn changes(asked: &[Asked]) -> Result<Vec<ConfigChange>, TopicError> {
    let mut names: Vec<&str> = asked.iter().map(|(name, ..)| name.as_str()).collect();
    names.sort_unstable();
    if names.windows(2).any(|w| w[0] == w[1]) {
        return Err(TopicError::refused(E::InvalidRequest, "Error due to duplicate config keys"));
    }
    let nulls: Vec<&str> = asked
        .iter()
        .filter(|(_, op, value)| *op != DELETE && value.is_none())
        .map(|(name, ..)| name.as_str())
        .collect();
    if !nulls.is_empty() {
        let reason = format!("Null value not supported for : {}", nulls.join(", "));
        return Err(TopicError::refused(E::InvalidRequest, reason));
    }
    let change = |(name, op, value): &Asked| {
        let op = ConfigOp::of(*op)
            .ok_or_else(|| TopicError::refused(E::InvalidRequest, format!("Unknown operations type {op}")))?;
        Ok(ConfigChange { key: name.clone(), op, value: value.clone().unwrap_or_default() })
    };
    asked.iter().map(change).collect()
}

/// Changes resources off the task that serves the socket; the answer to each is made by `answer` from the resource, Kafka's code
/// and the text.
async fn alter<R: Send + 'static>(
    broker: Arc<Broker>,
    call: &Call,
    (wanted, whole, only_check): (Vec<Wanted>, bool, bool),
    answer: fn(&Wanted, i16, Option<StrBytes>) -> R,
) -> Result<Vec<R>, RequestError> {
    let call = call.clone();
    off_task(move || {
        let results = alter_all(&broker, &call, &wanted, whole, only_check);
        let answers = wanted.iter().zip(results).map(|(wanted, result)| match result {
            Ok(()) => answer(wanted, 0, None),
            Err(error) => answer(wanted, error.code().code(), Some(text(&error.to_string()))),
        });
        answers.collect()
    })
    .await
}

pub(super) async fn incremental(
    broker: Arc<Broker>,
    call: &Call,
    request: IncrementalAlterConfigsRequest,
) -> Result<IncrementalAlterConfigsResponse, RequestError> {
    let wanted = request.resources.into_iter().map(|resource| Wanted {
        kind: resource.resource_type,
        name: resource.resource_name.to_string(),
        changes: resource.configs.into_iter().map(|c| asked(&c.name, c.config_operation, c.value)).collect(),
    });
    let asked = (wanted.collect(), false, request.validate_only);
    let responses = alter(broker, call, asked, |wanted, code, message| {
        AlterConfigsResourceResponse::default()
            .with_resource_type(wanted.kind)
            .with_resource_name(text(&wanted.name))
            .with_error_code(code)
            .with_error_message(message)
    });
    Ok(IncrementalAlterConfigsResponse::default().with_responses(responses.await?))
}

pub(super) async fn whole(
    broker: Arc<Broker>,
    call: &Call,
    request: AlterConfigsRequest,
) -> Result<AlterConfigsResponse, RequestError> {
    let wanted = request.resources.into_iter().map(|resource| Wanted {
        kind: resource.resource_type,
        name: resource.resource_name.to_string(),
        changes: resource.configs.into_iter().map(|c| asked(&c.name, SET, c.value)).collect(),
    });
    let asked = (wanted.collect(), true, request.validate_only);
    let responses = alter(broker, call, asked, |wanted, code, message| {
        WholeResponse::default()
            .with_resource_type(wanted.kind)
            .with_resource_name(text(&wanted.name))
            .with_error_code(code)
            .with_error_message(message)
    });
    Ok(AlterConfigsResponse::default().with_responses(responses.await?))
}
