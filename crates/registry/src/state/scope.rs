//! Configs and modes: what holds for a subject is what is set for it, else for its context, else for all.

use super::State;
use crate::config::{Config, Mode};
use crate::subject::{self, Qualified};
use std::collections::BTreeMap;

impl State {
    /// What is set for that subject or context itself; of all, or of the global context, what holds.
    pub(crate) fn own_config(&self, name: &str) -> Option<Config> {
        let level = |config: &Config| config.clone().or_level(self.level);
        let default = || is_top(name).then(|| Config::default().or_level(self.level));
        self.configs.get(name).map(level).or_else(default)
    }

    /// What holds for a subject, a context, or with the empty name for all.
    pub(crate) fn config(&self, name: &str) -> Config {
        if !name.is_empty()
            && let Some(own) = self.own_config(name)
        {
            let global = self.own_config("").unwrap_or_default();
            return own.over(global);
        }
        let found = scopes(name).into_iter().find_map(|scope| self.configs.get(&scope));
        found.cloned().unwrap_or_default().or_level(self.level)
    }

    /// Whether something is set for that subject or context itself.
    pub(crate) fn has_config(&self, name: &str) -> bool {
        self.configs.contains_key(name)
    }

    /// The config as it is set, before defaults.
    pub(crate) fn set_config(&self, name: &str) -> Option<&Config> {
        self.configs.get(name)
    }

    /// As [`State::own_config`].
    pub(crate) fn own_mode(&self, name: &str) -> Option<Mode> {
        let default = || is_top(name).then_some(Mode::ReadWrite);
        self.modes.get(name).copied().or_else(default)
    }

    /// As [`State::config`].
    pub(crate) fn mode(&self, name: &str) -> Mode {
        let own = self.modes.get(name).copied();
        let above = || scopes(name).into_iter().find_map(|scope| self.modes.get(&scope).copied());
        own.or_else(above).unwrap_or(Mode::ReadWrite)
    }

    /// Whether a mode is set for that subject or context itself.
    pub(crate) fn has_mode(&self, name: &str) -> bool {
        self.modes.contains_key(name)
    }

    /// The subjects and contexts of that prefix for which a mode is set.
    pub(crate) fn modes_under(&self, prefix: &str) -> Vec<String> {
        let names = self.modes.keys().filter(|name| !name.is_empty());
        let of_default = prefix.is_empty();
        let under = names.filter(|name| match of_default {
            true => Qualified::parse(name).is_default(),
            false => name.starts_with(prefix),
        });
        under.cloned().collect()
    }

    /// The subject that stands for this one: its alias, where it has one.
    pub(crate) fn resolved(&self, name: &str) -> Option<String> {
        let alias = self.configs.get(name)?.alias.as_deref()?;
        Some(subject::within(name, alias))
    }

    /// The subjects that are aliases, by the subject that each stands for.
    pub(crate) fn aliases(&self) -> BTreeMap<String, Vec<String>> {
        let mut aliases = BTreeMap::<String, Vec<String>>::new();
        for name in self.configs.keys() {
            if let Some(subject) = self.resolved(name) {
                aliases.entry(subject).or_default().push(name.clone());
            }
        }
        aliases
    }
}

fn is_top(name: &str) -> bool {
    name.is_empty() || Qualified::parse(name).context == Qualified::parse(&subject::global()).context
}

/// Where the config of a subject is looked for when it has none itself.
fn scopes(name: &str) -> [String; 2] {
    [Qualified::parse(name).prefix(), subject::global()]
}
