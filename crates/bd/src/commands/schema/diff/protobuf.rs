//! The fields of a Protobuf schema, from its canonical text: a declaration a line.

use super::fields::{Field, Fields};

/// The fields of all messages; a field is known by its message and number.
pub(super) fn fields(canonical: &str) -> Fields {
    let mut fields = Fields::default();
    // The names of open blocks, and whether each is a message, an enum, or a oneof.
    let mut open: Vec<(&str, Block)> = Vec::new();
    let mut options = 0_usize;
    for line in canonical.lines().map(str::trim) {
        // Options of several lines hold braces of their own.
        if options > 0 || (line.ends_with(['{', '[']) && !is_block(line)) {
            if options == 0 {
                add(&mut fields, &open, line);
            }
            options = (options + opened(line)).saturating_sub(closed(line));
            continue;
        }
        let mut words = line.split_whitespace();
        match (words.next(), words.next()) {
            (Some("message"), Some(name)) if line.ends_with('{') => open.push((name, Block::Message)),
            (Some("enum"), Some(name)) if line.ends_with('{') => open.push((name, Block::Enum)),
            (Some("oneof"), Some(name)) if line.ends_with('{') => open.push((name, Block::Oneof)),
            (Some("service" | "extend" | "rpc"), Some(name)) if line.ends_with('{') => {
                open.push((name, Block::Other));
            }
            (Some("}"), _) => drop(open.pop()),
            _ => add(&mut fields, &open, line),
        }
    }
    fields
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Block {
    Message,
    Enum,
    Oneof,
    Other,
}

fn is_block(line: &str) -> bool {
    ["message ", "enum ", "oneof ", "service ", "extend ", "rpc "].iter().any(|word| line.starts_with(word))
}

fn opened(line: &str) -> usize {
    line.matches(['{', '[']).count()
}

fn closed(line: &str) -> usize {
    line.matches(['}', ']']).count()
}

/// `optional string name = 1 [...];` within messages, `NAME = 1;` within enums.
fn add(fields: &mut Fields, open: &[(&str, Block)], line: &str) {
    let Some((declared, rest)) = line.split_once(" = ") else { return };
    let number: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '-').collect();
    let Some((_, block)) = open.last() else { return };
    if number.is_empty() || *block == Block::Other || declared.starts_with("option ") {
        return;
    }
    let names = |all: bool| {
        let kept = open.iter().filter(move |(_, block)| all || *block != Block::Oneof);
        kept.map(|(name, _)| (*name).to_owned())
    };
    let (kind, name) = declared.rsplit_once(' ').unwrap_or(("value", declared));
    let message = names(false).collect::<Vec<_>>().join(".");
    let options = rest[number.len()..].trim_end_matches(';').trim();
    let oneof = open.last().filter(|(_, block)| *block == Block::Oneof);
    let oneof = oneof.map(|(name, _)| format!(", one of {name}")).unwrap_or_default();
    let space = if options.is_empty() { "" } else { " " };
    fields.0.push(Field {
        key: format!("{message}/{number}"),
        path: format!("{message}.{name}"),
        place: names(true).chain([number.clone()]).collect(),
        shown: format!("{kind} = {number}{oneof}{space}{options}"),
        aliases: Vec::new(),
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use bd_schema::{Definition, SchemaText, SchemaType};

    #[test]
    fn fields_are_known_by_their_numbers() {
        let text = r#"syntax = "proto3"; package a;
            message Order { int64 id = 1; repeated string tags = 2 [deprecated = true]; map<string, int32> counts = 3;
              oneof pay { string card = 4; bool cash = 5; } message To { string street = 1; } To to = 6;
              enum State { OPEN = 0; DONE = 1; } reserved 9; }"#;
        let definition = Definition::parse(&SchemaText::new(SchemaType::Protobuf, text)).unwrap();
        let mut shown: Vec<String> = fields(&definition.canonical())
            .0
            .iter()
            .map(|f| format!("{} = {} {} /{}", f.key, f.path, f.shown, f.place.join("/")))
            .collect();
        shown.sort();
        assert_eq!(
            shown,
            [
                "Order.State/0 = Order.State.OPEN value = 0 /Order/State/0",
                "Order.State/1 = Order.State.DONE value = 1 /Order/State/1",
                "Order.To/1 = Order.To.street string = 1 /Order/To/1",
                "Order/1 = Order.id int64 = 1 /Order/1",
                "Order/2 = Order.tags repeated string = 2 [deprecated = true] /Order/2",
                "Order/3 = Order.counts map<string, int32> = 3 /Order/3",
                "Order/4 = Order.card string = 4, one of pay /Order/pay/4",
                "Order/5 = Order.cash bool = 5, one of pay /Order/pay/5",
                "Order/6 = Order.to To = 6 /Order/6",
            ]
        );
    }
}
