//! What broken rules mean, and what helps.

use bd_schema::Incompatibility;

/// A fault in words, of a reader and what was written by another schema.
pub(super) fn of(fault: &Incompatibility) -> &'static str {
    let rule = fault.rule;
    match rule {
        "READER_FIELD_MISSING_DEFAULT_VALUE" => {
            "the records lack a field that the reader wants: give it a default"
        }
        "TYPE_MISMATCH" => {
            "the records hold another type than the reader takes; only int, long, float, double are widened in this \
             order, and string and bytes read each other"
        }
        "MISSING_UNION_BRANCH" => {
            "the records may hold a type, or null, that the reader's union has not: add it to the union"
        }
        "MISSING_ENUM_SYMBOLS" => {
            "the records may hold symbols that the reader's enum has not: add them, or give the enum a default"
        }
        "NAME_MISMATCH" => "the type has another name: keep the old one, or make it an alias",
        "FIXED_SIZE_MISMATCH" => "the records hold another number of bytes than the reader takes",
        "FIELD_SCALAR_KIND_CHANGED" | "FIELD_KIND_CHANGED" | "FIELD_NAMED_TYPE_CHANGED" => {
            "under this number the records hold what the reader cannot take: give the new field a new number"
        }
        "FIELD_NUMERIC_LABEL_CHANGED" => {
            "one value and several are written differently: give the new field a new number"
        }
        "MESSAGE_REMOVED" => "the records may be of a message that the reader has not: keep it",
        "PACKAGE_CHANGED" => "all types have other full names: keep the package",
        "REQUIRED_FIELD_ADDED" | "REQUIRED_FIELD_REMOVED" => {
            "a required field is there on one side only: required is for ever, make it optional before"
        }
        "ONEOF_FIELD_REMOVED" => "the records may hold the choice that the reader has not: keep it",
        "MULTIPLE_FIELDS_MOVED_TO_ONEOF" | "FIELD_MOVED_TO_EXISTING_ONEOF" => {
            "the records may hold several of these fields, and the reader keeps one: leave them outside of the oneof"
        }
        "REQUIRED_ATTRIBUTE_ADDED" => {
            "the records may lack the property that is required now: leave it optional, or give it a default"
        }
        _ => json_schema(rule),
    }
}

fn json_schema(rule: &str) -> &'static str {
    let has = |part: &str| rule.contains(part);
    if has("ADDED_TO_OPEN_CONTENT_MODEL") {
        "the records may hold anything under this name, since their schema allows further properties: close it \
         with additionalProperties: false before you add to it"
    } else if has("ADDED_TO_UNOPEN_CONTENT_MODEL") {
        "the records lack the property that is required: leave it optional, or give it a default"
    } else if has("REMOVED_FROM_CLOSED_CONTENT_MODEL") {
        "the records hold a property that the reader refuses: keep it, or allow further properties"
    } else if has("NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL") {
        "the records may hold what additionalProperties or patternProperties on the other side do not allow"
    } else if rule.starts_with("ADDITIONAL_") || rule.starts_with("UNEVALUATED_") {
        "the records may hold further properties or items that the reader refuses"
    } else if rule.starts_with("ENUM_") {
        "the records may hold values that the reader's enum has not"
    } else if has("TYPE") {
        "the records may hold a type that the reader refuses"
    } else {
        "the reader is stricter than the records' schema: some of them may break this rule"
    }
}
