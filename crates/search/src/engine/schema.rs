//! The tantivy schema, the same for every index: an Elasticsearch mapping grows, a tantivy schema cannot.
//!
//! Fields of the mapping have numbers; values lie under that number in one of three JSON fields, by what they need:
//! `s` exact strings (terms and columns), `n` numbers, dates and booleans (columns only; dates as ms since 1970, booleans as
//! 0 and 1), `t` analysed text (terms with positions). A number keeps the type of its mapping, so that a column has one type
//! in all segments.

use tantivy::schema::{
    FAST, Field, IndexRecordOption, JsonObjectOptions, NumericOptions, STORED, STRING, Schema,
    TextFieldIndexing, TextOptions,
};

/// Name of the analyzer of text fields.
pub(crate) const STANDARD: &str = "bd_standard";

/// The fields of every tantivy document.
#[derive(Debug, Clone)]
pub(crate) struct Fields {
    pub(crate) schema: Schema,
    /// `_id`.
    pub(crate) id: Field,
    /// `_source`, the bytes as they were sent.
    pub(crate) source: Field,
    /// `_ignored`, names of fields.
    pub(crate) ignored: Field,
    /// Numbers of fields that have a value but no column.
    pub(crate) exists: Field,
    pub(crate) strings: Field,
    pub(crate) numbers: Field,
    pub(crate) text: Field,
    /// `_seq_no`.
    pub(crate) seq: Field,
    /// `_version`.
    pub(crate) version: Field,
}

/// Columns by name.
pub(crate) const SEQ: &str = "seq";
pub(crate) const VERSION: &str = "version";

impl Fields {
    pub(crate) fn new() -> Fields {
        let mut builder = Schema::builder();
        let number = NumericOptions::default().set_fast();
        let raw = TextFieldIndexing::default()
            .set_tokenizer("raw")
            .set_fieldnorms(false)
            .set_index_option(IndexRecordOption::Basic);
        let standard = TextFieldIndexing::default()
            .set_tokenizer(STANDARD)
            .set_index_option(IndexRecordOption::WithFreqsAndPositions);
        let id = builder.add_text_field("id", STRING | STORED);
        let source = builder.add_bytes_field("source", STORED);
        let ignored = builder.add_text_field("ignored", TextOptions::default().set_stored());
        let exists = builder.add_text_field("exists", STRING);
        let strings = builder
            .add_json_field("s", JsonObjectOptions::default().set_indexing_options(raw).set_fast("raw"));
        let numbers = builder.add_json_field("n", JsonObjectOptions::from(FAST));
        let text = builder.add_json_field("t", JsonObjectOptions::default().set_indexing_options(standard));
        let seq = builder.add_u64_field(SEQ, number.clone());
        let version = builder.add_u64_field(VERSION, number);
        let schema = builder.build();
        Fields { schema, id, source, ignored, exists, strings, numbers, text, seq, version }
    }
}
