//! Reading: what searches see, and single documents by id.

use std::collections::BTreeSet;

use bytes::Bytes;
use tantivy::columnar::Column;
use tantivy::schema::{IndexRecordOption, Value};
use tantivy::{DocAddress, DocSet, Searcher, TERMINATED, TantivyDocument, Term};

use super::Engine;
use super::schema::{Fields, SEQ, VERSION};
use crate::error::EsResult;

/// A searchable state of an index. It stays as it is while changes go on.
pub(crate) struct Snapshot {
    pub(crate) searcher: Searcher,
    /// Sequence numbers and versions by segment.
    pub(crate) stamps: Vec<Stamps>,
}

/// Columns of one segment.
pub(crate) struct Stamps {
    pub(crate) seq: Column<u64>,
    pub(crate) version: Column<u64>,
}

/// A document as it lies in the index.
pub(crate) struct Stored {
    pub(crate) id: String,
    pub(crate) source: Bytes,
    pub(crate) ignored: BTreeSet<String>,
}

/// A document found by id.
pub(crate) struct Got {
    pub(crate) seq: u64,
    pub(crate) version: u64,
    pub(crate) source: Bytes,
}

impl Snapshot {
    pub(super) fn new(searcher: Searcher) -> tantivy::Result<Snapshot> {
        let stamps = searcher
            .segment_readers()
            .iter()
            .map(|segment| {
                let columns = segment.fast_fields();
                Ok(Stamps { seq: columns.u64(SEQ)?, version: columns.u64(VERSION)? })
            })
            .collect::<tantivy::Result<_>>()?;
        Ok(Snapshot { searcher, stamps })
    }

    /// Where a document lies.
    pub(super) fn find(&self, fields: &Fields, id: &str) -> tantivy::Result<Option<DocAddress>> {
        let term = Term::from_field_text(fields.id, id);
        for (ord, segment) in self.searcher.segment_readers().iter().enumerate() {
            let index = segment.inverted_index(fields.id)?;
            let Some(mut postings) = index.read_postings(&term, IndexRecordOption::Basic)? else { continue };
            let mut doc = postings.doc();
            while doc != TERMINATED {
                if !segment.is_deleted(doc) {
                    return Ok(Some(DocAddress::new(ord as u32, doc)));
                }
                doc = postings.advance();
            }
        }
        Ok(None)
    }

    /// Sequence number and version of a document.
    pub(crate) fn stamp(&self, at: DocAddress) -> (u64, u64) {
        let stamps = self.stamps.get(at.segment_ord as usize);
        let first = |column: &Column<u64>| column.first(at.doc_id).unwrap_or_default();
        stamps.map_or((0, 0), |stamps| (first(&stamps.seq), first(&stamps.version)))
    }

    /// What is stored of a document.
    pub(crate) fn stored(&self, fields: &Fields, at: DocAddress) -> EsResult<Stored> {
        let document: TantivyDocument = self.searcher.doc(at)?;
        let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
        let id = document.get_first(fields.id);
        let source = document.get_first(fields.source);
        Ok(Stored {
            id: text(id.as_ref().and_then(|value| value.as_str())),
            source: Bytes::copy_from_slice(
                source.as_ref().and_then(|value| value.as_bytes()).unwrap_or_default(),
            ),
            ignored: document.get_all(fields.ignored).map(|value| text(value.as_str())).collect(),
        })
    }
}

impl Engine {
    /// What searches see now.
    pub(crate) fn snapshot(&self) -> std::sync::Arc<Snapshot> {
        self.snapshot.read().clone()
    }

    /// A document by id, as of now (`realtime`), not only as searches see it.
    pub(crate) fn get(&self, id: &str, realtime: bool) -> EsResult<Option<Got>> {
        if realtime && let Some(known) = self.core.lock().versions.get(id) {
            return Ok(known.source.as_ref().map(|source| Got {
                seq: known.seq,
                version: known.version,
                source: source.clone(),
            }));
        }
        // A refresh in between shows the change in the snapshot taken after it.
        let snapshot = self.snapshot();
        let Some(at) = snapshot.find(&self.fields, id)? else { return Ok(None) };
        let stored = snapshot.stored(&self.fields, at)?;
        let (seq, version) = snapshot.stamp(at);
        Ok(Some(Got { seq, version, source: stored.source }))
    }
}
