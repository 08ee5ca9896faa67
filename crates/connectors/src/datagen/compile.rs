//! From an annotated Avro declaration to what to draw.

use super::constants::{constant, options_of};
use super::node::{Node, Text, Whole};
use super::numbers::{Bound, Context, Source, Unit};
use super::pattern::Pattern;
use bd_schema::Value;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value as Json};
use std::collections::HashMap;
use std::ops::Range;

const ANNOTATIONS: &str = "arg.properties";
const DEFAULT_LENGTH: Range<usize> = 8..16;
const MAX_LENGTH: usize = 1_000_000;
/// A day, the year 2100: what times are drawn up to without a range.
const DAY_MS: i128 = 86_400_000;
const YEAR_2100_MS: i128 = 4_102_444_800_000;

/// What to draw for a record's declaration: values that are structs. It must be one that Avro takes, without types that refer to
/// themselves.
///
/// # Errors
/// An annotation that is not built, or not possible; says where.
pub(super) fn record(declaration: &Json) -> Result<Node, String> {
    Compiler { named: HashMap::new() }.node(declaration, None, "")
}

/// The same without annotations.
pub(super) fn without_annotations(declaration: &Json) -> Json {
    match declaration {
        Json::Object(object) => {
            let kept = object.iter().filter(|(name, _)| *name != ANNOTATIONS);
            Json::Object(kept.map(|(n, v)| (n.clone(), without_annotations(v))).collect())
        }
        Json::Array(items) => Json::Array(items.iter().map(without_annotations).collect()),
        other => other.clone(),
    }
}

/// Annotations of one type; each is taken once, what is left over is not built.
struct Annotations<'a> {
    left: Map<String, Json>,
    place: &'a str,
}

impl Annotations<'_> {
    fn take(&mut self, name: &str) -> Option<Json> {
        self.left.remove(name)
    }

    fn wrong(&self, reason: impl std::fmt::Display) -> String {
        let place = if self.place.is_empty() { "the record" } else { self.place };
        format!("{place}: {ANNOTATIONS}: {reason}")
    }

    fn end(self) -> Result<(), String> {
        match self.left.keys().next() {
            None => Ok(()),
            Some(name) => Err(self.wrong(format!("{name} is not built here"))),
        }
    }

    fn length(&mut self) -> Result<Option<Range<usize>>, String> {
        let Some(json) = self.take("length") else { return Ok(None) };
        let number = |json: &Json| json.as_u64().map(|n| n as usize).filter(|n| *n <= MAX_LENGTH);
        let range = match &json {
            Json::Object(bounds) => {
                let bound = |name: &str| bounds.get(name).map(|j| number(j).ok_or(())).transpose();
                match (bound("min"), bound("max")) {
                    (Ok(Some(min)), Ok(None)) => Some(min..min + DEFAULT_LENGTH.len()),
                    (Ok(min @ (Some(_) | None)), Ok(Some(max))) => Some(min.unwrap_or(0)..max),
                    _ => None,
                }
            }
            single => number(single).map(|n| n..n + 1),
        };
        match range.filter(|r| !r.is_empty()) {
            Some(range) => Ok(Some(range)),
            None => {
                let wanted = format!("a number, or min and a greater max, up to {MAX_LENGTH} wanted");
                Err(self.wrong(format!("length {json}: {wanted}")))
            }
        }
    }

    /// A range or an iteration; `default` where there is neither.
    fn source(&mut self, unit: Unit, default: (Bound, Bound)) -> Result<Source, String> {
        let source = match (self.take("range"), self.take("iteration")) {
            (None, None) => return Ok(Source::Range(default.0, default.1)),
            (Some(_), Some(_)) => return Err(self.wrong("range and iteration are both set")),
            (Some(range), None) => range_of(&range, default),
            (None, Some(iteration)) => iteration_of(&iteration),
        };
        source.and_then(|s| s.check(unit)).map_err(|e| self.wrong(e))
    }
}

/// The members of an object of annotations, which may have these.
pub(super) fn members<'j>(
    json: &'j Json,
    name: &str,
    known: &[&str],
) -> Result<&'j Map<String, Json>, String> {
    let object = json.as_object().ok_or_else(|| format!("{name}: an object wanted"))?;
    match object.keys().find(|k| !known.contains(&k.as_str())) {
        Some(other) => Err(format!("{name}: {other} is not built; {} are", known.join(", "))),
        None => Ok(object),
    }
}

fn range_of(json: &Json, default: (Bound, Bound)) -> Result<Source, String> {
    let range = members(json, "range", &["min", "max"])?;
    if range.is_empty() {
        return Err("range: min or max wanted".to_owned());
    }
    let bound = |name: &str, default: Bound| {
        range.get(name).map_or(Ok(default), |j| Bound::of(j).map_err(|e| format!("range.{name}: {e}")))
    };
    Ok(Source::Range(bound("min", default.0)?, bound("max", default.1)?))
}

fn iteration_of(json: &Json) -> Result<Source, String> {
    let iteration = members(json, "iteration", &["start", "restart", "step", "initial"])?;
    let bound = |name: &str| {
        iteration.get(name).map(|j| Bound::of(j).map_err(|e| format!("iteration.{name}: {e}"))).transpose()
    };
    let number = |name: &str| match iteration.get(name) {
        None => Ok(None),
        Some(json) => json.as_f64().map(Some).ok_or_else(|| format!("iteration.{name}: a number wanted")),
    };
    let start = bound("start")?.ok_or("iteration: start wanted")?;
    let restart = bound("restart")?;
    let backwards = match (start, restart) {
        (Bound::Whole(start), Some(Bound::Whole(restart))) => restart < start,
        (Bound::Real(start), Some(Bound::Real(restart))) => restart < start,
        _ => false,
    };
    let step = number("step")?.unwrap_or(if backwards { -1.0 } else { 1.0 });
    let ahead = match (number("initial")?, start) {
        (None, _) => 0.0,
        (Some(initial), Bound::Whole(start)) => initial - start as f64,
        (Some(initial), Bound::Real(start)) => initial - start,
        (Some(_), Bound::Now(_)) => {
            return Err("iteration: initial cannot be set where start is now".to_owned());
        }
    };
    Ok(Source::Iteration { start, ahead, step, restart })
}

/// The annotations of a type, which stand in it or beside it.
fn only<'j>(
    inner: Option<&'j Json>,
    outer: Option<&'j Json>,
    place: &str,
) -> Result<Option<&'j Json>, String> {
    match (inner, outer) {
        (Some(_), Some(_)) => Err(format!(
            "{place}: {ANNOTATIONS} stands both at the field and in its type: one place would do"
        )),
        (inner, outer) => Ok(inner.or(outer)),
    }
}

/// Remembers the types that have names.
struct Compiler {
    named: HashMap<String, Json>,
}

impl Compiler {
    /// What to draw for a type at a place; `outer` are annotations beside it, at the field.
    fn node(&mut self, declared: &Json, outer: Option<&Json>, place: &str) -> Result<Node, String> {
        let (name, object) = match declared {
            Json::Array(branches) => return self.union(branches, outer, place),
            Json::String(name) => (name.as_str(), None),
            Json::Object(object) => match object.get("type") {
                Some(Json::String(name)) => (name.as_str(), Some(object)),
                Some(inner) => {
                    let annotations = only(object.get(ANNOTATIONS), outer, place)?;
                    return self.node(inner, annotations, place);
                }
                None => return Err(format!("{place}: a type wanted")),
            },
            _ => return Err(format!("{place}: a type wanted")),
        };
        let given = only(object.and_then(|o| o.get(ANNOTATIONS)), outer, place)?;
        let left = match given {
            None => Map::new(),
            Some(Json::Object(annotations)) => annotations.clone(),
            Some(_) => return Err(format!("{place}: {ANNOTATIONS}: an object wanted")),
        };
        let mut annotations = Annotations { left, place };
        let empty = Map::new();
        let node = self.typed(name, object.unwrap_or(&empty), &mut annotations)?;
        annotations.end()?;
        Ok(node)
    }

    fn typed(
        &mut self,
        name: &str,
        object: &Map<String, Json>,
        annotations: &mut Annotations<'_>,
    ) -> Result<Node, String> {
        let full =
            matches!(name, "record" | "enum" | "fixed").then(|| object.get("name").and_then(Json::as_str));
        if let Some(name) = full.flatten() {
            // By the simple name: schemas of the generator have no two of the same in different namespaces.
            self.named.insert(simple(name).to_owned(), Json::Object(object.clone()));
        }
        if let Some(options) = annotations.take("options") {
            let options = options_of(&options).map_err(|e| annotations.wrong(e))?;
            let declared = if object.is_empty() { Json::from(name) } else { Json::Object(object.clone()) };
            if name == "record" {
                // So that its inner types are known where others name them.
                self.fields(object, annotations.place)?;
            }
            let values = options.iter().map(|o| constant(&self.named, &declared, o));
            let values: Vec<Value> = values.collect::<Result<_, _>>().map_err(|e| annotations.wrong(e))?;
            if values.is_empty() {
                return Err(annotations.wrong("options: at least one wanted"));
            }
            return Ok(Node::Options(values));
        }
        let logical = object.get("logicalType").and_then(Json::as_str);
        match (name, logical) {
            ("null", _) => Ok(Node::Null),
            ("boolean", _) => boolean(annotations),
            ("int" | "long", _) => whole(name, logical, annotations),
            ("float" | "double", _) => {
                let (unit, default) =
                    (unit(annotations, Unit::Millis)?, (Bound::Real(0.0), Bound::Real(1.0)));
                Ok(Node::Double { unit, source: annotations.source(unit, default)? })
            }
            ("bytes" | "fixed", Some("decimal")) => decimal(object, annotations),
            ("bytes", Some("big-decimal")) => Err(annotations.wrong("big-decimal is not built; decimal is")),
            ("bytes", _) => Ok(Node::Bytes(annotations.length()?.unwrap_or(DEFAULT_LENGTH))),
            ("fixed", _) => match object.get("size").and_then(Json::as_u64).map(|s| s as usize) {
                Some(size) if size <= MAX_LENGTH => Ok(Node::Bytes(size..size + 1)),
                _ => Err(annotations.wrong(format!("fixed: a size up to {MAX_LENGTH} wanted"))),
            },
            ("string", logical) => text(annotations, logical == Some("uuid")),
            ("enum", _) => {
                let symbols = object.get("symbols").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
                let text = |s: &Json| Value::Varchar(s.as_str().unwrap_or_default().to_owned());
                Ok(Node::Options(symbols.iter().map(text).collect()))
            }
            ("array", _) => {
                let length = annotations.length()?.unwrap_or(DEFAULT_LENGTH);
                let item = self.inner(object, "items", &format!("{}[]", annotations.place))?;
                Ok(Node::Array(item, length))
            }
            ("map", _) => self.map(object, annotations),
            ("record", _) => self.fields(object, annotations.place).map(Node::Record),
            (other, _) => match self.named.get(simple(other)).cloned() {
                Some(declared) => self.node(&declared, None, annotations.place),
                None => Err(format!("{}: there is no type {other}", annotations.place)),
            },
        }
    }

    fn inner(&mut self, object: &Map<String, Json>, name: &str, place: &str) -> Result<Box<Node>, String> {
        let declared = object.get(name).ok_or_else(|| format!("{place}: {name} wanted"))?;
        Ok(Box::new(self.node(declared, None, place)?))
    }

    fn map(&mut self, object: &Map<String, Json>, annotations: &mut Annotations<'_>) -> Result<Node, String> {
        let length = annotations.length()?.unwrap_or(DEFAULT_LENGTH);
        let keys = annotations.take("keys");
        let keys = self.node(&Json::from("string"), keys.as_ref(), &format!("{}.keys", annotations.place))?;
        let values = self.inner(object, "values", &format!("{}[]", annotations.place))?;
        Ok(Node::Map { keys: Box::new(keys), values, length })
    }

    fn fields(&mut self, object: &Map<String, Json>, place: &str) -> Result<Vec<Node>, String> {
        let fields = object.get("fields").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
        fields
            .iter()
            .map(|field| {
                let name = field.get("name").and_then(Json::as_str).unwrap_or_default();
                let place =
                    if place.is_empty() { format!("field {name}") } else { format!("{place}.{name}") };
                let declared = field.get("type").ok_or_else(|| format!("{place}: a type wanted"))?;
                self.node(declared, field.get(ANNOTATIONS), &place)
            })
            .collect()
    }

    fn union(&mut self, branches: &[Json], outer: Option<&Json>, place: &str) -> Result<Node, String> {
        let present: Vec<&Json> = branches.iter().filter(|b| b.as_str() != Some("null")).collect();
        if present.len() > 1 {
            return Err(format!("{place}: a union of more than null and one type is not built"));
        }
        let mut annotations = match outer {
            Some(Json::Object(left)) => Annotations { left: left.clone(), place },
            _ => Annotations { left: Map::new(), place },
        };
        let weights = match (annotations.take("position"), annotations.take("distribution")) {
            (None, None) => vec![1.0; branches.len()],
            (Some(position), None) => {
                let at = position.as_u64().filter(|p| (*p as usize) < branches.len());
                let at =
                    at.ok_or_else(|| annotations.wrong(format!("position {position}: no such branch")))?;
                (0..branches.len()).map(|i| if i == at as usize { 1.0 } else { 0.0 }).collect()
            }
            (None, Some(distribution)) => (0..branches.len())
                .map(|i| distribution.get(i.to_string()).and_then(Json::as_f64).unwrap_or(0.0))
                .collect(),
            (Some(_), Some(_)) => return Err(annotations.wrong("position and distribution are both set")),
        };
        if weights.iter().any(|w| !w.is_finite() || *w < 0.0) || weights.iter().sum::<f64>() <= 0.0 {
            return Err(annotations
                .wrong("distribution: a likelihood for each branch wanted: {\"0\": 0.3, \"1\": 0.7}"));
        }
        // What else stands beside the union is of its type.
        let left = Json::Object(annotations.left);
        let left = (left != Json::Object(Map::new())).then_some(&left);
        let nodes = branches
            .iter()
            .map(|b| self.node(b, left.filter(|_| b.as_str() != Some("null")), place))
            .collect::<Result<Vec<_>, _>>()?;
        let mut sum = 0.0;
        let sums = weights.into_iter().map(|w| {
            sum += w;
            sum
        });
        Ok(Node::Union(nodes, sums.collect()))
    }
}

/// A name without its namespace.
pub(super) fn simple(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

fn unit(annotations: &mut Annotations<'_>, default: Unit) -> Result<Unit, String> {
    let unit = annotations.take("unit").map(|u| Unit::named(&u)).transpose();
    Ok(unit.map_err(|e| annotations.wrong(e))?.unwrap_or(default))
}

fn boolean(annotations: &mut Annotations<'_>) -> Result<Node, String> {
    match (annotations.take("iteration"), annotations.take("odds")) {
        (None, None) => Ok(Node::Boolean(0.5)),
        (Some(iteration), None) => match members(&iteration, "iteration", &["start"])?.get("start") {
            Some(Json::Bool(start)) => Ok(Node::Alternating(*start)),
            _ => Err(annotations.wrong("iteration of a boolean: start, true or false, wanted")),
        },
        (None, Some(odds)) => match odds.as_f64().filter(|o| (0.0..=1.0).contains(o)) {
            Some(odds) => Ok(Node::Boolean(odds)),
            None => Err(annotations.wrong(format!("odds {odds}: 0.0 to 1.0 wanted"))),
        },
        (Some(_), Some(_)) => Err(annotations.wrong("iteration and odds are both set")),
    }
}

/// The type of an `int` or `long`, and what it counts.
pub(super) fn whole_type(name: &str, logical: Option<&str>) -> (Whole, Unit) {
    match (name, logical) {
        ("int", Some("date")) => (Whole::Date, Unit::Days),
        ("int", Some("time-millis")) => (Whole::Time, Unit::Millis),
        ("long", Some("time-micros")) => (Whole::Time, Unit::Micros),
        ("long", Some("timestamp-millis" | "local-timestamp-millis")) => (Whole::Timestamp, Unit::Millis),
        ("long", Some("timestamp-micros" | "local-timestamp-micros")) => (Whole::Timestamp, Unit::Micros),
        ("long", Some("timestamp-nanos" | "local-timestamp-nanos")) => (Whole::Timestamp, Unit::Nanos),
        ("int", _) => (Whole::Int, Unit::Millis),
        _ => (Whole::Long, Unit::Millis),
    }
}

fn whole(name: &str, logical: Option<&str>, annotations: &mut Annotations<'_>) -> Result<Node, String> {
    let (data_type, by_type) = whole_type(name, logical);
    let unit = match data_type {
        Whole::Int | Whole::Long => unit(annotations, by_type)?,
        _ => by_type,
    };
    let scale = match unit {
        Unit::Micros => 1000,
        Unit::Nanos => 1_000_000,
        _ => 1,
    };
    let (low, high) = match data_type {
        Whole::Int => (i32::MIN.into(), i128::from(i32::MAX) + 1),
        Whole::Long => (i64::MIN.into(), i128::from(i64::MAX) + 1),
        Whole::Date => (0, YEAR_2100_MS / DAY_MS),
        Whole::Time => (0, DAY_MS * scale),
        Whole::Timestamp => (0, YEAR_2100_MS * scale),
    };
    let source = annotations.source(unit, (Bound::Whole(low), Bound::Whole(high)))?;
    Ok(Node::Whole { data_type, unit, source })
}

fn decimal(object: &Map<String, Json>, annotations: &mut Annotations<'_>) -> Result<Node, String> {
    let number = |name: &str| object.get(name).and_then(Json::as_u64).unwrap_or_default().min(38) as u32;
    let (precision, scale) = (number("precision").max(1), number("scale"));
    let limit = 10_i128.pow(precision);
    let unit = unit(annotations, Unit::Millis)?;
    let default = (Bound::Whole(0), Bound::Real(10_f64.powi(precision as i32 - scale as i32).min(1e6)));
    Ok(Node::Decimal { source: annotations.source(unit, default)?, unit, scale, limit })
}

fn text(annotations: &mut Annotations<'_>, is_uuid: bool) -> Result<Node, String> {
    let mut part = |name: &str| match annotations.take(name) {
        None => Ok(None),
        Some(Json::String(text)) => Ok(Some(text)),
        Some(other) => Err(annotations.wrong(format!("{name} {other}: a string wanted"))),
    };
    let (prefix, suffix) = (part("prefix")?.unwrap_or_default(), part("suffix")?.unwrap_or_default());
    let (regex, kind) = (part("regex")?, part("kind")?);
    if annotations.left.contains_key("iteration") {
        let whole = (Bound::Whole(0), Bound::Whole(0));
        let text = Text::Count(annotations.source(Unit::Millis, whole)?);
        return match (regex, kind) {
            (None, None) => Ok(Node::Text { text, prefix, suffix }),
            _ => Err(annotations.wrong("iteration is set beside regex or kind")),
        };
    }
    // As a number it is the least length of what an expression gives.
    let least = regex.is_some() && annotations.left.get("length").is_some_and(Json::is_number);
    let length = annotations.length()?;
    let text = match (regex, kind.as_deref()) {
        (Some(regex), None) => {
            let pattern = Pattern::new(&regex).map_err(|e| annotations.wrong(e))?;
            let length = match length {
                Some(length) if least => length.start..usize::MAX,
                Some(length) => length,
                None => 0..usize::MAX,
            };
            let text = Text::Pattern(pattern, length);
            let mut random = ChaCha8Rng::seed_from_u64(0);
            let mut context = Context { random: &mut random, row: 0, now: 0, started: 0 };
            if !(0..10).any(|_| text.can_meet_length(&mut context)) {
                return Err(
                    annotations.wrong(format!("regex {regex:?} gives hardly any text of that length"))
                );
            }
            text
        }
        (None, Some("uuid")) => Text::Uuid,
        (None, None) if is_uuid => Text::Uuid,
        (None, None) => Text::Length(length.unwrap_or(DEFAULT_LENGTH)),
        (None, Some(kind)) => return Err(annotations.wrong(format!("kind {kind} is not built; uuid is"))),
        (Some(_), Some(_)) => return Err(annotations.wrong("regex and kind are both set")),
    };
    Ok(Node::Text { text, prefix, suffix })
}
