//! Columns as in a statement: `ad_id BIGINT, at TIMESTAMP, tags ARRAY<VARCHAR>, place STRUCT<lon DOUBLE, lat DOUBLE>`.

use bd_schema::{DataType, Field, Schema};

const MAX_DEPTH: usize = 32;

/// The columns that the text names.
///
/// # Errors
/// What is wrong, and where.
pub(super) fn parse(text: &str) -> Result<Schema, String> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0 };
    let fields = parser.fields(0)?;
    match parser.peek() {
        "" => Ok(Schema::new(fields)),
        found => Err(format!("a comma wanted after column {}, found {found}", fields.len())),
    }
}

/// Names (quoted ones without their quotes, marked by a leading space) and single signs.
fn tokens(text: &str) -> Result<Vec<String>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '`' | '"' => {
                let inner = &rest[1..];
                let end = inner.find(first).ok_or_else(|| format!("the quote {first} is not closed"))?;
                tokens.push(format!(" {}", &inner[..end]));
                end + 2
            }
            ',' | '<' | '>' | '(' | ')' | ':' => {
                tokens.push(first.to_string());
                1
            }
            _ => {
                let end =
                    rest.find(|c: char| c.is_whitespace() || "`\",<>():".contains(c)).unwrap_or(rest.len());
                tokens.push(rest[..end].to_owned());
                end
            }
        };
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

struct Parser {
    tokens: Vec<String>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> &str {
        self.tokens.get(self.at).map_or("", String::as_str)
    }

    fn next(&mut self) -> String {
        self.at += 1;
        self.tokens.get(self.at - 1).cloned().unwrap_or_default()
    }

    fn sign(&mut self, sign: &str) -> Result<(), String> {
        match self.next() {
            found if found == sign => Ok(()),
            found if found.is_empty() => Err(format!("{sign} wanted, the text ends")),
            found => Err(format!("{sign} wanted, found {found}")),
        }
    }

    fn fields(&mut self, depth: usize) -> Result<Vec<Field>, String> {
        let mut fields: Vec<Field> = Vec::new();
        loop {
            let name = self.next();
            let name = match name.strip_prefix(' ') {
                Some(quoted) => quoted.to_owned(),
                None if name.is_empty() || ",<>():".contains(name.as_str()) => {
                    return Err(format!("the name of column {} wanted, found {name:?}", fields.len() + 1));
                }
                None => name,
            };
            if self.peek() == ":" {
                self.at += 1;
            }
            if fields.iter().any(|f| f.name.eq_ignore_ascii_case(&name)) {
                return Err(format!("there are two columns {name}"));
            }
            let data_type = self.data_type(depth).map_err(|e| format!("column {name}: {e}"))?;
            fields.push(Field::new(name, data_type));
            if self.peek() != "," {
                return Ok(fields);
            }
            self.at += 1;
        }
    }

    fn data_type(&mut self, depth: usize) -> Result<DataType, String> {
        if depth > MAX_DEPTH {
            return Err(format!("types are nested deeper than {MAX_DEPTH}"));
        }
        let name = self.next();
        Ok(match name.to_ascii_uppercase().as_str() {
            "BOOLEAN" => DataType::Boolean,
            "INT" | "INTEGER" => DataType::Integer,
            "BIGINT" => DataType::BigInt,
            "DOUBLE" => DataType::Double,
            "VARCHAR" | "STRING" => DataType::Varchar,
            "BYTES" => DataType::Bytes,
            "DATE" => DataType::Date,
            "TIME" => DataType::Time,
            "TIMESTAMP" => DataType::Timestamp,
            "DECIMAL" => self.decimal()?,
            "ARRAY" => {
                self.sign("<")?;
                let element = self.data_type(depth + 1)?;
                self.sign(">")?;
                DataType::Array(element.into())
            }
            "MAP" => {
                self.sign("<")?;
                let key = self.data_type(depth + 1)?;
                if key != DataType::Varchar {
                    return Err(format!("the keys of a MAP are VARCHAR, not {key}"));
                }
                self.sign(",")?;
                let value = self.data_type(depth + 1)?;
                self.sign(">")?;
                DataType::Map(value.into())
            }
            "STRUCT" => {
                self.sign("<")?;
                let fields = self.fields(depth + 1)?;
                self.sign(">")?;
                DataType::Struct(fields.into())
            }
            "" => return Err("a type wanted".to_owned()),
            _ => {
                return Err(format!(
                    "there is no type {name}; the types are BOOLEAN, INTEGER, BIGINT, DOUBLE, DECIMAL(p, s), VARCHAR, BYTES, \
                     DATE, TIME, TIMESTAMP, ARRAY<..>, MAP<VARCHAR, ..>, STRUCT<name type, ..>"
                ));
            }
        })
    }

    fn decimal(&mut self) -> Result<DataType, String> {
        self.sign("(")?;
        let precision: u8 = self.number()?;
        let scale: i8 = if self.peek() == "," {
            self.at += 1;
            self.number()?
        } else {
            0
        };
        self.sign(")")?;
        if !(1..=38).contains(&precision) || scale < 0 || scale as u8 > precision {
            return Err(format!(
                "DECIMAL({precision}, {scale}): a precision of 1 to 38 and a scale of 0 to it wanted"
            ));
        }
        Ok(DataType::Decimal(precision, scale))
    }

    fn number<N: std::str::FromStr>(&mut self) -> Result<N, String> {
        let text = self.next();
        text.parse().map_err(|_| format!("a number wanted, found {text:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_read_as_a_statement_writes_them() {
        let text = "ad_id BIGINT, `the name` string, d DECIMAL(10,2), m MAP<STRING, ARRAY<STRUCT<program: VARCHAR, id INT>>>";
        let schema = parse(text).unwrap();
        let shown: Vec<String> =
            schema.fields.iter().map(|f| format!("{} {}", f.name, f.data_type)).collect();
        assert_eq!(
            shown,
            [
                "ad_id BIGINT",
                "the name VARCHAR",
                "d DECIMAL(10, 2)",
                "m MAP<VARCHAR, ARRAY<STRUCT<program VARCHAR, id INTEGER>>>"
            ]
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_its_column() {
        for (text, wanted) in [
            ("", "the name of column 1 wanted"),
            ("a", "column a: a type wanted"),
            ("a LONG", "there is no type LONG"),
            ("a INT b INT", "a comma wanted after column 1"),
            ("a INT, A INT", "two columns A"),
            ("a DECIMAL(99)", "a precision of 1 to 38"),
            ("a ARRAY<INT", "> wanted"),
            ("a MAP<INT, INT>", "keys of a MAP"),
            ("`a INT", "not closed"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(wanted), "{text}: {error}");
        }
        let deep = format!("a {}INT{}", "ARRAY<".repeat(100), ">".repeat(100));
        assert!(parse(&deep).unwrap_err().contains("deeper"));
    }
}
