//! The scalar functions' names, arguments and results.

use crate::analyzer::types::{call, cast, common, is_null, mismatch, unify_all};
use crate::error::{Res, Span, fail, nearest_hint};
use crate::expr::{Expr, ExprKind, Function};
use crate::patterns;
use bd_schema::{DataType, Value};
use std::sync::Arc;

/// A function as `SHOW FUNCTIONS` lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FunctionInfo {
    /// Its name.
    pub name: &'static str,
    /// `SCALAR`, `AGGREGATE`, `WINDOW` or `TABLE`.
    pub kind: &'static str,
    /// How it is called.
    pub signature: &'static str,
}

/// What an argument must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arg {
    Text,
    Int,
    Big,
    Double,
    Number,
    Timestamp,
    Date,
    Array,
    Map,
    Any,
}

/// What a call gives.
#[derive(Debug, Clone, Copy)]
enum Gives {
    Text,
    Int,
    Big,
    Double,
    Boolean,
    Timestamp,
    Date,
    Texts,
    /// The type of the first argument.
    First,
    /// The type that all arguments widen to.
    Common,
    /// Of ROUND.
    Rounded,
}

struct Signature {
    name: &'static str,
    function: Function,
    args: &'static [Arg],
    /// How many of `args` must be there.
    least: usize,
    /// The last of `args` may come more often.
    more: bool,
    gives: Gives,
    text: &'static str,
}

const fn sig(
    name: &'static str,
    function: Function,
    args: &'static [Arg],
    least: usize,
    gives: Gives,
    text: &'static str,
) -> Signature {
    Signature { name, function, args, least, more: false, gives, text }
}

const fn variadic(
    name: &'static str,
    function: Function,
    args: &'static [Arg],
    least: usize,
    gives: Gives,
    text: &'static str,
) -> Signature {
    Signature { name, function, args, least, more: true, gives, text }
}

use Arg::{Any, Array, Big, Date, Double, Int, Map, Number, Text, Timestamp};

const SIGNATURES: &[Signature] = &[
    sig("ABS", Function::Abs, &[Number], 1, Gives::First, "ABS(number)"),
    sig(
        "ARRAY_CONTAINS",
        Function::ArrayContains,
        &[Array, Any],
        2,
        Gives::Boolean,
        "ARRAY_CONTAINS(array, x)",
    ),
    sig("ARRAY_LENGTH", Function::ArrayLength, &[Array], 1, Gives::Int, "ARRAY_LENGTH(array)"),
    sig("CEIL", Function::Ceil, &[Number], 1, Gives::First, "CEIL(number)"),
    variadic("COALESCE", Function::Coalesce, &[Any], 1, Gives::Common, "COALESCE(a, b, ...)"),
    variadic("CONCAT", Function::Concat, &[Text], 2, Gives::Text, "CONCAT(text, text, ...)"),
    variadic(
        "CONCAT_WS",
        Function::ConcatWs,
        &[Text, Text],
        2,
        Gives::Text,
        "CONCAT_WS(separator, text, ...)",
    ),
    sig("FLOOR", Function::Floor, &[Number], 1, Gives::First, "FLOOR(number)"),
    sig("FORMAT_DATE", Function::FormatDate, &[Date, Text], 2, Gives::Text, "FORMAT_DATE(date, pattern)"),
    sig(
        "FORMAT_TIMESTAMP",
        Function::FormatTimestamp,
        &[Timestamp, Text, Text],
        2,
        Gives::Text,
        "FORMAT_TIMESTAMP(timestamp, pattern [, zone])",
    ),
    sig("FROM_UNIXTIME", Function::FromUnixtime, &[Big], 1, Gives::Timestamp, "FROM_UNIXTIME(ms)"),
    variadic("GREATEST", Function::Greatest, &[Any], 1, Gives::Common, "GREATEST(a, b, ...)"),
    sig("IFNULL", Function::Coalesce, &[Any, Any], 2, Gives::Common, "IFNULL(x, otherwise)"),
    sig("LCASE", Function::Lcase, &[Text], 1, Gives::Text, "LCASE(text)"),
    variadic("LEAST", Function::Least, &[Any], 1, Gives::Common, "LEAST(a, b, ...)"),
    sig("LEN", Function::Len, &[Text], 1, Gives::Int, "LEN(text)"),
    sig("LOWER", Function::Lcase, &[Text], 1, Gives::Text, "LOWER(text)"),
    sig("LPAD", Function::Lpad, &[Text, Int, Text], 3, Gives::Text, "LPAD(text, length, padding)"),
    sig("MAP_KEYS", Function::MapKeys, &[Map], 1, Gives::Texts, "MAP_KEYS(map)"),
    sig("NULLIF", Function::NullIf, &[Any, Any], 2, Gives::Common, "NULLIF(a, b)"),
    sig("PARSE_DATE", Function::ParseDate, &[Text, Text], 2, Gives::Date, "PARSE_DATE(text, pattern)"),
    sig(
        "PARSE_TIMESTAMP",
        Function::ParseTimestamp,
        &[Text, Text, Text],
        2,
        Gives::Timestamp,
        "PARSE_TIMESTAMP(text, pattern [, zone])",
    ),
    sig("POWER", Function::Power, &[Double, Double], 2, Gives::Double, "POWER(x, y)"),
    sig("REPLACE", Function::Replace, &[Text, Text, Text], 3, Gives::Text, "REPLACE(text, from, to)"),
    sig("ROUND", Function::Round, &[Number, Int], 1, Gives::Rounded, "ROUND(number [, decimals])"),
    sig("SPLIT", Function::Split, &[Text, Text], 2, Gives::Texts, "SPLIT(text, delimiter)"),
    sig("SQRT", Function::Sqrt, &[Double], 1, Gives::Double, "SQRT(x)"),
    sig(
        "SUBSTRING",
        Function::Substring,
        &[Text, Int, Int],
        2,
        Gives::Text,
        "SUBSTRING(text, start [, length])",
    ),
    sig("TRIM", Function::Trim, &[Text], 1, Gives::Text, "TRIM(text)"),
    sig("UCASE", Function::Ucase, &[Text], 1, Gives::Text, "UCASE(text)"),
    sig("UNIX_TIMESTAMP", Function::UnixTimestamp, &[Timestamp], 1, Gives::Big, "UNIX_TIMESTAMP(timestamp)"),
    sig("UPPER", Function::Ucase, &[Text], 1, Gives::Text, "UPPER(text)"),
];

/// Those that are no calls of [`Function`] by a plain signature.
const OTHERS: &[(&str, &str, &str)] = &[
    ("AS_VALUE", "SCALAR", "AS_VALUE(key column)"),
    ("TIMESTAMPADD", "SCALAR", "TIMESTAMPADD(unit, n, timestamp)"),
    ("TIMESTAMPSUB", "SCALAR", "TIMESTAMPSUB(unit, n, timestamp)"),
    ("AVG", "AGGREGATE", "AVG(number)"),
    ("COLLECT_LIST", "AGGREGATE", "COLLECT_LIST(x)"),
    ("COUNT", "AGGREGATE", "COUNT(*), COUNT(x), COUNT(DISTINCT x)"),
    ("COUNT_DISTINCT", "AGGREGATE", "COUNT_DISTINCT(x)"),
    ("EARLIEST_BY_OFFSET", "AGGREGATE", "EARLIEST_BY_OFFSET(x)"),
    ("LATEST_BY_OFFSET", "AGGREGATE", "LATEST_BY_OFFSET(x)"),
    ("MAX", "AGGREGATE", "MAX(x)"),
    ("MAX_BY", "AGGREGATE", "MAX_BY(x, y)"),
    ("MIN", "AGGREGATE", "MIN(x)"),
    ("MIN_BY", "AGGREGATE", "MIN_BY(x, y)"),
    ("SUM", "AGGREGATE", "SUM(number)"),
    ("LAG", "WINDOW", "LAG(x [, n]) OVER (PARTITION BY .. ORDER BY ..)"),
    ("LEAD", "WINDOW", "LEAD(x [, n]) OVER (PARTITION BY .. ORDER BY ..)"),
    ("ROW_NUMBER", "WINDOW", "ROW_NUMBER() OVER (PARTITION BY .. ORDER BY ..)"),
    ("UNNEST", "TABLE", "CROSS JOIN UNNEST(array or map) AS alias (columns)"),
];

/// All functions, by name.
pub fn functions() -> Vec<FunctionInfo> {
    let scalar = SIGNATURES.iter().map(|s| FunctionInfo { name: s.name, kind: "SCALAR", signature: s.text });
    let others = OTHERS.iter().map(|(name, kind, signature)| FunctionInfo { name, kind, signature });
    let mut all: Vec<FunctionInfo> = scalar.chain(others).collect();
    all.sort_by_key(|f| f.name);
    all
}

fn signature(name: &str) -> Option<&'static Signature> {
    SIGNATURES.iter().find(|s| s.name.eq_ignore_ascii_case(name))
}

/// Refuses a name that is no scalar function's.
pub(crate) fn check_name(name: &str, span: Span) -> Res<()> {
    if signature(name).is_some() {
        return Ok(());
    }
    let known = functions();
    let hint = nearest_hint("functions", name, known.iter().map(|f| f.name));
    fail(span, format!("there is no function {name}"), hint)
}

/// The call of a scalar function.
pub(crate) fn scalar(name: &str, span: Span, args: Vec<(Expr, Span)>) -> Res<Expr> {
    let Some(sig) = signature(name) else {
        return fail(span, format!("there is no function {name}"), "SHOW FUNCTIONS lists them all");
    };
    if args.len() < sig.least || (!sig.more && args.len() > sig.args.len()) {
        let message = format!("{} does not take {} argument(s)", sig.name, args.len());
        return fail(span, message, format!("write {}", sig.text));
    }
    let mut exprs = Vec::new();
    for (i, (expr, at)) in args.into_iter().enumerate() {
        let wanted = sig.args[i.min(sig.args.len() - 1)];
        exprs.push(argument(sig, i, wanted, expr, at)?);
    }
    check_constants(sig, span, &exprs)?;
    finish(sig, span, exprs)
}

fn argument(sig: &Signature, place: usize, wanted: Arg, expr: Expr, span: Span) -> Res<Expr> {
    let to = match wanted {
        Text => DataType::Varchar,
        Int => DataType::Integer,
        Big => DataType::BigInt,
        Double => DataType::Double,
        Timestamp => DataType::Timestamp,
        Date => DataType::Date,
        Number if expr.data_type.is_numeric() => return Ok(expr),
        Array if matches!(expr.data_type, DataType::Array(_)) => return Ok(expr),
        Map if matches!(expr.data_type, DataType::Map(_)) => return Ok(expr),
        Any => return Ok(expr),
        Number if is_null(&expr) => return Ok(cast(expr, &DataType::BigInt)),
        Number | Array | Map => {
            let noun = if wanted == Number {
                "a number"
            } else if wanted == Array {
                "an ARRAY"
            } else {
                "a MAP"
            };
            let message =
                format!("argument {} of {} is {noun}, and this is {}", place + 1, sig.name, expr.data_type);
            return fail(span, message, format!("write {}", sig.text));
        }
    };
    let widens = is_null(&expr)
        || (expr.data_type.is_numeric() && common(&expr.data_type, &to).as_ref() == Some(&to))
        || (expr.data_type == DataType::Date && to == DataType::Timestamp);
    if expr.data_type == to || widens {
        return Ok(cast(expr, &to));
    }
    let message = format!("argument {} of {} is {to}, and this is {}", place + 1, sig.name, expr.data_type);
    let hint = match (&expr.data_type, &to) {
        (DataType::BigInt | DataType::Integer, DataType::Timestamp) => {
            "FROM_UNIXTIME(ms) gives a TIMESTAMP; of seconds, FROM_UNIXTIME(x * 1000)".to_string()
        }
        (DataType::Varchar, DataType::Timestamp) => {
            "PARSE_TIMESTAMP(text, pattern) gives a TIMESTAMP".to_string()
        }
        _ => format!("use CAST(x AS {to}); write {}", sig.text),
    };
    fail(span, message, hint)
}

/// Patterns and zones that are constants are checked here, not at each row.
fn check_constants(sig: &Signature, span: Span, args: &[Expr]) -> Res<()> {
    let by_pattern = matches!(
        sig.function,
        Function::FormatTimestamp | Function::ParseTimestamp | Function::FormatDate | Function::ParseDate
    );
    let text = |i: usize| match args.get(i).map(|e| &e.kind) {
        Some(ExprKind::Literal(Value::Varchar(text))) => Some(text.as_str()),
        _ => None,
    };
    if by_pattern && let Some(pattern) = text(1) {
        patterns::check(pattern).or_else(|(message, hint)| fail(span, message, hint))?;
    }
    if by_pattern && let Some(zone) = text(2) {
        let offset = zone.strip_prefix(['+', '-']).is_some_and(|rest| {
            let digits = rest.replace(':', "");
            matches!(digits.len(), 2 | 4) && digits.chars().all(|c| c.is_ascii_digit())
        });
        if !(offset || zone == "UTC" || zone == "Z") {
            let message = format!("there is no zone '{zone}' here");
            return fail(span, message, "a zone is 'UTC' or an offset such as '+02:00'");
        }
    }
    Ok(())
}

fn finish(sig: &Signature, span: Span, args: Vec<Expr>) -> Res<Expr> {
    let what = format!("the arguments of {}", sig.name);
    let data_type = match sig.gives {
        Gives::Text => DataType::Varchar,
        Gives::Int => DataType::Integer,
        Gives::Big => DataType::BigInt,
        Gives::Double => DataType::Double,
        Gives::Timestamp => DataType::Timestamp,
        Gives::Date => DataType::Date,
        Gives::Texts => DataType::Array(Arc::new(DataType::Varchar)),
        Gives::First => args[0].data_type.clone(),
        Gives::Common => {
            let (args, data_type) = unify_all(span, &what, args)?;
            let ordered = matches!(sig.function, Function::Greatest | Function::Least);
            if ordered && !is_ordered(&data_type) {
                return fail(
                    span,
                    format!("{} cannot compare {data_type}", sig.name),
                    "pick a field or an element",
                );
            }
            return Ok(call(sig.function, args, data_type));
        }
        Gives::Rounded if args.len() == 1 && args[0].data_type == DataType::Double => DataType::BigInt,
        Gives::Rounded => args[0].data_type.clone(),
        Gives::Boolean => {
            let DataType::Array(element) = &args[0].data_type else { return Ok(args[0].clone()) };
            let (element, mut args) = (element.as_ref().clone(), args);
            let wanted = is_null(&args[1]) || common(&args[1].data_type, &element).as_ref() == Some(&element);
            if !wanted {
                return Err(mismatch(span, &what, &element, &args[1].data_type));
            }
            let last = args.pop().map(|x| cast(x, &element));
            args.extend(last);
            return Ok(call(sig.function, args, DataType::Boolean));
        }
    };
    Ok(call(sig.function, args, data_type))
}

/// Whether values of the type have an order.
pub(crate) fn is_ordered(data_type: &DataType) -> bool {
    !matches!(data_type, DataType::Array(_) | DataType::Map(_) | DataType::Struct(_))
}
