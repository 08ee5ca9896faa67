//! Names of subjects with their contexts: `users-value` is of the default context `.`, `:.staging:users-value` of the context
//! `.staging`. Each context has its own ids.

/// The context of a subject that names none.
pub(crate) const DEFAULT: &str = ".";
/// The context whose config and mode hold where no other does.
const GLOBAL: &str = ".__GLOBAL";
/// Stands for all contexts in a prefix of subjects.
pub(crate) const WILDCARD: &str = ":*:";

/// A subject's name in its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Qualified<'a> {
    /// With its dot: `.`, `.staging`.
    pub(crate) context: &'a str,
    /// Without its context; empty: the context itself.
    pub(crate) subject: &'a str,
}

impl<'a> Qualified<'a> {
    pub(crate) fn parse(name: &'a str) -> Self {
        if let Some(rest) = name.strip_prefix(":").filter(|rest| rest.starts_with('.')) {
            let (context, subject) = rest.split_once(':').unwrap_or((rest, ""));
            Self { context, subject }
        } else if let Some(subject) = name.strip_prefix(WILDCARD) {
            Self { context: "*", subject }
        } else {
            Self { context: DEFAULT, subject: name }
        }
    }

    pub(crate) fn is_default(self) -> bool {
        self.context == DEFAULT
    }

    /// The prefix that names its context; empty for the default one.
    pub(crate) fn prefix(self) -> String {
        prefix_of(self.context)
    }

    /// The whole name; the default context is not named.
    pub(crate) fn name(self) -> String {
        self.prefix() + self.subject
    }
}

/// The prefix that names a context; empty for the default one.
pub(crate) fn prefix_of(context: &str) -> String {
    if context == DEFAULT { String::new() } else { format!(":{context}:") }
}

/// The name without a mention of the default context.
pub(crate) fn normalized(name: &str) -> String {
    Qualified::parse(name).name()
}

/// The name of a subject that another one mentions: of its context, where it names none itself.
pub(crate) fn within(parent: &str, name: &str) -> String {
    let own = Qualified::parse(name);
    let parent = Qualified::parse(parent);
    match own.is_default() && !parent.is_default() {
        true => Qualified { context: parent.context, subject: own.subject }.name(),
        false => own.name(),
    }
}

/// The prefix of subjects that a context given by a client names: `staging`, `.staging`, `:.staging:`. `None`: not a name.
pub(crate) fn context_prefix(given: &str) -> Option<String> {
    let name = given.strip_prefix(':').unwrap_or(given);
    let name = name.strip_suffix(':').unwrap_or(name);
    let dot = if name.starts_with('.') { "" } else { "." };
    (!name.contains(':')).then(|| prefix_of(&format!("{dot}{name}")))
}

/// Whether the name stands for all of the default context, that is: for no subject at all.
pub(crate) fn is_top_level(name: &str) -> bool {
    let name = Qualified::parse(name);
    name.is_default() && name.subject.is_empty()
}

/// Whether the name is that of the global context.
pub(crate) fn is_global(name: &str) -> bool {
    let name = Qualified::parse(name);
    name.context == GLOBAL && name.subject.is_empty()
}

/// The name of the global context.
pub(crate) fn global() -> String {
    prefix_of(GLOBAL)
}

/// Whether schemas may be registered under that name, or with `config` whether it may have a config or a mode.
pub(crate) fn is_valid(name: &str, config: bool) -> bool {
    let parts = Qualified::parse(name);
    let reserved = matches!(parts.subject, "__GLOBAL" | "__EMPTY");
    let control = |c: char| matches!(c, '\0'..='\x1f' | '\x7f'..='\u{9f}');
    !name.chars().any(control) && !reserved && (config || parts.context != GLOBAL)
}

/// Whether a subject is the one of that name, or within the context of that name; the empty name is the default context's.
pub(crate) fn covers(name: &str, subject: &str) -> bool {
    let scope = Qualified::parse(name);
    name == subject
        || scope.subject.is_empty()
            && (scope.context == GLOBAL || scope.context == Qualified::parse(subject).context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_a_context_and_a_subject() {
        for (name, context, subject, normal) in [
            ("s", ".", "s", "s"),
            ("", ".", "", ""),
            (":.:s", ".", "s", "s"),
            (":.a:s", ".a", "s", ":.a:s"),
            (":.a:", ".a", "", ":.a:"),
            (":.a", ".a", "", ":.a:"),
            (":a:s", ".", ":a:s", ":a:s"),
            (":*:s", "*", "s", ":*:s"),
        ] {
            assert_eq!(Qualified::parse(name), Qualified { context, subject });
            assert_eq!(normalized(name), normal);
        }
        assert_eq!(within(":.a:x", "y"), ":.a:y");
        assert_eq!(within(":.a:x", ":.b:y"), ":.b:y");
        assert_eq!(within("x", "y"), "y");
        assert_eq!(context_prefix("a").as_deref(), Some(":.a:"));
        assert_eq!(context_prefix(":.:").as_deref(), Some(""));
        assert_eq!(context_prefix("a:b"), None);
    }

    #[test]
    fn a_scope_is_a_subject_a_context_or_all() {
        assert!(covers("s", "s") && !covers("s", "t"));
        assert!(covers("", "s") && !covers("", ":.a:s"));
        assert!(covers(":.a:", ":.a:s") && !covers(":.a:", "s"));
        assert!(covers(":.__GLOBAL:", "s") && covers(":.__GLOBAL:", ":.a:s"));
    }

    #[test]
    fn some_names_are_refused() {
        assert!(is_valid("a b/c", false) && is_valid(":.a:b", false));
        assert!(!is_valid("a\nb", false) && !is_valid("__GLOBAL", false) && !is_valid(":.a:__EMPTY", true));
        assert!(is_valid(":.__GLOBAL:", true) && !is_valid(":.__GLOBAL:x", false));
    }
}
