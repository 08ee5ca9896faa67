//! What a `.proto` file says, in the order in which it says it. Comments are not kept.

/// A value of an option.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum OptionValue {
    /// A string, unescaped.
    Text(String),
    /// `true`, `false`, a name of an enum's value, a number: as written.
    Word(String),
    /// What follows a point: `(a).b = 1`.
    Nested(Box<OptionDecl>),
    /// `{ key: value ... }`, each key once.
    Map(Vec<(String, OptionValue)>),
    /// `[ ... ]`, or a key that was given several times.
    List(Vec<OptionValue>),
}

/// `name = value`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct OptionDecl {
    pub(super) name: String,
    /// An extension: written `(name)`.
    pub(super) extension: bool,
    pub(super) value: OptionValue,
}

impl OptionDecl {
    /// The value as a word or text.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            OptionValue::Text(text) | OptionValue::Word(text) => Some(text),
            _ => None,
        }
    }
}

/// The option of that name that is no extension.
pub(super) fn option<'a>(options: &'a [OptionDecl], name: &str) -> Option<&'a OptionDecl> {
    options.iter().find(|o| !o.extension && o.name == name)
}

/// Whether the option of that name is set to `true`.
pub(super) fn is_set(options: &[OptionDecl], name: &str) -> bool {
    option(options, name).and_then(OptionDecl::text) == Some("true")
}

/// What a field's label says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Label {
    Optional,
    Required,
    Repeated,
}

impl Label {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Optional => "optional",
            Self::Required => "required",
            Self::Repeated => "repeated",
        }
    }
}

/// A field's type as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TypeRef {
    /// A scalar or a name, which starts with a point where it is absolute.
    Named(String),
    /// `map<key, value>`.
    Map(String, String),
}

/// `label type name = number [options];`
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FieldDecl {
    pub(super) label: Option<Label>,
    pub(super) of: TypeRef,
    pub(super) name: String,
    pub(super) number: i32,
    /// In order, but `default` and `json_name` last.
    pub(super) options: Vec<OptionDecl>,
}

/// `label group Name = number { ... }`
#[derive(Debug, Clone, PartialEq)]
pub(super) struct GroupDecl {
    pub(super) label: Option<Label>,
    pub(super) name: String,
    pub(super) number: i32,
    pub(super) fields: Vec<FieldDecl>,
}

/// `oneof name { ... }`
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct OneofDecl {
    pub(super) name: String,
    pub(super) options: Vec<OptionDecl>,
    pub(super) fields: Vec<FieldDecl>,
    pub(super) groups: Vec<GroupDecl>,
}

/// A part of `reserved` or `extensions`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reserved {
    Name(String),
    Number(i32),
    /// From and to, both within.
    Range(i32, i32),
}

/// `extensions 1 to 5 [options];`
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Extensions {
    pub(super) ranges: Vec<Reserved>,
    pub(super) options: Vec<OptionDecl>,
}

/// `extend name { ... }`
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Extend {
    pub(super) name: String,
    pub(super) fields: Vec<FieldDecl>,
}

/// `message Name { ... }`
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct MessageDecl {
    pub(super) name: String,
    pub(super) reserved: Vec<Vec<Reserved>>,
    pub(super) options: Vec<OptionDecl>,
    pub(super) fields: Vec<FieldDecl>,
    pub(super) oneofs: Vec<OneofDecl>,
    pub(super) groups: Vec<GroupDecl>,
    pub(super) extensions: Vec<Extensions>,
    pub(super) extends: Vec<Extend>,
    pub(super) types: Vec<TypeDecl>,
}

/// `NAME = number [options];` of an enum.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct EnumValue {
    pub(super) name: String,
    pub(super) number: i32,
    pub(super) options: Vec<OptionDecl>,
}

/// `enum Name { ... }`
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct EnumDecl {
    pub(super) name: String,
    pub(super) reserved: Vec<Vec<Reserved>>,
    pub(super) options: Vec<OptionDecl>,
    pub(super) values: Vec<EnumValue>,
}

/// A declared type.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum TypeDecl {
    Message(MessageDecl),
    Enum(EnumDecl),
}

impl TypeDecl {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Message(m) => &m.name,
            Self::Enum(e) => &e.name,
        }
    }
}

/// The messages among types, in order: their places are the message indexes of Confluent's framing.
pub(super) fn messages(types: &[TypeDecl]) -> impl Iterator<Item = &MessageDecl> {
    types.iter().filter_map(|t| match t {
        TypeDecl::Message(m) => Some(m),
        TypeDecl::Enum(_) => None,
    })
}

/// `rpc Name (Request) returns (Response);`
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rpc {
    pub(super) name: String,
    /// The type, and whether it is a stream.
    pub(super) request: (String, bool),
    pub(super) response: (String, bool),
    pub(super) options: Vec<OptionDecl>,
}

/// `service Name { ... }`
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Service {
    pub(super) name: String,
    pub(super) options: Vec<OptionDecl>,
    pub(super) rpcs: Vec<Rpc>,
}

/// Which rules a file follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Syntax {
    Proto2,
    Proto3,
    Edition(String),
}

/// A whole file.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct ProtoFile {
    /// `None` where nothing is said: proto2.
    pub(super) syntax: Option<Syntax>,
    pub(super) package: Option<String>,
    pub(super) imports: Vec<String>,
    pub(super) public_imports: Vec<String>,
    pub(super) options: Vec<OptionDecl>,
    pub(super) types: Vec<TypeDecl>,
    pub(super) extends: Vec<Extend>,
    pub(super) services: Vec<Service>,
}

impl ProtoFile {
    pub(super) fn is_proto3(&self) -> bool {
        self.syntax == Some(Syntax::Proto3)
    }

    /// The full name of a type declared at the top.
    pub(super) fn full_name(&self, name: &str) -> String {
        match &self.package {
            Some(package) => format!("{package}.{name}"),
            None => name.to_owned(),
        }
    }
}

/// All fields of a message that have a place on the wire, but those of groups: its own, then those of its oneofs.
pub(super) fn all_fields(message: &MessageDecl) -> impl Iterator<Item = (&FieldDecl, Option<&OneofDecl>)> {
    let own = message.fields.iter().map(|f| (f, None));
    own.chain(message.oneofs.iter().flat_map(|o| o.fields.iter().map(move |f| (f, Some(o)))))
}
