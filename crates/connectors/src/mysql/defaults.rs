//! A column's DEFAULT as the value that a row gets by it: what the schema of its records says, as Debezium's does.

use super::convert::{self, Civil, Raw};
use super::ddl::Literal;
use super::plan::{ColumnPlan, Kind};
use bd_schema::Value;

/// The value; `None` where the default is no value that is known beforehand. The time of the insertion is the epoch where the column
/// cannot be null.
pub(super) fn value(column: &ColumnPlan, literal: &Literal) -> Option<Value> {
    let raw = match (&column.kind, literal) {
        (Kind::DateTime { .. } | Kind::Timestamp { .. }, Literal::Now) if column.required => {
            Raw::Civil(Civil { year: 1970, month: 1, day: 1, micros: 0 })
        }
        (_, Literal::Now) => return None,
        (Kind::Int { .. } | Kind::Year, literal) => whole(literal)?,
        (Kind::Float, literal) => Raw::Float(text(literal)?.trim().parse().ok()?),
        (Kind::Double, literal) => Raw::Double(text(literal)?.trim().parse().ok()?),
        (Kind::Decimal { scale, .. }, literal) => Raw::Text(rounded(text(literal)?.trim(), *scale)?),
        (Kind::Text { .. }, literal) => Raw::Text(match literal {
            Literal::Hex(_) | Literal::Bits(_) => String::from_utf8(bytes(literal)?).ok()?,
            literal => text(literal)?.to_owned(),
        }),
        (Kind::Bytes { .. }, literal) => Raw::Bytes(bytes(literal)?),
        (Kind::Date | Kind::DateTime { .. } | Kind::Timestamp { .. }, literal) => {
            Raw::Civil(civil(text(literal)?.trim())?)
        }
        (Kind::Time, literal) => Raw::Micros(micros(text(literal)?.trim())?),
        (Kind::Enum(_) | Kind::Set(_), Literal::Text(text)) => Raw::Text(text.clone()),
        (Kind::Bit { .. }, literal) => Raw::Bits(u64::try_from(number(literal)?).ok()?),
        (Kind::Enum(_) | Kind::Set(_) | Kind::Json | Kind::Skipped, _) => return None,
    };
    // A whole second says no fraction, whatever the column's digits.
    let digits = match (&column.kind, &raw) {
        (Kind::Timestamp { .. }, Raw::Civil(civil)) if civil.micros % 1_000_000 == 0 => Some(0),
        _ => None,
    };
    let value = match digits {
        Some(digits) => {
            convert::value(&ColumnPlan { kind: Kind::Timestamp { digits }, ..column.clone() }, raw)
        }
        None => convert::value(column, raw),
    };
    value.ok().filter(|value| *value != Value::Null)
}

fn text(literal: &Literal) -> Option<&str> {
    match literal {
        Literal::Text(text) | Literal::Number(text) => Some(text),
        _ => None,
    }
}

fn number(literal: &Literal) -> Option<i128> {
    match literal {
        Literal::Text(text) | Literal::Number(text) => {
            let text = text.trim();
            // As the server, which rounds what it puts into a whole number.
            text.parse()
                .ok()
                .or_else(|| Some(text.parse::<f64>().ok().filter(|n| n.is_finite())?.round() as i128))
        }
        Literal::Hex(digits) => i128::from_str_radix(digits, 16).ok(),
        Literal::Bits(digits) => i128::from_str_radix(digits, 2).ok(),
        Literal::Now => None,
    }
}

fn whole(literal: &Literal) -> Option<Raw> {
    let number = number(literal)?;
    Some(match i64::try_from(number) {
        Ok(number) => Raw::Int(number),
        Err(_) => Raw::UInt(u64::try_from(number).ok()?),
    })
}

fn bytes(literal: &Literal) -> Option<Vec<u8>> {
    let of_digits = |digits: &str, radix: u32, per_byte: usize| -> Option<Vec<u8>> {
        let padded = format!("{}{digits}", "0".repeat((per_byte - digits.len() % per_byte) % per_byte));
        let byte = |at: usize| u8::from_str_radix(padded.get(at..at + per_byte)?, radix).ok();
        (0..padded.len()).step_by(per_byte).map(byte).collect()
    };
    match literal {
        Literal::Text(text) | Literal::Number(text) => Some(text.as_bytes().to_vec()),
        Literal::Hex(digits) => of_digits(digits, 16, 2),
        Literal::Bits(digits) => of_digits(digits, 2, 8),
        Literal::Now => None,
    }
}

/// A number with so many digits after the point, rounded half up as the server does; `None` for what is written with an exponent.
fn rounded(text: &str, scale: u8) -> Option<String> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let numeric = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !numeric(whole) || !numeric(fraction) || whole.len() + fraction.len() > 100 {
        return None;
    }
    let scale = usize::from(scale);
    let kept = fraction.get(..scale.min(fraction.len()))?;
    let mut unscaled: i128 = format!("0{whole}{kept:0<scale$}").parse().ok()?;
    unscaled += i128::from(fraction.as_bytes().get(scale).is_some_and(|next| *next >= b'5'));
    let padded = format!("{unscaled:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at_checked(padded.len() - scale)?;
    let point = if scale == 0 { "" } else { "." };
    Some(format!("{sign}{whole}{point}{fraction}"))
}

/// `2020-01-02`, `2020-01-02 03:04:05.123`.
fn civil(text: &str) -> Option<Civil> {
    let (date, time) = text.split_once([' ', 'T']).unwrap_or((text, ""));
    let mut parts = date.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let micros = if time.is_empty() { 0 } else { micros(time)? };
    Some(Civil { year: year.parse().ok()?, month: month.parse().ok()?, day: day.parse().ok()?, micros })
}

/// `-101:12:13.5`.
fn micros(text: &str) -> Option<i64> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let mut parts = text.split(':');
    let mut part = || parts.next().unwrap_or("0");
    let (hours, minutes, seconds) = (part(), part(), part());
    let (seconds, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
    let fraction: i64 = format!("{:0<6}", fraction.get(..6).unwrap_or(fraction)).parse().ok()?;
    let whole = |text: &str| text.parse::<i64>().ok().filter(|n| (0..=100_000).contains(n));
    Some(sign * ((whole(hours)? * 3600 + whole(minutes)? * 60 + whole(seconds)?) * 1_000_000 + fraction))
}

#[cfg(test)]
mod tests {
    use crate::mysql::Flavor;
    use crate::mysql::catalog::Catalog;
    use crate::mysql::config::Settings;
    use crate::mysql::envelope::Captured;
    use bd_connect::sdk::{Config, ConnectField, Narrow, Shape};
    use bd_schema::{DataType, Field, Value};
    use serde_json::{Map, Value as Json, json};

    const CREATE: &str = r#"CREATE TABLE customers (id INT PRIMARY KEY AUTO_INCREMENT,
 name VARCHAR(40) NOT NULL DEFAULT 'it''s',
 note TEXT,
 ti TINYINT NOT NULL DEFAULT 5, tb TINYINT(1) NOT NULL DEFAULT 1, bo BOOLEAN DEFAULT TRUE, tu TINYINT UNSIGNED DEFAULT 200,
 si SMALLINT NOT NULL DEFAULT -7, su SMALLINT UNSIGNED NOT NULL DEFAULT 65535, mi MEDIUMINT NOT NULL DEFAULT 3,
 iu INT UNSIGNED NOT NULL DEFAULT 4000000000, bi BIGINT NOT NULL DEFAULT 12, bu BIGINT UNSIGNED NOT NULL DEFAULT 12, 
 fl FLOAT NOT NULL DEFAULT 1.5, fl2 FLOAT(7,3) DEFAULT 2.25, do DOUBLE NOT NULL DEFAULT 2.5,
 de DECIMAL(10,2) NOT NULL DEFAULT 10.50, de0 DECIMAL(10,2) DEFAULT 0, den DECIMAL(5,1),
 ch CHAR(5) NOT NULL DEFAULT 'ab', bin BINARY(4) NOT NULL DEFAULT 'ab', vb VARBINARY(4) NOT NULL DEFAULT 'ab', bl BLOB,
 da DATE NOT NULL DEFAULT '2020-01-02', dt DATETIME NOT NULL DEFAULT '2020-01-02 03:04:05', dt6 DATETIME(6) NOT NULL DEFAULT '2020-01-02 03:04:05.123456',
 dtn DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP, dz DATETIME NOT NULL DEFAULT '0000-00-00 00:00:00',
 ts TIMESTAMP NOT NULL DEFAULT '2020-01-02 03:04:05', ts3 TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3), tsn TIMESTAMP NULL, tsz TIMESTAMP NOT NULL DEFAULT '0000-00-00 00:00:00',
 tm TIME NOT NULL DEFAULT '10:11:12', tm3 TIME(3) NOT NULL DEFAULT '-01:00:00.5', ye YEAR NOT NULL DEFAULT 2020,
 en ENUM('a','b','c,d') NOT NULL DEFAULT 'b', se SET('x','y','z') NOT NULL DEFAULT 'x,z', b1 BIT(1) NOT NULL DEFAULT b'1', b10 BIT(10) NOT NULL DEFAULT b'1000000001',
 js JSON, ex INT DEFAULT (1+1), nn INT DEFAULT NULL, vx VARCHAR(40) NOT NULL DEFAULT (uuid()), s0 VARCHAR(3) NOT NULL DEFAULT ''
)"#;
    const ALTER: &str = r#"ALTER TABLE customers ADD COLUMN added INT NOT NULL DEFAULT 42, ADD addedz TIMESTAMP NOT NULL DEFAULT '2020-01-02 03:04:05', ALTER COLUMN ti SET DEFAULT 6, ALTER COLUMN si DROP DEFAULT, MODIFY note VARCHAR(20) COMMENT 'a comment'"#;

    /// The column of the schema as Kafka's JsonConverter writes it.
    fn json_of(field: &Field, known: &ConnectField) -> Json {
        let (kind, logical) = match (&field.data_type, known.meta.narrow) {
            (DataType::Integer, Some(Narrow::Int16)) => ("int16", None),
            (DataType::Integer, _) => ("int32", None),
            (DataType::BigInt, _) => ("int64", None),
            (DataType::Double, Some(_)) => ("float", None),
            (DataType::Double, _) => ("double", None),
            (DataType::Boolean, _) => ("boolean", None),
            (DataType::Varchar, _) => ("string", None),
            (DataType::Bytes, _) => ("bytes", None),
            (DataType::Decimal(..), _) => ("bytes", Some("org.apache.kafka.connect.data.Decimal")),
            (other, _) => (other.to_string().leak() as &str, None),
        };
        let mut json = json!({"type": kind, "optional": !known.required, "field": field.name});
        let mut set = |key: &str, value: Option<Json>| {
            if let (Some(value), Some(object)) = (value, json.as_object_mut()) {
                object.insert(key.to_owned(), value);
            }
        };
        set("name", logical.or(known.semantic.as_deref()).map(Json::from));
        set("version", known.meta.version.or(logical.map(|_| 1)).map(Json::from));
        set("doc", known.meta.doc.clone().map(Json::from));
        let mut parameters: Map<String, Json> =
            known.meta.parameters.iter().map(|(k, v)| (k.clone(), v.clone().into())).collect();
        if let DataType::Decimal(precision, scale) = field.data_type {
            parameters.insert("scale".into(), scale.to_string().into());
            parameters.insert("connect.decimal.precision".into(), precision.to_string().into());
        }
        set("parameters", (!parameters.is_empty()).then_some(Json::Object(parameters)));
        set("default", known.meta.default.as_ref().map(default_of));
        json
    }

    fn default_of(value: &Value) -> Json {
        let base64 = |bytes: &[u8]| {
            const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
            let mut text = String::new();
            for chunk in bytes.chunks(3) {
                let n =
                    chunk.iter().fold(0_usize, |n, b| n << 8 | usize::from(*b)) << (8 * (3 - chunk.len()));
                for at in 0..4 {
                    let digit = char::from(ALPHABET[n >> (18 - 6 * at) & 63]);
                    text.push(if at > chunk.len() { '=' } else { digit });
                }
            }
            text
        };
        match value {
            Value::Boolean(v) => json!(v),
            Value::Integer(v) => json!(v),
            Value::BigInt(v) => json!(v),
            Value::Double(v) => json!(v),
            Value::Varchar(v) => json!(v),
            Value::Bytes(v) => json!(base64(v)),
            Value::Decimal(v) => {
                let bytes = v.to_be_bytes();
                let start = (0..15).find(|i| bytes[*i] != 0 || bytes[i + 1] >= 0x80).unwrap_or(15);
                json!(base64(&bytes[start..]))
            }
            other => json!(format!("{other:?}")),
        }
    }

    /// What Debezium's MariaDB connector 3.5 wrote for the same statements.
    #[test]
    fn a_table_s_schema_says_what_debezium_s_says() {
        let config = Config::default()
            .with("topic.prefix", "p")
            .with("database.hostname", "h")
            .with("database.user", "u")
            .with("table.include.list", "bd\\.customers");
        let settings = Settings::read(&config, Flavor::MariaDb).unwrap();
        let mut catalog = Catalog::default();
        catalog.set_charset("bd", "utf8mb4");
        catalog.mariadb = true;
        for statement in [CREATE, ALTER] {
            catalog.apply(&settings, "bd", statement).unwrap();
        }
        let table = catalog.table("bd", "customers").unwrap();
        let captured = Captured::new(&settings, "bd", "customers", table).unwrap();
        let Shape::Struct { schema, fields } = &captured.value_schema.shape else { panic!("a struct") };
        let DataType::Struct(columns) = &schema.fields[1].data_type else { panic!("a row") };
        let wanted: Vec<Json> = serde_json::from_str(include_str!("debezium_schema.json")).unwrap();
        assert_eq!(columns.len(), wanted.len());
        for ((column, known), mut wanted) in columns.iter().zip(&fields[1].fields).zip(wanted) {
            match column.name.as_str() {
                // It leaves the doubled quote doubled, and the escaped zeros escaped.
                "name" => wanted["default"] = json!("it's"),
                "bin" => wanted["default"] = json!("YWIAAA=="),
                _ => {}
            }
            assert_eq!(json_of(column, known), wanted, "{}", column.name);
        }
    }
}
