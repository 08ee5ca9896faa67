//! `bd configs`: describe, set, unset.

use super::{Answer, text};
use crate::cli::{ConfigOf, Configs, ConfigsAction};
use anyhow::{Result, anyhow};
use bd_client::messages::describe_configs_request::DescribeConfigsResource;
use bd_client::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use bd_client::messages::{DescribeConfigsRequest, IncrementalAlterConfigsRequest};
use bd_client::{Client, ClientError, Node};
use serde_json::json;
use std::process::ExitCode;

/// `ConfigSource` of the protocol.
const DEFAULT_CONFIG: i8 = 5;
const STATIC_BROKER_CONFIG: i8 = 4;
const SET: i8 = 0;
const DELETE: i8 = 1;

/// What has configs.
pub(super) struct Resource {
    /// `ConfigResource.Type`: 2 topic, 4 broker, 32 group.
    kind: i8,
    name: String,
    shown: String,
}

impl Resource {
    pub(super) fn topic(name: &str) -> Self {
        Self { kind: 2, name: name.into(), shown: format!("topic {name}") }
    }

    fn of(args: &ConfigOf) -> Result<Self> {
        match (&args.topic, &args.broker, &args.group) {
            (Some(name), _, _) => Ok(Self::topic(name)),
            (_, Some(id), _) if id == "default" => {
                Ok(Self { kind: 4, name: String::new(), shown: "all brokers".into() })
            }
            (_, Some(id), _) => match id.parse::<i32>() {
                Ok(_) => Ok(Self { kind: 4, name: id.clone(), shown: format!("broker {id}") }),
                Err(_) => Err(anyhow!("--broker {id}: expected an id, or default")),
            },
            (_, _, Some(name)) => Ok(Self { kind: 32, name: name.clone(), shown: format!("group {name}") }),
            _ => Err(anyhow!("expected --topic, --broker or --group")),
        }
    }

    /// A broker answers for its own configs.
    fn node(&self) -> Node<'static> {
        match self.name.parse() {
            Ok(id) if self.kind == 4 => Node::Broker(id),
            _ => Node::Any,
        }
    }
}

/// A config as the cluster tells it.
pub(super) struct Config {
    pub(super) name: String,
    /// `None` if it is secret.
    pub(super) value: Option<String>,
    source: i8,
    read_only: bool,
}

pub(super) fn run(args: &Configs) -> Result<ExitCode> {
    let (of, changes) = match &args.action {
        ConfigsAction::Describe { of, .. } => (of, Vec::new()),
        ConfigsAction::Set { of, configs } => {
            let pairs = super::pairs("config", configs)?;
            (of, pairs.into_iter().map(|(key, value)| (key, Some(value))).collect())
        }
        ConfigsAction::Unset { of, keys } => (of, keys.iter().map(|key| (key.clone(), None)).collect()),
    };
    let resource = Resource::of(of)?;
    let mut client = super::connect(&args.cluster, "bd-configs")?;
    if let ConfigsAction::Describe { all, .. } = &args.action {
        let configs = describe(&mut client, &resource, *all)?;
        table(&configs).print(&args.cluster)?;
        return Ok(ExitCode::SUCCESS);
    }
    alter(&mut client, &resource, &changes)?;
    let what = if changes.iter().all(|(_, value)| value.is_none()) { "unset" } else { "set" };
    let keys: Vec<&str> = changes.iter().map(|(key, _)| key.as_str()).collect();
    let text = format!("{}: {} {what}", resource.shown, keys.join(", "));
    Answer::line(text, json!({"resource": resource.shown, "result": what, "keys": keys}))
        .print(&args.cluster)?;
    Ok(ExitCode::SUCCESS)
}

/// Configs by name; without `all` only those that somebody set.
pub(super) fn describe(
    client: &mut Client,
    resource: &Resource,
    all: bool,
) -> Result<Vec<Config>, ClientError> {
    let asked = DescribeConfigsResource::default()
        .with_resource_type(resource.kind)
        .with_resource_name(text(&resource.name))
        .with_configuration_keys(None);
    let request = DescribeConfigsRequest::default().with_resources(vec![asked]);
    let response = client.request(resource.node(), &request)?;
    let mut configs = Vec::new();
    for result in response.results {
        let (code, message) = (result.error_code, result.error_message.as_deref());
        ClientError::check("DescribeConfigs", &resource.shown, code, message)?;
        for config in result.configs {
            // What a broker's own file says is no setting of the topic.
            let inherited = [DEFAULT_CONFIG, STATIC_BROKER_CONFIG].contains(&config.config_source);
            let own = !inherited || (resource.kind == 4 && config.config_source == STATIC_BROKER_CONFIG);
            let dynamic_default = resource.kind != 4 && (2..=3).contains(&config.config_source);
            if all || (own && !dynamic_default) {
                configs.push(Config {
                    name: config.name.to_string(),
                    value: config.value.map(|v| v.to_string()).filter(|_| !config.is_sensitive),
                    source: config.config_source,
                    read_only: config.read_only,
                });
            }
        }
    }
    configs.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(configs)
}

/// `DescribeConfigsResponse.ConfigSource`, in Kafka's spelling.
fn source(number: i8) -> &'static str {
    match number {
        1 => "DYNAMIC_TOPIC_CONFIG",
        2 => "DYNAMIC_BROKER_CONFIG",
        3 => "DYNAMIC_DEFAULT_BROKER_CONFIG",
        STATIC_BROKER_CONFIG => "STATIC_BROKER_CONFIG",
        DEFAULT_CONFIG => "DEFAULT_CONFIG",
        6 => "DYNAMIC_BROKER_LOGGER_CONFIG",
        7 => "DYNAMIC_CLIENT_METRICS_CONFIG",
        8 => "DYNAMIC_GROUP_CONFIG",
        _ => "UNKNOWN",
    }
}

fn table(configs: &[Config]) -> Answer {
    let rows: Vec<Vec<String>> = configs
        .iter()
        .map(|c| {
            let value = c.value.clone().unwrap_or_else(|| "(hidden)".into());
            vec![c.name.clone(), value, source(c.source).into()]
        })
        .collect();
    let json = configs.iter().map(
        |c| json!({"name": c.name, "value": c.value, "source": source(c.source), "read_only": c.read_only}),
    );
    Answer::table(&["config", "value", "source"], &rows, json.collect())
}

fn alter(client: &mut Client, resource: &Resource, changes: &[(String, Option<String>)]) -> Result<()> {
    let configs = changes.iter().map(|(key, value)| {
        AlterableConfig::default()
            .with_name(text(key))
            .with_config_operation(if value.is_some() { SET } else { DELETE })
            .with_value(value.as_deref().map(text))
    });
    let altered = AlterConfigsResource::default()
        .with_resource_type(resource.kind)
        .with_resource_name(text(&resource.name))
        .with_configs(configs.collect());
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![altered]);
    let node = if resource.kind == 4 { resource.node() } else { Node::Controller };
    let response = client.request(node, &request)?;
    for result in &response.responses {
        let (code, message) = (result.error_code, result.error_message.as_deref());
        ClientError::check("IncrementalAlterConfigs", &resource.shown, code, message)?;
    }
    Ok(())
}
