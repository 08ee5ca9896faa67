//! What was derived from the last few schemas, so that a batch costs one look-up.

use crate::sdk::ConnectSchema;
use std::sync::Arc;

/// More schemas than this at once are derived anew each time round.
const KEPT: usize = 16;

/// Derivations by schema; schemas are compared as pointers first.
pub(crate) struct Memo<T> {
    entries: Vec<(Arc<ConnectSchema>, T)>,
}

impl<T> Default for Memo<T> {
    fn default() -> Self {
        Self { entries: Vec::new() }
    }
}

impl<T> Memo<T> {
    /// What `derive` made, or makes now, of the schema.
    pub(crate) fn get<E>(
        &mut self,
        schema: &Arc<ConnectSchema>,
        derive: impl FnOnce(&Arc<ConnectSchema>) -> Result<T, E>,
    ) -> Result<&mut T, E> {
        let found = self.entries.iter().position(|(s, _)| Arc::ptr_eq(s, schema) || s == schema);
        let at = match found {
            Some(at) => at,
            None => {
                if self.entries.len() >= KEPT {
                    self.entries.remove(0);
                }
                self.entries.push((Arc::clone(schema), derive(schema)?));
                self.entries.len() - 1
            }
        };
        Ok(&mut self.entries[at].1)
    }
}
