//! The fields of a schema side by side with those of another.

use bd_schema::Incompatibility;

/// A field, at any depth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    /// What it is known by in both schemas: its path, of Protobuf with numbers for names.
    pub(super) key: String,
    /// For people: `address.street`, `items[].id`.
    pub(super) path: String,
    /// As messages name its place.
    pub(super) place: Vec<String>,
    /// Its type and what belongs to it.
    pub(super) shown: String,
    /// Other names by which it is known: keys.
    pub(super) aliases: Vec<String>,
}

/// The fields of a schema, each before those within it.
#[derive(Debug, Default)]
pub(super) struct Fields(pub(super) Vec<Field>);

/// What became of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) key: String,
    pub(super) path: String,
    pub(super) what: String,
}

impl Fields {
    pub(super) fn get(&self, key: &str) -> Option<&Field> {
        self.0.iter().find(|field| field.key == key)
    }

    /// The field that a fault is about: the innermost whose place its place begins with.
    pub(super) fn at(&self, fault: &Incompatibility) -> Option<&Field> {
        let place = place_of(fault)?;
        self.0.iter().filter(|field| begins(&place, &field.place)).max_by_key(|field| field.place.len())
    }
}

fn begins(place: &[String], with: &[String]) -> bool {
    place.len() >= with.len() && place.iter().zip(with).all(|(a, b)| a == b)
}

/// The place in a description: `path '/fields/1/type'`, `path '#/properties/a'`. Branches of unions are left out: a field is one
/// whichever of them is meant.
fn place_of(fault: &Incompatibility) -> Option<Vec<String>> {
    let text = &fault.description;
    let start = text.rfind("'/").or_else(|| text.rfind("'#/"))? + 1;
    let path = text[start..].split('\'').next()?.trim_start_matches('#');
    let mut place: Vec<String> = Vec::new();
    for token in path.split('/').filter(|t| !t.is_empty()) {
        let branch = token.bytes().all(|b| b.is_ascii_digit())
            && place.last().is_some_and(|last| ["type", "items", "values"].contains(&last.as_str()));
        if !branch {
            place.push(token.replace("~1", "/").replace("~0", "~"));
        }
    }
    // JSON Schema names a required property by itself.
    if let Some(at) = place.iter().position(|token| token == "required").filter(|at| at + 1 < place.len()) {
        place[at] = "properties".into();
    }
    Some(place)
}

/// What changed, in the order of the new schema; what went comes last.
pub(super) fn changes(old: &Fields, new: &Fields) -> Vec<Change> {
    let mut all = Vec::new();
    let mut renamed: Vec<&str> = Vec::new();
    let change =
        |field: &Field, what: String| Change { key: field.key.clone(), path: field.path.clone(), what };
    for field in &new.0 {
        let before = old.get(&field.key);
        let alias = field.aliases.iter().find_map(|alias| old.get(alias)).filter(|_| before.is_none());
        match (before, alias) {
            (Some(before), _) if before.path != field.path && before.shown == field.shown => {
                all.push(change(field, format!("renamed from {}", before.path)));
            }
            (Some(before), _) if before.path != field.path => {
                let what = format!("renamed from {}; {} -> {}", before.path, before.shown, field.shown);
                all.push(change(field, what));
            }
            (Some(before), _) if before.shown != field.shown => {
                all.push(change(field, format!("{} -> {}", before.shown, field.shown)));
            }
            (Some(_), _) => {}
            (None, Some(before)) => {
                renamed.push(&before.key);
                all.push(change(field, format!("renamed from {}", before.path)));
            }
            (None, None) => all.push(change(field, format!("added: {}", field.shown))),
        }
    }
    let gone = old.0.iter().filter(|f| new.get(&f.key).is_none() && !renamed.contains(&f.key.as_str()));
    all.extend(gone.map(|field| change(field, format!("removed: {}", field.shown))));
    all
}
