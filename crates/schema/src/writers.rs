//! The writers' schemas of a topic, each with what was compiled from it, kept by id; Confluent's framing.

use crate::failure::{Failure, Fallible};
use crate::{NewSchema, RegistryError, SchemaRegistry, SchemaText};
use std::collections::HashMap;
use std::fmt::Display;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// So many plans are kept; a topic has few.
const KEPT: usize = 1000;

/// Splits a payload into the id of its writer's schema and what follows; `format` names it in errors.
#[inline]
pub(crate) fn framed<'a>(payload: &'a [u8], format: &str) -> Fallible<(u32, &'a [u8])> {
    match payload {
        [0, a, b, c, d, datum @ ..] => Ok((u32::from_be_bytes([*a, *b, *c, *d]), datum)),
        _ => Err(unframed(payload, format)),
    }
}

/// What stands before a datum of that schema.
pub(crate) fn begin(out: &mut Vec<u8>, id: u32) {
    out.push(0);
    out.extend_from_slice(&id.to_be_bytes());
}

#[cold]
fn unframed(payload: &[u8], format: &str) -> Box<Failure> {
    let found = match payload.first() {
        None => "it is empty".to_owned(),
        Some(0) => format!("5 bytes wanted at least, found {}", payload.len()),
        Some(other) => format!("magic byte 0 wanted, found 0x{other:02x}"),
    };
    Failure::new(format!("no {format} record in Confluent's framing: {found}"))
}

/// What a failed call on the registry means for a record.
pub(crate) fn of_registry(error: RegistryError) -> Box<Failure> {
    match error {
        RegistryError::Unavailable { .. } => Failure::passing(error.to_string()),
        other => Failure::new(other.to_string()),
    }
}

/// The schema of what is written under a subject.
pub(crate) struct Written {
    subject: String,
    schema: NewSchema,
    id: OnceLock<u32>,
}

impl Written {
    pub(crate) fn new(subject: String, schema: NewSchema) -> Self {
        Self { subject, schema, id: OnceLock::new() }
    }

    /// Its text.
    pub(crate) fn declaration(&self) -> &str {
        &self.schema.text
    }

    /// Its id: it is registered when the first record is written.
    pub(crate) fn id(&self, registry: &dyn SchemaRegistry) -> Fallible<u32> {
        if let Some(id) = self.id.get() {
            return Ok(*id);
        }
        let id = registry.register(&self.subject, &self.schema).map_err(of_registry)?;
        Ok(*self.id.get_or_init(|| id))
    }
}

/// A kept plan; the reason where a schema can never be used.
type Kept<P> = Result<Arc<P>, Arc<str>>;

/// Plans by id. What the registry could not tell is not kept: it may know it later.
pub(crate) struct Writers<P> {
    registry: Arc<dyn SchemaRegistry>,
    kept: Mutex<HashMap<u32, Kept<P>>>,
}

impl<P> Writers<P> {
    pub(crate) fn new(registry: Arc<dyn SchemaRegistry>) -> Self {
        Self { registry, kept: Mutex::new(HashMap::new()) }
    }

    pub(crate) fn registry(&self) -> &dyn SchemaRegistry {
        self.registry.as_ref()
    }

    /// The plan of a schema, compiled by `compile` the first time.
    pub(crate) fn plan<E: Display>(
        &self,
        id: u32,
        compile: impl FnOnce(&SchemaText) -> Result<P, E>,
    ) -> Fallible<Arc<P>> {
        let known = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        let plan = match known {
            Some(plan) => plan,
            None => {
                // The registry is asked without the lock: it may take its time.
                let text = self.registry.schema(id).map_err(of_registry)?;
                let plan = compile(&text).map(Arc::new).map_err(|e| format!("schema {id}: {e}").into());
                let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.len() >= KEPT {
                    kept.clear();
                }
                kept.insert(id, plan.clone());
                plan
            }
        };
        plan.map_err(|reason| Failure::new(&*reason))
    }

    /// What is known of an id without asking.
    fn kept(&self, id: u32) -> Option<Fallible<Arc<P>>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(&id).cloned().map(|plan| plan.map_err(|reason| Failure::new(&*reason)))
    }
}

/// Finds the plans of one batch: an id that fails is asked for once, and after the registry could not be asked nothing is.
pub(crate) struct Lookup<'a, P> {
    writers: &'a Writers<P>,
    last: Option<(u32, Arc<P>)>,
    failed: HashMap<u32, String>,
    away: Option<String>,
}

impl<'a, P> Lookup<'a, P> {
    pub(crate) fn new(writers: &'a Writers<P>) -> Self {
        Self { writers, last: None, failed: HashMap::new(), away: None }
    }

    #[inline]
    pub(crate) fn plan<E: Display>(
        &mut self,
        id: u32,
        compile: impl FnOnce(&SchemaText) -> Result<P, E>,
    ) -> Fallible<&Arc<P>> {
        if !matches!(&self.last, Some((last, _)) if *last == id) {
            self.last = Some((id, self.find(id, compile)?));
        }
        match &self.last {
            Some((_, plan)) => Ok(plan),
            None => Err(Failure::new("no plan")),
        }
    }

    fn find<E: Display>(
        &mut self,
        id: u32,
        compile: impl FnOnce(&SchemaText) -> Result<P, E>,
    ) -> Fallible<Arc<P>> {
        if let Some(reason) = self.failed.get(&id) {
            return Err(Failure::new(reason.as_str()));
        }
        if let Some(reason) = &self.away {
            return self.writers.kept(id).unwrap_or_else(|| Err(Failure::passing(reason.as_str())));
        }
        self.writers.plan(id, compile).inspect_err(|failure| {
            if failure.is_passing() {
                self.away = Some(failure.reason().to_owned());
            } else {
                self.failed.insert(id, failure.reason().to_owned());
            }
        })
    }
}
