//! A `.proto` text to what it says.

use super::ast::{
    EnumDecl, EnumValue, Extend, Extensions, FieldDecl, GroupDecl, Label, MessageDecl, OneofDecl, OptionDecl,
    OptionValue, ProtoFile, Reserved, Rpc, Service, Syntax, TypeDecl, TypeRef,
};
use super::lexer::{self, Token, error};
use crate::definition::InvalidSchema;

/// Longer texts are refused.
pub(super) const MAX_TEXT: usize = 4 << 20;
/// Deeper messages and option values are refused.
pub(super) const MAX_NESTING: usize = 32;
/// Option values of more entries are refused.
const MAX_ENTRIES: usize = 1000;
/// The greatest number of a field.
pub(super) const MAX_NUMBER: i32 = 536_870_911;

type Parsed<T> = Result<T, InvalidSchema>;

/// Parses a file. Names are not resolved here.
pub(super) fn parse(text: &str) -> Parsed<ProtoFile> {
    if text.len() > MAX_TEXT {
        return Err(InvalidSchema(format!("the text is {} bytes, more than {MAX_TEXT}", text.len())));
    }
    Parser { tokens: lexer::tokens(text)?, at: 0, depth: 0 }.file()
}

struct Parser {
    tokens: Vec<(Token, u32)>,
    at: usize,
    depth: usize,
}

fn describe(token: Option<&Token>) -> String {
    match token {
        None => "the end".into(),
        Some(Token::Word(w) | Token::Number(w)) => format!("'{w}'"),
        Some(Token::Text(t)) => format!("\"{t}\""),
        Some(Token::Symbol(s)) => format!("'{s}'"),
    }
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(token, _)| token)
    }

    fn line(&self) -> u32 {
        self.tokens.get(self.at).or(self.tokens.last()).map_or(1, |(_, line)| *line)
    }

    fn unexpected<T>(&self, wanted: &str) -> Parsed<T> {
        Err(error(self.line(), format!("{wanted} expected, found {}", describe(self.peek()))))
    }

    fn is_symbol(&self, symbol: char) -> bool {
        self.peek() == Some(&Token::Symbol(symbol))
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Token::Word(w)) if w == word)
    }

    /// Takes the symbol if it is next.
    fn took(&mut self, symbol: char) -> bool {
        let is = self.is_symbol(symbol);
        self.at += usize::from(is);
        is
    }

    fn took_word(&mut self, word: &str) -> bool {
        let is = self.is_word(word);
        self.at += usize::from(is);
        is
    }

    fn symbol(&mut self, symbol: char) -> Parsed<()> {
        if self.took(symbol) { Ok(()) } else { self.unexpected(&format!("'{symbol}'")) }
    }

    fn word(&mut self) -> Parsed<String> {
        match self.peek() {
            Some(Token::Word(word)) => {
                let word = word.clone();
                self.at += 1;
                Ok(word)
            }
            _ => self.unexpected("a name"),
        }
    }

    /// `a.b.c`, or `.a.b.c`.
    fn path(&mut self) -> Parsed<String> {
        let mut path = String::new();
        if self.took('.') {
            path.push('.');
        }
        path.push_str(&self.word()?);
        while self.took('.') {
            path.push('.');
            path.push_str(&self.word()?);
        }
        Ok(path)
    }

    fn text(&mut self) -> Parsed<String> {
        let mut text = match self.peek() {
            Some(Token::Text(text)) => text.clone(),
            _ => return self.unexpected("a string"),
        };
        self.at += 1;
        while let Some(Token::Text(more)) = self.peek() {
            text.push_str(more);
            self.at += 1;
        }
        Ok(text)
    }

    fn integer(&mut self) -> Parsed<i32> {
        let negative = self.took('-');
        let Some(Token::Number(number)) = self.peek() else { return self.unexpected("a number") };
        let lower = number.to_ascii_lowercase();
        let value = match lower.strip_prefix("0x") {
            Some(hex) => i64::from_str_radix(hex, 16),
            None if lower.len() > 1 && lower.starts_with('0') => i64::from_str_radix(&lower, 8),
            None => lower.parse(),
        };
        let value = value.ok().map(|v| if negative { -v } else { v }).and_then(|v| i32::try_from(v).ok());
        let Some(value) = value else {
            return Err(error(self.line(), format!("'{number}' is no 32-bit number")));
        };
        self.at += 1;
        Ok(value)
    }

    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= MAX_NESTING {
            return Err(error(self.line(), format!("nested more than {MAX_NESTING} levels deep")));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn file(&mut self) -> Parsed<ProtoFile> {
        let mut file = ProtoFile::default();
        while let Some(token) = self.peek() {
            if *token == Token::Symbol(';') {
                self.at += 1;
                continue;
            }
            let line = self.line();
            let word = self.word()?;
            match word.as_str() {
                "syntax" | "edition" => {
                    self.symbol('=')?;
                    let value = self.text()?;
                    self.symbol(';')?;
                    let syntax = match (word.as_str(), value.as_str()) {
                        ("syntax", "proto2") => Syntax::Proto2,
                        ("syntax", "proto3") => Syntax::Proto3,
                        ("edition", "2023" | "2024") => Syntax::Edition(value),
                        _ => return Err(error(line, format!("unknown {word} \"{value}\""))),
                    };
                    if file.syntax.replace(syntax).is_some() || file != only_syntax(&file) {
                        return Err(error(line, format!("'{word}' must come first, and once")));
                    }
                }
                "package" => {
                    let package = self.path()?;
                    self.symbol(';')?;
                    if file.package.replace(package).is_some() {
                        return Err(error(line, "too many package names"));
                    }
                }
                "import" => {
                    let public = self.took_word("public");
                    let _ = self.took_word("weak") || self.took_word("option");
                    let path = self.text()?;
                    self.symbol(';')?;
                    if public { &mut file.public_imports } else { &mut file.imports }.push(path);
                }
                "option" => file.options.push(self.option_statement()?),
                "message" => file.types.push(TypeDecl::Message(self.message()?)),
                "enum" => file.types.push(TypeDecl::Enum(self.enumeration()?)),
                "extend" => file.extends.push(self.extend()?),
                "service" => file.services.push(self.service()?),
                other => return Err(error(line, format!("unexpected '{other}'"))),
            }
        }
        Ok(file)
    }

    fn message(&mut self) -> Parsed<MessageDecl> {
        let mut message = MessageDecl { name: self.word()?, ..MessageDecl::default() };
        self.deeper(|p| {
            p.symbol('{')?;
            while !p.took('}') {
                p.member(&mut message)?;
            }
            Ok(())
        })?;
        Ok(message)
    }

    /// One statement of a message. Its keywords may be names of types as well: a field is told by what follows.
    fn member(&mut self, message: &mut MessageDecl) -> Parsed<()> {
        if self.took(';') {
            return Ok(());
        }
        let starts = |p: &Self, word: &str, next: fn(&Token) -> bool| {
            p.is_word(word) && p.tokens.get(p.at + 1).is_some_and(|(t, _)| next(t))
        };
        let named_block = |p: &Self, word: &str| {
            p.is_word(word)
                && matches!(p.tokens.get(p.at + 1), Some((Token::Word(_), _)))
                && matches!(p.tokens.get(p.at + 2), Some((Token::Symbol('{'), _)))
        };
        if named_block(self, "message") {
            self.at += 1;
            message.types.push(TypeDecl::Message(self.message()?));
        } else if named_block(self, "enum") {
            self.at += 1;
            message.types.push(TypeDecl::Enum(self.enumeration()?));
        } else if named_block(self, "oneof") {
            self.at += 1;
            message.oneofs.push(self.oneof()?);
        } else if self.is_extend() {
            self.at += 1;
            message.extends.push(self.extend()?);
        } else if starts(self, "reserved", |t| {
            matches!(t, Token::Number(_) | Token::Text(_) | Token::Symbol('-'))
        }) || (self.is_word("reserved") && !self.is_field())
        {
            self.at += 1;
            message.reserved.push(self.ranges()?);
            self.symbol(';')?;
        } else if starts(self, "extensions", |t| matches!(t, Token::Number(_))) {
            self.at += 1;
            let ranges = self.ranges()?;
            let options = self.field_options()?;
            self.symbol(';')?;
            message.extensions.push(Extensions { ranges, options });
        } else if self.is_word("option") && !self.is_field() {
            self.at += 1;
            message.options.push(self.option_statement()?);
        } else {
            match self.field(true)? {
                Member::Field(field) => message.fields.push(field),
                Member::Group(group) => message.groups.push(group),
            }
        }
        Ok(())
    }

    /// `type name =` follows.
    fn is_field(&self) -> bool {
        matches!(self.tokens.get(self.at + 1), Some((Token::Word(_), _)))
            && matches!(self.tokens.get(self.at + 2), Some((Token::Symbol('='), _)))
            && matches!(self.tokens.get(self.at + 3), Some((Token::Number(_), _)))
    }

    fn is_extend(&self) -> bool {
        self.is_word("extend") && !self.is_field()
    }

    fn label(&mut self) -> Option<Label> {
        let label = [Label::Optional, Label::Required, Label::Repeated]
            .into_iter()
            .find(|l| self.is_word(l.name()))?;
        // A type may have such a name.
        let next = self.tokens.get(self.at + 1);
        let is_label = matches!(next, Some((Token::Word(_) | Token::Symbol('.'), _))) && !self.is_field();
        self.at += usize::from(is_label);
        is_label.then_some(label)
    }

    fn field(&mut self, labelled: bool) -> Parsed<Member> {
        let label = if labelled { self.label() } else { None };
        if self.is_word("group") && !self.is_field_of_type_group() {
            self.at += 1;
            return self.group(label).map(Member::Group);
        }
        let is_map =
            self.is_word("map") && matches!(self.tokens.get(self.at + 1), Some((Token::Symbol('<'), _)));
        let of = if is_map {
            self.at += 2;
            let key = self.path()?;
            self.symbol(',')?;
            let value = self.path()?;
            self.symbol('>')?;
            if label.is_some() {
                return Err(error(self.line(), "a map has no label"));
            }
            TypeRef::Map(key, value)
        } else {
            TypeRef::Named(self.path()?)
        };
        let name = self.word()?;
        self.symbol('=')?;
        let number = self.integer()?;
        let mut options = self.field_options()?;
        for last in ["default", "json_name"] {
            if let Some(at) = options.iter().position(|o| !o.extension && o.name == last) {
                let option = options.remove(at);
                options.push(option);
            }
        }
        self.symbol(';')?;
        Ok(Member::Field(FieldDecl { label, of, name, number, options }))
    }

    fn is_field_of_type_group(&self) -> bool {
        !matches!(self.tokens.get(self.at + 1), Some((Token::Word(w), _)) if w.starts_with(char::is_uppercase))
    }

    fn group(&mut self, label: Option<Label>) -> Parsed<GroupDecl> {
        let name = self.word()?;
        self.symbol('=')?;
        let number = self.integer()?;
        let _ = self.field_options()?;
        let mut fields = Vec::new();
        self.deeper(|p| {
            p.symbol('{')?;
            while !p.took('}') {
                if p.took(';') {
                    continue;
                }
                match p.field(true)? {
                    Member::Field(field) => fields.push(field),
                    Member::Group(_) => return Err(error(p.line(), "a group within a group is not read")),
                }
            }
            Ok(())
        })?;
        Ok(GroupDecl { label, name, number, fields })
    }

    fn oneof(&mut self) -> Parsed<OneofDecl> {
        let mut oneof = OneofDecl { name: self.word()?, ..OneofDecl::default() };
        self.symbol('{')?;
        while !self.took('}') {
            if self.took(';') {
            } else if self.is_word("option") && !self.is_field() {
                self.at += 1;
                oneof.options.push(self.option_statement()?);
            } else {
                match self.field(false)? {
                    Member::Field(field) => oneof.fields.push(field),
                    Member::Group(group) => oneof.groups.push(group),
                }
            }
        }
        Ok(oneof)
    }

    fn extend(&mut self) -> Parsed<Extend> {
        let name = self.path()?;
        let mut fields = Vec::new();
        self.symbol('{')?;
        while !self.took('}') {
            if self.took(';') {
                continue;
            }
            match self.field(true)? {
                Member::Field(field) => fields.push(field),
                Member::Group(_) => return Err(error(self.line(), "a group in 'extend' is not read")),
            }
        }
        Ok(Extend { name, fields })
    }

    fn ranges(&mut self) -> Parsed<Vec<Reserved>> {
        let mut ranges = Vec::new();
        loop {
            ranges.push(match self.peek() {
                Some(Token::Text(_)) => Reserved::Name(self.text()?),
                // Editions name them without quotes.
                Some(Token::Word(_)) => Reserved::Name(self.word()?),
                _ => {
                    let from = self.integer()?;
                    if !self.took_word("to") {
                        Reserved::Number(from)
                    } else if self.took_word("max") {
                        Reserved::Range(from, MAX_NUMBER)
                    } else {
                        Reserved::Range(from, self.integer()?)
                    }
                }
            });
            if !self.took(',') {
                return Ok(ranges);
            }
        }
    }

    fn enumeration(&mut self) -> Parsed<EnumDecl> {
        let mut of = EnumDecl { name: self.word()?, ..EnumDecl::default() };
        self.symbol('{')?;
        while !self.took('}') {
            let is_value = matches!(self.tokens.get(self.at + 1), Some((Token::Symbol('='), _)));
            if self.took(';') {
            } else if !is_value && self.took_word("option") {
                of.options.push(self.option_statement()?);
            } else if !is_value && self.took_word("reserved") {
                of.reserved.push(self.ranges()?);
                self.symbol(';')?;
            } else {
                let name = self.word()?;
                self.symbol('=')?;
                let number = self.integer()?;
                let options = self.field_options()?;
                self.symbol(';')?;
                of.values.push(EnumValue { name, number, options });
            }
        }
        Ok(of)
    }

    fn service(&mut self) -> Parsed<Service> {
        let mut service = Service { name: self.word()?, ..Service::default() };
        self.symbol('{')?;
        while !self.took('}') {
            if self.took(';') {
            } else if self.took_word("option") {
                service.options.push(self.option_statement()?);
            } else if self.took_word("rpc") {
                service.rpcs.push(self.rpc()?);
            } else {
                return self.unexpected("'rpc'");
            }
        }
        Ok(service)
    }

    fn rpc(&mut self) -> Parsed<Rpc> {
        let name = self.word()?;
        let request = self.rpc_type()?;
        if !self.took_word("returns") {
            return self.unexpected("'returns'");
        }
        let response = self.rpc_type()?;
        let mut options = Vec::new();
        if self.took('{') {
            while !self.took('}') {
                if self.took(';') {
                } else if self.took_word("option") {
                    options.push(self.option_statement()?);
                } else {
                    return self.unexpected("'option'");
                }
            }
            let _ = self.took(';');
        } else {
            self.symbol(';')?;
        }
        Ok(Rpc { name, request, response, options })
    }

    fn rpc_type(&mut self) -> Parsed<(String, bool)> {
        self.symbol('(')?;
        let is_stream =
            self.is_word("stream") && !matches!(self.tokens.get(self.at + 1), Some((Token::Symbol(')'), _)));
        self.at += usize::from(is_stream);
        let name = self.path()?;
        self.symbol(')')?;
        Ok((name, is_stream))
    }

    fn option_statement(&mut self) -> Parsed<OptionDecl> {
        let option = self.option()?;
        self.symbol(';')?;
        Ok(option)
    }

    fn field_options(&mut self) -> Parsed<Vec<OptionDecl>> {
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

enum Member {
    Field(FieldDecl),
    Group(GroupDecl),
}

fn only_syntax(file: &ProtoFile) -> ProtoFile {
    ProtoFile { syntax: file.syntax.clone(), ..ProtoFile::default() }
}
