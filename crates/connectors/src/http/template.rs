//! `${offset.cursor}` and `${entity.id}` in URLs, parameters, headers and bodies.

/// A text with names to fill in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Name(String),
}

impl Template {
    /// Reads a text with `${name}` in it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, after)) = after.split_once('}') else {
                return Err("a ${ is not closed by }".to_owned());
            };
            let name = name.trim();
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
            if name.is_empty() || !name.chars().all(plain) {
                return Err(format!(
                    "${{{name}}} is not supported: write ${{offset.name}} or ${{entity.name}}"
                ));
            }
            parts.extend((!before.is_empty()).then(|| Part::Text(before.to_owned())));
            parts.push(Part::Name(name.to_owned()));
            rest = after;
        }
        parts.extend((!rest.is_empty()).then(|| Part::Text(rest.to_owned())));
        Ok(Self { parts })
    }

    /// The names in it.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|p| match p {
            Part::Name(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// The text with its names filled in; `write` gets each value on its way into the text.
    ///
    /// # Errors
    /// The name that has no value.
    pub(super) fn fill(
        &self,
        value: &dyn Fn(&str) -> Option<String>,
        write: fn(&str) -> String,
    ) -> Result<String, String> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Name(name) => text.push_str(&write(&value(name).ok_or_else(|| name.clone())?)),
            }
        }
        Ok(text)
    }
}

/// As it is.
pub(super) fn plain(text: &str) -> String {
    text.to_owned()
}

/// Percent-encoded for a query or a path (RFC 3986, all but unreserved characters).
pub(super) fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(byte.into());
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(text: &str) -> Result<String, String> {
        let value = |name: &str| (name == "offset.a").then(|| "x y&z".to_owned());
        Template::parse(text)?.fill(&value, percent)
    }

    #[test]
    fn names_are_filled_in_and_encoded() {
        assert_eq!(fill("/p?a=${offset.a}&b=1").unwrap(), "/p?a=x%20y%26z&b=1");
        assert_eq!(fill("${offset.a}${ offset.a }").unwrap(), "x%20y%26zx%20y%26z");
        assert_eq!(fill("$5 {x} }").unwrap(), "$5 {x} }");
        assert_eq!(fill("").unwrap(), "");
    }

    #[test]
    fn unknown_names_and_other_expressions_are_refused() {
        assert_eq!(fill("${offset.b}").unwrap_err(), "offset.b");
        assert!(fill("${offset.a").unwrap_err().contains("not closed"));
        assert!(fill("${offset.t?datetime.iso?long}").unwrap_err().contains("is not supported"));
        assert!(fill("${}").is_err());
    }
}
