//! Configs as DescribeConfigs shows them: value, where it comes from, what it would be without.

use super::broker::{self, Found};
use super::def::Kind;
use super::group::GROUP_CONFIGS;
use super::topic::{self, TOPIC_CONFIGS, TopicConfig};
use super::{Configs, MIN_INSYNC_REPLICAS, Values};

/// Where a value comes from; the numbers are those of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Topic = 1,
    DynamicBroker = 2,
    DynamicDefault = 3,
    Static = 4,
    Default = 5,
    Group = 8,
}

/// A value that would be in force without those before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Synonym {
    pub source: Source,
    pub name: String,
    pub value: String,
}

/// One config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub name: String,
    pub value: Option<String>,
    pub source: Source,
    pub kind: Kind,
    pub read_only: bool,
    pub synonyms: Vec<Synonym>,
    pub doc: &'static str,
}

impl Configs {
    /// What holds for a broker setting, the value in force first: of all names what was set, of the first the default.
    fn synonyms(&self, names: &[(&'static str, i64)]) -> Vec<Synonym> {
        let set = self.layers(names).into_iter();
        let mut synonyms: Vec<Synonym> = set
            .map(|layer| Synonym { source: layer.source, name: layer.name.to_owned(), value: layer.value })
            .collect();
        let Some(first) = names.first().and_then(|(name, _)| broker::find(name)) else { return synonyms };
        let is_set = synonyms.iter().any(|s| s.source == Source::Static);
        let name = first.name().to_owned();
        if let Some(value) = self.started_value(first).filter(|_| !is_set) {
            synonyms.push(Synonym { source: Source::Static, name: name.clone(), value });
        }
        if let Some(value) = first.default() {
            synonyms.push(Synonym { source: Source::Default, name, value });
        }
        synonyms
    }

    fn topic_entry(&self, config: &TopicConfig, own: &Values) -> Entry {
        let mut synonyms = self.synonyms(config.broker);
        let value = self.topic_value(config.name, own);
        if own.contains_key(config.name) {
            let (name, value) = (config.name.to_owned(), value.clone());
            synonyms.insert(0, Synonym { source: Source::Topic, name, value });
        }
        Entry {
            name: config.name.to_owned(),
            value: Some(value),
            source: synonyms.first().map_or(Source::Default, |s| s.source),
            kind: config.kind,
            read_only: false,
            synonyms,
            doc: config.doc,
        }
    }

    /// All configs of a topic with these of its own, by name.
    pub(crate) fn describe_topic(&self, own: &Values) -> Vec<Entry> {
        let internal = topic::find(topic::INTERNAL_SEGMENT_BYTES).filter(|c| own.contains_key(c.name));
        let mut entries: Vec<Entry> =
            TOPIC_CONFIGS.iter().chain(internal).map(|config| self.topic_entry(config, own)).collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        entries
    }

    fn broker_entry(&self, found: Found) -> Entry {
        let names: Vec<(&'static str, i64)> = match found {
            Found::Topic(config, name, _) if config.broker.first().is_some_and(|(n, _)| *n == name) => {
                config.broker.to_vec()
            }
            _ => vec![(found.name(), 1)],
        };
        let synonyms = self.synonyms(&names);
        Entry {
            name: found.name().to_owned(),
            value: self.broker_value(found),
            source: synonyms.first().map_or(Source::Default, |s| s.source),
            kind: found.kind(),
            read_only: !found.is_dynamic(),
            synonyms,
            doc: found.doc(),
        }
    }

    /// All settings of this broker, by name.
    pub(crate) fn describe_broker(&self) -> Vec<Entry> {
        let mut entries: Vec<Entry> = broker::all().map(|found| self.broker_entry(found)).collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        entries
    }

    /// What was set for all brokers, by name.
    pub(crate) fn describe_all_brokers(&self) -> Vec<Entry> {
        let mut set = self.set.read().brokers.get("").cloned().unwrap_or_default();
        set.entry(MIN_INSYNC_REPLICAS.to_owned()).or_insert_with(|| self.first_min_insync_replicas());
        let entry = |(name, value): (String, String)| {
            let found = broker::find(&name)?;
            let source = Source::DynamicDefault;
            let synonyms = vec![Synonym { source, name: name.clone(), value: value.clone() }];
            let (kind, doc) = (found.kind(), found.doc());
            Some(Entry { name, value: Some(value), source, kind, read_only: false, synonyms, doc })
        };
        set.into_iter().filter_map(entry).collect()
    }

    /// All configs of a group, by name.
    pub(crate) fn describe_group(&self, group: &str) -> Vec<Entry> {
        let entry = |config: &super::group::GroupConfig| {
            let mut synonyms = self.synonyms(&[(config.broker, 1)]);
            if let Some(value) = self.group_value(group, config.name) {
                synonyms.insert(0, Synonym { source: Source::Group, name: config.name.to_owned(), value });
            }
            let in_force = synonyms.first();
            Entry {
                name: config.name.to_owned(),
                value: Some(in_force.map_or_else(|| config.default.to_string(), |s| s.value.clone())),
                source: in_force.map_or(Source::Default, |s| s.source),
                kind: Kind::Int,
                read_only: false,
                synonyms,
                doc: config.doc,
            }
        };
        GROUP_CONFIGS.iter().map(entry).collect()
    }
}
