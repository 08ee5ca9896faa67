//! A column's meaning: which type it has in the records, by the modes of the configuration.

use super::catalog::Table;
use super::charset::Charset;
use super::config::{DecimalMode, Settings, TimeMode};
use super::ddl::Column;
use super::defaults;
use bd_connect::sdk::{ConnectField, Narrow, TaskError};
use bd_schema::DataType;

/// What a column holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// Whole numbers of so many bytes (1, 2, 3, 4, 8).
    Int {
        bytes: u8,
        unsigned: bool,
    },
    Float,
    Double,
    Decimal {
        precision: u8,
        scale: u8,
    },
    /// `fixed`: CHAR, whose trailing spaces do not count.
    Text {
        charset: Charset,
        fixed: bool,
    },
    /// `pad`: BINARY(n), whose trailing zeros the binlog leaves out.
    Bytes {
        pad: Option<usize>,
    },
    Date,
    DateTime {
        digits: u8,
    },
    Timestamp {
        digits: u8,
    },
    Time,
    Year,
    Enum(Vec<String>),
    Set(Vec<String>),
    Json,
    Bit {
        bits: u8,
    },
    /// Not in the records and not understood; the binlog's bytes of it can be passed over.
    Skipped,
}

/// How values are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Modes {
    pub(super) decimal: DecimalMode,
    pub(super) time: TimeMode,
    pub(super) bigint_precise: bool,
}

impl Modes {
    pub(super) fn of(settings: &Settings) -> Self {
        Self { decimal: settings.decimal, time: settings.time, bigint_precise: settings.bigint_precise }
    }
}

/// A column of a captured table.
#[derive(Debug, Clone)]
pub(super) struct ColumnPlan {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Never null.
    pub(super) required: bool,
    /// In the records.
    pub(super) included: bool,
    /// Its type in the records.
    pub(super) data_type: DataType,
    /// What else the schema says of it: Connect's name of the type, its default, its comment.
    pub(super) known: ConnectField,
}

/// The columns of a table.
///
/// # Errors
/// A column that would be in the records and whose type is not built; all of them are named.
pub(super) fn columns(
    settings: &Settings,
    database: &str,
    table: &str,
    definition: &Table,
) -> Result<Vec<ColumnPlan>, TaskError> {
    let mut refused = Vec::new();
    if definition.system_versioned {
        refused.push("the table is WITH SYSTEM VERSIONING".to_owned());
    }
    let modes = Modes::of(settings);
    let mut plans = Vec::with_capacity(definition.columns.len());
    for column in &definition.columns {
        let included = settings.filter.column(database, table, &column.name);
        let understood = kind(column, &definition.charset).and_then(|kind| {
            let (data_type, semantic) = data_type(&kind, modes)?;
            let known = known(&kind, semantic, column);
            Ok((kind, data_type, known))
        });
        let (kind, data_type, known) = match understood {
            Ok(understood) => understood,
            Err(reason) => {
                if included {
                    refused.push(format!("column {}: {reason}", column.name));
                }
                (Kind::Skipped, DataType::Bytes, ConnectField::default())
            }
        };
        let name = column.name.clone();
        let mut plan = ColumnPlan { name, kind, required: !column.nullable, included, data_type, known };
        plan.known.meta.default = column.default.as_ref().and_then(|literal| defaults::value(&plan, literal));
        // A column that was added without a default is optional in the schema even if it is NOT NULL: a registry refuses, rightly, a
        // field that earlier rows do not have.
        let key = definition.primary_key.iter().any(|k| k.eq_ignore_ascii_case(&column.name));
        plan.required &= key || !column.added || plan.known.meta.default.is_some();
        plan.known.required = plan.required;
        plans.push(plan);
    }
    if refused.is_empty() {
        return Ok(plans);
    }
    Err(TaskError::Fatal(format!(
        "Table {database}.{table} cannot be captured: {}. Leave such columns out with column.exclude.list, or the table \
         with table.exclude.list",
        refused.join("; ")
    )))
}

/// What the schema says of a column beside its type, as Debezium's.
fn known(kind: &Kind, semantic: Option<&'static str>, column: &Column) -> ConnectField {
    let mut known = ConnectField::default();
    if let Some(semantic) = semantic {
        known = known.named(semantic).versioned(1);
    }
    known = match kind {
        Kind::Enum(members) | Kind::Set(members) => {
            let members: Vec<String> = members.iter().map(|m| m.replace(',', "\\,")).collect();
            known.with_parameter("allowed", members.join(","))
        }
        Kind::Bit { bits: bits @ 2.. } => known.with_parameter("length", bits.to_string()),
        _ => known,
    };
    known.meta.narrow = match kind {
        Kind::Int { bytes: 1, .. } | Kind::Int { bytes: 2, unsigned: false } => Some(Narrow::Int16),
        Kind::Float if column.args.is_empty() => Some(Narrow::Float32),
        _ => None,
    };
    known.meta.doc.clone_from(&column.comment);
    known
}

fn kind(column: &Column, default_charset: &str) -> Result<Kind, String> {
    if column.compressed {
        return Err("COMPRESSED columns are not built".to_owned());
    }
    let arg = |i: usize| column.args.get(i).copied();
    let small = |n: u32| u8::try_from(n).unwrap_or(u8::MAX);
    let int = |bytes| Kind::Int { bytes, unsigned: column.unsigned };
    let digits = small(arg(0).unwrap_or(0));
    let charset_name = column.charset.as_deref().unwrap_or(default_charset);
    let charset = || {
        let known = Charset::of(charset_name);
        known.ok_or_else(|| {
            format!("character set {charset_name} is not built (utf8mb4, utf8mb3, ascii, latin1, binary are)")
        })
    };
    Ok(match column.type_name.as_str() {
        "tinyint" => int(1),
        "smallint" => int(2),
        "mediumint" => int(3),
        "int" => int(4),
        "bigint" => int(8),
        "float" => Kind::Float,
        "double" => Kind::Double,
        "decimal" => {
            Kind::Decimal { precision: small(arg(0).unwrap_or(10)), scale: small(arg(1).unwrap_or(0)) }
        }
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => {
            let fixed = column.type_name == "char";
            match charset()? {
                Charset::Binary => Kind::Bytes { pad: fixed.then(|| arg(0).unwrap_or(1) as usize) },
                charset => Kind::Text { charset, fixed },
            }
        }
        "binary" => Kind::Bytes { pad: Some(arg(0).unwrap_or(1) as usize) },
        "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => Kind::Bytes { pad: None },
        "date" => Kind::Date,
        "datetime" => Kind::DateTime { digits },
        "timestamp" => Kind::Timestamp { digits },
        "time" => Kind::Time,
        "year" => Kind::Year,
        "enum" => Kind::Enum(column.values.clone()),
        "set" => Kind::Set(column.values.clone()),
        "json" => Kind::Json,
        "bit" => Kind::Bit { bits: small(arg(0).unwrap_or(1)) },
        other => return Err(format!("type {other} is not built")),
    })
}

/// The type in the records and Connect's name of it, as in Debezium's documentation, "Data type mappings".
fn data_type(kind: &Kind, modes: Modes) -> Result<(DataType, Option<&'static str>), String> {
    let adaptive = modes.time == TimeMode::Adaptive;
    Ok(match kind {
        Kind::Int { bytes: 8, unsigned: true } if modes.bigint_precise => (DataType::Decimal(20, 0), None),
        Kind::Int { bytes: 8, .. } | Kind::Int { bytes: 4, unsigned: true } => (DataType::BigInt, None),
        Kind::Int { .. } => (DataType::Integer, None),
        Kind::Float | Kind::Double => (DataType::Double, None),
        Kind::Decimal { precision, scale } => match modes.decimal {
            DecimalMode::Double => (DataType::Double, None),
            DecimalMode::String => (DataType::Varchar, None),
            DecimalMode::Precise if *precision > 38 => {
                return Err(format!(
                    "DECIMAL({precision},{scale}) has more than 38 digits: set decimal.handling.mode to string"
                ));
            }
            DecimalMode::Precise => {
                (DataType::Decimal(*precision, i8::try_from(*scale).unwrap_or(i8::MAX)), None)
            }
        },
        Kind::Text { .. } => (DataType::Varchar, None),
        Kind::Bytes { .. } | Kind::Skipped => (DataType::Bytes, None),
        Kind::Date if adaptive => (DataType::Integer, Some("io.debezium.time.Date")),
        Kind::Date => (DataType::Date, None),
        Kind::DateTime { digits } if adaptive && *digits > 3 => {
            (DataType::BigInt, Some("io.debezium.time.MicroTimestamp"))
        }
        Kind::DateTime { .. } if adaptive => (DataType::BigInt, Some("io.debezium.time.Timestamp")),
        Kind::DateTime { .. } => (DataType::Timestamp, None),
        Kind::Timestamp { .. } => (DataType::Varchar, Some("io.debezium.time.ZonedTimestamp")),
        Kind::Time if adaptive => (DataType::BigInt, Some("io.debezium.time.MicroTime")),
        Kind::Time => (DataType::Time, None),
        Kind::Year => (DataType::Integer, Some("io.debezium.time.Year")),
        Kind::Enum(_) => (DataType::Varchar, Some("io.debezium.data.Enum")),
        Kind::Set(_) => (DataType::Varchar, Some("io.debezium.data.EnumSet")),
        Kind::Json => (DataType::Varchar, Some("io.debezium.data.Json")),
        Kind::Bit { bits: 1 } => (DataType::Boolean, None),
        Kind::Bit { .. } => (DataType::Bytes, Some("io.debezium.data.Bits")),
    })
}
