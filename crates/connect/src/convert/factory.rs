//! Converters by class name.

use super::json::JsonConverter;
use super::primitive::{ByteArrayConverter, NumberConverter, StringConverter};
use super::{Converter, avro, json_registered, protobuf};
use crate::sdk::{Config, ConfigError};
use bd_schema::{DataType, Role, SchemaRegistry};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The classes that there are.
pub(crate) const CONVERTERS: [&str; 9] = [
    "io.confluent.connect.avro.AvroConverter",
    "io.confluent.connect.json.JsonSchemaConverter",
    "io.confluent.connect.protobuf.ProtobufConverter",
    "org.apache.kafka.connect.converters.ByteArrayConverter",
    "org.apache.kafka.connect.converters.DoubleConverter",
    "org.apache.kafka.connect.converters.IntegerConverter",
    "org.apache.kafka.connect.converters.LongConverter",
    "org.apache.kafka.connect.json.JsonConverter",
    "org.apache.kafka.connect.storage.StringConverter",
];

/// The class of that full or short name (`JsonConverter`, `Json`).
pub(crate) fn class_of(name: &str) -> Option<&'static str> {
    CONVERTERS.into_iter().find(|class| {
        let simple = class.rsplit('.').next().unwrap_or(class);
        *class == name || simple == name || simple.strip_suffix("Converter") == Some(name)
    })
}

/// Which converter, and its own keys without their prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConverterConfig {
    pub(crate) role: Role,
    pub(crate) class: &'static str,
    pub(crate) keys: Config,
}

impl ConverterConfig {
    /// The converter of a connector's configuration, else the worker's own.
    ///
    /// # Errors
    /// No class of that name.
    pub(crate) fn of(
        role: Role,
        connector: &Config,
        worker: &BTreeMap<String, String>,
    ) -> Result<Self, ConfigError> {
        let key = format!("{role}.converter");
        // The worker's keys belong to the worker's converter: a connector that names one of its own sets all its keys.
        let values = if connector.get(&key).is_some() { connector.values() } else { worker };
        let name = values.get(&key).map_or("JsonConverter", |v| v.trim());
        let Some(class) = class_of(name) else {
            let reason = format!(
                "Invalid value {name} for configuration {key}: Class {name} could not be found. The converters are {}",
                CONVERTERS.join(", ")
            );
            return Err(ConfigError::new(key, reason));
        };
        let prefix = format!("{key}.");
        let own = values.iter().filter_map(|(k, v)| Some((k.strip_prefix(&prefix)?.to_owned(), v.clone())));
        Ok(Self { role, class, keys: Config::new(own.collect()) })
    }

    /// Opens it.
    ///
    /// # Errors
    /// A key that does not fit.
    pub(crate) fn open(
        &self,
        registry: Option<&Arc<dyn SchemaRegistry>>,
    ) -> Result<Box<dyn Converter>, ConfigError> {
        let simple = self.class.rsplit('.').next().unwrap_or(self.class);
        let number = |data_type| -> Result<Box<dyn Converter>, ConfigError> {
            let made = NumberConverter::new(self.class, data_type);
            let made = made.ok_or_else(|| ConfigError::new(self.class, "not a number of Kafka's"))?;
            Ok(Box::new(made))
        };
        match simple {
            "JsonConverter" => Ok(Box::new(JsonConverter::new(&self.keys, self.role)?)),
            "StringConverter" => Ok(Box::new(StringConverter::default())),
            "LongConverter" => number(DataType::BigInt),
            "IntegerConverter" => number(DataType::Integer),
            "DoubleConverter" => number(DataType::Double),
            "AvroConverter" => avro::open(self, registry),
            "ProtobufConverter" => protobuf::open(self, registry),
            "JsonSchemaConverter" => json_registered::open(self, registry),
            _ => Ok(Box::new(ByteArrayConverter)),
        }
    }
}
