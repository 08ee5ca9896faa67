//! `org.apache.kafka.connect.json.JsonConverter`.

use super::primitive::{bytes, each};
use super::registered::Shapes;
use super::runs::RunsBuilder;
use super::{ConvertError, Converter, Memo, Payloads, Runs};
use crate::sdk::{Cells, Config, ConfigError, ConnectSchema};
use bd_schema::{
    Codec, Encoded, Enveloped, JsonCodec, JsonEnvelopeCodec, JsonEnvelopeReader, RecordError, Role, Row,
    envelope_schema_of,
};
use serde::de::IgnoredAny;
use serde_json::Value as Json;
use std::sync::Arc;

/// JSON with or without the schema in each record.
///
/// Keys: `schemas.enable` (true by default), `decimal.format` (`BASE64` by default, `NUMERIC`).
pub(super) struct JsonConverter {
    schemas: bool,
    numeric: bool,
    role: Role,
    writers: Memo<Box<dyn Codec>>,
    reader: JsonEnvelopeReader,
    shapes: Shapes,
}

impl JsonConverter {
    pub(super) fn new(keys: &Config, role: Role) -> Result<Self, ConfigError> {
        let schemas = keys.get("schemas.enable").is_none() || keys.boolean("schemas.enable")?;
        let numeric = numeric_decimals(keys)?;
        let (writers, reader, shapes) = (Memo::default(), JsonEnvelopeReader::default(), Shapes::default());
        Ok(Self { schemas, numeric, role, writers, reader, shapes })
    }

    fn writer(&self, schema: &ConnectSchema) -> Box<dyn Codec> {
        let columns = schema.columns().into_owned();
        let (data_type, mut known) = schema.as_field();
        known.required = true;
        let declaration = envelope_schema_of(&data_type, &known);
        let single = schema.is_single();
        let codec = if single { JsonCodec::key(columns) } else { JsonCodec::new(columns) };
        let codec = codec.decimals_unscaled(!self.numeric);
        match self.schemas {
            true => Box::new(JsonEnvelopeCodec::with_declaration(codec, &declaration)),
            false => Box::new(codec),
        }
    }

    fn encode_bytes(&self, cells: &[Option<Vec<u8>>]) -> Payloads {
        let mut out = Payloads::default();
        for cell in cells {
            let Some(cell) = cell else {
                out.push(None);
                continue;
            };
            if self.role == Role::Key && !self.schemas {
                out.push(Some(cell));
                continue;
            }
            out.write(|arena| {
                serde_json::from_slice::<IgnoredAny>(cell)
                    .map_err(|e| format!("not JSON, which JsonConverter must write: {e}"))?;
                if self.schemas {
                    arena.extend_from_slice(b"{\"schema\":null,\"payload\":");
                    arena.extend_from_slice(cell);
                    arena.push(b'}');
                } else {
                    arena.extend_from_slice(cell);
                }
                Ok(())
            });
        }
        out
    }

    /// One record with its schema; `None` is a null one.
    fn read(&mut self, payload: &[u8]) -> Result<Option<(Arc<ConnectSchema>, Row)>, String> {
        Ok(match self.reader.decode(payload).map_err(said)? {
            Enveloped::Null => None,
            Enveloped::Schemaless(payload) => {
                let json: Json = serde_json::from_slice(payload).map_err(|e| format!("not JSON: {e}"))?;
                let (schema, row) = crate::transform::infer(&json);
                Some((Arc::new(schema), row))
            }
            Enveloped::Row(shape, row) => Some((self.shapes.get(&shape, ConnectSchema::read), row)),
        })
    }
}

impl Converter for JsonConverter {
    fn class(&self) -> &'static str {
        "org.apache.kafka.connect.json.JsonConverter"
    }

    fn encode(&mut self, _topic: &str, cells: &Cells) -> Result<Payloads, ConvertError> {
        let schema = match cells {
            Cells::Null(_) => return each(cells, |_, _, _| Ok(())),
            Cells::Bytes(cells) => return Ok(self.encode_bytes(cells)),
            Cells::Rows { schema, .. } | Cells::Arrow { schema, .. } => schema,
        };
        let mut writers = std::mem::take(&mut self.writers);
        let writer = writers.get(schema, |s| Ok::<_, ConvertError>(self.writer(s)));
        let result = writer.and_then(|codec| write(codec.as_ref(), cells));
        self.writers = writers;
        result
    }

    fn decode(&mut self, _topic: &str, payloads: &[Option<&[u8]>]) -> Result<Runs, ConvertError> {
        if !self.schemas {
            return Ok(plain(payloads));
        }
        let mut runs = RunsBuilder::default();
        for payload in payloads {
            match payload.map(|p| self.read(p)) {
                None | Some(Ok(None)) => runs.null(),
                Some(Ok(Some((schema, row)))) => runs.row(&schema, row),
                Some(Err(reason)) => runs.fail(reason),
            }
        }
        Ok(runs.finish())
    }
}

/// Records without schemas: checked, and left as they are.
fn plain(payloads: &[Option<&[u8]>]) -> Runs {
    let failed: Vec<(usize, String)> = payloads
        .iter()
        .enumerate()
        .filter_map(|(i, p)| Some((i, serde_json::from_slice::<IgnoredAny>((*p)?).err()?.to_string())))
        .map(|(i, error)| (i, format!("not JSON: {error}")))
        .collect();
    let mut runs = Runs { runs: Vec::new(), failed };
    let mut start = 0;
    for end in runs.failed.iter().map(|(i, _)| *i).chain([payloads.len()]) {
        if end > start {
            runs.runs.push((start..end, bytes(&payloads[start..end])));
        }
        start = end + 1;
    }
    runs
}

fn said(error: RecordError) -> String {
    match error.path.as_str() {
        "" => error.reason,
        path => format!("field {path}: {}", error.reason),
    }
}

fn write(codec: &dyn Codec, cells: &Cells) -> Result<Payloads, ConvertError> {
    if let Cells::Arrow { batch, .. } = cells {
        let mut encoded = Encoded::default();
        // A record that JSON cannot hold (NaN) is found again row by row, so that the others are written.
        if codec.encode_arrow(batch, &mut encoded).is_ok() {
            let mut out = Payloads::default();
            (0..batch.num_rows()).for_each(|i| out.push(Some(encoded.get(i))));
            return Ok(out);
        }
    }
    each(cells, |row, _, arena| codec.encode_row(row, arena).map_err(|e| e.to_string()))
}

/// `decimal.format`: whether decimals are numbers, not base64.
pub(super) fn numeric_decimals(keys: &Config) -> Result<bool, ConfigError> {
    match keys.get("decimal.format").map(str::to_ascii_uppercase).as_deref() {
        None | Some("BASE64") => Ok(false),
        Some("NUMERIC") => Ok(true),
        Some(other) => {
            let reason = format!("invalid value {other}: expected BASE64 or NUMERIC");
            Err(ConfigError::new("decimal.format", reason))
        }
    }
}
