//! Rows per second and core of the expressions that the demo's queries spend their time on.
//!
//! `cargo run --release -p bd-engine --example expr_rate`

use arrow_array::{ArrayRef, Int64Array, StringArray, TimestampMillisecondArray};
use bd_engine::EngineError;
use bd_engine::expr::Compiled;
use bd_schema::{DataType, Value};
use bd_sql::expr::{BinaryOp, Expr, ExprKind, Function};
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

const ROWS: usize = 8192;
const PATTERN: &str = "yyyy-MM-dd'T'HH:mm:ssX";

fn call(function: Function, args: Vec<Expr>, data_type: DataType) -> Expr {
    Expr { kind: ExprKind::Call { function, args }, data_type }
}

fn one_of(column: usize, values: [i64; 2]) -> Expr {
    let list = values.map(|v| Expr::literal(Value::BigInt(v), DataType::BigInt)).to_vec();
    let value = Box::new(Expr::column(column, DataType::BigInt));
    Expr { kind: ExprKind::InList { value, list }, data_type: DataType::Boolean }
}

fn main() -> Result<(), EngineError> {
    let text = |t: &str| Expr::literal(Value::Varchar(t.into()), DataType::Varchar);
    // Five seconds apart, as actions are; and an hour apart, so that the day changes often.
    let near =
        TimestampMillisecondArray::from_iter_values((0..ROWS as i64).map(|i| 1_614_592_800_000 + i * 5_000));
    let far = TimestampMillisecondArray::from_iter_values(
        (0..ROWS as i64).map(|i| 1_614_592_800_000 + i * 86_400_000 * 7 + i * 1_000),
    );
    let near: ArrayRef = Arc::new(near);
    let format = call(
        Function::FormatTimestamp,
        vec![Expr::column(0, DataType::Timestamp), text(PATTERN)],
        DataType::Varchar,
    );
    let texts = Compiled::new(&format)?.eval(std::slice::from_ref(&near), ROWS, &mut 0)?;
    let parse = call(
        Function::ParseTimestamp,
        vec![Expr::column(0, DataType::Varchar), text(PATTERN)],
        DataType::Timestamp,
    );
    let action: ArrayRef = Arc::new(Int64Array::from_iter_values((0..ROWS as i64).map(|i| i * 7 % 4)));
    let next: ArrayRef = Arc::new(Int64Array::from_iter_values((0..ROWS as i64).map(|i| i * 5 % 4)));
    let filter = Expr::binary(BinaryOp::And, one_of(0, [1, 3]), one_of(1, [2, 3]), DataType::Boolean);
    let other: ArrayRef = Arc::new(StringArray::from_iter_values(
        (0..ROWS).map(|i| format!("2021-03-01T{:02}:00:00Z", i % 24)),
    ));
    let greatest = call(
        Function::Greatest,
        vec![Expr::column(0, DataType::Varchar), Expr::column(1, DataType::Varchar)],
        DataType::Varchar,
    );
    let seconds = Expr::binary(
        BinaryOp::Multiply,
        Expr::column(0, DataType::BigInt),
        Expr::literal(Value::BigInt(1000), DataType::BigInt),
        DataType::BigInt,
    );
    for (name, expr, columns) in [
        ("FORMAT_TIMESTAMP, seconds apart", &format, vec![near]),
        ("FORMAT_TIMESTAMP, weeks apart", &format, vec![Arc::new(far) as ArrayRef]),
        ("PARSE_TIMESTAMP", &parse, vec![texts.clone()]),
        ("a IN (1, 3) AND b IN (2, 3)", &filter, vec![action.clone(), next]),
        ("GREATEST of strings", &greatest, vec![texts, other]),
        ("a * 1000", &seconds, vec![action]),
    ] {
        let compiled = Compiled::new(expr)?;
        let (start, mut rounds) = (Instant::now(), 0);
        while start.elapsed().as_millis() < 500 {
            for _ in 0..16 {
                compiled.eval(&columns, ROWS, &mut 0)?;
            }
            rounds += 16;
        }
        let rate = (rounds * ROWS) as f64 / start.elapsed().as_secs_f64() / 1e6;
        // A closed pipe is no reason to stop.
        let _ = writeln!(std::io::stdout(), "{name:34} {rate:8.1} M rows/s");
    }
    Ok(())
}
