//! What REST does to connectors. One operation at a time.

use super::validate::{Validation, validate};
use super::{Inner, Worker};
use crate::ConnectError;
use crate::store::{State, Stored, TargetState};
use parking_lot::MutexGuard;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

/// A connector's configuration.
pub(crate) type Configuration = BTreeMap<String, String>;

/// The longest name of a connector.
const LONGEST_NAME: usize = 200;

impl Inner {
    pub(super) fn operate(&self) -> Result<MutexGuard<'_, ()>, ConnectError> {
        let operating = self.operating.lock();
        if self.closed.load(Ordering::Acquire) {
            return Err(ConnectError::Internal("the worker is shutting down".into()));
        }
        Ok(operating)
    }

    pub(super) fn stored(&self, name: &str) -> Result<Stored, ConnectError> {
        self.configs.all().remove(name).ok_or_else(|| ConnectError::no_connector(name))
    }
}

impl Worker {
    /// The names of all connectors.
    pub(crate) fn names(&self) -> Vec<String> {
        self.inner.configs.all().into_keys().collect()
    }

    /// A connector's configuration, references unresolved.
    pub(crate) fn config(&self, name: &str) -> Result<Configuration, ConnectError> {
        Ok(self.inner.stored(name)?.config)
    }

    /// Validates a configuration for its own class, or for the one that is given.
    pub(crate) fn validate(
        &self,
        class: Option<&str>,
        config: &Configuration,
    ) -> Result<Validation, ConnectError> {
        let own = config.get("connector.class").map(|c| c.trim()).filter(|c| !c.is_empty());
        let Some(class) = own.or(class) else {
            return Err(ConnectError::BadRequest(format!(
                "Connector config {{{}}} contains no connector type",
                config.keys().cloned().collect::<Vec<_>>().join(", ")
            )));
        };
        let plugin = self.inner.plugins.find(class)?;
        let registry = self.inner.registry.as_ref();
        Ok(validate(plugin.as_ref(), config, &self.inner.config.converters, registry))
    }

    /// Creates a connector (`true`) or gives it another configuration. With `create_only` an existing one is a conflict.
    pub(crate) fn put_config(
        &self,
        name: &str,
        mut config: Configuration,
        initial: Option<TargetState>,
        create_only: bool,
    ) -> Result<bool, ConnectError> {
        check_name(name)?;
        match config.get("name").filter(|n| n.as_str() != name) {
            Some(other) => {
                return Err(ConnectError::BadRequest(format!(
                    "Connector name configuration ({other}) doesn't match connector name in the URL ({name})"
                )));
            }
            None => drop(config.insert("name".into(), name.to_owned())),
        }
        let validation = self.validate(None, &config)?;
        if let Some(refusal) = validation.refusal() {
            return Err(ConnectError::BadRequest(refusal));
        }
        let inner = &self.inner;
        let _operating = inner.operate()?;
        let known = inner.configs.all().remove(name);
        if create_only && known.is_some() {
            return Err(ConnectError::Conflict(format!("Connector {name} already exists")));
        }
        if known.as_ref().is_some_and(|known| known.config == config)
            && inner.running.lock().contains_key(name)
        {
            return Ok(false);
        }
        inner.configs.put(name, &config, initial.filter(|_| known.is_none()))?;
        inner.stop(name);
        inner.start(name, &inner.stored(name)?);
        Ok(known.is_none())
    }

    /// Changes some keys of a configuration; null removes a key.
    pub(crate) fn patch_config(&self, name: &str, patch: &Map<String, Value>) -> Result<(), ConnectError> {
        let mut config = self.config(name)?;
        for (key, value) in patch {
            match value {
                Value::Null => drop(config.remove(key)),
                Value::String(text) => drop(config.insert(key.clone(), text.clone())),
                other => drop(config.insert(key.clone(), other.to_string())),
            }
        }
        self.put_config(name, config, None, false).map(|_| ())
    }

    pub(crate) fn delete(&self, name: &str) -> Result<(), ConnectError> {
        let inner = &self.inner;
        let _operating = inner.operate()?;
        inner.stored(name)?;
        inner.configs.delete(name)?;
        inner.stop(name);
        inner.statuses.connector_gone(name);
        Ok(())
    }

    /// Starts, pauses or stops a connector, now and after restarts.
    pub(crate) fn set_target(&self, name: &str, target: TargetState) -> Result<(), ConnectError> {
        let inner = &self.inner;
        let _operating = inner.operate()?;
        let stored = inner.stored(name)?;
        if stored.target == target {
            return Ok(());
        }
        inner.configs.put_target(name, target)?;
        if stored.target == TargetState::Stopped || target == TargetState::Stopped {
            inner.stop(name);
            inner.start(name, &Stored { target, ..stored });
            return Ok(());
        }
        let paused = target == TargetState::Paused;
        let state = if paused { State::Paused } else { State::Running };
        if let Some(running) = inner.running.lock().get_mut(name)
            && running.state != State::Failed
        {
            running.tasks.iter().for_each(|t| t.shared.pause(paused));
            running.state = state;
            inner.statuses.connector(name, state, None);
        }
        Ok(())
    }

    /// Restarts the connector, and its tasks where that is asked for. A connector that failed is started with its tasks.
    pub(crate) fn restart(&self, name: &str, tasks: bool, only_failed: bool) -> Result<(), ConnectError> {
        let inner = &self.inner;
        let _operating = inner.operate()?;
        let stored = inner.stored(name)?;
        let (failed, states) = match inner.running.lock().get(name) {
            None => (true, Vec::new()),
            Some(running) => {
                let states: Vec<State> = running.tasks.iter().map(|t| t.shared.state().0).collect();
                (running.state == State::Failed, states)
            }
        };
        if failed || tasks && !only_failed {
            inner.stop(name);
            inner.start(name, &stored);
            return Ok(());
        }
        let paused = stored.target == TargetState::Paused;
        for (id, state) in states.into_iter().enumerate() {
            if tasks && state == State::Failed {
                inner.restart_task(name, id, paused);
            }
        }
        Ok(())
    }

    pub(crate) fn restart_task(&self, name: &str, id: usize) -> Result<(), ConnectError> {
        let inner = &self.inner;
        let _operating = inner.operate()?;
        let stored = inner.stored(name)?;
        if inner.restart_task(name, id, stored.target == TargetState::Paused) {
            return Ok(());
        }
        Err(ConnectError::NotFound(format!("Unknown task: {name}-{id}")))
    }
}

fn check_name(name: &str) -> Result<(), ConnectError> {
    let refuse = |reason: &str| Err(ConnectError::BadRequest(format!("connector name {reason}")));
    if name.trim().is_empty() {
        return refuse("may not be empty");
    }
    if name.chars().any(char::is_control) {
        return refuse("may not contain control characters");
    }
    if name.len() > LONGEST_NAME {
        return refuse("is too long");
    }
    Ok(())
}
