//! Producer ids: each is given out once, ever.

use crate::store::meta::{MetaStore, ProducerIdsFile};
use kafka_protocol::ResponseError as E;
use parking_lot::Mutex;

const FILE: &str = "producer-ids.json";
/// So many ids are reserved by one write of the file; a crash loses the rest of them.
const BLOCK: i64 = 1000;

/// Gives out ids from blocks that are reserved on disk first.
pub(crate) struct ProducerIds {
    meta: MetaStore,
    /// (next id, end of the reserved block).
    block: Mutex<(i64, i64)>,
}

impl ProducerIds {
    pub(crate) fn open(meta: MetaStore) -> Result<Self, crate::BrokerError> {
        let next = meta.load::<ProducerIdsFile>(FILE)?.unwrap_or_default().next;
        Ok(Self { meta, block: Mutex::new((next, next)) })
    }

    pub(crate) fn next(&self) -> Result<i64, E> {
        let mut block = self.block.lock();
        if block.0 == block.1 {
            let end = block.1 + BLOCK;
            self.meta.store(FILE, &ProducerIdsFile { next: end }).map_err(|error| {
                tracing::error!(%error, "cannot reserve producer ids");
                E::CoordinatorNotAvailable
            })?;
            block.1 = end;
        }
        block.0 += 1;
        Ok(block.0 - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bd_log::RealFs;
    use std::sync::Arc;

    #[test]
    fn no_id_is_given_out_twice_over_restarts() {
        let dir = tempfile::tempdir().unwrap();
        let meta = MetaStore::open(Arc::new(RealFs), dir.path()).unwrap();
        let mut last = -1;
        for _ in 0..3 {
            let ids = ProducerIds::open(meta.clone()).unwrap();
            for _ in 0..BLOCK + 1 {
                let id = ids.next().unwrap();
                assert!(id > last);
                last = id;
            }
        }
    }
}
