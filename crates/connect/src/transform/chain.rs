//! The transforms of a connector in their order, made from `transforms`, `transforms.X.type` and their keys.

use super::leave::leave;
use super::predicate::{self, Predicate};
use super::{Flow, Step, Transform, cast, fields, insert, route, unwrap};
use crate::sdk::{Batch, Config, ConfigError};
use bd_schema::Role;
use std::collections::BTreeMap;

/// The classes that there are; `$Key` and `$Value` where a transform works on either.
pub(crate) const TRANSFORMS: [&str; 25] = [
    "io.debezium.transforms.ExtractNewRecordState",
    "org.apache.kafka.connect.transforms.Cast$Key",
    "org.apache.kafka.connect.transforms.Cast$Value",
    "org.apache.kafka.connect.transforms.DropHeaders",
    "org.apache.kafka.connect.transforms.ExtractField$Key",
    "org.apache.kafka.connect.transforms.ExtractField$Value",
    "org.apache.kafka.connect.transforms.Filter",
    "org.apache.kafka.connect.transforms.Flatten$Key",
    "org.apache.kafka.connect.transforms.Flatten$Value",
    "org.apache.kafka.connect.transforms.HoistField$Key",
    "org.apache.kafka.connect.transforms.HoistField$Value",
    "org.apache.kafka.connect.transforms.InsertField$Key",
    "org.apache.kafka.connect.transforms.InsertField$Value",
    "org.apache.kafka.connect.transforms.InsertHeader",
    "org.apache.kafka.connect.transforms.MaskField$Key",
    "org.apache.kafka.connect.transforms.MaskField$Value",
    "org.apache.kafka.connect.transforms.RegexRouter",
    "org.apache.kafka.connect.transforms.ReplaceField$Key",
    "org.apache.kafka.connect.transforms.ReplaceField$Value",
    "org.apache.kafka.connect.transforms.SetSchemaMetadata$Key",
    "org.apache.kafka.connect.transforms.SetSchemaMetadata$Value",
    "org.apache.kafka.connect.transforms.TimestampConverter$Key",
    "org.apache.kafka.connect.transforms.TimestampConverter$Value",
    "org.apache.kafka.connect.transforms.TimestampRouter",
    "org.apache.kafka.connect.transforms.ValueToKey",
];

/// The predicates that there are.
pub(crate) const PREDICATES: [&str; 3] = [
    "org.apache.kafka.connect.transforms.predicates.HasHeaderKey",
    "org.apache.kafka.connect.transforms.predicates.RecordIsTombstone",
    "org.apache.kafka.connect.transforms.predicates.TopicNameMatches",
];

struct Link {
    class: &'static str,
    transform: Box<dyn Transform>,
    /// The predicate, and whether it is negated.
    when: Option<(Box<dyn Predicate>, bool)>,
}

/// The transforms of one task.
#[derive(Default)]
pub(crate) struct Chain {
    links: Vec<Link>,
}

/// What a chain made of a batch.
#[derive(Debug, Default)]
pub(crate) struct Transformed {
    pub(crate) flows: Vec<Flow>,
    /// The records that a transform refused: origin, its class, the reason.
    pub(crate) failed: Vec<(u32, &'static str, String)>,
}

impl Chain {
    /// The chain of a connector's configuration.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub(crate) fn of(config: &Config) -> Result<Self, ConfigError> {
        let links = config.list("transforms").into_iter().map(|alias| link(config, alias));
        Ok(Self { links: links.collect::<Result<_, _>>()? })
    }

    /// Applies all transforms.
    pub(crate) fn apply(&mut self, batch: Batch, offsets: Vec<i64>) -> Transformed {
        let mut done = Transformed { flows: vec![Flow::new(batch, offsets)], failed: Vec::new() };
        if self.links.is_empty() {
            return done;
        }
        for link in &mut self.links {
            let mut step = Step::default();
            for flow in std::mem::take(&mut done.flows) {
                link.apply(flow, &mut step);
            }
            done.failed.extend(step.failed.into_iter().map(|(origin, reason)| (origin, link.class, reason)));
            done.flows = step.flows;
        }
        done.flows = leave(done.flows);
        done
    }
}

impl Link {
    fn apply(&mut self, flow: Flow, out: &mut Step) {
        let Some((predicate, negate)) = &self.when else { return self.transform.apply(flow, out) };
        let matching: Vec<bool> = (0..flow.len()).map(|i| predicate.test(&flow, i) != *negate).collect();
        for (matches, part) in flow.split_by(|i| matching[i]) {
            if matches {
                self.transform.apply(part, out);
            } else {
                out.flows.push(part);
            }
        }
    }
}

/// All that is wrong with the transforms and predicates of a configuration.
pub(crate) fn validate(config: &Config) -> Vec<ConfigError> {
    config.list("transforms").into_iter().filter_map(|alias| link(config, alias).err()).collect()
}

fn class_of(all: &'static [&'static str], key: &str, name: &str) -> Result<&'static str, ConfigError> {
    let short = |class: &str| class.rsplit('.').next().is_some_and(|simple| simple == name);
    all.iter().copied().find(|class| *class == name || short(class)).ok_or_else(|| {
        let reason = format!(
            "Invalid value {name} for configuration {key}: Class {name} could not be found. There are {}",
            all.join(", ")
        );
        ConfigError::new(key, reason)
    })
}

fn link(config: &Config, alias: &str) -> Result<Link, ConfigError> {
    let prefix = format!("transforms.{alias}.");
    let type_key = format!("{prefix}type");
    let class = class_of(&TRANSFORMS, &type_key, config.text(&type_key)?)?;
    let keys = Keys::of(config, prefix);
    let when = match keys.get("predicate") {
        None => None,
        Some(name) => {
            let prefix = format!("predicates.{name}.");
            let type_key = format!("{prefix}type");
            let class = class_of(&PREDICATES, &type_key, config.text(&type_key)?)?;
            let predicate = predicate::open(class, &Keys::of(config, prefix))?;
            Some((predicate, keys.boolean("negate")?))
        }
    };
    Ok(Link { class, transform: open(class, &keys)?, when })
}

fn open(class: &'static str, keys: &Keys) -> Result<Box<dyn Transform>, ConfigError> {
    let simple = class.rsplit('.').next().unwrap_or(class);
    let (name, role) = match simple.split_once('$') {
        Some((name, "Key")) => (name, Role::Key),
        Some((name, _)) => (name, Role::Value),
        None => (simple, Role::Value),
    };
    match name {
        "ExtractNewRecordState" => unwrap::open(keys),
        "Cast" => cast::open_cast(keys, role),
        "TimestampConverter" => cast::open_timestamp_converter(keys, role),
        "ExtractField" => fields::open_extract(keys, role),
        "HoistField" => fields::open_hoist(keys, role),
        "ReplaceField" => fields::open_replace(keys, role),
        "MaskField" => fields::open_mask(keys, role),
        "Flatten" => fields::open_flatten(keys, role),
        "SetSchemaMetadata" => fields::open_set_schema(keys, role),
        "ValueToKey" => fields::open_value_to_key(keys),
        "InsertField" => insert::open_field(keys, role),
        "InsertHeader" => insert::open_header(keys),
        "DropHeaders" => Ok(insert::open_drop_headers(keys)),
        "RegexRouter" => route::open_regex(keys),
        "TimestampRouter" => route::open_timestamp(keys),
        _ => Ok(Box::new(predicate::Filter)),
    }
}

/// The keys of one transform or predicate, without their prefix; errors name them with it.
pub(super) struct Keys {
    prefix: String,
    config: Config,
}

impl Keys {
    fn of(config: &Config, prefix: String) -> Self {
        let own = config.values().iter();
        let own = own.filter_map(|(k, v)| Some((k.strip_prefix(&prefix)?.to_owned(), v.clone())));
        let config = Config::new(own.collect::<BTreeMap<_, _>>());
        Self { prefix, config }
    }

    fn named(&self, error: ConfigError) -> ConfigError {
        ConfigError::new(format!("{}{}", self.prefix, error.key), error.reason)
    }

    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.config.get(key)
    }

    pub(super) fn text(&self, key: &str) -> Result<&str, ConfigError> {
        self.config.text(key).map_err(|e| self.named(e))
    }

    pub(super) fn boolean(&self, key: &str) -> Result<bool, ConfigError> {
        self.config.boolean(key).map_err(|e| self.named(e))
    }

    pub(super) fn list(&self, key: &str) -> Vec<&str> {
        self.config.list(key)
    }

    pub(super) fn error(&self, key: &str, reason: impl Into<String>) -> ConfigError {
        ConfigError::new(format!("{}{key}", self.prefix), reason)
    }
}
