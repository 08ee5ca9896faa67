//! Options in a `.proto` text: `option name = value;`, `[name = value]`, and values in text format.

use super::ast::{OptionDecl, OptionValue};
use super::cursor::{Parsed, Parser};
use super::lexer::{Token, error};

/// Option values of more entries are refused.
const MAX_ENTRIES: usize = 1000;

impl Parser {
    pub(super) fn option_statement(&mut self) -> Parsed<OptionDecl> {
        let option = self.option()?;
        self.symbol(';')?;
        Ok(option)
    }

    pub(super) fn field_options(&mut self) -> Parsed<Vec<OptionDecl>> {
        let mut options = Vec::new();
        if self.took('[') && !self.took(']') {
            loop {
                options.push(self.option()?);
                if !self.took(',') {
                    break;
                }
            }
            self.symbol(']')?;
        }
        Ok(options)
    }

    /// `name = value`, `(name) = value`, `(name).more = value`.
    fn option(&mut self) -> Parsed<OptionDecl> {
        self.deeper(|p| {
            let extension = p.took('(');
            let name = p.path()?;
            if extension {
                p.symbol(')')?;
            }
            if p.took('.') {
                let inner = p.option()?;
                return Ok(OptionDecl { name, extension, value: OptionValue::Nested(Box::new(inner)) });
            }
            p.symbol('=')?;
            let value = p.option_value()?;
            Ok(OptionDecl { name, extension, value })
        })
    }

    fn option_value(&mut self) -> Parsed<OptionValue> {
        match self.peek() {
            Some(Token::Text(_)) => self.text().map(OptionValue::Text),
            Some(Token::Symbol('{')) => {
                self.at += 1;
                self.deeper(|p| p.option_map('}'))
            }
            Some(Token::Symbol('<')) => {
                self.at += 1;
                self.deeper(|p| p.option_map('>'))
            }
            Some(Token::Symbol('[')) => {
                self.at += 1;
                self.deeper(|p| {
                    let mut list = Vec::new();
                    while !p.took(']') {
                        list.push(p.option_value()?);
                        if !p.took(',') && !p.is_symbol(']') {
                            return p.unexpected("',' or ']'");
                        }
                    }
                    Ok(OptionValue::List(list))
                })
            }
            Some(Token::Word(_)) => self.path().map(OptionValue::Word),
            Some(Token::Number(_) | Token::Symbol('-' | '+')) => {
                let sign = if self.took('-') { "-" } else { "" };
                let _ = self.took('+');
                let (Some(Token::Number(number)) | Some(Token::Word(number))) = self.peek() else {
                    return self.unexpected("a number");
                };
                let word = format!("{sign}{number}");
                self.at += 1;
                Ok(OptionValue::Word(word))
            }
            _ => self.unexpected("a value"),
        }
    }

    /// Text format: `key: value`, `key { ... }`, with `,`, `;` or nothing between.
    fn option_map(&mut self, end: char) -> Parsed<OptionValue> {
        let mut entries: Vec<(String, OptionValue)> = Vec::new();
        while !self.took(end) {
            let key = if self.took('[') {
                let mut key = self.path()?;
                if self.took('/') {
                    key = format!("{key}/{}", self.path()?);
                }
                self.symbol(']')?;
                format!("[{key}]")
            } else {
                self.word()?
            };
            if !self.took(':') && !self.is_symbol('{') && !self.is_symbol('<') {
                return self.unexpected("':'");
            }
            let value = self.option_value()?;
            if entries.len() >= MAX_ENTRIES {
                return Err(error(
                    self.line(),
                    format!("an option's value has more than {MAX_ENTRIES} entries"),
                ));
            }
            match entries.iter_mut().find(|(k, _)| *k == key) {
                None => entries.push((key, value)),
                Some((_, known)) => {
                    let first = std::mem::replace(known, OptionValue::List(Vec::new()));
                    let mut all = match first {
                        OptionValue::List(list) => list,
                        one => vec![one],
                    };
                    match value {
                        OptionValue::List(list) => all.extend(list),
                        one => all.push(one),
                    }
                    *known = OptionValue::List(all);
                }
            }
            let _ = self.took(',') || self.took(';');
        }
        Ok(OptionValue::Map(entries))
    }
}
