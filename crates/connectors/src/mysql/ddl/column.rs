//! A column's definition.

use super::cursor::Cursor;
use super::lexer::Token;
use super::{Column, ColumnSpec, Literal, Place, SyntaxError};

/// Reads `name type attributes [FIRST | AFTER column]` to the end of the tokens.
pub(super) fn column_spec(c: &mut Cursor<'_>) -> Result<ColumnSpec, SyntaxError> {
    let name = c.name()?;
    let mut column = data_type(c, name)?;
    let mut primary_key = false;
    let mut place = Place::Default;
    while !c.is_end() {
        if charset(c, &mut column)? {
            continue;
        }
        if c.accept(&["DEFAULT"]) {
            column.default = default(c);
        } else if c.accept(&["COMMENT"]) {
            if let Some(Token::Text(text) | Token::Double(text)) = c.next() {
                column.comment = Some(text.clone()).filter(|text| !text.is_empty());
            }
        } else if skip_attribute(c) {
            continue;
        } else if c.accept(&["NOT", "NULL"]) {
            column.nullable = false;
        } else if c.accept(&["NULL"]) {
            column.nullable = true;
        } else if c.accept_any(&["UNSIGNED", "ZEROFILL"]) {
            column.unsigned = true;
        } else if c.accept(&["UNIQUE"]) {
            c.accept(&["KEY"]);
        } else if c.accept(&["PRIMARY", "KEY"]) || c.accept_any(&["KEY", "PRIMARY"]) {
            primary_key = true;
            column.nullable = false;
        } else if c.accept(&["AS"]) {
            c.skip_group();
            column.virtual_generated = true;
        } else if c.accept_any(&["STORED", "PERSISTENT"]) {
            column.virtual_generated = false;
        } else if c.accept(&["COMPRESSED"]) {
            column.compressed = true;
        } else if c.accept(&["FIRST"]) {
            place = Place::First;
        } else if c.accept(&["AFTER"]) {
            place = Place::After(c.name()?);
        } else {
            c.next();
        }
    }
    Ok(ColumnSpec { column, primary_key, place })
}

/// `CHARACTER SET x`, `COLLATE x` and their short forms.
fn charset(c: &mut Cursor<'_>, column: &mut Column) -> Result<bool, SyntaxError> {
    if c.accept(&["CHARACTER", "SET"]) || c.accept(&["CHAR", "SET"]) || c.accept(&["CHARSET"]) {
        column.charset = Some(charset_name(c)?);
    } else if c.accept(&["COLLATE"]) {
        let collation = charset_name(c)?;
        if column.charset.is_none() {
            column.charset = charset_of_collation(&collation);
        }
    } else if c.accept(&["ASCII"]) {
        column.charset = Some("latin1".to_owned());
    } else if c.accept(&["UNICODE"]) {
        column.charset = Some("ucs2".to_owned());
    } else if c.accept(&["BYTE"]) {
        column.charset = Some("binary".to_owned());
    } else {
        return Ok(false);
    }
    Ok(true)
}

/// The name of a character set or collation, in lower case.
pub(super) fn charset_name(c: &mut Cursor<'_>) -> Result<String, SyntaxError> {
    match c.next() {
        Some(Token::Word(n) | Token::Name(n) | Token::Double(n) | Token::Text(n)) => {
            Ok(n.to_ascii_lowercase())
        }
        _ => Err(c.error("a character set")),
    }
}

/// `utf8mb4_general_ci` is of `utf8mb4`; MariaDB's `uca1400_ai_ci` is of any.
pub(super) fn charset_of_collation(collation: &str) -> Option<String> {
    let charset = collation.split('_').next().unwrap_or_default();
    (charset != "uca1400" && charset != "default").then(|| charset.to_owned())
}

/// Goes past an attribute that says nothing of the column's type, so that its words are not taken for others.
fn skip_attribute(c: &mut Cursor<'_>) -> bool {
    if c.accept(&["ON", "UPDATE"]) || c.accept(&["ON", "DELETE"]) {
        if !c.accept(&["SET", "NULL"]) && !c.accept(&["SET", "DEFAULT"]) && !c.accept(&["NO", "ACTION"]) {
            c.next();
            c.skip_group();
        }
    } else if c.accept_any(&["COLUMN_FORMAT", "STORAGE", "SRID", "CONSTRAINT", "MATCH"]) {
        c.next();
    } else if c.accept(&["CHECK"]) {
        c.skip_group();
    } else if c.accept(&["REFERENCES"]) {
        let _ = c.table_name();
        c.skip_group();
    } else if c.accept(&["GENERATED", "ALWAYS", "AS", "ROW"]) {
        c.next();
    } else {
        return c.accept(&["GENERATED", "ALWAYS"]);
    }
    true
}

/// Reads a default; what is no literal (NULL, an expression) is none.
pub(super) fn default(c: &mut Cursor<'_>) -> Option<Literal> {
    if c.peek() == Some(&Token::Sign('(')) {
        c.skip_group();
        return None;
    }
    let mut sign = "";
    if c.accept_sign('-') {
        sign = "-";
    } else {
        c.accept_sign('+');
    }
    let value = c.next();
    // A number such as 1.5 comes in three parts.
    let mut number = match value {
        Some(Token::Word(word)) => word.clone(),
        Some(Token::Sign('.')) => ".".to_owned(),
        _ => String::new(),
    };
    if number == "." || c.accept_sign('.') {
        if number != "." {
            number.push('.');
        }
        if let Some(Token::Word(fraction)) = c.next() {
            number.push_str(fraction);
        }
    }
    // 1e-3: the exponent's sign cuts the word.
    if number.ends_with(['e', 'E']) && number.starts_with(|d: char| d.is_ascii_digit() || d == '.') {
        let sign = if c.accept_sign('-') { "-" } else { "" };
        if sign == "-" || c.accept_sign('+') {
            number.push_str(sign);
            if let Some(Token::Word(exponent)) = c.next() {
                number.push_str(exponent);
            }
        }
    }
    let called = c.peek() == Some(&Token::Sign('('));
    c.skip_group();
    match value? {
        Token::Text(text) | Token::Double(text) => Some(Literal::Text(text.clone())),
        Token::Word(word) => {
            // An introducer (_utf8mb4'x'), x'00', b'1', DATE '...'.
            if let Some(Token::Text(text)) = c.peek() {
                c.next();
                return Some(match word.to_ascii_lowercase().as_str() {
                    "x" => Literal::Hex(text.clone()),
                    "b" => Literal::Bits(text.clone()),
                    _ => Literal::Text(text.clone()),
                });
            }
            word_default(word, sign, &number, called)
        }
        Token::Sign('.') => Some(Literal::Number(format!("{sign}0{number}"))),
        _ => None,
    }
}

fn word_default(word: &str, sign: &str, number: &str, called: bool) -> Option<Literal> {
    match word.to_ascii_uppercase().as_str() {
        "TRUE" => return Some(Literal::Number("1".to_owned())),
        "FALSE" => return Some(Literal::Number("0".to_owned())),
        "CURRENT_TIMESTAMP" | "NOW" | "LOCALTIME" | "LOCALTIMESTAMP" => return Some(Literal::Now),
        _ => {}
    }
    if let Some(digits) = word.strip_prefix("0x") {
        return Some(Literal::Hex(digits.to_owned()));
    }
    if let Some(digits) = word.strip_prefix("0b") {
        return Some(Literal::Bits(digits.to_owned()));
    }
    let is_number = word.starts_with(|d: char| d.is_ascii_digit());
    (is_number && !called).then(|| Literal::Number(format!("{sign}{number}")))
}

fn data_type(c: &mut Cursor<'_>, name: String) -> Result<Column, SyntaxError> {
    let mut column = Column::of(&name);
    let Some(Token::Word(word)) = c.peek() else { return Err(c.error("a data type")) };
    let mut word = word.to_ascii_lowercase();
    c.next();
    if matches!(word.as_str(), "national" | "nchar" | "nvarchar") {
        column.charset = Some("utf8".to_owned());
        if word == "national" {
            word = c.word_at(0).unwrap_or_default().to_ascii_lowercase();
            c.next();
        }
    }
    column.type_name = synonym(c, &word).to_owned();
    match word.as_str() {
        "bool" | "boolean" => column.args = vec![1],
        "serial" => (column.unsigned, column.nullable) = (true, false),
        _ => arguments(c, &mut column)?,
    }
    if word == "float" && column.args.len() == 1 && column.args.first().is_some_and(|&p| p > 24) {
        column.type_name = "double".to_owned();
    }
    Ok(column)
}

fn arguments(c: &mut Cursor<'_>, column: &mut Column) -> Result<(), SyntaxError> {
    if c.peek() != Some(&Token::Sign('(')) {
        return Ok(());
    }
    for mut part in c.group()?.split() {
        match part.next() {
            Some(Token::Text(value) | Token::Double(value)) => column.values.push(value.clone()),
            Some(Token::Word(number)) => {
                column.args.push(number.parse().map_err(|_| part.error("a number"))?);
            }
            _ => return Err(part.error("a number or text")),
        }
    }
    // Trailing spaces of members are not kept by the server.
    column.values.iter_mut().for_each(|v| v.truncate(v.trim_end_matches(' ').len()));
    Ok(())
}

/// The one name of a type that has several.
fn synonym<'a>(c: &mut Cursor<'_>, word: &'a str) -> &'a str {
    match word {
        "bool" | "boolean" | "int1" => "tinyint",
        "int2" => "smallint",
        "int3" | "middleint" => "mediumint",
        "integer" | "int4" => "int",
        "int8" | "serial" => "bigint",
        "float4" => "float",
        "float8" | "real" => "double",
        "double" => {
            c.accept(&["PRECISION"]);
            "double"
        }
        "dec" | "numeric" | "fixed" | "number" => "decimal",
        "char" | "character" | "nchar" => {
            if c.accept(&["VARYING"]) || c.accept(&["VARCHAR"]) {
                "varchar"
            } else {
                "char"
            }
        }
        "varcharacter" | "nvarchar" | "varchar2" => "varchar",
        "long" => {
            if c.accept(&["VARBINARY"]) {
                return "mediumblob";
            }
            if !c.accept_any(&["VARCHAR", "VARCHARACTER"]) && c.accept_any(&["CHAR", "CHARACTER"]) {
                c.accept(&["VARYING"]);
            }
            "mediumtext"
        }
        other => other,
    }
}
