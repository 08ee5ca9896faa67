//! Properties that hold for all inputs.

use super::tables::value;
use crate::error::EngineError;
use crate::expr::{Compiled, literal};
use arrow_array::ArrayRef;
use bd_schema::{DataType, Value};
use bd_sql::expr::{BinaryOp, Expr, ExprKind, Function};
use proptest::prelude::*;

/// The result of a row, and whether it counts as an error.
fn eval(expr: &Expr, row: &[(Value, DataType)]) -> (Value, bool) {
    let columns: Vec<ArrayRef> = row.iter().map(|(v, t)| literal::one(v, t).expect("a column")).collect();
    let mut errors = 0;
    let array = Compiled::new(expr).expect("compiles").eval(&columns, 1, &mut errors).expect("evaluates");
    (value(&array, 0, &expr.data_type), errors > 0)
}

fn call(function: Function, args: Vec<Expr>, data_type: DataType) -> Expr {
    Expr { kind: ExprKind::Call { function, args }, data_type }
}

/// Numbers near the places where something changes.
fn number() -> impl Strategy<Value = i64> {
    prop_oneof![any::<i64>(), -3i64..4, Just(i64::MIN), Just(i64::MAX), any::<i32>().prop_map(i64::from)]
}

fn reference(op: BinaryOp, a: i128, b: i128) -> Option<i128> {
    match op {
        BinaryOp::Add => Some(a + b),
        BinaryOp::Subtract => Some(a - b),
        BinaryOp::Multiply => Some(a * b),
        BinaryOp::Divide => (b != 0).then(|| a / b),
        _ => (b != 0).then(|| a % b),
    }
}

const ARITHMETIC: [BinaryOp; 5] =
    [BinaryOp::Add, BinaryOp::Subtract, BinaryOp::Multiply, BinaryOp::Divide, BinaryOp::Modulo];

/// LIKE by trying everything.
fn naive_like(pattern: &[char], text: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some(('%', rest)) => (0..=text.len()).any(|skip| naive_like(rest, &text[skip..])),
        Some(('_', rest)) => !text.is_empty() && naive_like(rest, &text[1..]),
        Some((c, rest)) => text.first() == Some(c) && naive_like(rest, &text[1..]),
    }
}

/// The columns of random expressions, by type.
const COLUMNS: [DataType; 5] =
    [DataType::Boolean, DataType::BigInt, DataType::Double, DataType::Varchar, DataType::Timestamp];

fn literal_of(of: &DataType) -> BoxedStrategy<Value> {
    let of_type = match of {
        DataType::Boolean => any::<bool>().prop_map(Value::Boolean).boxed(),
        DataType::BigInt => number().prop_map(Value::BigInt).boxed(),
        DataType::Double => {
            let special = prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(-0.0), Just(1e300)];
            prop_oneof![any::<f64>(), -9.0..9.0, special].prop_map(Value::Double).boxed()
        }
        DataType::Varchar => {
            let texts =
                ["", "a%b_", "é日", "12", "-1.5", "2021-03-01T10:20:30Z", "yyyy-MM-dd", "HH:mm", "[d]'"];
            let fixed = prop::sample::select(texts.to_vec()).prop_map(str::to_owned);
            prop_oneof![fixed, "\\PC{0,6}"].prop_map(Value::Varchar).boxed()
        }
        _ => number().prop_map(Value::Timestamp).boxed(),
    };
    prop_oneof![6 => of_type, 1 => Just(Value::Null)].boxed()
}

/// A well-typed expression of that type.
fn expr(of: DataType, depth: u32) -> BoxedStrategy<Expr> {
    let place = COLUMNS.iter().position(|t| *t == of).expect("a column's type");
    let literal = literal_of(&of).prop_map({
        let of = of.clone();
        move |v| Expr::literal(v, of.clone())
    });
    let leaf = prop_oneof![Just(Expr::column(place, of.clone())), literal];
    if depth == 0 {
        return leaf.boxed();
    }
    let sub = |t: DataType| expr(t, depth - 1);
    let any_type = prop::sample::select(COLUMNS.to_vec());
    let cast = {
        let of = of.clone();
        // The casts that there are among these types.
        let from = match &of {
            DataType::Boolean => vec![DataType::Varchar],
            DataType::BigInt => vec![DataType::Double, DataType::Varchar, DataType::Timestamp],
            DataType::Double => vec![DataType::BigInt, DataType::Varchar],
            DataType::Varchar => COLUMNS.to_vec(),
            _ => vec![DataType::BigInt, DataType::Varchar],
        };
        prop::sample::select(from)
            .prop_flat_map(move |t| expr(t, depth - 1))
            .prop_map(move |x| Expr { kind: ExprKind::Cast(Box::new(x)), data_type: of.clone() })
    };
    let case = (sub(DataType::Boolean), sub(of.clone()), prop::option::of(sub(of.clone()))).prop_map({
        let of = of.clone();
        move |(c, v, e)| {
            let kind = ExprKind::Case { branches: vec![(c, v)], otherwise: e.map(Box::new) };
            Expr { kind, data_type: of.clone() }
        }
    });
    let several = prop::collection::vec(sub(of.clone()), 1..4);
    let coalesce = several.clone().prop_map({
        let of = of.clone();
        move |args| call(Function::Coalesce, args, of.clone())
    });
    let special: BoxedStrategy<Expr> = match &of {
        DataType::Boolean => {
            let compare = any_type.prop_flat_map(move |t| {
                let ops = vec![BinaryOp::Eq, BinaryOp::Less, BinaryOp::GreaterEq, BinaryOp::IsDistinctFrom];
                let sides = (expr(t.clone(), depth - 1), expr(t, depth - 1));
                (prop::sample::select(ops), sides)
                    .prop_map(|(op, (l, r))| Expr::binary(op, l, r, DataType::Boolean))
            });
            let logic =
                (any::<bool>(), sub(DataType::Boolean), sub(DataType::Boolean)).prop_map(|(or, l, r)| {
                    Expr::binary(if or { BinaryOp::Or } else { BinaryOp::And }, l, r, DataType::Boolean)
                });
            let list = (sub(DataType::BigInt), prop::collection::vec(sub(DataType::BigInt), 0..7));
            let list = list.prop_map(|(value, list)| Expr {
                kind: ExprKind::InList { value: Box::new(value), list },
                data_type: DataType::Boolean,
            });
            let not = sub(DataType::Boolean)
                .prop_map(|x| Expr { kind: ExprKind::Not(Box::new(x)), data_type: DataType::Boolean });
            prop_oneof![compare, logic, list, not].boxed()
        }
        DataType::BigInt | DataType::Double => {
            let of = of.clone();
            (prop::sample::select(ARITHMETIC.to_vec()), sub(of.clone()), sub(of.clone()))
                .prop_map(move |(op, l, r)| Expr::binary(op, l, r, of.clone()))
                .boxed()
        }
        DataType::Varchar => {
            let varchar = || sub(DataType::Varchar);
            let format = (sub(DataType::Timestamp), varchar()).prop_map(|(t, p)| match p.kind {
                // A wrong constant pattern is refused at compilation.
                ExprKind::Literal(_) => call(Function::Ucase, vec![p], DataType::Varchar),
                _ => call(Function::FormatTimestamp, vec![t, p], DataType::Varchar),
            });
            let substring = (varchar(), sub(DataType::BigInt), sub(DataType::BigInt))
                .prop_map(|(s, n, l)| call(Function::Substring, vec![s, n, l], DataType::Varchar));
            let lpad = (varchar(), -2i64..9, varchar()).prop_map(|(s, n, p)| {
                let n = Expr::literal(Value::BigInt(n), DataType::BigInt);
                call(Function::Lpad, vec![s, n, p], DataType::Varchar)
            });
            let greatest = several.prop_map(|args| call(Function::Greatest, args, DataType::Varchar));
            prop_oneof![format, substring, lpad, greatest].boxed()
        }
        _ => {
            let add = (sub(DataType::BigInt), sub(DataType::Timestamp))
                .prop_map(|(n, t)| call(Function::TimestampAdd, vec![n, t], DataType::Timestamp));
            let pattern = Expr::literal(Value::Varchar("yyyy-MM-dd'T'HH:mm:ssX".into()), DataType::Varchar);
            let parse = sub(DataType::Varchar).prop_map(move |s| {
                call(Function::ParseTimestamp, vec![s, pattern.clone()], DataType::Timestamp)
            });
            prop_oneof![add, parse].boxed()
        }
    };
    prop_oneof![leaf, cast, case, coalesce, special].boxed()
}

fn any_expr() -> impl Strategy<Value = Expr> {
    prop::sample::select(COLUMNS.to_vec()).prop_flat_map(|t| expr(t, 3))
}

fn any_row() -> impl Strategy<Value = Vec<Value>> {
    COLUMNS.iter().map(literal_of).collect::<Vec<_>>()
}

proptest! {
    #[test]
    fn integers_are_computed_as_without_bounds_or_fail(a in number(), b in number()) {
        for op in ARITHMETIC {
            let exact = reference(op, a.into(), b.into());
            let expr = Expr::binary(
                op,
                Expr::column(0, DataType::BigInt),
                Expr::column(1, DataType::BigInt),
                DataType::BigInt,
            );
            let row = [(Value::BigInt(a), DataType::BigInt), (Value::BigInt(b), DataType::BigInt)];
            let wanted = exact.and_then(|v| i64::try_from(v).ok());
            let failed = wanted.is_none();
            prop_assert_eq!(eval(&expr, &row), (wanted.map_or(Value::Null, Value::BigInt), failed));

            let (a, b) = (a as i32, b as i32);
            let exact = reference(op, a.into(), b.into());
            let expr = Expr::binary(
                op,
                Expr::column(0, DataType::Integer),
                Expr::column(1, DataType::Integer),
                DataType::Integer,
            );
            let row = [(Value::Integer(a), DataType::Integer), (Value::Integer(b), DataType::Integer)];
            let wanted = exact.and_then(|v| i32::try_from(v).ok());
            let failed = wanted.is_none();
            prop_assert_eq!(eval(&expr, &row), (wanted.map_or(Value::Null, Value::Integer), failed));
        }
    }

    #[test]
    fn what_is_formatted_is_parsed_to_the_same_instant(
        // From 0001-01-01 to 9999-12-31.
        ms in -62_135_596_800_000i64..253_402_300_800_000,
        offset in -18i32 * 60..=18 * 60,
        pattern in prop::sample::select(vec![
            "yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
            "uuuuMMddHHmmssSSSXX",
            "d/M/y h:m:s.SSS a xxx",
            "EEEE, MMMM d, yyyy kk:mm:ss n ZZZZZ",
            "D uuuu K:mm:ss,SSSSSS a VV",
            "yyyy-MM-dd[ HH:mm:ss.SSS][ O]",
        ]),
    ) {
        let sign = if offset < 0 { '-' } else { '+' };
        let zone = format!("{sign}{:02}:{:02}", offset.abs() / 60, offset.abs() % 60);
        // Local years beyond 1..=9999 are written with other widths.
        let local = ms + i64::from(offset) * 60_000;
        prop_assume!((-62_135_596_800_000..253_402_300_800_000).contains(&local));
        let text = |t: &str| Expr::literal(Value::Varchar(t.to_owned()), DataType::Varchar);
        let at = Expr::column(0, DataType::Timestamp);
        let formatted =
            call(Function::FormatTimestamp, vec![at, text(pattern), text(&zone)], DataType::Varchar);
        // Parsed as UTC, so that it is the text that says the zone.
        let parsed = call(Function::ParseTimestamp, vec![formatted, text(pattern)], DataType::Timestamp);
        let row = [(Value::Timestamp(ms), DataType::Timestamp)];
        prop_assert_eq!(eval(&parsed, &row), (Value::Timestamp(ms), false));
    }

    #[test]
    fn the_calendar_agrees_with_counting(days in -750_000i64..3_000_000) {
        let date = crate::expr::time::civil::Date::from_days(days);
        prop_assert_eq!(date.to_days(), days);
        let text = format!("{}-{}-{}", date.year, date.month, date.day);
        prop_assert_eq!(super::reader::days(&text), days);
    }

    #[test]
    fn like_agrees_with_trying_everything(pattern in "[ab%_é]{0,7}", text in "[abé]{0,8}") {
        let matcher = crate::expr::like::Pattern::new(&pattern, None).expect("a pattern");
        let chars = |s: &str| s.chars().collect::<Vec<_>>();
        prop_assert_eq!(matcher.matches(&text), naive_like(&chars(&pattern), &chars(&text)));
    }

    #[test]
    fn well_typed_expressions_never_panic_and_do_not_depend_on_how_rows_are_batched(
        expr in any_expr(),
        rows in prop::collection::vec(any_row(), 1..5),
    ) {
        let columns: Vec<ArrayRef> = COLUMNS.iter().enumerate().map(|(i, t)| {
            literal::array(&rows.iter().map(|r| &r[i]).collect::<Vec<_>>(), t).expect("a column")
        }).collect();
        let compiled = match Compiled::new(&expr) {
            Ok(compiled) => compiled,
            // A pattern that folds to a constant may be wrong.
            Err(EngineError::Statement(_)) => return Ok(()),
            Err(e) => panic!("{e}"),
        };
        let mut errors = 0;
        let all = compiled.eval(&columns, rows.len(), &mut errors).expect("evaluates");
        prop_assert_eq!(all.len(), rows.len());
        let mut alone = 0;
        for (i, row) in rows.iter().enumerate() {
            let single: Vec<ArrayRef> = columns.iter().map(|c| c.slice(i, 1)).collect();
            let one = compiled.eval(&single, 1, &mut alone).expect("evaluates");
            let (a, b) = (value(&all, i, &expr.data_type), value(&one, 0, &expr.data_type));
            prop_assert_eq!(format!("{a:?}"), format!("{b:?}"), "{:?}", row);
        }
        prop_assert_eq!(errors, alone);
    }
}
