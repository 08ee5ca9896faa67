//! The names of differences, which of them are compatible, and what is said of those that are not: all as Confluent's registry
//! (`json-schema-provider`: `Difference`, `SchemaDiff`).

/// Differences that keep what was valid before valid now.
const COMPATIBLE: &[&str] = &[
    "ADDITIONAL_ITEMS_ADDED",
    "ADDITIONAL_ITEMS_EXTENDED",
    "ADDITIONAL_PROPERTIES_ADDED",
    "ADDITIONAL_PROPERTIES_EXTENDED",
    "COMBINED_TYPE_EXTENDED",
    "DEFAULT_CHANGED",
    "DEPENDENCY_ARRAY_NARROWED",
    "DEPENDENCY_ARRAY_REMOVED",
    "DEPENDENCY_SCHEMA_REMOVED",
    "DESCRIPTION_CHANGED",
    "ENUM_ARRAY_EXTENDED",
    "EXCLUSIVE_MAXIMUM_INCREASED",
    "EXCLUSIVE_MAXIMUM_REMOVED",
    "EXCLUSIVE_MINIMUM_DECREASED",
    "EXCLUSIVE_MINIMUM_REMOVED",
    "ID_CHANGED",
    "ITEM_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
    "ITEM_ADDED_TO_CLOSED_CONTENT_MODEL",
    "ITEM_REMOVED_FROM_OPEN_CONTENT_MODEL",
    "ITEM_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
    "ITEM_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL",
    "ITEM_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL",
    "MAXIMUM_INCREASED",
    "MAXIMUM_REMOVED",
    "MAX_CONTAINS_INCREASED",
    "MAX_CONTAINS_REMOVED",
    "MAX_ITEMS_INCREASED",
    "MAX_ITEMS_REMOVED",
    "MAX_LENGTH_INCREASED",
    "MAX_LENGTH_REMOVED",
    "MAX_PROPERTIES_INCREASED",
    "MAX_PROPERTIES_REMOVED",
    "MINIMUM_DECREASED",
    "MINIMUM_REMOVED",
    "MIN_CONTAINS_DECREASED",
    "MIN_CONTAINS_REMOVED",
    "MIN_ITEMS_DECREASED",
    "MIN_ITEMS_REMOVED",
    "MIN_LENGTH_DECREASED",
    "MIN_LENGTH_REMOVED",
    "MIN_PROPERTIES_DECREASED",
    "MIN_PROPERTIES_REMOVED",
    "MULTIPLE_OF_REDUCED",
    "MULTIPLE_OF_REMOVED",
    "NOT_TYPE_NARROWED",
    "OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL",
    "PATTERN_REMOVED",
    "PRODUCT_TYPE_NARROWED",
    "PROPERTY_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
    "PROPERTY_REMOVED_FROM_OPEN_CONTENT_MODEL",
    "PROPERTY_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
    "PROPERTY_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL",
    "PROPERTY_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL",
    "REQUIRED_ATTRIBUTE_REMOVED",
    "REQUIRED_ATTRIBUTE_WITH_DEFAULT_ADDED",
    "REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_UNOPEN_CONTENT_MODEL",
    "SCHEMA_REMOVED",
    "SUM_TYPE_EXTENDED",
    "TITLE_CHANGED",
    "TYPE_EXTENDED",
    "UNEVALUATED_ITEMS_ADDED",
    "UNEVALUATED_ITEMS_EXTENDED",
    "UNEVALUATED_PROPERTIES_ADDED",
    "UNEVALUATED_PROPERTIES_EXTENDED",
    "UNIQUE_ITEMS_REMOVED",
];

/// Those that the lenient policy takes as compatible as well.
const LENIENT: &[&str] = &[
    "ADDITIONAL_PROPERTIES_NARROWED",
    "ADDITIONAL_PROPERTIES_REMOVED",
    "OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL",
    "PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
    "PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL",
    "PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
    "REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_OPEN_CONTENT_MODEL",
    "UNEVALUATED_PROPERTIES_NARROWED",
    "UNEVALUATED_PROPERTIES_REMOVED",
];

/// How strictly content models are compared: Confluent's `compatibilityPolicy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CompatibilityPolicy {
    /// What was valid must stay valid.
    #[default]
    Strict,
    /// Properties may come and go whatever the content model says.
    Lenient,
}

impl CompatibilityPolicy {
    pub(in crate::json_schema) fn allows(self, rule: &str) -> bool {
        COMPATIBLE.binary_search(&rule).is_ok()
            || (self == Self::Lenient && LENIENT.binary_search(&rule).is_ok())
    }
}

/// What is said of a difference at that path, with the words `{reader}` and `{writer}`.
pub(super) fn description(rule: &str, path: &str) -> String {
    let changed = |what: &str| format!("{what} at path '{path}' is different between the {{reader}}");
    match rule {
        "TYPE_CHANGED"
        | "TYPE_NARROWED"
        | "COMBINED_TYPE_CHANGED"
        | "COMBINED_TYPE_SUBSCHEMAS_CHANGED"
        | "ENUM_ARRAY_CHANGED" => format!("{} schema and the {{writer}} schema", changed("A type")),
        "PATTERN_CHANGED" | "MULTIPLE_OF_CHANGED" | "DEPENDENCY_ARRAY_CHANGED" => {
            format!("{} and {{writer}} schema", changed("The value"))
        }
        "DEPENDENCY_ARRAY_EXTENDED" | "PRODUCT_TYPE_EXTENDED" | "NOT_TYPE_EXTENDED" => format!(
            "An array or combined type at path '{path}' has more elements in the {{reader}} schema than the {{writer}} schema"
        ),
        "ADDITIONAL_ITEMS_NARROWED"
        | "ENUM_ARRAY_NARROWED"
        | "SUM_TYPE_NARROWED"
        | "ADDITIONAL_PROPERTIES_NARROWED"
        | "UNEVALUATED_PROPERTIES_NARROWED"
        | "UNEVALUATED_ITEMS_NARROWED" => format!(
            "An array or combined type at path '{path}' has fewer elements in the {{reader}} schema than the {{writer}} schema"
        ),
        "REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL" => format!(
            "The {{reader}} schema has an unopen content model and has a required property at path '{path}' which is missing \
             in the {{writer}} schema"
        ),
        "PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL" | "ITEM_REMOVED_FROM_CLOSED_CONTENT_MODEL" => format!(
            "The {{reader}} has a closed content model and is missing a property or item present at path '{path}' in the \
             {{writer}} schema"
        ),
        "MULTIPLE_OF_EXPANDED" => value(path, "more"),
        TOO_DEEP => format!(
            "The schemas at path '{path}' are nested too deeply, or refer to one another too often, to be compared"
        ),
        _ if rule.ends_with("_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL") => format!(
            "A property or item is missing in the {{reader}} schema but present at path '{path}' in the {{writer}} schema and \
             is not covered by its partially open content model"
        ),
        _ if rule.ends_with("_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL") => format!(
            "The {{reader}} schema has a property or item at path '{path}' which is missing in the {{writer}} schema and is \
             not covered by its partially open content model"
        ),
        _ if rule.ends_with("_ADDED_TO_OPEN_CONTENT_MODEL") => format!(
            "The {{reader}} schema has an open content model and has a property or item at path '{path}' which is missing in \
             the {{writer}} schema"
        ),
        _ if rule.ends_with("_INCREASED") => value(path, "more"),
        _ if rule.ends_with("_DECREASED") => value(path, "less"),
        // A keyword that was added, or one whose absence allowed more.
        _ => format!(
            "The keyword at path '{path}' in the {{reader}} schema is not present in the {{writer}} schema"
        ),
    }
}

fn value(path: &str, how: &str) -> String {
    format!(
        "The value at path '{path}' in the {{reader}} schema is {how} than its value in the {{writer}} schema"
    )
}

/// What cannot be compared with bounded effort is not called compatible.
pub(super) const TOO_DEEP: &str = "TYPE_CHANGED_TOO_DEEP";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_sorted_for_the_search() {
        assert!(COMPATIBLE.is_sorted() && LENIENT.is_sorted());
    }
}
