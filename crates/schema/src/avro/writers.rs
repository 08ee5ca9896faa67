//! The writers' schemas of a topic, each with its plan, kept by id.

use super::plan::Plan;
use super::{of_registry, parse};
use crate::failure::{Failure, Fallible};
use crate::{Role, Schema, SchemaRegistry};
use apache_avro::Schema as Avro;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// So many plans are kept; a topic has few.
const KEPT: usize = 1000;

/// Splits a payload into the id of its writer's schema and the datum.
#[inline]
pub(super) fn framed(payload: &[u8]) -> Fallible<(u32, &[u8])> {
    match payload {
        [0, a, b, c, d, datum @ ..] => Ok((u32::from_be_bytes([*a, *b, *c, *d]), datum)),
        _ => Err(unframed(payload)),
    }
}

#[cold]
fn unframed(payload: &[u8]) -> Box<Failure> {
    Failure::new(match payload.first() {
        None => "no Avro record in Confluent's framing: it is empty".to_owned(),
        Some(0) => {
            format!("no Avro record in Confluent's framing: 5 bytes wanted at least, found {}", payload.len())
        }
        Some(other) => {
            format!("no Avro record in Confluent's framing: magic byte 0 wanted, found 0x{other:02x}")
        }
    })
}

/// A kept plan; the reason where a schema can never be used.
pub(super) type Kept<P> = Result<Arc<P>, Arc<str>>;

/// Plans by id. What the registry could not tell is not kept: it may know it later.
pub(super) struct Writers<P = Plan> {
    registry: Arc<dyn SchemaRegistry>,
    kept: Mutex<HashMap<u32, Kept<P>>>,
}

impl<P> Writers<P> {
    pub(super) fn new(registry: Arc<dyn SchemaRegistry>) -> Self {
        Self { registry, kept: Mutex::new(HashMap::new()) }
    }

    pub(super) fn registry(&self) -> &dyn SchemaRegistry {
        self.registry.as_ref()
    }

    /// The plan of a schema, compiled from its text by `compile` the first time.
    pub(super) fn plan(
        &self,
        id: u32,
        compile: impl FnOnce(&Arc<str>) -> Result<P, parse::AvroError>,
    ) -> Fallible<Arc<P>> {
        let known = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        let plan = match known {
            Some(plan) => plan,
            None => {
                // The registry is asked without the lock: it may take its time.
                let text = self.registry.schema(id).map_err(of_registry)?.whole();
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
}

/// Finds the plans of one batch: an id that fails is asked for once, and after the registry could not be asked nothing is.
pub(super) struct Lookup<'a> {
    writers: &'a Writers,
    schema: &'a Schema,
    reader: Option<&'a Avro>,
    role: Role,
    last: Option<(u32, Arc<Plan>)>,
    failed: HashMap<u32, String>,
    away: Option<String>,
}

impl<'a> Lookup<'a> {
    pub(super) fn new(
        writers: &'a Writers,
        schema: &'a Schema,
        reader: Option<&'a Avro>,
        role: Role,
    ) -> Self {
        Self { writers, schema, reader, role, last: None, failed: HashMap::new(), away: None }
    }

    #[inline]
    pub(super) fn plan(&mut self, id: u32) -> Fallible<&Plan> {
        if !matches!(&self.last, Some((last, _)) if *last == id) {
            self.last = Some((id, self.find(id)?));
        }
        match &self.last {
            Some((_, plan)) => Ok(plan),
            None => Err(Failure::new("no plan")),
        }
    }

    fn find(&mut self, id: u32) -> Fallible<Arc<Plan>> {
        if let Some(reason) = self.failed.get(&id) {
            return Err(Failure::new(reason.as_str()));
        }
        let (schema, reader, role, away) = (self.schema, self.reader, self.role, &self.away);
        if let Some(reason) = away {
            return self.writers.kept(id).unwrap_or_else(|| Err(Failure::passing(reason.as_str())));
        }
        let compile =
            |text: &Arc<str>| Plan::compile(&parse::schema(&parse::json(text)?, true)?, reader, schema, role);
        self.writers.plan(id, compile).inspect_err(|failure| {
            if failure.is_passing() {
                self.away = Some(failure.reason().to_owned());
            } else {
                self.failed.insert(id, failure.reason().to_owned());
            }
        })
    }
}

impl Writers {
    /// What is known of an id without asking.
    fn kept(&self, id: u32) -> Option<Fallible<Arc<Plan>>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(&id).cloned().map(|plan| plan.map_err(|reason| Failure::new(&*reason)))
    }
}
