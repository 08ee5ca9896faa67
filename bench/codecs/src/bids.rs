//! Nexmark's bids, the same in every run: 243 bytes each as JSON.

use bd_schema::{
    DataType, Field, NewSchema, RegisteredSchema, RegistryError, Row, Schema, SchemaRegistry, SchemaText,
    Value,
};
use std::sync::Arc;

/// Records in a batch.
pub(crate) const BATCH: usize = 4096;
/// Bytes of a bid as JSON.
const BYTES: usize = 243;

/// A registry of one schema.
pub(crate) struct One(Arc<SchemaText>);

impl One {
    pub(crate) fn new(schema: SchemaText) -> Arc<Self> {
        Arc::new(Self(Arc::new(schema)))
    }
}

impl SchemaRegistry for One {
    fn schema(&self, _: u32) -> Result<Arc<SchemaText>, RegistryError> {
        Ok(Arc::clone(&self.0))
    }

    fn register(&self, _: &str, _: &NewSchema) -> Result<u32, RegistryError> {
        Ok(1)
    }

    fn latest(&self, _: &str) -> Result<Option<RegisteredSchema>, RegistryError> {
        Ok(None)
    }
}

pub(crate) fn schema() -> Schema {
    Schema::new(vec![
        Field::new("auction", DataType::BigInt),
        Field::new("bidder", DataType::BigInt),
        Field::new("price", DataType::BigInt),
        Field::new("channel", DataType::Varchar),
        Field::new("url", DataType::Varchar),
        Field::new("date_time", DataType::Timestamp),
        Field::new("extra", DataType::Varchar),
    ])
}

pub(crate) fn rows() -> Vec<Row> {
    let channels = ["Google", "Facebook", "Baidu", "Apple", "channel-7462"];
    let names = r#"{"auction":,"bidder":,"price":,"channel":"","url":"","date_time":,"extra":""}"#;
    (0..BATCH as i64)
        .map(|i| {
            let numbers = [1000 + i * 7919 % 10_000, 1000 + i * 31 % 100_000, i * 104_729 % 25_000_000];
            let channel = channels[i as usize % channels.len()];
            let url =
                format!("https://www.nexmark.com/abo/x_{:02}/item.htm?query=1&channel_id={i:08}", i % 97);
            let time = 1_612_223_747_000 + i;
            let digits: usize = numbers.iter().chain([&time]).map(|n| n.to_string().len()).sum();
            let left = BYTES.saturating_sub(names.len() + digits + channel.len() + url.len());
            let extra = "aGVsbG8gbmV4bWFyayBmaWxsZXIgdGV4dA".chars().cycle().skip(i as usize % 7).take(left);
            let mut row: Row = numbers.map(Value::BigInt).into();
            row.push(Value::Varchar(channel.to_owned()));
            row.push(Value::Varchar(url));
            row.push(Value::Timestamp(time));
            row.push(Value::Varchar(extra.collect()));
            row
        })
        .collect()
}
