//! A `.proto` text to what it says.

use super::ast::{
    EnumDecl, EnumValue, Extend, Extensions, FieldDecl, GroupDecl, Label, MessageDecl, OneofDecl, ProtoFile,
    Reserved, Rpc, Service, Syntax, TypeDecl, TypeRef,
};
use super::cursor::{Parsed, Parser};
use super::lexer::{Token, error};
use crate::definition::InvalidSchema;

/// Longer texts are refused.
pub(super) const MAX_TEXT: usize = 4 << 20;
/// The greatest number of a field.
pub(super) const MAX_NUMBER: i32 = 536_870_911;

/// Parses a file. Names are not resolved here.
pub(super) fn parse(text: &str) -> Parsed<ProtoFile> {
    if text.len() > MAX_TEXT {
        return Err(InvalidSchema(format!("the text is {} bytes, more than {MAX_TEXT}", text.len())));
    }
    Parser::new(text)?.file()
}

impl Parser {
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
        let starts =
            |p: &Self, word: &str, next: fn(&Token) -> bool| p.is_word(word) && p.ahead(1).is_some_and(next);
        let named_block = |p: &Self, word: &str| {
            p.is_word(word)
                && matches!(p.ahead(1), Some(Token::Word(_)))
                && matches!(p.ahead(2), Some(Token::Symbol('{')))
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
        matches!(self.ahead(1), Some(Token::Word(_)))
            && matches!(self.ahead(2), Some(Token::Symbol('=')))
            && matches!(self.ahead(3), Some(Token::Number(_)))
    }

    fn is_extend(&self) -> bool {
        self.is_word("extend") && !self.is_field()
    }

    fn label(&mut self) -> Option<Label> {
        let label = [Label::Optional, Label::Required, Label::Repeated]
            .into_iter()
            .find(|l| self.is_word(l.name()))?;
        // A type may have such a name.
        let next = self.ahead(1);
        let is_label = matches!(next, Some(Token::Word(_) | Token::Symbol('.'))) && !self.is_field();
        self.at += usize::from(is_label);
        is_label.then_some(label)
    }

    fn field(&mut self, labelled: bool) -> Parsed<Member> {
        let label = if labelled { self.label() } else { None };
        if self.is_word("group") && !self.is_field_of_type_group() {
            self.at += 1;
            return self.group(label).map(Member::Group);
        }
        let is_map = self.is_word("map") && matches!(self.ahead(1), Some(Token::Symbol('<')));
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
        !matches!(self.ahead(1), Some(Token::Word(w)) if w.starts_with(char::is_uppercase))
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
            let is_value = matches!(self.ahead(1), Some(Token::Symbol('=')));
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
        let is_stream = self.is_word("stream") && !matches!(self.ahead(1), Some(Token::Symbol(')')));
        self.at += usize::from(is_stream);
        let name = self.path()?;
        self.symbol(')')?;
        Ok((name, is_stream))
    }
}

enum Member {
    Field(FieldDecl),
    Group(GroupDecl),
}

fn only_syntax(file: &ProtoFile) -> ProtoFile {
    ProtoFile { syntax: file.syntax.clone(), ..ProtoFile::default() }
}
