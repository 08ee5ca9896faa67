//! The inferred type as a `.proto` file.

use super::InferNote;
use super::node::{Kind, Node};
use crate::protobuf::protobuf_of_schema;
use crate::{ConnectField, InvalidSchema};

pub(super) fn text(root: &Node, name: &str) -> Result<String, InvalidSchema> {
    let Kind::Struct(members) = &root.kind else {
        return Err(InvalidSchema(format!(
            "the records are of type {}, and a Protobuf message has fields: objects are needed",
            root.data_type()
        )));
    };
    let known = |node: &Node| ConnectField { required: !node.is_optional(), ..ConnectField::default() };
    let fields: Vec<ConnectField> = members.iter().map(|(_, node)| known(node)).collect();
    protobuf_of_schema(Some(name), &root.columns(), &fields)
}

/// Notes what Protobuf cannot hold as it was seen.
pub(super) fn note(path: &str, node: &Node, notes: &mut Vec<InferNote>) {
    let text = match &node.kind {
        Kind::Array(items) if items.nullable && items.kind != Kind::Nothing => {
            "some elements are null, which Protobuf's repeated fields cannot hold"
        }
        Kind::Map(values) if values.nullable => "some values are null, which Protobuf's maps cannot hold",
        Kind::Array(_) | Kind::Map(_) if node.is_optional() => {
            "null is the same as empty in Protobuf's repeated fields and maps"
        }
        _ => return,
    };
    notes.push(InferNote { path: path.to_owned(), text: text.to_owned() });
}
