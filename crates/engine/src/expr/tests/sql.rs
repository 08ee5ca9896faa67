//! The tables' expressions as typed ones: just enough of SQL, and no checks. Columns, literals and operators have the types that
//! their rules give; a call has the type that the table says, or the usual one of its function inside of another expression.

use super::reader::data_type;
use crate::expr::compile::common;
use bd_schema::{DataType, Field, Value};
use bd_sql::expr::{BinaryOp, Expr, ExprKind, Function};
use std::sync::Arc;

pub(super) fn parse(sql: &str, columns: &[Field], result: &DataType) -> Expr {
    let mut parser = Parser { tokens: tokens(sql), at: 0, columns };
    let mut expr = parser.expr(0);
    assert_eq!(parser.at, parser.tokens.len(), "{sql}: what is {:?}", &parser.tokens[parser.at..]);
    if let ExprKind::Call { .. } | ExprKind::Case { .. } | ExprKind::Binary { .. } = expr.kind {
        expr.data_type = result.clone();
    }
    assert_eq!(expr.data_type, *result, "{sql}");
    expr
}

fn tokens(sql: &str) -> Vec<String> {
    let chars: Vec<char> = sql.chars().collect();
    let (mut out, mut i) = (Vec::new(), 0);
    while i < chars.len() {
        let start = i;
        let word = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
        match chars[i] {
            c if c.is_whitespace() => {
                i += 1;
                continue;
            }
            '\'' => {
                i += 1;
                while chars[i] != '\'' || chars.get(i + 1) == Some(&'\'') {
                    i += if chars[i] == '\'' { 2 } else { 1 };
                }
                i += 1;
            }
            c if word(c) => {
                while i < chars.len() && word(chars[i]) {
                    i += 1;
                }
            }
            c => {
                let two: String = chars[i..(i + 2).min(chars.len())].iter().collect();
                i += if ["<=", ">=", "<>", "->", ":="].contains(&two.as_str()) { 2 } else { 1 };
                let _ = c;
            }
        }
        out.push(chars[start..i].iter().collect());
    }
    out
}

struct Parser<'a> {
    tokens: Vec<String>,
    at: usize,
    columns: &'a [Field],
}

fn boolean(kind: ExprKind) -> Expr {
    Expr { kind, data_type: DataType::Boolean }
}

impl Parser<'_> {
    fn peek(&self) -> &str {
        self.tokens.get(self.at).map_or("", String::as_str)
    }

    fn next(&mut self) -> String {
        self.at += 1;
        self.tokens[self.at - 1].clone()
    }

    fn take(&mut self, token: &str) -> bool {
        let is = self.peek() == token;
        self.at += usize::from(is);
        is
    }

    fn need(&mut self, token: &str) {
        assert!(self.take(token), "{token} is wanted before {:?}", &self.tokens[self.at..]);
    }

    fn expr(&mut self, least: u8) -> Expr {
        let mut left =
            if self.take("NOT") { boolean(ExprKind::Not(Box::new(self.expr(3)))) } else { self.unary() };
        loop {
            let token = self.peek().to_owned();
            let (op, power) = match token.as_str() {
                "OR" => (BinaryOp::Or, 1),
                "AND" => (BinaryOp::And, 2),
                "=" => (BinaryOp::Eq, 4),
                "<>" => (BinaryOp::NotEq, 4),
                "<" => (BinaryOp::Less, 4),
                "<=" => (BinaryOp::LessEq, 4),
                ">" => (BinaryOp::Greater, 4),
                ">=" => (BinaryOp::GreaterEq, 4),
                "+" => (BinaryOp::Add, 5),
                "-" => (BinaryOp::Subtract, 5),
                "*" => (BinaryOp::Multiply, 6),
                "/" => (BinaryOp::Divide, 6),
                "%" => (BinaryOp::Modulo, 6),
                "IS" | "IN" | "LIKE" if least <= 4 => {
                    left = self.test(left);
                    continue;
                }
                _ => return left,
            };
            if power < least {
                return left;
            }
            self.at += 1;
            let right = self.expr(power + 1);
            let data_type = if power <= 4 {
                DataType::Boolean
            } else {
                common(&left.data_type, &right.data_type).unwrap_or(DataType::Timestamp)
            };
            left = Expr::binary(op, left, right, data_type);
        }
    }

    fn test(&mut self, left: Expr) -> Expr {
        let left = Box::new(left);
        match self.next().as_str() {
            "IS" if self.take("NULL") => boolean(ExprKind::IsNull(left)),
            "IS" => {
                self.need("DISTINCT");
                self.need("FROM");
                let right = self.expr(5);
                Expr::binary(BinaryOp::IsDistinctFrom, *left, right, DataType::Boolean)
            }
            "IN" => {
                self.need("(");
                let list = self.list(")").into_iter().map(|mut e| {
                    if e.kind == ExprKind::Literal(Value::Null) {
                        e.data_type = left.data_type.clone();
                    }
                    e
                });
                let list = list.collect();
                boolean(ExprKind::InList { value: left, list })
            }
            _ => {
                let pattern = Box::new(self.unary());
                let escape = self.take("ESCAPE").then(|| self.next().chars().nth(1).expect("a character"));
                boolean(ExprKind::Like { value: left, pattern, escape })
            }
        }
    }

    fn list(&mut self, close: &str) -> Vec<Expr> {
        let mut list = Vec::new();
        while !self.take(close) {
            list.push(self.expr(0));
            self.take(",");
        }
        list
    }

    fn unary(&mut self) -> Expr {
        if self.take("-") {
            let x = self.unary();
            let data_type = x.data_type.clone();
            return Expr { kind: ExprKind::Negate(Box::new(x)), data_type };
        }
        let mut expr = self.primary();
        loop {
            let value = Box::new(expr.clone());
            if self.take("->") {
                let name = self.next();
                let DataType::Struct(fields) = &expr.data_type else { panic!("-> of {}", expr.data_type) };
                let index = fields.iter().position(|f| f.name == name).expect("a field");
                let data_type = fields[index].data_type.clone();
                expr = Expr { kind: ExprKind::Field { value, index }, data_type };
            } else if self.take("[") {
                let index = Box::new(self.expr(0));
                self.need("]");
                let data_type = match &expr.data_type {
                    DataType::Array(e) | DataType::Map(e) => (**e).clone(),
                    other => panic!("[] of {other}"),
                };
                expr = Expr { kind: ExprKind::Index { value, index }, data_type };
            } else {
                return expr;
            }
        }
    }

    fn primary(&mut self) -> Expr {
        let token = self.next();
        match token.as_str() {
            "(" => {
                let inner = self.expr(0);
                self.need(")");
                inner
            }
            "NULL" => Expr::literal(Value::Null, DataType::Varchar),
            "TRUE" => Expr::literal(Value::Boolean(true), DataType::Boolean),
            "FALSE" => Expr::literal(Value::Boolean(false), DataType::Boolean),
            "INTERVAL" => {
                let count: i64 = self.next().trim_matches('\'').parse().expect("a number");
                let unit = match self.next().as_str() {
                    "SECOND" => 1000,
                    "HOUR" => 3_600_000,
                    "DAY" => 86_400_000,
                    other => panic!("no unit: {other}"),
                };
                Expr::literal(Value::BigInt(count * unit), DataType::BigInt)
            }
            "CAST" => {
                self.need("(");
                let x = Box::new(self.expr(0));
                self.need("AS");
                let mut name = String::new();
                let mut depth = 0;
                while depth > 0 || self.peek() != ")" {
                    let part = self.next();
                    depth += i32::from(part == "(") - i32::from(part == ")");
                    name.push_str(&part);
                    name.push_str(if part.starts_with(char::is_alphanumeric) && self.peek().len() > 1 {
                        " "
                    } else {
                        ""
                    });
                }
                self.need(")");
                Expr { kind: ExprKind::Cast(x), data_type: data_type(&name) }
            }
            "CASE" => self.case(),
            "ARRAY" => {
                self.need("[");
                let args = self.list("]");
                let element = args.first().map_or(DataType::BigInt, |a| a.data_type.clone());
                let kind = ExprKind::Call { function: Function::MakeArray, args };
                Expr { kind, data_type: DataType::Array(Arc::new(element)) }
            }
            "STRUCT" => {
                self.need("(");
                let (mut fields, mut args) = (Vec::new(), Vec::new());
                while !self.take(")") {
                    let name = self.next();
                    self.need(":=");
                    let value = self.expr(0);
                    fields.push(Field::new(name, value.data_type.clone()));
                    args.push(value);
                    self.take(",");
                }
                let kind = ExprKind::Call { function: Function::MakeStruct, args };
                Expr { kind, data_type: DataType::Struct(fields.into()) }
            }
            text if text.starts_with('\'') => {
                let text = text[1..text.len() - 1].replace("''", "'");
                Expr::literal(Value::Varchar(text), DataType::Varchar)
            }
            number if number.starts_with(|c: char| c.is_ascii_digit()) => match number.parse::<i64>() {
                Ok(n) => match i32::try_from(n) {
                    Ok(n) => Expr::literal(Value::Integer(n), DataType::Integer),
                    Err(_) => Expr::literal(Value::BigInt(n), DataType::BigInt),
                },
                Err(_) => Expr::literal(Value::Double(number.parse().expect("a number")), DataType::Double),
            },
            name if self.peek() == "(" => {
                self.need("(");
                let args = self.list(")");
                call(name, args)
            }
            name => {
                let place = self.columns.iter().position(|f| f.name == name);
                let place = place.unwrap_or_else(|| panic!("no column {name}"));
                Expr::column(place, self.columns[place].data_type.clone())
            }
        }
    }

    fn case(&mut self) -> Expr {
        let mut branches = Vec::new();
        while self.take("WHEN") {
            let condition = self.expr(0);
            self.need("THEN");
            branches.push((condition, self.expr(0)));
        }
        let otherwise = self.take("ELSE").then(|| Box::new(self.expr(0)));
        self.need("END");
        let data_type = branches[0].1.data_type.clone();
        Expr { kind: ExprKind::Case { branches, otherwise }, data_type }
    }
}

fn call(name: &str, args: Vec<Expr>) -> Expr {
    use DataType::{BigInt, Double, Integer, Timestamp, Varchar};
    let first = args.first().map_or(Varchar, |a| a.data_type.clone());
    let (function, data_type) = match name {
        "FORMAT_TIMESTAMP" => (Function::FormatTimestamp, Varchar),
        "PARSE_TIMESTAMP" => (Function::ParseTimestamp, Timestamp),
        "FORMAT_DATE" => (Function::FormatDate, Varchar),
        "PARSE_DATE" => (Function::ParseDate, DataType::Date),
        "FROM_UNIXTIME" => (Function::FromUnixtime, Timestamp),
        "UNIX_TIMESTAMP" => (Function::UnixTimestamp, BigInt),
        "GREATEST" => (Function::Greatest, first),
        "LEAST" => (Function::Least, first),
        "COALESCE" | "IFNULL" => (Function::Coalesce, first),
        "NULLIF" => (Function::NullIf, first),
        "CONCAT" => (Function::Concat, Varchar),
        "CONCAT_WS" => (Function::ConcatWs, Varchar),
        "UCASE" => (Function::Ucase, Varchar),
        "LCASE" => (Function::Lcase, Varchar),
        "TRIM" => (Function::Trim, Varchar),
        "LEN" => (Function::Len, Integer),
        "SUBSTRING" => (Function::Substring, Varchar),
        "REPLACE" => (Function::Replace, Varchar),
        "LPAD" => (Function::Lpad, Varchar),
        "SPLIT" => (Function::Split, DataType::Array(Arc::new(Varchar))),
        "ABS" => (Function::Abs, first),
        "FLOOR" => (Function::Floor, first),
        "CEIL" => (Function::Ceil, first),
        "ROUND" => (Function::Round, first),
        "SQRT" => (Function::Sqrt, Double),
        "POWER" => (Function::Power, Double),
        "ARRAY_LENGTH" => (Function::ArrayLength, Integer),
        "ARRAY_CONTAINS" => (Function::ArrayContains, DataType::Boolean),
        "MAP_KEYS" => (Function::MapKeys, DataType::Array(Arc::new(Varchar))),
        other => panic!("no function: {other}"),
    };
    Expr { kind: ExprKind::Call { function, args }, data_type }
}
