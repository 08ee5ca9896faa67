//! Data types.

use super::Parser;
use crate::error::{Fault, Res, fail, nearest_hint};
use crate::lexer::Token;
use bd_schema::{DataType, Field};
use std::sync::Arc;

const TYPES: &[&str] = &[
    "BOOLEAN",
    "INTEGER",
    "INT",
    "BIGINT",
    "DOUBLE",
    "DECIMAL",
    "VARCHAR",
    "STRING",
    "BYTES",
    "DATE",
    "TIME",
    "TIMESTAMP",
    "ARRAY",
    "MAP",
    "STRUCT",
];

impl Parser {
    pub(super) fn data_type(&mut self) -> Res<DataType> {
        self.deeper(Self::data_type_here)
    }

    fn data_type_here(&mut self) -> Res<DataType> {
        let span = self.span();
        let Token::Word(word) = self.peek().clone() else {
            return self.unexpected("a type", &format!("types: {}", TYPES.join(", ")));
        };
        self.advance();
        Ok(match word.to_ascii_uppercase().as_str() {
            "BOOLEAN" | "BOOL" => DataType::Boolean,
            "INTEGER" | "INT" => DataType::Integer,
            "BIGINT" => DataType::BigInt,
            "DOUBLE" => DataType::Double,
            "VARCHAR" | "STRING" => {
                if self.at_symbol("(") {
                    return fail(
                        self.span(),
                        format!("{word} has no length here"),
                        "write VARCHAR alone; LEN(x) in a CHECK bounds it",
                    );
                }
                DataType::Varchar
            }
            "BYTES" => DataType::Bytes,
            "DATE" => DataType::Date,
            "TIME" => DataType::Time,
            "TIMESTAMP" => DataType::Timestamp,
            "DECIMAL" | "NUMERIC" => self.decimal()?,
            "ARRAY" => {
                self.need_symbol("<", "and the element's type, as in ARRAY<VARCHAR>")?;
                let element = self.data_type()?;
                self.need_symbol(">", "after the element's type")?;
                DataType::Array(Arc::new(element))
            }
            "MAP" => {
                self.need_symbol("<", "and the types, as in MAP<VARCHAR, BIGINT>")?;
                let key_span = self.span();
                if self.data_type()? != DataType::Varchar {
                    return fail(key_span, "a map's key is VARCHAR", "write MAP<VARCHAR, type>");
                }
                self.need_symbol(",", "between the types of key and value")?;
                let value = self.data_type()?;
                self.need_symbol(">", "after the value's type")?;
                DataType::Map(Arc::new(value))
            }
            "STRUCT" => self.structure()?,
            _ => {
                return fail(
                    span,
                    format!("there is no type {word}"),
                    nearest_hint("types", &word, TYPES.iter().copied()),
                );
            }
        })
    }

    fn decimal(&mut self) -> Res<DataType> {
        let span = self.span();
        self.need_symbol("(", "and precision and scale, as in DECIMAL(10, 2)")?;
        let precision = self.small_number()?;
        self.need_symbol(",", "between precision and scale")?;
        let scale = self.small_number()?;
        self.need_symbol(")", "after the scale")?;
        let valid = (1..=38).contains(&precision) && scale <= precision;
        let span = self.since(span.start);
        let types = (u8::try_from(precision), i8::try_from(scale));
        match types {
            (Ok(precision), Ok(scale)) if valid => Ok(DataType::Decimal(precision, scale)),
            _ => fail(
                span,
                format!("there is no DECIMAL({precision}, {scale})"),
                "precision is 1 to 38, scale 0 to the precision",
            ),
        }
    }

    fn small_number(&mut self) -> Res<u32> {
        let span = self.span();
        let Token::Integer(digits) = self.peek().clone() else {
            return self.unexpected("a whole number", "");
        };
        self.advance();
        digits.parse().map_err(|_| Fault::new(span, format!("{digits} is out of range"), ""))
    }

    fn structure(&mut self) -> Res<DataType> {
        self.need_symbol("<", "and the fields, as in STRUCT<a VARCHAR, b BIGINT>")?;
        let mut fields: Vec<Field> = Vec::new();
        loop {
            let name = self.any_name("a field's name")?;
            if fields.iter().any(|f| f.name.eq_ignore_ascii_case(&name.name)) {
                return fail(name.span, format!("there are two fields {}", name.name), "rename one");
            }
            fields.push(Field::new(name.name, self.data_type()?));
            if !self.take_symbol(",") {
                break;
            }
        }
        self.need_symbol(">", "after the last field")?;
        Ok(DataType::Struct(fields.into()))
    }
}
