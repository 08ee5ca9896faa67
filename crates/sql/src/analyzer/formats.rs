//! The formats of keys and values: which there are, what each can hold, which properties it takes; ksqlDB's rules and words.
//!
//! | format | single value bare / in an object | columns from the registry | holds |
//! |---|---|---|---|
//! | `JSON`, `JSON_ENVELOPE` | both | | all |
//! | `AVRO`, `JSON_SR` | both | yes | all |
//! | `PROTOBUF` | in an object | yes | all |
//! | `PROTOBUF_NOSR` | in an object | | all |
//! | `AVRO_PLAIN`, `AVRO_SINGLE_OBJECT` | both | | all |
//! | `DELIMITED` | bare | | no ARRAY, MAP, STRUCT |
//! | `KAFKA` | bare | | one column of INTEGER, BIGINT, DOUBLE, VARCHAR, BYTES |
//! | `RAW` | bare | | one column of VARCHAR, BYTES |
//! | `NONE` | | | no column |

use crate::catalog::{ColumnDef, ColumnPlace};
use crate::error::{Res, Span, fail, nearest_hint};
use bd_schema::{DataType, Delimiter, FormatOptions, Role};

/// A format with its properties.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FormatSpec {
    pub(crate) name: String,
    pub(crate) options: FormatOptions,
}

/// What a format can do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) name: &'static str,
    /// A single column may be a field of an object.
    wraps: bool,
    /// A single column may be the value itself.
    unwraps: bool,
    /// Its columns can be taken from the registry.
    pub(crate) infers: bool,
    /// It takes a schema's id.
    by_id: bool,
    /// What it declares has a name.
    named: bool,
}

const fn rules(name: &'static str, wraps: bool, unwraps: bool) -> Rules {
    Rules { name, wraps, unwraps, infers: false, by_id: false, named: false }
}

const FORMATS: [Rules; 12] = [
    rules("JSON", true, true),
    Rules { infers: true, by_id: true, named: true, ..rules("JSON_SR", true, true) },
    Rules { named: true, ..rules("JSON_ENVELOPE", true, true) },
    Rules { infers: true, by_id: true, named: true, ..rules("AVRO", true, true) },
    Rules { by_id: true, named: true, ..rules("AVRO_PLAIN", true, true) },
    Rules { by_id: true, named: true, ..rules("AVRO_SINGLE_OBJECT", true, true) },
    Rules { infers: true, by_id: true, named: true, ..rules("PROTOBUF", true, false) },
    rules("PROTOBUF_NOSR", true, false),
    rules("KAFKA", false, true),
    rules("DELIMITED", false, true),
    rules("NONE", false, false),
    rules("RAW", false, true),
];

/// The format of that name.
pub(crate) fn format(name: &str, span: Span) -> Res<&'static Rules> {
    let found = FORMATS.iter().find(|f| f.name.eq_ignore_ascii_case(name));
    found.map_or_else(
        || {
            let hint = nearest_hint("formats", name, FORMATS.iter().map(|f| f.name));
            fail(span, format!("Unknown format: {}", name.to_uppercase()), hint)
        },
        Ok,
    )
}

/// What WITH says of the key or of the value.
#[derive(Debug, Default)]
pub(crate) struct Stated {
    pub(crate) format: Option<(&'static Rules, Span)>,
    pub(crate) delimiter: Option<(Delimiter, Span)>,
    pub(crate) wrap_single: Option<(bool, Span)>,
    pub(crate) schema_id: Option<(u32, Span)>,
    pub(crate) full_name: Option<(String, Span)>,
    /// `VALUE_PROTOBUF_NULLABLE_REPRESENTATION`: all fields are `optional` with and without it.
    pub(crate) nullable: Option<Span>,
}

impl Stated {
    /// Checks what is stated against that format, and gives its options.
    pub(crate) fn options(&self, rules: &Rules, role: Role) -> Res<FormatOptions> {
        let upper = role.to_string().to_uppercase();
        let name = rules.name;
        let refused = |span: Span, config: &str, hint: &str| {
            fail(span, format!("{name} does not support the following configs: [{config}]"), hint)
        };
        if let Some((_, span)) = self.delimiter.filter(|_| name != "DELIMITED") {
            return refused(span, "delimiter", "it is of the format DELIMITED");
        }
        if let Some((full_name, span)) = &self.full_name {
            if !rules.named {
                return refused(*span, "fullSchemaName", "its records have no name: remove it");
            }
            if full_name.trim().is_empty() {
                let message = format!(
                    "fullSchemaName cannot be empty. Format configuration: {{fullSchemaName={full_name}}}"
                );
                return fail(*span, message, "write a name, as in 'com.acme.Order'");
            }
        }
        if let Some((_, span)) = self.schema_id.filter(|_| !rules.by_id) {
            let message = format!(
                "{upper}_FORMAT should support schema inference when {upper}_SCHEMA_ID is provided. Current format is {name}."
            );
            return fail(span, message, "use AVRO, JSON_SR or PROTOBUF");
        }
        if let Some(span) = self.nullable.filter(|_| !name.starts_with("PROTOBUF")) {
            let message = format!(
                "Property {upper}_PROTOBUF_NULLABLE_REPRESENTATION can only be enabled with protobuf format"
            );
            return fail(span, message, "remove it");
        }
        Ok(FormatOptions {
            delimiter: self.delimiter.map(|(d, _)| d),
            wrap_single: self.wrap_single.map(|(wrap, _)| wrap),
            schema_id: self.schema_id.map(|(id, _)| id),
            full_name: self.full_name.as_ref().map(|(name, _)| name.trim().to_string()),
        })
    }

    /// The format of a value of these columns; `inherited` is that of the source that the rows come from.
    pub(crate) fn of_value(
        &self,
        columns: &[ColumnDef],
        inherited: Option<&FormatSpec>,
        place: Span,
    ) -> Res<FormatSpec> {
        let (rules, span) = match (&self.format, inherited) {
            (Some((rules, span)), _) => (*rules, *span),
            (None, Some(spec)) => (format(&spec.name, place)?, place),
            (None, None) => (format("JSON", place)?, place),
        };
        let mut options = self.options(rules, Role::Value)?;
        inherit(&mut options, rules, inherited);
        let of_value: Vec<&ColumnDef> = columns.iter().filter(|c| c.place != ColumnPlace::Key).collect();
        if let Some((wrap, span)) = self.wrap_single {
            if !(if wrap { rules.wraps } else { rules.unwraps }) {
                let message =
                    format!("Format '{}' does not support 'WRAP_SINGLE_VALUE' set to '{wrap}'.", rules.name);
                return fail(span, message, "remove it, or use another format");
            }
            if of_value.len() != 1 {
                let message = "'WRAP_SINGLE_VALUE' is only valid for single-field value schemas";
                return fail(span, message, "remove it: several columns always stand in an object");
            }
        }
        check_columns(rules.name, &of_value, span)?;
        Ok(FormatSpec { name: rules.name.into(), options })
    }

    /// The format of a key of these columns; `inherited` is that of the source that the key comes from. `source` is what is created.
    pub(crate) fn of_key(
        &self,
        source: &str,
        columns: &[ColumnDef],
        inherited: Option<&FormatSpec>,
        place: Span,
    ) -> Res<FormatSpec> {
        let keys: Vec<&ColumnDef> = columns.iter().filter(|c| c.place != ColumnPlace::Value).collect();
        keys.iter().try_for_each(|key| check_key(key, place))?;
        let fits = |name: &str| check_columns(name, &keys, place).is_ok();
        let (rules, span) = match (&self.format, inherited) {
            (Some((rules, span)), _) => (*rules, *span),
            _ if keys.is_empty() => (format("NONE", place)?, place),
            (None, Some(spec)) if spec.name != "NONE" && fits(&spec.name) => {
                (format(&spec.name, place)?, place)
            }
            // ksqlDB's default; what it cannot hold is JSON.
            _ if fits("KAFKA") => (format("KAFKA", place)?, place),
            _ => (format("JSON", place)?, place),
        };
        let mut options = self.options(rules, Role::Key)?;
        if keys.is_empty() {
            return Ok(FormatSpec { name: "NONE".into(), options: FormatOptions::default() });
        }
        inherit(&mut options, rules, inherited);
        check_columns(rules.name, &keys, span)?;
        if rules.name == "AVRO" && options.schema_id.is_none() {
            // A name of its own, so that classes can be made of the schemas of several sources.
            options
                .full_name
                .get_or_insert_with(|| format!("io.confluent.ksql.avro_schemas.{}Key", camel(source)));
        }
        Ok(FormatSpec { name: rules.name.into(), options })
    }
}

/// What a sink takes over from its source where both have the same format.
fn inherit(options: &mut FormatOptions, rules: &Rules, inherited: Option<&FormatSpec>) {
    let Some(from) = inherited.filter(|spec| spec.name == rules.name) else { return };
    options.delimiter = options.delimiter.or(from.options.delimiter);
    if rules.name == "PROTOBUF" && options.full_name.is_none() && options.schema_id.is_none() {
        options.full_name.clone_from(&from.options.full_name);
    }
}

/// `MY_STREAM` as `MyStream`.
fn camel(name: &str) -> String {
    let word = |word: &str| {
        let mut chars = word.chars();
        chars.next().map_or(String::new(), |c| {
            c.to_uppercase().chain(chars.flat_map(char::to_lowercase)).collect::<String>()
        })
    };
    name.split('_').map(word).collect()
}

fn holds_map(data_type: &DataType) -> bool {
    match data_type {
        DataType::Map(_) => true,
        DataType::Array(of) => holds_map(of),
        DataType::Struct(fields) => fields.iter().any(|f| holds_map(&f.data_type)),
        _ => false,
    }
}

fn check_key(key: &ColumnDef, span: Span) -> Res<()> {
    if !holds_map(&key.data_type) {
        return Ok(());
    }
    let message = format!(
        "Map keys, including types that contain maps, are not supported as they may lead to unexpected behavior due to \
         inconsistent serialization. Key column name: `{}`. Column type: {}.",
        key.name,
        type_name(&key.data_type)
    );
    fail(span, message, "use another column")
}

/// Whether a format holds these columns.
fn check_columns(format: &str, columns: &[&ColumnDef], span: Span) -> Res<()> {
    let listed = || {
        let of = |c: &&ColumnDef| {
            let key = if c.place == ColumnPlace::Value { "" } else { " KEY" };
            format!("`{}` {}{key}", c.name, type_name(&c.data_type))
        };
        columns.iter().map(of).collect::<Vec<_>>().join(", ")
    };
    let held = |data_type: &DataType| match format {
        "KAFKA" => matches!(
            data_type,
            DataType::Integer | DataType::BigInt | DataType::Double | DataType::Varchar | DataType::Bytes
        ),
        "RAW" => matches!(data_type, DataType::Varchar | DataType::Bytes),
        "DELIMITED" => !matches!(data_type, DataType::Array(_) | DataType::Map(_) | DataType::Struct(_)),
        _ => true,
    };
    match (format, columns) {
        ("NONE", [_, ..]) => {
            let message = format!(
                "The 'NONE' format can only be used when no columns are defined. Got: [{}]",
                listed()
            );
            return fail(span, message, "use KAFKA, JSON or another format that holds columns");
        }
        ("KAFKA" | "RAW", [] | [_, _, ..]) => {
            let message = format!("The '{format}' format only supports a single field. Got: [{}]", listed());
            return fail(span, message, "use JSON");
        }
        ("DELIMITED", []) => {
            return fail(span, "The 'DELIMITED' format needs a column", "use JSON, or add a column");
        }
        _ => {}
    }
    match columns.iter().find(|c| !held(&c.data_type)) {
        Some(c) => {
            let base = base_type(&c.data_type);
            let message =
                format!("The '{format}' format does not support type '{base}', column: `{}`", c.name);
            fail(span, message, "use JSON")
        }
        None => Ok(()),
    }
}

/// A type's name without its parts.
fn base_type(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Boolean => "BOOLEAN",
        DataType::Integer => "INTEGER",
        DataType::BigInt => "BIGINT",
        DataType::Double => "DOUBLE",
        DataType::Decimal(..) => "DECIMAL",
        DataType::Varchar => "STRING",
        DataType::Bytes => "BYTES",
        DataType::Date => "DATE",
        DataType::Time => "TIME",
        DataType::Timestamp => "TIMESTAMP",
        DataType::Array(_) => "ARRAY",
        DataType::Map(_) => "MAP",
        DataType::Struct(_) => "STRUCT",
    }
}

/// A type as ksqlDB's errors write it.
fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Array(of) => format!("ARRAY<{}>", type_name(of)),
        DataType::Map(of) => format!("MAP<STRING, {}>", type_name(of)),
        DataType::Struct(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|f| format!("`{}` {}", f.name, type_name(&f.data_type))).collect();
            format!("STRUCT<{}>", fields.join(", "))
        }
        DataType::Decimal(..) => data_type.to_string(),
        leaf => base_type(leaf).into(),
    }
}
