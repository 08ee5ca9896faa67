//! The schedule as a Parquet file: one row a channel, nested.
//!
//! | column | type |
//! |---|---|
//! | `channel` | string |
//! | `channel_id` | int64 |
//! | `schedule` | map of day (`dd-MM-yyyy`) to list of {`program` string, `program_id` int64, `start` string `HH:mm:ss`} |
//!
//! All times are UTC. The file is whole when it appears. A files connector reads a file once, so each day's schedule has a name of its
//! own: `channels-2026-11-22.parquet`.

use crate::files;
use crate::world::{Lineup, World, lineup};
use anyhow::{Context, Result};
use arrow_array::builder::{
    ArrayBuilder, Int64Builder, ListBuilder, MapBuilder, MapFieldNames, StringBuilder, StructBuilder,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Fields};
use chrono::DateTime;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// A channel with its schedule.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Channel {
    /// Its name.
    pub channel: Option<String>,
    /// Its id.
    pub channel_id: i64,
    /// Its days.
    pub schedule: Days,
}

/// The programs of each day, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Days(pub Vec<(String, Vec<Program>)>);

/// A program.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Program {
    /// Its title.
    pub program: Option<String>,
    /// Its id.
    pub program_id: Option<i64>,
    /// When it starts: `HH:mm:ss`, UTC.
    pub start: Option<String>,
}

impl<'de> Deserialize<'de> for Days {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Days;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a mapping of days to lists of programs")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Days, A::Error> {
                let mut days: Vec<(String, Vec<Program>)> = Vec::new();
                while let Some((day, programs)) = map.next_entry::<String, Vec<Program>>()? {
                    // Of two equal days the later one holds, as of any key of JSON.
                    days.retain(|(other, _)| *other != day);
                    days.push((day, programs));
                }
                Ok(Days(days))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// The schedule of a world around a time (epoch seconds): yesterday, today, tomorrow.
pub fn of_world(world: &World, time: i64) -> Vec<Channel> {
    let today = lineup::day_of(time);
    let day = |channel: &lineup::Channel, day: i64| {
        let programs = lineup::programs(world.seed, channel, day);
        let of = |p: lineup::Program| Program {
            program: Some(p.title),
            program_id: Some(p.id),
            start: Some(format!("{:02}:{:02}:{:02}", p.start / 3600, p.start / 60 % 60, p.start % 60)),
        };
        (lineup::day_text(day), programs.into_iter().map(of).collect())
    };
    let of = |channel: &lineup::Channel| Channel {
        channel: Some(channel.name.to_owned()),
        channel_id: channel.id,
        schedule: Days((today - 1..=today + 1).map(|d| day(channel, d)).collect()),
    };
    Lineup::default().channels.iter().map(of).collect()
}

/// Makes the schedule around a time (epoch seconds) the only file of the folder, if it is not there yet.
///
/// # Errors
/// The file system's.
pub fn publish(folder: &Path, world: &World, time: i64) -> Result<()> {
    let date = DateTime::from_timestamp(time, 0).unwrap_or_default().format("%Y-%m-%d");
    let path = folder.join(format!("channels-{date}.parquet"));
    if !path.exists() {
        write(&path, &of_world(world, time))?;
    }
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let other = entry?.path();
        if other != path {
            std::fs::remove_file(&other).with_context(|| format!("cannot delete {}", other.display()))?;
        }
    }
    Ok(())
}

/// Writes the file; readers see the old one or the new one.
///
/// # Errors
/// The file system's.
pub fn write(path: &Path, channels: &[Channel]) -> Result<()> {
    let batch = batch(channels)?;
    let temporary = files::temporary(path);
    let written = (|| {
        let file = File::create(&temporary)?;
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties))?;
        writer.write(&batch)?;
        writer.into_inner()?.sync_data()?;
        std::fs::rename(&temporary, path)?;
        Ok::<_, anyhow::Error>(())
    })();
    written.with_context(|| format!("cannot write the schedule {}", path.display()))
}

fn batch(channels: &[Channel]) -> Result<RecordBatch> {
    let fields = Fields::from(vec![
        Field::new("program", DataType::Utf8, true),
        Field::new("program_id", DataType::Int64, true),
        Field::new("start", DataType::Utf8, true),
    ]);
    let columns: Vec<Box<dyn ArrayBuilder>> =
        vec![Box::new(StringBuilder::new()), Box::new(Int64Builder::new()), Box::new(StringBuilder::new())];
    let programs = ListBuilder::new(StructBuilder::new(fields, columns));
    // The names of Parquet's specification.
    let names = MapFieldNames { entry: "key_value".into(), key: "key".into(), value: "value".into() };
    let mut schedule = MapBuilder::new(Some(names), StringBuilder::new(), programs);
    let (mut names, mut ids) = (StringBuilder::new(), Int64Builder::new());
    for channel in channels {
        names.append_option(channel.channel.as_deref());
        ids.append_value(channel.channel_id);
        for (day, programs) in &channel.schedule.0 {
            schedule.keys().append_value(day);
            let list = schedule.values();
            for program in programs {
                let row = list.values();
                text(row, 0)?.append_option(program.program.as_deref());
                row.field_builder::<Int64Builder>(1)
                    .context("no such column")?
                    .append_option(program.program_id);
                text(row, 2)?.append_option(program.start.as_deref());
                row.append(true);
            }
            list.append(true);
        }
        schedule.append(true)?;
    }
    let (names, ids, schedule) = (names.finish(), ids.finish(), schedule.finish());
    let columns: [(&str, ArrayRef, bool); 3] = [
        ("channel", Arc::new(names), true),
        ("channel_id", Arc::new(ids), false),
        ("schedule", Arc::new(schedule), true),
    ];
    let schema =
        columns.iter().map(|(name, column, null)| Field::new(*name, column.data_type().clone(), *null));
    let schema = Arc::new(arrow_schema::Schema::new(schema.collect::<Vec<_>>()));
    Ok(RecordBatch::try_new(schema, columns.into_iter().map(|(_, column, _)| column).collect())?)
}

fn text(row: &mut StructBuilder, column: usize) -> Result<&mut StringBuilder> {
    row.field_builder::<StringBuilder>(column).context("no such column")
}
