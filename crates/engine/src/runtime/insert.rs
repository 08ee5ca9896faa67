//! INSERT INTO ... VALUES.

use super::input::{key_codec, value_codec};
use super::sink::null_is_null;
use super::state::now_ms;
use crate::error::EngineError;
use bd_cluster::{Cluster, ClusterError, RecordsBuilder, TopicPartition, Writer, partition_of_key};
use bd_schema::{Codecs, Row, Value};
use bd_sql::catalog::{ColumnPlace, SourceDef};
use std::time::Duration;

/// Writes one row, with a value for each of the source's columns.
pub(super) fn insert(
    writer: &mut dyn Writer,
    cluster: &dyn Cluster,
    codecs: &Codecs,
    source: &SourceDef,
    values: &Row,
) -> Result<(), EngineError> {
    let pick = |places: Vec<usize>| -> Row { places.into_iter().map(|i| values[i].clone()).collect() };
    let failed =
        |e: bd_schema::RecordError| EngineError::Statement(format!("INSERT INTO {}: {e}", source.name));
    let key_values = pick(source.key_columns());
    let key = match key_values.as_slice() {
        [] => None,
        // As in ksqlDB. The analyzer has seen to it that the row of a table has its key.
        [Value::Null] => None,
        _ => {
            let mut key = Vec::new();
            key_codec(source, codecs)?.encode_row(&key_values, &mut key).map_err(failed)?;
            Some(key)
        }
    };
    let codec = value_codec(source, &source.value_schema(), codecs)?;
    let of_value = |i: &usize| source.columns[*i].place != ColumnPlace::Key;
    let row = pick((0..values.len()).filter(of_value).collect());
    let mut value = Some(Vec::new());
    if null_is_null(source) && row.iter().all(|v| *v == Value::Null) {
        value = None;
    } else if let Some(value) = &mut value {
        codec.encode_row(&row, value).map_err(failed)?;
    }
    let info = cluster.topic(&source.topic)?;
    let partitions = info.ok_or_else(|| ClusterError::UnknownTopic(source.topic.clone()))?.partitions;
    let partition =
        partition_of_key(key.as_deref().or(value.as_deref()).unwrap_or_default(), partitions as usize);
    let mut records = RecordsBuilder::new();
    records.push(key.as_deref(), value.as_deref(), now_ms(), &[]);
    let tp = TopicPartition::new(source.topic.as_str(), partition as i32);
    writer.append(&tp, records)?.wait(Duration::from_secs(60))?;
    Ok(())
}
