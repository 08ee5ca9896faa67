//! A document by a mapping: the terms and columns it gets, and the fields it adds.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tantivy::TantivyDocument;
use tantivy::schema::OwnedValue;

use super::date::{self, Format};
use super::field::{Column, plain};
use super::{Dynamic, Field, Kind, Mapping};
use crate::engine::schema::Fields;
use crate::error::{EsError, EsResult};

/// Longest term that is indexed, bytes.
const MAX_TERM: usize = 32766;

/// What became of a document.
pub(crate) enum Document {
    /// It fits: the tantivy document, without id, sequence number, version and source.
    Ready(TantivyDocument),
    /// It has fields that the mapping must get first.
    Adds(Mapping),
}

type Columns = BTreeMap<String, OwnedValue>;

struct Walk<'a> {
    mapping: &'a Mapping,
    id: &'a str,
    strings: Columns,
    numbers: Columns,
    text: Columns,
    exists: BTreeSet<u32>,
    ignored: BTreeSet<String>,
    /// The mapping with what this document adds.
    added: Option<Mapping>,
}

/// Brings a document (an object) into the form of the index, or says what the mapping lacks for it.
///
/// # Errors
/// As Elasticsearch words them for values that do not fit.
pub(crate) fn document(mapping: &Mapping, fields: &Fields, id: &str, source: &Value) -> EsResult<Document> {
    let mut walk = Walk {
        mapping,
        id,
        strings: Columns::new(),
        numbers: Columns::new(),
        text: Columns::new(),
        exists: BTreeSet::new(),
        ignored: BTreeSet::new(),
        added: None,
    };
    for (key, value) in source.as_object().into_iter().flatten() {
        walk.member("", key, value, 0)?;
    }
    if let Some(added) = walk.added {
        return Ok(Document::Adds(added));
    }
    for value in walk.strings.values_mut() {
        // A document has an exact string once, however often it says it.
        if let OwnedValue::Array(items) = value {
            let mut texts = BTreeSet::new();
            items.retain(|item| match item {
                OwnedValue::Str(text) => texts.insert(text.clone()),
                _ => true,
            });
        }
    }
    let mut document = TantivyDocument::new();
    for (field, values) in
        [(fields.strings, walk.strings), (fields.numbers, walk.numbers), (fields.text, walk.text)]
    {
        if !values.is_empty() {
            document.add_object(field, values);
        }
    }
    for number in walk.exists {
        document.add_text(fields.exists, number.to_string());
    }
    for name in walk.ignored {
        document.add_text(fields.ignored, name);
    }
    Ok(Document::Ready(document))
}

impl Walk<'_> {
    fn member(&mut self, parent: &str, key: &str, value: &Value, depth: usize) -> EsResult<()> {
        if key.is_empty() || key.split('.').any(|part| part.trim().is_empty()) {
            let reason = if key.is_empty() {
                "field name cannot be an empty string".to_owned()
            } else {
                format!("field name cannot contain only whitespace: [{key}]")
            };
            return Err(self.failed("failed to parse").because(EsError::illegal(reason)));
        }
        if depth > 50 {
            return Err(self.failed("the document is nested deeper than 50 objects"));
        }
        let name = if parent.is_empty() { key.to_owned() } else { format!("{parent}.{key}") };
        if parent.is_empty()
            && matches!(
                key,
                "_id" | "_index" | "_source" | "_version" | "_seq_no" | "_routing" | "_field_names"
            )
        {
            let reason = format!(
                "Field [{key}] is a metadata field and cannot be added inside a document. Use the index API request parameters."
            );
            return Err(self
                .failed(&format!(
                    "failed to parse field [{key}] of type [{key}] in document with id '{}'",
                    self.id
                ))
                .because(EsError::mapper(reason)));
        }
        self.value(&name, value, depth)
    }

    fn value(&mut self, name: &str, value: &Value, depth: usize) -> EsResult<()> {
        let mapping = self.mapping;
        if let Some(field) = mapping.fields.get(name) {
            return self.mapped(name, field, value);
        }
        if mapping.object(name).is_some_and(|object| object.disabled) {
            return Ok(());
        }
        match value {
            Value::Null => Ok(()),
            Value::Array(items) => items.iter().try_for_each(|item| self.value(name, item, depth)),
            Value::Object(members) => {
                if !mapping.is_object(name) && !self.may_add(name)? {
                    return Ok(());
                }
                if !mapping.is_object(name) {
                    self.add_object(name)?;
                }
                members.iter().try_for_each(|(key, member)| self.member(name, key, member, depth + 1))
            }
            _ if mapping.is_object(name) => Err(self.failed(&format!(
                "object mapping for [{name}] tried to parse field [{}] as object, but found a concrete value",
                name.rsplit('.').next().unwrap_or(name)
            ))),
            leaf => {
                if !self.may_add(name)? {
                    return Ok(());
                }
                let field = self.dynamic_field(leaf);
                self.add(name, field)
            }
        }
    }

    /// Whether a field that is not mapped is added (or else only kept in the source).
    fn may_add(&self, name: &str) -> EsResult<bool> {
        let parent = name.rsplit_once('.').map_or("", |(parent, _)| parent);
        match self.mapping.dynamic_of(parent) {
            Dynamic::True => Ok(true),
            Dynamic::False => Ok(false),
            Dynamic::Strict => {
                let object = if parent.is_empty() { "_doc" } else { parent };
                let short = name.rsplit('.').next().unwrap_or(name);
                Err(EsError::new(
                    400,
                    "strict_dynamic_mapping_exception",
                    format!(
                        "[1:1] mapping set to strict, dynamic introduction of [{short}] within [{object}] is not allowed"
                    ),
                ))
            }
        }
    }

    fn added(&mut self) -> &mut Mapping {
        self.added.get_or_insert_with(|| self.mapping.clone())
    }

    fn add(&mut self, name: &str, field: Field) -> EsResult<()> {
        // Two values of one document may name a field first; the second must fit, which the next pass sees.
        if self.added().get(name).is_some() {
            return Ok(());
        }
        let added = self.added().put_field(name, field);
        added.map_err(|cause| self.failed("failed to parse").because(cause))
    }

    fn add_object(&mut self, name: &str) -> EsResult<()> {
        let added = self.added().put_object(name, super::Object::default());
        added.map_err(|cause| self.failed("failed to parse").because(cause))
    }

    fn dynamic_field(&self, value: &Value) -> Field {
        match value {
            Value::Bool(_) => Field::new(Kind::Boolean),
            Value::Number(number) if number.is_f64() => Field::new(Kind::Float),
            Value::Number(_) => Field::new(Kind::Long),
            Value::String(text) if self.mapping.date_detection.unwrap_or(true) => {
                // As Elasticsearch: no numbers, and something between the digits.
                if text.len() > 4 && text.contains([':', '-', '/']) {
                    if date::parse_iso(text).is_some() {
                        return Field::new(Kind::Date);
                    }
                    let slashes = "yyyy/MM/dd HH:mm:ss||yyyy/MM/dd||epoch_millis";
                    if let Ok(formats) = date::parse_format(slashes)
                        && let Some(patterns) = formats.get(..2)
                        && date::parse(text, patterns).is_some()
                    {
                        let mut field = Field::new(Kind::Date);
                        field.params.insert("format".into(), slashes.into());
                        field.formats = formats;
                        return field;
                    }
                }
                Field::dynamic_text()
            }
            _ => Field::dynamic_text(),
        }
    }

    fn mapped(&mut self, name: &str, field: &Field, value: &Value) -> EsResult<()> {
        if field.kind == Kind::GeoPoint {
            return self.geo_point(name, field, value);
        }
        match value {
            Value::Array(items) => return items.iter().try_for_each(|item| self.mapped(name, field, item)),
            Value::Null => {
                if let Some(null) = field.params.get("null_value").filter(|null| !null.is_null()) {
                    self.leaf(name, field, null)?;
                }
                return Ok(());
            }
            _ => {}
        }
        self.leaf(name, field, value)?;
        for (short, sub) in &field.subs {
            self.leaf(&format!("{name}.{short}"), sub, value)?;
        }
        Ok(())
    }

    fn leaf(&mut self, name: &str, field: &Field, value: &Value) -> EsResult<()> {
        let key = field.id.to_string();
        let converted = match field.kind {
            Kind::Text | Kind::Keyword => string(value).map(OwnedValue::Str),
            Kind::Boolean => boolean(value).map(|b| OwnedValue::I64(b.into())),
            Kind::Date => date_value(field, value).map(OwnedValue::I64),
            _ => number(field, value),
        };
        let converted = match converted {
            Ok(converted) => converted,
            Err(_) if field.flag("ignore_malformed", false) && !value.is_object() => {
                self.ignored.insert(name.to_owned());
                return Ok(());
            }
            Err(cause) => return Err(self.unfit(name, field, value, cause)),
        };
        if let (Kind::Keyword, OwnedValue::Str(text)) = (field.kind, &converted) {
            if field.ignore_above.is_some_and(|limit| text.chars().count() > limit) {
                self.ignored.insert(name.to_owned());
                return Ok(());
            }
            if text.len() > MAX_TERM {
                return Err(self.immense(name, text));
            }
        }
        let values = match field.kind {
            Kind::Text => {
                self.exists.insert(field.id);
                &mut self.text
            }
            kind if kind.column() == Column::Strings => &mut self.strings,
            _ => &mut self.numbers,
        };
        match values.get_mut(&key) {
            None => {
                values.insert(key, converted);
            }
            Some(OwnedValue::Array(items)) => items.push(converted),
            Some(first) => {
                let both = OwnedValue::Array(vec![std::mem::replace(first, OwnedValue::Null), converted]);
                *first = both;
            }
        }
        Ok(())
    }

    fn geo_point(&mut self, name: &str, field: &Field, value: &Value) -> EsResult<()> {
        let points: Vec<&Value> = match value {
            Value::Null => return Ok(()),
            Value::Array(items) if !items.iter().all(Value::is_number) => {
                items.iter().filter(|v| !v.is_null()).collect()
            }
            other => vec![other],
        };
        for point in points {
            match geo(point) {
                Ok(()) => {
                    self.exists.insert(field.id);
                }
                Err(_) if field.flag("ignore_malformed", false) => {
                    self.ignored.insert(name.to_owned());
                }
                Err(cause) => {
                    return Err(self
                        .failed(&format!("failed to parse field [{name}] of type [geo_point]"))
                        .because(cause));
                }
            }
        }
        Ok(())
    }

    fn failed(&self, reason: &str) -> EsError {
        EsError::document(format!("[1:1] {reason}"))
    }

    fn unfit(&self, name: &str, field: &Field, value: &Value, cause: EsError) -> EsError {
        let kind = field.kind.name();
        let preview = plain(value);
        self.failed(&format!(
            "failed to parse field [{name}] of type [{kind}] in document with id '{}'. Preview of field's value: '{preview}'",
            self.id
        ))
        .because(cause)
    }

    fn immense(&self, name: &str, text: &str) -> EsError {
        let prefix: Vec<String> = text.bytes().take(30).map(|b| b.to_string()).collect();
        let reason = format!(
            "Document contains at least one immense term in field=\"{name}\" (whose UTF8 encoding is longer than the max length \
             {MAX_TERM}), all of which were skipped. Please correct the analyzer to not produce such terms. The prefix of the \
             first immense term is: '[{}]...'",
            prefix.join(", ")
        );
        self.failed("failed to parse").because(EsError::illegal(reason))
    }
}

fn string(value: &Value) -> EsResult<String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Object(_) => {
            Err(EsError::new(400, "illegal_state_exception", "Can't get text on a START_OBJECT at 1:1"))
        }
        other => Ok(other.to_string()),
    }
}

fn boolean(value: &Value) -> EsResult<bool> {
    match value {
        Value::Bool(b) => Ok(*b),
        Value::String(text) if text == "true" => Ok(true),
        Value::String(text) if text == "false" || text.is_empty() => Ok(false),
        other => Err(EsError::illegal(format!(
            "Failed to parse value [{}] as only [true] or [false] are allowed.",
            plain(other)
        ))),
    }
}

fn date_value(field: &Field, value: &Value) -> EsResult<i64> {
    let text = match value {
        Value::Number(number) if field.formats.contains(&Format::EpochMillis) && !number.is_f64() => {
            return number.as_i64().ok_or_else(|| EsError::illegal("the date is out of range"));
        }
        Value::Number(_) | Value::String(_) => plain(value),
        other => {
            return Err(EsError::new(
                400,
                "illegal_state_exception",
                format!("Can't get text on [{}] at 1:1", plain(other)),
            ));
        }
    };
    date::parse(&text, &field.formats).ok_or_else(|| {
        EsError::illegal(format!("failed to parse date field [{text}] with format [{}]", field.format()))
            .because(EsError::new(
                400,
                "date_time_parse_exception",
                "Failed to parse with all enclosed parsers",
            ))
    })
}

/// A value as a number of a field's type.
pub(super) fn number(field: &Field, value: &Value) -> EsResult<OwnedValue> {
    let coerce = field.flag("coerce", true);
    let (text, quoted) = match value {
        Value::Number(number) => (number.to_string(), false),
        Value::String(text) => (text.clone(), true),
        other => {
            return Err(match other {
                Value::Object(_) => EsError::illegal("Cannot parse object as number"),
                _ => EsError::new(
                    400,
                    "input_coercion_exception",
                    format!(
                        "Current token ({}) not numeric, can not use numeric value accessors",
                        plain(other)
                    ),
                ),
            });
        }
    };
    if quoted && !coerce {
        return Err(EsError::illegal(format!("{} value passed as String", title(field.kind))));
    }
    if field.kind.column() == Column::Floats {
        let parsed: f64 = text.trim().parse().map_err(|_| {
            EsError::new(400, "number_format_exception", format!("For input string: \"{text}\""))
        })?;
        let parsed = if matches!(field.kind, Kind::Float | Kind::HalfFloat) {
            f64::from(parsed as f32)
        } else {
            parsed
        };
        if !parsed.is_finite() {
            return Err(EsError::illegal(format!(
                "[{}] supports only finite values, but got [{text}]",
                field.kind.name()
            )));
        }
        return Ok(OwnedValue::F64(parsed));
    }
    let out_of_range =
        || EsError::illegal(format!("Value [{text}] is out of range for a {}", field.kind.name()));
    let whole = match text.trim().parse::<i64>() {
        Ok(whole) => whole,
        Err(_) => {
            let parsed: f64 =
                text.trim().parse().map_err(|_| EsError::illegal(format!("For input string: \"{text}\"")))?;
            if parsed.fract() != 0.0 && !coerce {
                return Err(EsError::illegal(format!(
                    "{text} cannot be converted to {} without data loss",
                    title(field.kind)
                )));
            }
            if !(-9.223_372_036_854_776e18..9.223_372_036_854_776e18).contains(&parsed) {
                return Err(out_of_range());
            }
            parsed.trunc() as i64
        }
    };
    let range = match field.kind {
        Kind::Integer => i64::from(i32::MIN)..=i64::from(i32::MAX),
        Kind::Short => i64::from(i16::MIN)..=i64::from(i16::MAX),
        Kind::Byte => i64::from(i8::MIN)..=i64::from(i8::MAX),
        _ => i64::MIN..=i64::MAX,
    };
    if range.contains(&whole) { Ok(OwnedValue::I64(whole)) } else { Err(out_of_range()) }
}

fn title(kind: Kind) -> String {
    let mut name = kind.name().to_owned();
    if let Some(first) = name.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    name
}

/// Checks a place: `{lat, lon}`, `[lon, lat]`, `"lat,lon"`; WKT and geohashes are refused.
fn geo(value: &Value) -> EsResult<()> {
    let wrong = |reason: String| EsError::new(400, "parse_exception", reason);
    let coordinate = |value: Option<&Value>| value.and_then(|v| plain(v).trim().parse::<f64>().ok());
    let (lat, lon) = match value {
        Value::Object(members) => (coordinate(members.get("lat")), coordinate(members.get("lon"))),
        Value::Array(items) if (2..=3).contains(&items.len()) => {
            (coordinate(items.get(1)), coordinate(items.first()))
        }
        Value::String(text) => {
            let mut parts = text.split(',').map(|part| part.trim().parse::<f64>().ok());
            (parts.next().flatten(), parts.next().flatten())
        }
        _ => (None, None),
    };
    let (Some(lat), Some(lon)) = (lat, lon) else {
        return Err(wrong("geo_point expected: {lat, lon}, [lon, lat] or \"lat,lon\"".into()));
    };
    if !(-90.0..=90.0).contains(&lat) {
        return Err(EsError::illegal(format!("illegal latitude value [{lat}] for {}", plain(value))));
    }
    if !(-180.0..=180.0).contains(&lon) {
        return Err(EsError::illegal(format!("illegal longitude value [{lon}] for {}", plain(value))));
    }
    Ok(())
}
