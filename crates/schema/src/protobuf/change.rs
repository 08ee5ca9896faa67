//! The kinds of changes between two Protobuf schemas, by Confluent's names and in the words of its registry.

use crate::definition::Incompatibility;

/// A kind of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    PackageChanged,
    MessageAdded,
    MessageRemoved,
    MessageMoved,
    EnumAdded,
    EnumRemoved,
    EnumConstAdded,
    EnumConstChanged,
    EnumConstRemoved,
    FieldAdded,
    FieldRemoved,
    FieldNameChanged,
    FieldKindChanged,
    FieldScalarKindChanged,
    FieldNamedTypeChanged,
    FieldNumericLabelChanged,
    FieldStringOrBytesLabelChanged,
    RequiredFieldAdded,
    RequiredFieldRemoved,
    OneofAdded,
    OneofRemoved,
    OneofFieldAdded,
    OneofFieldRemoved,
    OneofFieldMovedToTopLevel,
    MultipleFieldsMovedToOneof,
    FieldMovedToExistingOneof,
}

impl Change {
    /// Confluent's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::PackageChanged => "PACKAGE_CHANGED",
            Self::MessageAdded => "MESSAGE_ADDED",
            Self::MessageRemoved => "MESSAGE_REMOVED",
            Self::MessageMoved => "MESSAGE_MOVED",
            Self::EnumAdded => "ENUM_ADDED",
            Self::EnumRemoved => "ENUM_REMOVED",
            Self::EnumConstAdded => "ENUM_CONST_ADDED",
            Self::EnumConstChanged => "ENUM_CONST_CHANGED",
            Self::EnumConstRemoved => "ENUM_CONST_REMOVED",
            Self::FieldAdded => "FIELD_ADDED",
            Self::FieldRemoved => "FIELD_REMOVED",
            Self::FieldNameChanged => "FIELD_NAME_CHANGED",
            Self::FieldKindChanged => "FIELD_KIND_CHANGED",
            Self::FieldScalarKindChanged => "FIELD_SCALAR_KIND_CHANGED",
            Self::FieldNamedTypeChanged => "FIELD_NAMED_TYPE_CHANGED",
            Self::FieldNumericLabelChanged => "FIELD_NUMERIC_LABEL_CHANGED",
            Self::FieldStringOrBytesLabelChanged => "FIELD_STRING_OR_BYTES_LABEL_CHANGED",
            Self::RequiredFieldAdded => "REQUIRED_FIELD_ADDED",
            Self::RequiredFieldRemoved => "REQUIRED_FIELD_REMOVED",
            Self::OneofAdded => "ONEOF_ADDED",
            Self::OneofRemoved => "ONEOF_REMOVED",
            Self::OneofFieldAdded => "ONEOF_FIELD_ADDED",
            Self::OneofFieldRemoved => "ONEOF_FIELD_REMOVED",
            Self::OneofFieldMovedToTopLevel => "ONEOF_FIELD_MOVED_TO_TOP_LEVEL",
            Self::MultipleFieldsMovedToOneof => "MULTIPLE_FIELDS_MOVED_TO_ONEOF",
            Self::FieldMovedToExistingOneof => "FIELD_MOVED_TO_EXISTING_ONEOF",
        }
    }

    /// Whether the new schema still reads what the old one wrote.
    pub(super) fn is_compatible(self) -> bool {
        !matches!(
            self,
            Self::PackageChanged
                | Self::MessageRemoved
                | Self::FieldKindChanged
                | Self::FieldScalarKindChanged
                | Self::FieldNamedTypeChanged
                | Self::FieldNumericLabelChanged
                | Self::RequiredFieldAdded
                | Self::RequiredFieldRemoved
                | Self::OneofFieldRemoved
                | Self::MultipleFieldsMovedToOneof
                | Self::FieldMovedToExistingOneof
        )
    }
}

/// One change and where: `#/Message/field number`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) kind: Change,
    pub(super) path: String,
}

impl From<Difference> for Incompatibility {
    /// In the words of Confluent's registry.
    fn from(difference: Difference) -> Self {
        let path = &difference.path;
        let (r, w) = ("{reader}", "{writer}");
        let description = match difference.kind {
            Change::PackageChanged => {
                format!(
                    "The package at '{path}' in the {r} schema does not match the package in the {w} schema"
                )
            }
            Change::MessageRemoved => {
                format!("The {r} schema is missing a MESSAGE type at path '{path}' in the {w} schema")
            }
            Change::FieldKindChanged => {
                format!(
                    "The type of a field at path '{path}' in the {r} schema does not match the {w} schema"
                )
            }
            Change::FieldScalarKindChanged => format!(
                "The kind of a SCALAR field at path '{path}' in the {r} schema does not match its kind in the {w} schema"
            ),
            Change::FieldNamedTypeChanged => format!(
                "The type of a MESSAGE field at path '{path}' in the {r} schema does not match its type in the {w} schema"
            ),
            Change::FieldNumericLabelChanged => format!(
                "The label for a NUMERIC field at path '{path}' in the {r} schema does not match its label in the {w} schema"
            ),
            Change::RequiredFieldAdded => {
                format!("A required field  at path '{path}' in the {r} schema is missing in the {w} schema")
            }
            Change::RequiredFieldRemoved => {
                format!("The {r} schema is missing a required field at path: '{path}' in the {w} schema")
            }
            Change::OneofFieldRemoved => {
                format!("The {r} schema is missing a oneof field at path '{path}' in the {w} schema")
            }
            Change::MultipleFieldsMovedToOneof => format!(
                "Multiple fields in the oneof at path '{path}' in the {r} schema are outside a oneof in the {w} schema"
            ),
            Change::FieldMovedToExistingOneof => format!(
                "A field in the oneof at path '{path}' in the {r} schema is outside an existing oneof in the {w} schema"
            ),
            _ => String::new(),
        };
        Self { rule: difference.kind.name(), description, additional: None }
    }
}
