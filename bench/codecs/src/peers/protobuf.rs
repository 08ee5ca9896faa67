//! Protobuf: `prost-reflect`, which gets its schema at run time as bd does, to and from dynamic messages.

use super::Cases;
use crate::Case;
use crate::bids::{self, BATCH};
use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bd_schema::{Definition, ProtobufCodec, SchemaText, SchemaType};
use prost_reflect::prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use std::hint::black_box;

/// The framing: a zero byte, the id, the message's index.
const FRAMING: usize = 6;

pub(crate) fn cases(payloads: &[Vec<u8>]) -> Result<Cases> {
    let descriptor = descriptor()?;
    let records: Vec<Vec<u8>> =
        payloads.iter().map(|p| p.get(FRAMING..).unwrap_or_default().to_vec()).collect();
    let bytes = records.iter().map(Vec::len).sum::<usize>() / BATCH;
    let decoded = records.iter().map(|r| DynamicMessage::decode(descriptor.clone(), r.as_slice()));
    let messages: Vec<DynamicMessage> = decoded.collect::<Result<_, _>>()?;
    for (message, record) in messages.iter().zip(&records) {
        ensure!(message.encode_to_vec() == *record, "prost-reflect reads something else than bd");
    }
    let decode = Box::new(move || {
        for record in &records {
            black_box(DynamicMessage::decode(descriptor.clone(), black_box(record.as_slice()))?);
        }
        Ok(())
    });
    let mut out = Vec::new();
    let encode = Box::new(move || {
        out.clear();
        for message in &messages {
            black_box(message).encode(&mut out)?;
        }
        black_box(&out);
        Ok(())
    });
    Ok(Cases {
        decode: vec![Case { name: "decode PROTOBUF to messages, prost-reflect".into(), bytes, run: decode }],
        encode: vec![Case {
            name: "encode PROTOBUF from messages, prost-reflect".into(),
            bytes,
            run: encode,
        }],
    })
}

/// What bd declares for bids.
fn descriptor() -> Result<MessageDescriptor> {
    let declared = ProtobufCodec::bare(bids::schema())?.declaration().to_owned();
    let definition = Definition::parse(&SchemaText::new(SchemaType::Protobuf, declared))?;
    let serialized = definition.formatted("serialized").context("Protobuf has no serialized form")?;
    // It knows Google's own types.
    let mut pool = DescriptorPool::global();
    pool.decode_file_descriptor_proto(BASE64_STANDARD.decode(serialized)?.as_slice())?;
    let file = pool.files().last().context("no file was added")?;
    file.messages().next().context("the file declares no message")
}
